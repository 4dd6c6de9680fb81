/*
 * The naive truth: every step of the contract as a plain double loop, in the fewest lines. Slow
 * on purpose; what the fast code is compared with.
 */
#ifndef IVF_REF_H
#define IVF_REF_H

#include "engine/terms.h"

/* The distance of terms.h. */
float ref_distance(const float *a, const float *b, int d);

/*
 * The k nearest of x[n][d] for each q[nq][d] by (distance, id), padded with (+inf, -1). A distance
 * that is NaN or passes fp32 is no answer.
 */
void ref_knn(const float *x, int64_t n, const float *q, int64_t nq, int d, int k, float *dist,
             vid *ids);

/* list[i] = the nearest of c[nlist][d]; lowest on ties; -1 for a NaN. */
void ref_assign(const float *x, int64_t n, const float *c, int64_t nlist, int d, int32_t *list);

/* The mean of the rows of each list into c[nlist][d], which stays where there are none. */
void ref_means(const float *x, int64_t n, int d, const int32_t *list, int64_t nlist, float *c,
               int64_t *count);

/* out[n][t->d_out] = t applied to x[n][t->d_in], as terms.h says. */
void ref_transform(const struct transform *t, const float *x, int64_t n, float *out);

/* The codeword of books[m][KSUB][d / m] nearest to each slice of r[n][d], in fp32; err[m]. */
void ref_encode(const float *r, int64_t n, int d, int m, const float *books, uint8_t *code,
                double *err);

/* Where codes say that vectors of list[n] around c are: y[n][d], centroid + codeword. */
void ref_decode(const uint8_t *code, int64_t n, int d, int m, const float *books, const float *c,
                const int32_t *list, double *y);

/*
 * IVF search over vectors y[n][d] (rows, or decoded codes) that lie in list[n]. Which lists are the
 * nearest is decided by (distance, list) too, +inf being a distance there.
 */
void ref_search(const float *q, int64_t nq, const double *y, const int32_t *list, int64_t n,
                const float *c, int64_t nlist, int d, int k, int nprobe, float *dist, vid *ids);

#endif
