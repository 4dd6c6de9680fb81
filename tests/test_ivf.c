/* Claims of engine/ivf.h. */
#include "engine/ivf.h"

#include <math.h>
#include <stdlib.h>

#include "tests/made.h"
#include "tests/ref.h"
#include "tests/testing.h"

enum { N = 1500, NT = 600, NQ = 40, D = 16, K = 10, NLIST = 20 };

static float x[N * D], q[NQ * D];

static void make_data(enum made_kind kind)
{
    made_rows(kind, testing_seed() + 1, N, D, x);
    made_rows(kind, testing_seed() + 2, NQ, D, q);
}

static struct ivf_desc desc_of(int m)
{
    return (struct ivf_desc){
        .d = D, .nlist = NLIST, .m = m, .n = N, .seed = 1234, .coarse_iterations = 10};
}

static int train(struct ivf *ix, struct backend *b, int64_t nt)
{
    struct mat m = {.elem = ELEM_F32, .rows = nt, .d = D};
    int rc;

    if ((rc = b->ops->alloc(b, &m.data, (size_t)(nt * D) * sizeof *x)) < 0) return rc;
    if ((rc = b->ops->upload(b, m.data, 0, x, m.data.bytes)) < 0) goto out;
    rc = ivf_train(ix, &m, nt);
out:
    b->ops->release(b, &m.data);
    return rc;
}

/* A pass of n rows in two blocks, not ended. */
static int add(struct ivf *ix, int64_t n)
{
    struct block front = {.d = D, .rows = n / 3, .ptr = x};
    struct block back = {.d = D, .rows = n - n / 3, .ptr = x + n / 3 * D, .first = n / 3};
    int rc = ivf_add(ix, &front);

    return rc < 0 ? rc : ivf_add(ix, &back);
}

static int fill(struct ivf *ix)
{
    int passes = ivf_passes(ix), rc = passes < 0 ? passes : 0;

    for (int pass = passes; pass > 0 && rc == 0; pass--)
        if ((rc = add(ix, N)) == 0) rc = ivf_end_pass(ix);
    return rc;
}

static int reserve(struct ivf *ix, int64_t nq, int k, int nprobe)
{
    const struct search_desc s = {.nq = nq, .k = k, .nprobe = nprobe, .precomputed_tables = 1};

    return ivf_reserve(ix, &s);
}

/* A whole index: trained, filled, ready for NQ queries, K answers and any nprobe. */
static struct ivf *index_of(struct backend *b, int m)
{
    struct ivf_desc desc = desc_of(m);
    struct ivf *ix = NULL;

    CHECK_OK(ivf_create(&ix, b, &desc));
    CHECK_OK(train(ix, b, NT));
    CHECK_OK(fill(ix));
    CHECK_OK(reserve(ix, NQ, K, NLIST));
    return ix;
}

struct answers {
    float dist[NQ * K];
    vid ids[NQ * K];
};

static void search(struct ivf *ix, int nprobe, struct answers *a)
{
    CHECK_OK(ivf_search(ix, q, NQ, K, nprobe, a->dist, a->ids));
}

/* ---- answers ---- */

static void test_ivf__all_lists_probed_is_exact(void **state)
{
    static struct answers got, want;

    (void)state;
    for (int kind = 0; kind < MADE_KINDS; kind++) {
        struct ivf *ix;

        make_data(kind);
        ix = index_of(made_backend(1 + kind % 3), 0);
        search(ix, NLIST, &got);
        ref_knn(x, N, q, NQ, D, K, want.dist, want.ids);
        if (memcmp(&got, &want, sizeof got)) fail_msg("%s: not exact", made_name(kind));
        ivf_free(ix);
    }
}

static void check_transformed(enum transform_kind kind, int d_out)
{
    struct ivf_desc desc = desc_of(0);
    static float y[N * D], p[NQ * D];
    static struct answers got, want;
    const struct ivf_model *model;
    struct ivf *ix = NULL, *again = NULL;

    desc.transform = kind;
    desc.opq_m = 2;
    desc.d_out = d_out;
    CHECK_OK(ivf_create(&ix, made_backend(2), &desc));
    CHECK_OK(train(ix, made_backend(2), NT));
    model = ivf_model(ix);
    assert_int_equal(model->transform.d_in, D);
    ref_transform(&model->transform, x, N, y);
    ref_transform(&model->transform, q, NQ, p);
    ref_knn(y, N, p, NQ, d_out, K, want.dist, want.ids);
    CHECK_OK(ivf_create(&again, made_backend(1), &desc));
    CHECK_OK(ivf_set_model(again, model));
    ivf_free(ix);
    CHECK_OK(fill(again));
    CHECK_OK(reserve(again, NQ, K, NLIST));
    search(again, NLIST, &got);
    assert_memory_equal(&got, &want, sizeof got);
    ivf_free(again);
}

static void test_ivf__behind_a_transform_it_is_exact_in_the_space_after(void **state)
{
    (void)state;
    make_data(MADE_CLUSTERS);
    check_transformed(TRANSFORM_PCAR, 6);
    check_transformed(TRANSFORM_OPQ, 6);
    check_transformed(TRANSFORM_OPQ, 16);
}

static void test_ivf__transforms_that_cannot_be_are_refused(void **state)
{
    struct ivf_desc desc = desc_of(0);
    struct ivf *ix = NULL;

    (void)state;
    desc.transform = TRANSFORM_PCAR;
    desc.d_out = D + 1;
    CHECK_FAILS(ERR_INVALID, "PCAR17", ivf_create(&ix, made_backend(1), &desc));
    desc.d_out = D;
    desc.storage = ELEM_U8;
    CHECK_FAILS(ERR_INVALID, "storage u8", ivf_create(&ix, made_backend(1), &desc));
    desc.transform = TRANSFORM_OPQ;
    desc.storage = ELEM_F32;
    desc.opq_m = 5;
    CHECK_FAILS(ERR_INVALID, "OPQ5: m does not divide d 16",
                ivf_create(&ix, made_backend(1), &desc));
    desc.opq_m = 4;
    desc.m = 5;
    CHECK_FAILS(ERR_INVALID, "PQ5: m does not divide d 16",
                ivf_create(&ix, made_backend(1), &desc));
}

static int found(const struct answers *a, const struct answers *truth, int query)
{
    int hits = 0;

    for (int i = query * K; i < (query + 1) * K; i++)
        for (int j = query * K; j < (query + 1) * K; j++)
            hits += a->ids[i] == truth->ids[j] && truth->ids[j] >= 0;
    return hits;
}

static void test_ivf__more_probes_never_lose_recall(void **state)
{
    static struct answers truth, now;
    int before[NQ] = {0};
    struct ivf *ix;

    (void)state;
    make_data(MADE_CLUSTERS);
    ix = index_of(made_backend(2), 0);
    ref_knn(x, N, q, NQ, D, K, truth.dist, truth.ids);
    for (int nprobe = 1; nprobe <= NLIST; nprobe++) {
        search(ix, nprobe, &now);
        for (int i = 0; i < NQ; i++) {
            int hits = found(&now, &truth, i);

            if (hits < before[i])
                fail_msg("query %d: %d found with nprobe %d, %d before", i, hits, nprobe,
                         before[i]);
            before[i] = hits;
        }
    }
    for (int i = 0; i < NQ; i++)
        assert_int_equal(before[i], K);
    ivf_free(ix);
}

/* Codes of 16 one-dimensional slices lose little of gaussian vectors, of 1 slice much. */
static void test_ivf__pq_finds_most_and_finer_codes_more(void **state)
{
    static const int ms[] = {1, 4, 16};
    static struct answers truth, got;
    int hits[3] = {0};

    (void)state;
    make_data(MADE_GAUSS);
    ref_knn(x, N, q, NQ, D, K, truth.dist, truth.ids);
    for (int i = 0; i < 3; i++) {
        struct ivf *ix = index_of(made_backend(2), ms[i]);

        search(ix, NLIST, &got);
        for (int j = 0; j < NQ; j++)
            hits[i] += found(&got, &truth, j);
        ivf_free(ix);
    }
    assert_true(hits[0] < hits[1] && hits[1] < hits[2]);
    assert_true(hits[2] > NQ * K * 9 / 10);
}

static void test_ivf__same_seed_twice_gives_identical_answers(void **state)
{
    static struct answers one, three;

    (void)state;
    make_data(MADE_GAUSS);
    for (int m = 0; m <= 8; m += 4) {
        struct ivf *a = index_of(made_backend(1), m), *b = index_of(made_backend(3), m);

        for (int nprobe = 1; nprobe <= NLIST; nprobe += 6) {
            search(a, nprobe, &one);
            search(b, nprobe, &three);
            assert_memory_equal(&one, &three, sizeof one);
            search(b, nprobe, &three);
            assert_memory_equal(&one, &three, sizeof one);
        }
        ivf_free(a);
        ivf_free(b);
    }
}

static void test_ivf__a_set_model_gives_the_same_index_as_training(void **state)
{
    static struct answers one, two;

    (void)state;
    make_data(MADE_GAUSS);
    for (int m = 0; m <= 4; m += 4) {
        struct backend *b = made_backend(2);
        struct ivf *trained = index_of(b, m), *given = NULL;
        struct ivf_desc desc = desc_of(m);

        CHECK_OK(ivf_create(&given, b, &desc));
        assert_null(ivf_model(given));
        CHECK_OK(ivf_set_model(given, ivf_model(trained)));
        assert_memory_equal(ivf_model(given)->coarse, ivf_model(trained)->coarse,
                            NLIST * D * sizeof(float));
        search(trained, 3, &one);
        ivf_free(trained); /* the model was copied */
        CHECK_OK(fill(given));
        CHECK_OK(reserve(given, NQ, K, NLIST));
        search(given, 3, &two);
        assert_memory_equal(&one, &two, sizeof one);
        ivf_free(given);
    }
}

static void test_ivf__search_allocates_nothing(void **state)
{
    static struct answers a;

    (void)state;
    make_data(MADE_TIES);
    for (int m = 0; m <= 4; m += 4) {
        struct ivf *ix = index_of(made_backend(2), m);
        int64_t before = mem_count();

        for (int nprobe = 1; nprobe <= NLIST; nprobe++)
            search(ix, nprobe, &a);
        assert_int_equal(mem_count(), before);
        ivf_free(ix);
    }
}

/* ---- filling ---- */

static void test_ivf__counts_and_imbalance_are_of_what_was_added(void **state)
{
    struct ivf *ix;
    struct ivf_desc desc = desc_of(0);
    int64_t size[NLIST] = {0};
    int32_t list[N];
    double got = 0, want = 0;

    (void)state;
    make_data(MADE_CLUSTERS);
    ix = index_of(made_backend(2), 0);
    assert_int_equal(ivf_n(ix), N);
    ref_assign(x, N, ivf_model(ix)->coarse, NLIST, D, list);
    for (int i = 0; i < N; i++)
        size[list[i]]++;
    for (int j = 0; j < NLIST; j++)
        want += (double)size[j] * (double)size[j] * NLIST / N / N;
    CHECK_OK(ivf_imbalance(ix, &got));
    assert_true(fabs(got - want) < 1e-9);
    ivf_free(ix);
    CHECK_OK(ivf_create(&ix, made_backend(2), &desc));
    assert_int_equal(ivf_n(ix), 0);
    ivf_free(ix);
    ivf_free(NULL);
}

static void test_ivf__passes_that_differ_are_refused(void **state)
{
    struct backend *b = made_backend(2);
    struct ivf_desc desc = desc_of(0);
    struct ivf *ix = NULL;

    (void)state;
    make_data(MADE_GAUSS);
    CHECK_OK(ivf_create(&ix, b, &desc));
    CHECK_OK(train(ix, b, NT));
    if (ivf_passes(ix) != 2) {
        ivf_free(ix);
        skip(); /* a backend that looks at vectors once has nothing to compare */
    }
    CHECK_OK(add(ix, N - 100));
    CHECK_OK(ivf_end_pass(ix));
    CHECK_OK(add(ix, N - 200));
    CHECK_FAILS(ERR_INVALID, "pass 2 brought 1300 vectors, the first 1400", ivf_end_pass(ix));
    CHECK_FAILS(ERR_INVALID, "more than the 1400 vectors of the first pass", add(ix, 400));
    ivf_free(ix);
}

static void test_ivf__more_vectors_than_announced_are_refused(void **state)
{
    struct backend *b = made_backend(1);
    struct ivf_desc desc = desc_of(0);
    struct ivf *ix = NULL;

    (void)state;
    desc.n = N - 1;
    make_data(MADE_GAUSS);
    CHECK_OK(ivf_create(&ix, b, &desc));
    CHECK_OK(train(ix, b, NT));
    CHECK_FAILS(ERR_INVALID, "more than the 1499 vectors announced", add(ix, N));
    ivf_free(ix);
}

/* Stages as progress names them, the last count of each, and where to interrupt. */
struct watch {
    int64_t trained, coded, added, calls, stop_at;
};

static int look(void *arg, const char *stage, int64_t done, int64_t total)
{
    struct watch *w = arg;

    assert_true(done > 0 && done <= total);
    if (strcmp(stage, "train") == 0) w->trained = done;
    if (strcmp(stage, "train codes") == 0) w->coded = done;
    if (strcmp(stage, "add") == 0) w->added = done;
    if (++w->calls != w->stop_at) return 0;
    return fail(ERR_IO, "interrupted");
}

static void test_ivf__progress_is_told_and_can_interrupt(void **state)
{
    struct backend *b = made_backend(2);
    struct watch w = {0};
    struct ivf_desc desc = desc_of(4);
    struct ivf *ix = NULL;
    int64_t calls;

    (void)state;
    make_data(MADE_GAUSS);
    desc.progress = look;
    desc.arg = &w;
    CHECK_OK(ivf_create(&ix, b, &desc));
    CHECK_OK(train(ix, b, NT));
    CHECK_OK(fill(ix));
    assert_int_equal(w.trained, desc.coarse_iterations);
    assert_int_equal(w.coded, 25);
    assert_int_equal(w.added, ivf_passes(ix) * N);
    ivf_free(ix);
    calls = w.calls;
    for (int64_t at = 1; at <= calls; at += 4) {
        int rc;

        w = (struct watch){.stop_at = at};
        CHECK_OK(ivf_create(&ix, b, &desc));
        if ((rc = train(ix, b, NT)) == 0) rc = fill(ix);
        CHECK_FAILS(ERR_IO, "interrupted", rc);
        ivf_free(ix);
    }
}

/* ---- what is refused ---- */

static void test_ivf__a_shape_that_cannot_be_is_refused(void **state)
{
    struct ivf_desc desc = desc_of(5);
    struct ivf *ix = NULL;

    (void)state;
    CHECK_FAILS(ERR_INVALID, "PQ5: m does not divide d 16",
                ivf_create(&ix, made_backend(1), &desc));
    desc = desc_of(0);
    desc.nlist = 0;
    CHECK_FAILS(ERR_INVALID, "nlist 0", ivf_create(&ix, made_backend(1), &desc));
    desc = desc_of(0);
    desc.d = 0;
    CHECK_FAILS(ERR_INVALID, "d 0", ivf_create(&ix, made_backend(1), &desc));
    assert_null(ix);
}

static void test_ivf__a_bad_training_vector_is_named_and_training_can_be_tried_again(void **state)
{
    struct backend *b = made_backend(2);
    struct ivf_desc desc = desc_of(4);
    struct ivf *ix = NULL;

    (void)state;
    make_data(MADE_GAUSS);
    CHECK_OK(ivf_create(&ix, b, &desc));
    x[123 * D + 5] = NAN;
    x[321 * D] = INFINITY;
    CHECK_FAILS(ERR_FORMAT, "training vector 123 ", train(ix, b, NT));
    assert_null(ivf_model(ix));
    x[123 * D + 5] = 0;
    CHECK_FAILS(ERR_FORMAT, "training vector 321 ", train(ix, b, NT));
    x[321 * D] = 0;
    CHECK_FAILS(ERR_INVALID, "fewer than nlist 20", train(ix, b, NLIST - 1));
    CHECK_FAILS(ERR_INVALID, "fewer than its 256 codewords", train(ix, b, KSUB - 1));
    CHECK_OK(train(ix, b, NT));
    assert_non_null(ivf_model(ix));
    ivf_free(ix);
}

static void test_ivf__a_bad_base_vector_is_named_by_its_id(void **state)
{
    struct backend *b = made_backend(2);
    struct ivf_desc desc = desc_of(0);
    struct ivf *ix = NULL;
    int rc;

    (void)state;
    make_data(MADE_GAUSS);
    CHECK_OK(ivf_create(&ix, b, &desc));
    CHECK_OK(train(ix, b, NT));
    x[(N - 7) * D + 2] = NAN;
    if ((rc = add(ix, N)) == 0) rc = ivf_end_pass(ix); /* a device may tell later */
    CHECK_FAILS(ERR_FORMAT, "base vector 1493 ", rc);
    ivf_free(ix);
}

static void test_ivf__a_search_past_the_reserve_is_refused(void **state)
{
    static struct answers a;
    static float dist[NQ * 3];
    static vid ids[NQ * 3];
    struct ivf *ix;

    (void)state;
    make_data(MADE_GAUSS);
    ix = index_of(made_backend(2), 0);
    CHECK_OK(reserve(ix, NQ - 1, 3, 5));
    CHECK_OK(ivf_search(ix, q, NQ - 1, 3, 5, dist, ids));
    CHECK_FAILS(ERR_INVALID, "nq 40", ivf_search(ix, q, NQ, 3, 5, dist, ids));
    CHECK_FAILS(ERR_INVALID, "k 4", ivf_search(ix, q, 1, 4, 5, dist, ids));
    CHECK_FAILS(ERR_INVALID, "nprobe 6", ivf_search(ix, q, 1, 3, 6, dist, ids));
    CHECK_FAILS(ERR_INVALID, "k 0", ivf_search(ix, q, 1, 0, 5, dist, ids));
    CHECK_FAILS(ERR_INVALID, "nprobe 0", ivf_search(ix, q, 1, 3, 0, dist, ids));
    CHECK_FAILS(ERR_INVALID, "k 2049", reserve(ix, 1, K_MAX + 1, 5));
    CHECK_FAILS(ERR_INVALID, "k 0", reserve(ix, 1, 0, 5));
    CHECK_FAILS(ERR_INVALID, "nprobe 21", reserve(ix, 1, 3, NLIST + 1));
    CHECK_FAILS(ERR_INVALID, "nprobe 0", reserve(ix, 1, 3, 0));
    CHECK_OK(ivf_search(ix, q, NQ - 1, 3, 5, dist, ids)); /* a refused reserve changed nothing */
    CHECK_OK(ivf_search(ix, q, 0, 3, 5, NULL, NULL));
    CHECK_OK(reserve(ix, NQ, K_MAX, NLIST));
    search(ix, NLIST, &a);
    ivf_free(ix);
}

/* ---- memory ---- */

/* From nothing to answers, on a backend of its own. */
static int whole_life(void *arg)
{
    static struct answers a;
    struct ivf_desc desc = desc_of(*(int *)arg);
    struct backend *b = NULL;
    struct ivf *ix = NULL;
    double imbalance = 0;
    int rc;

    desc.coarse_iterations = 2;
    if ((rc = made_backend(1)->ops->open(&b, 0, 2)) < 0) return rc;
    if ((rc = ivf_create(&ix, b, &desc)) < 0) goto out;
    if ((rc = train(ix, b, NT)) < 0) goto out;
    if ((rc = fill(ix)) < 0) goto out;
    if ((rc = ivf_imbalance(ix, &imbalance)) < 0) goto out;
    if ((rc = reserve(ix, NQ, K, 3)) < 0) goto out;
    rc = ivf_search(ix, q, NQ, K, 3, a.dist, a.ids);
out:
    ivf_free(ix);
    b->ops->close(b);
    return rc;
}

static void test_ivf__every_failed_allocation_is_survived(void **state)
{
    static int flat = 0, pq = 4;

    (void)state;
    make_data(MADE_GAUSS);
    made_backend(1);
    assert_true(testing_every_failed_alloc(whole_life, &flat) > (made_on_cpu() ? 20 : 5));
    assert_true(testing_every_failed_alloc(whole_life, &pq) > (made_on_cpu() ? 60 : 5));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_ivf__all_lists_probed_is_exact),
    cmocka_unit_test(test_ivf__behind_a_transform_it_is_exact_in_the_space_after),
    cmocka_unit_test(test_ivf__transforms_that_cannot_be_are_refused),
    cmocka_unit_test(test_ivf__more_probes_never_lose_recall),
    cmocka_unit_test(test_ivf__pq_finds_most_and_finer_codes_more),
    cmocka_unit_test(test_ivf__same_seed_twice_gives_identical_answers),
    cmocka_unit_test(test_ivf__a_set_model_gives_the_same_index_as_training),
    cmocka_unit_test(test_ivf__search_allocates_nothing),
    cmocka_unit_test(test_ivf__counts_and_imbalance_are_of_what_was_added),
    cmocka_unit_test(test_ivf__passes_that_differ_are_refused),
    cmocka_unit_test(test_ivf__more_vectors_than_announced_are_refused),
    cmocka_unit_test(test_ivf__progress_is_told_and_can_interrupt),
    cmocka_unit_test(test_ivf__a_shape_that_cannot_be_is_refused),
    cmocka_unit_test(test_ivf__a_bad_training_vector_is_named_and_training_can_be_tried_again),
    cmocka_unit_test(test_ivf__a_bad_base_vector_is_named_by_its_id),
    cmocka_unit_test(test_ivf__a_search_past_the_reserve_is_refused),
    cmocka_unit_test(test_ivf__every_failed_allocation_is_survived),
};

MADE_MAIN(tests)
