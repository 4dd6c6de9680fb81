/*
 * Exact nearest neighbours of many queries among a block: the fused product, and what of it could
 * be an answer.
 *
 * The block comes through the ring, and each slot of it in segments of columns. A query's k-th
 * distance so far, less the margin, is its threshold; the product collects the columns that pass,
 * a few hundred in all for each query; their exact distances are merged into its answers, which
 * lowers the threshold of the next segment. The first segment is as long as a query's room for
 * candidates, so that all may pass; the next ones grow with what has been seen. Where the vectors
 * come in so evil an order that a room overflows, the query goes through that segment alone, by exact
 * distances: slow, and as exact. The host waits for nothing but the ring.
 */
#include <cmath>

#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/product.h"
#include "kernels/cuda/ring.h"

enum { THREADS = 256, WARPS = THREADS / 32 };
enum { FEW = 64 };                                   /* new answers that are not worth a sort */
enum { GROUP_QUERIES = 16384 };                      /* at most, taken at once */
static const size_t GROUP_BYTES = (size_t)128 << 20; /* of candidates, at most */
static const size_t IMAGE_BYTES = (size_t)64 << 20;  /* of a segment's columns, at most */

/* Everything of a call that is on the device, but for the arguments. */
struct knn {
    struct cuda *cuda;
    struct space space;
    struct rows rows;       /* of a group of queries */
    struct columns columns; /* of a segment */
    struct collected found;
    float *d_threshold; /* [group] */
    double *d_partial;
    int *d_unfilled; /* whether a query has fewer than k answers */
    const struct mat *q;
    int k;
    float *d_dist; /* [nq][k] */
    int64_t *d_ids;
};

/* Room for candidates: several times what a segment is expected to bring. */
__host__ __device__ static int found_cap(int k)
{
    return k < 256 ? 1024 : 4 * k;
}

static int64_t group_queries(int64_t nq, int k)
{
    int64_t fit = (int64_t)(GROUP_BYTES / ((size_t)found_cap(k) * sizeof(int32_t)));

    if (fit > GROUP_QUERIES) fit = GROUP_QUERIES;
    return nq < fit ? nq : fit;
}

static int64_t segment_columns(enum elem elem, int d)
{
    size_t row = (size_t)d * elem_bytes(elem), column = (size_t)product_depth(d) * sizeof(__half);
    int64_t slot = (int64_t)(RING_SLOT_BYTES / row), image = (int64_t)(IMAGE_BYTES / column);
    int64_t fit = slot < image ? slot : image, step = TILE_COLS * TILE_STEP;

    return fit < step ? fit : fit / step * step;
}

/* n columns, nq queries of d dimensions. */
static void knn_room(struct knn *w, int64_t n, int64_t nq, int d, int k, struct room *r)
{
    w->k = k;
    w->space.d = d;
    space_room(&w->space, r);
    w->rows.n = nq;
    w->rows.depth = w->columns.depth = w->space.depth;
    rows_room(&w->rows, r);
    w->columns.n = n;
    columns_room(&w->columns, r);
    w->d_threshold = room_take<float>(r, nq);
    w->found.cap = found_cap(k);
    w->found.d_threshold = w->d_threshold;
    w->found.d_count = room_take<int32_t>(r, nq);
    w->found.d_column = room_take<int32_t>(r, nq * w->found.cap);
    w->d_partial = room_take<double>(r, space_partials(d));
    w->d_unfilled = room_take<int>(r, 1);
}

size_t cuda_knn_bytes(int d, int k, int threads)
{
    struct knn w = {};
    struct room r = {};

    (void)threads;
    knn_room(&w, segment_columns(ELEM_U8, d), group_queries(GROUP_QUERIES, k), d, k, &r);
    return r.at + RING_BYTES;
}

/* ---- thresholds ---- */

/* The score below which no column can come before a query's k-th answer. */
__global__ static void set_thresholds(const struct product_facts *facts, struct rows rows, int k,
                                      const float *dist, float *threshold, int32_t *count)
{
    int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x;

    if (i >= rows.n) return;
    float length = rows.d_length[i], worst = dist[i * k + k - 1];
    float offset = product_offset(facts);
    float margin = product_margin(facts, rows.depth, length, rows.d_err[i]);
    double score =
        offset + 0.5 * ((double)rows.d_square[i] - (double)worst * facts->scale * facts->scale);

    bool counts = margin < INFINITY;

    count[i] = counts || isnan(length) ? 0 : found_cap(k) + 1; /* all columns, then, or none */
    threshold[i] = !counts ? INFINITY : score - margin > 0 ? (float)(score - margin) : 0;
}

__global__ static void find_unfilled(const float *dist, int64_t nq, int k, int *unfilled)
{
    int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x;

    if (i < nq && dist[i * k + k - 1] == INFINITY) *unfilled = 1; /* whoever writes, it is 1 */
}

/* ---- merging ---- */

struct answer {
    float dist;
    int64_t id;
};

/* Unfilled answers have id -1, which is the last as an unsigned number. */
__device__ __forceinline__ bool comes_before(float dist, int64_t id, float dist2, int64_t id2)
{
    return dist < dist2 || (dist == dist2 && (uint64_t)id < (uint64_t)id2);
}

/* Bitonic, by the whole block; n is a power of two. */
__device__ static void sort_answers(float *dist, int64_t *id, int n)
{
    for (int size = 2; size <= n; size *= 2)
        for (int stride = size / 2; stride; stride /= 2) {
            __syncthreads();
            for (int t = (int)threadIdx.x; t < n / 2; t += THREADS) {
                int a = 2 * t - t % stride, b = a + stride;
                bool ascending = (a & size) == 0;

                if (comes_before(dist[b], id[b], dist[a], id[a]) == ascending) {
                    float dist_a = dist[a];
                    int64_t id_a = id[a];

                    dist[a] = dist[b], id[a] = id[b];
                    dist[b] = dist_a, id[b] = id_a;
                }
            }
        }
    __syncthreads();
}

/*
 * Merges `fresh` answers at [k] ... into the k sorted ones before them, by finding each its place:
 * quicker than sorting all where they are few. Every thread holds what it will write before any does.
 */
__device__ static void insert_answers(float *dist, int64_t *id, int k, int fresh)
{
    enum { HELD = (K_MAX + FEW + THREADS - 1) / THREADS };
    struct answer held[HELD];
    int place[HELD];

#pragma unroll
    for (int h = 0; h < HELD; h++) {
        int i = h * THREADS + (int)threadIdx.x;

        place[h] = k;
        if (i >= k + fresh) continue;
        held[h] = {dist[i], id[i]};
        place[h] = 0;
        for (int t = k; t < k + fresh; t++)
            place[h] += t != i && comes_before(dist[t], id[t], held[h].dist, held[h].id);
        if (i < k) {
            place[h] += i;
        } else {
            int lo = 0, hi = k; /* how many of the k come before */

            while (lo < hi) {
                int mid = (lo + hi) / 2;

                if (comes_before(dist[mid], id[mid], held[h].dist, held[h].id))
                    lo = mid + 1;
                else
                    hi = mid;
            }
            place[h] += lo;
        }
    }
    __syncthreads();
#pragma unroll
    for (int h = 0; h < HELD; h++)
        if (place[h] < k) {
            dist[place[h]] = held[h].dist;
            id[place[h]] = held[h].id;
        }
    __syncthreads();
}

/* The columns of a segment, as vectors. */
struct segment {
    enum elem elem;
    const void *d_x;
    int64_t n;
    vid first;
};

/* Answers sorted at once: the k there are and as many new ones. */
static int sorted_answers(int k)
{
    int n = 256;

    while (n < 2 * k)
        n *= 2;
    return n;
}

/*
 * A block a query: its candidates' exact distances, a warp each, merged into its k answers, which
 * stay sorted. Shared memory holds `room` (a power of two) answers: the k and a batch of new ones.
 */
__global__ static void merge_found(struct segment x, const float *q, int d, int k, int room,
                                   struct collected found, float *dists, int64_t *ids)
{
    extern __shared__ __align__(16) char shared[];
    __shared__ int fresh;
    int64_t *id = (int64_t *)shared;
    float *dist = (float *)(id + room);
    int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32);
    int64_t query = blockIdx.x, count = found.d_count[query];
    bool all = count > found.cap;

    if (!count) return;
    if (all) count = x.n;
    for (int i = (int)threadIdx.x; i < k; i += THREADS) {
        dist[i] = dists[query * k + i];
        id[i] = ids[query * k + i];
    }
    q += query * d;
    for (int64_t base = 0; base < count; base += room - k) {
        int64_t end = min(base + room - k, count);

        if (threadIdx.x == 0) fresh = 0;
        __syncthreads();
        float worst = dist[k - 1];
        int64_t worst_id = id[k - 1];

        for (int64_t t = base + warp; t < end; t += WARPS) {
            int64_t row = all ? t : found.d_column[query * found.cap + t];
            float exact = exact_distance(
                q, d, [=](int j) { return (double)exact_elem(x.elem, x.d_x, row * d + j); });

            if (lane || !(exact < INFINITY)) continue;
            if (!comes_before(exact, x.first + row, worst, worst_id)) continue;
            int at = k + atomicAdd(&fresh, 1);

            dist[at] = exact;
            id[at] = x.first + row;
        }
        __syncthreads();
        if (fresh <= FEW) {
            insert_answers(dist, id, k, fresh);
            continue;
        }
        for (int i = k + fresh + (int)threadIdx.x; i < room; i += THREADS) {
            dist[i] = INFINITY;
            id[i] = -1;
        }
        sort_answers(dist, id, room);
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < k; i += THREADS) {
        dists[query * k + i] = dist[i];
        ids[query * k + i] = id[i];
    }
}

/* ---- the step ---- */

static int search_group(struct knn *w, const struct segment *x, int64_t first, int64_t n)
{
    struct cuda *cuda = w->cuda;
    const float *d_q = (const float *)w->q->data.ptr + first * w->q->d;
    float *d_dist = w->d_dist + first * w->k;
    int room = sorted_answers(w->k), d = w->q->d, rc;
    size_t shared = (size_t)room * (sizeof(float) + sizeof(int64_t));

    w->rows.n = n;
    if ((rc = rows_pack(cuda, &w->space, ELEM_F32, d_q, &w->rows)) < 0) return rc;
    if ((rc = columns_norms(cuda, &w->space, &w->columns)) < 0) return rc;
    set_thresholds<<<(unsigned)((n + THREADS - 1) / THREADS), THREADS, 0, cuda->stream>>>(
        w->space.d_facts, w->rows, w->k, d_dist, w->d_threshold, w->found.d_count);
    if ((rc = cuda_launched(cuda, "set_thresholds")) < 0) return rc;
    if ((rc = product_collect(cuda, &w->rows, NULL, NULL, &w->columns, &w->found)) < 0) return rc;
    if ((rc = CU(cudaFuncSetAttribute(merge_found, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      (int)shared))) < 0)
        return rc;
    merge_found<<<(unsigned)n, THREADS, shared, cuda->stream>>>(*x, d_q, d, w->k, room, w->found,
                                                                d_dist, w->d_ids + first * w->k);
    return cuda_launched(cuda, "merge_found");
}

static int search_segment(struct knn *w, const struct segment *x)
{
    int64_t nq = w->q->rows, group = group_queries(nq, w->k);
    int rc;

    w->columns.n = x->n;
    w->columns.tiles = columns_tiles(x->n);
    if ((rc = columns_pack(w->cuda, &w->space, x->elem, x->d_x, &w->columns)) < 0) return rc;
    for (int64_t at = 0; at < nq; at += group)
        if ((rc = search_group(w, x, at, nq - at < group ? nq - at : group)) < 0) return rc;
    return 0;
}

/* A segment that, after `seen` vectors, is expected to bring a query a third of its room at most. */
static int64_t segment_after(int64_t seen, int k)
{
    return seen < found_cap(k) ? found_cap(k) : 3 * seen;
}

static int search_slot(struct knn *w, struct segment x, int64_t *seen)
{
    size_t row = (size_t)w->q->d * elem_bytes(x.elem);
    int64_t left = x.n;
    int rc;

    for (; left > 0; left -= x.n) {
        x.n = segment_after(*seen, w->k);
        if (x.n > left) x.n = left;
        if ((rc = search_segment(w, &x)) < 0) return rc;
        x.d_x = (const char *)x.d_x + (size_t)x.n * row;
        x.first += x.n;
        *seen += x.n;
    }
    return 0;
}

/* How many vectors the answers so far come from: by what x says, but none where one has not k yet. */
static int count_seen(struct knn *w, const struct block *x, int64_t *seen)
{
    int64_t nq = w->q->rows;
    int unfilled, rc;

    if ((rc = CU(cudaMemsetAsync(w->d_unfilled, 0, sizeof(int), w->cuda->stream))) < 0) return rc;
    find_unfilled<<<(unsigned)((nq + THREADS - 1) / THREADS), THREADS, 0, w->cuda->stream>>>(
        w->d_dist, nq, w->k, w->d_unfilled);
    if ((rc = cuda_launched(w->cuda, "find_unfilled")) < 0) return rc;
    if ((rc = CU(cudaMemcpyAsync(&unfilled, w->d_unfilled, sizeof unfilled, cudaMemcpyDeviceToHost,
                                 w->cuda->stream))) < 0)
        return rc;
    if ((rc = CU(cudaStreamSynchronize(w->cuda->stream))) < 0) return rc;
    *seen = unfilled ? 0 : x->first > w->k ? x->first : w->k;
    return 0;
}

static int search_block(struct knn *w, const struct block *x)
{
    size_t row = (size_t)x->d * elem_bytes(x->elem);
    int64_t most = segment_columns(x->elem, x->d), seen = 0;
    int rc;

    if ((rc = space_fit(w->cuda, &w->space, ELEM_F32, w->q->data.ptr, w->q->rows, w->d_partial)) <
        0)
        return rc;
    if ((rc = count_seen(w, x, &seen)) < 0) return rc;
    for (int64_t at = 0, n; at < x->rows; at += n) {
        struct segment slot = {x->elem, NULL, 0, x->first + at};

        slot.n = n = x->rows - at < most ? x->rows - at : most;
        if ((rc = ring_send(w->cuda, (const char *)x->ptr + (size_t)at * row, (size_t)n * row,
                            &slot.d_x)) < 0)
            return rc;
        if ((rc = search_slot(w, slot, &seen)) < 0) return rc;
        if ((rc = ring_done(w->cuda)) < 0) return rc;
    }
    return 0;
}

static int take_room(struct knn *w, const struct block *x)
{
    int64_t most = segment_columns(x->elem, x->d), nq = group_queries(w->q->rows, w->k);
    struct room r = {};
    int rc;

    knn_room(w, x->rows < most ? x->rows : most, nq, x->d, w->k, &r);
    if ((rc = cuda_scratch(w->cuda, r.at, &r.base)) < 0) return rc;
    r.at = 0;
    knn_room(w, x->rows < most ? x->rows : most, nq, x->d, w->k, &r);
    return 0;
}

int cuda_knn(struct backend *b, const struct block *x, const struct mat *q, int k, struct buf dist,
             struct buf ids)
{
    struct knn w = {};
    int rc;

    if (!x->rows || !q->rows) return 0;
    w.cuda = cuda_of(b);
    w.q = q;
    w.k = k;
    w.d_dist = (float *)dist.ptr;
    w.d_ids = (int64_t *)ids.ptr;
    if ((rc = cuda_start(w.cuda)) < 0) return rc;
    if ((rc = take_room(&w, x)) == 0) rc = search_block(&w, x);
    return cuda_finish(w.cuda, rc);
}
