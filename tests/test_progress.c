#include "tests/testing.h"

#include "harness/progress.h"

static const char *format(struct progress *p, int64_t done, int64_t total, double seconds,
                          int width)
{
    static struct text line;

    text_reset(&line);
    progress_format(&line, p, "IVF1024,PQ16", done, total, seconds, 60, width);
    return text_get(&line);
}

static void test_progress__shows_bar_rate_and_time_left(void **state)
{
    struct progress p = {.done = 3, .total = 14, .stage = "add"};
    (void)state;

    assert_string_equal(format(&p, 50, 200, 5, 200),
                        "[#####---------------] 3/14  IVF1024,PQ16  add 50/200  10/s  0:15 left");
    assert_string_equal(format(&p, 100, 100000, 10, 200),
                        "[--------------------] 3/14  IVF1024,PQ16  add 100/100000  10/s  "
                        "2:46:30 left");
}

static void test_progress__says_nothing_of_what_it_does_not_know(void **state)
{
    struct progress p = {.done = 0, .total = 2, .stage = "search"};
    (void)state;

    assert_string_equal(format(&p, 7, 0, 5, 200),
                        "[--------------------] 0/2  IVF1024,PQ16  search");
    assert_string_equal(format(&p, 0, 10, 0, 200),
                        "[--------------------] 0/2  IVF1024,PQ16  search 0/10");
}

static void test_progress__a_stage_without_an_end_shows_the_share_of_trials(void **state)
{
    struct progress p = {.done = 3, .total = 12, .stage = "search"};
    (void)state;

    assert_string_equal(format(&p, 7, 0, 5, 200),
                        "[#####---------------] 3/12  IVF1024,PQ16  search  3:00 left");
}

static void test_progress__never_passes_the_width(void **state)
{
    struct progress p = {.done = 3, .total = 14, .stage = "add"};
    (void)state;

    for (int width = 1; width < 80; width++)
        assert_true(strlen(format(&p, 50, 200, 5, width)) <= (size_t)width);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_progress__shows_bar_rate_and_time_left),
    cmocka_unit_test(test_progress__says_nothing_of_what_it_does_not_know),
    cmocka_unit_test(test_progress__a_stage_without_an_end_shows_the_share_of_trials),
    cmocka_unit_test(test_progress__never_passes_the_width),
};

TESTING_MAIN(tests)
