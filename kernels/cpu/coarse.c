/*
 * Tiles of queries times all centroids, the nprobe best of each kept in a pool. Exact distances
 * are computed only for lists so near the last place that scores cannot tell.
 */
#include "kernels/cpu/coarse.h"

#include <math.h>
#include <omp.h>

#include "kernels/cpu/pool.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/tile.h"

static const size_t POOL_BYTES = (size_t)16 << 20; /* a thread's pools, at any nprobe */

/* One query of the tile, for its pool's callback. */
struct query {
    const struct lists *l;
    const float *q;
};

/* A thread's region. */
struct space {
    struct tile_hits *hits;
    struct pool *pool;   /* [tile] */
    struct query *query; /* [tile] */
    float *score, *panels, *dot, *tmp_dist;
    int64_t *pos;
    vid *tmp_ids;
};

static int64_t tile_size(int nprobe)
{
    size_t each = (size_t)pool_cap(nprobe) * (sizeof(float) + sizeof(int64_t));
    int64_t tile = (int64_t)(POOL_BYTES / each);

    return tile < 1 ? 1 : tile > TILE_QUERIES ? TILE_QUERIES : tile;
}

size_t coarse_region(int d, int nprobe)
{
    size_t tile = (size_t)tile_size(nprobe), cap = (size_t)pool_cap(nprobe);

    return sizeof(struct tile_hits) +
           tile * (sizeof(struct pool) + sizeof(struct query) +
                   cap * (sizeof(float) + sizeof(int64_t))) +
           cap * (sizeof(float) + sizeof(vid)) +
           (TILE_QUERIES * (size_t)d + TILE_ROWS) * sizeof(float);
}

static struct space space_at(char *region, int nprobe)
{
    int64_t tile = tile_size(nprobe), cap = pool_cap(nprobe);
    struct space s;

    s.hits = (struct tile_hits *)region;
    s.pool = (struct pool *)(s.hits + 1);
    s.query = (struct query *)(s.pool + tile);
    s.pos = (int64_t *)(s.query + tile);
    s.tmp_ids = s.pos + tile * cap;
    s.score = (float *)(s.tmp_ids + cap);
    s.tmp_dist = s.score + tile * cap;
    s.dot = s.tmp_dist + cap;
    s.panels = s.dot + TILE_ROWS;
    return s;
}

/* pool_exact: pos is the list. */
static void exact(const void *ctx, const int64_t *pos, int n, float *dist, vid *ids)
{
    const struct query *query = ctx;
    const struct lists *l = query->l;

    for (int i = 0; i < n; i++) {
        const void *row = l->coarse + pos[i] * l->desc.d;

        ids[i] = pos[i];
        if (dist) rows_distances(ELEM_F32, query->q, &row, 1, l->desc.d, dist + i);
    }
}

static void start_tile(const struct lists *l, const float *q, const float *q_norm, int64_t nq,
                       int nprobe, struct space *s)
{
    const float *rows[TILE_QUERIES];
    int64_t cap = pool_cap(nprobe);
    int d = l->desc.d;

    for (int64_t i = 0; i < nq; i++) {
        int whole = l->coarse_whole && rows_whole(q + i * d, d);
        float margin = product_margin(sqrt(q_norm[i]), l->coarse_max, d, whole);
        struct pool *p = s->pool + i;

        rows[i] = q + i * d;
        s->query[i] = (struct query){l, rows[i]};
        p->score = s->score + i * cap;
        p->pos = s->pos + i * cap;
        p->tmp_dist = s->tmp_dist;
        p->tmp_ids = s->tmp_ids;
        pool_start(p, nprobe, q_norm[i], margin, exact, s->query + i);
    }
    tile_pack(rows, (int)nq, d, s->panels);
}

/* A tile of centroids, from number j on, times the tile of queries. */
static void score_lists(const struct lists *l, int64_t j, int64_t nq, struct space *s)
{
    int d = l->desc.d, n = l->desc.nlist - j < TILE_ROWS ? (int)(l->desc.nlist - j) : TILE_ROWS;
    const float *rows = l->coarse + j * d, *norm = l->coarse_norm + j;
    float bound[TILE_QUERIES];

    for (int64_t i = 0; i < TILE_QUERIES; i++) {
        bound[i] = NAN; /* no score is within it */
        if (i >= nq) continue;
        if (s->pool[i].margin < INFINITY) {
            bound[i] = s->pool[i].bound;
            continue;
        }
        rows_dots(rows, n, d, s->query[i].q, s->dot);
        pool_push_products(s->pool + i, norm, s->dot, n, j);
    }
    tile_scan(rows, norm, n, d, s->panels, ((int)nq + LANES - 1) / LANES, bound, s->hits);
    for (int64_t i = 0; i < nq; i++)
        pool_push_rows(s->pool + i, s->hits->score[i], s->hits->row[i], s->hits->count[i], j);
}

void coarse_search(const struct cpu *cpu, const struct lists *l, const float *q,
                   const float *q_norm, int64_t nq, int nprobe, int reserved, int32_t *probe,
                   int32_t *nprobes)
{
    int64_t tile = tile_size(reserved);
    int d = l->desc.d;

#pragma omp parallel for schedule(dynamic) num_threads(cpu->threads)
    for (int64_t i = 0; i < nq; i += tile) {
        struct space s = space_at(cpu_region(cpu), reserved);
        int64_t some = nq - i < tile ? nq - i : tile;

        start_tile(l, q + i * d, q_norm + i, some, nprobe, &s);
        for (int64_t j = 0; j < l->desc.nlist; j += TILE_ROWS)
            score_lists(l, j, some, &s);
        for (int64_t t = 0; t < some; t++)
            nprobes[i + t] = rows_not_finite(s.query[t].q, 1, d) < 0
                                 ? pool_members(s.pool + t, probe + (i + t) * nprobe)
                                 : 0;
    }
}
