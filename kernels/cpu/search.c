/*
 * Search, list by list. For a group of queries: the lists each visits (a product with the
 * centroids); the (query, list) pairs turned round into list order; then each chunk of a list
 * is read, or decoded, once and multiplied by all the queries that visit it. Scores that cannot
 * win are never written anywhere; the few that can go to the query's pool, under its lock.
 * (A scan of every query's nearest list before all others, for the bound that it gives, was tried:
 * it costs a second decoding and gains nothing that the pools do not know after a list or two.)
 *
 * What answers hold does not depend on the threads: a pool only ever drops what cannot win.
 */
#include <assert.h>
#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "kernels/cpu/coarse.h"
#include "kernels/cpu/codes.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/lists.h"
#include "kernels/cpu/pool.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/tile.h"

enum {
    CHUNK = TILE_ROWS, /* rows of a list taken at a time: with d 128 as fp32, 128 KiB */
    LONE_QUERIES = 4,  /* fewer than this go one by one: most lanes of a panel would be idle */
};

/* Queries a list below which it is quicker to go query by query: by tables for codes, by dot
   products for rows. Measured: kernels/README.md. */
static const double SPARSE_CODES = 12, SPARSE_ROWS = 0.5;

static const size_t GROUP_BYTES = (size_t)96 << 20; /* pools and pairs of one group */

/* One query of the group, for the pools' callbacks. */
struct query {
    const struct lists *l;
    const float *q;
};

/* What a search needs, but for the threads' regions (cpu_scratch). */
struct scratch {
    int64_t nq, group; /* reserved; queries taken at once */
    int k, nprobe;
    float *q;              /* [group][d]: transformed; NULL where there is no transform */
    float *q_norm;         /* [group] */
    struct query *query;   /* [group] */
    struct pool *pool;     /* [group] */
    atomic_flag *lock;     /* [group] */
    _Atomic float *bound;  /* [group]: the pools', to be read without their locks; NaN: no bound */
    float *score;          /* [group][pool_cap(k)] */
    int64_t *pos;          /* [group][pool_cap(k)] */
    int32_t *probe;        /* [group][nprobe]: lists, in any order */
    int32_t *nprobes;      /* [group]: how many; 0 for a query with a NaN */
    int64_t *start;        /* [nlist + 1]: pairs of list j are start[j] ... start[j + 1] - 1 */
    int32_t *visitor;      /* [group * nprobe]: queries, in list order */
    int32_t *active;       /* lists somebody visits */
    int64_t *active_chunk; /* [nactive + 1]: chunks before each */
    int64_t nactive;
};

/* A thread's region while it scans: rows as fp32, queries in panels, what gets through. */
struct scan_space {
    const float *norm; /* of the chunk's rows, in the arena */
    float *rows, *panels, *dot, *table, *tmp_dist;
    vid *tmp_ids;
    struct tile_hits *hits;
};

/* ---- room ---- */

static size_t scan_bytes(int d, int m, int k)
{
    return sizeof(struct tile_hits) +
           sizeof(float) * ((size_t)(CHUNK + TILE_QUERIES) * (size_t)d + CHUNK + (size_t)m * KSUB) +
           (size_t)pool_cap(k) * (sizeof(float) + sizeof(vid));
}

/* d_in: 0 where there is no transform. */
static size_t region_bytes(const struct lists_desc *desc, int d_in, int k, int nprobe)
{
    size_t scan = scan_bytes(desc->d, desc->m, k), coarse = coarse_region(desc->d, nprobe);
    size_t apply = applier_region(d_in);
    size_t most = scan > coarse ? scan : coarse;

    return most > apply ? most : apply;
}

static struct scan_space scan_space_at(char *region, const struct lists_desc *desc, int k)
{
    int64_t d = desc->d;
    struct scan_space s;

    s.hits = (struct tile_hits *)region;
    s.tmp_ids = (vid *)(s.hits + 1);
    s.tmp_dist = (float *)(s.tmp_ids + pool_cap(k));
    s.rows = s.tmp_dist + pool_cap(k);
    s.dot = s.rows + CHUNK * d;
    s.norm = NULL;
    s.panels = s.dot + CHUNK;
    s.table = s.panels + TILE_QUERIES * d;
    return s;
}

static size_t query_bytes(int k, int nprobe)
{
    return (size_t)pool_cap(k) * (sizeof(float) + sizeof(int64_t)) +
           (size_t)nprobe * 2 * sizeof(int32_t) + sizeof(struct pool) + sizeof(struct query) + 20;
}

static int64_t most_active(int64_t nlist, int64_t group, int nprobe)
{
    return nlist < group * nprobe ? nlist : group * nprobe;
}

static size_t scratch_bytes(const struct lists_desc *desc, int d_in, const struct search_desc *s,
                            int threads, int64_t group)
{
    size_t transformed = d_in ? (size_t)group * (size_t)desc->d * sizeof(float) : 0;

    return transformed + (size_t)group * query_bytes(s->k, s->nprobe) + (size_t)desc->nlist * 8 +
           (size_t)most_active(desc->nlist, group, s->nprobe) * 12 +
           (size_t)threads * region_bytes(desc, d_in, s->k, s->nprobe);
}

/*
 * Queries taken at once. The other options change nothing here: what precomputed_tables would keep
 * is always part of the lists, a norm a vector that Flat wants as well; float16 would save nothing,
 * since a table is a thread's and is added up in fp32.
 */
static int64_t group_size(const struct lists_desc *desc, int d_in, const struct search_desc *s,
                          int threads)
{
    int64_t group = (int64_t)(GROUP_BYTES / query_bytes(s->k, s->nprobe));

    if (group > s->nq) group = s->nq;
    while (s->temp_bytes && group > 1 &&
           scratch_bytes(desc, d_in, s, threads, group) > s->temp_bytes)
        group /= 2;
    return group < 1 ? 1 : group;
}

size_t cpu_search_bytes(const struct lists_desc *desc, const struct search_desc *s, int threads)
{
    int d_in = desc->transform ? desc->transform->d_in : 0;

    return scratch_bytes(desc, d_in, s, threads, group_size(desc, d_in, s, threads));
}

void scratch_free(struct scratch *s)
{
    if (!s) return;
    mem_free(s->q);
    mem_free(s->q_norm);
    mem_free(s->query);
    mem_free(s->pool);
    mem_free(s->lock);
    mem_free(s->bound);
    mem_free(s->score);
    mem_free(s->pos);
    mem_free(s->probe);
    mem_free(s->nprobes);
    mem_free(s->start);
    mem_free(s->visitor);
    mem_free(s->active);
    mem_free(s->active_chunk);
    mem_free(s);
}

static int scratch_fill(struct scratch *s, int64_t nlist)
{
    int64_t pairs = s->group * s->nprobe, places = s->group * pool_cap(s->k);
    int64_t lists = most_active(nlist, s->group, s->nprobe);

    if (!(s->q_norm = mem_new(s->group, sizeof *s->q_norm))) return ERR_NOMEM;
    if (!(s->query = mem_new(s->group, sizeof *s->query))) return ERR_NOMEM;
    if (!(s->pool = mem_new(s->group, sizeof *s->pool))) return ERR_NOMEM;
    if (!(s->lock = mem_new(s->group, sizeof *s->lock))) return ERR_NOMEM;
    if (!(s->bound = mem_new(s->group, sizeof *s->bound))) return ERR_NOMEM;
    if (!(s->score = mem_new(places, sizeof *s->score))) return ERR_NOMEM;
    if (!(s->pos = mem_new(places, sizeof *s->pos))) return ERR_NOMEM;
    if (!(s->probe = mem_new(pairs, sizeof *s->probe))) return ERR_NOMEM;
    if (!(s->nprobes = mem_new(s->group, sizeof *s->nprobes))) return ERR_NOMEM;
    if (!(s->start = mem_new(nlist + 1, sizeof *s->start))) return ERR_NOMEM;
    if (!(s->visitor = mem_new(pairs, sizeof *s->visitor))) return ERR_NOMEM;
    if (!(s->active = mem_new(lists, sizeof *s->active))) return ERR_NOMEM;
    if (!(s->active_chunk = mem_new(lists + 1, sizeof *s->active_chunk))) return ERR_NOMEM;
    return 0;
}

int cpu_lists_reserve(struct backend *b, struct lists *l, const struct search_desc *want)
{
    struct scratch *s = NULL;
    struct cpu *cpu = cpu_of(b);
    int d_in = l->applier ? l->d_in : 0, rc;

    if ((rc = cpu_scratch(cpu, region_bytes(&l->desc, d_in, want->k, want->nprobe))) < 0) goto out;
    rc = ERR_NOMEM;
    if (!(s = mem_new(1, sizeof *s))) goto out;
    *s = (struct scratch){.nq = want->nq,
                          .group = group_size(&l->desc, d_in, want, cpu->threads),
                          .k = want->k,
                          .nprobe = want->nprobe};
    if (d_in && !(s->q = mem_new(s->group * l->desc.d, sizeof *s->q))) goto out;
    if ((rc = scratch_fill(s, l->desc.nlist)) < 0) goto out;
    scratch_free(l->scratch);
    l->scratch = s;
    s = NULL;
out:
    scratch_free(s);
    return rc;
}

/* ---- exact distances, for the pools ---- */

/* Asks for what the exact distances will read: each row is a cache miss of its own. */
static void fetch_ahead(const struct lists *l, const int64_t *pos, int n)
{
    for (int i = 0; i < n; i++) {
        const uint8_t *row = l->rows + pos[i] * l->row_bytes;

        for (int at = 0; at < l->row_bytes && at < 512; at += 64)
            __builtin_prefetch(row + at);
        __builtin_prefetch(l->ids32 ? (const void *)(l->ids32 + pos[i])
                                    : (const void *)(l->ids64 + pos[i]));
        __builtin_prefetch(l->nearby + pos[i] / LISTS_STRIDE);
    }
}

static void exact_flat(const void *ctx, const int64_t *pos, int n, float *dist, vid *ids)
{
    const struct query *query = ctx;
    const struct lists *l = query->l;

    fetch_ahead(l, pos, n);
    for (int i = 0; i < n; i += 16) {
        const void *row[16];
        int some = n - i < 16 ? n - i : 16;

        for (int j = 0; j < some; j++) {
            row[j] = l->rows + pos[i + j] * l->row_bytes;
            ids[i + j] = lists_id(l, pos[i + j]);
        }
        if (dist) rows_distances(l->desc.storage, query->q, row, some, l->desc.d, dist + i);
    }
}

static void exact_pq(const void *ctx, const int64_t *pos, int n, float *dist, vid *ids)
{
    const struct query *query = ctx;
    const struct lists *l = query->l;

    fetch_ahead(l, pos, n);
    for (int i = 0; i < n; i += 16) {
        const uint8_t *code[16];
        const float *centroid[16];
        int some = n - i < 16 ? n - i : 16;

        for (int j = 0; j < some; j++) {
            ids[i + j] = lists_id(l, pos[i + j]);
            code[j] = l->rows + pos[i + j] * l->row_bytes;
            centroid[j] = l->coarse + lists_at(l, pos[i + j]) * l->desc.d;
        }
        if (dist)
            codes_distances(query->q, code, centroid, some, l->books, l->desc.m, l->dsub, dist + i);
    }
}

/* ---- from query order to list order ---- */

/* The pairs, counted and scattered by list. */
static void invert(const struct lists *l, struct scratch *s, int64_t nq, int nprobe)
{
    int64_t *start = s->start;

    memset(start, 0, (size_t)(l->desc.nlist + 1) * sizeof *start);
    for (int64_t i = 0; i < nq; i++)
        for (int p = 0; p < s->nprobes[i]; p++)
            start[s->probe[i * nprobe + p] + 1]++;
    for (int64_t j = 0; j < l->desc.nlist; j++)
        start[j + 1] += start[j];
    for (int64_t i = 0; i < nq; i++)
        for (int p = 0; p < s->nprobes[i]; p++)
            s->visitor[start[s->probe[i * nprobe + p]]++] = (int32_t)i;
    for (int64_t j = l->desc.nlist; j > 0; j--)
        start[j] = start[j - 1];
    start[0] = 0;
}

/* The lists that have both vectors and visitors, and how many chunks they are. */
static void list_active(const struct lists *l, struct scratch *s)
{
    s->nactive = 0;
    s->active_chunk[0] = 0;
    for (int64_t j = 0; j < l->desc.nlist; j++) {
        int64_t size = l->offset[j + 1] - l->offset[j];

        if (!size || s->start[j] == s->start[j + 1]) continue;
        s->active[s->nactive++] = (int32_t)j;
        s->active_chunk[s->nactive] = s->active_chunk[s->nactive - 1] + (size + CHUNK - 1) / CHUNK;
    }
}

/* ---- scan: a chunk of a list times its visitors ---- */

/* The pool of a query, for this thread alone. Another may hold it for a microsecond. */
static struct pool *hold(struct scratch *s, int32_t query, const struct scan_space *space)
{
    struct pool *p = s->pool + query;

    while (atomic_flag_test_and_set_explicit(s->lock + query, memory_order_acquire))
        continue;
    p->tmp_dist = space->tmp_dist;
    p->tmp_ids = space->tmp_ids;
    return p;
}

/* Bounds only fall: one that is read late lets too much through, never too little. */
static void show_bound(struct scratch *s, int64_t query)
{
    const struct pool *p = s->pool + query;

    atomic_store_explicit(s->bound + query, p->margin < INFINITY ? p->bound : NAN,
                          memory_order_relaxed);
}

static void let_go(struct scratch *s, int32_t query)
{
    show_bound(s, query);
    atomic_flag_clear_explicit(s->lock + query, memory_order_release);
}

/* One query alone: a dot product a row. */
static void scan_alone(struct scratch *s, int32_t query, const float *rows, int64_t n, int d,
                       int64_t pos, struct scan_space *space)
{
    rows_dots(rows, n, d, s->query[query].q, space->dot);
    pool_push_products(hold(s, query, space), space->norm, space->dot, n, pos);
    let_go(s, query);
}

/* Up to TILE_QUERIES queries at once. */
static void scan_tile(struct scratch *s, const int32_t *visitor, int some, const float *rows,
                      int64_t n, int d, int64_t pos, struct scan_space *space)
{
    const float *q[TILE_QUERIES];
    float bound[TILE_QUERIES];
    int panels = (some + LANES - 1) / LANES;

    for (int i = 0; i < TILE_QUERIES; i++)
        bound[i] = NAN; /* no score is within it */
    for (int i = 0; i < some; i++) {
        q[i] = s->query[visitor[i]].q;
        bound[i] = atomic_load_explicit(s->bound + visitor[i], memory_order_relaxed);
        if (isnan(bound[i])) scan_alone(s, visitor[i], rows, n, d, pos, space);
    }
    tile_pack(q, some, d, space->panels);
    tile_scan(rows, space->norm, (int)n, d, space->panels, panels, bound, space->hits);
    for (int i = 0; i < some; i++) {
        if (!space->hits->count[i]) continue;
        pool_push_rows(hold(s, visitor[i], space), space->hits->score[i], space->hits->row[i],
                       space->hits->count[i], pos);
        let_go(s, visitor[i]);
    }
}

static void scan_chunk(const struct lists *l, struct scratch *s, int64_t list, int64_t pos,
                       int64_t n, struct scan_space *space)
{
    const float *rows = lists_unpack(l, list, pos, n, space->rows);
    const int32_t *visitor = s->visitor + s->start[list];
    int64_t visitors = s->start[list + 1] - s->start[list];
    int d = l->desc.d;

    space->norm = l->norm + pos;
    for (int64_t i = 0; i < visitors; i += TILE_QUERIES) {
        int some = visitors - i < TILE_QUERIES ? (int)(visitors - i) : TILE_QUERIES;

        if (some >= LONE_QUERIES) {
            scan_tile(s, visitor + i, some, rows, n, d, pos, space);
            continue;
        }
        for (int j = 0; j < some; j++)
            scan_alone(s, visitor[i + j], rows, n, d, pos, space);
    }
}

/* The active list that chunk number i belongs to. */
static int64_t active_at(const struct scratch *s, int64_t i)
{
    int64_t lo = 0, hi = s->nactive;

    while (hi - lo > 1) {
        int64_t mid = lo + (hi - lo) / 2;

        if (s->active_chunk[mid] <= i)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static void scan(const struct cpu *cpu, const struct lists *l, struct scratch *s, int k)
{
    int64_t chunks;

    list_active(l, s);
    chunks = s->active_chunk[s->nactive];
#pragma omp parallel for schedule(dynamic) num_threads(cpu->threads)
    for (int64_t i = 0; i < chunks; i++) {
        struct scan_space space = scan_space_at(cpu_region(cpu), &l->desc, k);
        int64_t a = active_at(s, i), list = s->active[a];
        int64_t pos = l->offset[list] + (i - s->active_chunk[a]) * CHUNK;
        int64_t left = l->offset[list + 1] - pos;

        scan_chunk(l, s, list, pos, left < CHUNK ? left : CHUNK, &space);
    }
}

/* ---- few queries a list: query by query ---- */

/* All that one query visits. Nobody else wants its pool, so no lock is taken. */
static void scan_query(const struct lists *l, struct scratch *s, int64_t i, int nprobe,
                       struct scan_space *space)
{
    const float *q = s->query[i].q;
    struct pool *p = s->pool + i;
    int d = l->desc.d, m = l->desc.m;

    p->tmp_dist = space->tmp_dist;
    p->tmp_ids = space->tmp_ids;
    if (m) codes_table(q, l->books_t, m, l->dsub, space->table);
    for (int v = 0; v < s->nprobes[i]; v++) {
        int64_t list = s->probe[i * nprobe + v], end = l->offset[list + 1];
        float base = 0;

        if (m) rows_dots(l->coarse + list * d, 1, d, q, &base);
        for (int64_t pos = l->offset[list]; pos < end; pos += CHUNK) {
            int64_t n = end - pos < CHUNK ? end - pos : CHUNK;

            if (m)
                codes_dots(l->rows + pos * m, n, m, space->table, base, space->dot);
            else
                rows_dots(lists_unpack(l, list, pos, n, space->rows), n, d, q, space->dot);
            pool_push_products(p, l->norm + pos, space->dot, n, pos);
        }
    }
}

static void scan_queries(const struct cpu *cpu, const struct lists *l, struct scratch *s,
                         int64_t nq, int k, int nprobe)
{
#pragma omp parallel for schedule(dynamic) num_threads(cpu->threads)
    for (int64_t i = 0; i < nq; i++) {
        struct scan_space space = scan_space_at(cpu_region(cpu), &l->desc, k);

        scan_query(l, s, i, nprobe, &space);
    }
}

/* ---- a group of queries ---- */

static void start_group(const struct lists *l, struct scratch *s, const float *q, int64_t nq, int k)
{
    int d = l->desc.d;
    int64_t cap = pool_cap(k);

    rows_norms(q, nq, d, s->q_norm);
    for (int64_t i = 0; i < nq; i++) {
        struct pool *p = s->pool + i;
        int whole = l->whole && rows_whole(q + i * d, d);
        /* by tables a product is a sum of up to d + m terms, of centroid and of codewords */
        float margin = product_margin(sqrt(s->q_norm[i]), l->max_norm, d + l->desc.m, whole);

        s->query[i] = (struct query){l, q + i * d};
        atomic_flag_clear(s->lock + i);
        p->score = s->score + i * cap;
        p->pos = s->pos + i * cap;
        pool_start(p, k, s->q_norm[i], margin, l->desc.m ? exact_pq : exact_flat, s->query + i);
        show_bound(s, i);
    }
}

static void finish_group(const struct cpu *cpu, const struct lists *l, struct scratch *s,
                         int64_t nq, int k, float *dist, vid *ids)
{
#pragma omp parallel for schedule(dynamic, 8) num_threads(cpu->threads)
    for (int64_t i = 0; i < nq; i++) {
        struct scan_space space = scan_space_at(cpu_region(cpu), &l->desc, k);

        s->pool[i].tmp_dist = space.tmp_dist;
        s->pool[i].tmp_ids = space.tmp_ids;
        pool_finish(s->pool + i, dist + i * k, ids + i * k);
    }
}

/*
 * Whether too few queries share a list for it to pay that the list is unpacked and multiplied. A
 * batch smaller than the threads goes list by list all the same: that keeps all of them busy.
 */
static int is_sparse(const struct cpu *cpu, const struct lists *l, int64_t nq, int nprobe)
{
    double sharing = (double)nq * nprobe / (double)l->desc.nlist;

    return nq >= cpu->threads && sharing < (l->desc.m ? SPARSE_CODES : SPARSE_ROWS);
}

static void search_group(const struct cpu *cpu, const struct lists *l, struct scratch *s,
                         const float *q, int64_t nq, int k, int nprobe, float *dist, vid *ids)
{
    start_group(l, s, q, nq, k);
    coarse_search(cpu, l, q, s->q_norm, nq, nprobe, s->nprobe, s->probe, s->nprobes);
    if (is_sparse(cpu, l, nq, nprobe)) {
        scan_queries(cpu, l, s, nq, k, nprobe);
    } else {
        invert(l, s, nq, nprobe);
        scan(cpu, l, s, k);
    }
    finish_group(cpu, l, s, nq, k, dist, ids);
}

int cpu_lists_search(struct backend *b, struct lists *l, const float *q, int64_t nq, int k,
                     int nprobe, float *dist, vid *ids)
{
    struct scratch *s = l->scratch;

    assert(l->pass == 2 && s && nq <= s->nq && k <= s->k && nprobe <= s->nprobe);
    for (int64_t i = 0; i < nq; i += s->group) {
        int64_t some = nq - i < s->group ? nq - i : s->group;
        const float *group = q + i * l->d_in;

        if (l->applier) applier_rows(l->applier, cpu_of(b), ELEM_F32, group, some, s->q);
        search_group(cpu_of(b), l, s, l->applier ? s->q : group, some, k, nprobe, dist + i * k,
                     ids + i * k);
    }
    return 0;
}
