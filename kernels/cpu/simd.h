/*
 * Sixteen floats at a time, in GCC's vector extension: one source for AVX-512 (one register),
 * AVX2 (two), SSE2 and NEON (four). SIMD_CLONES compiles a function once for each level of
 * x86-64 and lets the loader pick; elsewhere, and under sanitizers (whose run time is not up
 * yet when the loader asks), there is one version.
 */
#ifndef IVF_SIMD_H
#define IVF_SIMD_H

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define SIMD_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SIMD_CLONES
#endif

#define SIMD_INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };

typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));

SIMD_INLINE vf vf_load(const float *p)
{
    vf v;

    memcpy(&v, p, sizeof v);
    return v;
}

SIMD_INLINE void vf_store(float *p, vf v)
{
    memcpy(p, &v, sizeof v);
}

SIMD_INLINE vf vf_set(float x)
{
    return x - (vf){0};
}

/* mask ? a : b, lane by lane; mask is what a comparison of two vf gives. */
SIMD_INLINE vf vf_select(vi mask, vf a, vf b)
{
    return (vf)((mask & (vi)a) | (~mask & (vi)b));
}

SIMD_INLINE vi vi_select(vi mask, vi a, vi b)
{
    return (mask & a) | (~mask & b);
}

/* The smallest lane, by quarters, which are registers everywhere; no lane decides a branch. */
#define SMALLEST(name, type, vector)                                                               \
    SIMD_INLINE type name(vector v)                                                                \
    {                                                                                              \
        typedef type quarter __attribute__((vector_size(16)));                                     \
        typedef int32_t mask __attribute__((vector_size(16)));                                     \
        quarter q[4];                                                                              \
        type m[4], a, b;                                                                           \
                                                                                                   \
        memcpy(q, &v, sizeof v);                                                                   \
        for (int half = 2; half > 0; half--)                                                       \
            for (int i = 0; i < half; i++) {                                                       \
                mask less = q[i] < q[i + half];                                                    \
                                                                                                   \
                q[i] = (quarter)(((mask)q[i] & less) | ((mask)q[i + half] & ~less));               \
            }                                                                                      \
        memcpy(m, q, sizeof m);                                                                    \
        a = m[0] < m[1] ? m[0] : m[1];                                                             \
        b = m[2] < m[3] ? m[2] : m[3];                                                             \
        return a < b ? a : b;                                                                      \
    }

SMALLEST(vf_min, float, vf)
SMALLEST(vi_min, int32_t, vi)

#undef SMALLEST

SIMD_INLINE float vf_sum(vf v)
{
    float sum = 0;

    for (int l = 0; l < LANES; l++)
        sum += v[l];
    return sum;
}

/* Eight doubles: one register of AVX-512, as vf is. */
enum { VD = 8 };

typedef double vd __attribute__((vector_size(8 * VD)));

SIMD_INLINE vd vd_load(const double *p)
{
    vd v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* Eight floats, widened. */
SIMD_INLINE vd vd_from(const float *p)
{
    float v __attribute__((vector_size(4 * VD)));

    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, vd);
}

#endif
