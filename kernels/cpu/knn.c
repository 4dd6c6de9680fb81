/*
 * Exact nearest neighbours of a block by brute force: a part of the block as fp32 once, then each
 * thread multiplies a tile of queries by it, chunk by chunk, and pools what may still win. A part's
 * winners are merged with those of the parts before. A part has a size of its own, so that memory
 * does not grow with the block, be it of bytes that become four times as long.
 */
#include <math.h>
#include <omp.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/pool.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/rows.h"

enum { TILE_Q = 64, CHUNK = 512 };
enum { PART_BYTES = 16 << 20 }; /* of rows as fp32, or one chunk */

/* A part of the block, as all threads see it. */
struct work {
    struct block x;
    float *rows, *norm; /* [x.rows][d] as fp32; [x.rows] */
    double max_norm;
    int whole;
    const struct mat *q;
    int k;
    float *dist; /* [nq][k]: the answers so far */
    vid *ids;
};

/* One query of the tile, for the pool's callback. */
struct query {
    const struct work *w;
    const float *q;
};

/* A thread's region. */
struct space {
    float *dot, *q_norm, *score, *tmp_dist;
    int64_t *pos;
    vid *tmp_ids;
    struct pool *pool;
    struct query *query;
};

static size_t space_bytes(int k)
{
    size_t cap = (size_t)pool_cap(k);

    return TILE_Q * (CHUNK * sizeof(float) + sizeof(float) + cap * (sizeof(float) + sizeof(vid)) +
                     sizeof(struct pool) + sizeof(struct query)) +
           (cap + (size_t)k) * (sizeof(float) + sizeof(vid));
}

static struct space space_at(char *region, int k)
{
    int64_t cap = pool_cap(k);
    struct space s;

    s.pool = (struct pool *)region;
    s.query = (struct query *)(s.pool + TILE_Q);
    s.pos = (int64_t *)(s.query + TILE_Q);
    s.tmp_ids = s.pos + TILE_Q * cap;
    s.dot = (float *)(s.tmp_ids + cap + k);
    s.q_norm = s.dot + TILE_Q * CHUNK;
    s.score = s.q_norm + TILE_Q;
    s.tmp_dist = s.score + TILE_Q * cap;
    return s;
}

/* pool_exact: pos is the row in the part. */
static void exact(const void *ctx, const int64_t *pos, int n, float *dist, vid *ids)
{
    const struct query *query = ctx;
    const struct work *w = query->w;
    int d = w->q->d;

    for (int i = 0; i < n; i += 16) {
        const void *row[16];
        int some = n - i < 16 ? n - i : 16;

        for (int j = 0; j < some; j++) {
            row[j] = w->rows + pos[i + j] * d;
            ids[i + j] = w->x.first + pos[i + j];
        }
        if (dist) rows_distances(ELEM_F32, query->q, row, some, d, dist + i);
    }
}

/* Pools that already know how near a row must come, from the parts before. */
static void start_tile(const struct work *w, struct space *s, int64_t first, int64_t nq)
{
    int64_t cap = pool_cap(w->k);
    int d = w->q->d;
    const float *q = (const float *)w->q->data.ptr + first * d;

    rows_norms(q, nq, d, s->q_norm);
    for (int64_t i = 0; i < nq; i++) {
        int whole = w->whole && rows_whole(q + i * d, d);
        float margin = product_margin(sqrt(s->q_norm[i]), w->max_norm, d, whole);
        float kth = w->dist[(first + i + 1) * w->k - 1];
        struct pool *p = s->pool + i;

        s->query[i] = (struct query){w, q + i * d};
        p->score = s->score + i * cap;
        p->pos = s->pos + i * cap;
        p->tmp_dist = s->tmp_dist;
        p->tmp_ids = s->tmp_ids;
        pool_start(p, w->k, s->q_norm[i], margin, exact, s->query + i);
        if (kth < INFINITY && margin < INFINITY)
            p->bound = nextafterf((float)((double)kth - s->q_norm[i] + margin), INFINITY);
    }
}

/* The k first of what was found before and what this part brings. */
static void merge(const struct work *w, struct space *s, struct pool *p, int64_t qi)
{
    int k = w->k, found = k;
    float *dist = s->tmp_dist + pool_cap(k), *out_dist = w->dist + qi * k;
    vid *ids = s->tmp_ids + pool_cap(k), *out_ids = w->ids + qi * k;

    if (!p->count) return;
    pool_finish(p, dist, ids);
    for (int i = 0; i < k; i++) { /* pool_finish is done with the pool's own tmp */
        s->tmp_dist[i] = out_dist[i];
        s->tmp_ids[i] = out_ids[i] < 0 ? INT64_MAX : out_ids[i];
    }
    for (int i = 0; i < k && ids[i] >= 0; i++) {
        s->tmp_dist[found] = dist[i];
        s->tmp_ids[found++] = ids[i];
    }
    pool_sort(s->tmp_dist, s->tmp_ids, found);
    for (int i = 0; i < k; i++) {
        out_dist[i] = s->tmp_dist[i];
        out_ids[i] = s->tmp_ids[i] == INT64_MAX ? -1 : s->tmp_ids[i];
    }
}

static void knn_tile(const struct work *w, struct space *s, int64_t first, int64_t nq)
{
    int d = w->q->d;
    const float *q = (const float *)w->q->data.ptr + first * d;

    start_tile(w, s, first, nq);
    for (int64_t j = 0; j < w->x.rows; j += CHUNK) {
        int64_t n = w->x.rows - j < CHUNK ? w->x.rows - j : CHUNK;

        product(q, nq, w->rows + j * d, n, d, s->dot);
        for (int64_t i = 0; i < nq; i++)
            pool_push_products(s->pool + i, w->norm + j, s->dot + i * n, n, j);
    }
    for (int64_t i = 0; i < nq; i++)
        merge(w, s, s->pool + i, first + i);
}

/* The part as fp32, its norms and what bounds them. */
static void prepare(struct work *w, const struct cpu *cpu)
{
    const struct block *x = &w->x;
    size_t row_bytes = (size_t)x->d * elem_bytes(x->elem);
    float max = 0;
    int whole = 1;

#pragma omp parallel for num_threads(cpu->threads) reduction(max : max) reduction(&& : whole)
    for (int64_t i = 0; i < x->rows; i++) {
        float *row = w->rows + i * x->d;

        rows_to_f32(x->elem, (const char *)x->ptr + (size_t)i * row_bytes, x->d, row);
        rows_norms(row, 1, x->d, w->norm + i);
        max = w->norm[i] > max ? w->norm[i] : max;
        whole = whole && rows_whole(row, x->d);
    }
    w->max_norm = sqrt(max);
    w->whole = whole;
}

static int64_t part_rows(int d)
{
    int64_t rows = PART_BYTES / ((int64_t)d * (int64_t)sizeof(float));

    return rows < CHUNK ? CHUNK : rows;
}

size_t cpu_knn_bytes(int d, int k, int threads)
{
    return (size_t)part_rows(d) * ((size_t)d + 1) * sizeof(float) +
           (size_t)threads * space_bytes(k);
}

static void knn_part(struct work *w, const struct cpu *cpu)
{
    int64_t nq = w->q->rows;

    prepare(w, cpu);
#pragma omp parallel for schedule(dynamic) num_threads(cpu->threads)
    for (int64_t i = 0; i < nq; i += TILE_Q) {
        struct space s = space_at(cpu_region(cpu), w->k);

        knn_tile(w, &s, i, nq - i < TILE_Q ? nq - i : TILE_Q);
    }
}

int cpu_knn(struct backend *b, const struct block *x, const struct mat *q, int k, struct buf dist,
            struct buf ids)
{
    struct cpu *cpu = cpu_of(b);
    struct work w = {.x = *x, .q = q, .k = k, .dist = dist.ptr, .ids = ids.ptr};
    int64_t most = part_rows(x->d) < x->rows ? part_rows(x->d) : x->rows;
    size_t row_bytes = (size_t)x->d * elem_bytes(x->elem);
    int rc = ERR_NOMEM;

    if (!(w.norm = mem_new(most, sizeof *w.norm))) goto out;
    if (!(w.rows = mem_new(most * x->d, sizeof *w.rows))) goto out;
    if ((rc = cpu_scratch(cpu, space_bytes(k))) < 0) goto out;
    for (int64_t i = 0; i < x->rows; i += most) {
        w.x.ptr = (const char *)x->ptr + (size_t)i * row_bytes;
        w.x.first = x->first + i;
        w.x.rows = x->rows - i < most ? x->rows - i : most;
        knn_part(&w, cpu);
    }
out:
    mem_free(w.rows);
    mem_free(w.norm);
    return rc;
}
