/* Rows on the device, made into others row by row: what training and adding share. */
#ifndef IVF_CUDA_ROWS_H
#define IVF_CUDA_ROWS_H

#include "kernels/cuda/cuda.h"

/* Each enqueues on cuda->stream and waits for nothing; no scratch is used. */

/* d_out[i] = element i of count at d_x as fp32, exactly. The arrays are apart, or the same f32. */
int rows_to_f32(struct cuda *cuda, enum elem elem, const void *d_x, int64_t count, float *d_out);

/* Row i of d_r[x->rows][d] = row i of x minus row d_list[i] of d_c[.][d], in fp32; d_r may be x. */
int rows_residuals(struct cuda *cuda, const struct mat *x, const int32_t *d_list, const float *d_c,
                   float *d_r);

#endif
