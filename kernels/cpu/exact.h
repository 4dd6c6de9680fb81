/*
 * The distance of terms.h, which is a sum in dimension order, without its chain of additions.
 *
 * All terms of the sum are positive, so a sum in any order is within (n + 2) 2^-53 of the true
 * one, relatively, and so is the one in order. Where all numbers within twice that of the sum
 * that was quick to take round to one fp32, that is what the sum in order rounds to as well: but
 * for what the slack spans of the gap between two fp32, about one distance in a million at d 128
 * (by this arithmetic, not counted), which is taken again, in order.
 */
#ifndef IVF_EXACT_H
#define IVF_EXACT_H

#include "kernels/cpu/simd.h"

enum { EXACT_CHUNK = 256 }; /* dimensions unpacked at a time, where they have to be */

/* For vectors that are not a sum. */
static const float exact_zeros[EXACT_CHUNK] = {0};

/* The term of one dimension. */
SIMD_INLINE double exact_term(float q, float a, float b)
{
    double diff = q - ((double)a + (double)b);

    return diff * diff;
}

/* Sum over j < n of (q[j] - (a[j] + b[j]))^2, each term in fp64, added in any order. */
SIMD_INLINE double exact_any_order(const float *q, const float *a, const float *b, int n)
{
    double sum[2 * VD] = {0}, tail = 0;
    int j = 0;

    for (; j + 2 * VD <= n; j += 2 * VD)
        for (int l = 0; l < 2 * VD; l++)
            sum[l] += exact_term(q[j + l], a[j + l], b[j + l]);
    for (; j < n; j++)
        tail += exact_term(q[j], a[j], b[j]);
    for (int l = 0; l < VD; l++)
        sum[l] += sum[l + VD];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7])) + tail;
}

/* sum, with the same terms added in order. */
SIMD_INLINE double exact_in_order(double sum, const float *q, const float *a, const float *b, int n)
{
    for (int j = 0; j < n; j++)
        sum += exact_term(q[j], a[j], b[j]);
    return sum;
}

/* Whether a sum of n terms in any order says what the one in order rounds to; *out is that. */
SIMD_INLINE int exact_settled(double sum, int n, float *out)
{
    double slack = sum * (2.1 * (n + 4)) * 0x1p-53;

    *out = (float)(sum - slack);
    return *out == (float)(sum + slack);
}

#endif
