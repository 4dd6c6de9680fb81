/* Claims of engine/base/mem.h. */
#include "tests/testing.h"

static void test_mem__new_is_zeroed_and_aligned(void **state)
{
    (void)state;
    for (int64_t n = 1; n < 3000; n += 97) {
        unsigned char *p = mem_new(n, 3);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (int64_t i = 0; i < 3 * n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xFF, (size_t)(3 * n)); /* so that memory used again is not zero by luck */
        mem_free(p);
    }
}

static void test_mem__nothing_can_be_allocated_and_freed(void **state)
{
    void *p = mem_new(0, 8);

    (void)state;
    assert_non_null(p);
    mem_free(p);
    mem_free(NULL);
}

static void test_mem__sizes_that_overflow_are_refused(void **state)
{
    size_t bytes = 7;

    (void)state;
    CHECK_FAILS(ERR_NOMEM, "4611686018427387904 elements", mem_bytes(&bytes, INT64_MAX / 2 + 1, 8));
    CHECK_FAILS(ERR_NOMEM, "-1 elements", mem_bytes(&bytes, -1, 8));
    assert_int_equal(bytes, 7);
    CHECK_OK(mem_bytes(&bytes, 3, 5));
    assert_int_equal(bytes, 15);
    CHECK_OK(mem_bytes(&bytes, INT64_MAX, 0));
    assert_int_equal(bytes, 0);
    assert_null(mem_new(INT64_MAX, 2));
}

static void test_mem__no_room_gives_null_and_names_the_bytes(void **state)
{
    (void)state;
    mem_fail_at(1);
    assert_null(mem_new(1000, 4));
    assert_non_null(strstr(fail_text(), "4000 bytes"));
}

static void test_mem__resize_keeps_what_fits(void **state)
{
    int *p = mem_new(3, sizeof *p);

    (void)state;
    for (int i = 0; i < 3; i++)
        p[i] = i + 1;
    p = mem_resize(p, 3, 1000, sizeof *p);
    assert_non_null(p);
    for (int i = 0; i < 3; i++)
        assert_int_equal(p[i], i + 1);
    p = mem_resize(p, 1000, 2, sizeof *p);
    assert_non_null(p);
    assert_int_equal(p[1], 2);
    mem_free(p);
}

static void test_mem__a_failed_resize_leaves_the_old(void **state)
{
    int *p = mem_new(2, sizeof *p);

    (void)state;
    p[1] = 42;
    mem_fail_at(1);
    assert_null(mem_resize(p, 2, 4, sizeof *p));
    assert_int_equal(p[1], 42);
    mem_free(p);
}

static void test_mem__string_is_a_copy(void **state)
{
    char from[] = "IVF1024,PQ16", *copy = mem_string(from);

    (void)state;
    from[0] = 'x';
    assert_string_equal(copy, "IVF1024,PQ16");
    mem_free(copy);
}

static void test_mem__count_counts_allocations_not_frees(void **state)
{
    int64_t before = mem_count();
    void *p = mem_new(1, 1);

    (void)state;
    mem_free(p);
    assert_int_equal(mem_count() - before, 1);
}

static void test_mem__only_the_nth_allocation_fails(void **state)
{
    void *p[4];

    (void)state;
    mem_fail_at(3);
    for (int i = 0; i < 4; i++)
        p[i] = mem_new(1, 1);
    assert_true(p[0] && p[1] && !p[2] && p[3]);
    for (int i = 0; i < 4; i++)
        mem_free(p[i]);
}

static int three_allocations(void *arg)
{
    void *p[3] = {0};
    int rc = ERR_NOMEM;

    (void)arg;
    for (int i = 0; i < 3; i++)
        if (!(p[i] = mem_new(1, 1))) goto out;
    rc = 0;
out:
    for (int i = 0; i < 3; i++)
        mem_free(p[i]);
    return rc;
}

static void test_mem__each_of_three_allocations_is_made_to_fail(void **state)
{
    (void)state;
    assert_int_equal(testing_every_failed_alloc(three_allocations, NULL), 3);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_mem__new_is_zeroed_and_aligned),
    cmocka_unit_test(test_mem__nothing_can_be_allocated_and_freed),
    cmocka_unit_test(test_mem__sizes_that_overflow_are_refused),
    cmocka_unit_test(test_mem__no_room_gives_null_and_names_the_bytes),
    cmocka_unit_test(test_mem__resize_keeps_what_fits),
    cmocka_unit_test(test_mem__a_failed_resize_leaves_the_old),
    cmocka_unit_test(test_mem__string_is_a_copy),
    cmocka_unit_test(test_mem__count_counts_allocations_not_frees),
    cmocka_unit_test(test_mem__only_the_nth_allocation_fails),
    cmocka_unit_test(test_mem__each_of_three_allocations_is_made_to_fail),
};

TESTING_MAIN(tests)
