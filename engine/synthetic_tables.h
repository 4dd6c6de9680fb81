/*
 * What the synthetic generator (synthetic.c, which has the rules) is made of: its sizes, tables and
 * smallest parts, for a backend that makes the rows itself.
 */
#ifndef IVF_SYNTHETIC_TABLES_H
#define IVF_SYNTHETIC_TABLES_H

#include <stdint.h>

#include "engine/base/rand.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SYN_LATENT = 22, SYN_HIDDEN = 64, SYN_CLUSTERS = 256 };
enum { SYN_PADDED = 24 }; /* SYN_LATENT in whole vector registers; what is added is 0 */
enum { SYN_CENTRE_SHARE = 66, SYN_SPREAD = 70, SYN_BIAS = 21, SYN_NOISE = 18 };
enum { SYN_FIRST_NOISE = 1 + SYN_LATENT / 2 }; /* word of a row where the noise begins */
enum { SYN_ROW_BITS = 16 };                    /* of a row's words in the counter */

struct synthetic {
    int d, gain;
    uint64_t stream[3]; /* of each part */
    int16_t w1[SYN_HIDDEN][SYN_PADDED];
    int16_t centre[SYN_CLUSTERS][SYN_LATENT];
    int16_t (*w2)[SYN_HIDDEN]; /* [d]; all weights are within 127 of 0 */
};

RAND_INLINE int synthetic_gauss(uint64_t word)
{
    return (int)((word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24 & 255)) - 510;
}

/* Which cluster a row belongs to, from its word 0. */
RAND_INLINE int synthetic_cluster(uint64_t word)
{
    return (int)(((word & 0xffff) * (word >> 16 & 0xffff) >> 16) * SYN_CLUSTERS >> 16);
}

/* Number l of the latent point, from the cluster centre's and from 32 bits. */
RAND_INLINE int16_t synthetic_latent(int centre, uint64_t bits)
{
    return (int16_t)((SYN_CENTRE_SHARE * centre + SYN_SPREAD * synthetic_gauss(bits)) >> 6);
}

/*
 * An element from its sum over the hidden layer and its byte of noise. Clamped by masks: a third of
 * all values is below 0, and no predictor guesses which.
 */
RAND_INLINE uint8_t synthetic_value(int32_t sum, int gain, int noise)
{
    int32_t value = ((sum >> 8) * gain >> 12) + SYN_BIAS + ((noise - 128) * SYN_NOISE >> 7);

    value &= ~(value >> 31);
    return (uint8_t)(value | (255 - value) >> 31);
}

#ifdef __cplusplus
}
#endif
#endif
