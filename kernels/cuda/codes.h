/* Product-quantizer codes of rows: what training and adding share. */
#ifndef IVF_CUDA_CODES_H
#define IVF_CUDA_CODES_H

#include "kernels/cuda/cuda.h"

/*
 * Enqueues: d_code[rows][m] = the codewords of d_books[m][KSUB][d / m] nearest to the slices of
 * d_r[rows][d], as the contract's encode. Both begin at a
 * multiple of 16 bytes. No scratch is used.
 */
int codes_encode(struct cuda *cuda, const float *d_r, int64_t rows, int d, int m,
                 const float *d_books, uint8_t *d_code);

/* Bytes of scratch that encode and code_means of the contract take. */
size_t codes_scratch(int64_t rows, int m);

#endif
