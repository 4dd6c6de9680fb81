/*
 * The nearest centroid of each row, exactly, at the speed of fp16 products.
 *
 * For a chunk of rows at a time: (1) the fused product leaves each row's best group of 8 centroids
 * and how good the best of all others is; (2) where that is worse by more than the margin, the
 * group holds the nearest, and 8 exact distances say which: nearly all rows of SIFT's kind; (3) the
 * rest go through the product once more, which collects what is within the margin of the best, (4)
 * and exact distances decide among those. Where they are too many to keep (ties without end, values
 * that fp16 makes nothing of) all centroids are gone through: slow, and as exact. How many rows are
 * undecided only the device knows; nothing is waited for.
 */
#include "kernels/cuda/assign.h"

#include <cmath>

#include "engine/base/mem.h"
#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/product.h"

enum { THREADS = 256, WARPS = THREADS / 32 };
enum {
    CHUNK_ROWS = 8 * 132 * TILE_ROWS
};                        /* whole waves on an H100 or H200; else a wave's rest is lost */
enum { MOST_SMS = 256 };  /* for what is planned before there is a device */
enum { CANDIDATES = 32 }; /* collected for an undecided row; more, and all centroids are tried */

struct assigner {
    struct cuda *cuda;
    const float *d_c; /* [nlist][d] */
    struct space space;
    struct columns columns;
    void *d_mem;
    size_t bytes;
};

/* Of one chunk of rows. */
struct chunk {
    struct rows rows;
    struct best_two two;
    struct collected found; /* of undecided rows, by their places in d_row */
    int32_t *d_row;         /* [rows]: the undecided */
    int32_t *d_n;           /* how many */
    float *d_threshold;     /* [rows] */
    float *d_dist;          /* [rows] */
};

static void assigner_room(struct assigner *a, struct room *r)
{
    space_room(&a->space, r);
    a->columns.depth = a->space.depth;
    columns_room(&a->columns, r);
}

static void chunk_room(struct chunk *c, struct room *r)
{
    int64_t n = c->rows.n;

    rows_room(&c->rows, r);
    c->two.d_best = room_take<float>(r, n * c->two.splits);
    c->two.d_second = room_take<float>(r, n * c->two.splits);
    c->two.d_group = room_take<int32_t>(r, n * c->two.splits);
    c->d_threshold = room_take<float>(r, n);
    c->found.cap = CANDIDATES;
    c->found.d_threshold = c->d_threshold;
    c->found.d_count = room_take<int32_t>(r, n);
    c->found.d_column = room_take<int32_t>(r, n * CANDIDATES);
    c->d_row = room_take<int32_t>(r, n);
    c->d_n = room_take<int32_t>(r, 1);
    c->d_dist = room_take<float>(r, n);
}

static int64_t chunk_rows(int64_t rows)
{
    return rows < CHUNK_ROWS ? rows : (int64_t)CHUNK_ROWS;
}

/* ---- rows that one group decides ---- */

/* The best over all parts of the columns; in every lane. */
__device__ __forceinline__ void merge_splits(const struct best_two &two, int64_t n, int64_t row,
                                             float *best, float *second, int32_t *group)
{
    *best = *second = 0;
    *group = 0;
    for (int s = 0; s < two.splits; s++) {
        float b = two.d_best[s * n + row];

        *second = fmaxf(fmaxf(*second, two.d_second[s * n + row]), fminf(*best, b));
        if (b > *best) {
            *best = b;
            *group = two.d_group[s * n + row];
        }
    }
}

/*
 * A warp a row: is it decided? Then four lanes for each of its group's 8 centroids.
 * Reads 8 rows of c, mostly out of the L2: 4 KB a row at d 128.
 */
__global__ static void decide_rows(enum elem elem, const void *x, int d, const float *c,
                                   int64_t nlist, const struct product_facts *facts,
                                   struct chunk chunk, int32_t *list)
{
    int lane = (int)(threadIdx.x % 32);
    int64_t n = chunk.rows.n, warps = (int64_t)gridDim.x * WARPS;

    for (int64_t i = (blockIdx.x * (int64_t)THREADS + threadIdx.x) / 32; i < n; i += warps) {
        float best, second, margin;
        int32_t group;

        merge_splits(chunk.two, n, i, &best, &second, &group);
        margin =
            product_margin(facts, chunk.rows.depth, chunk.rows.d_length[i], chunk.rows.d_err[i]);
        if (!(best - second > margin)) {
            if (lane) continue;
            int at = atomicAdd(chunk.d_n, 1);

            chunk.d_row[at] = (int32_t)i;
            chunk.d_threshold[at] = margin < INFINITY ? best - margin : INFINITY;
            chunk.found.d_count[at] = margin < INFINITY ? 0 : CANDIDATES + 1; /* all, then */
            list[i] = 0;
            chunk.d_dist[i] = 0;
            continue;
        }
        int64_t column = min(group_column(group, lane / 4), nlist - 1);
        float dist = exact_by_lanes<4>(elem, x, i * d, c + column * d, d);

        for (int lanes = 4; lanes < 32; lanes *= 2) {
            float dist2 = __shfl_xor_sync(WARP_ALL, dist, lanes);
            int64_t column2 = __shfl_xor_sync(WARP_ALL, column, lanes);

            if (dist2 < dist || (dist2 == dist && column2 < column)) {
                dist = dist2;
                column = column2;
            }
        }
        if (lane) continue;
        list[i] = dist < INFINITY ? (int32_t)column : 0; /* all are past fp32 then: the lowest */
        chunk.d_dist[i] = dist;
    }
}

/* ---- rows that it does not ---- */

/* A block an undecided row: among its candidates, or all centroids where those overflowed. */
__global__ static void settle_rows(enum elem elem, const void *x, int d, const float *c,
                                   int64_t nlist, struct chunk chunk, int32_t *list)
{
    __shared__ float dists[WARPS];
    __shared__ int64_t columns[WARPS];
    int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32);

    for (int64_t u = blockIdx.x; u < *chunk.d_n; u += gridDim.x) {
        int64_t row = chunk.d_row[u];
        int count = chunk.found.d_count[u];
        bool all = count > CANDIDATES;
        float dist = INFINITY;
        int64_t column = 0;

        for (int64_t t = warp; t < (all ? nlist : count); t += WARPS) {
            int64_t candidate = all ? t : chunk.found.d_column[u * CANDIDATES + t];
            const float *y = c + candidate * d;
            float exact = exact_between(
                d, [=](int j) { return exact_elem(elem, x, row * d + j); },
                [=](int j) { return (double)y[j]; });

            if (exact < dist || (exact == dist && candidate < column)) {
                dist = exact;
                column = candidate;
            }
        }
        if (lane == 0) {
            dists[warp] = dist;
            columns[warp] = column;
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            for (int w = 1; w < WARPS; w++)
                if (dists[w] < dist || (dists[w] == dist && columns[w] < column)) {
                    dist = dists[w];
                    column = columns[w];
                }
            list[row] = dist < INFINITY ? (int32_t)column : 0;
            chunk.d_dist[row] = dist;
        }
        __syncthreads();
    }
}

/* total[b] += the distances of a share of the rows; a block each, its threads' sums as a tree. */
__global__ static void add_distances(const float *dist, int64_t n, double *total)
{
    __shared__ double sums[THREADS];
    int64_t first = n * blockIdx.x / gridDim.x, end = n * (blockIdx.x + 1) / gridDim.x;
    double sum = 0;

    for (int64_t i = first + threadIdx.x; i < end; i += THREADS)
        sum += dist[i];
    sums[threadIdx.x] = sum;
    for (int half = THREADS / 2; half; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x == 0) total[blockIdx.x] += sums[0];
}

/* ---- the steps ---- */

static int run_chunk(const struct assigner *a, enum elem elem, const void *d_x, struct chunk *chunk,
                     int32_t *d_list, double *d_total)
{
    struct cuda *cuda = a->cuda;
    struct columns columns = a->columns;
    int64_t n = chunk->rows.n;
    int d = a->space.d, rc;

    if ((rc = rows_pack(cuda, &a->space, elem, d_x, &chunk->rows)) < 0) return rc;
    if ((rc = columns_norms(cuda, &a->space, &columns)) < 0) return rc;
    if ((rc = product_best_two(cuda, &chunk->rows, &columns, &chunk->two)) < 0) return rc;
    if ((rc = CU(cudaMemsetAsync(chunk->d_n, 0, sizeof(int32_t), cuda->stream))) < 0) return rc;
    decide_rows<<<cuda_grid(cuda, n * 32, THREADS), THREADS, 0, cuda->stream>>>(
        elem, d_x, d, a->d_c, columns.n, a->space.d_facts, *chunk, d_list);
    if ((rc = cuda_launched(cuda, "decide_rows")) < 0) return rc;
    if ((rc = product_collect(cuda, &chunk->rows, chunk->d_row, chunk->d_n, &columns,
                              &chunk->found)) < 0)
        return rc;
    settle_rows<<<cuda->sms * 4, THREADS, 0, cuda->stream>>>(elem, d_x, d, a->d_c, columns.n,
                                                             *chunk, d_list);
    if ((rc = cuda_launched(cuda, "settle_rows")) < 0) return rc;
    if (!d_total) return 0;
    add_distances<<<ASSIGN_SUMS, THREADS, 0, cuda->stream>>>(chunk->d_dist, n, d_total);
    return cuda_launched(cuda, "add_distances");
}

/* Rows in chunks whose arrays begin at room. */
static int run_rows(const struct assigner *a, const struct mat *x, struct room room,
                    int32_t *d_list, double *d_total)
{
    size_t row_bytes = (size_t)x->d * elem_bytes(x->elem);
    int rc;

    for (int64_t at = 0, n; at < x->rows; at += n) {
        struct room r = room;
        struct chunk chunk = {};

        n = chunk_rows(x->rows - at);
        chunk.rows.n = n;
        chunk.rows.depth = a->space.depth;
        chunk.two.splits = product_splits(a->cuda, n, a->columns.tiles);
        chunk_room(&chunk, &r);
        if ((rc = run_chunk(a, x->elem, (const char *)x->data.ptr + (size_t)at * row_bytes, &chunk,
                            d_list + at, d_total)) < 0)
            return rc;
    }
    return 0;
}

/*
 * Bytes of the chunks' arrays for so many rows. Columns are cut into parts only as far as the device
 * needs it to be busy, so rows times parts has a bound of its own (struct work).
 */
static size_t chunks_bytes(int depth, int64_t rows)
{
    struct room r = {};
    struct chunk chunk = {};
    int64_t n = chunk_rows(rows), parts = 16 * (int64_t)MOST_SMS * TILE_ROWS + n + TILE_ROWS;

    chunk.rows.n = n;
    chunk.rows.depth = depth;
    chunk_room(&chunk, &r);
    room_take<float>(&r, 3 * (parts + 64));
    return r.at;
}

static int make_ready(struct assigner *a, double *d_partial)
{
    int rc;

    if ((rc = space_fit(a->cuda, &a->space, ELEM_F32, a->d_c, a->columns.n, d_partial)) < 0)
        return rc;
    return columns_pack(a->cuda, &a->space, ELEM_F32, a->d_c, &a->columns);
}

static size_t partial_bytes(int d)
{
    return (size_t)space_partials(d) * sizeof(double);
}

int assigner_create(struct assigner **out, struct cuda *cuda, const float *d_c, int64_t nlist,
                    int d)
{
    struct assigner *a;
    struct room r = {};
    char *d_scratch;
    int rc;

    if (!(a = (struct assigner *)mem_new(1, sizeof *a))) return ERR_NOMEM;
    a->cuda = cuda;
    a->d_c = d_c;
    a->space.d = d;
    a->columns.n = nlist;
    a->bytes = assigner_bytes(nlist, d);
    if ((rc = cuda_malloc(cuda, &a->d_mem, a->bytes)) < 0) goto out;
    r.base = (char *)a->d_mem;
    assigner_room(a, &r);
    if ((rc = cuda_scratch(cuda, partial_bytes(d), &d_scratch)) < 0) goto out;
    if ((rc = make_ready(a, (double *)d_scratch)) < 0) goto out;
    *out = a;
    a = NULL;
out:
    assigner_free(a);
    return rc;
}

void assigner_free(struct assigner *a)
{
    if (!a) return;
    cuda_free(a->cuda, a->d_mem, a->bytes);
    mem_free(a);
}

int assigner_run(struct assigner *a, const struct mat *x, int32_t *d_list, double *d_total)
{
    struct room r = {};
    int rc;

    if ((rc = cuda_scratch(a->cuda, chunks_bytes(a->space.depth, x->rows), &r.base)) < 0) return rc;
    return run_rows(a, x, r, d_list, d_total);
}

size_t assigner_bytes(int64_t nlist, int d)
{
    struct assigner a = {};
    struct room r = {};

    a.space.d = d;
    a.columns.n = nlist;
    assigner_room(&a, &r);
    return r.at;
}

size_t assigner_scratch(int d, int64_t rows)
{
    size_t chunks = chunks_bytes(product_depth(d), rows);

    return chunks > partial_bytes(d) ? chunks : partial_bytes(d);
}

/* One assignment, with all it needs in one region. */
struct once {
    struct assigner a;
    double *d_partial, *d_total;
    struct room chunks; /* what is left of the region */
};

static void once_room(struct once *w, struct room *r)
{
    assigner_room(&w->a, r);
    w->d_partial = room_take<double>(r, space_partials(w->a.space.d));
    w->d_total = room_take<double>(r, ASSIGN_SUMS);
    w->chunks = *r;
}

size_t assign_once_scratch(int64_t nlist, int d, int64_t rows)
{
    struct once w = {};
    struct room r = {};

    w.a.space.d = d;
    w.a.columns.n = nlist;
    once_room(&w, &r);
    return r.at + chunks_bytes(product_depth(d), rows);
}

static int assign_once(struct once *w, const struct mat *x, const struct mat *c, int32_t *d_list)
{
    struct cuda *cuda = w->a.cuda;
    struct room r = {};
    int rc;

    w->a.d_c = (const float *)c->data.ptr;
    w->a.space.d = c->d;
    w->a.columns.n = c->rows;
    if ((rc = cuda_scratch(cuda, assign_once_scratch(c->rows, c->d, x->rows), &r.base)) < 0)
        return rc;
    once_room(w, &r);
    if ((rc = CU(cudaMemsetAsync(w->d_total, 0, ASSIGN_SUMS * sizeof *w->d_total, cuda->stream))) <
        0)
        return rc;
    if ((rc = make_ready(&w->a, w->d_partial)) < 0) return rc;
    return run_rows(&w->a, x, w->chunks, d_list, w->d_total);
}

int cuda_assign(struct backend *b, const struct mat *x, const struct mat *c, struct buf list,
                double *total)
{
    struct cuda *cuda = cuda_of(b);
    struct once w = {};
    double sums[ASSIGN_SUMS];
    int rc;

    w.a.cuda = cuda;
    if ((rc = cuda_start(cuda)) < 0) return rc;
    if ((rc = assign_once(&w, x, c, (int32_t *)list.ptr)) == 0 && total)
        rc =
            CU(cudaMemcpyAsync(sums, w.d_total, sizeof sums, cudaMemcpyDeviceToHost, cuda->stream));
    if ((rc = cuda_finish(cuda, rc)) < 0) return rc;
    if (!total) return 0;
    *total = 0;
    for (double sum : sums)
        *total += sum;
    return 0;
}
