/*
 * Queries as whole numbers, for rows that are bytes: where all of a batch are numbers that a byte holds, products
 * are integers, twice as fast and exact, and rows need no conversion (scan_whole.cuh).
 */
#ifndef IVF_CUDA_WHOLE_H
#define IVF_CUDA_WHOLE_H

#include "kernels/cuda/product.h"

enum {
    WHOLE_DEPTH = 128
}; /* dimensions, at most: then a squared distance is an integer that fp32 holds */

struct whole {
    int32_t *d_not;    /* 0: all queries of the batch are; NULL: nobody asked */
    int32_t *d_square; /* [n]: |q|^2 */
    uint8_t *d_x;      /* [n][whole_pitch(d)], zeros past d */
};

/* Bytes from one query to the next: 64 dimensions at a time. */
static inline int whole_pitch(int d)
{
    return (d + 63) / 64 * 64;
}

/* Whether lists are such that it is worth asking. m: of codes. */
static inline int whole_may_be(enum elem storage, int d, int m)
{
    return !m && d <= WHOLE_DEPTH && (storage == ELEM_U8 || storage == ELEM_I8);
}

/* But for d_not. */
void whole_room(struct whole *w, int64_t n, int d, struct room *r);

/* Enqueues: d_q[n][d] as bytes of the rows' type, and *d_not, which is 0 before, where they are not. */
int whole_make(struct cuda *cuda, const struct space *space, enum elem storage, const float *d_q,
               int64_t n, const struct whole *w);

#ifdef __CUDACC__
__device__ __forceinline__ bool whole_is(const struct whole &w)
{
    return w.d_not && !*w.d_not;
}

/* Half a squared distance in the scaled space; scale is a power of two. */
__device__ __forceinline__ float whole_e(int distance, float scale)
{
    return 0.5f * scale * scale * (float)distance;
}

/* And the distance back: e is exact. */
__device__ __forceinline__ float whole_distance(float e, float scale)
{
    return 2 * e / (scale * scale);
}

/*
 * What <q, x> - floor(|x|^2 / 2) must be past for e to be at most tau (a distance of WHOLE_DEPTH bytes is less
 * than 2^25). Where |x|^2 is odd half a unit more
 * passes: what is past the limit is a candidate, no more.
 */
__device__ __forceinline__ int whole_limit(int square, float tau, float scale)
{
    float distance = fminf(2 * tau / (scale * scale), 0x1p25f);

    return distance >= 0 ? ((square - (int)distance + 1) >> 1) - 1 : INT32_MAX;
}
#endif

#endif
