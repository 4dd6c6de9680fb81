#include "tests/row_files.h"

/* A file with a header of 32-bit counts and n bytes behind it. */
static const char *bin32(const char *name, uint32_t rows, uint32_t d, size_t n)
{
    const uint32_t head[2] = {rows, d};

    return put_two(name, head, sizeof head, some_bytes(), n);
}

static const char *bin64(const char *name, uint64_t rows, uint64_t d, size_t n)
{
    const uint64_t head[2] = {rows, d};

    return put_two(name, head, sizeof head, some_bytes(), n);
}

static void test_format_bin__name_says_the_element(void **state)
{
    static const struct {
        const char *name;
        enum cell cell;
        size_t bytes;
    } cases[] = {
        {"a.fbin",                  CELL_F32, 4},
        {"a.f16bin",                CELL_F16, 2},
        {"a.u8bin",                 CELL_U8,  1},
        {"a.I8BIN",                 CELL_I8,  1},
        {"a.ibin",                  CELL_U32, 4},
        {"b.1B.u8bin.crop_nb_7000", CELL_U8,  1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_file(bin32(cases[i].name, 7, 33, 7 * 33 * cases[i].bytes), ROLE_BASE, cases[i].cell,
                   7, 33, some_bytes());
}

static void test_format_bin__wide_header_is_told_by_the_size(void **state)
{
    (void)state;
    check_file(bin64("w.fbin", 7, 33, 7 * 33 * 4), ROLE_BASE, CELL_F32, 7, 33, some_bytes());
    check_file(bin64("w.u8bin", 1, 1, 1), ROLE_BASE, CELL_U8, 1, 1, some_bytes());
    CHECK_FAILS(ERR_FORMAT, "d = 0", try_rows(bin64("x.fbin", 7, 33, 7 * 33 * 4 - 1), ROLE_BASE));
}

static void test_format_bin__truth_comes_with_and_without_distances(void **state)
{
    struct rowfile *f = NULL;

    (void)state;
    for (int with = 0; with < 2; with++)
        for (int wide = 0; wide < 2; wide++) {
            size_t n = 9 * 10 * 4 * (with ? 2 : 1);
            const char *path = wide ? bin64("gt.bin", 9, 10, n) : bin32("gt.bin", 9, 10, n);

            check_file(path, ROLE_TRUTH, CELL_U32, 9, 10, some_bytes());
            CHECK_OK(rowfile_open(&f, path, ROLE_TRUTH));
            assert_int_equal(f->has_distances, with);
            rowfile_close(f);
        }
    CHECK_FAILS(ERR_INVALID, ".bin does not say what is in it",
                try_rows(bin32("v.bin", 9, 10, 9 * 10 * 4), ROLE_BASE));
    CHECK_FAILS(ERR_FORMAT, "which makes 1448 bytes, but it has 728: cut off?",
                try_rows(bin32("v.fbin", 36, 10, 9 * 10 * 8), ROLE_BASE));
}

static void test_format_bin__size_must_be_what_the_header_says(void **state)
{
    const uint32_t head = 5;

    (void)state;
    CHECK_FAILS(ERR_FORMAT, "n = 7, d = 33, which makes 932 bytes, but it has 931: cut off?",
                try_rows(bin32("c.fbin", 7, 33, 7 * 33 * 4 - 1), ROLE_BASE));
    CHECK_FAILS(ERR_FORMAT, "is its type the one its name says?",
                try_rows(bin32("t.u8bin", 7, 33, 7 * 33 * 4), ROLE_BASE));
    CHECK_FAILS(ERR_FORMAT, "e.fbin: the file is empty",
                try_rows(put_two("e.fbin", "", 0, "", 0), 0));
    CHECK_FAILS(ERR_FORMAT, "4 bytes are too few for a header",
                try_rows(put_two("h.fbin", &head, 4, "", 0), ROLE_BASE));
    CHECK_FAILS(ERR_FORMAT, "cut off?", try_rows(bin32("n.fbin", 7, 33, 0), ROLE_BASE));
}

static void test_format_bin__hostile_counts_are_refused(void **state)
{
    (void)state;
    CHECK_FAILS(ERR_FORMAT, "n = 0", try_rows(bin32("h.fbin", 0, 33, 64), ROLE_BASE));
    CHECK_FAILS(ERR_FORMAT, "d = 0", try_rows(bin32("h.fbin", 3, 0, 64), ROLE_BASE));
    CHECK_FAILS(ERR_FORMAT, "d = 4294967295, not 1 ... 65536: is it a .fbin file?",
                try_rows(bin32("h.fbin", 3, UINT32_MAX, 64), ROLE_BASE));
    CHECK_FAILS(ERR_FORMAT, "cut off?",
                try_rows(bin32("h.fbin", UINT32_MAX, 65536, 64), ROLE_BASE));
    /* n * d * 4 passes 2^64 and would come out as 80, the size of the body */
    CHECK_FAILS(ERR_FORMAT, "d = 1073741824",
                try_rows(bin64("h.fbin", ((uint64_t)1 << 62) + 5, 4, 80), ROLE_BASE));
    CHECK_FAILS(ERR_FORMAT, "h.fbin",
                try_rows(bin64("h.fbin", UINT64_MAX, UINT64_MAX, 4), ROLE_BASE));
    CHECK_FAILS(ERR_FORMAT, "h.fbin", try_rows(bin64("h.fbin", UINT64_MAX, 1, 4), ROLE_BASE));
}

/* The same vectors through a data set: rows, queries as f32, ids. */
static void test_format_bin__data_set_of_bytes_with_signs(void **state)
{
    const int8_t x[4] = {-128, 127, -1, 0};
    const uint32_t shape[2] = {2, 2}, gt[2 + 2 + 2] = {2, 1, 1, 0};
    const char *base = put_two("s.i8bin", shape, 8, x, 4);
    const char *truth = put_two("s.ibin", gt, 8, gt + 2, 16);
    struct dataset *ds =
        open_set(&(struct dataset_desc){.name = "t", .base = base, .query = base, .truth = truth});
    float q[4];
    vid ids[2];

    (void)state;
    assert_int_equal(dataset_info(ds)->elem, ELEM_I8);
    assert_int_equal(dataset_info(ds)->truth_k, 1);
    CHECK_OK(dataset_queries(ds, q));
    for (int i = 0; i < 4; i++)
        assert_true(q[i] == x[i]);
    CHECK_OK(dataset_truth(ds, 1, ids));
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 0);
    dataset_close(ds);
}

static void test_format_bin__halves_are_widened_exactly(void **state)
{
    /* 1, -2, 65504 (the largest), 2^-24 (the least), 0.333251953125, -0 */
    const uint16_t h[6] = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x3555, 0x8000};
    const float want[6] = {1, -2, 65504, 0x1p-24f, 0.333251953125f, -0.0f};
    const uint32_t shape[2] = {2, 3};
    const uint16_t nan_bits = 0x7e00;
    const char *path = put_two("h.f16bin", shape, 8, h, sizeof h);
    const struct dataset_desc desc = {.name = "t", .base = path, .query = path};
    struct dataset *ds = open_set(&desc);
    float q[6];

    (void)state;
    CHECK_OK(dataset_queries(ds, q));
    assert_memory_equal(q, want, sizeof q);
    overwrite(path, 8 + 2 * 4, &nan_bits, 2);
    CHECK_FAILS(ERR_FORMAT, "query 1 holds a NaN at dimension 1", dataset_queries(ds, q));
    dataset_close(ds);
}

static void test_format_bin__shrinking_file_is_noticed(void **state)
{
    const char *path = bin32("shrink.u8bin", 100, 10, 1000);
    char rows[1000];
    struct rowfile *f = NULL;

    (void)state;
    CHECK_OK(rowfile_open(&f, path, ROLE_BASE));
    CHECK_OK(truncate(path, 508));
    CHECK_FAILS(ERR_FORMAT, "ends at byte 508", rowfile_read(f, 0, 100, rows, NULL));
    rowfile_close(f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_bin__name_says_the_element),
        cmocka_unit_test(test_format_bin__wide_header_is_told_by_the_size),
        cmocka_unit_test(test_format_bin__truth_comes_with_and_without_distances),
        cmocka_unit_test(test_format_bin__size_must_be_what_the_header_says),
        cmocka_unit_test(test_format_bin__hostile_counts_are_refused),
        cmocka_unit_test(test_format_bin__data_set_of_bytes_with_signs),
        cmocka_unit_test(test_format_bin__halves_are_widened_exactly),
        cmocka_unit_test(test_format_bin__shrinking_file_is_noticed),
    };

    return testing_options(argc, argv) < 0 ? 2 : cmocka_run_group_tests(tests, NULL, NULL);
}
