#include "engine/base/rand.h"

#include <math.h>

enum { N = 624, M = 397 };

void rand_seed(struct rand *r, uint32_t seed)
{
    r->state[0] = seed;
    for (int i = 1; i < N; i++)
        r->state[i] = 1812433253u * (r->state[i - 1] ^ (r->state[i - 1] >> 30)) + (uint32_t)i;
    r->at = N;
}

static void refill(struct rand *r)
{
    uint32_t *s = r->state;

    for (int i = 0; i < N; i++) {
        uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % N] & 0x7fffffffu);

        s[i] = s[(i + M) % N] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    r->at = 0;
}

uint32_t rand_u32(struct rand *r)
{
    uint32_t y;

    if (r->at == N) refill(r);
    y = r->state[r->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

float rand_float(struct rand *r)
{
    return (float)rand_u32(r) / (float)0xffffffffu;
}

int64_t rand_below(struct rand *r, int64_t n)
{
    return rand_u32(r) % n;
}

double rand_normal(struct rand *r)
{
    double x, y, square;

    do {
        x = 2.0 * rand_u32(r) / 0xffffffffu - 1;
        y = 2.0 * rand_u32(r) / 0xffffffffu - 1;
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    return x * sqrt(-2 * log(square) / square);
}

void rand_perm(int64_t *perm, int64_t n, uint32_t seed)
{
    struct rand r;

    rand_seed(&r, seed);
    for (int64_t i = 0; i < n; i++)
        perm[i] = i;
    for (int64_t i = 0; i + 1 < n; i++) {
        int64_t j = i + rand_below(&r, n - i), t = perm[i];

        perm[i] = perm[j];
        perm[j] = t;
    }
}
