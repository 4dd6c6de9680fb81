/*
 * The distance of terms.h on the device, and elements of any type as fp32.
 *
 * As on the CPU (kernels/cpu/exact.h) the sum is first taken in any order, here by a warp: where
 * all numbers within its slack round to the same fp32, that is what the sum in order rounds to;
 * else lane 0 takes it again, in order. nvcc is told not to contract products into FMAs.
 */
#ifndef IVF_EXACT_CUH
#define IVF_EXACT_CUH

#include <cuda_fp16.h>

#include "engine/terms.h"

#define WARP_ALL 0xffffffffu

/* Element i of p. */
__device__ inline float exact_elem(enum elem elem, const void *p, int64_t i)
{
    switch (elem) {
    case ELEM_F32:
        return ((const float *)p)[i];
    case ELEM_F16:
        return __half2float(((const __half *)p)[i]);
    case ELEM_U8:
        return ((const uint8_t *)p)[i];
    case ELEM_I8:
        return ((const int8_t *)p)[i];
    }
    return 0;
}

/* The term of one dimension. */
__device__ inline double exact_term(float q, double x)
{
    double diff = (double)q - x;

    return diff * diff;
}

/* Whether a sum of n terms in any order says what the one in order rounds to; *out is that. */
__device__ inline bool exact_settled(double sum, int n, float *out)
{
    double slack = sum * (2.1 * (n + 4)) * 0x1p-53;

    *out = (float)(sum - slack);
    return *out == (float)(sum + slack);
}

/* The sum of v over the warp, in every lane. */
__device__ inline double exact_warp_sum(double v)
{
    for (int lanes = 16; lanes; lanes /= 2)
        v += __shfl_xor_sync(WARP_ALL, v, lanes);
    return v;
}

/*
 * |q - x|^2 by a whole warp, the result in every lane. q(j): dimension j of q as a float, at(j): of x
 * as a double (for a code: centroid + codeword, added in fp64).
 */
template <class Q, class At> __device__ inline float exact_between(int d, Q q, At at)
{
    int lane = (int)(threadIdx.x % 32);
    double sum = 0;
    float out;

    for (int j = lane; j < d; j += 32)
        sum += exact_term(q(j), at(j));
    if (exact_settled(exact_warp_sum(sum), d, &out)) return out; /* the same in all lanes */
    sum = 0;
    if (lane == 0)
        for (int j = 0; j < d; j++)
            sum += exact_term(q(j), at(j));
    return __shfl_sync(WARP_ALL, (float)sum, 0);
}

/* The same for q that is d floats in shared or global memory. */
template <class At> __device__ inline float exact_distance(const float *q, int d, At at)
{
    return exact_between(
        d, [=](int j) { return q[j]; }, at);
}

/* Elements at ... at + 3 of p, whose address is a multiple of four elements. */
__device__ __forceinline__ float4 exact_four(enum elem elem, const void *p, int64_t at)
{
    if (elem == ELEM_F32) return __ldg((const float4 *)((const float *)p + at));
    if (elem == ELEM_U8) {
        uchar4 v = __ldg((const uchar4 *)((const uint8_t *)p + at));

        return make_float4(v.x, v.y, v.z, v.w);
    }
    return make_float4(exact_elem(elem, p, at), exact_elem(elem, p, at + 1),
                       exact_elem(elem, p, at + 2), exact_elem(elem, p, at + 3));
}

/*
 * The distance between elements x[at] ... x[at + d - 1] and the floats c[d], by LANES neighbouring
 * lanes, the result in each. All lanes of the warp call this. Where d is a multiple of 4, so are at
 * and the addresses of x and c in elements.
 */
template <int LANES>
__device__ __forceinline__ float exact_by_lanes(enum elem elem, const void *x, int64_t at,
                                                const float *c, int d)
{
    int lane = (int)(threadIdx.x % LANES);
    double sum = 0;
    float out;

    if (d % 4 == 0) {
        for (int j = 4 * lane; j < d; j += 4 * LANES) {
            float4 a = exact_four(elem, x, at + j), b = __ldg((const float4 *)(c + j));
            double p = (double)a.x - b.x, q = (double)a.y - b.y;
            double r = (double)a.z - b.z, s = (double)a.w - b.w;

            sum = fma(p, p, fma(q, q, fma(r, r, fma(s, s, sum)))); /* any order will do */
        }
    } else {
        for (int j = lane; j < d; j += LANES)
            sum += exact_term(exact_elem(elem, x, at + j), c[j]);
    }
    for (int lanes = 1; lanes < LANES; lanes *= 2)
        sum += __shfl_xor_sync(WARP_ALL, sum, lanes);
    if (exact_settled(sum, d, &out)) return out;
    sum = 0;
    for (int j = 0; j < d; j++)
        sum += exact_term(exact_elem(elem, x, at + j), c[j]);
    return (float)sum;
}

#endif
