#include "tests/vecs_files.h"

#include <math.h>

#include "engine/measure.h"

static int try_base(const char *base)
{
    return try_open(&(struct dataset_desc){.name = "t", .base = base, .query = base});
}

/* ---- reading ---- */

static void read_back(const char *name, enum elem elem, int d)
{
    static const int64_t ranges[][2] = {
        {0,   100},
        {0,   1  },
        {99,  1  },
        {31,  17 },
        {100, 0  }
    };
    struct dataset *ds = open_one(name, 100, d);
    const struct dataset_info *info = dataset_info(ds);

    assert_int_equal(info->elem, elem);
    assert_int_equal(info->d, d);
    assert_int_equal(info->n, 100);
    assert_int_equal(info->nt, 100);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        int64_t first = ranges[i][0], rows = ranges[i][1];
        void *x = testing_guarded(rows * d, elem_bytes(elem));

        CHECK_OK(dataset_read(ds, i % 2 ? PART_LEARN : PART_BASE, first, rows, x));
        check_rows(x, elem, first, rows, d);
        testing_guarded_free(x);
    }
    dataset_close(ds);
}

static void test_dataset__files_are_read_back_at_any_shape(void **state)
{
    static const int dims[] = {1, 33, 200};

    (void)state;
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        read_back("shape.bvecs", ELEM_U8, dims[i]);
        read_back("shape.fvecs", ELEM_F32, dims[i]);
    }
}

static void test_dataset__rows_longer_than_a_chunk_are_read(void **state)
{
    enum { D = D_MAX, ROWS = 70 }; /* 18 MB: several chunks, cut between rows */
    struct dataset *ds = open_one("long.fvecs", ROWS, D);
    float *x = testing_guarded((int64_t)ROWS * D, sizeof *x);

    (void)state;
    CHECK_OK(dataset_read(ds, PART_BASE, 0, ROWS, x));
    check_rows(x, ELEM_F32, 0, ROWS, D);
    testing_guarded_free(x);
    dataset_close(ds);
}

static void test_dataset__queries_come_as_f32_whatever_their_file(void **state)
{
    const struct dataset_desc desc = {.name = "mixed",
                                      .base = make_file("m.fvecs", 50, 33),
                                      .query = make_file("mq.bvecs", 7, 33)};
    struct dataset *ds = open_set(&desc);
    float *q = testing_guarded(7 * 33, sizeof *q);

    (void)state;
    assert_int_equal(dataset_info(ds)->nq, 7);
    assert_int_equal(dataset_info(ds)->elem, ELEM_F32);
    CHECK_OK(dataset_queries(ds, q));
    for (int i = 0; i < 7; i++)
        for (int t = 0; t < 33; t++)
            assert_true(q[i * 33 + t] == (float)value(i, t));
    testing_guarded_free(q);
    dataset_close(ds);
}

static void test_dataset__query_that_is_not_finite_is_named(void **state)
{
    const char *base = make_file("f.bvecs", 50, 33), *query = make_file("fq.fvecs", 7, 33);
    const float faults[] = {NAN, INFINITY, -INFINITY};
    static const char *const words[] = {"query 5 holds a NaN at dimension 32", "an infinity",
                                        "an infinity"};
    float *q = testing_guarded(7 * 33, sizeof *q);

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct dataset *ds;

        overwrite(query, 5 * (4 + 33 * 4) + 4 + 32 * 4, &faults[i], sizeof faults[i]);
        ds = open_set(&(struct dataset_desc){.name = "nan", .base = base, .query = query});
        CHECK_FAILS(ERR_FORMAT, words[i], dataset_queries(ds, q));
        dataset_close(ds);
    }
    testing_guarded_free(q);
}

/* ---- truth, learn, limit ---- */

static void test_dataset__truth_gives_the_first_k_of_each_row(void **state)
{
    const struct dataset_desc desc = {.name = "t",
                                      .base = make_file("b.bvecs", 251, 8),
                                      .query = make_file("q.bvecs", 9, 8),
                                      .truth = make_file("t.ivecs", 9, 20)};
    struct dataset *ds = open_set(&desc);
    vid *ids = testing_guarded(9 * 20, sizeof *ids);

    (void)state;
    assert_int_equal(dataset_info(ds)->truth_k, 20);
    for (int k = 1; k <= 20; k += 19) {
        CHECK_OK(dataset_truth(ds, k, ids));
        for (int i = 0; i < 9; i++)
            for (int j = 0; j < k; j++)
                assert_int_equal(ids[i * k + j], value(i, j));
    }
    testing_guarded_free(ids);
    dataset_close(ds);
}

static void test_dataset__truth_must_fit_base_and_queries(void **state)
{
    struct dataset_desc desc = {
        .name = "t", .base = make_file("b.bvecs", 50, 8), .query = make_file("q.bvecs", 9, 8)};
    struct dataset *ds;
    vid ids[9];

    (void)state;
    ds = open_set(&desc);
    assert_int_equal(dataset_info(ds)->truth_k, 0);
    CHECK_FAILS(ERR_INVALID, "no true neighbours", dataset_truth(ds, 1, ids));
    dataset_close(ds);

    desc.truth = make_file("t.ivecs", 8, 20);
    CHECK_FAILS(ERR_FORMAT, "8 rows for the 9 queries", try_open(&desc));
    desc.truth = desc.base;
    CHECK_FAILS(ERR_INVALID, "truth is a file of ids", try_open(&desc));

    desc.truth = make_file("t.ivecs", 9, 1);
    overwrite_i32(desc.truth, 7 * 8 + 4, 50);
    ds = open_set(&desc);
    CHECK_FAILS(ERR_FORMAT, "query 7: neighbour 0 is id 50", dataset_truth(ds, 1, ids));
    dataset_close(ds);
    overwrite_i32(desc.truth, 7 * 8 + 4, -1);
    ds = open_set(&desc);
    CHECK_FAILS(ERR_FORMAT, "id -1", dataset_truth(ds, 1, ids));
    dataset_close(ds);
}

static void test_dataset__limit_takes_the_first_rows_and_drops_the_truth(void **state)
{
    struct dataset_desc desc = {.name = "t",
                                .base = make_file("b.bvecs", 100, 8),
                                .query = make_file("q.bvecs", 9, 8),
                                .truth = make_file("t.ivecs", 9, 20),
                                .limit = 60};
    struct dataset *ds = open_set(&desc);

    (void)state;
    assert_int_equal(dataset_info(ds)->n, 60);
    assert_int_equal(dataset_info(ds)->nt, 60);
    assert_int_equal(dataset_info(ds)->truth_k, 0);
    dataset_close(ds);
    desc.limit = 100;
    ds = open_set(&desc);
    assert_int_equal(dataset_info(ds)->truth_k, 20);
    dataset_close(ds);
    desc.limit = 101;
    CHECK_FAILS(ERR_INVALID, "limit 101 is not in 1 ... 100", try_open(&desc));
    desc.limit = -1;
    CHECK_FAILS(ERR_INVALID, "limit -1", try_open(&desc));
}

static void test_dataset__learn_is_a_file_of_its_own_where_given(void **state)
{
    struct dataset_desc desc = {.name = "t",
                                .base = make_file("b.bvecs", 40, 8),
                                .query = make_file("q.fvecs", 9, 8),
                                .learn = make_file("l.bvecs", 30, 8),
                                .limit = 20};
    struct dataset *ds = open_set(&desc);

    (void)state;
    assert_int_equal(dataset_info(ds)->n, 20);
    assert_int_equal(dataset_info(ds)->nt, 30);
    dataset_close(ds);
    desc.learn = make_file("l.fvecs", 30, 8);
    CHECK_FAILS(ERR_FORMAT, "must be of one type", try_open(&desc));
    desc.learn = make_file("l.bvecs", 30, 9);
    CHECK_FAILS(ERR_FORMAT, "l.bvecs: d = 9, but", try_open(&desc));
    desc.learn = NULL;
    desc.query = make_file("q.fvecs", 9, 7);
    CHECK_FAILS(ERR_FORMAT, "q.fvecs: d = 7, but", try_open(&desc));
}

/* ---- faults of files ---- */

static void test_dataset__faulty_file_is_named_with_its_fault(void **state)
{
    const char *path = make_file("bad.bvecs", 10, 33);
    static const struct {
        int32_t d;
        const char *word;
    } counts[] = {
        {0,         "row 0 says d = 0"                                           },
        {-1,        "row 0 says d = -1"                                          },
        {D_MAX + 1, "row 0 says d = 65537, not 1 ... 65536: is it a .bvecs file?"},
        {34,        "28 bytes left over after row 9"                             }
    };

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        overwrite_i32(path, 0, counts[i].d);
        CHECK_FAILS(ERR_FORMAT, counts[i].word, try_base(path));
        assert_non_null(strstr(fail_text(), "bad.bvecs: "));
    }
    overwrite_i32(path, 0, 33);
    overwrite_i32(path, 9 * 37, 32);
    CHECK_FAILS(ERR_FORMAT, "row 9 says d = 32, row 0 said 33", try_base(path));
    overwrite_i32(path, 9 * 37, 33);
    CHECK_OK(truncate(path, 10 * 37 - 1));
    CHECK_FAILS(ERR_FORMAT, "36 bytes left over after row 9", try_base(path));
    CHECK_OK(truncate(path, 3));
    CHECK_FAILS(ERR_FORMAT, "3 bytes are too few", try_base(path));
    CHECK_OK(truncate(path, 0));
    CHECK_FAILS(ERR_FORMAT, "is empty", try_base(path));
}

static void test_dataset__file_that_is_none_is_refused(void **state)
{
    (void)state;
    CHECK_FAILS(ERR_IO, "No such file", try_base(at("absent.bvecs")));
    CHECK_OK(mkdir(at("folder.bvecs"), 0777));
    CHECK_FAILS(ERR_IO, "folder.bvecs: not a regular file", try_base(at("folder.bvecs")));
    CHECK_OK(mkfifo(at("pipe.bvecs"), 0666));
    CHECK_FAILS(ERR_IO, "pipe.bvecs: not a regular file", try_base(at("pipe.bvecs")));
}

static void test_dataset__format_is_the_files_ending(void **state)
{
    static const char *const known[] = {"a.fbin", "a.u8bin", "a.npy",
                                        "a.NPY",  "a.bvecs", "a.1B.u8bin.crop_nb_1000"};

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        CHECK_FAILS(ERR_IO, "No such file", try_base(known[i]));
    CHECK_FAILS(ERR_INVALID, "must end in .fvecs, .bvecs, .ivecs", try_base("base"));
    CHECK_FAILS(ERR_INVALID, "must end in", try_base("a.crop_nb_1000"));
    CHECK_FAILS(ERR_INVALID, "must end in", try_base(""));
    CHECK_FAILS(ERR_INVALID, "must end in", try_base("folder.bvecs/base"));
    CHECK_FAILS(ERR_INVALID, "not vectors", try_base(make_file("i.ivecs", 3, 4)));
}

static void test_dataset__open_survives_every_failed_allocation(void **state)
{
    const char *path = make_file("oom.bvecs", 100, 33);
    const struct dataset_desc desc = {.name = "t", .base = path, .query = path};
    struct dataset *ds = NULL;
    int nth = 1, rc = ERR_NOMEM;

    (void)state;
    for (; rc < 0; nth++) {
        mem_fail_at(nth);
        rc = dataset_open(&ds, &desc);
        mem_fail_at(0);
        if (rc < 0) CHECK_FAILS(ERR_NOMEM, "out of memory", rc);
    }
    assert_true(nth > 6);
    dataset_close(ds);
}

/* ---- identity ---- */

static struct hash identity_of(const struct dataset_desc *desc)
{
    struct dataset *ds = open_set(desc);
    struct hash h = dataset_info(ds)->identity;

    dataset_close(ds);
    return h;
}

static void test_dataset__identity_stays_when_files_move(void **state)
{
    struct dataset_desc desc = {.name = "t",
                                .base = make_file("stay.bvecs", 100, 33),
                                .query = make_file("stay.fvecs", 100, 33)};
    struct hash here;

    (void)state;
    here = identity_of(&desc);
    CHECK_OK(rename(at("stay.bvecs"), at("moved.bvecs")));
    desc.base = at("moved.bvecs");
    desc.name = "another name";
    assert_string_equal(identity_of(&desc).hex, here.hex);
}

static void test_dataset__identity_changes_with_content_size_time_and_limit(void **state)
{
    const char *path = make_file("id.bvecs", 100, 33);
    struct dataset_desc desc = {.name = "t", .base = path, .query = path};
    struct hash was, now;

    (void)state;
    set_mtime(path, 1000000000, 1);
    was = identity_of(&desc);
    overwrite(path, 99 * 37 + 36, "!", 1);
    set_mtime(path, 1000000000, 1);
    now = identity_of(&desc);
    assert_string_not_equal(now.hex, was.hex);

    was = now;
    set_mtime(path, 1000000000, 2);
    now = identity_of(&desc);
    assert_string_not_equal(now.hex, was.hex);

    was = now;
    desc.limit = 99;
    assert_string_not_equal(identity_of(&desc).hex, was.hex);
    desc.limit = 0;
    CHECK_OK(truncate(path, 99 * 37));
    set_mtime(path, 1000000000, 2);
    assert_string_not_equal(identity_of(&desc).hex, was.hex);
}

static void test_dataset__identity_of_a_large_file_sees_its_first_and_last_byte(void **state)
{
    const char *path = make_file("large.bvecs", 30000, 33); /* 1.1 MB: sampled, not read whole */
    struct dataset_desc desc = {.name = "t", .base = path, .query = path};
    static const int64_t places[] = {4, 30000 * 37 - 1};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct hash was;

        set_mtime(path, 1000000000, 1);
        was = identity_of(&desc);
        overwrite(path, places[i], "!", 1);
        set_mtime(path, 1000000000, 1);
        assert_string_not_equal(identity_of(&desc).hex, was.hex);
    }
}

static void test_dataset__identity_knows_which_file_is_which(void **state)
{
    const char *one = make_file("one.bvecs", 50, 8), *two = make_file("two.bvecs", 60, 8);
    const char *truth = make_file("truth.ivecs", 50, 4);
    const struct dataset_desc sets[] = {
        {.name = "t",   .base = one,    .query = two},
        {           .name = "t",  .base = two,   .query = one            },
        { .name = "t", .base = two,   .query = one,             .learn = one},
        { .name = "t", .base = two,   .query = one,             .learn = two},
        { .name = "t", .base = two, .query = one,             .truth = truth},
    };

    (void)state;
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(identity_of(&sets[i]).hex, identity_of(&sets[j]).hex);
}

static void test_dataset__identity_tells_signed_bytes_from_others(void **state)
{
    static const int32_t file[] = {4, 8, 1, 2, 3, 4, 5, 6, 7, 8}; /* n, d, 32 bytes */
    const char *query = at("same.i8bin");
    struct dataset_desc desc = {.name = "t", .base = make_file("b.fvecs", 50, 8), .query = query};
    FILE *f = fopen(query, "wb");
    struct hash was;

    (void)state;
    assert_non_null(f);
    assert_int_equal(fwrite(file, sizeof file, 1, f), 1);
    fclose(f);
    was = identity_of(&desc);
    CHECK_OK(rename(query, at("same.u8bin")));
    desc.query = at("same.u8bin");
    assert_string_not_equal(identity_of(&desc).hex, was.hex);
}

static void test_dataset__a_file_written_to_while_open_is_named(void **state)
{
    const char *path = make_file("open.bvecs", 100, 33);
    struct dataset_desc desc = {.name = "t", .base = path, .query = make_file("q.bvecs", 9, 33)};
    struct dataset *ds = NULL;

    (void)state;
    set_mtime(path, 1000000000, 1);
    CHECK_OK(dataset_open(&ds, &desc));
    CHECK_OK(dataset_unchanged(ds));
    overwrite(path, 50, "!", 1);
    assert_int_equal(dataset_unchanged(ds), ERR_FORMAT);
    assert_non_null(strstr(fail_text(), "open.bvecs: was written to"));
    dataset_close(ds);
}

/* ---- real vectors ---- */

/* The row of x[n][d] nearest to q; the lowest on ties. */
static vid nearest(const float *q, const uint8_t *x, int n, int d)
{
    float best = INFINITY;
    vid id = -1;

    for (int i = 0; i < n; i++) {
        float row[128];
        float dist;

        for (int t = 0; t < d; t++)
            row[t] = x[i * d + t];
        if ((dist = measure_distance(q, row, d)) < best) {
            best = dist;
            id = i;
        }
    }
    return id;
}

static void test_dataset__bigann9k_and_its_truth_are_read(void **state)
{
    char base[1100], query[1100], truth[1100];
    const char *there = testing_data("bigann10k/bigann9k_base.bvecs");
    const struct dataset_desc desc = {
        .name = "bigann9k", .base = base, .query = query, .truth = truth};
    struct dataset *ds;
    uint8_t *x;
    float *q;
    vid *ids;

    (void)state;
    if (!there) {
        print_message("no $IVFBENCH_DATA/bigann10k\n");
        skip();
    }
    snprintf(base, sizeof base, "%s", there);
    snprintf(query, sizeof query, "%s", testing_data("bigann10k/bigann9k_query.bvecs"));
    snprintf(truth, sizeof truth, "%s", testing_data("bigann10k/bigann9k_groundtruth.ivecs"));
    ds = open_set(&desc);
    assert_int_equal(dataset_info(ds)->d, 128);
    assert_int_equal(dataset_info(ds)->n, 9000);
    assert_int_equal(dataset_info(ds)->nq, 1000);
    assert_int_equal(dataset_info(ds)->truth_k, 100);
    x = testing_guarded(9000 * 128, 1);
    q = testing_guarded(1000 * 128, sizeof *q);
    ids = testing_guarded(1000, sizeof *ids);
    CHECK_OK(dataset_read(ds, PART_BASE, 0, 9000, x));
    CHECK_OK(dataset_queries(ds, q));
    CHECK_OK(dataset_truth(ds, 1, ids));
    for (int i = 0; i < 20; i++)
        assert_int_equal(nearest(q + i * 128, x, 9000, 128), ids[i]);
    testing_guarded_free(x);
    testing_guarded_free(q);
    testing_guarded_free(ids);
    dataset_close(ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dataset__files_are_read_back_at_any_shape),
        cmocka_unit_test(test_dataset__rows_longer_than_a_chunk_are_read),
        cmocka_unit_test(test_dataset__queries_come_as_f32_whatever_their_file),
        cmocka_unit_test(test_dataset__query_that_is_not_finite_is_named),
        cmocka_unit_test(test_dataset__truth_gives_the_first_k_of_each_row),
        cmocka_unit_test(test_dataset__truth_must_fit_base_and_queries),
        cmocka_unit_test(test_dataset__limit_takes_the_first_rows_and_drops_the_truth),
        cmocka_unit_test(test_dataset__learn_is_a_file_of_its_own_where_given),
        cmocka_unit_test(test_dataset__faulty_file_is_named_with_its_fault),
        cmocka_unit_test(test_dataset__file_that_is_none_is_refused),
        cmocka_unit_test(test_dataset__format_is_the_files_ending),
        cmocka_unit_test(test_dataset__open_survives_every_failed_allocation),
        cmocka_unit_test(test_dataset__identity_stays_when_files_move),
        cmocka_unit_test(test_dataset__identity_changes_with_content_size_time_and_limit),
        cmocka_unit_test(test_dataset__identity_of_a_large_file_sees_its_first_and_last_byte),
        cmocka_unit_test(test_dataset__identity_knows_which_file_is_which),
        cmocka_unit_test(test_dataset__identity_tells_signed_bytes_from_others),
        cmocka_unit_test(test_dataset__a_file_written_to_while_open_is_named),
        cmocka_unit_test(test_dataset__bigann9k_and_its_truth_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
