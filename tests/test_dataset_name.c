#include "tests/vecs_files.h"

#include "engine/base/file.h"
#include "engine/synthetic.h"

static void test_dataset_name__layouts_imply_their_dimensions(void **state)
{
    (void)state;
    assert_int_equal(dataset_name_d("SIFT1M"), 128);
    assert_int_equal(dataset_name_d("SIFT3M"), 128);
    assert_int_equal(dataset_name_d("SIFT1000M"), 128);
    assert_int_equal(dataset_name_d("Deep1B"), 96);
    assert_int_equal(dataset_name_d("Deep10M"), 96);
    assert_int_equal(dataset_name_d("TEXMEX-SIFT1M"), 128);
    assert_int_equal(dataset_name_n("Deep10M"), 10000000);
    assert_int_equal(dataset_name_n("Deep1B"), 1000000000);
    assert_int_equal(dataset_name_n("mine"), 0);
    assert_int_equal(dataset_name_d("synthetic"), 0);
    assert_int_equal(dataset_name_d("photosift200k"), 0);
    assert_int_equal(dataset_name_d("sifted"), 0);
}

static void test_dataset_name__near_miss_is_told_what_was_meant(void **state)
{
    static const struct {
        const char *name, *word;
    } cases[] = {
        {"SIFT10K",                   "\"SIFT10K\"; did you mean SIFT10M?"},
        {"SIFT10X",                   "did you mean SIFT10M?"             },
        {"SIFT10",                    "did you mean SIFT10M?"             },
        {"SIFT1Mx",                   "did you mean SIFT1M (BIGANN's"     },
        {"sift1m",                    "or TEXMEX-SIFT1M (sift_base.fvecs)"},
        {"SIFT01M",                   "did you mean SIFT1M (BIGANN's"     },
        {"sift10m",                   "did you mean SIFT10M?"             },
        {"SIFT1B",                    "did you mean SIFT1000M?"           },
        {"SIFT0M",                    "are SIFT1M ... SIFT1000M"          },
        {"SIFT2B",                    "are SIFT1M ... SIFT1000M"          },
        {"SIFT1001M",                 "are SIFT1M ... SIFT1000M"          },
        {"SIFT99999999999999999999M", "are SIFT1M ... SIFT1000M"          },
        {"deep1b",                    "did you mean Deep1B?"              },
        {"Deep1X",                    "did you mean Deep1B?"              },
        {"texmex-sift1m",             "did you mean TEXMEX-SIFT1M?"       },
        {"Synthetic",                 "did you mean synthetic?"           },
        {"sythetic",                  "did you mean synthetic?"           },
        {"syntethic",                 "did you mean synthetic?"           },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_FAILS(ERR_INVALID, cases[i].word, dataset_name_d(cases[i].name));
}

static void test_dataset_name__long_name_means_nothing(void **state)
{
    char name[1000];
    struct dataset_desc desc = {.name = name};

    (void)state;
    memset(name, 's', sizeof name);
    name[sizeof name - 1] = 0;
    assert_int_equal(dataset_name_d(name), 0);
    desc.base = desc.query = make_file("long.bvecs", 3, 4);
    dataset_close(open_set(&desc));
}

static void test_dataset_name__unknown_name_needs_files(void **state)
{
    const char *path = make_file("some.bvecs", 3, 4);

    (void)state;
    CHECK_FAILS(ERR_INVALID, "\"mine\" is none of SIFT1M",
                try_open(&(struct dataset_desc){.name = "mine"}));
    CHECK_FAILS(ERR_INVALID, "no query file",
                try_open(&(struct dataset_desc){.name = "mine", .base = path}));
    CHECK_FAILS(ERR_INVALID, "no name", try_open(&(struct dataset_desc){.base = path}));
}

static void test_dataset_name__files_may_not_take_a_layouts_name(void **state)
{
    const char *path = make_file("some.bvecs", 3, 4);
    struct dataset_desc desc = {.name = "SIFT1M", .base = path, .query = path};

    (void)state;
    CHECK_FAILS(ERR_INVALID, "known layout", try_open(&desc));
    desc.name = "Deep1B";
    CHECK_FAILS(ERR_INVALID, "known layout", try_open(&desc));
    desc.name = "sift1m"; /* TEXMEX's own set is somebody's files */
    dataset_close(open_set(&desc));
}

/* ---- the bigann folder ---- */

/* A bvecs or fvecs file that is a hole but for the counts of the rows that opening looks at. */
static void make_hole(const char *name, int64_t rows, int d)
{
    const char *path = make_file(name, 1, d);
    int64_t stride = 4 + d * (elements_are_bytes(path) ? 1 : 4);

    CHECK_OK(truncate(path, rows * stride));
    for (int64_t i = 1; i < 64; i++)
        overwrite_i32(path, i * (rows - 1) / 63 * stride, d);
}

/* Two million base rows in the folder, truth for the first million. */
static void make_bigann(const char *folder)
{
    char name[300];

    snprintf(name, sizeof name, "%s/gnd", folder);
    CHECK_OK(file_mkdirs(at(name)));
    snprintf(name, sizeof name, "%s/bigann_base.bvecs", folder);
    make_hole(name, 2000000, 128);
    snprintf(name, sizeof name, "%s/bigann_query.bvecs", folder);
    make_file(name, 10, 128);
    snprintf(name, sizeof name, "%s/bigann_learn.bvecs", folder);
    make_file(name, 500, 128);
    snprintf(name, sizeof name, "%s/gnd/idx_1M.ivecs", folder);
    make_file(name, 10, 100);
}

static void test_dataset_name__bigann_lies_below_root_or_is_it(void **state)
{
    struct dataset_desc desc = {.name = "SIFT1M"};

    (void)state;
    make_bigann("below/bigann");
    for (int i = 0; i < 2; i++) {
        struct dataset *ds;
        const struct dataset_info *info;

        desc.root = at(i ? "below/bigann" : "below");
        ds = open_set(&desc);
        info = dataset_info(ds);
        assert_string_equal(info->name, "SIFT1M");
        assert_int_equal(info->elem, ELEM_U8);
        assert_int_equal(info->d, 128);
        assert_int_equal(info->n, 1000000);
        assert_int_equal(info->nq, 10);
        assert_int_equal(info->nt, 500);
        assert_int_equal(info->truth_k, 100);
        dataset_close(ds);
    }
}

static void test_dataset_name__bigann_size_without_truth_has_none(void **state)
{
    struct dataset_desc desc = {.name = "SIFT2M", .root = at("plain")};
    struct dataset *ds;

    (void)state;
    make_bigann("plain/bigann");
    ds = open_set(&desc);
    assert_int_equal(dataset_info(ds)->n, 2000000);
    assert_int_equal(dataset_info(ds)->truth_k, 0);
    dataset_close(ds);
    desc.name = "SIFT1M";
    desc.limit = 100; /* the truth on file has ids of 100 and more */
    ds = open_set(&desc);
    assert_int_equal(dataset_info(ds)->n, 100);
    assert_int_equal(dataset_info(ds)->truth_k, 0);
    dataset_close(ds);
}

static void test_dataset_name__bigann_keeps_what_its_name_promises(void **state)
{
    struct dataset_desc desc = {.name = "SIFT3M", .root = at("short")};

    (void)state;
    make_bigann("short/bigann");
    CHECK_FAILS(ERR_FORMAT, "holds 2000000 rows, but data set SIFT3M needs 3000000",
                try_open(&desc));
    desc.name = "SIFT1M";
    desc.limit = 1000001;
    CHECK_FAILS(ERR_INVALID, "limit 1000001 is not in 1 ... 1000000", try_open(&desc));
    desc.limit = 0;
    make_file("short/bigann/bigann_base.bvecs", 20, 96);
    CHECK_FAILS(ERR_FORMAT, "d = 96, but data set SIFT1M has d = 128", try_open(&desc));
    CHECK_OK(unlink(at("short/bigann/bigann_base.bvecs")));
    CHECK_FAILS(ERR_IO, "short/bigann/bigann_base.bvecs: No such file", try_open(&desc));
    desc.root = NULL;
    CHECK_FAILS(ERR_INVALID, "needs root", try_open(&desc));
}

/* ---- the other layouts ---- */

/* What the rest of this file needs to know of an open set. */
static void check_facts(const char *name, const char *root, enum elem elem, int64_t n, int64_t nq,
                        int64_t nt, int truth_k)
{
    struct dataset *ds = open_set(&(struct dataset_desc){.name = name, .root = root});
    const struct dataset_info *info = dataset_info(ds);

    assert_int_equal(info->elem, elem);
    assert_int_equal(info->n, n);
    assert_int_equal(info->nq, nq);
    assert_int_equal(info->nt, nt);
    assert_int_equal(info->truth_k, truth_k);
    dataset_close(ds);
}

static void test_dataset_name__texmex_sift1m_lies_below_sift(void **state)
{
    (void)state;
    CHECK_OK(file_mkdirs(at("texmex/sift")));
    make_hole("texmex/sift/sift_base.fvecs", 1000000, 128);
    make_file("texmex/sift/sift_query.fvecs", 10, 128);
    make_file("texmex/sift/sift_learn.fvecs", 500, 128);
    make_file("texmex/sift/sift_groundtruth.ivecs", 10, 100);
    check_facts("TEXMEX-SIFT1M", at("texmex"), ELEM_F32, 1000000, 10, 500, 100);
    check_facts("TEXMEX-SIFT1M", at("texmex/sift"), ELEM_F32, 1000000, 10, 500, 100);
    CHECK_FAILS(ERR_INVALID, "the folder that holds sift/",
                try_open(&(struct dataset_desc){.name = "TEXMEX-SIFT1M"}));
}

static void test_dataset_name__deep_is_fvecs_of_which_ten_million_train(void **state)
{
    (void)state;
    CHECK_OK(file_mkdirs(at("fv/deep1b")));
    make_hole("fv/deep1b/base.fvecs", 2000000, 96);
    make_file("fv/deep1b/deep1B_queries.fvecs", 10, 96);
    make_hole("fv/deep1b/learn.fvecs", 10000001, 96);
    make_file("fv/deep1b/deep1B_groundtruth.ivecs", 10, 1);
    make_file("fv/deep1b/deep1M_groundtruth.ivecs", 10, 100);
    check_facts("Deep1M", at("fv"), ELEM_F32, 1000000, 10, 10000000, 100);
    check_facts("Deep2M", at("fv"), ELEM_F32, 2000000, 10, 10000000, 0);
    CHECK_FAILS(ERR_FORMAT, "holds 2000000 rows, but data set Deep1B needs 1000000000",
                try_open(&(struct dataset_desc){.name = "Deep1B", .root = at("fv")}));
}

/* A bin file of this shape that is a hole but for its header. */
static void make_bin(const char *name, uint32_t rows, uint32_t d, int64_t bytes)
{
    const char *path = at(name);
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    fwrite(&rows, 4, 1, f);
    fwrite(&d, 4, 1, f);
    assert_int_equal(fclose(f), 0);
    CHECK_OK(truncate(path, 8 + bytes));
}

static void test_dataset_name__big_anns_downloads_are_found_too(void **state)
{
    (void)state;
    CHECK_OK(file_mkdirs(at("ba/deep1b")));
    make_bin("ba/deep1b/base.1B.fbin", 1000000, 96, 96 * (int64_t)4000000);
    make_bin("ba/deep1b/query.public.10K.fbin", 10, 96, 10 * 96 * 4);
    check_facts("Deep1M", at("ba"), ELEM_F32, 1000000, 10, 1000000, 0);
    make_bin("ba/deep1b/learn.350M.fbin", 300, 96, 300 * 96 * 4);
    make_bin("ba/deep1b/groundtruth.1M.10K.ibin", 10, 100, 10 * 100 * 8);
    check_facts("Deep1M", at("ba"), ELEM_F32, 1000000, 10, 300, 100);
    CHECK_OK(file_mkdirs(at("ba/bigann")));
    make_bin("ba/bigann/base.1B.u8bin", 1000000, 128, 128 * (int64_t)1000000);
    make_bin("ba/bigann/query.public.10K.u8bin", 10, 128, 10 * 128);
    check_facts("SIFT1M", at("ba"), ELEM_U8, 1000000, 10, 1000000, 0);
}

/* ---- synthetic ---- */

static void test_dataset_name__synthetic_has_defaults(void **state)
{
    struct dataset_desc desc = {.name = "synthetic", .d = 33, .n = 2000, .seed = 1};
    struct dataset *ds = open_set(&desc);

    (void)state;
    assert_int_equal(dataset_info(ds)->elem, ELEM_U8);
    assert_int_equal(dataset_info(ds)->d, 33);
    assert_int_equal(dataset_info(ds)->n, 2000);
    assert_int_equal(dataset_info(ds)->nq, 1000);
    assert_int_equal(dataset_info(ds)->nt, 2000);
    assert_int_equal(dataset_info(ds)->truth_k, 0);
    dataset_close(ds);
    desc.n = 1000000000000;
    ds = open_set(&desc);
    assert_int_equal(dataset_info(ds)->nt, 50000);
    dataset_close(ds);
}

static void test_dataset_name__synthetic_parts_are_the_generators(void **state)
{
    const struct dataset_desc desc = {
        .name = "synthetic", .d = 33, .n = 100, .nq = 9, .nt = 50, .seed = 7};
    struct dataset *ds = open_set(&desc);
    struct synthetic *gen = NULL;
    uint8_t *want = testing_guarded(100 * 33, 1), *got = testing_guarded(100 * 33, 1);
    float *q = testing_guarded(9 * 33, sizeof *q);

    (void)state;
    CHECK_OK(synthetic_create(&gen, 7, 33));
    synthetic_rows(gen, PART_BASE, 0, 100, want);
    CHECK_OK(dataset_read(ds, PART_BASE, 0, 100, got));
    assert_memory_equal(got, want, 100 * 33);
    synthetic_rows(gen, PART_LEARN, 20, 30, want);
    CHECK_OK(dataset_read(ds, PART_LEARN, 20, 30, got));
    assert_memory_equal(got, want, 30 * 33);
    synthetic_rows(gen, PART_QUERY, 0, 9, want);
    CHECK_OK(dataset_queries(ds, q));
    for (int i = 0; i < 9 * 33; i++)
        assert_true(q[i] == want[i]);
    testing_guarded_free(want);
    testing_guarded_free(got);
    testing_guarded_free(q);
    synthetic_free(gen);
    dataset_close(ds);
}

static void test_dataset_name__synthetic_identity_is_its_parameters(void **state)
{
    const struct dataset_desc sets[] = {
        {.name = "synthetic", .d = 8, .n = 100, .nq = 9, .nt = 50, .seed = 1},
        {.name = "synthetic", .d = 9, .n = 100, .nq = 9, .nt = 50, .seed = 1},
        {.name = "synthetic", .d = 8, .n = 101, .nq = 9, .nt = 50, .seed = 1},
        {.name = "synthetic", .d = 8, .n = 100, .nq = 8, .nt = 50, .seed = 1},
        {.name = "synthetic", .d = 8, .n = 100, .nq = 9, .nt = 51, .seed = 1},
        {.name = "synthetic", .d = 8, .n = 100, .nq = 9, .nt = 50, .seed = 0},
    };
    struct hash ids[6];

    (void)state;
    for (int i = 0; i < 6; i++) {
        struct dataset *ds = open_set(&sets[i]), *again = open_set(&sets[i]);

        ids[i] = dataset_info(ds)->identity;
        assert_string_equal(dataset_info(again)->identity.hex, ids[i].hex);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(ids[i].hex, ids[j].hex);
        dataset_close(ds);
        dataset_close(again);
    }
}

static void test_dataset_name__synthetic_faults_are_named(void **state)
{
    (void)state;
    CHECK_FAILS(ERR_INVALID, "n = 0",
                try_open(&(struct dataset_desc){.name = "synthetic", .d = 8}));
    CHECK_FAILS(ERR_INVALID, "d = 0",
                try_open(&(struct dataset_desc){.name = "synthetic", .n = 8}));
    CHECK_FAILS(ERR_INVALID, "nq = -1",
                try_open(&(struct dataset_desc){.name = "synthetic", .d = 8, .n = 8, .nq = -1}));
    CHECK_FAILS(ERR_INVALID, "nt = -5",
                try_open(&(struct dataset_desc){.name = "synthetic", .d = 8, .n = 8, .nt = -5}));
    CHECK_FAILS(ERR_INVALID, "no limit",
                try_open(&(struct dataset_desc){.name = "synthetic", .d = 8, .n = 8, .limit = 4}));
    CHECK_FAILS(ERR_INVALID, "is generated",
                try_open(&(struct dataset_desc){.name = "synthetic", .base = "a.bvecs"}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dataset_name__layouts_imply_their_dimensions),
        cmocka_unit_test(test_dataset_name__near_miss_is_told_what_was_meant),
        cmocka_unit_test(test_dataset_name__long_name_means_nothing),
        cmocka_unit_test(test_dataset_name__unknown_name_needs_files),
        cmocka_unit_test(test_dataset_name__files_may_not_take_a_layouts_name),
        cmocka_unit_test(test_dataset_name__bigann_lies_below_root_or_is_it),
        cmocka_unit_test(test_dataset_name__bigann_size_without_truth_has_none),
        cmocka_unit_test(test_dataset_name__bigann_keeps_what_its_name_promises),
        cmocka_unit_test(test_dataset_name__texmex_sift1m_lies_below_sift),
        cmocka_unit_test(test_dataset_name__deep_is_fvecs_of_which_ten_million_train),
        cmocka_unit_test(test_dataset_name__big_anns_downloads_are_found_too),
        cmocka_unit_test(test_dataset_name__synthetic_has_defaults),
        cmocka_unit_test(test_dataset_name__synthetic_parts_are_the_generators),
        cmocka_unit_test(test_dataset_name__synthetic_identity_is_its_parameters),
        cmocka_unit_test(test_dataset_name__synthetic_faults_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
