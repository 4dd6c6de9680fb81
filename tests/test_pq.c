/* Claims of engine/pq.h. */
#include "engine/pq.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/rand.h"
#include "engine/kmeans.h"
#include "tests/made.h"
#include "tests/ref.h"
#include "tests/testing.h"

enum { N = 1500, D = 12 };

static float x[N * D], books[KSUB * D], again[KSUB * D];

struct seen {
    int steps, stop_at;
    double first, last;
};

static int note(void *arg, int iteration, double objective)
{
    struct seen *seen = arg;

    assert_int_equal(iteration, seen->steps);
    if (seen->steps++ == 0) seen->first = objective;
    seen->last = objective;
    return seen->steps == seen->stop_at ? ERR_IO : 0;
}

static int train(int threads, int64_t n, int m, uint32_t seed, struct seen *seen, float *out)
{
    struct backend *b = made_backend(threads);
    struct mat r = made_mat(b, ELEM_F32, x, n, D);
    struct pq_desc desc = {.m = m, .seed = seed, .step = seen ? note : NULL, .arg = seen};
    int rc = pq_train(b, &r, &desc, out);

    made_release(b, &r.data);
    return rc;
}

/* Each slice for itself: Lloyd with the encode's assignment, empty ones filled by kmeans_split. */
static void plain_pq(int m, uint32_t seed, float *out)
{
    static uint8_t code[N];
    static float slice[N * D];
    static int32_t list[N];
    static int64_t perm[N], count[KSUB];
    int dsub = D / m;

    rand_perm(perm, N, seed + 1);
    for (int s = 0; s < m; s++) {
        float *book = out + s * KSUB * dsub;
        double err;

        for (int i = 0; i < N; i++)
            memcpy(slice + i * dsub, x + i * D + s * dsub, (size_t)dsub * sizeof *x);
        for (int j = 0; j < KSUB; j++)
            memcpy(book + j * dsub, slice + perm[j] * dsub, (size_t)dsub * sizeof *x);
        for (int it = 0; it < PQ_ITERATIONS; it++) {
            ref_encode(slice, N, dsub, 1, book, code, &err);
            for (int i = 0; i < N; i++)
                list[i] = code[i];
            ref_means(slice, N, dsub, list, KSUB, book, count);
            kmeans_split(book, count, KSUB, dsub, N);
        }
    }
}

static void test_pq__is_m_kmeans_one_a_slice(void **state)
{
    static const enum made_kind kinds[] = {MADE_GAUSS, MADE_CLUSTERS, MADE_TIES};
    static const int ms[] = {1, 3, 12};

    (void)state;
    for (int i = 0; i < 3; i++) {
        made_rows(kinds[i], testing_seed(), N, D, x);
        CHECK_OK(train(1 + i, N, ms[i], 1234, NULL, books));
        plain_pq(ms[i], 1234, again);
        if (memcmp(books, again, sizeof books)) fail_msg("%s, m %d", made_name(kinds[i]), ms[i]);
    }
}

static void test_pq__same_seed_gives_the_same_bits_on_any_threads(void **state)
{
    (void)state;
    made_rows(MADE_GAUSS, testing_seed(), N, D, x);
    CHECK_OK(train(1, N, 4, 5, NULL, books));
    CHECK_OK(train(3, N, 4, 5, NULL, again));
    assert_memory_equal(books, again, sizeof books);
    CHECK_OK(train(3, N, 4, 6, NULL, again));
    assert_memory_not_equal(books, again, sizeof books);
}

static void test_pq__steps_see_the_error_fall(void **state)
{
    struct seen seen = {0};

    (void)state;
    made_rows(MADE_GAUSS, testing_seed(), N, D, x);
    CHECK_OK(train(2, N, 3, 1234, &seen, books));
    assert_int_equal(seen.steps, PQ_ITERATIONS);
    assert_true(seen.last > 0 && seen.last < seen.first);
    seen = (struct seen){.stop_at = 2};
    fail(0, "the step's own words");
    CHECK_FAILS(ERR_IO, "own words", train(2, N, 3, 1234, &seen, books));
    assert_int_equal(seen.steps, 2);
}

static void test_pq__as_many_rows_as_codewords_are_coded_without_error(void **state)
{
    struct seen seen = {0};

    (void)state;
    made_rows(MADE_GAUSS, testing_seed(), KSUB, D, x);
    CHECK_OK(train(2, KSUB, 6, 1234, &seen, books));
    assert_true(seen.last == 0);
}

static void test_pq__too_few_rows_and_an_m_that_does_not_divide_are_refused(void **state)
{
    (void)state;
    CHECK_FAILS(ERR_INVALID, "255 training vectors are fewer than its 256 codewords",
                train(1, KSUB - 1, 4, 1, NULL, books));
    CHECK_FAILS(ERR_INVALID, "PQ5: m does not divide d 12", train(1, N, 5, 1, NULL, books));
    CHECK_FAILS(ERR_INVALID, "PQ0", train(1, N, 0, 1, NULL, books));
}

static int train_anew(void *arg)
{
    struct backend *b = NULL;
    struct mat r = {.elem = ELEM_F32, .rows = 300, .d = D};
    struct pq_desc desc = {.m = 3, .seed = 1};
    int rc;

    (void)arg;
    if ((rc = made_backend(1)->ops->open(&b, 0, 2)) < 0) return rc;
    if ((rc = b->ops->alloc(b, &r.data, 300 * D * sizeof(float))) < 0) goto out;
    if ((rc = b->ops->upload(b, r.data, 0, x, r.data.bytes)) < 0) goto out;
    rc = pq_train(b, &r, &desc, books);
out:
    b->ops->release(b, &r.data);
    b->ops->close(b);
    return rc;
}

static void test_pq__every_failed_alloc_is_survived(void **state)
{
    (void)state;
    made_backend(1);
    made_rows(MADE_GAUSS, testing_seed(), N, D, x);
    assert_true(testing_every_failed_alloc(train_anew, NULL) > (made_on_cpu() ? 10 : 1));
}

static void test_pq__ten_iterations_and_fifteen_more_are_twenty_five(void **state)
{
    struct backend *b = made_backend(2);
    struct pq_desc desc = {.m = 3, .seed = 7, .iterations = 10};
    struct mat r;

    (void)state;
    made_rows(MADE_CLUSTERS, testing_seed(), N, D, x);
    r = made_mat(b, ELEM_F32, x, N, D);
    CHECK_OK(pq_train(b, &r, &desc, again));
    desc.iterations = 15;
    desc.go_on = 1;
    CHECK_OK(pq_train(b, &r, &desc, again));
    CHECK_OK(train(2, N, 3, 7, NULL, books));
    assert_memory_equal(books, again, sizeof books);
    made_release(b, &r.data);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_pq__ten_iterations_and_fifteen_more_are_twenty_five),
    cmocka_unit_test(test_pq__is_m_kmeans_one_a_slice),
    cmocka_unit_test(test_pq__same_seed_gives_the_same_bits_on_any_threads),
    cmocka_unit_test(test_pq__steps_see_the_error_fall),
    cmocka_unit_test(test_pq__as_many_rows_as_codewords_are_coded_without_error),
    cmocka_unit_test(test_pq__too_few_rows_and_an_m_that_does_not_divide_are_refused),
    cmocka_unit_test(test_pq__every_failed_alloc_is_survived),
};

MADE_MAIN(tests)
