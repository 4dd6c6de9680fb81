/*
 * The coarse step at the speed of the tensor cores. For a slice of queries at a time:
 *
 * (1) the fused product leaves the best score of each group of centroids; (2) of a query's groups
 * the nprobe-th best or one hardly worse, less the margin, is its threshold: nprobe centroids at
 * least are that good, one a group; (3) the centroids past it and their scores, a few more than
 * nprobe, are collected: by the product once more or, where nprobe is a small part of the lists, by
 * scoring anew those in groups of 8 whose best is past it, which the product then leaves, too
 * (rescore.cu); (4) those are sorted by score, and exact distances decide only among what is within
 * the margin of the nprobe-th: conversions to fp64, at a sixteenth of the rate of other things, took
 * most of the time when all were measured. Groups in (2) are of 32 where these are several times
 * nprobe, so that few of the nearest share one, else of 8.
 *
 * Scores of (1) and (3) need not be the same: each is within half the margin. nprobe lists
 * at least reach the threshold in both, and so does any that distances put among the nprobe nearest.
 *
 * Where a query collects more than fits (values that fp16 makes nothing of), all its distances are
 * taken (exhaustive.cu): slow, and as exact. So are those of nearly as many lists as groups, and of
 * a few queries alone, where a product would be idle.
 */
#include "kernels/cuda/coarse.h"

#include <cmath>

#include "kernels/cuda/chain.cuh"
#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/exhaustive.h"
#include "kernels/cuda/keys.cuh"
#include "kernels/cuda/rescore.h"

enum { THREADS = 256, WARPS = THREADS / 32, LANES = 8 };
enum { WIDE_ROWS = 64 };   /* queries searched exhaustively at once, at most */
enum { FEW = 8 };          /* queries that are searched exhaustively, whatever nprobe is */
enum { FOUND_MAX = 8192 }; /* centroids collected for a query, at most: what shared memory sorts */
enum { FOUND_WARP = 512 }; /* as many, and registers of a warp sort them; or twice as many */
enum { GROUPS_WARP = 64 }; /* groups that a lane keeps in registers, at most */

/*
 * As many lists for each of nprobe, and scoring anew is the faster: it reads nprobe * 8 centroids a
 * query out of the L2, a second product multiplies by all. For 10,000 queries of d 128 and 16,384
 * lists that took 177 us on an H100; at nprobe 32 the bytes are 0.7 GB, some 130 us where the L2 gives
 * 5.5 TB/s, by arithmetic: the crossover has not been measured.
 */
enum { RESCORE_LISTS = 500 };

/* ---- room ---- */

/* Parts of a lane's columns that are a group each; 0: nprobe is too near the number of groups. */
static int group_parts(int64_t nlist, int nprobe)
{
    if (4 * (int64_t)nprobe <= nlist / BAND_COLS) return 1;
    return 4 * (int64_t)nprobe <= 3 * (nlist / GROUP_COLS) ? BAND_PARTS : 0;
}

static bool rescores(int64_t nlist, int nprobe)
{
    return group_parts(nlist, nprobe) == 1 && (int64_t)nprobe * RESCORE_LISTS <= nlist;
}

/*
 * Room for the centroids of a query past its threshold: half more than expected where the best are
 * spread over the groups at random. 0: more than can be sorted.
 */
static int found_cap(int64_t nlist, int nprobe)
{
    int parts = group_parts(nlist, nprobe), columns = parts == 1 ? BAND_COLS : GROUP_COLS;
    double share = nprobe * (double)columns / (double)nlist;
    double expected = (double)nlist * (1 - pow(1 - share, 1.0 / columns));

    if (!parts || 1.5 * expected + 64 > FOUND_MAX) return 0;
    return keys_room((int)(1.5 * expected) + 64);
}

/* The most nprobe that has groups of 32, or groups at all. */
static int64_t most_nprobe(int64_t nlist, int parts)
{
    return parts == 1 ? nlist / BAND_COLS / 4 : nlist / GROUP_COLS * 3 / 4;
}

/* Searches may have a smaller nprobe, and so other groups: room for both kinds, which scoring anew
   needs anyway, and for what is found by either, the most that it can want. */
static void slice_room(struct coarse *c, struct room *r)
{
    int64_t bands = product_bands(c->columns.tiles);
    int cap = 0;

    for (int parts = 1; parts <= BAND_PARTS; parts += BAND_PARTS - 1) {
        int64_t nprobe = most_nprobe(c->nlist, parts);
        int fit;

        if (nprobe > c->nprobe) nprobe = c->nprobe;
        if (nprobe < 1 || (parts != 1 && nprobe <= most_nprobe(c->nlist, 1))) continue;
        fit = found_cap(c->nlist, (int)nprobe);
        if (!fit) fit = FOUND_MAX; /* less of it than nprobe can be sorted */
        if (fit > cap) cap = fit;
    }
    c->best.d_band = room_take<float>(r, c->slice * bands);
    c->best.d_part = room_take<float>(r, c->slice * bands * BAND_PARTS);
    c->found.d_column = room_take<int32_t>(r, c->slice * cap);
    c->found.d_score = room_take<float>(r, c->slice * cap);
    c->found.d_count = room_take<int32_t>(r, c->slice);
    c->d_threshold = room_take<float>(r, c->slice);
    c->undone.d_query = room_take<int32_t>(r, c->slice);
    c->undone.d_n = room_take<int32_t>(r, 1);
}

void coarse_room(struct coarse *c, int64_t nq, struct room *r)
{
    struct room one = {};

    c->space.d = c->d;
    space_room(&c->space, r);
    c->columns.n = c->nlist;
    c->columns.depth = c->space.depth;
    columns_room(&c->columns, r);
    c->plain.n = c->nlist;
    c->plain.depth = c->space.depth;
    rows_room(&c->plain, r);
    c->slice = 1024;
    slice_room(c, &one);
    c->slice = (int64_t)(c->slice_bytes / (one.at / 1024 + 1)) + 1;
    if (c->slice > nq) c->slice = nq;
    slice_room(c, r);
    c->wide = (int64_t)(c->slice_bytes / ((size_t)c->nlist * sizeof(float))) + 1;
    if (c->wide > WIDE_ROWS) c->wide = WIDE_ROWS;
    if (c->wide > nq) c->wide = nq;
    c->d_all = room_take<float>(r, c->wide * c->nlist);
    c->d_partial = room_take<double>(r, space_partials(c->d));
}

int coarse_make(struct cuda *cuda, struct coarse *c, const float *d_c)
{
    int rc;

    c->d_c = d_c;
    if ((rc = space_fit(cuda, &c->space, ELEM_F32, d_c, c->nlist, c->d_partial)) < 0) return rc;
    if ((rc = rows_pack(cuda, &c->space, ELEM_F32, d_c, &c->plain)) < 0) return rc;
    return columns_pack(cuda, &c->space, ELEM_F32, d_c, &c->columns);
}

/* ---- by products ---- */

/* What thresholds are made of and where they go. */
struct thresholds {
    const struct product_facts *facts;
    struct rows rows;
    const float *best; /* [rows][groups] */
    int64_t groups;
    int nprobe;
    float *threshold;
    int32_t *count;
};

/* The score that nprobe groups reach, less the margin. */
static __device__ void set_threshold(const struct thresholds &t, int64_t query, float score)
{
    float length = t.rows.d_length[query];
    float margin = product_margin(t.facts, t.rows.depth, length, t.rows.d_err[query]);

    t.count[query] =
        0; /* a query whose scores say nothing is left to settle_found, which refuses it */
    t.threshold[query] = margin < INFINITY ? fmaxf(score - margin, 0) : INFINITY;
}

/*
 * A warp a query, K groups a lane. A score that hardly more than nprobe groups reach will do: it
 * lets a few more centroids pass. A group that scores 0 has no centroids.
 */
template <int K>
__global__ static void __launch_bounds__(THREADS)
    set_thresholds(__grid_constant__ const struct thresholds t)
{
    chain_begin();
    int64_t query = blockIdx.x * (int64_t)WARPS + threadIdx.x / 32;
    uint32_t lane = threadIdx.x % 32, key[K], bound;
    struct keys_warp team;

    if (query >= t.rows.n) return;
    const int *score = (const int *)t.best + query * t.groups;

#pragma unroll
    for (int k = 0; k < K; k++) {
        int at = 32 * k + lane < t.groups ? score[32 * k + lane] : 0;

        key[k] = at ? (uint32_t)(INT_MAX - at) : NO_BOUND;
    }
    bound = keys_bound(key, (uint32_t)t.nprobe, (uint32_t)(t.nprobe + t.nprobe / 32), team);
    if (lane == 0)
        set_threshold(t, query, bound == NO_BOUND ? 0 : __int_as_float(INT_MAX - (int)bound));
}

/* A block a query, for any number of groups. */
__global__ static void set_wide_thresholds(__grid_constant__ const struct thresholds t)
{
    chain_begin();
    int64_t query = blockIdx.x, equal;
    const int *score = (const int *)t.best + query * t.groups;
    uint32_t nth = keys_nth(t.groups, t.nprobe, &equal,
                            [=](int64_t j) { return (uint32_t)(INT_MAX - score[j]); });

    if (threadIdx.x == 0) set_threshold(t, query, __int_as_float(INT_MAX - (int)nth));
}

static int find_thresholds(struct cuda *cuda, const struct thresholds *t)
{
    bool wide = t->groups > GROUPS_WARP * 32;
    auto kernel = t->groups <= 16 * 32   ? set_thresholds<16>
                  : t->groups <= 32 * 32 ? set_thresholds<32>
                  : wide                 ? set_wide_thresholds
                                         : set_thresholds<GROUPS_WARP>;
    int64_t blocks = wide ? t->rows.n : (t->rows.n + WARPS - 1) / WARPS;

    return chain_launch(cuda, "set_thresholds", kernel, (unsigned)blocks, THREADS, 0, *t);
}

/* What is settled: of queries in their order, from what they collected. */
struct settling {
    const struct product_facts *facts;
    struct rows rows;
    const float *c, *q; /* the centroids, [n][d] queries */
    int d, nprobe;
    struct collected found;
    int32_t *probe;
    float *near;
    struct undone undone;
};

/* A team is a warp or a block. */
template <int TEAM> static __device__ __forceinline__ void sync_team()
{
    if constexpr (TEAM == 32)
        __syncwarp();
    else
        __syncthreads();
}

template <int TEAM, int MOST>
static __device__ __forceinline__ void sort_team(uint64_t *keys, int n)
{
    if constexpr (TEAM == 32)
        keys_sort_warp<MOST / 32>(keys, n);
    else
        keys_sort(keys, n);
}

/* A centroid's key by its score: the best comes first. */
static __device__ __forceinline__ uint64_t score_key(float score, int32_t list)
{
    return (uint64_t)(INT_MAX - __float_as_int(score)) << 32 | (uint32_t)list;
}

static __device__ __forceinline__ float key_score(uint64_t key)
{
    return __int_as_float(INT_MAX - (int)(key >> 32));
}

/* The first of lo ... hi - 1 that `is` not, if it is for those before; else hi. */
template <class Is> static __device__ int first_not(int lo, int hi, Is is)
{
    while (lo < hi) {
        int mid = (lo + hi) / 2;

        if (is(mid))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/*
 * Of the lists keys[first ... end - 1] those that come first by (distance, list), to the query's
 * places from first on; false: their distances do not say. Distances go to keys[0] ..., a round of
 * them once all have read what that round is of; what later rounds are of lies behind.
 */
template <int TEAM, int MOST>
static __device__ bool settle_rest(const struct settling &s, int64_t query, uint64_t *keys,
                                   int first, int end)
{
    int me = (int)threadIdx.x % TEAM, count = end - first, want = s.nprobe - first;
    float scale = s.facts->scale;

    for (int at = 0; at < count; at += TEAM / LANES) {
        int i = at + me / LANES;
        uint32_t list = key_number(keys[first + min(i, count - 1)]);

        sync_team<TEAM>();
        float exact =
            exact_by_lanes<LANES>(ELEM_F32, s.q, query * s.d, s.c + (int64_t)list * s.d, s.d);

        if (me % LANES == 0 && i < count) keys[i] = key_of(exact, list);
    }
    sort_team<TEAM, MOST>(keys, count);
    if (!(key_value(keys[want - 1]) < INFINITY)) return false;
    for (int i = me; i < want; i += TEAM) {
        s.probe[query * s.nprobe + first + i] = (int32_t)key_number(keys[i]);
        s.near[query * s.nprobe + first + i] = coarse_near(key_value(keys[i]), scale);
    }
    return true;
}

/*
 * What a query collected, sorted by score: lists that score better than the nprobe-th by more than
 * the margin are in, those that score as much worse are out, and distances decide among the others.
 * False: scores say nothing here. That is so, too, where the nprobe-th distance may be past fp32,
 * since lists at +inf are in order of their numbers.
 */
template <int TEAM, int MOST>
static __device__ bool settle_found(const struct settling &s, int64_t query, float margin,
                                    uint64_t *keys)
{
    int me = (int)threadIdx.x % TEAM, count = s.found.d_count[query], sure = s.nprobe, end = sure;
    float half = product_offset(s.facts) + 0.5f * s.rows.d_square[query], last;
    double scale = s.facts->scale;

    if (count > s.found.cap || count < s.nprobe || !(margin < INFINITY)) return false;
    for (int64_t i = me, from = query * s.found.cap; i < count; i += TEAM)
        keys[i] = score_key(s.found.d_score[from + i], s.found.d_column[from + i]);
    sort_team<TEAM, MOST>(keys, count);
    last = key_score(keys[s.nprobe - 1]);
    if (!(last > 0 && last < INFINITY)) return false;
    if ((2.0 * (half - last) + 3.0 * margin) / (scale * scale) > 1e38) return false;
    if (count > s.nprobe && last - key_score(keys[s.nprobe]) <= margin) {
        sure = first_not(0, sure, [=](int i) { return key_score(keys[i]) - last > margin; });
        end =
            first_not(s.nprobe, count, [=](int i) { return last - key_score(keys[i]) <= margin; });
    }
    for (int i = me; i < sure; i += TEAM) {
        s.probe[query * s.nprobe + i] = (int32_t)key_number(keys[i]);
        s.near[query * s.nprobe + i] = fmaxf(half - key_score(keys[i]), 0);
    }
    return end == s.nprobe || settle_rest<TEAM, MOST>(s, query, keys, sure, end);
}

/* By a team. What is not settled is left to the exhaustive search. */
template <int TEAM, int MOST>
static __device__ void settle_query(const struct settling &s, int64_t query, uint64_t *keys)
{
    int me = (int)threadIdx.x % TEAM;
    float length = s.rows.d_length[query];
    float margin = product_margin(s.facts, s.rows.depth, length, s.rows.d_err[query]);

    if (isnan(length)) {
        for (int i = me; i < s.nprobe; i += TEAM) {
            s.probe[query * s.nprobe + i] = -1;
            s.near[query * s.nprobe + i] = INFINITY;
        }
        return;
    }
    if (!settle_found<TEAM, MOST>(s, query, margin, keys) && me == 0)
        s.undone.d_query[atomicAdd(s.undone.d_n, 1)] = (int32_t)query;
}

/* A warp a query where a warp's registers sort what a query may have collected, MOST, else a block.
   Shared memory: a key for each that there is room for. */
template <int MOST>
__global__ static void __launch_bounds__(THREADS)
    settle_by_warps(__grid_constant__ const struct settling s)
{
    chain_begin();
    extern __shared__ uint64_t keys[];
    int warp = (int)threadIdx.x / 32;
    int64_t query = blockIdx.x * (int64_t)WARPS + warp;

    if (query < s.rows.n) settle_query<32, MOST>(s, query, keys + warp * s.found.cap);
}

__global__ static void __launch_bounds__(THREADS)
    settle_by_blocks(__grid_constant__ const struct settling s)
{
    chain_begin();
    extern __shared__ uint64_t keys[];

    settle_query<THREADS, FOUND_MAX>(s, blockIdx.x, keys);
}

static int settle_lists(struct cuda *cuda, const struct settling *s)
{
    bool warps = s->found.cap <= 2 * FOUND_WARP;
    auto kernel = s->found.cap <= FOUND_WARP ? settle_by_warps<FOUND_WARP>
                  : warps                    ? settle_by_warps<2 * FOUND_WARP>
                                             : settle_by_blocks;
    int teams = warps ? WARPS : 1, rc;
    size_t bytes = (size_t)(teams * s->found.cap) * sizeof(uint64_t);

    if ((rc = CU(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      (int)bytes))) < 0)
        return rc;
    return chain_launch(cuda, "settle_lists", kernel, (unsigned)((s->rows.n + teams - 1) / teams),
                        THREADS, bytes, *s);
}

/* ---- the step ---- */

static struct rows rows_from(const struct rows *x, int64_t first, int64_t n)
{
    return {.n = n,
            .depth = x->depth,
            .d_x = x->d_x + first * x->depth,
            .d_square = x->d_square + first,
            .d_length = x->d_length + first,
            .d_err = x->d_err + first,
            .d_zero = NULL};
}

/* The bests that a search is to have. */
static struct group_best wanted_best(const struct coarse *c, int nprobe)
{
    struct group_best best = c->best;

    if (group_parts(c->nlist, nprobe) != 1)
        best.d_band = NULL;
    else if (!rescores(c->nlist, nprobe))
        best.d_part = NULL;
    return best;
}

/* The lists past the thresholds. */
static int collect_lists(struct cuda *cuda, const struct coarse *c, const struct rows *rows,
                         int nprobe, const struct group_best *best)
{
    if (rescores(c->nlist, nprobe))
        return rescore_groups(cuda, rows, &c->columns, &c->plain, best, &c->found);
    return product_collect(cuda, rows, NULL, NULL, &c->columns, &c->found);
}

static int search_slice(struct cuda *cuda, struct coarse *c, const float *d_q,
                        const struct rows *rows, int nprobe, int32_t *d_probe, float *d_near)
{
    struct group_best best = wanted_best(c, nprobe);
    struct thresholds thresholds;
    struct settling settling;
    int rc;

    c->found.cap = found_cap(c->nlist, nprobe);
    c->found.d_threshold = c->d_threshold;
    thresholds = {.facts = c->space.d_facts,
                  .rows = *rows,
                  .best = best.d_band ? best.d_band : best.d_part,
                  .groups = product_bands(c->columns.tiles) * group_parts(c->nlist, nprobe),
                  .nprobe = nprobe,
                  .threshold = c->d_threshold,
                  .count = c->found.d_count};
    settling = {.facts = c->space.d_facts,
                .rows = *rows,
                .c = c->d_c,
                .q = d_q,
                .d = c->d,
                .nprobe = nprobe,
                .found = c->found,
                .probe = d_probe,
                .near = d_near,
                .undone = c->undone};
    if ((rc = product_groups(cuda, rows, &c->columns, &best)) < 0) return rc;
    if ((rc = find_thresholds(cuda, &thresholds)) < 0) return rc;
    if ((rc = collect_lists(cuda, c, rows, nprobe, &best)) < 0) return rc;
    if ((rc = CU(cudaMemsetAsync(c->undone.d_n, 0, sizeof(int32_t), cuda->stream))) < 0) return rc;
    if ((rc = settle_lists(cuda, &settling)) < 0) return rc;
    return exhaustive_search(cuda, c, d_q, 0, c->undone, nprobe, d_probe, d_near);
}

int coarse_search(struct cuda *cuda, struct coarse *c, struct queries *q, int nprobe,
                  int32_t *d_probe, float *d_near)
{
    int rc;

    if ((rc = rows_pack(cuda, &c->space, ELEM_F32, q->d_q, &q->rows)) < 0) return rc;
    if (q->n <= FEW && q->n <= c->wide) return exhaustive_few(cuda, c, q, nprobe, d_probe, d_near);
    if (!found_cap(c->nlist, nprobe))
        return exhaustive_search(cuda, c, q->d_q, q->n, {}, nprobe, d_probe, d_near);
    if ((rc = columns_norms(cuda, &c->space, &c->columns)) < 0) return rc;
    for (int64_t at = 0; at < q->n; at += c->slice) {
        int64_t n = q->n - at < c->slice ? q->n - at : c->slice;
        struct rows rows = rows_from(&q->rows, at, n);

        if ((rc = search_slice(cuda, c, q->d_q + at * c->d, &rows, nprobe, d_probe + at * nprobe,
                               d_near + at * nprobe)) < 0)
            return rc;
    }
    return 0;
}
