#include "tests/row_files.h"

#include "engine/base/file.h"
#include "engine/rowwriter.h"

static const char *const names[] = {"w.fvecs", "w.bvecs", "w.ivecs", "w.fbin", "w.f16bin",
                                    "w.u8bin", "w.i8bin", "w.ibin",  "w.npy"};
enum { NAMES = sizeof names / sizeof *names };
static const enum cell cells[NAMES] = {CELL_F32, CELL_U8, CELL_I32, CELL_F32, CELL_F16,
                                       CELL_U8,  CELL_I8, CELL_U32, CELL_F32};

/* Writes 7 rows of d in two pieces. */
static const char *write_rows(const char *name, enum cell cell, int d)
{
    const char *path = at(name), *x = some_bytes();
    struct rowwriter *w = NULL;

    CHECK_OK(rowwriter_create(&w, path, cell, 7, d));
    CHECK_OK(rowwriter_add(w, x, 3));
    CHECK_OK(rowwriter_add(w, x + 3 * d * cell_bytes(cell), 4));
    CHECK_OK(rowwriter_commit(w));
    return path;
}

static void test_rowwriter__what_is_written_is_read_back(void **state)
{
    static const int ds[] = {1, 33, 96};

    (void)state;
    for (int i = 0; i < NAMES; i++)
        for (int j = 0; j < 3; j++)
            check_file(write_rows(names[i], cells[i], ds[j]), ROLE_BASE, cells[i], 7, ds[j],
                       some_bytes());
    for (int cell = CELL_F32; cell <= CELL_I64; cell++) /* npy holds them all */
        check_file(write_rows("all.npy", (enum cell)cell, 33), ROLE_BASE, (enum cell)cell, 7, 33,
                   some_bytes());
}

static void test_rowwriter__file_appears_whole_or_not_at_all(void **state)
{
    const char *path = at("half.npy");
    struct rowwriter *w = NULL;

    (void)state;
    CHECK_OK(rowwriter_create(&w, path, CELL_U8, 7, 3));
    CHECK_OK(rowwriter_add(w, some_bytes(), 3));
    rowwriter_discard(w);
    CHECK_FAILS(ERR_IO, "No such file", try_rows(path, ROLE_BASE));
    CHECK_FAILS(ERR_IO, "nowhere", rowwriter_create(&w, at("nowhere/a.npy"), CELL_U8, 7, 3));
}

static void test_rowwriter__nothing_is_lost_without_a_word(void **state)
{
    static const struct {
        const char *name;
        enum cell from;
        const char *word; /* NULL: allowed */
        enum cell to;
    } cases[] = {
        {"a.fvecs",  CELL_U8,  NULL,                                               CELL_F32},
        {"a.fbin",   CELL_F16, NULL,                                               CELL_F32},
        {"a.fbin",   CELL_I8,  NULL,                                               CELL_F32},
        {"a.u8bin",  CELL_U8,  NULL,                                               CELL_U8 },
        {"a.npy",    CELL_F16, NULL,                                               CELL_F16},
        {"a.npy",    CELL_I64, NULL,                                               CELL_I64},
        {"a.ivecs",  CELL_I64, NULL,                                               CELL_I32},
        {"a.ibin",   CELL_I32, NULL,                                               CELL_U32},
        {"a.bvecs",  CELL_F32, "u8 does not hold every f32 value; name it .fbin",  CELL_U8 },
        {"a.i8bin",  CELL_U8,  "i8 does not hold every u8 value; name it .u8bin",  CELL_I8 },
        {"a.f16bin", CELL_F32, "f16 does not hold every f32 value",                CELL_F16},
        {"a.fbin",   CELL_I32, "holds vectors, but what is to be written are ids", CELL_F32},
        {"a.ivecs",  CELL_F32, "holds ids, but what is to be written are vectors", CELL_I32},
        {"a.txt",    CELL_F32, "must end in",                                      CELL_F32},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum cell got = CELL_I64;

        if (cases[i].word) {
            CHECK_FAILS(ERR_INVALID, cases[i].word,
                        rowwriter_cell(&got, cases[i].name, cases[i].from));
            continue;
        }
        CHECK_OK(rowwriter_cell(&got, cases[i].name, cases[i].from));
        assert_int_equal(got, cases[i].to);
    }
}

static void test_rowwriter__cells_convert_exactly(void **state)
{
    const uint8_t bytes[3] = {0, 127, 255};
    const int8_t whole[3] = {-128, 0, 127};
    const int64_t ids[3] = {0, 5, INT32_MAX};
    int32_t ids32[3];
    float x[3];

    (void)state;
    CHECK_OK(cell_convert(CELL_F32, x, CELL_U8, bytes, 3));
    assert_true(x[0] == 0 && x[1] == 127 && x[2] == 255);
    CHECK_OK(cell_convert(CELL_F32, x, CELL_I8, whole, 3));
    assert_true(x[0] == -128 && x[1] == 0 && x[2] == 127);
    CHECK_OK(cell_convert(CELL_I32, ids32, CELL_I64, ids, 3));
    assert_int_equal(ids32[2], INT32_MAX);
}

static void test_rowwriter__ids_that_do_not_fit_are_named(void **state)
{
    const int64_t large = (int64_t)INT32_MAX + 1, none = -1, huge = (int64_t)UINT32_MAX + 1;
    int64_t room;

    (void)state;
    CHECK_FAILS(ERR_FORMAT, "id 2147483648 is not in 0 ... 2147483647, what i32 holds",
                cell_convert(CELL_I32, &room, CELL_I64, &large, 1));
    CHECK_OK(cell_convert(CELL_U32, &room, CELL_I64, &large, 1));
    CHECK_FAILS(ERR_FORMAT, "id 4294967296", cell_convert(CELL_U32, &room, CELL_I64, &huge, 1));
    CHECK_FAILS(ERR_FORMAT, "id -1", cell_convert(CELL_U32, &room, CELL_I64, &none, 1));
}

static void test_rowwriter__distances_follow_the_ids_of_a_bin_file(void **state)
{
    const char *path = at("gt.ibin");
    const float dist[6] = {0.5f, 1, 2, 3, 4, 5};
    const uint32_t ids[6] = {5, 4, 3, 2, 1, 0};
    struct rowwriter *w = NULL;
    struct rowfile *f = NULL;
    char *bytes = NULL;
    int64_t n = 0;

    (void)state;
    assert_true(rowwriter_takes_distances(path));
    assert_false(rowwriter_takes_distances("gt.ivecs"));
    assert_false(rowwriter_takes_distances("gt.npy"));
    assert_false(rowwriter_takes_distances("gt.fbin"));
    CHECK_OK(rowwriter_create(&w, path, CELL_U32, 3, 2));
    CHECK_OK(rowwriter_add(w, ids, 3));
    CHECK_OK(rowwriter_add_distances(w, dist));
    CHECK_OK(rowwriter_commit(w));
    CHECK_OK(rowfile_open(&f, path, ROLE_TRUTH));
    assert_true(f->has_distances);
    rowfile_close(f);
    CHECK_OK(file_read_all(&bytes, &n, path, 1000));
    assert_int_equal(n, 8 + sizeof ids + sizeof dist);
    assert_memory_equal(bytes + 8, ids, sizeof ids);
    assert_memory_equal(bytes + 8 + sizeof ids, dist, sizeof dist);
    mem_free(bytes);
}

/* NumPy wants the array to begin at a multiple of 64 bytes; the shape may be as long as it likes. */
static void test_rowwriter__npy_is_aligned_at_any_shape(void **state)
{
    (void)state;
    for (int64_t rows = 1; rows < 100000; rows *= 7) {
        struct rowwriter *w = NULL;
        struct rowfile *f = NULL;

        CHECK_OK(rowwriter_create(&w, at("a.npy"), CELL_U8, rows, 3));
        for (int64_t i = 0; i < rows; i++)
            CHECK_OK(rowwriter_add(w, some_bytes(), 1));
        CHECK_OK(rowwriter_commit(w));
        CHECK_OK(rowfile_open(&f, at("a.npy"), ROLE_BASE));
        assert_int_equal(f->offset % 64, 0);
        assert_int_equal(f->rows, rows);
        rowfile_close(f);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rowwriter__what_is_written_is_read_back),
        cmocka_unit_test(test_rowwriter__file_appears_whole_or_not_at_all),
        cmocka_unit_test(test_rowwriter__nothing_is_lost_without_a_word),
        cmocka_unit_test(test_rowwriter__cells_convert_exactly),
        cmocka_unit_test(test_rowwriter__ids_that_do_not_fit_are_named),
        cmocka_unit_test(test_rowwriter__distances_follow_the_ids_of_a_bin_file),
        cmocka_unit_test(test_rowwriter__npy_is_aligned_at_any_shape),
    };

    return testing_options(argc, argv) < 0 ? 2 : cmocka_run_group_tests(tests, NULL, NULL);
}
