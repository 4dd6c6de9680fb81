#include "kernels/cpu/rows.h"

#include <math.h>

#include "engine/base/half.h"
#include "kernels/cpu/exact.h"
#include "kernels/cpu/simd.h"

/* ---- conversion ---- */

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

SIMD_CLONES static void f16_to_f32(const uint16_t *x, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = half_to_float(x[i]);
}

void rows_to_f32(enum elem elem, const void *ptr, int64_t n, float *out)
{

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
        f16_to_f32(ptr, n, out);
        break;
    }
}

static int64_t first_beyond(const float *x, int64_t n, float min, float max, int whole)
{
    for (int64_t i = 0; i < n; i++)
        if (!(x[i] >= min && x[i] <= max) || (whole && x[i] != truncf(x[i]))) return i;
    return -1;
}

/* Each gives 0 where a value did not fit. */
SIMD_CLONES static int f32_to_u8(const float *x, int64_t n, uint8_t *out)
{
    int fits = 1;

    for (int64_t i = 0; i < n; i++) {
        float v = x[i] >= 0 && x[i] <= 255 ? x[i] : 0;

        out[i] = (uint8_t)(int32_t)v;
        fits &= (float)(int32_t)v == x[i];
    }
    return fits;
}

SIMD_CLONES static int f32_to_i8(const float *x, int64_t n, int8_t *out)
{
    int fits = 1;

    for (int64_t i = 0; i < n; i++) {
        float v = x[i] >= -128 && x[i] <= 127 ? x[i] : 0;

        out[i] = (int8_t)(int32_t)v;
        fits &= (float)(int32_t)v == x[i];
    }
    return fits;
}

SIMD_CLONES static int f32_to_f16(const float *x, int64_t n, uint16_t *out)
{
    int fits = 1;

    for (int64_t i = 0; i < n; i++) {
        int fit = x[i] >= -65504 && x[i] <= 65504;

        out[i] = float_to_half(fit ? x[i] : 0);
        fits &= fit;
    }
    return fits;
}

int64_t rows_from_f32(enum elem elem, const float *x, int64_t n, void *out)
{
    switch (elem) {
    case ELEM_F32:
        memcpy(out, x, (size_t)n * sizeof *x);
        break;
    case ELEM_U8:
        return f32_to_u8(x, n, out) ? -1 : first_beyond(x, n, 0, 255, 1);
    case ELEM_I8:
        return f32_to_i8(x, n, out) ? -1 : first_beyond(x, n, -128, 127, 1);
    case ELEM_F16:
        return f32_to_f16(x, n, out) ? -1 : first_beyond(x, n, -65504, 65504, 0);
    }
    return -1;
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

/* Elements from ... to - 1 of a row as fp32: where they lie, or unpacked into x. */
static const float *part_of(enum elem elem, const void *row, int from, int to, float *x)
{
    if (elem == ELEM_F32) return (const float *)row + from;
    rows_to_f32(elem, (const char *)row + (size_t)from * elem_bytes(elem), to - from, x);
    return x;
}

static float distance_in_order(enum elem elem, const float *q, const void *row, int d)
{
    float x[EXACT_CHUNK];
    double sum = 0;

    for (int from = 0; from < d; from += EXACT_CHUNK) {
        int to = d - from < EXACT_CHUNK ? d : from + EXACT_CHUNK;

        sum =
            exact_in_order(sum, q + from, part_of(elem, row, from, to, x), exact_zeros, to - from);
    }
    return (float)sum;
}

SIMD_CLONES void rows_distances(enum elem elem, const float *q, const void *const *row, int n,
                                int d, float *out)
{
    float x[EXACT_CHUNK];

    for (int i = 0; i < n; i++) {
        double sum = 0;

        for (int from = 0; from < d; from += EXACT_CHUNK) {
            int to = d - from < EXACT_CHUNK ? d : from + EXACT_CHUNK;

            sum += exact_any_order(q + from, part_of(elem, row[i], from, to, x), exact_zeros,
                                   to - from);
        }
        if (!exact_settled(sum, d, out + i)) out[i] = distance_in_order(elem, q, row[i], d);
    }
}
