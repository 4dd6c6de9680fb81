/*
 * The coarse step without products. A block has a query: all its distances, then those of the nprobe
 * nearest. To find them the block keeps the least of each of 1024 groups of lists in registers (or
 * 16,384, where nprobe asks for more) and halves the range of their values until hardly more than
 * nprobe groups are in it: what lists are, is nprobe of them and a few, which are sorted. Distances
 * that are too much alike for that, and nprobe past COARSE_SORTED, are gone through in order.
 *
 * Of a few queries all blocks measure the distances first.
 */
#include "kernels/cuda/exhaustive.h"

#include <cmath>

#include "kernels/cuda/chain.cuh"
#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/keys.cuh"

enum { THREADS = 256, LANES = 8 };
enum { WIDE_THREADS = 1024, WIDE_WARPS = WIDE_THREADS / 32 };
enum { AHEAD = 16 };    /* loads of a thread that are on their way at once */
enum { COUNTED = 128 }; /* keys that are sorted by counting, at most */

/* out[j] = |q - c[j]|^2 for lists j of a share of all: eight lanes each. */
static __device__ void measure_share(const float *c, int64_t nlist, int d, const float *q,
                                     int64_t first, int64_t stride, float *out)
{
    for (int64_t j = first - threadIdx.x % 32 / LANES; j < nlist; j += stride) {
        int64_t list = j + threadIdx.x % 32 / LANES;
        float exact = exact_by_lanes<LANES>(ELEM_F32, q, 0, c + min(list, nlist - 1) * d, d);

        if (threadIdx.x % LANES == 0 && list < nlist) out[list] = exact;
    }
}

/* All distances of a few queries, blockIdx.y each. Needs nothing of the kernel before, which packs the queries. */
__global__ static void measure_lists(const float *c, int64_t nlist, int d, const float *q,
                                     float *all)
{
    int64_t first = ((int64_t)blockIdx.x * THREADS + threadIdx.x) / LANES;

    chain_next();
    measure_share(c, nlist, d, q + (int64_t)blockIdx.y * d, first,
                  (int64_t)gridDim.x * (THREADS / LANES), all + blockIdx.y * nlist);
    chain_wait();
}

/* Threads that look for a bound together: a block of WIDE_THREADS. Numbers of one turn are read
   before the barrier of the next, so two places will do. */
struct wide_team {
    uint32_t (*part)[WIDE_WARPS];
    int turn;

    template <class Op> __device__ __forceinline__ uint32_t together(uint32_t v, Op op)
    {
        uint32_t *of_warp = part[turn];

        turn ^= 1;
        v = op(v);
        if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = v;
        __syncthreads();
        return op(of_warp[threadIdx.x % 32]);
    }

    __device__ __forceinline__ uint32_t sum(uint32_t v)
    {
        return together(v, [](uint32_t x) { return __reduce_add_sync(WARP_ALL, x); });
    }

    __device__ __forceinline__ uint32_t least(uint32_t v)
    {
        return together(v, [](uint32_t x) { return __reduce_min_sync(WARP_ALL, x); });
    }

    __device__ __forceinline__ uint32_t most(uint32_t v)
    {
        return together(v, [](uint32_t x) { return __reduce_max_sync(WARP_ALL, x); });
    }
};

/* take(i, j, key[j]) for each of the block's keys, the ith of AHEAD that a thread has at once. */
template <class Take>
static __device__ __forceinline__ void each_key(const uint32_t *key, int64_t nlist, Take take)
{
    for (int64_t from = threadIdx.x; from < nlist; from += AHEAD * WIDE_THREADS) {
        uint32_t some[AHEAD];

#pragma unroll
        for (int i = 0; i < AHEAD; i++)
            some[i] = from + i * WIDE_THREADS < nlist ? key[from + i * WIDE_THREADS] : NO_BOUND;
#pragma unroll
        for (int i = 0; i < AHEAD; i++)
            if (some[i] != NO_BOUND) take(i, from + i * WIDE_THREADS, some[i]);
    }
}

/*
 * A key that nprobe at least are at or below, and not many more: of groups of keys, K a thread, the
 * least are held in registers, and where nprobe groups reach, nprobe keys do. K * WIDE_THREADS is
 * several times nprobe, so that few groups hold two of the nearest.
 */
template <int K>
static __device__ uint32_t lists_bound(const uint32_t *key, int64_t nlist, int nprobe, int enough)
{
    __shared__ uint32_t part[2][WIDE_WARPS];
    struct wide_team team = {part, 0};
    uint32_t least[K];

#pragma unroll
    for (int k = 0; k < K; k++)
        least[k] = NO_BOUND;
    each_key(key, nlist, [&](int i, int64_t, uint32_t v) { least[i % K] = min(least[i % K], v); });
    return keys_bound(least, (uint32_t)nprobe, (uint32_t)enough, team);
}

/* Sorts a few keys, all different, by counting what is before each: two barriers, not one a bitonic round. */
static __device__ void sort_few(uint64_t *keys, int n)
{
    bool there = (int)threadIdx.x < n;
    uint64_t mine = there ? keys[threadIdx.x] : NO_KEY;
    int before = 0;

#pragma unroll 4
    for (int i = 0; there && i < n; i++)
        before += keys[i] < mine;
    __syncthreads();
    if (there) keys[before] = mine;
    __syncthreads();
}

/* The nearest nprobe, and some more, into keys, sorted; false: they do not fit. */
static __device__ bool sort_nearest(const uint32_t *key, int64_t nlist, int nprobe, uint64_t *keys)
{
    __shared__ int count;
    int enough = min(max(nprobe + nprobe / 8, 32), COARSE_SORTED);
    uint32_t bound;

    if (nprobe > COARSE_SORTED) return false;
    if (threadIdx.x == 0) count = 0;
    bound = nprobe <= WIDE_THREADS / 4 ? lists_bound<1>(key, nlist, nprobe, enough)
                                       : lists_bound<AHEAD>(key, nlist, nprobe, enough);
    each_key(key, nlist, [=](int, int64_t j, uint32_t v) {
        if (v > bound) return;
        int at = atomicAdd(&count, 1);

        if (at < COARSE_SORTED) keys[at] = (uint64_t)v << 32 | (uint32_t)j;
    });
    __syncthreads();
    if (count < nprobe || count > COARSE_SORTED) return false;
    if (count <= COUNTED)
        sort_few(keys, count);
    else
        keys_sort(keys, count);
    return true;
}

/*
 * How many threads before this one have flag set; *total: how many in all. Two numbers at once: a is
 * counted in the lower half, b in the upper.
 */
static __device__ uint32_t rank_flags(bool a, bool b, uint32_t *total)
{
    __shared__ uint32_t warp_sum[WIDE_WARPS];
    unsigned below = (1u << threadIdx.x % 32) - 1;
    unsigned in_a = __ballot_sync(WARP_ALL, a), in_b = __ballot_sync(WARP_ALL, b);
    uint32_t rank = __popc(in_a & below) | (uint32_t)__popc(in_b & below) << 16;

    if (threadIdx.x % 32 == 0)
        warp_sum[threadIdx.x / 32] = __popc(in_a) | (uint32_t)__popc(in_b) << 16;
    __syncthreads();
    *total = 0;
    for (unsigned w = 0; w < WIDE_WARPS; w++) {
        if (w < threadIdx.x / 32) rank += warp_sum[w];
        *total += warp_sum[w];
    }
    __syncthreads();
    return rank;
}

/* However many: the nprobe smallest of key[nlist], and of equal ones the lower lists: smaller ones
   first, not sorted. */
static __device__ void select_lists(const uint32_t *key, int64_t nlist, int nprobe, int32_t *probe,
                                    float *dist)
{
    int64_t equal, smaller, seen_smaller = 0, seen_equal = 0;
    uint32_t last = keys_nth(nlist, nprobe, &equal, [=](int64_t j) { return key[j]; }), total;

    smaller = nprobe - equal;
    for (int64_t from = 0; from < nlist; from += WIDE_THREADS) {
        int64_t j = from + threadIdx.x, at;
        bool is_smaller = j < nlist && key[j] < last, is_equal = j < nlist && key[j] == last;
        uint32_t rank = rank_flags(is_smaller, is_equal, &total);
        int64_t nth_equal = seen_equal + (rank >> 16);

        at = is_smaller ? seen_smaller + (rank & 0xffff) : smaller + nth_equal;
        if (is_smaller || (is_equal && nth_equal < equal)) {
            probe[at] = (int32_t)j;
            dist[at] = __uint_as_float(key[j]);
        }
        seen_smaller += total & 0xffff;
        seen_equal += total >> 16;
    }
    __syncthreads();
}

/* The selected lists sorted, as far as shared memory does that; else the nearest to the front. */
static __device__ void order_lists(int nprobe, int32_t *probe, float *dist, uint64_t *keys)
{
    int many = nprobe > COARSE_SORTED, room = many ? WIDE_THREADS : nprobe;

    for (int i = (int)threadIdx.x; i < room; i += WIDE_THREADS)
        keys[i] = i < nprobe ? key_of(dist[i], (uint32_t)i) : NO_KEY;
    for (int i = (int)threadIdx.x + WIDE_THREADS; many && i < nprobe; i += WIDE_THREADS)
        keys[threadIdx.x] = min(keys[threadIdx.x], key_of(dist[i], (uint32_t)i));
    if (!many)
        for (int i = (int)threadIdx.x; i < nprobe; i += WIDE_THREADS)
            keys[i] = key_of(dist[i], (uint32_t)probe[i]);
    keys_sort(keys, room);
    if (many) {
        if (threadIdx.x) return;
        uint32_t nearest = key_number(keys[0]);
        int32_t list = probe[nearest];

        probe[nearest] = probe[0], probe[0] = list;
        dist[nearest] = dist[0], dist[0] = key_value(keys[0]);
        return;
    }
    for (int i = (int)threadIdx.x; i < nprobe; i += WIDE_THREADS) {
        probe[i] = (int32_t)key_number(keys[i]);
        dist[i] = key_value(keys[i]);
    }
}

/* The query's nprobe lists, from the distances to all. */
static __device__ void take_lists(const uint32_t *key, int64_t nlist, int nprobe, float scale,
                                  int32_t *probe, float *near, uint64_t *keys)
{
    if (sort_nearest(key, nlist, nprobe, keys)) {
        for (int i = (int)threadIdx.x; i < nprobe; i += WIDE_THREADS) {
            probe[i] = (int32_t)key_number(keys[i]);
            near[i] = coarse_near(key_value(keys[i]), scale);
        }
        return;
    }
    __syncthreads(); /* all know that */
    select_lists(key, nlist, nprobe, probe, near);
    order_lists(nprobe, probe, near, keys);
    __syncthreads();
    for (int i = (int)threadIdx.x; i < nprobe; i += WIDE_THREADS)
        near[i] = coarse_near(near[i], scale);
}

/*
 * A block a query at a time, of *undone.d_n where that is given and else of n: all distances
 * (`measured`: they are there already), of which the smallest are chosen.
 */
__global__ static void __launch_bounds__(WIDE_THREADS)
    search_all(const float *c, int64_t nlist, int d, const float *q, int64_t n,
               struct undone undone, bool measured, float *all, int nprobe,
               const struct product_facts *facts, int32_t *probe, float *near)
{
    __shared__ uint64_t keys[COARSE_SORTED];
    float *mine = all + blockIdx.x * nlist;

    chain_wait();
    chain_next();
    if (undone.d_n) n = *undone.d_n;
    for (int64_t u = blockIdx.x; u < n; u += gridDim.x) {
        int64_t query = undone.d_n ? undone.d_query[u] : u;
        const float *x = q + query * d;
        int odd = 0;

        for (int j = (int)threadIdx.x; j < d; j += WIDE_THREADS)
            odd |= !isfinite(x[j]);
        odd = __syncthreads_or(odd);
        if (odd) {
            for (int i = (int)threadIdx.x; i < nprobe; i += WIDE_THREADS) {
                probe[query * nprobe + i] = -1;
                near[query * nprobe + i] = INFINITY;
            }
            continue;
        }
        if (!measured)
            measure_share(c, nlist, d, x, threadIdx.x / LANES, WIDE_THREADS / LANES, mine);
        __syncthreads();
        take_lists((const uint32_t *)mine, nlist, nprobe, facts->scale, probe + query * nprobe,
                   near + query * nprobe, keys);
        __syncthreads();
    }
}

/* As search_all has them, of `blocks` blocks. */
static int launch_search(struct cuda *cuda, const struct coarse *c, int64_t blocks,
                         const float *d_q, int64_t n, struct undone undone, bool measured,
                         int nprobe, int32_t *d_probe, float *d_near)
{
    return chain_launch(cuda, "search_all", search_all, (unsigned)blocks, WIDE_THREADS, 0, c->d_c,
                        c->nlist, c->d, d_q, n, undone, measured, c->d_all, nprobe,
                        c->space.d_facts, d_probe, d_near);
}

int exhaustive_search(struct cuda *cuda, const struct coarse *c, const float *d_q, int64_t n,
                      struct undone undone, int nprobe, int32_t *d_probe, float *d_near)
{
    return launch_search(cuda, c, c->wide, d_q, n, undone, false, nprobe, d_probe, d_near);
}

int exhaustive_few(struct cuda *cuda, const struct coarse *c, const struct queries *q, int nprobe,
                   int32_t *d_probe, float *d_near)
{
    dim3 grid(cuda_grid(cuda, c->nlist, THREADS / LANES), (unsigned)q->n);
    int rc = chain_launch(cuda, "measure_lists", measure_lists, grid, THREADS, 0, c->d_c, c->nlist,
                          c->d, q->d_q, c->d_all);

    if (rc < 0) return rc;
    return launch_search(cuda, c, q->n, q->d_q, q->n, {}, true, nprobe, d_probe, d_near);
}
