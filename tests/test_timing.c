#include "tests/testing.h"

#include "harness/timing.h"

enum { MS = 1000000 };
static const int64_t S = 1000000000;

static void test_timing__median_and_quartiles_are_those_of_r(void **state)
{
    const int64_t odd[] = {50, 10, 40, 20, 30}, even[] = {4, 1, 3, 2};
    (void)state;

    assert_true(timing_quantile(odd, 5, 0.5) == 30);
    assert_true(timing_quantile(odd, 5, 0.25) == 20);
    assert_true(timing_quantile(odd, 5, 1) == 50);
    assert_true(timing_quantile(even, 4, 0.5) == 2.5);
    assert_true(timing_quantile(even, 4, 0.25) == 1.75);
    assert_true(timing_quantile(odd, 1, 0.75) == 50);
}

static void test_timing__spread_is_interquartile_range_over_median(void **state)
{
    const int64_t ns[] = {80, 90, 100, 110, 120};
    (void)state;

    assert_float_equal(timing_spread(ns, 5), 0.2, 1e-12);
}

static void test_timing__warm_up_ends_when_two_passes_agree(void **state)
{
    const int64_t agree[] = {100 * MS, 104 * MS}, differ[] = {100 * MS, 50 * MS, 49 * MS};
    (void)state;

    assert_true(timing_warming(agree, 1, TIMING_AUTO));
    assert_false(timing_warming(agree, 2, TIMING_AUTO));
    assert_true(timing_warming(differ, 2, TIMING_AUTO));
    assert_false(timing_warming(differ, 3, TIMING_AUTO));
}

static void test_timing__warm_up_ends_after_three_passes_or_two_seconds(void **state)
{
    const int64_t wild[] = {1 * MS, 9 * MS, 2 * MS}, slow[] = {2 * S};
    (void)state;

    assert_true(timing_warming(wild, 2, TIMING_AUTO));
    assert_false(timing_warming(wild, 3, TIMING_AUTO));
    assert_false(timing_warming(slow, 1, TIMING_AUTO));
}

static void test_timing__fixed_numbers_are_kept_to_the_pass(void **state)
{
    const int64_t ns[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    (void)state;

    assert_false(timing_warming(ns, 1, 0));
    assert_true(timing_warming(ns, 2, 2));
    assert_false(timing_warming(ns, 3, 2));
    assert_true(timing_more(ns, 6, 7));
    assert_false(timing_more(ns, 7, 7));
}

static void test_timing__steady_repeats_end_after_five(void **state)
{
    const int64_t ns[] = {1000, 1001, 1000, 999, 1000};
    (void)state;

    for (int n = 0; n < 5; n++)
        assert_true(timing_more(ns, n, TIMING_AUTO));
    assert_false(timing_more(ns, 5, TIMING_AUTO));
}

static void test_timing__unsteady_repeats_go_on_to_a_second_or_a_hundred(void **state)
{
    int64_t ns[100];
    (void)state;

    for (int i = 0; i < 100; i++)
        ns[i] = i % 2 ? 1 * MS : 2 * MS;
    assert_true(timing_more(ns, 5, TIMING_AUTO));
    assert_true(timing_more(ns, 99, TIMING_AUTO));
    assert_false(timing_more(ns, 100, TIMING_AUTO));
    for (int i = 0; i < 100; i++)
        ns[i] = i % 2 ? 100 * MS : 200 * MS;
    assert_true(timing_more(ns, 6, TIMING_AUTO)); /* 0.9 s */
    assert_false(timing_more(ns, 7, TIMING_AUTO));
}

static void test_timing__slow_passes_are_repeated_three_times(void **state)
{
    const int64_t ns[] = {3 * S, 3 * S, 3 * S};
    (void)state;

    assert_true(timing_more(ns, 2, TIMING_AUTO));
    assert_false(timing_more(ns, 3, TIMING_AUTO));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_timing__median_and_quartiles_are_those_of_r),
    cmocka_unit_test(test_timing__spread_is_interquartile_range_over_median),
    cmocka_unit_test(test_timing__warm_up_ends_when_two_passes_agree),
    cmocka_unit_test(test_timing__warm_up_ends_after_three_passes_or_two_seconds),
    cmocka_unit_test(test_timing__fixed_numbers_are_kept_to_the_pass),
    cmocka_unit_test(test_timing__steady_repeats_end_after_five),
    cmocka_unit_test(test_timing__unsteady_repeats_go_on_to_a_second_or_a_hundred),
    cmocka_unit_test(test_timing__slow_passes_are_repeated_three_times),
};

TESTING_MAIN(tests)
