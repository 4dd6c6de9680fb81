#include "tests/testing.h"

#include <math.h>

#include "engine/base/stats.h"

static void test_stats__median_is_the_middle_or_between_the_two(void **state)
{
    double odd[] = {9, 1, 5}, even[] = {8, 2, 4, 1}, one[] = {7};

    (void)state;
    assert_true(stats_median(odd, 3) == 5);
    assert_true(stats_median(even, 4) == 3);
    assert_true(stats_median(one, 1) == 7);
    assert_true(isnan(stats_median(NULL, 0)));
}

static void test_stats__quantiles_interpolate_as_numpy_does(void **state)
{
    double x[] = {40, 10, 30, 20};

    (void)state;
    assert_true(fabs(stats_quantile(x, 4, 0.25) - 17.5) < 1e-12);
    assert_true(fabs(stats_quantile(x, 4, 0.75) - 32.5) < 1e-12);
    assert_true(stats_quantile(x, 4, 0) == 10);
    assert_true(stats_quantile(x, 4, 1) == 40);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_stats__median_is_the_middle_or_between_the_two),
    cmocka_unit_test(test_stats__quantiles_interpolate_as_numpy_does),
};

TESTING_MAIN(tests)
