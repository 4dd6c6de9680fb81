/*
 * The coarse step in full: every distance exactly, then the nprobe smallest of each query by a radix
 * selection on their bits, which for distances (never negative) are in the order of the values.
 */
#include "kernels/cuda/coarse.h"

#include "kernels/cuda/exact.cuh"

enum { THREADS = 256, WARPS = THREADS / 32, DIGITS = 256 };

/*
 * dist[i][j] = |q[i] - c[j]|^2 as terms.h has it. A warp per distance, the grid striding; reads q
 * and c out of the caches, writes 4 bytes.
 */
static __global__ void measure_lists(const float *c, int64_t nlist, int d, const float *q,
                                     int64_t nq, float *dist)
{
    int64_t warps = (int64_t)gridDim.x * WARPS;

    for (int64_t i = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32; i < nq * nlist; i += warps) {
        const float *x = c + i % nlist * d;
        float out = exact_distance(q + i / nlist * d, d, [&](int j) { return (double)x[j]; });

        if (threadIdx.x % 32 == 0) dist[i] = out;
    }
}

/* How many keys that begin as prefix does go on with each digit: into count, by the whole block. */
static __device__ void count_digits(const uint32_t *key, int64_t n, uint32_t prefix, uint32_t mask,
                                    int shift, unsigned *count)
{
    for (int i = (int)threadIdx.x; i < DIGITS; i += THREADS)
        count[i] = 0;
    __syncthreads();
    for (int64_t j = threadIdx.x; j < n; j += THREADS)
        if ((key[j] & mask) == prefix) atomicAdd(count + (key[j] >> shift & (DIGITS - 1)), 1u);
    __syncthreads();
}

/*
 * The nth smallest key (n >= 1), in every thread; *equal: how many of those equal to it are among
 * the first n. Four passes over the keys, a digit of eight bits each.
 */
static __device__ uint32_t nth_key(const uint32_t *key, int64_t count, int n, int *equal)
{
    __shared__ unsigned digits[DIGITS];
    uint32_t prefix = 0, mask = 0;
    unsigned left = (unsigned)n;

    for (int shift = 24; shift >= 0; shift -= 8) {
        uint32_t digit = 0;

        count_digits(key, count, prefix, mask, shift, digits);
        while (digits[digit] < left) /* the same in all threads: they read the same */
            left -= digits[digit++];
        prefix |= digit << shift;
        mask |= (uint32_t)(DIGITS - 1) << shift;
        __syncthreads(); /* all have read before the digits are cleared */
    }
    *equal = (int)left;
    return prefix;
}

/*
 * How many threads before this one have flag set; *total: how many in all. Two numbers at once: a is
 * counted in the lower half, b in the upper.
 */
static __device__ uint32_t rank_flags(bool a, bool b, uint32_t *total)
{
    __shared__ uint32_t warp_sum[WARPS];
    unsigned below = (1u << threadIdx.x % 32) - 1;
    unsigned in_a = __ballot_sync(WARP_ALL, a), in_b = __ballot_sync(WARP_ALL, b);
    uint32_t rank = __popc(in_a & below) | (uint32_t)__popc(in_b & below) << 16;

    if (threadIdx.x % 32 == 0)
        warp_sum[threadIdx.x / 32] = __popc(in_a) | (uint32_t)__popc(in_b) << 16;
    __syncthreads();
    *total = 0;
    for (unsigned w = 0; w < WARPS; w++) {
        if (w < threadIdx.x / 32) rank += warp_sum[w];
        *total += warp_sum[w];
    }
    __syncthreads();
    return rank;
}

/*
 * probe[i] = the lists of the nprobe smallest dist[i][nlist]; of equal ones the lower list. A block
 * per query. Reads its distances five times, out of L2 where the group's fit. First those below the
 * nprobe-th smallest, then the first few that are equal to it, both in the order of lists.
 */
static __global__ void select_lists(const float *dist, int64_t nlist, int nprobe, int32_t *probe)
{
    const uint32_t *key = (const uint32_t *)dist + blockIdx.x * nlist;
    int32_t *out = probe + (int64_t)blockIdx.x * nprobe;
    int equal, smaller, seen_smaller = 0, seen_equal = 0;
    uint32_t last = nth_key(key, nlist, nprobe, &equal), total;

    smaller = nprobe - equal;
    for (int64_t from = 0; from < nlist; from += THREADS) {
        int64_t j = from + threadIdx.x;
        bool is_smaller = j < nlist && key[j] < last, is_equal = j < nlist && key[j] == last;
        uint32_t rank = rank_flags(is_smaller, is_equal, &total);
        int nth_equal = seen_equal + (int)(rank >> 16);

        if (is_smaller) out[seen_smaller + (int)(rank & 0xffff)] = (int32_t)j;
        if (is_equal && nth_equal < equal) out[smaller + nth_equal] = (int32_t)j;
        seen_smaller += (int)(total & 0xffff);
        seen_equal += (int)(total >> 16);
    }
}

int coarse_search(struct cuda *cuda, const float *d_c, int64_t nlist, int d, const float *d_q,
                  int64_t nq, int nprobe, float *d_dist, int32_t *d_probe)
{
    int rc;

    measure_lists<<<cuda_grid(cuda, nq * nlist, WARPS), THREADS, 0, cuda->stream>>>(
        d_c, nlist, d, d_q, nq, d_dist);
    if ((rc = cuda_launched(cuda, "measure_lists")) < 0) return rc;
    select_lists<<<(unsigned)nq, THREADS, 0, cuda->stream>>>(d_dist, nlist, nprobe, d_probe);
    return cuda_launched(cuda, "select_lists");
}
