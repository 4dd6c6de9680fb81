/*
 * Search: a group of queries after the other, each of the same steps.
 *
 *   coarse.cu      the lists of each query, by distance
 *   bound.cu       a bound of each, from a sample of its nearest lists
 *   visits.cu      the queries of each list
 *   scan.cu        each list once, times all its queries: candidates, what is within the bounds
 *   candidates.cu  exact distances of those that are near enough to the k-th: the answers
 *
 * Where a batch goes through too few rows for that, walk.cu goes through all lists of a query instead of the
 * three in the middle. A query that has more candidates than fit is scanned once more within the bound
 * that those give; if that does not do, it walks, which tightens its bound as it goes; one for which
 * that does not help either (ties without end, values that fp16 makes nothing of) is searched plainly
 * (plain.cu). How many these are only the device knows, so the kernels for them are always started,
 * and mostly find nothing to do; the host waits for nothing but the answers.
 */
#include "kernels/cuda/search.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "kernels/cuda/bound.h"
#include "kernels/cuda/candidates.h"
#include "kernels/cuda/keys.cuh"
#include "kernels/cuda/meter.h"
#include "kernels/cuda/plain.h"
#include "kernels/cuda/ring.h"
#include "kernels/cuda/scan.h"
#include "kernels/cuda/visits.h"
#include "kernels/cuda/walk.h"

static const size_t GROUP_BYTES = (size_t)1 << 30; /* of the queries taken at once, but for one */
enum { SMALL_COPY = 1 << 16 };                     /* that the runtime's own staging is quick at */

/* What a search needs, of the reserved sizes. */
struct scratch {
    struct search_desc want;
    int64_t group; /* queries taken at once */
    struct buf region;
    struct meter meter;

    struct coarse coarse;
    struct scanned scanned; /* but for its d_half, which is the lists' */
    struct queries queries;
    struct visits visits[2]; /* of all queries, and of those that are scanned once more */
    struct candidates candidates;
    struct answers answers;
    struct undone undone[2];
    int32_t *d_again; /* [group]: queries to scan once more, and whether there are any */
    int32_t *d_any;
    int32_t *d_zeros;                 /* zeros before a search: counters, and the visits' */
    size_t counter_bytes, zero_bytes; /* of a search by query, of one by list */
    float *d_given;                   /* [group][d_in] */
    int32_t *d_probe;                 /* [group][nprobe] */
    float *d_near;                    /* [group][nprobe]: of those lists (coarse.h) */
};

/* ---- room ---- */

/* What is zeros before a search, side by side. */
static void zeros_room(struct scratch *s, const struct lists_desc *desc, struct room *r)
{
    enum { ANY, AGAIN, UNDONE, NOT_WHOLE, COUNTERS };
    size_t from = r->at;

    s->d_zeros = room_take<int32_t>(r, COUNTERS);
    s->counter_bytes = r->at - from;
    s->d_any = s->d_zeros + ANY;
    s->undone[0].d_n = s->d_zeros + AGAIN;
    s->undone[1].d_n = s->d_zeros + UNDONE;
    if (whole_may_be(desc->storage, desc->d, desc->m))
        s->queries.whole.d_not = s->d_zeros + NOT_WHOLE;
    for (int i = 0; i < 2; i++)
        visits_zeros(&s->visits[i], desc->nlist, r);
    s->zero_bytes = r->at - from;
}

/* The two visits share all else: one is done with when the other is made. */
static void visits_rooms(struct scratch *s, const struct lists_desc *desc, int64_t pairs,
                         struct room *r)
{
    struct visits *v = s->visits;
    int32_t *d_count = v[1].d_count;
    struct visits_total *d_total = v[1].d_total;

    visits_room(v, desc->nlist, pairs, r);
    v[1] = v[0];
    v[1].d_count = d_count;
    v[1].d_total = d_total;
}

/* What is in proportion to the queries taken at once. */
static void group_room(struct scratch *s, const struct lists_desc *desc, int d_in, int transformed,
                       struct room *r)
{
    int64_t n = s->group, pairs = n * s->want.nprobe;

    s->d_given = room_take<float>(r, n * d_in);
    s->queries.d = desc->d;
    s->queries.d_q = transformed ? room_take<float>(r, n * desc->d) : s->d_given;
    s->queries.rows.n = n;
    s->queries.rows.depth = product_depth(desc->d);
    rows_room(&s->queries.rows, r);
    if (whole_may_be(desc->storage, desc->d, desc->m)) whole_room(&s->queries.whole, n, desc->d, r);
    s->d_probe = room_take<int32_t>(r, pairs);
    s->d_near = room_take<float>(r, pairs);
    visits_rooms(s, desc, pairs, r);
    s->candidates.cap = candidates_cap(s->want.k);
    s->candidates.d_tau = room_take<float>(r, n);
    s->candidates.d_count = s->queries.rows.d_zero = room_take<int32_t>(r, n);
    s->candidates.d_found = room_take<uint64_t>(r, n * s->candidates.cap);
    s->answers.d_dist = room_take<float>(r, n * s->want.k);
    s->answers.d_ids = room_take<vid>(r, n * s->want.k);
    s->d_again = room_take<int32_t>(r, n);
    for (int i = 0; i < 2; i++)
        s->undone[i].d_query = room_take<int32_t>(r, n);
}

/* All arrays where so many queries are taken at once. */
static void scratch_room(struct scratch *s, const struct lists_desc *desc, int d_in,
                         int transformed, int64_t group, struct room *r)
{
    size_t quarter = s->want.temp_bytes / 4;

    s->group = group;
    s->coarse.d = desc->d;
    s->coarse.nlist = desc->nlist;
    s->coarse.nprobe = s->want.nprobe;
    s->coarse.slice_bytes = quarter && quarter < COARSE_SLICE_BYTES ? quarter : COARSE_SLICE_BYTES;
    coarse_room(&s->coarse, group, r);
    scanned_room(&s->scanned, r);
    zeros_room(s, desc, r);
    group_room(s, desc, d_in, transformed, r);
}

static size_t scratch_bytes(const struct scratch *s, const struct lists_desc *desc, int d_in,
                            int transformed, int64_t group)
{
    struct scratch copy = *s;
    struct room r = {};

    scratch_room(&copy, desc, d_in, transformed, group, &r);
    return r.at;
}

/* As many queries at once as the bytes allow, one at least; by bisection. */
static int64_t group_size(const struct scratch *s, const struct lists_desc *desc, int d_in,
                          int transformed)
{
    size_t most = s->want.temp_bytes;
    int64_t lo = 1, hi = s->want.nq < 1 ? 1 : s->want.nq;

    if (hi > VISITS_PAIRS_MAX / s->want.nprobe) hi = VISITS_PAIRS_MAX / s->want.nprobe;
    if (!most) most = scratch_bytes(s, desc, d_in, transformed, 1) + GROUP_BYTES;
    while (lo < hi) {
        int64_t mid = hi - (hi - lo) / 2;

        if (scratch_bytes(s, desc, d_in, transformed, mid) <= most)
            lo = mid;
        else
            hi = mid - 1;
    }
    return lo;
}

/* Whether a float of each vector is kept: rows always have theirs, codes where that is asked for. */
static int keeps_halves(const struct lists_desc *desc, const struct search_desc *want)
{
    return !desc->m || want->precomputed_tables;
}

static size_t halves_bytes(int64_t n)
{
    return ((size_t)n + HALVES_PAD) * sizeof(float);
}

size_t cuda_search_bytes(const struct lists_desc *desc, const struct search_desc *want, int threads)
{
    int d_in = desc->transform ? desc->transform->d_in : desc->d;
    int transformed = desc->transform != NULL;
    struct scratch s = {};
    int64_t group;

    (void)threads;
    s.want = *want;
    s.scanned.lists.d = desc->d;
    s.scanned.lists.m = desc->m;
    group = group_size(&s, desc, d_in, transformed);
    return scratch_bytes(&s, desc, d_in, transformed, group) +
           (keeps_halves(desc, want) ? halves_bytes(desc->n) : 0);
}

void scratch_free(struct scratch *s, struct cuda *cuda)
{
    if (!s) return;
    meter_clear(&s->meter);
    array_free(cuda, &s->region);
    mem_free(s);
}

/* ---- reserving ---- */

static int make_scratch(struct scratch *s, struct cuda *cuda, const struct lists *l)
{
    int transformed = l->applier != NULL, rc;
    struct room r = {};
    int64_t group;

    s->scanned.lists = stored_of(l);
    s->scanned.float16 = s->want.float16;
    group = group_size(s, &l->desc, l->d_in, transformed);
    if ((rc = meter_create(&s->meter)) < 0) return rc;
    if ((rc = array_new(cuda, &s->region,
                        scratch_bytes(s, &l->desc, l->d_in, transformed, group))) < 0)
        return rc;
    r.base = (char *)s->region.ptr;
    scratch_room(s, &l->desc, l->d_in, transformed, group, &r);
    s->scanned.space = &s->coarse.space;
    if (cuda->shared_max < SCAN_BYTES) s->queries.whole.d_not = NULL;
    return 0;
}

int cuda_lists_reserve(struct backend *b, struct lists *l, const struct search_desc *want)
{
    struct cuda *cuda = cuda_of(b);
    int halves = keeps_halves(&l->desc, want), rc;
    struct scratch *s;

    if (!(s = (struct scratch *)mem_new(1, sizeof *s))) return ERR_NOMEM;
    s->want = *want;
    if ((rc = make_scratch(s, cuda, l)) < 0) goto out;
    if (halves && !l->half.ptr && (rc = array_new(cuda, &l->half, halves_bytes(l->n))) < 0)
        goto out;
    s->scanned.d_half = halves ? (float *)l->half.ptr : NULL;
    if ((rc = coarse_make(cuda, &s->coarse, (const float *)l->coarse.ptr)) < 0) goto out;
    if ((rc = scanned_make(cuda, &s->scanned, l->n, l->desc.nlist)) < 0) goto out;
    if ((rc = CU(cudaStreamSynchronize(cuda->stream))) < 0) goto out;
    scratch_free(l->scratch, cuda);
    if (!halves) array_free(cuda, &l->half); /* only now: the scratch before may have used them */
    l->scratch = s;
    s = NULL;
out:
    scratch_free(s, cuda);
    return rc;
}

/* ---- searching ---- */

enum { FEW = 64 }; /* queries */

/*
 * How many rows a batch has to go through for a scan to be worth its dozen launches. Codes are cheap to walk through,
 * by tables; and at nprobe 1 a sample is most of what is to be scanned, which tells where rows are floats. Measured on
 * an H100 with lists of 244 and 610 rows, d 128, m 32, k 10, and batches of 1 to 8,192 (bench_kernels crossover).
 */
static double rows_worth_scanning(const struct lists_desc *desc, int nprobe)
{
    if (desc->m) return 3e6;
    if (elem_bytes(desc->storage) == 1) return 0.5e6;
    return nprobe == 1 ? 8e6 : 1e6;
}

/*
 * Whether queries are better taken one by one. What was not measured is done with care: by the general form of the
 * scan only what is shared, and few queries with a larger k, whose sample says less, not by a scan: should that have
 * more candidates than fit they would walk after all, and then a block a query.
 */
static int is_sparse(const struct cuda *cuda, const struct lists *l, int64_t n, int k, int nprobe)
{
    double visits = (double)n * nprobe / (double)l->desc.nlist, rows = visits * (double)l->n;
    int deep = product_depth(l->desc.d) > 128 || cuda->shared_max < SCAN_BYTES;

    if (l->desc.nlist >= VISITS_LISTS_MAX) return 1;
    if (n <= FEW && (deep || k > 10)) return 1;
    if (deep && visits < 0.5) return 1;
    return rows < rows_worth_scanning(&l->desc, nprobe);
}

/* Where few queries are shared out among many blocks, each brings k candidates: all that a group has room for. */
static int widest(const struct candidates *c, int64_t n, int64_t group)
{
    int cap = c->cap;

    while (cap < CANDIDATES_MAX && 2 * cap * n <= group * c->cap)
        cap *= 2;
    return cap;
}

/* What a group's search is made of. */
struct steps {
    struct lists *l;
    struct scratch *s;
    const struct scanned *scanned;
    const struct queries *q;
    struct candidates c;
    struct walk lists; /* that each query visits */
};

/* Scans; again: only the queries that are marked, within their new bounds. */
static int scan(struct cuda *cuda, const struct steps *t, int again)
{
    struct visits_of of = {.n = t->q->n,
                           .rows = t->l->n,
                           .nprobe = t->lists.nprobe,
                           .d_probe = t->lists.d_probe,
                           .d_near = t->l->desc.m ? t->lists.d_near : NULL,
                           .d_square = t->q->rows.d_square,
                           .d_tau = t->c.d_tau,
                           .whole = t->q->whole,
                           .space = t->scanned->space->d_facts,
                           .d_again = again ? t->s->d_again : NULL,
                           .d_any = t->s->d_any};
    struct visits *v = &t->s->visits[again];
    int rc = visits_make(cuda, v, &of, t->l->desc.nlist, (const int64_t *)t->l->offset.ptr);

    return rc < 0 ? rc : scan_lists(cuda, t->scanned, t->q, v, &t->c);
}

/* whole: as in struct candidates; walking knows nothing of it. */
static int answer(struct cuda *cuda, const struct steps *t, struct whole whole, struct undone only,
                  struct undone undone)
{
    struct candidates c = t->c;

    c.whole = whole;
    return candidates_answer(cuda, t->scanned, t->q, &c, only, t->l->desc.nlist, &t->s->answers,
                             undone);
}

static int search_by_list(struct cuda *cuda, const struct steps *t)
{
    struct scratch *s = t->s;
    int rc;

    if (t->q->whole.d_not && (rc = whole_make(cuda, t->scanned->space, t->scanned->lists.storage,
                                              t->q->d_q, t->q->n, &t->q->whole)) < 0)
        return rc;
    if ((rc = bound_queries(cuda, t->scanned, t->q, &t->lists, &t->c)) < 0) return rc;
    if ((rc = scan(cuda, t, 0)) < 0) return rc;
    if ((rc = candidates_tighten(cuda, t->scanned, t->q, &t->c, s->d_again, s->d_any)) < 0)
        return rc;
    if ((rc = scan(cuda, t, 1)) < 0) return rc;
    if ((rc = answer(cuda, t, t->q->whole, {}, s->undone[0])) < 0) return rc;
    if ((rc = walk_lists(cuda, t->scanned, t->q, &t->lists, &t->c, s->undone[0])) < 0) return rc;
    return answer(cuda, t, {}, s->undone[0], s->undone[1]);
}

static int search_by_query(struct cuda *cuda, const struct steps *t)
{
    int rc = walk_lists(cuda, t->scanned, t->q, &t->lists, &t->c, {});

    return rc < 0 ? rc : answer(cuda, t, {}, {}, t->s->undone[1]);
}

/* All steps for the queries on the device. */
static int search_queries(struct cuda *cuda, struct lists *l, int64_t n, int k, int nprobe)
{
    struct scratch *s = l->scratch;
    struct queries *q = &s->queries;
    struct walk walk = {.nprobe = nprobe,
                        .d_probe = s->d_probe,
                        .d_near = s->d_near,
                        .expected = l->n * nprobe / l->desc.nlist};
    struct steps t = {l, s, &s->scanned, q, s->candidates, walk};
    int path = cuda->search_path, rc;
    struct undone undone = s->undone[1];

    q->n = q->rows.n = n;
    t.c.k = k;
    if (path == SEARCH_AUTO)
        path = is_sparse(cuda, l, n, k, nprobe) ? SEARCH_BY_QUERY : SEARCH_BY_LIST;
    if (path == SEARCH_BY_QUERY) t.c.cap = widest(&t.c, n, s->group);
    if (cuda->search_cap && cuda->search_cap < t.c.cap)
        t.c.cap = keys_room(cuda->search_cap + 1) / 2;
    if ((rc = CU(cudaMemsetAsync(s->d_zeros, 0,
                                 path == SEARCH_BY_LIST ? s->zero_bytes : s->counter_bytes,
                                 cuda->stream))) < 0)
        return rc;
    if ((rc = coarse_search(cuda, &s->coarse, q, nprobe, s->d_probe, s->d_near)) < 0) return rc;
    if (path == SEARCH_BY_LIST) rc = search_by_list(cuda, &t);
    if (path == SEARCH_BY_QUERY) rc = search_by_query(cuda, &t);
    if (path == SEARCH_PLAINLY) undone = {};
    if (rc < 0) return rc;
    return plain_search(cuda, &s->scanned.lists, q->d_q, n, undone, s->d_probe, nprobe, k,
                        &s->answers);
}

/* Queries from the host. Large ones through the ring: pageable memory travels slowly by itself. */
static int bring_queries(struct cuda *cuda, struct scratch *s, const float *q, size_t bytes)
{
    struct buf given = {s->d_given, bytes};

    if (bytes > SMALL_COPY) return cuda->base.ops->upload(&cuda->base, given, 0, q, bytes);
    return CU(cudaMemcpyAsync(s->d_given, q, bytes, cudaMemcpyHostToDevice, cuda->stream));
}

/* Enqueues all for a group of queries, answers to the host among it. */
static int search_group(struct cuda *cuda, struct lists *l, const float *q, int64_t n, int k,
                        int nprobe, float *dist, vid *ids)
{
    struct scratch *s = l->scratch;
    int rc;

    if ((rc = bring_queries(cuda, s, q, (size_t)(n * l->d_in) * sizeof *q)) < 0) return rc;
    if ((rc = meter_begin(&s->meter, cuda)) < 0) return rc;
    if (l->applier && (rc = applier_run(l->applier, ELEM_F32, s->d_given, n, s->queries.d_q)) < 0)
        return rc;
    if ((rc = search_queries(cuda, l, n, k, nprobe)) < 0) return rc;
    if ((rc = meter_end(&s->meter, cuda)) < 0) return rc;
    if ((rc = CU(cudaMemcpyAsync(dist, s->answers.d_dist, (size_t)(n * k) * sizeof *dist,
                                 cudaMemcpyDeviceToHost, cuda->stream))) < 0)
        return rc;
    return CU(cudaMemcpyAsync(ids, s->answers.d_ids, (size_t)(n * k) * sizeof *ids,
                              cudaMemcpyDeviceToHost, cuda->stream));
}

int cuda_lists_search(struct backend *b, struct lists *l, const float *q, int64_t nq, int k,
                      int nprobe, float *dist, vid *ids)
{
    struct cuda *cuda = cuda_of(b);
    struct scratch *s = l->scratch;
    int rc = 0, after;

    assert(l->pass == l->passes && s && nq <= s->want.nq && k <= s->want.k &&
           nprobe <= s->want.nprobe);
    assert(k > 0 && k <= K_MAX && nprobe > 0 && nprobe <= l->desc.nlist);
    for (int64_t i = 0; i < nq && rc == 0; i += s->group) {
        int64_t some = nq - i < s->group ? nq - i : s->group;

        rc = search_group(cuda, l, q + i * l->d_in, some, k, nprobe, dist + i * k, ids + i * k);
    }
    if (rc == ERR_DEVICE) return rc;
    after = CU(cudaStreamSynchronize(cuda->stream)); /* nothing is left on the caller's memory */
    if (rc < 0 || after < 0) return rc < 0 ? rc : after;
    return meter_take(&s->meter, cuda);
}

void cuda_search_force(struct backend *b, int path, int cap)
{
    cuda_of(b)->search_path = path;
    cuda_of(b)->search_cap = cap;
}

int cuda_search_left(struct backend *b, struct lists *l, int32_t *walked, int32_t *plain)
{
    const struct scratch *s = l->scratch;
    size_t bytes = sizeof *walked;
    struct cuda *cuda = cuda_of(b);
    int rc =
        CU(cudaMemcpyAsync(walked, s->undone[0].d_n, bytes, cudaMemcpyDeviceToHost, cuda->stream));

    if (rc < 0) return rc;
    rc = CU(cudaMemcpyAsync(plain, s->undone[1].d_n, bytes, cudaMemcpyDeviceToHost, cuda->stream));
    if (rc < 0) return rc;
    return CU(cudaStreamSynchronize(cuda->stream));
}
