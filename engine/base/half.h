/*
 * IEEE 754 half precision: 1 sign, 5 exponent and 10 mantissa bits. Without branches, so that a
 * loop over many is vectorised.
 */
#ifndef IVF_HALF_H
#define IVF_HALF_H

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline uint32_t float_bits(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float bits_float(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

/*
 * Half to single, exactly: shifted into place, its exponent is 112 too small, which a product with
 * 2^112 puts right, for subnormals too.
 */
static inline float half_to_float(uint16_t half)
{
    uint32_t rest = half & 0x7fffu, special = rest >= 0x7c00 ? 0x7f800000u : 0;
    uint32_t bits = float_bits(bits_float(rest << 13) * 0x1p112f) | special;

    return bits_float(bits | (uint32_t)(half & 0x8000) << 16);
}

/* The half nearest to f, ties to even; |f| <= 65504. */
static inline uint16_t float_to_half(float f)
{
    uint32_t bits = float_bits(f), rest = bits & 0x7fffffffu;
    uint32_t normal = (rest + 0xfff + (rest >> 13 & 1) - (112u << 23)) >> 13;
    uint32_t small = float_bits(bits_float(rest) + 0.5f) - 0x3f000000u; /* 0.5's ulp is 2^-24 */

    return (uint16_t)((bits >> 16 & 0x8000) | (rest < 0x38800000u ? small : normal));
}

#ifdef __cplusplus
}
#endif
#endif
