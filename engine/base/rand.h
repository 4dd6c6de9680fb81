/*
 * Random numbers: Faiss's generator, so that the same seed starts k-means from the same rows,
 * and a counter-based hash for what must be a pure function of (seed, position).
 */
#ifndef IVF_RAND_H
#define IVF_RAND_H

#include <stdint.h>

#ifdef __CUDACC__ /* the same on a device */
#define RAND_INLINE static inline __host__ __device__
#else
#define RAND_INLINE static inline
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* MT19937 (Matsumoto, Nishimura 1998): the same stream as std::mt19937 of the same seed. */
struct rand {
    uint32_t state[624];
    int at;
};

void rand_seed(struct rand *r, uint32_t seed);
uint32_t rand_u32(struct rand *r);
float rand_float(struct rand *r);              /* [0, 1], as faiss/utils/random.cpp: u32 / 2^32-1 */
int64_t rand_below(struct rand *r, int64_t n); /* u32 % n, as Faiss's rand_int; 0 < n < 2^32 */
double rand_normal(struct rand *r);            /* of mean 0, variance 1; Marsaglia's polar method */

/* A permutation of 0 ... n-1 by Fisher-Yates from the front, as Faiss's rand_perm. */
void rand_perm(int64_t *perm, int64_t n, uint32_t seed);

/* 64 well-mixed bits of (seed, counter): two rounds of splitmix64 (Steele, Lea, Flood 2014). */
RAND_INLINE uint64_t rand_hash(uint64_t seed, uint64_t counter)
{
    uint64_t z = seed * 0x9e3779b97f4a7c15u ^ counter;

    for (int round = 0; round < 2; round++) {
        z += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        z ^= z >> 31;
    }
    return z;
}

#ifdef __cplusplus
}
#endif
#endif
