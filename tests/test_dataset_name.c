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
        {"SIFT1Mx",                   "did you mean SIFT1M?"              },
        {"SIFT01M",                   "did you mean SIFT1M?"              },
        {"sift10m",                   "did you mean SIFT10M?"             },
        {"SIFT1B",                    "did you mean SIFT1000M?"           },
        {"SIFT0M",                    "are SIFT1M ... SIFT1000M"          },
        {"SIFT2B",                    "are SIFT1M ... SIFT1000M"          },
        {"SIFT1001M",                 "are SIFT1M ... SIFT1000M"          },
        {"SIFT99999999999999999999M", "are SIFT1M ... SIFT1000M"          },
        {"deep1b",                    "did you mean Deep1B?"              },
        {"Deep1M",                    "did you mean Deep1B?"              },
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

static void test_dataset_name__deep1b_comes_later(void **state)
{
    (void)state;
    CHECK_FAILS(ERR_UNSUPPORTED, "Deep1B comes with a later version",
                try_open(&(struct dataset_desc){.name = "Deep1B", .root = "/"}));
}

/* ---- the bigann folder ---- */

/* A bvecs file of d 128 that is a hole but for the counts of the rows that opening looks at. */
static void make_hole(const char *name, int64_t rows)
{
    const char *path = make_file(name, 1, 128);

    CHECK_OK(truncate(path, rows * 132));
    for (int64_t i = 1; i < 64; i++)
        overwrite_i32(path, i * (rows - 1) / 63 * 132, 128);
}

/* Two million base rows in the folder, truth for the first million. */
static void make_bigann(const char *folder)
{
    char name[300];

    snprintf(name, sizeof name, "%s/gnd", folder);
    CHECK_OK(file_mkdirs(at(name)));
    snprintf(name, sizeof name, "%s/bigann_base.bvecs", folder);
    make_hole(name, 2000000);
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
    desc.limit = 1000;
    ds = open_set(&desc);
    assert_int_equal(dataset_info(ds)->n, 1000);
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
        cmocka_unit_test(test_dataset_name__deep1b_comes_later),
        cmocka_unit_test(test_dataset_name__bigann_lies_below_root_or_is_it),
        cmocka_unit_test(test_dataset_name__bigann_size_without_truth_has_none),
        cmocka_unit_test(test_dataset_name__bigann_keeps_what_its_name_promises),
        cmocka_unit_test(test_dataset_name__synthetic_has_defaults),
        cmocka_unit_test(test_dataset_name__synthetic_parts_are_the_generators),
        cmocka_unit_test(test_dataset_name__synthetic_identity_is_its_parameters),
        cmocka_unit_test(test_dataset_name__synthetic_faults_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
