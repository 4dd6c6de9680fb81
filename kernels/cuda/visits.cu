/*
 * Turning visits round without a sort: counting tells each pair its rank in its list, a scan over the lists
 * where each list's pairs begin, and then every pair knows its place. Blocks of lists are put one after the
 * other in whatever order they get there, which nothing depends on.
 */
#include "kernels/cuda/visits.h"

#include "kernels/cuda/chain.cuh"

enum { THREADS = 256, WARPS = THREADS / 32 };

void visits_zeros(struct visits *v, int64_t nlist, struct room *r)
{
    v->d_count = room_take<int32_t>(r, nlist);
    v->d_total = room_take<struct visits_total>(r, 1);
}

void visits_room(struct visits *v, int64_t nlist, int64_t pairs, struct room *r)
{
    v->d_visit = room_take<struct visit>(r, nlist < pairs ? nlist : pairs);
    v->d_pair = room_take<struct pair>(r, pairs);
    v->d_first = room_take<int32_t>(r, nlist);
    v->d_rank = room_take<int32_t>(r, pairs);
}

/* The list of pair p, or -1 where there is none. Pairs are counted in 32 bits: dividing longer ones takes long. */
__device__ __forceinline__ int32_t list_of_pair(const struct visits_of &of, uint32_t p)
{
    return of.d_again && !of.d_again[p / (uint32_t)of.nprobe] ? -1 : of.d_probe[p];
}

/* A thread a pair: 4 bytes read, 4 written, an atomic. */
__global__ static void count_pairs(struct visits_of of, int32_t *count, int32_t *rank)
{
    chain_begin();
    uint32_t pairs = (uint32_t)(of.n * of.nprobe), stride = gridDim.x * THREADS;

    if (of.d_again && !*of.d_any) return;
    for (uint32_t p = blockIdx.x * THREADS + threadIdx.x; p < pairs; p += stride) {
        int32_t list = list_of_pair(of, p);

        if (list >= 0) rank[p] = atomicAdd(count + list, 1);
    }
}

/* v's sum over the threads before this one; *total: over all. */
__device__ static long long sum_before(long long v, long long *total)
{
    __shared__ long long warp_sum[WARPS];
    long long sum = v, before = 0;

    for (int lanes = 1; lanes < 32; lanes *= 2) {
        long long other = __shfl_up_sync(0xffffffffu, sum, lanes);

        if ((int)(threadIdx.x % 32) >= lanes) sum += other;
    }
    if (threadIdx.x % 32 == 31) warp_sum[threadIdx.x / 32] = sum;
    __syncthreads();
    *total = 0;
    for (int w = 0; w < WARPS; w++) {
        if (w < (int)(threadIdx.x / 32)) before += warp_sum[w];
        *total += warp_sum[w];
    }
    __syncthreads();
    return before + sum - v;
}

/* A thread a list. */
__global__ static void place_lists(const int32_t *count, const int64_t *offset, int64_t nlist,
                                   int tile, struct visit *visit, int32_t *first,
                                   struct visits_total *total)
{
    chain_begin();
    __shared__ unsigned long long base;
    __shared__ int32_t pair_base;
    int64_t list = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    int64_t row = list < nlist ? offset[list] : 0, rows = list < nlist ? offset[list + 1] - row : 0;
    int pairs = list < nlist && rows ? count[list] : 0;
    int64_t parts = (rows + PART_ROWS - 1) / PART_ROWS;
    int64_t tiles = (pairs + tile - 1) / tile;
    long long all, all_pairs;
    long long before = sum_before((long long)(pairs > 0) << 40 | parts * tiles, &all);
    long long pairs_before = sum_before(pairs, &all_pairs);

    if (threadIdx.x == 0) {
        base = atomicAdd(&total->visits_and_units, (unsigned long long)all);
        pair_base = atomicAdd(&total->pairs, (int32_t)all_pairs);
    }
    __syncthreads();
    if (list < nlist) first[list] = -1; /* nobody visits an empty list */
    if (!pairs) return;
    before += (long long)base;
    first[list] = pair_base + (int32_t)pairs_before;
    visit[(unsigned long long)before >> 40] = {.unit = before & (((long long)1 << 40) - 1),
                                               .row = (uint32_t)row,
                                               .rows = (uint32_t)rows,
                                               .list = (int32_t)list,
                                               .pair = first[list],
                                               .pairs = pairs};
}

/* The limits of pair p, as struct pair has them. */
__device__ __forceinline__ int32_t limit_of(const struct visits_of &of, uint32_t query, uint32_t p)
{
    float near = of.d_near ? of.d_near[p] : 0.5f * of.d_square[query];

    return __float_as_int(near - of.d_tau[query]);
}

__device__ __forceinline__ int32_t whole_limit_of(const struct visits_of &of, uint32_t query)
{
    return whole_limit(of.whole.d_square[query], of.d_tau[query], of.space->scale);
}

/* A thread a pair, to its place in its list. */
__global__ static void place_pairs(struct visits_of of, const int32_t *first, const int32_t *rank,
                                   struct pair *pair)
{
    chain_begin();
    uint32_t pairs = (uint32_t)(of.n * of.nprobe), stride = gridDim.x * THREADS;
    bool whole = whole_is(of.whole);

    if (of.d_again && !*of.d_any) return;
    for (uint32_t p = blockIdx.x * THREADS + threadIdx.x; p < pairs; p += stride) {
        uint32_t query = p / (uint32_t)of.nprobe;
        int32_t list = list_of_pair(of, p), at = list < 0 ? -1 : first[list];

        if (at < 0) continue;
        pair[at + rank[p]] = {(int32_t)query,
                              whole ? whole_limit_of(of, query) : limit_of(of, query, p)};
    }
}

int visits_make(struct cuda *cuda, struct visits *v, const struct visits_of *of, int64_t nlist,
                const int64_t *d_offset)
{
    unsigned grid = cuda_grid(cuda, of->n * of->nprobe, THREADS);
    int rc;

    v->tile = visits_tile(cuda, of->n * of->nprobe, nlist, of->rows, of->d_near != NULL);
    if ((rc = chain_launch(cuda, "count_pairs", count_pairs, grid, THREADS, 0, *of, v->d_count,
                           v->d_rank)) < 0)
        return rc;
    if ((rc = chain_launch(cuda, "place_lists", place_lists,
                           (unsigned)((nlist + THREADS - 1) / THREADS), THREADS, 0, v->d_count,
                           d_offset, nlist, v->tile, v->d_visit, v->d_first, v->d_total)) < 0)
        return rc;
    return chain_launch(cuda, "place_pairs", place_pairs, grid, THREADS, 0, *of, v->d_first,
                        v->d_rank, v->d_pair);
}
