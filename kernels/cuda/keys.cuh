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
