/* Rows of any element type as fp32, their norms, and exact distances to them. */
#ifndef IVF_ROWS_H
#define IVF_ROWS_H

#include "engine/terms.h"

/* out[n] = n elements of ptr as fp32, exactly. */
void rows_to_f32(enum elem elem, const void *ptr, int64_t n, float *out);

/*
 * out[n] of elem = x[n]: f16 rounded to nearest even, whole numbers as they are. Returns the first
 * place whose value elem cannot hold (past 65504, out of range, not whole), -1 where there is
 * none; what out then has at such places means nothing.
 */
int64_t rows_from_f32(enum elem elem, const float *x, int64_t n, void *out);

/* norm[i] = |row i|^2 in fp32 (any order of summation), of x[rows][d]. */
void rows_norms(const float *x, int64_t rows, int d, float *norm);

/* dot[i] = <q, row i> in fp32 (any order), of x[rows][d]: where too few queries share rows for a product. */
void rows_dots(const float *x, int64_t rows, int d, const float *q, float *dot);

/* The first row that holds a NaN or an infinity, -1 where none does. */
int64_t rows_not_finite(const float *x, int64_t rows, int d);

/* Whether all n values are whole numbers: products and sums of such are exact below 2^24. */
int rows_whole(const float *x, int64_t n);

/*
 * out[i] = the distance of terms.h from q[d] to row[i], n rows of the element type (exact.h says
 * how it is had without a chain of additions).
 */
void rows_distances(enum elem elem, const float *q, const void *const *row, int n, int d,
                    float *out);

#endif
