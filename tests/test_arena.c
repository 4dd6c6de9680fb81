#include "tests/testing.h"

#include "harness/arena.h"

static void test_arena__pieces_are_zeroed_aligned_and_apart(void **state)
{
    enum { PIECES = 2000 };
    struct arena a = {0};
    unsigned char *piece[PIECES];

    (void)state;
    for (int i = 0; i < PIECES; i++) {
        assert_non_null(piece[i] = arena_new(&a, i % 97, 1));
        assert_int_equal((uintptr_t)piece[i] % 16, 0);
        for (int j = 0; j < i % 97; j++)
            assert_int_equal(piece[i][j], 0);
        memset(piece[i], i % 251, (size_t)(i % 97));
    }
    for (int i = 0; i < PIECES; i++)
        for (int j = 0; j < i % 97; j++)
            assert_int_equal(piece[i][j], i % 251);
    arena_clear(&a);
    assert_null(a.last);
}

static void test_arena__a_piece_larger_than_a_chunk_is_whole(void **state)
{
    struct arena a = {0};
    char *large;

    (void)state;
    assert_non_null(large = arena_new(&a, 1 << 20, 1));
    memset(large, 1, 1 << 20);
    assert_string_equal(arena_string(&a, "after"), "after");
    assert_string_equal(arena_copy(&a, "before", 3), "bef");
    arena_clear(&a);
}

static void test_arena__no_memory_is_a_null_and_the_rest_stands(void **state)
{
    struct arena a = {0};
    char *first;

    (void)state;
    assert_non_null(first = arena_string(&a, "first"));
    mem_fail_at(1);
    assert_null(arena_new(&a, 1 << 20, 1));
    mem_fail_at(0);
    assert_non_null(strstr(fail_text(), "out of memory"));
    assert_null(arena_new(&a, INT64_MAX, 16));
    assert_string_equal(first, "first");
    arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena__pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(test_arena__a_piece_larger_than_a_chunk_is_whole),
        cmocka_unit_test(test_arena__no_memory_is_a_null_and_the_rest_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
