/*
 * The coarse step at the speed of the tensor cores. For a slice of queries at a time:
 *
 * (1) the fused product leaves the best score of each group of centroids; (2) of a query's groups the
 * nprobe-th best, less the margin, is its threshold: nprobe centroids at least are that good, one a group;
 * (3) the product once more collects the centroids past it, a few more than nprobe; (4) their exact
 * distances are sorted. Groups are of 32 where these are several times nprobe, so that few of the
 * nearest share one, else of 8.
 *
 * Where a query collects more than fits (values that fp16 makes nothing of), all its distances are
 * taken: slow, and as exact. So are those of nearly as many lists as groups, and of a few queries
 * alone, where a product would be idle.
 */
#include "kernels/cuda/coarse.h"

#include <cmath>

#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/keys.cuh"

enum { THREADS = 256, LANES = 8 };
enum { WIDE_THREADS = 1024, WIDE_WARPS = WIDE_THREADS / 32 };
enum { WIDE_ROWS = 64 };   /* queries searched exhaustively at once, at most */
enum { FEW = 8 };          /* queries that are searched exhaustively, whatever nprobe is */
enum { FOUND_MAX = 8192 }; /* centroids collected for a query, at most: what shared memory sorts */

/* ---- room ---- */

/* Parts of a lane's columns that are a group each; 0: nprobe is too near to the number of groups. */
static int group_parts(int64_t nlist, int nprobe)
{
    if (4 * (int64_t)nprobe <= nlist / 32) return 1;
    return 4 * (int64_t)nprobe <= 3 * (nlist / GROUP_COLS) ? 4 : 0;
}

/*
 * Room for the centroids of a query past its threshold: half more than expected where the best are
 * spread over the groups at random. 0: more than can be sorted.
 */
static int found_cap(int64_t nlist, int nprobe)
{
    int parts = group_parts(nlist, nprobe), columns = parts == 1 ? 32 : GROUP_COLS;
    double share = nprobe * (double)columns / (double)nlist;
    double expected = (double)nlist * (1 - pow(1 - share, 1.0 / columns));

    if (!parts || 1.5 * expected + 64 > FOUND_MAX) return 0;
    return keys_room((int)(1.5 * expected) + 64);
}

static void slice_room(struct coarse *c, struct room *r)
{
    int most = 0, cap = 0;

    /* a smaller nprobe may have smaller groups, and so more of them */
    for (int nprobe = c->nprobe; nprobe; nprobe /= 2) {
        int fit = found_cap(c->nlist, nprobe);

        if (fit && group_parts(c->nlist, nprobe) > most) most = group_parts(c->nlist, nprobe);
        if (fit > cap) cap = fit;
    }
    c->best.d_best = room_take<float>(r, c->slice * product_groups_of(c->columns.tiles, most));
    c->found.d_column = room_take<int32_t>(r, c->slice * cap);
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
    return columns_pack(cuda, &c->space, ELEM_F32, d_c, &c->columns);
}

/* ---- by products ---- */

/* A block a query: the score that nprobe groups reach, less the margin. */
__global__ static void set_thresholds(const struct product_facts *facts, struct rows rows,
                                      struct group_best best, int64_t groups, int nprobe,
                                      float *threshold, int32_t *count)
{
    int64_t query = blockIdx.x, equal;
    const int *score = (const int *)best.d_best + query * groups;
    float length = rows.d_length[query];
    float margin = product_margin(facts, rows.depth, length, rows.d_err[query]);
    uint32_t nth =
        keys_nth(groups, nprobe, &equal, [=](int64_t j) { return (uint32_t)(INT_MAX - score[j]); });

    if (threadIdx.x) return;
    count[query] = 0;
    threshold[query] =
        isnan(length) ? INFINITY : fmaxf(__int_as_float(INT_MAX - (int)nth) - margin, 0);
}

/*
 * A block a query: exact distances to the centroids it collected, eight lanes each, sorted. Shared memory:
 * a key for each that there is room for. What did not fit is left to the exhaustive search.
 */
__global__ static void settle_lists(const float *c, int d, const float *q, struct collected found,
                                    int nprobe, int32_t *probe, float *dist, struct undone undone)
{
    extern __shared__ uint64_t keys[];
    int64_t query = blockIdx.x;
    int count = found.d_count[query], lane = (int)(threadIdx.x % LANES);

    if (count > found.cap) {
        if (threadIdx.x == 0) undone.d_query[atomicAdd(undone.d_n, 1)] = (int32_t)query;
        return;
    }
    for (int at = 0; at < count; at += THREADS / LANES) {
        int i = at + (int)threadIdx.x / LANES;
        int64_t list = found.d_column[query * found.cap + min(i, count - 1)];
        float exact = exact_by_lanes<LANES>(ELEM_F32, q, query * d, c + list * d, d);

        if (lane == 0 && i < count) keys[i] = key_of(exact, (uint32_t)list);
    }
    keys_sort(keys, count);
    if (count &&
        key_value(keys[nprobe - 1]) == INFINITY) { /* then lists that score worse rank alike */
        if (threadIdx.x == 0) undone.d_query[atomicAdd(undone.d_n, 1)] = (int32_t)query;
        return;
    }
    for (int i = (int)threadIdx.x; i < nprobe; i += THREADS) {
        probe[query * nprobe + i] = i < count ? (int32_t)key_number(keys[i]) : -1;
        dist[query * nprobe + i] = i < count ? key_value(keys[i]) : INFINITY;
    }
}

/* ---- exhaustively ---- */

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

/* All distances of a few queries, blockIdx.y each. */
__global__ static void measure_lists(const float *c, int64_t nlist, int d, const float *q,
                                     float *all)
{
    int64_t first = ((int64_t)blockIdx.x * THREADS + threadIdx.x) / LANES;

    measure_share(c, nlist, d, q + (int64_t)blockIdx.y * d, first,
                  (int64_t)gridDim.x * (THREADS / LANES), all + blockIdx.y * nlist);
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

/* The nprobe smallest of key[nlist], and of equal ones the lower lists: smaller ones first, not sorted. */
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

/*
 * A block a query at a time, of *undone.d_n where that is given and else of n: all distances (`measured`:
 * they are there already), of which the smallest are chosen.
 */
__global__ static void __launch_bounds__(WIDE_THREADS)
    search_all(const float *c, int64_t nlist, int d, const float *q, int64_t n,
               struct undone undone, bool measured, float *all, int nprobe, int32_t *probe,
               float *dist)
{
    __shared__ uint64_t keys[COARSE_SORTED];
    float *mine = all + blockIdx.x * nlist;

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
                dist[query * nprobe + i] = INFINITY;
            }
            continue;
        }
        if (!measured)
            measure_share(c, nlist, d, x, threadIdx.x / LANES, WIDE_THREADS / LANES, mine);
        __syncthreads();
        select_lists((const uint32_t *)mine, nlist, nprobe, probe + query * nprobe,
                     dist + query * nprobe);
        order_lists(nprobe, probe + query * nprobe, dist + query * nprobe, keys);
        __syncthreads();
    }
}

static int search_few(struct cuda *cuda, struct coarse *c, const struct queries *q, int nprobe,
                      int32_t *d_probe, float *d_dist)
{
    dim3 grid(cuda_grid(cuda, c->nlist, THREADS / LANES), (unsigned)q->n);
    int rc;

    measure_lists<<<grid, THREADS, 0, cuda->stream>>>(c->d_c, c->nlist, c->d, q->d_q, c->d_all);
    if ((rc = cuda_launched(cuda, "measure_lists")) < 0) return rc;
    search_all<<<(unsigned)q->n, WIDE_THREADS, 0, cuda->stream>>>(
        c->d_c, c->nlist, c->d, q->d_q, q->n, {}, true, c->d_all, nprobe, d_probe, d_dist);
    return cuda_launched(cuda, "search_all");
}

/* ---- the step ---- */

static struct rows rows_from(const struct rows *x, int64_t first, int64_t n)
{
    return {.n = n,
            .depth = x->depth,
            .d_x = x->d_x + first * x->depth,
            .d_square = x->d_square + first,
            .d_length = x->d_length + first,
            .d_err = x->d_err + first};
}

static int search_slice(struct cuda *cuda, struct coarse *c, const float *d_q,
                        const struct rows *rows, int nprobe, int32_t *d_probe, float *d_dist)
{
    int64_t groups;
    int rc;

    c->best.parts = group_parts(c->nlist, nprobe);
    c->found.cap = found_cap(c->nlist, nprobe);
    c->found.d_threshold = c->d_threshold;
    groups = product_groups_of(c->columns.tiles, c->best.parts);
    if ((rc = product_groups(cuda, rows, &c->columns, &c->best)) < 0) return rc;
    set_thresholds<<<(unsigned)rows->n, THREADS, 0, cuda->stream>>>(
        c->space.d_facts, *rows, c->best, groups, nprobe, c->d_threshold, c->found.d_count);
    if ((rc = cuda_launched(cuda, "set_thresholds")) < 0) return rc;
    if ((rc = product_collect(cuda, rows, NULL, NULL, &c->columns, &c->found)) < 0) return rc;
    if ((rc = CU(cudaMemsetAsync(c->undone.d_n, 0, sizeof(int32_t), cuda->stream))) < 0) return rc;
    settle_lists<<<(unsigned)rows->n, THREADS, (size_t)c->found.cap * sizeof(uint64_t),
                   cuda->stream>>>(c->d_c, c->d, d_q, c->found, nprobe, d_probe, d_dist, c->undone);
    if ((rc = cuda_launched(cuda, "settle_lists")) < 0) return rc;
    search_all<<<(unsigned)c->wide, WIDE_THREADS, 0, cuda->stream>>>(
        c->d_c, c->nlist, c->d, d_q, 0, c->undone, false, c->d_all, nprobe, d_probe, d_dist);
    return cuda_launched(cuda, "search_all");
}

__global__ static void make_near(const struct product_facts *facts, int64_t n, float *dist)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;

    if (i < n) dist[i] = 0.5f * (dist[i] * facts->scale) * facts->scale;
}

static int coarse_search_dist(struct cuda *cuda, struct coarse *c, struct queries *q, int nprobe,
                              int32_t *d_probe, float *d_dist)
{
    int rc;

    if ((rc = rows_pack(cuda, &c->space, ELEM_F32, q->d_q, &q->rows)) < 0) return rc;
    if (q->n <= FEW && q->n <= c->wide) return search_few(cuda, c, q, nprobe, d_probe, d_dist);
    if (!found_cap(c->nlist, nprobe)) {
        search_all<<<(unsigned)c->wide, WIDE_THREADS, 0, cuda->stream>>>(
            c->d_c, c->nlist, c->d, q->d_q, q->n, {}, false, c->d_all, nprobe, d_probe, d_dist);
        return cuda_launched(cuda, "search_all");
    }
    if ((rc = CU(cudaFuncSetAttribute(settle_lists, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      FOUND_MAX * (int)sizeof(uint64_t)))) < 0)
        return rc;
    if ((rc = columns_norms(cuda, &c->space, &c->columns)) < 0) return rc;
    for (int64_t at = 0; at < q->n; at += c->slice) {
        int64_t n = q->n - at < c->slice ? q->n - at : c->slice;
        struct rows rows = rows_from(&q->rows, at, n);

        if ((rc = search_slice(cuda, c, q->d_q + at * c->d, &rows, nprobe, d_probe + at * nprobe,
                               d_dist + at * nprobe)) < 0)
            return rc;
    }
    return 0;
}

int coarse_search(struct cuda *cuda, struct coarse *c, struct queries *q, int nprobe,
                  int32_t *d_probe, float *d_dist)
{
    int rc = coarse_search_dist(cuda, c, q, nprobe, d_probe, d_dist);
    if (rc < 0) return rc;
    make_near<<<(unsigned)((q->n * nprobe + THREADS - 1) / THREADS), THREADS, 0, cuda->stream>>>(
        c->space.d_facts, q->n * nprobe, d_dist);
    return cuda_launched(cuda, "make_near");
}
