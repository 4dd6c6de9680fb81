/* Means of rows by list: of training vectors, and of slices by codeword. */
#ifndef IVF_CUDA_MEANS_H
#define IVF_CUDA_MEANS_H

#include "kernels/cuda/cuda.h"

/*
 * Enqueues: row j of d_c[nlist][x->d] = the mean of the rows of x with d_list[i] == j, as the
 * contract's means; d_count[j] = how many. Uses the scratch region. ERR_UNSUPPORTED: 2^32 rows.
 */
int means_by_list(struct cuda *cuda, const struct mat *x, const int32_t *d_list, int64_t nlist,
                  float *d_c, int64_t *d_count);

/*
 * The same for slices: row i * m + s of x (slice s of row i of n) belongs to list s * KSUB +
 * d_code[i * m + s], of m * KSUB.
 */
int means_by_code(struct cuda *cuda, const struct mat *x, const uint8_t *d_code, int m, float *d_c,
                  int64_t *d_count);

/* Bytes of scratch that the means of so many rows, or slices, take. */
size_t means_scratch(int64_t rows, int64_t nlist);

#endif
