/*
 * Pairs of a non-negative float and a number as one 64-bit key, in whose order they are: what coarse
 * selection, candidates and answers are sorted by.
 */
#ifndef IVF_KEYS_CUH
#define IVF_KEYS_CUH

#include <stdint.h>

static const uint64_t NO_KEY = UINT64_MAX; /* after all others */

__device__ __forceinline__ uint64_t key_of(float value, uint32_t number)
{
    return (uint64_t)__float_as_uint(value) << 32 | number;
}

__device__ __forceinline__ float key_value(uint64_t key)
{
    return __uint_as_float((uint32_t)(key >> 32));
}

__device__ __forceinline__ uint32_t key_number(uint64_t key)
{
    return (uint32_t)key;
}

/* The smallest power of two that is at least n. */
__host__ __device__ static inline int keys_room(int n)
{
    int room = 2;

    while (room < n)
        room *= 2;
    return room;
}

/*
 * Sorts key[0 ... n - 1] ascending, in shared memory and by the whole block: bitonic. Past n there is
 * room to the next power of two, which is filled.
 */
__device__ static inline void keys_sort(uint64_t *key, int n)
{
    int room = keys_room(n);

    for (int i = n + (int)threadIdx.x; i < room; i += (int)blockDim.x)
        key[i] = NO_KEY;
    for (int size = 2; size <= room; size *= 2)
        for (int step = size / 2; step; step /= 2) {
            __syncthreads();
            for (int pair = (int)threadIdx.x; pair < room / 2; pair += (int)blockDim.x) {
                int i = 2 * pair - (pair & (step - 1)), j = i + step;
                uint64_t a = key[i], b = key[j];

                if ((a > b) == ((i & size) == 0)) {
                    key[i] = b;
                    key[j] = a;
                }
            }
        }
    __syncthreads();
}

/*
 * Sorts 32 * K keys ascending in a warp's registers: bitonic, no barriers. A lane ends up with keys
 * lane * K ... of them.
 */
template <int K> __device__ __forceinline__ void keys_sort_lanes(uint64_t (&key)[K])
{
    int first = K * (int)(threadIdx.x % 32);

#pragma unroll
    for (int size = 2; size <= 32 * K; size *= 2) {
#pragma unroll
        for (int step = size / 2; step; step /= 2) {
#pragma unroll
            for (int k = 0; k < K; k++) {
                bool ascending = ((first + k) & size) == 0;

                if (step >= K) { /* with another lane: the lower one has what comes first */
                    uint64_t other = __shfl_xor_sync(0xffffffffu, key[k], step / K);
                    bool smaller = ((first & step) == 0) == ascending;

                    if ((other < key[k]) == smaller) key[k] = other;
                } else if ((k & step) == 0) {
                    uint64_t a = key[k], b = key[k | step];
                    bool swap = (a > b) == ascending;

                    key[k] = swap ? b : a;
                    key[k | step] = swap ? a : b;
                }
            }
        }
    }
}

/*
 * Sorts key[0 ... n - 1] ascending, in shared memory and by one warp, n at most 32 * MOST. There is
 * room to the next power of two, at least 32, which is filled.
 */
template <int MOST, int K = 1> __device__ __forceinline__ void keys_sort_warp(uint64_t *key, int n)
{
    if constexpr (K < MOST)
        if (n > 32 * K) return keys_sort_warp<MOST, 2 * K>(key, n);
    int lane = (int)(threadIdx.x % 32);
    uint64_t mine[K];

    __syncwarp();
#pragma unroll
    for (int k = 0; k < K; k++)
        mine[k] = 32 * k + lane < n ? key[32 * k + lane] : NO_KEY;
    __syncwarp(); /* all are read */
    keys_sort_lanes(mine);
#pragma unroll
    for (int k = 0; k < K; k++)
        key[K * lane + k] = mine[k];
    __syncwarp();
}

/* Threads that look for a bound together, here a warp: each function gives all of them the same. */
struct keys_warp {
    __device__ __forceinline__ uint32_t sum(uint32_t v)
    {
        return __reduce_add_sync(0xffffffffu, v);
    }

    __device__ __forceinline__ uint32_t least(uint32_t v)
    {
        return __reduce_min_sync(0xffffffffu, v);
    }

    __device__ __forceinline__ uint32_t most(uint32_t v)
    {
        return __reduce_max_sync(0xffffffffu, v);
    }
};

/* The same of a whole block, which has one key a thread (K is 1): what is added is 0 or 1, and a barrier counts. */
struct keys_block {
    __device__ __forceinline__ uint32_t sum(uint32_t v)
    {
        return (uint32_t)__syncthreads_count((int)v);
    }

    __device__ __forceinline__ uint32_t least(uint32_t v)
    {
        return ~most(~v);
    }

    __device__ uint32_t most(uint32_t v)
    {
        __shared__ uint32_t part[32];

        v = __reduce_max_sync(0xffffffffu, v);
        if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
        __syncthreads();
        v = threadIdx.x % 32 < blockDim.x / 32 ? part[threadIdx.x % 32] : 0;
        __syncthreads(); /* all have read before the next call writes */
        return __reduce_max_sync(0xffffffffu, v);
    }
};

static const uint32_t NO_BOUND = UINT32_MAX;

/*
 * One of a team's keys, which at least `n` (>= 1) of them are at or below, and at most `enough`
 * (>= n) where equal keys allow that. NO_BOUND where there are fewer than n; a key that is NO_BOUND
 * is none. Keys are in registers, K a thread, and are spoilt: the range is halved from the highest bit
 * in which they differ from the least.
 */
template <int K, class Team>
__device__ __forceinline__ uint32_t keys_bound(uint32_t (&key)[K], uint32_t n, uint32_t enough,
                                               Team &team)
{
    uint32_t least = NO_BOUND, most = 0, count = 0, bound;

#pragma unroll
    for (int k = 0; k < K; k++) {
        least = min(least, key[k]);
        most = max(most, key[k] == NO_BOUND ? 0 : key[k]);
        count += key[k] != NO_BOUND;
    }
    count = team.sum(count);
    least = team.least(least);
    most = team.most(most);
    if (count < n) return NO_BOUND;
#pragma unroll
    for (int k = 0; k < K; k++)
        key[k] = key[k] == NO_BOUND ? NO_BOUND : key[k] - least;
    most -= least;
    bound = most ? UINT32_MAX >> __clz((int)most) : 0;
    for (uint32_t bit = bound / 2 + 1; bound && bit && count > enough; bit /= 2) {
        uint32_t below = 0;

#pragma unroll
        for (int k = 0; k < K; k++)
            below += key[k] <= bound - bit;
        below = team.sum(below);
        if (below < n) continue;
        bound -= bit;
        count = below;
    }
    bound = min(bound, most);
    most = 0;
#pragma unroll
    for (int k = 0; k < K; k++)
        most = max(most, key[k] <= bound ? key[k] : 0);
    return least + team.most(most);
}

/* The smallest and the largest of all threads' values, in every thread. */
__device__ static inline void keys_range(uint32_t *least, uint32_t *most)
{
    __shared__ uint32_t range[2];

    if (threadIdx.x == 0) {
        range[0] = UINT32_MAX;
        range[1] = 0;
    }
    __syncthreads();
    *least = __reduce_min_sync(0xffffffffu, *least);
    *most = __reduce_max_sync(0xffffffffu, *most);
    if (threadIdx.x % 32 == 0) {
        atomicMin(range, *least);
        atomicMax(range + 1, *most);
    }
    __syncthreads();
    *least = range[0];
    *most = range[1];
    __syncthreads();
}

enum { KEYS_DIGITS = 256 };

/*
 * By the first warp: the digit in which the nth of the counted keys is, into found[0], and how many
 * come before that digit, into found[1]. A lane has 8 digits.
 */
__device__ static inline void keys_find_digit(const unsigned *digits, int64_t n, unsigned *found)
{
    unsigned sum = 0, before;

    for (int i = 0; i < 8; i++)
        sum += digits[8 * threadIdx.x + i];
    before = sum;
    for (int lanes = 1; lanes < 32; lanes *= 2) {
        unsigned other = __shfl_up_sync(0xffffffffu, before, lanes);

        if ((int)threadIdx.x >= lanes) before += other;
    }
    before -= sum;
    if (before < n && n <= before + sum) {
        unsigned digit = 8 * threadIdx.x;

        for (; before + digits[digit] < n; digit++)
            before += digits[digit];
        found[0] = digit;
        found[1] = before;
    }
}

/*
 * The nth smallest (n >= 1) of `count` keys of 32 bits, by the whole block, in every thread; *equal:
 * how many of those equal to it are among the first n. get(j): key j. Digits of eight bits, from the
 * highest in which the keys differ: distances differ little, and counting all in one place is slow.
 */
template <class Get>
__device__ static uint32_t keys_nth(int64_t count, int64_t n, int64_t *equal, Get get)
{
    __shared__ unsigned digits[KEYS_DIGITS], found[2];
    uint32_t least = UINT32_MAX, most = 0, prefix = 0;

    for (int64_t j = threadIdx.x; j < count; j += blockDim.x) {
        uint32_t key = get(j);

        least = min(least, key);
        most = max(most, key);
    }
    keys_range(&least, &most);
    for (int top = most == least ? 0 : 32 - __clz((int)(most - least)); top > 0;) {
        int bits = min(top, 8), shift = top - bits;

        for (int i = (int)threadIdx.x; i < KEYS_DIGITS; i += (int)blockDim.x)
            digits[i] = 0;
        __syncthreads();
        for (int64_t j = threadIdx.x; j < count; j += blockDim.x) {
            uint64_t key = get(j) - least;

            if (key >> top == prefix)
                atomicAdd(digits + (key >> shift & (KEYS_DIGITS - 1) >> (8 - bits)), 1u);
        }
        __syncthreads();
        if (threadIdx.x < 32) keys_find_digit(digits, n, found);
        __syncthreads();
        prefix = prefix << bits | found[0];
        n -= found[1];
        top = shift;
        __syncthreads(); /* all have read before the digits are cleared */
    }
    *equal = n;
    return least + prefix;
}

/*
 * A value that at least k (>= 1) of `count` keys are at or below, and hardly more: the kth smallest rounded up
 * to the 4096th part of their range. By the whole block, in every thread. get(i): key i, of 32 bits.
 */
template <class Get> __device__ static uint32_t keys_kth_at_most(int count, int k, Get get)
{
    enum { BITS = 12 };
    __shared__ int below[3];
    uint32_t least = UINT32_MAX, most = 0, found = 0;
    int top, stop, turn = 0;

    for (int i = (int)threadIdx.x; i < count; i += (int)blockDim.x) {
        least = min(least, get(i));
        most = max(most, get(i));
    }
    if (threadIdx.x < 3) below[threadIdx.x] = 0;
    keys_range(&least, &most);
    top = most == least ? 0 : 32 - __clz((int)(most - least));
    stop = top > BITS ? top - BITS : 0;
    for (int bit = top - 1; bit >= stop; bit--, turn = (turn + 1) % 3) {
        uint32_t edge = found | ((1u << bit) - 1);
        int mine = 0;

        for (int i = (int)threadIdx.x; i < count; i += (int)blockDim.x)
            mine += get(i) - least <= edge;
        mine = __reduce_add_sync(0xffffffffu, mine);
        if (threadIdx.x % 32 == 0 && mine) atomicAdd(below + turn, mine);
        if (threadIdx.x == 0) below[(turn + 1) % 3] = 0;
        __syncthreads();
        if (below[turn] < k) found |= 1u << bit;
    }
    __syncthreads(); /* all have read before the next call clears */
    return least + (found | ((1u << stop) - 1));
}

#endif
