/*
 * CUB's radix sort in a file of its own: its headers have a namespace `cuda`, which a file that
 * knows our struct of that name cannot include.
 */
#ifndef IVF_CUDA_SORT_H
#define IVF_CUDA_SORT_H

#include <cuda_runtime.h>
#include <stdint.h>

/*
 * Enqueues on stream: n pairs ascending by the lowest `bits` bits (at least 1) of their keys, equal
 * ones in the order they came. They are in d_key[0] and d_value[0] (each [n]), the other two are
 * room for the sort; *at: in which they are after it. With d_temp NULL nothing is enqueued but
 * *temp_bytes set: what d_temp has to hold.
 */
cudaError_t sort_pairs(void *d_temp, size_t *temp_bytes, uint32_t *const d_key[2],
                       uint32_t *const d_value[2], int64_t n, int bits, int *at,
                       cudaStream_t stream);

/* At least those bytes, told without a device. */
size_t sort_temp_bytes(int64_t n);

#endif
