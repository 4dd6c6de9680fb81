/*
 * Small dense matrices in fp64, row-major, in host memory, on the calling thread (LAPACK). The
 * same input gives the same bits on the same machine. Failures are ERR_NOMEM, and ERR_DEVICE
 * where LAPACK does not converge.
 */
#ifndef IVF_DENSE_H
#define IVF_DENSE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* q[n][n]: a random rotation; rows (and columns) are orthonormal. */
int dense_rotation(double *q, int n, uint32_t seed);

/* Orthogonal Procrustes (Schoenemann 1966): r[cols][rows] with orthonormal rows that maximizes
   the trace of r m, for m[rows][cols] with cols <= rows. m is overwritten. */
int dense_procrustes(double *m, int rows, int cols, double *r);

/* The symmetric a[n][n], of which the upper triangle is read, becomes its eigenvectors, one a
   row; value[n] their eigenvalues, ascending. */
int dense_eigen(double *a, int n, double *value);

/* The upper triangle of c[d][d] += the transpose of x[rows][d] times x. */
void dense_add_gram(double *c, const double *x, int64_t rows, int d);

/* out[rows][cols] = a[rows][n] b[n][cols] */
void dense_product(const double *a, const double *b, int rows, int n, int cols, double *out);

/* out[d][e] = the transpose of x[rows][d] times y[rows][e], in fp32 inside. */
int dense_cross(const float *x, int d, const float *y, int e, int64_t rows, double *out);

#ifdef __cplusplus
}
#endif
#endif
