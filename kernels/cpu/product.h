/*
 * Matrix products in fp32 (OpenBLAS), and how far they can be from the truth.
 *
 * A squared distance |q - x|^2 is filtered through its score s = |x|^2 - 2<q, x>: the part that
 * depends on x. What a score can be off by follows from the standard bound of a dot product of
 * length d in any order of summation, |error| <= d u |q||x| with u = 2^-24 (Higham, Accuracy and
 * Stability of Numerical Algorithms, 3.1), and the same for the norms |x|^2 and |q|^2; a few
 * roundings of sums of them come on top, and 2^-150 a product that underflows. For whole numbers
 * whose sums stay below 2^24 there is no error at all: SIFT is filtered exactly.
 */
#ifndef IVF_PRODUCT_H
#define IVF_PRODUCT_H

#include "engine/terms.h"

/* out[rows][n] = a[rows][d] times the transpose of b[n][d]. On the calling thread alone. */
void product(const float *a, int64_t rows, const float *b, int64_t n, int d, float *out);

/*
 * |score - (distance - |q|^2)| is at most this, with |q|^2 as rows_norms gives it, for a query of
 * norm q_norm = |q| and vectors of norms up to x_norm; whole: all of both are whole numbers. +inf
 * where fp32 overflows: then scores mean nothing.
 */
float product_margin(double q_norm, double x_norm, int d, int whole);

/*
 * What OPENBLAS_CORETYPE a process that is to compute should be started with, NULL to leave it:
 * an OpenBLAS older than the processor falls back to kernels from before AVX (seen: 0.3.21 takes
 * a 2023 Xeon for a Prescott, k-means 3.5 times slower), and looks at the variable before main starts.
 */
const char *product_coretype(void);

/* One BLAS thread per caller, and a check that this machine's BLAS multiplies right. */
int product_open(void);

#endif
