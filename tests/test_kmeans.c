/* Claims of engine/kmeans.h; the rules are Faiss's, written down again here as plainly as can be. */
#include "engine/kmeans.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/rand.h"
#include "tests/made.h"
#include "tests/ref.h"
#include "tests/testing.h"

enum { D = 12, MOST = 64 }; /* MOST: lists, at most */

/* One training, and what its step calls saw. */
struct run {
    float c[MOST * D];
    struct kmeans_report report;
    double objective[40];
    int steps, stop_at;
};

static int note(void *arg, int iteration, double objective)
{
    struct run *run = arg;

    assert_int_equal(iteration, run->steps);
    run->objective[run->steps++] = objective;
    return run->steps == run->stop_at ? ERR_IO : 0;
}

static int train(struct run *run, int threads, const float *x, int64_t n, int64_t nlist,
                 int iterations, uint32_t seed)
{
    struct backend *b = made_backend(threads);
    struct mat m = made_mat(b, ELEM_F32, x, n, D);
    struct kmeans_desc desc = {.nlist = nlist, .iterations = iterations, .seed = seed};
    int rc;

    *run = (struct run){.stop_at = run->stop_at};
    desc.step = note;
    desc.arg = run;
    rc = kmeans_train(b, &m, &desc, run->c, &run->report);
    made_release(b, &m.data);
    return rc;
}

static float *rows(enum made_kind kind, int64_t n)
{
    float *x = calloc((size_t)(n * D), sizeof *x);

    assert_non_null(x);
    made_rows(kind, testing_seed(), n, D, x);
    return x;
}

/* ---- Faiss's rules, again ---- */

/* faiss/impl/ClusteringHelpers.cpp, split_clusters, with whole counts. */
static int64_t plain_split(float *c, int64_t *count, int64_t nlist, int64_t n)
{
    struct rand r;
    int64_t splits = 0;

    rand_seed(&r, 1234);
    for (int64_t ci = 0; ci < nlist; ci++) {
        int64_t cj = 0;

        if (count[ci]) continue;
        for (;; cj = (cj + 1) % nlist) {
            float p = (float)(((double)count[cj] - 1.0) / (double)(n - nlist));

            if (rand_float(&r) < p) break;
        }
        for (int j = 0; j < D; j++) {
            double v = c[cj * D + j], e = j % 2 ? -1 / 1024.0 : 1 / 1024.0;

            c[ci * D + j] = (float)(v * (1 + e));
            c[cj * D + j] = (float)(v * (1 - e));
        }
        count[ci] = count[cj] / 2;
        count[cj] -= count[ci];
        splits++;
    }
    return splits;
}

static void plain_kmeans(const float *x, int64_t n, int64_t nlist, int iterations, uint32_t seed,
                         float *c, struct kmeans_report *report)
{
    int64_t *perm = calloc((size_t)n, sizeof *perm), count[MOST];
    int32_t *list = calloc((size_t)n, sizeof *list);

    rand_perm(perm, n, seed + 1);
    for (int64_t j = 0; j < nlist; j++)
        memcpy(c + j * D, x + perm[j] * D, D * sizeof *c);
    report->splits = 0;
    for (int i = 0; i < iterations; i++) {
        ref_assign(x, n, c, nlist, D, list);
        report->objective = 0;
        for (int64_t r = 0; r < n; r++)
            report->objective += ref_distance(x + r * D, c + list[r] * D, D);
        ref_means(x, n, D, list, nlist, c, count);
        report->splits += plain_split(c, count, nlist, n);
    }
    free(perm);
    free(list);
}

static void test_kmeans__is_what_faiss_does(void **state)
{
    static const struct {
        enum made_kind kind;
        int64_t n, nlist;
    } cases[] = {
        {MADE_GAUSS,    500,  10},
        {MADE_CLUSTERS, 2000, 33},
        {MADE_TIES,     300,  64},
        {MADE_OFFSET,   400,  20},
        {MADE_EQUAL,    100,  7 },
        {MADE_GAUSS,    70,   64},
        {MADE_TINY,     200,  16},
        {MADE_GAUSS,    50,   1 },
        {MADE_CLUSTERS, 1000, 64}
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float *x = rows(cases[i].kind, cases[i].n), want[MOST * D];
        struct kmeans_report plain;
        struct run run = {0};

        CHECK_OK(train(&run, 2, x, cases[i].n, cases[i].nlist, 12, 1234));
        plain_kmeans(x, cases[i].n, cases[i].nlist, 12, 1234, want, &plain);
        if (memcmp(run.c, want, (size_t)(cases[i].nlist * D) * sizeof *want))
            fail_msg("case %zu: other centroids", i);
        if (run.report.splits != plain.splits)
            fail_msg("case %zu: %lld splits, not %lld", i, (long long)run.report.splits,
                     (long long)plain.splits);
        if (!(fabs(run.report.objective - plain.objective) <= 1e-12 * plain.objective))
            fail_msg("case %zu: objective %.17g, not %.17g", i, run.report.objective,
                     plain.objective);
        assert_int_equal(run.steps, 12);
        free(x);
    }
}

/* ---- the rest of the contract ---- */

static void test_kmeans__same_seed_gives_the_same_bits_on_any_threads(void **state)
{
    float *x = rows(MADE_CLUSTERS, 3000);
    struct run one = {0}, three = {0}, other = {0};

    (void)state;
    CHECK_OK(train(&one, 1, x, 3000, 40, 10, 7));
    CHECK_OK(train(&three, 3, x, 3000, 40, 10, 7));
    CHECK_OK(train(&other, 1, x, 3000, 40, 10, 8));
    assert_memory_equal(one.c, three.c, sizeof one.c);
    assert_memory_equal(one.objective, three.objective, sizeof one.objective);
    assert_true(memcmp(one.c, other.c, sizeof one.c) != 0);
    free(x);
}

static void test_kmeans__objective_never_rises_while_nothing_is_split(void **state)
{
    static const enum made_kind kinds[] = {MADE_GAUSS, MADE_OFFSET, MADE_TIES};

    (void)state;
    for (int k = 0; k < 3; k++) {
        float *x = rows(kinds[k], 2000);
        struct run run = {0};

        CHECK_OK(train(&run, 2, x, 2000, 5, 30, 1234));
        assert_int_equal(run.report.splits, 0);
        for (int i = 1; i < 30; i++)
            if (!(run.objective[i] <= run.objective[i - 1] * (1 + 1e-6)))
                fail_msg("%s: %.9g after %.9g", made_name(kinds[k]), run.objective[i],
                         run.objective[i - 1]);
        assert_true(run.objective[29] < run.objective[0]);
        free(x);
    }
}

static void test_kmeans__an_empty_list_is_refilled(void **state)
{
    float *x = rows(MADE_GAUSS, 400);
    struct run run = {0};
    int32_t list[400];

    (void)state;
    for (int64_t i = 10; i < 400; i++) /* ten vectors, forty times: starts coincide */
        memcpy(x + i * D, x + (i % 10) * D, D * sizeof *x);
    CHECK_OK(train(&run, 1, x, 400, 20, 15, 1));
    assert_true(run.report.splits > 0);
    for (int64_t i = 0; i < 20 * D; i++)
        assert_true(isfinite(run.c[i]));
    ref_assign(x, 400, run.c, 20, D, list);
    for (int i = 0; i < 400; i++)
        assert_true(ref_distance(x + i * D, run.c + list[i] * D, D) < 0.1); /* each has its own */
    free(x);
}

static void test_kmeans__split_halves_a_populous_list(void **state)
{
    float c[3 * D];
    int64_t count[3] = {1, 0, 101};

    (void)state;
    for (int j = 0; j < 3 * D; j++)
        c[j] = 8;
    assert_int_equal(kmeans_split(c, count, 3, D, 102), 1);
    assert_int_equal(count[0], 1);
    assert_int_equal(count[1], 50);
    assert_int_equal(count[2], 51);
    for (int j = 0; j < D; j++) {
        float up = 8 * (1 + 1 / 1024.f), down = 8 * (1 - 1 / 1024.f);

        assert_true(c[j] == 8);
        assert_true(c[D + j] == (j % 2 ? down : up));
        assert_true(c[2 * D + j] == (j % 2 ? up : down));
    }
    assert_int_equal(kmeans_split(c, count, 3, D, 102), 0);
}

static void test_kmeans__as_many_lists_as_rows_are_the_rows(void **state)
{
    float *x = rows(MADE_GAUSS, 50);
    struct run run = {0};
    int32_t list[50];
    char seen[50] = {0};

    (void)state;
    CHECK_OK(train(&run, 2, x, 50, 50, 25, 1234));
    ref_assign(x, 50, run.c, 50, D, list);
    for (int i = 0; i < 50; i++) {
        assert_memory_equal(run.c + list[i] * D, x + i * D, D * sizeof *x);
        assert_false(seen[list[i]]++);
    }
    assert_true(run.report.objective == 0);
    assert_true(run.report.imbalance == 1);
    free(x);
}

static void test_kmeans__fewer_rows_than_lists_are_refused(void **state)
{
    float *x = rows(MADE_GAUSS, 9);
    struct run run = {0};

    (void)state;
    CHECK_FAILS(ERR_INVALID, "9 training vectors are fewer than nlist 10",
                train(&run, 1, x, 9, 10, 25, 1));
    assert_int_equal(run.steps, 0);
    free(x);
}

static void test_kmeans__duplicates_alone_still_end(void **state)
{
    float *x = rows(MADE_EQUAL, 64);
    struct run run = {0};

    (void)state;
    CHECK_OK(train(&run, 2, x, 64, 64, 25, 3)); /* n == nlist: nothing but splits */
    CHECK_OK(train(&run, 2, x, 64, 63, 25, 3));
    for (int64_t i = 0; i < 63 * D; i++)
        assert_true(isfinite(run.c[i]));
    free(x);
}

static void test_kmeans__imbalance_is_that_of_the_sizes(void **state)
{
    float x[8 * D] = {0};
    struct run run = {0};
    int found = 0;

    (void)state;
    for (int j = 0; j < 6 * D; j++)
        x[j] = 100; /* six here, two there */
    for (uint32_t seed = 0; seed < 20; seed++) {
        CHECK_OK(train(&run, 1, x, 8, 2, 10, seed));
        if (run.report.objective > 0) continue; /* both starts were in one heap */
        assert_true(run.report.imbalance == 2 * (36 + 4) / 64.0);
        found++;
    }
    assert_true(found > 0);
}

static void test_kmeans__a_step_can_stop_it(void **state)
{
    float *x = rows(MADE_GAUSS, 100);
    struct run run = {.stop_at = 3};

    (void)state;
    fail(0, "the step's own words");
    CHECK_FAILS(ERR_IO, "own words", train(&run, 1, x, 100, 4, 25, 1));
    assert_int_equal(run.steps, 3);
    free(x);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_kmeans__is_what_faiss_does),
    cmocka_unit_test(test_kmeans__same_seed_gives_the_same_bits_on_any_threads),
    cmocka_unit_test(test_kmeans__objective_never_rises_while_nothing_is_split),
    cmocka_unit_test(test_kmeans__an_empty_list_is_refilled),
    cmocka_unit_test(test_kmeans__split_halves_a_populous_list),
    cmocka_unit_test(test_kmeans__as_many_lists_as_rows_are_the_rows),
    cmocka_unit_test(test_kmeans__fewer_rows_than_lists_are_refused),
    cmocka_unit_test(test_kmeans__duplicates_alone_still_end),
    cmocka_unit_test(test_kmeans__imbalance_is_that_of_the_sizes),
    cmocka_unit_test(test_kmeans__a_step_can_stop_it),
};

MADE_MAIN(tests)
