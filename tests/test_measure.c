#include "tests/testing.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/measure.h"

static void check_hits(const uint16_t *got, const uint16_t *want, int64_t nq)
{
    assert_memory_equal(got, want, (size_t)nq * sizeof *got);
}

/* Three answers for each of four queries; truth is two wide, on purpose another width. */
static const vid ids[4][3] = {
    {7,  1,  2 },
    {3,  8,  4 },
    {5,  -1, -1},
    {-1, -1, -1}
};
static const vid truth[4][2] = {
    {7, 2},
    {8, 3},
    {6, 5},
    {0, 1}
};

static void test_measure__recall_1_looks_for_the_nearest_among_the_first_r(void **state)
{
    uint16_t *hits = testing_guarded(4, sizeof *hits);

    (void)state;
    assert_true(measure_recall_1(ids[0], truth[0], 4, 3, 2, 1, hits) == 0.25);
    check_hits(hits, (uint16_t[]){1, 0, 0, 0}, 4);
    assert_true(measure_recall_1(ids[0], truth[0], 4, 3, 2, 2, hits) == 0.5);
    check_hits(hits, (uint16_t[]){1, 1, 0, 0}, 4);
    assert_true(measure_recall_1(ids[0], truth[0], 4, 3, 2, 3, hits) == 0.5);
    testing_guarded_free(hits);
}

static void test_measure__recall_1_may_look_further_than_truth_is_wide(void **state)
{
    const vid found[4] = {9, 8, 7, 6}, nearest[1] = {6};
    uint16_t hit;

    (void)state;
    assert_true(measure_recall_1(found, nearest, 1, 4, 1, 4, &hit) == 1);
    assert_int_equal(hit, 1);
}

static void test_measure__no_neighbour_is_never_found(void **state)
{
    const vid none[2] = {-1, -1};
    uint16_t hit;

    (void)state;
    assert_true(measure_recall_1(none, none, 1, 2, 2, 2, &hit) == 0);
    assert_int_equal(hit, 0);
    assert_true(measure_intersection(none, none, 1, 2, 2, 2, &hit) == 0);
    assert_int_equal(hit, 0);
}

static void test_measure__intersection_ignores_order(void **state)
{
    uint16_t *hits = testing_guarded(4, sizeof *hits);

    (void)state;
    assert_true(measure_intersection(ids[0], truth[0], 4, 3, 2, 2, hits) == 4.0 / 8);
    check_hits(hits, (uint16_t[]){1, 2, 1, 0}, 4);
    assert_true(measure_intersection(ids[0], truth[0], 4, 3, 2, 1, hits) == 0.25);
    check_hits(hits, (uint16_t[]){1, 0, 0, 0}, 4);
    testing_guarded_free(hits);
}

static void test_measure__repeated_id_counts_once(void **state)
{
    const vid found[4] = {4, 4, 4, 2}, known[4] = {4, 1, 2, 3};
    uint16_t hit;

    (void)state;
    assert_true(measure_intersection(found, known, 1, 4, 4, 4, &hit) == 0.5);
    assert_int_equal(hit, 2);
    assert_true(measure_intersection(known, found, 1, 4, 4, 4, &hit) == 0.5);
}

static void test_measure__widest_answers_fit(void **state)
{
    vid *found = testing_guarded(2 * K_MAX, sizeof *found);
    uint16_t hits[2];

    (void)state;
    for (int j = 0; j < 2 * K_MAX; j++)
        found[j] = (vid)j << 32;
    assert_true(measure_intersection(found, found, 2, K_MAX, K_MAX, K_MAX, hits) == 1);
    assert_int_equal(hits[1], K_MAX);
    assert_int_equal(measure_repeated_id(found, 2, K_MAX), -1);
    found[2 * K_MAX - 1] = found[K_MAX];
    assert_int_equal(measure_repeated_id(found, 2, K_MAX), 1);
    testing_guarded_free(found);
}

static void test_measure__tied_answer_counts_as_found(void **state)
{
    /* the second query found neither true neighbour, but vectors just as near */
    const float dist[3][3] = {
        {0, 1,        2       },
        {5, 5,        6       },
        {1, INFINITY, INFINITY}
    };
    const float kth[3] = {1, 5, 3};
    uint16_t hits[3];

    (void)state;
    assert_true(measure_recall_tie(dist[0], kth, 3, 3, 2, hits) == 5.0 / 6);
    check_hits(hits, (uint16_t[]){2, 2, 1}, 3);
}

static void test_measure__unfilled_place_never_ties(void **state)
{
    const float dist[2] = {1, INFINITY}, kth[1] = {INFINITY};
    uint16_t hit;

    (void)state;
    assert_true(measure_recall_tie(dist, kth, 1, 2, 2, &hit) == 0.5);
}

static void test_measure__padding_is_no_repetition(void **state)
{
    const vid repeats[3][3] = {
        {1, 2, 3 },
        {1, 2, -1},
        {6, 5, 6 }
    };

    (void)state;
    assert_int_equal(measure_repeated_id(ids[0], 4, 3), -1);
    assert_int_equal(measure_repeated_id(repeats[0], 3, 3), 2);
    assert_int_equal(measure_repeated_id(repeats[0], 0, 3), -1);
}

static void test_measure__no_queries_give_zero(void **state)
{
    (void)state;
    assert_true(measure_recall_1(NULL, NULL, 0, 3, 2, 1, NULL) == 0);
    assert_true(measure_intersection(NULL, NULL, 0, 3, 2, 2, NULL) == 0);
    assert_true(measure_recall_tie(NULL, NULL, 0, 3, 2, NULL) == 0);
}

static void test_measure__distance_rounds_once(void **state)
{
    const float a[3] = {4096, 1, 0}, b[3] = {0, 0, 1};
    float nan[1] = {NAN}, zero[1] = {0};

    (void)state;
    /* 2^24 + 1 + 1: in fp32 each 1 alone would be lost */
    assert_true(measure_distance(a, b, 3) == 16777218.0f);
    assert_true(measure_distance(a, a, 3) == 0);
    assert_true(isnan(measure_distance(nan, zero, 1)));
}

/* Whether body ends its process by an assertion. */
static int aborts(void (*body)(void))
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr)) _exit(2);
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void intersect_beyond_truth(void)
{
    uint16_t hits[4];

    measure_intersection(ids[0], truth[0], 4, 3, 2, 3, hits);
}

static void recall_beyond_k(void)
{
    uint16_t hits[4];

    measure_recall_1(ids[0], truth[0], 4, 3, 2, 4, hits);
}

static void test_measure__r_beyond_the_arrays_is_a_callers_bug(void **state)
{
    (void)state;
    assert_true(aborts(intersect_beyond_truth));
    assert_true(aborts(recall_beyond_k));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measure__recall_1_looks_for_the_nearest_among_the_first_r),
        cmocka_unit_test(test_measure__recall_1_may_look_further_than_truth_is_wide),
        cmocka_unit_test(test_measure__no_neighbour_is_never_found),
        cmocka_unit_test(test_measure__intersection_ignores_order),
        cmocka_unit_test(test_measure__repeated_id_counts_once),
        cmocka_unit_test(test_measure__widest_answers_fit),
        cmocka_unit_test(test_measure__tied_answer_counts_as_found),
        cmocka_unit_test(test_measure__unfilled_place_never_ties),
        cmocka_unit_test(test_measure__padding_is_no_repetition),
        cmocka_unit_test(test_measure__no_queries_give_zero),
        cmocka_unit_test(test_measure__distance_rounds_once),
        cmocka_unit_test(test_measure__r_beyond_the_arrays_is_a_callers_bug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
