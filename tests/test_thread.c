/* Claims of engine/base/thread.h. */
#include "tests/testing.h"

#include <sched.h>

#include "engine/base/thread.h"

static int add_one(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static int fail_badly(void *arg)
{
    return fail(ERR_FORMAT, "row %d is torn", *(int *)arg);
}

static void test_thread__join_waits_for_the_body(void **state)
{
    struct thread *t = NULL;
    int n = 41;

    (void)state;
    CHECK_OK(thread_start(&t, add_one, &n));
    CHECK_OK(thread_join(t));
    assert_int_equal(n, 42);
}

static void test_thread__join_carries_code_and_text_over(void **state)
{
    struct thread *t = NULL;
    int row = 7;

    (void)state;
    fail(ERR_IO, "the caller's own");
    CHECK_OK(thread_start(&t, fail_badly, &row));
    CHECK_FAILS(ERR_FORMAT, "row 7 is torn", thread_join(t));
}

static void test_thread__texts_of_threads_stay_apart(void **state)
{
    struct thread *a = NULL, *b = NULL;
    int one = 1, two = 2;

    (void)state;
    CHECK_OK(thread_start(&a, fail_badly, &one));
    CHECK_OK(thread_start(&b, fail_badly, &two));
    CHECK_FAILS(ERR_FORMAT, "row 2", thread_join(b));
    CHECK_FAILS(ERR_FORMAT, "row 1", thread_join(a));
}

static void test_thread__a_good_join_leaves_the_callers_text(void **state)
{
    struct thread *t = NULL;
    int n = 0;

    (void)state;
    fail(ERR_IO, "the caller's own");
    CHECK_OK(thread_start(&t, add_one, &n));
    CHECK_OK(thread_join(t));
    assert_string_equal(fail_text(), "the caller's own");
}

static void test_thread__joining_none_is_fine(void **state)
{
    (void)state;
    CHECK_OK(thread_join(NULL));
}

static int start_and_join(void *arg)
{
    struct thread *t = NULL;
    int rc = thread_start(&t, add_one, arg);

    return rc < 0 ? rc : thread_join(t);
}

static void test_thread__survives_every_failed_alloc(void **state)
{
    int n = 0;

    (void)state;
    assert_int_equal(testing_every_failed_alloc(start_and_join, &n), 1);
    assert_int_equal(n, 1);
}

static void test_thread__count_heeds_the_affinity(void **state)
{
    cpu_set_t all, one;
    int cpu = 0;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_in_range(thread_count(), 1, CPU_COUNT(&all));
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(thread_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_thread__join_waits_for_the_body),
    cmocka_unit_test(test_thread__join_carries_code_and_text_over),
    cmocka_unit_test(test_thread__texts_of_threads_stay_apart),
    cmocka_unit_test(test_thread__a_good_join_leaves_the_callers_text),
    cmocka_unit_test(test_thread__joining_none_is_fine),
    cmocka_unit_test(test_thread__survives_every_failed_alloc),
    cmocka_unit_test(test_thread__count_heeds_the_affinity),
};

TESTING_MAIN(tests)
