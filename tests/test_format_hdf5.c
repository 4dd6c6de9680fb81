/*
 * HDF5 files as ann-benchmarks writes them, made here by libhdf5 through its own calls; where this
 * build has none, the one claim is that such files are refused with the reason.
 */
#include "tests/row_files.h"

#ifndef WITH_HDF5

static void test_format_hdf5__is_refused_where_the_build_has_none(void **state)
{
    (void)state;
    CHECK_FAILS(ERR_UNSUPPORTED, "install libhdf5-dev",
                try_rows(put_two("a.hdf5", "\x89HDF", 4, "", 0), ROLE_BASE));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_hdf5__is_refused_where_the_build_has_none),
    };

    return testing_options(argc, argv) < 0 ? 2 : cmocka_run_group_tests(tests, NULL, NULL);
}

#else

#include <hdf5.h>

enum { N = 50, NQ = 7, D = 5, TRUE_K = 3 };

/* A set [rows][d] of a file, of this type on file and in memory. */
static void put_set(hid_t file, const char *name, hid_t type, int rows, int d, const void *x)
{
    const hsize_t shape[2] = {(hsize_t)rows, (hsize_t)d};
    hid_t space = H5Screate_simple(2, shape, NULL);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

    assert_true(set >= 0);
    if (x) assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

/* Of variable length, as h5py writes str, or of a fixed one, as it writes bytes. */
static void put_metric(hid_t file, const char *word, int variable)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), attribute;

    H5Tset_size(type, variable ? H5T_VARIABLE : strlen(word));
    attribute = H5Acreate2(file, "distance", type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(attribute, type, variable ? (const void *)&word : word) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

/* x[n][D], value() in it. */
static const float *vectors(int n)
{
    static float x[N * D];

    for (int i = 0; i < n; i++)
        for (int t = 0; t < D; t++)
            x[i * D + t] = (float)value(i, t) + 0.5f;
    return x;
}

static const int32_t *neighbours(void)
{
    static int32_t ids[NQ * TRUE_K];

    for (int i = 0; i < NQ * TRUE_K; i++)
        ids[i] = i * 2;
    return ids;
}

static const char *make_set(const char *name, const char *metric, int variable)
{
    const char *path = at(name);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);

    assert_true(file >= 0);
    if (metric) put_metric(file, metric, variable);
    put_set(file, "train", H5T_NATIVE_FLOAT, N, D, vectors(N));
    put_set(file, "test", H5T_NATIVE_FLOAT, NQ, D, vectors(NQ));
    put_set(file, "neighbors", H5T_NATIVE_INT32, NQ, TRUE_K, neighbours());
    H5Fclose(file);
    return path;
}

/* A file of one set alone, named train. */
static const char *make_one(const char *name, hid_t type, int rows, int d, const void *x)
{
    const char *path = at(name);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);

    put_set(file, "train", type, rows, d, x);
    H5Fclose(file);
    return path;
}

static void test_format_hdf5__one_file_is_base_queries_and_truth(void **state)
{
    const char *path = make_set("all.hdf5", "euclidean", 1);
    struct dataset *ds = open_set(&(struct dataset_desc){.name = "t", .base = path});
    const struct dataset_info *info = dataset_info(ds);
    float x[N * D], q[NQ * D];
    vid ids[NQ * 2];

    (void)state;
    assert_int_equal(info->elem, ELEM_F32);
    assert_int_equal(info->n, N);
    assert_int_equal(info->nt, N);
    assert_int_equal(info->nq, NQ);
    assert_int_equal(info->truth_k, TRUE_K);
    CHECK_OK(dataset_read(ds, PART_BASE, 0, N, x));
    check_rows(x, ELEM_F32, 0, N, D);
    CHECK_OK(dataset_read(ds, PART_LEARN, 20, 7, x));
    check_rows(x, ELEM_F32, 20, 7, D);
    CHECK_OK(dataset_queries(ds, q));
    check_rows(q, ELEM_F32, 0, NQ, D);
    CHECK_OK(dataset_truth(ds, 2, ids));
    for (int i = 0; i < NQ; i++)
        assert_int_equal(ids[i * 2 + 1], neighbours()[i * TRUE_K + 1]);
    dataset_close(ds);
}

static void test_format_hdf5__other_metrics_are_refused_with_the_reason(void **state)
{
    static const char *const others[] = {"angular", "jaccard", "hamming", "ip", ""};

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        CHECK_FAILS(ERR_FORMAT, others[i], try_rows(make_set("m.hdf5", others[i], 1), ROLE_BASE));
    CHECK_FAILS(ERR_FORMAT, "\"angular\", but this engine measures squared Euclidean",
                try_rows(make_set("m.hdf5", "angular", 0), ROLE_BASE));
    check_file(make_set("e.hdf5", "euclidean", 0), ROLE_BASE, CELL_F32, N, D, vectors(N));
    check_file(make_set("e.h5", NULL, 0), ROLE_BASE, CELL_F32, N, D, vectors(N));
}

static void test_format_hdf5__types_are_taken_or_refused(void **state)
{
    const struct {
        hid_t type;
        enum cell cell;
    } taken[] = {
        {H5T_NATIVE_UINT8, CELL_U8 },
        {H5T_NATIVE_INT8,  CELL_I8 },
        {H5T_NATIVE_INT32, CELL_I32},
        {H5T_NATIVE_INT64, CELL_I64},
    };

    (void)state;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        check_file(make_one("t.hdf5", taken[i].type, 9, 4, some_bytes()), ROLE_BASE, taken[i].cell,
                   9, 4, some_bytes());
    CHECK_FAILS(ERR_FORMAT, "x.astype('f4')",
                try_rows(make_one("t.hdf5", H5T_NATIVE_DOUBLE, 9, 4, some_bytes()), ROLE_BASE));
    CHECK_FAILS(ERR_FORMAT, "`train` is none of f32",
                try_rows(make_one("t.hdf5", H5T_NATIVE_INT16, 9, 4, some_bytes()), ROLE_BASE));
}

static void test_format_hdf5__other_byte_order_is_turned(void **state)
{
    const char *path = at("be.hdf5");
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    float swapped[N * D];

    (void)state;
    for (int i = 0; i < N * D; i++) {
        uint32_t bits;

        memcpy(&bits, &vectors(N)[i], 4);
        bits = __builtin_bswap32(bits);
        memcpy(&swapped[i], &bits, 4);
    }
    put_set(file, "train", H5T_IEEE_F32BE, N, D, swapped);
    H5Fclose(file);
    check_file(path, ROLE_BASE, CELL_F32, N, D, vectors(N));
}

static void test_format_hdf5__hostile_files_are_refused(void **state)
{
    const char *path = make_set("cut.hdf5", "euclidean", 1);
    struct stat st;

    (void)state;
    CHECK_FAILS(ERR_FORMAT, "no HDF5 file?",
                try_rows(put_two("x.hdf5", "text", 4, "", 0), ROLE_BASE));
    CHECK_FAILS(ERR_FORMAT, "holds no `test`",
                try_rows(make_one("o.hdf5", H5T_NATIVE_FLOAT, 9, 4, some_bytes()), ROLE_QUERY));
    CHECK_FAILS(ERR_FORMAT, "n = 0",
                try_rows(make_one("o.hdf5", H5T_NATIVE_FLOAT, 0, 4, NULL), ROLE_BASE));
    CHECK_FAILS(ERR_FORMAT, "d = 65537",
                try_rows(make_one("o.hdf5", H5T_NATIVE_FLOAT, 2, 65537, NULL), ROLE_BASE));
    CHECK_OK(stat(path, &st));
    CHECK_OK(truncate(path, st.st_size / 2));
    CHECK_FAILS(ERR_FORMAT, "cut.hdf5: libhdf5 cannot open it: cut off", try_rows(path, ROLE_BASE));
}

static void test_format_hdf5__identity_is_of_the_content(void **state)
{
    const struct dataset_desc desc = {.name = "t", .base = make_set("id.hdf5", "euclidean", 1)};
    struct dataset *ds = open_set(&desc);
    struct hash first = dataset_info(ds)->identity;

    (void)state;
    dataset_close(ds);
    ds = open_set(&desc);
    assert_string_equal(dataset_info(ds)->identity.hex, first.hex);
    dataset_close(ds);
    make_set("id.hdf5", "euclidean", 0);
    ds = open_set(&desc);
    assert_string_not_equal(dataset_info(ds)->identity.hex, first.hex);
    dataset_close(ds);
}

/* Two streams and the opening of a third file at once: libhdf5 itself would not bear it. */
static void test_format_hdf5__streams_may_read_side_by_side(void **state)
{
    const struct dataset_desc desc = {.name = "t", .base = make_set("two.hdf5", "euclidean", 1)};

    (void)state;
    for (int round = 0; round < 20; round++) {
        struct dataset *a = open_set(&desc), *b = open_set(&desc), *c = NULL;
        struct stream *s[2] = {NULL, NULL};
        struct block x;

        CHECK_OK(stream_open(&s[0], a, PART_BASE, 0, N, 1));
        CHECK_OK(stream_open(&s[1], b, PART_BASE, 0, N, 1));
        c = open_set(&desc);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < 2; j++) {
                assert_int_equal(stream_next(s[j], &x), 1);
                check_rows(x.ptr, ELEM_F32, i, 1, D);
            }
        stream_close(s[0]);
        stream_close(s[1]);
        dataset_close(a);
        dataset_close(b);
        dataset_close(c);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_hdf5__one_file_is_base_queries_and_truth),
        cmocka_unit_test(test_format_hdf5__other_metrics_are_refused_with_the_reason),
        cmocka_unit_test(test_format_hdf5__types_are_taken_or_refused),
        cmocka_unit_test(test_format_hdf5__other_byte_order_is_turned),
        cmocka_unit_test(test_format_hdf5__hostile_files_are_refused),
        cmocka_unit_test(test_format_hdf5__identity_is_of_the_content),
        cmocka_unit_test(test_format_hdf5__streams_may_read_side_by_side),
    };

    return testing_options(argc, argv) < 0 ? 2 : cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
