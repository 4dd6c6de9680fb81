/*
 * Eight elements of a row as the product takes them: centred, scaled, in fp16. Scanning and what is
 * measured of rows beforehand go through the same function, so that the errors measured are those made.
 */
#ifndef IVF_OPERAND_CUH
#define IVF_OPERAND_CUH

#include <cuda_fp16.h>

#include "engine/terms.h"

/* Raw elements, 8 of them: 8, 16 or 32 bytes. */
template <enum elem E> struct eight;
template <> struct eight<ELEM_U8> {
    uint2 v;
};
template <> struct eight<ELEM_I8> {
    uint2 v;
};
template <> struct eight<ELEM_F16> {
    uint4 v;
};
template <> struct eight<ELEM_F32> {
    float4 v[2];
};

__device__ __forceinline__ uint32_t half2_bits(__half2 h)
{
    return *(const uint32_t *)&h;
}

/* Bytes 0, 1 (or 2, 3) of w as halves: 1024 + b has b in its lowest bits. */
template <enum elem E> __device__ __forceinline__ __half2 two_bytes(uint32_t w, uint32_t which)
{
    uint32_t bits = __byte_perm(E == ELEM_I8 ? w ^ 0x80808080u : w, 0x64646464u, which);
    __half2 bias = __half2half2(__ushort_as_half(E == ELEM_I8 ? 0x6480 : 0x6400));

    return __hsub2(*(const __half2 *)&bits, bias);
}

/* out[p] = elements 2 p and 2 p + 1; centre: eight halves, scaled. */
template <enum elem E>
__device__ __forceinline__ void operand_bytes(const eight<E> &x, const uint4 &centre, __half2 scale,
                                              uint32_t (&out)[4])
{
    const __half2 *c = (const __half2 *)&centre;

    out[0] = half2_bits(__hfma2(two_bytes<E>(x.v.x, 0x4140), scale, __hneg2(c[0])));
    out[1] = half2_bits(__hfma2(two_bytes<E>(x.v.x, 0x4342), scale, __hneg2(c[1])));
    out[2] = half2_bits(__hfma2(two_bytes<E>(x.v.y, 0x4140), scale, __hneg2(c[2])));
    out[3] = half2_bits(__hfma2(two_bytes<E>(x.v.y, 0x4342), scale, __hneg2(c[3])));
}

__device__ __forceinline__ uint32_t operand_two(float a, float b, float2 centre, float scale)
{
    const float top = 65504;
    float x = fminf(fmaxf((a - centre.x) * scale, -top), top);
    float y = fminf(fmaxf((b - centre.y) * scale, -top), top);

    return half2_bits(__floats2half2_rn(x, y));
}

/* The same of floats; centre: eight floats. */
__device__ __forceinline__ void operand_floats(const eight<ELEM_F32> &x, const float2 *centre,
                                               float scale, uint32_t (&out)[4])
{
#pragma unroll
    for (int i = 0; i < 2; i++) {
        out[2 * i] = operand_two(x.v[i].x, x.v[i].y, centre[2 * i], scale);
        out[2 * i + 1] = operand_two(x.v[i].z, x.v[i].w, centre[2 * i + 1], scale);
    }
}

__device__ __forceinline__ void operand_floats(const eight<ELEM_F16> &x, const float2 *centre,
                                               float scale, uint32_t (&out)[4])
{
    const __half2 *h = (const __half2 *)&x.v;

#pragma unroll
    for (int i = 0; i < 4; i++) {
        float2 f = __half22float2(h[i]);

        out[i] = operand_two(f.x, f.y, centre[i], scale);
    }
}

/* Eight elements at an address that is a multiple of 8 bytes (bytes) or 16 (floats). */
template <enum elem E> __device__ __forceinline__ eight<E> load_eight(const void *p)
{
    eight<E> x;

    if constexpr (E == ELEM_F32) {
        x.v[0] = __ldg((const float4 *)p);
        x.v[1] = __ldg((const float4 *)p + 1);
    } else if constexpr (E == ELEM_F16) {
        x.v = __ldg((const uint4 *)p);
    } else {
        x.v = __ldg((const uint2 *)p);
    }
    return x;
}

/* Dimensions j ... j + 7 of a row: out of the space's centre, which has zeros past d. */
template <enum elem E>
__device__ __forceinline__ void operand_at(const uint8_t *row, int j, const float *centre,
                                           float scale, uint32_t (&out)[4])
{
    if constexpr (E == ELEM_U8 || E == ELEM_I8) {
        eight<E> x = load_eight<E>(row + j);
        __align__(16) __half2 c[4];

#pragma unroll
        for (int i = 0; i < 4; i++)
            c[i] = __floats2half2_rn(centre[j + 2 * i] * scale, centre[j + 2 * i + 1] * scale);
        operand_bytes<E>(x, *(const uint4 *)c, __float2half2_rn(scale), out);
    } else {
        eight<E> x = load_eight<E>(row + j * (E == ELEM_F16 ? 2 : 4));

        operand_floats(x, (const float2 *)(centre + j), scale, out);
    }
}

#endif
