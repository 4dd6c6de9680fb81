#include "kernels/cpu/rows.h"

#include <math.h>

#include "kernels/cpu/simd.h"

/* ---- conversion ---- */

/* IEEE 754 half to single, by widening exponent and mantissa; subnormals by arithmetic. */
static float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 0x3ff;
    uint32_t bits;
    float f;

    if (exponent == 0) {
        f = ldexpf((float)mantissa, -24);
        return sign ? -f : f;
    }
    bits = sign | (exponent == 31 ? 0xffu : exponent + 112) << 23 | mantissa << 13;
    memcpy(&f, &bits, sizeof f);
    return f;
}

SIMD_CLONES static void u8_to_f32(const uint8_t *x, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = x[i];
}

SIMD_CLONES static void i8_to_f32(const int8_t *x, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = x[i];
}

void rows_to_f32(enum elem elem, const void *ptr, int64_t n, float *out)
{
    const uint16_t *half = ptr;

    switch (elem) {
    case ELEM_F32:
        memcpy(out, ptr, (size_t)n * sizeof *out);
        break;
    case ELEM_U8:
        u8_to_f32(ptr, n, out);
        break;
    case ELEM_I8:
        i8_to_f32(ptr, n, out);
        break;
    case ELEM_F16:
        for (int64_t i = 0; i < n; i++)
            out[i] = half_to_float(half[i]);
        break;
    }
}

/* ---- sums in fp32 ---- */

SIMD_INLINE float dot_one(const float *a, const float *b, int d)
{
    vf sum = {0};
    float tail = 0;
    int j = 0;

    for (; j + LANES <= d; j += LANES)
        sum += vf_load(a + j) * vf_load(b + j);
    for (; j < d; j++)
        tail += a[j] * b[j];
    return vf_sum(sum) + tail;
}

SIMD_CLONES void rows_norms(const float *x, int64_t rows, int d, float *norm)
{
    for (int64_t i = 0; i < rows; i++)
        norm[i] = dot_one(x + i * d, x + i * d, d);
}

SIMD_CLONES void rows_dots(const float *x, int64_t rows, int d, const float *q, float *dot)
{
    for (int64_t i = 0; i < rows; i++)
        dot[i] = dot_one(x + i * d, q, d);
}

/* ---- what values are ---- */

SIMD_CLONES static int all_finite(const float *x, int64_t n)
{
    int bad = 0;

    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, x + i, sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

int64_t rows_not_finite(const float *x, int64_t rows, int d)
{
    if (all_finite(x, rows * d)) return -1;
    for (int64_t i = 0; i < rows; i++)
        if (!all_finite(x + i * d, d)) return i;
    return -1;
}

SIMD_CLONES int rows_whole(const float *x, int64_t n)
{
    int whole = 1;

    for (int64_t i = 0; i < n; i++) {
        int in_range = x[i] >= -65536 && x[i] <= 65536;

        whole &= in_range && (float)(int32_t)(in_range ? x[i] : 0) == x[i];
    }
    return whole;
}

/* ---- exact distances ---- */

/* Four chains of additions side by side; with fewer rows the last stands in for the missing. */
#define DISTANCES(name, type, value)                                                               \
    SIMD_CLONES static void name(const float *q, const void *const *row, int n, int d, float *out) \
    {                                                                                              \
        for (int i = 0; i < n; i += 4) {                                                           \
            const type *x[4];                                                                      \
            double sum[4] = {0};                                                                   \
                                                                                                   \
            for (int l = 0; l < 4; l++)                                                            \
                x[l] = row[i + l < n ? i + l : n - 1];                                             \
            for (int j = 0; j < d; j++) {                                                          \
                for (int l = 0; l < 4; l++) {                                                      \
                    double diff = (double)q[j] - (double)(value(x[l][j]));                         \
                    sum[l] += diff * diff;                                                         \
                }                                                                                  \
            }                                                                                      \
            for (int l = 0; l < 4 && i + l < n; l++)                                               \
                out[i + l] = (float)sum[l];                                                        \
        }                                                                                          \
    }

DISTANCES(distances_f32, float, )
DISTANCES(distances_u8, uint8_t, )
DISTANCES(distances_i8, int8_t, )
DISTANCES(distances_f16, uint16_t, half_to_float)

void rows_distances(enum elem elem, const float *q, const void *const *row, int n, int d,
                    float *out)
{
    switch (elem) {
    case ELEM_F32:
        distances_f32(q, row, n, d, out);
        break;
    case ELEM_F16:
        distances_f16(q, row, n, d, out);
        break;
    case ELEM_U8:
        distances_u8(q, row, n, d, out);
        break;
    case ELEM_I8:
        distances_i8(q, row, n, d, out);
        break;
    }
}
