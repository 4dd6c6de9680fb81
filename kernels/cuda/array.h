/* Device arrays that remember their size, as the counting of memory asks for it. */
#ifndef IVF_CUDA_ARRAY_H
#define IVF_CUDA_ARRAY_H

#include "kernels/cuda/cuda.h"

/* *out = a new array, not cleared; stays empty on failure. What *out was is not looked at. */
static inline int array_new(struct cuda *cuda, struct buf *out, size_t bytes)
{
    void *d_new = NULL;
    int rc = cuda_malloc(cuda, &d_new, bytes);

    *out = {};
    if (rc < 0) return rc;
    out->ptr = d_new;
    out->bytes = bytes;
    return 0;
}

/* Waits for the device. An empty one is allowed, and is what is left. */
static inline void array_free(struct cuda *cuda, struct buf *array)
{
    cuda_free(cuda, array->ptr, array->bytes);
    *array = {};
}

#endif
