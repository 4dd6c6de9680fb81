/* IEEE 754 half precision: 1 sign, 5 exponent and 10 mantissa bits, widened to single. Exact. */
#ifndef IVF_HALF_H
#define IVF_HALF_H

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 0x3ff;
    uint32_t bits;
    float f;

    if (exponent == 0) { /* zero or subnormal: the mantissa in units of 2^-24 */
        f = (float)mantissa / 16777216.0f;
        return sign ? -f : f;
    }
    bits = sign | (exponent == 31 ? 0xffu : exponent + 112) << 23 | mantissa << 13;
    memcpy(&f, &bits, sizeof f);
    return f;
}

#ifdef __cplusplus
}
#endif
#endif
