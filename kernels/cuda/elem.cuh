/* Several consecutive elements of a row in one load, and as fp32. */
#ifndef IVF_ELEM_CUH
#define IVF_ELEM_CUH

#include <cuda_fp16.h>

#include "engine/terms.h"

/* What W (1 or 4) elements are in registers; 4 lie at an address that is a multiple of their size. */
template <enum elem E, int W> struct elem_raw;
template <> struct elem_raw<ELEM_F32, 1> {
    typedef float type;
};
template <> struct elem_raw<ELEM_F32, 4> {
    typedef float4 type;
};
template <> struct elem_raw<ELEM_F16, 1> {
    typedef __half type;
};
template <> struct elem_raw<ELEM_F16, 4> {
    typedef uint2 type;
};
template <> struct elem_raw<ELEM_U8, 1> {
    typedef uint8_t type;
};
template <> struct elem_raw<ELEM_U8, 4> {
    typedef uchar4 type;
};
template <> struct elem_raw<ELEM_I8, 1> {
    typedef int8_t type;
};
template <> struct elem_raw<ELEM_I8, 4> {
    typedef char4 type;
};

__device__ inline void elem_floats(float v, float (&out)[1])
{
    out[0] = v;
}

__device__ inline void elem_floats(__half v, float (&out)[1])
{
    out[0] = __half2float(v);
}

__device__ inline void elem_floats(uint8_t v, float (&out)[1])
{
    out[0] = v;
}

__device__ inline void elem_floats(int8_t v, float (&out)[1])
{
    out[0] = v;
}

__device__ inline void elem_floats(float4 v, float (&out)[4])
{
    out[0] = v.x, out[1] = v.y, out[2] = v.z, out[3] = v.w;
}

__device__ inline void elem_floats(uint2 v, float (&out)[4])
{
    float2 low = __half22float2(*(const __half2 *)&v.x);
    float2 high = __half22float2(*(const __half2 *)&v.y);

    out[0] = low.x, out[1] = low.y, out[2] = high.x, out[3] = high.y;
}

__device__ inline void elem_floats(uchar4 v, float (&out)[4])
{
    out[0] = v.x, out[1] = v.y, out[2] = v.z, out[3] = v.w;
}

__device__ inline void elem_floats(char4 v, float (&out)[4])
{
    out[0] = v.x, out[1] = v.y, out[2] = v.z, out[3] = v.w;
}

/* Whether W = 4 may be used on rows of d at ptr. */
static inline bool elem_by_four(enum elem elem, const void *ptr, int64_t d)
{
    return d % 4 == 0 && (uintptr_t)ptr % (4 * elem_bytes(elem)) == 0;
}

/* CALL(E) with the type as a constant. */
#define ELEM_SWITCH(elem, CALL)                                                                    \
    do {                                                                                           \
        switch (elem) {                                                                            \
        case ELEM_F32:                                                                             \
            CALL(ELEM_F32);                                                                        \
            break;                                                                                 \
        case ELEM_F16:                                                                             \
            CALL(ELEM_F16);                                                                        \
            break;                                                                                 \
        case ELEM_U8:                                                                              \
            CALL(ELEM_U8);                                                                         \
            break;                                                                                 \
        case ELEM_I8:                                                                              \
            CALL(ELEM_I8);                                                                         \
            break;                                                                                 \
        }                                                                                          \
    } while (0)

#endif
