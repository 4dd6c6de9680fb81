/*
 * When a search has been timed enough. A pass is one search of all queries; the first one is
 * cold and kept apart, warm-up goes on until passes agree, and repeats until their median is
 * known well. Pure functions of the samples so far: nothing here looks at a clock.
 */
#ifndef IVF_TIMING_H
#define IVF_TIMING_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TIMING_AUTO = -1 };     /* as SPEC_AUTO: let the samples decide */
enum { TIMING_PASSES = 1001 }; /* of one kind, at most: the cold one and what a spec may ask for */

/*
 * Whether another warm-up pass is wanted after ns[n], n >= 1, the cold first pass being ns[0].
 * fixed: exactly so many after the first. TIMING_AUTO: until two successive passes agree
 * within 5 %, or there are 3, or they took 2 s.
 */
int timing_warming(const int64_t *ns, int n, int64_t fixed);

/*
 * Whether another repeat is wanted after ns[n], n >= 0. fixed: exactly so many. TIMING_AUTO: 5
 * passes (3 where one takes over 2 s), then on until spread / sqrt(n) is under 1 %, or they took
 * 1 s, or there are 100.
 */
int timing_more(const int64_t *ns, int n, int64_t fixed);

/* The q-quantile of ns[n], n >= 1, as stats_quantile's; 0.5: the median. */
double timing_quantile(const int64_t *ns, int n, double q);

/* Interquartile range over median: what `noisy` (over 0.1) and the table's spread mean. */
double timing_spread(const int64_t *ns, int n);

#ifdef __cplusplus
}
#endif
#endif
