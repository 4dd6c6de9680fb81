/* Claims of the inverted lists in engine/backend.h: made_backend's equal ref_search on decoded vectors. */
#include <math.h>
#include <stdlib.h>

#include "engine/base/rand.h"
#include "kernels/cuda/search.h"
#include "tests/made.h"
#include "tests/ref.h"
#include "tests/testing.h"

/* Lists to build and to search. */
struct shape {
    enum made_kind kind;
    enum elem elem, storage;
    int d_in, d, m, threads; /* d_in: 0 without a transform */
    int64_t n, nlist, nq;
    vid first;
    float mean; /* 0, or what some dimensions of rows, queries and centroids are */
};

/* The same lists twice: of the backend, and as a reference has them. */
struct rig {
    struct shape s;
    struct backend *b;
    struct lists *l;
    struct transform t;
    void *elem;       /* [n][d_in]: what is added */
    float *given;     /* [nq][d_in]: what is asked */
    float *x, *q;     /* [n][d], [nq][d]: both transformed */
    float *c, *books; /* [nlist][d], [m][KSUB][dsub] */
    int32_t *list;    /* [n] */
    double *y;        /* [n][d]: where the lists have the vectors */
};

static char shape_text[200];

/* Residuals coded by ref_encode, and decoded. */
static void code_rows(struct rig *r)
{
    const struct shape *s = &r->s;
    float *res = testing_array(s->n * s->d, sizeof *res);
    uint8_t *code = testing_array(s->n * s->m, 1);
    double *err = testing_array(s->m, sizeof *err);

    for (int64_t i = 0; i < s->n * s->d; i++)
        res[i] = r->x[i] - r->c[r->list[i / s->d] * (int64_t)s->d + i % s->d];
    ref_encode(res, s->n, s->d, s->m, r->books, code, err);
    ref_decode(code, s->n, s->d, s->m, r->books, r->c, r->list, r->y);
    free(res);
    free(code);
    free(err);
}

/* Books that fit: residuals of made-up rows, scaled to the kind. */
static void make_books(struct rig *r)
{
    const struct shape *s = &r->s;

    made_rows(s->kind, testing_seed() + 4, (int64_t)s->m * KSUB, s->d / s->m, r->books);
    for (int64_t i = 0; i < (int64_t)KSUB * s->d; i++) {
        if (s->kind == MADE_OFFSET) r->books[i] -= 1000;
        if (s->kind == MADE_TIES) r->books[i] -= 1.5f;
    }
}

/* in[n][d_in] as the lists see it: out[n][d]. */
static void apply(const struct rig *r, const float *in, int64_t n, float *out)
{
    if (r->s.d_in)
        ref_transform(&r->t, in, n, out);
    else
        memcpy(out, in, (size_t)(n * r->s.d) * sizeof *out);
}

static void make_transform(struct rig *r)
{
    const struct shape *s = &r->s;

    r->t = (struct transform){.d_in = s->d_in, .d_out = s->d};
    r->t.a = testing_array((int64_t)s->d * s->d_in, sizeof(float));
    made_rows(MADE_GAUSS, testing_seed() + 5, s->d, s->d_in, r->t.a);
    if (s->threads == 2) return;
    r->t.b = testing_array(s->d, sizeof(float));
    made_rows(MADE_GAUSS, testing_seed() + 6, 1, s->d, r->t.b);
}

/* Of half a slice's dimensions: the others are what codes are chosen by, and so tell what is lost in these. */
static void set_mean(const struct shape *s, int64_t n, int d, float *x)
{
    for (int64_t i = 0; s->mean != 0 && i < n; i++)
        for (int j = 0; j < 16 && j < d; j += 2)
            x[i * d + j] = s->mean;
}

/* Rows and queries as given; a NaN or an infinity in some queries in the middle of a batch. */
static void make_given(struct rig *r)
{
    const struct shape *s = &r->s;
    int d = s->d_in ? s->d_in : s->d;
    float *in = testing_array(s->n * d, sizeof *in);

    r->elem = testing_array(s->n * d, sizeof(float));
    r->given = testing_array(s->nq * d, sizeof *r->given);
    made_rows(s->kind, testing_seed() + 1, s->n, d, in);
    set_mean(s, s->n, d, in);
    made_as(s->elem, in, s->n * d, r->elem);
    made_rows(s->kind, testing_seed() + 2, s->nq, d, r->given);
    set_mean(s, s->nq, d, r->given);
    for (int64_t i = 5; i < s->nq; i += 17)
        r->given[i * d + i % d] = i % 2 ? NAN : INFINITY;
    apply(r, in, s->n, r->x);
    apply(r, r->given, s->nq, r->q);
    free(in);
}

static void rig_data(struct rig *r)
{
    const struct shape *s = &r->s;
    float *stored = testing_array(s->n * s->d, sizeof *stored), *c;
    void *elem = testing_array(s->n * s->d, sizeof(float));

    r->x = testing_array(s->n * s->d, sizeof *r->x);
    r->q = testing_array(s->nq * s->d, sizeof *r->q);
    r->c = c = testing_array(s->nlist * s->d, sizeof *r->c);
    r->list = testing_array(s->n, sizeof *r->list);
    r->y = testing_array(s->n * s->d, sizeof *r->y);
    if (s->d_in) make_transform(r);
    make_given(r);
    made_rows(s->kind, testing_seed() + 3, s->nlist, s->d, c);
    set_mean(s, s->nlist, s->d, c);
    ref_assign(r->x, s->n, c, s->nlist, s->d, r->list);
    memcpy(stored, r->x, (size_t)(s->n * s->d) * sizeof *stored);
    made_as(s->storage, stored, s->n * s->d, elem);
    for (int64_t i = 0; i < s->n * s->d; i++)
        r->y[i] = stored[i];
    free(stored), free(elem);
    if (!s->m) return;
    r->books = testing_array((int64_t)KSUB * s->d, sizeof *r->books);
    make_books(r);
    code_rows(r);
}

/* All rows in blocks of odd sizes, an empty one among them. */
static void add_pass(struct rig *r)
{
    const struct shape *s = &r->s;
    int d = s->d_in ? s->d_in : s->d;
    int64_t size = 0;

    for (int64_t at = 0; at <= s->n; at += size, size = size * 3 + 1) {
        int64_t left = s->n - at;
        struct block x = {.elem = s->elem, .d = d, .rows = left < size ? left : size};

        x.first = s->first + at;
        x.ptr = (char *)r->elem + (size_t)(at * d) * elem_bytes(s->elem);
        CHECK_OK(r->b->ops->lists_add(r->b, r->l, &x));
        if (left <= size) break;
    }
    CHECK_OK(r->b->ops->lists_end_pass(r->b, r->l));
}

static struct rig rig_on(struct backend *b, const struct shape *s)
{
    struct rig r = {.s = *s, .b = b};
    struct lists_desc desc = {
        .d = s->d, .nlist = s->nlist, .m = s->m, .storage = s->storage, .n = s->n};

    snprintf(shape_text, sizeof shape_text,
             "%s %s as %s n %lld nlist %lld d_in %d d %d m %d threads %d seed %u",
             made_name(s->kind), elem_name(s->elem), elem_name(s->storage), (long long)s->n,
             (long long)s->nlist, s->d_in, s->d, s->m, s->threads, testing_seed());
    rig_data(&r);
    if (s->d_in) desc.transform = &r.t;
    CHECK_OK(r.b->ops->lists_create(r.b, &r.l, &desc, r.c, r.books));
    for (int p = r.b->ops->lists_passes(r.l); p > 0; p--)
        add_pass(&r);
    return r;
}

static struct rig rig_make(const struct shape *s)
{
    return rig_on(made_backend(s->threads), s);
}

static void rig_clear(struct rig *r)
{
    r->b->ops->lists_free(r->b, r->l);
    free(r->t.a);
    free(r->t.b);
    free(r->given);
    free(r->elem);
    free(r->x);
    free(r->q);
    free(r->c);
    free(r->books);
    free(r->list);
    free(r->y);
}

static int reserve(const struct rig *r, int64_t nq, int k, int nprobe)
{
    const struct search_desc s = {.nq = nq, .k = k, .nprobe = nprobe, .precomputed_tables = 1};

    return r->b->ops->lists_reserve(r->b, r->l, &s);
}

static void check_sizes(const struct rig *r)
{
    int64_t *size = testing_guarded(r->s.nlist, sizeof *size);
    int64_t *want = testing_array(r->s.nlist, sizeof *want);

    CHECK_OK(r->b->ops->lists_sizes(r->b, r->l, size));
    for (int64_t i = 0; i < r->s.n; i++)
        want[r->list[i]]++;
    for (int64_t j = 0; j < r->s.nlist; j++)
        if (size[j] != want[j])
            fail_msg("%s: list %lld has %lld, not %lld", shape_text, (long long)j,
                     (long long)size[j], (long long)want[j]);
    testing_guarded_free(size);
    free(want);
}

/* Answers to queries from ... to - 1 are the first k of the k_want that a reference gave each. */
static void check_batch(const struct rig *r, int64_t from, int64_t to, int k, int nprobe,
                        const float *want, const vid *want_ids, int k_want)
{
    int64_t nq = to - from;
    float *dist = testing_guarded(nq * k, sizeof *dist);
    vid *ids = testing_guarded(nq * k, sizeof *ids);

    CHECK_OK(r->b->ops->lists_search(r->b, r->l, r->given + from * (r->s.d_in ? r->s.d_in : r->s.d),
                                     nq, k, nprobe, dist, ids));
    for (int64_t i = 0; i < nq * k; i++) {
        int64_t at = (from + i / k) * k_want + i % k;
        vid id = want_ids[at] < 0 ? -1 : want_ids[at] + r->s.first;

        if (dist[i] != want[at] || ids[i] != id)
            fail_msg("%s: k %d nprobe %d queries %lld ... %lld: answer %lld of query %lld is "
                     "(%.9g, %lld), not (%.9g, %lld)",
                     shape_text, k, nprobe, (long long)from, (long long)to, (long long)(i % k),
                     (long long)(from + i / k), dist[i], (long long)ids[i], want[at],
                     (long long)id);
    }
    testing_guarded_free(dist);
    testing_guarded_free(ids);
}

/* Few and many answers; all queries again and again, some, one, none. */
static void check_batches(const struct rig *r, int nprobe, const float *want, const vid *ids,
                          int k_max)
{
    const int ks[] = {1, 10, k_max};
    int64_t nq = r->s.nq;

    for (int k = 0; k < LENGTH(ks); k++)
        if (ks[k] <= k_max) check_batch(r, 0, nq, ks[k], nprobe, want, ids, k_max);
    check_batch(r, 0, 0, k_max, nprobe, want, ids, k_max);
    check_batch(r, nq / 2, nq, k_max, nprobe, want, ids, k_max);
    for (int64_t i = 4; i < nq && i < 7; i++)
        check_batch(r, i, i + 1, k_max, nprobe, want, ids, k_max);
}

/* Searches go as the backend likes, then list by list, which it would not like of so few; -1: that was all. */
static int path_after(const struct rig *r, int path)
{
    if (path == SEARCH_AUTO && made_search_path(r->b, SEARCH_BY_LIST, 0)) return SEARCH_BY_LIST;
    made_search_path(r->b, SEARCH_AUTO, 0);
    return -1;
}

/* Few and many lists. */
static void check_searches(const struct rig *r, int k_max)
{
    const struct shape *s = &r->s;
    const int nprobes[] = {1, 3, (int)s->nlist};
    float *want = testing_array(s->nq * k_max, sizeof *want);
    vid *ids = testing_array(s->nq * k_max, sizeof *ids);

    CHECK_OK(reserve(r, s->nq, k_max, (int)s->nlist));
    for (int p = 0; p < LENGTH(nprobes); p++) {
        if (nprobes[p] > s->nlist) continue;
        ref_search(r->q, s->nq, r->y, r->list, s->n, r->c, s->nlist, s->d, k_max, nprobes[p], want,
                   ids);
        for (int path = SEARCH_AUTO; path >= 0; path = path_after(r, path))
            check_batches(r, nprobes[p], want, ids, k_max);
    }
    free(want);
    free(ids);
}

static void check(const struct shape *s, int k_max)
{
    struct rig r = rig_make(s);

    check_sizes(&r);
    check_searches(&r, k_max);
    rig_clear(&r);
}

/* ---- claims ---- */

static const int dims[] = {1, 2, 33, 96, 100, 128, 200, 960};
static const int64_t counts[] = {0, 1, 127, 129, 1000};
static const int64_t nlists[] = {1, 2, 5, 513};

/* An m for d: all the kinds of slices in turn. */
static int some_m(int d, unsigned turn)
{
    int m = 1 + (int)(turn % 16);

    while (d % m)
        m--;
    return turn % 5 ? m : d < 128 ? d : 1;
}

/* A storage that can hold the rows of s: theirs, f32, or one that rounds them. */
static enum elem some_storage(const struct shape *s, unsigned turn)
{
    static const enum elem small[] = {ELEM_U8, ELEM_I8, ELEM_F16};

    if (turn % 3 == 0) return ELEM_F32;
    if (turn % 3 == 1) return s->d_in ? ELEM_F32 : s->elem;
    if (s->kind == MADE_TIES && !s->d_in) return small[turn / 3 % 3];
    return s->kind == MADE_HUGE || s->kind == MADE_STRAYS || s->d_in ? ELEM_F32 : ELEM_F16;
}

/* Calls check for shapes whose reference takes no more than work multiplications a query set. */
static void for_shapes(int64_t work, int pq)
{
    static const enum elem elems[] = {ELEM_F32, ELEM_U8, ELEM_I8, ELEM_F16};
    static const int ks[] = {1, 10, 100, 300, 2048};
    unsigned turn = testing_seed();

    for (int at = 0; at < LENGTH(dims) * LENGTH(counts) * LENGTH(nlists) * MADE_KINDS; at++) {
        struct shape s = {.kind = at % MADE_KINDS, .threads = 1 + (int)(turn % 3), .nq = 70};
        int rest = at / MADE_KINDS;

        turn = turn * 1664525 + 1013904223;
        turn ^= turn >> 16;
        if (turn >> 24 & 1) continue; /* half of them; which is the seed's business */
        s.d = dims[rest % LENGTH(dims)];
        s.n = counts[rest / LENGTH(dims) % LENGTH(counts)];
        s.nlist = nlists[rest / LENGTH(dims) / LENGTH(counts)];
        s.elem = s.kind >= MADE_HUGE ? ELEM_F32 : elems[turn % 4];
        s.d_in = turn >> 20 & 3 ? 0 : 1 + (int)((turn >> 22) % 200);
        s.storage = some_storage(&s, turn >> 10);
        s.m = pq ? some_m(s.d, turn / 8) : 0;
        s.nq = turn / 16 % 3 ? 70 : 5;
        s.first = turn / 32 % 2 ? 0 : 1000;
        if (s.nq * (s.n + s.nlist) * s.d + s.n * (s.m ? KSUB : 0) * s.d > work) continue;
        if (testing_left_out()) continue;
        check(&s, ks[turn / 64 % LENGTH(ks)]);
    }
}

static void test_parity_lists__flat_search_is_exact_among_the_lists_probed(void **state)
{
    (void)state;
    for_shapes(500000, 0);
}

static void test_parity_lists__pq_search_is_exact_on_decoded_vectors(void **state)
{
    (void)state;
    for_shapes(1000000, 1);
}

/* SIFT's own size, rows of two element types, and queries enough for more than one group's tile. */
static void test_parity_lists__a_thousand_queries_at_once(void **state)
{
    struct shape s = {.kind = MADE_TIES, .elem = ELEM_U8, .storage = ELEM_U8, .d = 16};

    (void)state;
    s.threads = 2, s.n = 1500, s.nlist = 20, s.nq = 1000;
    check(&s, 30);
    s.m = 4;
    check(&s, 30);
    s.kind = MADE_CLUSTERS, s.storage = s.elem = ELEM_F32;
    check(&s, 30);
}

/* In fp64 the sum of such a centroid and a codeword has few of the codeword's digits, or none. */
static void test_parity_lists__codewords_may_be_lost_in_their_centroids(void **state)
{
    struct shape s = {.kind = MADE_GAUSS, .d = 40, .m = 10, .n = 3000, .nlist = 20, .nq = 70};

    (void)state;
    s.threads = 2;
    for (s.mean = 1e15f; s.mean < 2e17f; s.mean *= 10)
        check(&s, 10);
    s.mean = 1e30f;
    check(&s, 10);
}

/* MADE_CLUSTERS has a heap of half the vectors; lists around far points stay empty. */
static void test_parity_lists__one_list_may_hold_half_of_all_and_others_nothing(void **state)
{
    struct shape s = {.kind = MADE_CLUSTERS, .d = 33, .n = 3000, .nlist = 60, .nq = 40};

    (void)state;
    s.threads = 3;
    check(&s, 50);
    s.m = 11;
    check(&s, 50);
}

static void test_parity_lists__ids_past_32_bits_are_kept(void **state)
{
    struct shape s = {.kind = MADE_GAUSS, .d = 8, .n = 300, .nlist = 4, .nq = 9, .threads = 2};

    (void)state;
    s.first = ((vid)1 << 32) - 150; /* on both sides */
    check(&s, 10);
    s.first = ((vid)1 << 40) + 7;
    s.m = 2;
    check(&s, 10);
}

/* What is wrong with x is told by its lists_add or by the pass's end. */
static int add_alone(struct backend *b, struct lists *l, const struct block *x)
{
    int rc = b->ops->lists_add(b, l, x);

    return rc < 0 ? rc : b->ops->lists_end_pass(b, l);
}

static void test_parity_lists__a_row_with_a_nan_is_named_by_id(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    float c[3] = {0}, rows[600] = {0};
    struct lists_desc desc = {.d = 3, .nlist = 1, .n = 200};
    struct block x = {.d = 3, .rows = 200, .ptr = rows, .first = 5000};

    (void)state;
    for (int i = 0; i < LENGTH(bad); i++) {
        struct backend *b = made_backend(2);
        struct lists *l = NULL;

        rows[131 * 3 + i] = bad[i];
        rows[190 * 3] = bad[i];
        CHECK_OK(b->ops->lists_create(b, &l, &desc, c, NULL));
        CHECK_FAILS(ERR_FORMAT, "base vector 5131 ", add_alone(b, l, &x));
        b->ops->lists_free(b, l);
    }
}

static void test_parity_lists__a_value_the_storage_cannot_hold_is_refused(void **state)
{
    static const struct {
        enum elem storage;
        float value;
        const char *words;
    } cases[] = {
        {ELEM_U8,  256,    "storage u8 cannot hold base vector 42:" },
        {ELEM_U8,  -1,     "storage u8 cannot hold base vector 42:" },
        {ELEM_U8,  0.5f,   "storage u8 cannot hold base vector 42:" },
        {ELEM_I8,  128,    "storage i8 cannot hold base vector 42:" },
        {ELEM_I8,  -129,   "storage i8 cannot hold base vector 42:" },
        {ELEM_F16, 65505,  "storage f16 cannot hold base vector 42:"},
        {ELEM_F16, -1e20f, "storage f16 cannot hold base vector 42:"},
    };
    static const float c[2];
    struct backend *b = made_backend(1);

    (void)state;
    for (int i = 0; i < LENGTH(cases); i++) {
        float rows[2 * 4] = {0, 1, 2, 3, cases[i].value, 5, cases[i].value, 7};
        struct lists_desc desc = {.d = 2, .nlist = 1, .n = 4, .storage = cases[i].storage};
        struct block x = {.d = 2, .rows = 4, .ptr = rows, .first = 40};
        struct lists *l = NULL;

        CHECK_OK(b->ops->lists_create(b, &l, &desc, c, NULL));
        CHECK_FAILS(ERR_FORMAT, cases[i].words, add_alone(b, l, &x));
        b->ops->lists_free(b, l);
    }
}

/* Every combination of options, one after the other on the same lists. */
static void check_options(const struct shape *s)
{
    enum { K = 10, NPROBE = 5 };
    const size_t temps[] = {0, 1, 100000};
    struct rig r = rig_make(s);
    float *want = testing_array(s->nq * K, sizeof *want);
    vid *ids = testing_array(s->nq * K, sizeof *ids);

    ref_search(r.q, s->nq, r.y, r.list, s->n, r.c, s->nlist, s->d, K, NPROBE, want, ids);
    for (int i = 0; i < 4 * LENGTH(temps); i++) {
        const struct search_desc options = {.nq = s->nq,
                                            .k = K,
                                            .nprobe = NPROBE,
                                            .precomputed_tables = i & 1,
                                            .float16 = i >> 1 & 1,
                                            .temp_bytes = temps[i / 4]};

        if (testing_left_out()) continue;
        CHECK_OK(r.b->ops->lists_reserve(r.b, r.l, &options));
        for (int path = SEARCH_AUTO; path >= 0; path = path_after(&r, path))
            check_batch(&r, 0, s->nq, K, NPROBE, want, ids, K);
    }
    free(want);
    free(ids);
    rig_clear(&r);
}

static void test_parity_lists__options_of_a_search_change_no_answer(void **state)
{
    struct shape s = {.kind = MADE_GAUSS, .d = 32, .n = 3000, .nlist = 20, .nq = 70, .threads = 2};

    (void)state;
    check_options(&s);
    s.m = 8;
    check_options(&s);
    s.d_in = 40;
    check_options(&s);
}

static void test_parity_lists__scratch_keeps_to_its_cap_or_is_the_least_there_is(void **state)
{
    const struct backend_ops *ops = made_backend(2)->ops;
    const struct transform t = {.d_in = 48, .d_out = 32};
    const struct lists_desc lists = {.d = 32, .nlist = 1000, .m = 8, .n = 100000, .transform = &t};
    struct search_desc s = {.nq = 10000, .k = 100, .nprobe = 64};
    struct search_desc one = {.nq = 1, .k = 100, .nprobe = 64, .temp_bytes = 1};
    size_t free_choice = ops->search_bytes(&lists, &s, 2),
           least = ops->search_bytes(&lists, &one, 2);

    (void)state;
    assert_true(least < free_choice);
    for (s.temp_bytes = 1; s.temp_bytes < 4 * free_choice; s.temp_bytes *= 3) {
        size_t taken = ops->search_bytes(&lists, &s, 2);

        assert_true(taken >= least && taken <= free_choice);
        if (taken > s.temp_bytes) assert_int_equal(taken, least);
    }
    assert_int_equal(ops->search_bytes(&lists, &s, 2), free_choice);
}

/* A thread's region is laid out for what was reserved; with half of it a tile has more queries. */
static void test_parity_lists__an_nprobe_below_the_reserved_fits(void **state)
{
    enum { NLIST = 66000, NQ = 128, RESERVED = 65536 };
    struct shape s = {.kind = MADE_GAUSS, .d = 2, .n = 500, .nlist = NLIST, .nq = NQ, .threads = 2};
    struct rig r = rig_make(&s);
    float *dist[2];
    vid *ids[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        dist[i] = testing_guarded(NQ, sizeof *dist[i]);
        ids[i] = testing_guarded(NQ, sizeof *ids[i]);
        CHECK_OK(reserve(&r, NQ, 1, i ? RESERVED / 2 : RESERVED));
        CHECK_OK(r.b->ops->lists_search(r.b, r.l, r.given, NQ, 1, RESERVED / 2, dist[i], ids[i]));
    }
    assert_memory_equal(dist[0], dist[1], NQ * sizeof *dist[0]);
    assert_memory_equal(ids[0], ids[1], NQ * sizeof *ids[0]);
    for (int i = 0; i < 2; i++) {
        testing_guarded_free(dist[i]);
        testing_guarded_free(ids[i]);
    }
    rig_clear(&r);
}

/* A reserve that finds no memory leaves the one before it. */
static void test_parity_lists__a_failed_reserve_leaves_the_old(void **state)
{
    struct shape s = {.kind = MADE_GAUSS, .d = 16, .n = 900, .nlist = 9, .nq = 20, .threads = 2};
    struct backend *own = NULL; /* whose scratch is no larger than these lists need */
    struct rig r;
    float *want = testing_array(s.nq * 5, sizeof *want);
    vid *ids = testing_array(s.nq * 5, sizeof *ids);
    int64_t made;

    (void)state;
    CHECK_OK(made_backend(2)->ops->open(&own, 0, 2));
    r = rig_on(own, &s);
    ref_search(r.q, s.nq, r.y, r.list, s.n, r.c, s.nlist, s.d, 5, 3, want, ids);
    CHECK_OK(reserve(&r, s.nq, 5, 3));
    made = mem_count();
    CHECK_OK(reserve(&r, s.nq, 5, 3));
    made = mem_count() - made;
    for (int64_t nth = 1; nth <= made; nth++) {
        mem_fail_at(nth);
        CHECK_FAILS(ERR_NOMEM, "bytes", reserve(&r, 2 * s.nq, 2048, 9));
        mem_fail_at(0);
        check_batch(&r, 0, s.nq, 5, 3, want, ids, 5);
    }
    free(want);
    free(ids);
    rig_clear(&r);
    own->ops->close(own);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_parity_lists__flat_search_is_exact_among_the_lists_probed),
    cmocka_unit_test(test_parity_lists__pq_search_is_exact_on_decoded_vectors),
    cmocka_unit_test(test_parity_lists__a_thousand_queries_at_once),
    cmocka_unit_test(test_parity_lists__codewords_may_be_lost_in_their_centroids),
    cmocka_unit_test(test_parity_lists__one_list_may_hold_half_of_all_and_others_nothing),
    cmocka_unit_test(test_parity_lists__ids_past_32_bits_are_kept),
    cmocka_unit_test(test_parity_lists__a_row_with_a_nan_is_named_by_id),
    cmocka_unit_test(test_parity_lists__a_value_the_storage_cannot_hold_is_refused),
    cmocka_unit_test(test_parity_lists__options_of_a_search_change_no_answer),
    cmocka_unit_test(test_parity_lists__scratch_keeps_to_its_cap_or_is_the_least_there_is),
    cmocka_unit_test(test_parity_lists__an_nprobe_below_the_reserved_fits),
    cmocka_unit_test(test_parity_lists__a_failed_reserve_leaves_the_old),
};

MADE_MAIN(tests)
