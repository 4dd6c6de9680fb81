#include "tests/vecs_files.h"

/* Rows that a stream gave, each checked, and its last return. */
static int64_t drain(struct stream *s, enum elem elem, int64_t first, int64_t block_rows, int *rc)
{
    struct block b;
    int64_t rows = 0;

    while ((*rc = stream_next(s, &b)) == 1) {
        assert_int_equal(b.elem, elem);
        assert_int_equal(b.first, first + rows);
        assert_in_range(b.rows, 1, block_rows);
        check_rows(b.ptr, elem, b.first, b.rows, b.d);
        rows += b.rows;
    }
    return rows;
}

static void test_stream__gives_what_read_gives(void **state)
{
    static const int64_t sizes[] = {1, 2, 3, 7, 99, 100, 101, 1000};
    static const int64_t ranges[][2] = {
        {0,   100},
        {13,  50 },
        {99,  1  },
        {50,  0  },
        {100, 0  }
    };
    struct dataset *ds = open_one("stream.fvecs", 100, 33);

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof ranges / sizeof *ranges; j++) {
            struct stream *s = NULL;
            struct block b;
            int rc;

            CHECK_OK(stream_open(&s, ds, PART_BASE, ranges[j][0], ranges[j][1], sizes[i]));
            assert_int_equal(drain(s, ELEM_F32, ranges[j][0], sizes[i], &rc), ranges[j][1]);
            assert_int_equal(rc, 0);
            assert_int_equal(stream_next(s, &b), 0); /* the end stays the end */
            stream_close(s);
        }
    dataset_close(ds);
}

static void test_stream__two_side_by_side_do_not_mix(void **state)
{
    struct dataset *ds = open_one("two.bvecs", 100, 33);
    struct stream *a = NULL, *b = NULL;
    struct block x, y;

    (void)state;
    CHECK_OK(stream_open(&a, ds, PART_BASE, 0, 60, 7));
    CHECK_OK(stream_open(&b, ds, PART_LEARN, 40, 60, 7));
    while (stream_next(a, &x) == 1 && stream_next(b, &y) == 1) {
        check_rows(x.ptr, ELEM_U8, x.first, x.rows, 33);
        check_rows(y.ptr, ELEM_U8, x.first + 40, y.rows, 33);
    }
    stream_close(a);
    stream_close(b);
    dataset_close(ds);
}

static void test_stream__closes_at_any_time(void **state)
{
    struct dataset *ds = open_one("early.bvecs", 100, 33);

    (void)state;
    for (int taken = 0; taken <= 20; taken++) {
        struct stream *s = NULL;
        struct block b;

        CHECK_OK(stream_open(&s, ds, PART_BASE, 0, 100, 5));
        for (int i = 0; i < taken; i++)
            assert_int_equal(stream_next(s, &b), 1);
        stream_close(s);
    }
    stream_close(NULL);
    dataset_close(ds);
}

static void test_stream__readers_fault_comes_after_the_blocks_before_it(void **state)
{
    const char *path = make_file("late.bvecs", 1000, 33);
    struct dataset *ds;
    struct stream *s = NULL;
    struct block b;
    int rc;

    (void)state;
    overwrite_i32(path, 778 * 37, 7); /* not among the 64 rows that open looks at */
    ds = open_set(&(struct dataset_desc){.name = "t", .base = path, .query = path});
    CHECK_OK(stream_open(&s, ds, PART_BASE, 0, 1000, 10));
    assert_int_equal(drain(s, ELEM_U8, 0, 10, &rc), 770);
    CHECK_FAILS(ERR_FORMAT, "late.bvecs: row 778 says d = 7, row 0 said 33", rc);
    fail(ERR_INVALID, "something else");
    CHECK_FAILS(ERR_FORMAT, "row 778", stream_next(s, &b));
    stream_close(s);
    dataset_close(ds);
}

static void test_stream__closing_keeps_the_callers_words(void **state)
{
    const char *path = make_file("late.bvecs", 1000, 33);
    struct dataset *ds;
    struct stream *s = NULL;

    (void)state;
    overwrite_i32(path, 37, 7); /* row 1: the first block fails */
    ds = open_set(&(struct dataset_desc){.name = "t", .base = path, .query = path});
    CHECK_OK(stream_open(&s, ds, PART_BASE, 0, 1000, 10));
    usleep(20000); /* the reader has failed by now; if it has not, nothing is shown */
    fail(ERR_DEVICE, "the caller's own fault");
    stream_close(s);
    assert_string_equal(fail_text(), "the caller's own fault");
    dataset_close(ds);
}

static void test_stream__file_that_shrinks_while_read_is_said_to(void **state)
{
    struct dataset *ds = open_one("shrink.bvecs", 1000, 33);
    struct stream *s = NULL;
    int rc;

    (void)state;
    CHECK_OK(truncate(at("shrink.bvecs"), 500 * 37));
    CHECK_OK(stream_open(&s, ds, PART_BASE, 0, 1000, 100));
    assert_int_equal(drain(s, ELEM_U8, 0, 100, &rc), 500);
    CHECK_FAILS(ERR_FORMAT, "ends at byte 18500, near row 500", rc);
    stream_close(s);
    dataset_close(ds);
}

static void test_stream__file_removed_while_open_is_still_read(void **state)
{
    struct dataset *ds = open_one("gone.bvecs", 100, 33);
    struct stream *s = NULL;
    int rc;

    (void)state;
    CHECK_OK(unlink(at("gone.bvecs")));
    CHECK_OK(stream_open(&s, ds, PART_BASE, 0, 100, 30));
    assert_int_equal(drain(s, ELEM_U8, 0, 30, &rc), 100);
    assert_int_equal(rc, 0);
    stream_close(s);
    dataset_close(ds);
}

static void test_stream__open_survives_every_failed_allocation(void **state)
{
    struct dataset *ds = open_one("oom.bvecs", 100, 33);
    struct stream *s = NULL;
    int nth = 1, rc = ERR_NOMEM;

    (void)state;
    for (; rc < 0; nth++) {
        mem_fail_at(nth);
        rc = stream_open(&s, ds, PART_BASE, 0, 100, 10);
        mem_fail_at(0);
        if (rc < 0) CHECK_FAILS(ERR_NOMEM, "out of memory", rc);
    }
    assert_true(nth > 6);
    stream_close(s);
    dataset_close(ds);
}

static void test_stream__reading_allocates_nothing(void **state)
{
    struct dataset *ds = open_one("lean.bvecs", 1000, 33);
    struct stream *s = NULL;
    struct block b;
    int64_t before;

    (void)state;
    CHECK_OK(stream_open(&s, ds, PART_BASE, 0, 1000, 10));
    before = mem_count();
    while (stream_next(s, &b) == 1)
        ;
    assert_int_equal(mem_count(), before);
    stream_close(s);
    dataset_close(ds);
}

static void test_stream__synthetic_blocks_are_the_generators_rows(void **state)
{
    const struct dataset_desc desc = {.name = "synthetic", .d = 33, .n = 1000, .seed = 3};
    struct dataset *ds = open_set(&desc);
    uint8_t *all = testing_guarded(1000 * 33, 1);
    struct stream *s = NULL;
    struct block b;
    int64_t rows = 0;

    (void)state;
    CHECK_OK(dataset_read(ds, PART_BASE, 0, 1000, all));
    CHECK_OK(stream_open(&s, ds, PART_BASE, 0, 1000, 77));
    for (; stream_next(s, &b) == 1; rows += b.rows)
        assert_memory_equal(b.ptr, all + b.first * 33, (size_t)b.rows * 33);
    assert_int_equal(rows, 1000);
    stream_close(s);
    testing_guarded_free(all);
    dataset_close(ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream__gives_what_read_gives),
        cmocka_unit_test(test_stream__two_side_by_side_do_not_mix),
        cmocka_unit_test(test_stream__closes_at_any_time),
        cmocka_unit_test(test_stream__readers_fault_comes_after_the_blocks_before_it),
        cmocka_unit_test(test_stream__closing_keeps_the_callers_words),
        cmocka_unit_test(test_stream__file_that_shrinks_while_read_is_said_to),
        cmocka_unit_test(test_stream__file_removed_while_open_is_still_read),
        cmocka_unit_test(test_stream__open_survives_every_failed_allocation),
        cmocka_unit_test(test_stream__reading_allocates_nothing),
        cmocka_unit_test(test_stream__synthetic_blocks_are_the_generators_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
