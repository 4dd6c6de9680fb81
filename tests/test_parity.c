/* Claims of the steps in engine/backend.h but the lists': made_backend's equal ref.h, bit by bit. */
#include <math.h>
#include <stdlib.h>

#include "engine/base/rand.h"
#include "tests/made.h"
#include "tests/ref.h"
#include "tests/testing.h"

static const int dims[] = {1, 2, 33, 96, 100, 128, 200, 960};
static const int64_t counts[] = {0, 1, 127, 129, 1000};
static const int64_t nlists[] = {1, 2, 5, 513, 600};
static const enum elem elems[] = {ELEM_F32, ELEM_U8, ELEM_I8, ELEM_F16};

enum { WORK = 2000000 }; /* multiplications a reference may take in one case */

/* One case: rows of a kind as elements of a type, on a backend and as fp32. */
struct shape {
    enum made_kind kind;
    enum elem elem;
    int threads, d;
    int64_t n, nlist;
};

static char shape_text[160];

static void describe(const struct shape *s)
{
    snprintf(shape_text, sizeof shape_text, "%s %s n %lld nlist %lld d %d threads %d seed %u",
             made_name(s->kind), elem_name(s->elem), (long long)s->n, (long long)s->nlist, s->d,
             s->threads, testing_seed());
}

#define CHECK_SAME(what, i, got, want)                                                             \
    do {                                                                                           \
        double got_ = (double)(got), want_ = (double)(want);                                       \
        if (got_ != want_)                                                                         \
            fail_msg("%s: %s %lld is %.9g, not %.9g", shape_text, what, (long long)(i), got_,      \
                     want_);                                                                       \
    } while (0)

/* n rows in x as fp32, and on the device as what elem can hold. */
static struct mat rows_on(struct backend *b, const struct shape *s, uint32_t stream, float *x)
{
    void *elem = testing_array(s->n * s->d, sizeof(float));
    struct mat m;

    made_rows(s->kind, testing_seed() + stream, s->n, s->d, x);
    made_as(s->elem, x, s->n * s->d, elem);
    m = made_mat(b, s->elem, elem, s->n, s->d);
    free(elem);
    return m;
}

/* Calls check for every shape that is no more than work; types and threads take turns. */
static void for_shapes(int64_t work, void (*check)(const struct shape *s))
{
    unsigned turn = testing_seed();

    for (int d = 0; d < LENGTH(dims); d++) {
        for (int n = 0; n < LENGTH(counts); n++) {
            for (int l = 0; l < LENGTH(nlists); l++) {
                for (int kind = 0; kind < MADE_KINDS; kind++) {
                    struct shape s = {.kind = kind, .d = dims[d], .n = counts[n]};

                    s.nlist = nlists[l];
                    s.threads = 1 + (int)(turn % 3);
                    s.elem = kind >= MADE_HUGE ? ELEM_F32 : elems[turn % 4];
                    turn = turn * 1664525 + 1013904223;
                    turn ^= turn >> 16;
                    if (s.n * s.nlist * s.d > work) continue;
                    if (testing_left_out()) continue;
                    describe(&s);
                    check(&s);
                }
            }
        }
    }
}

/* ---- finite, gather ---- */

static void check_finite(enum elem elem, float bad)
{
    enum { N = 301, D = 33 };
    static const int64_t places[][2] = {
        {-1,  -1 },
        {0,   300},
        {300, 300},
        {129, 7  },
        {128, 127}
    };
    struct shape s = {.kind = MADE_GAUSS, .elem = elem, .threads = 3, .n = N, .d = D};
    struct backend *b = made_backend(s.threads);
    float *x = testing_array(N * D, sizeof *x), *out = testing_array(N * D, sizeof *out);

    describe(&s);
    for (int i = 0; i < LENGTH(places); i++) {
        int64_t row = 7, want = places[i][0] < places[i][1] ? places[i][0] : places[i][1];
        struct mat m;

        made_rows(s.kind, 1, N, D, x);
        for (int j = 0; j < 2 && want >= 0; j++)
            x[places[i][j] * D + (i + j) % D] = bad;
        made_as(elem, x, N * D, out);
        m = made_mat(b, elem, out, N, D);
        CHECK_OK(b->ops->finite(b, &m, &row));
        CHECK_SAME("finite, case", i, row, want);
        made_release(b, &m.data);
    }
    free(x);
    free(out);
}

static void test_parity__finite_names_the_first_bad_row(void **state)
{
    (void)state;
    check_finite(ELEM_F32, NAN);
    check_finite(ELEM_F32, -INFINITY);
    check_finite(ELEM_F16, NAN);
    check_finite(ELEM_F16, INFINITY);
}

static void test_parity__whole_elements_are_always_finite(void **state)
{
    struct backend *b = made_backend(2);
    int64_t row = 7;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct mat m = made_mat(b, i ? ELEM_U8 : ELEM_I8, NULL, 100, 3);

        CHECK_OK(b->ops->finite(b, &m, &row));
        assert_int_equal(row, -1);
        made_release(b, &m.data);
    }
}

static void check_gather(const struct shape *s)
{
    struct backend *b = made_backend(s->threads);
    float *x = testing_array(s->n * s->d, sizeof *x),
          *got = testing_array(s->nlist * s->d, sizeof *got);
    int64_t *rows = testing_array(s->nlist, sizeof *rows);
    struct mat m = rows_on(b, s, 1, x), out = made_mat(b, ELEM_F32, NULL, s->nlist, s->d);

    for (int64_t j = 0; j < s->nlist; j++)
        rows[j] = (int64_t)(rand_hash(testing_seed(), (uint64_t)j) % (uint64_t)s->n);
    CHECK_OK(b->ops->gather(b, &m, rows, &out));
    made_get(b, got, out.data);
    for (int64_t j = 0; j < s->nlist * s->d; j++)
        CHECK_SAME("element", j, got[j], x[rows[j / s->d] * s->d + j % s->d]);
    made_release(b, &m.data);
    made_release(b, &out.data);
    free(rows);
    free(got);
    free(x);
}

static void gather_if_rows(const struct shape *s)
{
    if (s->n && s->nlist <= 5) check_gather(s);
}

static void test_parity__gather_copies_rows_of_every_type_exactly(void **state)
{
    (void)state;
    for_shapes(WORK / 8, gather_if_rows);
}

/* ---- transform ---- */

static void check_transform(const struct shape *s)
{
    int d_out = (int)s->nlist;
    struct backend *b = made_backend(s->threads);
    struct transform t = {.d_in = s->d, .d_out = d_out};
    float *x = testing_array(s->n * s->d, sizeof *x),
          *got = testing_array(s->n * d_out, sizeof *got);
    float *want = testing_array(s->n * d_out, sizeof *want);
    struct mat m = rows_on(b, s, 1, x), out = made_mat(b, ELEM_F32, NULL, s->n, d_out);

    t.a = testing_array((int64_t)d_out * s->d, sizeof *t.a);
    made_rows(MADE_GAUSS, testing_seed() + 5, d_out, s->d, t.a);
    if (s->threads != 2) {
        t.b = testing_array(d_out, sizeof *t.b);
        made_rows(s->kind, testing_seed() + 6, 1, d_out, t.b);
    }
    CHECK_OK(b->ops->transform(b, &m, &t, &out));
    made_get(b, got, out.data);
    ref_transform(&t, x, s->n, want);
    for (int64_t i = 0; i < s->n * d_out; i++)
        CHECK_SAME("element", i, got[i], want[i]);
    made_release(b, &m.data);
    made_release(b, &out.data);
    free(t.a), free(t.b), free(x), free(got), free(want);
}

static void test_parity__transform_has_the_bits_of_the_fp64_order(void **state)
{
    (void)state;
    for_shapes(WORK / 2, check_transform);
}

/* ---- assign, means, residuals ---- */

/* What a step of k-means has, on the host and on the device. */
struct lloyd {
    struct backend *b;
    float *x, *c;
    int32_t *list;
    struct mat dx, dc;
    struct buf dlist, dcount;
};

/* Centroids are like the rows, the last of them is a row, and two are the same. */
static void lloyd_start(struct lloyd *w, const struct shape *s)
{
    w->b = made_backend(s->threads);
    w->x = testing_array(s->n * s->d, sizeof *w->x);
    w->c = testing_array(s->nlist * s->d, sizeof *w->c);
    w->list = testing_array(s->n, sizeof *w->list);
    w->dx = rows_on(w->b, s, 1, w->x);
    made_rows(s->kind, testing_seed() + 2, s->nlist, s->d, w->c);
    if (s->n) memcpy(w->c + (s->nlist - 1) * s->d, w->x, (size_t)s->d * sizeof *w->x);
    memmove(w->c, w->c + (s->nlist / 2) * s->d, (size_t)s->d * sizeof *w->c);
    w->dc = made_mat(w->b, ELEM_F32, w->c, s->nlist, s->d);
    w->dlist = made_buf(w->b, NULL, (size_t)s->n * sizeof(int32_t));
    w->dcount = made_buf(w->b, NULL, (size_t)s->nlist * sizeof(int64_t));
    ref_assign(w->x, s->n, w->c, s->nlist, s->d, w->list);
}

static void lloyd_clear(struct lloyd *w)
{
    made_release(w->b, &w->dx.data);
    made_release(w->b, &w->dc.data);
    made_release(w->b, &w->dlist);
    made_release(w->b, &w->dcount);
    free(w->x);
    free(w->c);
    free(w->list);
}

static void check_assign(const struct shape *s)
{
    struct lloyd w;
    int32_t *got = testing_array(s->n, sizeof *got);
    double total = -1, want = 0;

    lloyd_start(&w, s);
    CHECK_OK(w.b->ops->assign(w.b, &w.dx, &w.dc, w.dlist, &total));
    made_get(w.b, got, w.dlist);
    for (int64_t i = 0; i < s->n; i++) {
        CHECK_SAME("list of row", i, got[i], w.list[i]);
        want += ref_distance(w.x + i * s->d, w.c + w.list[i] * (int64_t)s->d, s->d);
    }
    if (!(fabs(total - want) <= 1e-12 * want) && total != want)
        fail_msg("%s: total is %.9g, not %.9g", shape_text, total, want);
    CHECK_OK(w.b->ops->assign(w.b, &w.dx, &w.dc, w.dlist, NULL));
    lloyd_clear(&w);
    free(got);
}

static void test_parity__assign_finds_the_nearest_and_the_lowest_of_equals(void **state)
{
    (void)state;
    for_shapes(WORK, check_assign);
}

static void check_means(const struct shape *s)
{
    struct lloyd w;
    float *got = testing_array(s->nlist * s->d, sizeof *got);
    int64_t *count = testing_array(s->nlist, sizeof *count),
            *want = testing_array(s->nlist, sizeof *want);

    lloyd_start(&w, s);
    CHECK_OK(w.b->ops->upload(w.b, w.dlist, 0, w.list, w.dlist.bytes));
    CHECK_OK(w.b->ops->means(w.b, &w.dx, w.dlist, &w.dc, w.dcount));
    made_get(w.b, got, w.dc.data);
    made_get(w.b, count, w.dcount);
    ref_means(w.x, s->n, s->d, w.list, s->nlist, w.c, want);
    for (int64_t j = 0; j < s->nlist; j++)
        CHECK_SAME("count", j, count[j], want[j]);
    for (int64_t j = 0; j < s->nlist * s->d; j++)
        CHECK_SAME("element", j, got[j], w.c[j]);
    lloyd_clear(&w);
    free(got);
    free(count);
    free(want);
}

static void test_parity__means_are_fp64_sums_and_empty_ones_stay(void **state)
{
    (void)state;
    for_shapes(WORK / 8, check_means);
}

/* Half of all rows in one list, most of the others in another: sums of thousands, in order. */
static void check_long_means(enum elem elem, int d)
{
    enum { N = 9001, NLIST = 40 };
    struct shape s = {.kind = MADE_GAUSS, .elem = elem, .threads = 2, .d = d, .n = N};
    struct backend *b = made_backend(s.threads);
    float *x = testing_array(N * d, sizeof *x), *got = testing_array(NLIST * d, sizeof *got);
    float *want = testing_array(NLIST * d, sizeof *want);
    int64_t count[NLIST], want_count[NLIST];
    int32_t *list = testing_array(N, sizeof *list);
    struct mat m = rows_on(b, &s, 1, x), c = made_mat(b, ELEM_F32, NULL, NLIST, d);
    struct buf dlist, dcount = made_buf(b, NULL, sizeof count);

    s.nlist = NLIST;
    describe(&s);
    for (int64_t i = 0; i < N; i++) {
        uint64_t r = rand_hash(testing_seed(), (uint64_t)i);

        list[i] = r % 2 ? 7 : r % 3 ? 39 : (int32_t)(r / 8 % (NLIST - 1));
    }
    dlist = made_buf(b, list, N * sizeof *list);
    CHECK_OK(b->ops->means(b, &m, dlist, &c, dcount));
    made_get(b, got, c.data);
    made_get(b, count, dcount);
    ref_means(x, N, d, list, NLIST, want, want_count);
    assert_memory_equal(count, want_count, sizeof count);
    for (int64_t j = 0; j < NLIST * d; j++)
        CHECK_SAME("element", j, got[j], want[j]);
    made_release(b, &m.data), made_release(b, &c.data);
    made_release(b, &dlist), made_release(b, &dcount);
    free(x), free(got), free(want), free(list);
}

static void test_parity__means_of_thousands_are_in_order_too(void **state)
{
    static const int some[] = {1, 33, 100, 128};

    (void)state;
    for (int i = 0; i < LENGTH(some); i++)
        for (int e = 0; e < LENGTH(elems); e++)
            check_long_means(elems[e], some[i]);
}

static void check_residuals(const struct shape *s)
{
    struct lloyd w;
    float *got = testing_array(s->n * s->d, sizeof *got);
    struct mat r;

    lloyd_start(&w, s);
    r = made_mat(w.b, ELEM_F32, NULL, s->n, s->d);
    CHECK_OK(w.b->ops->upload(w.b, w.dlist, 0, w.list, w.dlist.bytes));
    CHECK_OK(w.b->ops->residuals(w.b, &w.dx, w.dlist, &w.dc, &r));
    made_get(w.b, got, r.data);
    for (int64_t i = 0; i < s->n * s->d; i++)
        CHECK_SAME("element", i, got[i], w.x[i] - w.c[w.list[i / s->d] * (int64_t)s->d + i % s->d]);
    if (s->elem == ELEM_F32) { /* in place */
        CHECK_OK(w.b->ops->residuals(w.b, &w.dx, w.dlist, &w.dc, &w.dx));
        made_get(w.b, w.x, w.dx.data);
        for (int64_t i = 0; i < s->n * s->d; i++)
            CHECK_SAME("element in place", i, w.x[i], got[i]);
    }
    made_release(w.b, &r.data);
    lloyd_clear(&w);
    free(got);
}

static void test_parity__residuals_are_fp32_differences_in_place_too(void **state)
{
    (void)state;
    for_shapes(WORK / 8, check_residuals);
}

/* ---- encode, code_means ---- */

/* Rows and books of a kind; every other codeword twice, so that ties are many. */
struct coding {
    struct backend *b;
    int m;
    float *r, *books;
    uint8_t *code;
    double *err;
    struct mat dr;
    struct buf dbooks, dcode, derr, dcount;
};

static void coding_start(struct coding *w, const struct shape *s, int m)
{
    int dsub = s->d / m;

    w->b = made_backend(s->threads);
    w->m = m;
    w->r = testing_array(s->n * s->d, sizeof *w->r);
    w->books = testing_array((int64_t)KSUB * s->d, sizeof *w->books);
    w->code = testing_array(s->n * m, 1);
    w->err = testing_array(m, sizeof *w->err);
    w->dr = rows_on(w->b, s, 1, w->r);
    made_rows(s->kind, testing_seed() + 3, (int64_t)m * KSUB, dsub, w->books);
    for (int j = 1; j < m * KSUB; j += 2 + j % 5)
        memcpy(w->books + j * dsub, w->books + (j - 1) * dsub, (size_t)dsub * sizeof(float));
    w->dbooks = made_buf(w->b, w->books, (size_t)(KSUB * s->d) * sizeof(float));
    w->dcode = made_buf(w->b, NULL, (size_t)(s->n * m));
    w->derr = made_buf(w->b, NULL, (size_t)m * sizeof(double));
    w->dcount = made_buf(w->b, NULL, (size_t)(m * KSUB) * sizeof(int64_t));
    ref_encode(w->r, s->n, s->d, m, w->books, w->code, w->err);
}

static void coding_clear(struct coding *w)
{
    made_release(w->b, &w->dr.data);
    made_release(w->b, &w->dbooks);
    made_release(w->b, &w->dcode);
    made_release(w->b, &w->derr);
    made_release(w->b, &w->dcount);
    free(w->r);
    free(w->books);
    free(w->code);
    free(w->err);
}

static void check_encode(const struct shape *s, int m)
{
    struct coding w;
    uint8_t *got = testing_array(s->n * m, 1);
    double *err = testing_array(m, sizeof *err);

    coding_start(&w, s, m);
    CHECK_OK(w.b->ops->encode(w.b, &w.dr, m, w.dbooks, w.dcode, w.derr));
    made_get(w.b, got, w.dcode);
    made_get(w.b, err, w.derr);
    for (int64_t i = 0; i < s->n * m; i++)
        CHECK_SAME("code", i, got[i], w.code[i]);
    for (int j = 0; j < m; j++)
        if (err[j] != w.err[j] && !(fabs(err[j] - w.err[j]) <= 1e-12 * w.err[j]))
            fail_msg("%s: err %d is %.17g, not %.17g", shape_text, j, err[j], w.err[j]);
    CHECK_OK(w.b->ops->encode(w.b, &w.dr, m, w.dbooks, w.dcode, (struct buf){0}));
    coding_clear(&w);
    free(got);
    free(err);
}

static void check_code_means(const struct shape *s, int m)
{
    struct coding w;
    int dsub = s->d / m;
    float *got = testing_array((int64_t)KSUB * s->d, sizeof *got);
    float *slice = testing_array(s->n * dsub, sizeof *slice);
    int32_t *list = testing_array(s->n, sizeof *list);
    int64_t *count = testing_array((int64_t)m * KSUB, sizeof *count), want[KSUB];

    coding_start(&w, s, m);
    CHECK_OK(w.b->ops->upload(w.b, w.dcode, 0, w.code, w.dcode.bytes));
    CHECK_OK(w.b->ops->code_means(w.b, &w.dr, m, w.dcode, w.dbooks, w.dcount));
    made_get(w.b, got, w.dbooks);
    made_get(w.b, count, w.dcount);
    for (int j = 0; j < m; j++) {
        float *book = w.books + (int64_t)j * KSUB * dsub;

        for (int64_t i = 0; i < s->n; i++) {
            list[i] = w.code[i * m + j];
            memcpy(slice + i * dsub, w.r + i * s->d + j * dsub, (size_t)dsub * sizeof *slice);
        }
        ref_means(slice, s->n, dsub, list, KSUB, book, want);
        for (int c = 0; c < KSUB; c++)
            CHECK_SAME("count", j * KSUB + c, count[j * KSUB + c], want[c]);
        for (int64_t t = 0; t < (int64_t)KSUB * dsub; t++)
            CHECK_SAME("element", t, got[(int64_t)j * KSUB * dsub + t], book[t]);
    }
    coding_clear(&w);
    free(got);
    free(slice);
    free(list);
    free(count);
}

/* Every m that divides d, for each d and n; rows are f32. */
static void for_codes(void (*check)(const struct shape *s, int m))
{
    unsigned turn = 0;

    for (int d = 0; d < LENGTH(dims); d++) {
        for (int n = 0; n < LENGTH(counts); n++) {
            for (int m = 1; m <= dims[d]; m++) {
                struct shape s = {.kind = turn % MADE_KINDS, .elem = ELEM_F32, .d = dims[d]};

                if (dims[d] % m || counts[n] * KSUB * s.d > 2 * (int64_t)WORK) continue;
                if (testing_left_out()) continue;
                s.n = counts[n];
                s.nlist = m;
                s.threads = 1 + (int)(turn++ % 3);
                describe(&s);
                check(&s, m);
            }
        }
    }
}

static void test_parity__encode_has_the_bits_of_the_fp32_order(void **state)
{
    (void)state;
    for_codes(check_encode);
}

static void test_parity__code_means_are_means_of_slices(void **state)
{
    (void)state;
    for_codes(check_code_means);
}

/* ---- knn ---- */

enum { NQ = 67 };

/* The blocks of a base set in an order of their own; first ids as they should be. */
static void knn_blocks(struct backend *b, const struct shape *s, const void *elem, int blocks,
                       const struct mat *q, int k, struct buf dist, struct buf ids)
{
    for (int i = 0; i < blocks; i++) {
        int64_t at = (i * 2 + 1) % blocks; /* blocks is odd: all, out of order */
        int64_t from = s->n * at / blocks, to = s->n * (at + 1) / blocks;
        struct block x = {.elem = s->elem, .d = s->d, .rows = to - from, .first = from};

        x.ptr = (const char *)elem + (size_t)(from * s->d) * elem_bytes(s->elem);
        CHECK_OK(b->ops->knn(b, &x, q, k, dist, ids));
    }
}

/* A NaN in a few rows and queries, an infinity in a few others. */
static void spoil(float *x, int64_t n, int d)
{
    for (int64_t i = 3; i < n; i += 41)
        x[i * d + i % d] = i % 2 ? NAN : i % 4 ? INFINITY : -INFINITY;
}

static void spoil_both(const struct shape *s, float *x, float *q)
{
    spoil(x, s->n, s->d);
    spoil(q, NQ, s->d);
}

static void strays_ask(const struct shape *s, float *x, float *q)
{
    (void)x;
    made_rows(MADE_STRAYS, testing_seed() + 2, NQ, s->d, q);
}

/* twist: NULL, or changes rows and queries. */
static void check_knn(const struct shape *s, int k,
                      void (*twist)(const struct shape *s, float *x, float *q))
{
    struct backend *b = made_backend(s->threads);
    float *x = testing_array(s->n * s->d, sizeof *x),
          *q = testing_array((int64_t)NQ * s->d, sizeof *q);
    float *dist = testing_array((int64_t)NQ * k, sizeof *dist),
          *want = testing_array((int64_t)NQ * k, sizeof *want);
    vid *ids = testing_array((int64_t)NQ * k, sizeof *ids),
        *want_ids = testing_array((int64_t)NQ * k, sizeof *ids);
    void *elem = testing_array(s->n * s->d, sizeof(float));
    struct mat dq;
    struct buf ddist, dids;

    made_rows(s->kind, testing_seed() + 1, s->n, s->d, x);
    made_rows(s->kind, testing_seed() + 2, NQ, s->d, q);
    if (twist) twist(s, x, q);
    made_as(s->elem, x, s->n * s->d, elem);
    for (int i = 0; i < NQ * k; i++)
        dist[i] = INFINITY, ids[i] = -1;
    dq = made_mat(b, ELEM_F32, q, NQ, s->d);
    ddist = made_buf(b, dist, (size_t)(NQ * k) * sizeof *dist);
    dids = made_buf(b, ids, (size_t)(NQ * k) * sizeof *ids);
    knn_blocks(b, s, elem, s->n > 100 ? 5 : 1, &dq, k, ddist, dids);
    made_get(b, dist, ddist);
    made_get(b, ids, dids);
    ref_knn(x, s->n, q, NQ, s->d, k, want, want_ids);
    for (int i = 0; i < NQ * k; i++) {
        CHECK_SAME("id", i, ids[i], want_ids[i]);
        CHECK_SAME("distance", i, dist[i], want[i]);
    }
    made_release(b, &dq.data);
    made_release(b, &ddist);
    made_release(b, &dids);
    free(x), free(q), free(dist), free(want), free(ids), free(want_ids), free(elem);
}

static void test_parity__knn_of_blocks_is_knn_of_all(void **state)
{
    static const int ks[] = {1, 10, 100, 2048};
    unsigned turn = 0;

    (void)state;
    for (int d = 0; d < LENGTH(dims); d++) {
        for (int n = 0; n < LENGTH(counts); n++) {
            for (int kind = 0; kind < MADE_KINDS; kind++, turn++) {
                struct shape s = {.kind = kind, .d = dims[d], .n = counts[n], .nlist = 1};
                int k = ks[turn % 4];

                s.threads = 1 + (int)(turn % 3);
                s.elem = kind >= MADE_HUGE ? ELEM_F32 : elems[(turn / 4) % 4];
                if (s.n * s.d * NQ > 2 * (int64_t)WORK) continue;
                if (testing_left_out()) continue;
                describe(&s);
                check_knn(&s, k, NULL);
            }
        }
    }
}

static void test_parity__knn_of_nan_is_nothing(void **state)
{
    static const enum elem floats[] = {ELEM_F32, ELEM_F16};

    (void)state;
    for (int i = 0; i < 2 * MADE_KINDS; i++) {
        struct shape s = {.kind = i / 2, .elem = floats[i % 2], .d = 33, .n = 700, .nlist = 1};

        s.threads = 2;
        if (s.kind >= MADE_HUGE) s.elem = ELEM_F32;
        describe(&s);
        check_knn(&s, 10, spoil_both);
    }
}

static float stray; /* of opposite_strays */

/*
 * Two queries whose mean is 0, so far out that fp16 has hardly a unit for what the others and all rows are,
 * which are opposite each other; the later rows are the better ones.
 */
static void opposite_strays(const struct shape *s, float *x, float *q)
{
    for (int64_t i = 0; i < s->n * s->d; i++)
        x[i] = i < s->n * s->d / 2 ? 1.3f : 1.1f;
    for (int64_t i = 0; i < (int64_t)NQ * s->d; i++)
        q[i] = i < s->d ? stray : i < 2 * s->d ? -stray : -1.2f;
}

static void test_parity__knn_of_strays_leaves_those_beside_them_alone(void **state)
{
    static const float strays[] = {5e9f, 8e9f, 1e25f, 1e26f};
    struct shape s = {.kind = MADE_GAUSS, .elem = ELEM_F32, .n = 1000, .nlist = 1, .threads = 2};

    (void)state;
    for (int d = 0; d < LENGTH(dims); d++) {
        s.d = dims[d];
        describe(&s);
        check_knn(&s, 10, strays_ask);
        for (int i = 0; i < LENGTH(strays); i++) {
            stray = strays[i];
            check_knn(&s, 10, opposite_strays);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_parity__finite_names_the_first_bad_row),
    cmocka_unit_test(test_parity__whole_elements_are_always_finite),
    cmocka_unit_test(test_parity__gather_copies_rows_of_every_type_exactly),
    cmocka_unit_test(test_parity__transform_has_the_bits_of_the_fp64_order),
    cmocka_unit_test(test_parity__assign_finds_the_nearest_and_the_lowest_of_equals),
    cmocka_unit_test(test_parity__means_are_fp64_sums_and_empty_ones_stay),
    cmocka_unit_test(test_parity__means_of_thousands_are_in_order_too),
    cmocka_unit_test(test_parity__residuals_are_fp32_differences_in_place_too),
    cmocka_unit_test(test_parity__encode_has_the_bits_of_the_fp32_order),
    cmocka_unit_test(test_parity__code_means_are_means_of_slices),
    cmocka_unit_test(test_parity__knn_of_blocks_is_knn_of_all),
    cmocka_unit_test(test_parity__knn_of_nan_is_nothing),
    cmocka_unit_test(test_parity__knn_of_strays_leaves_those_beside_them_alone),
};

MADE_MAIN(tests)
