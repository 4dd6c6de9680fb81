/* Order statistics of a few numbers: what a table shows of raw samples. */
#ifndef IVF_STATS_H
#define IVF_STATS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The quantile p (0 ... 1) of x[n], between two samples by linear interpolation (Hyndman and Fan's
 * type 7, as numpy's default); NAN where n is 0. Sorts x in place, ascending. No NaN in x.
 */
double stats_quantile(double *x, int64_t n, double p);

double stats_median(double *x, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
