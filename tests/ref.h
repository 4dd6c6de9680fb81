/*
 * The naive truth: every step of the contract as a plain double loop, in the fewest lines. Slow
 * on purpose; what the fast code is compared with.
 */
#ifndef IVF_REF_H
#define IVF_REF_H

#include "engine/terms.h"

/* The distance of terms.h. */
float ref_distance(const float *a, const float *b, int d);

/* The k nearest of x[n][d] for each q[nq][d] by (distance, id), padded with (+inf, -1). */
void ref_knn(const float *x, int64_t n, const float *q, int64_t nq, int d, int k, float *dist,
             vid *ids);

/* list[i] = the nearest of c[nlist][d]; lowest on ties; -1 for a NaN. */
void ref_assign(const float *x, int64_t n, const float *c, int64_t nlist, int d, int32_t *list);

/* IVF search over vectors y[n][d] (rows, or decoded codes) that lie in list[n]. */
void ref_search(const float *q, int64_t nq, const double *y, const int32_t *list, int64_t n,
                const float *c, int64_t nlist, int d, int k, int nprobe, float *dist, vid *ids);

#endif
