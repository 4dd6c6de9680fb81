#include "tests/row_files.h"

#include "harness/build_training.h"
#include "kernels/kernels.h"

static void test_build_training__sample_is_ascending_and_as_large_as_asked(void **state)
{
    static const int64_t cases[][2] = {
        {1,    1     },
        {1,    1000  },
        {10,   10    },
        {999,  1000  },
        {100,  100000},
        {5000, 10000 }
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t count = cases[i][0], n = cases[i][1], *rows = NULL;

        CHECK_OK(build_sample(&rows, count, n, testing_seed()));
        for (int64_t j = 0; j < count; j++)
            assert_true(rows[j] < n && rows[j] > (j ? rows[j - 1] : -1));
        mem_free(rows);
    }
}

/* Over many seeds each of 20 rows is one of 5 a quarter of the time: 1000 +- 5 deviations of 27. */
static void test_build_training__every_row_is_as_likely(void **state)
{
    int seen[20] = {0};

    (void)state;
    for (uint64_t seed = 0; seed < 4000; seed++) {
        int64_t *rows = NULL;

        CHECK_OK(build_sample(&rows, 5, 20, testing_seed() + seed));
        for (int j = 0; j < 5; j++)
            seen[rows[j]]++;
        mem_free(rows);
    }
    for (int i = 0; i < 20; i++)
        assert_in_range(seen[i], 1000 - 137, 1000 + 137);
}

static void test_build_training__seed_decides_the_sample(void **state)
{
    int64_t *a = NULL, *b = NULL, *c = NULL;

    (void)state;
    CHECK_OK(build_sample(&a, 100, 10000, 7));
    CHECK_OK(build_sample(&b, 100, 10000, 7));
    CHECK_OK(build_sample(&c, 100, 10000, 8));
    assert_memory_equal(a, b, 100 * sizeof *a);
    assert_memory_not_equal(a, c, 100 * sizeof *a);
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

/* ---- the rows on a device ---- */

static void no_stage(void *arg, const char *stage, int64_t done, int64_t total)
{
    (void)stage;
    assert_true(done <= total);
    *(int64_t *)arg = done;
}

/* got[rows][d] = what is on the device after build_training on a CPU backend. */
static void train_on(struct dataset *ds, const struct group *g, void *got)
{
    int64_t told = 0;
    struct run run = {
        .watch = {.stage = no_stage, .arg = &told}
    };
    struct build b = {.run = &run, .group = g, .ds = ds, .data = dataset_info(ds)};
    const struct backend_ops *ops = NULL;
    struct mat x = {0};

    CHECK_OK(kernels_find(&ops, "cpu"));
    CHECK_OK(ops->open(&b.b, 0, 1));
    CHECK_OK(build_training(&b, &x));
    assert_int_equal(x.rows, g->train_rows);
    assert_int_equal(told, g->train_rows);
    CHECK_OK(ops->download(b.b, got, x.data, 0, x.data.bytes));
    ops->release(b.b, &x.data);
    ops->close(b.b);
}

/* A file of n rows that say which they are, so long (4 KiB) that gaps of 16 are worth skipping. */
static struct dataset *long_rows(int64_t n)
{
    enum { D = 1024 };
    static float x[D];
    const char *path = at("long.fvecs");
    FILE *f = fopen(path, "wb");
    int32_t d = D;

    assert_non_null(f);
    for (int64_t i = 0; i < n; i++) {
        x[0] = x[D - 1] = (float)i;
        fwrite(&d, sizeof d, 1, f);
        fwrite(x, sizeof x, 1, f);
    }
    assert_int_equal(fclose(f), 0);
    return open_set(&(struct dataset_desc){.name = "t", .base = path, .query = path});
}

static void test_build_training__drawn_rows_arrive_in_order_dense_or_sparse(void **state)
{
    enum { ROWS = 3000, WIDTH = 1024 };
    static const int64_t counts[] = {1, 7, 150, 2900}; /* single reads, some runs, whole blocks */
    struct dataset *ds = long_rows(ROWS);

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct trial t = {.seed = 1234};
        struct group g = {.trials = &t, .train_rows = counts[i], .train_sampled = 1};
        float *x = mem_new(counts[i] * WIDTH, sizeof *x);
        int64_t *row = NULL;

        train_on(ds, &g, x);
        CHECK_OK(build_sample(&row, counts[i], ROWS, 1234));
        for (int64_t j = 0; j < counts[i]; j++) {
            assert_true(x[j * WIDTH] == (float)row[j]);
            assert_true(x[j * WIDTH + WIDTH - 1] == (float)row[j]);
        }
        mem_free(row);
        mem_free(x);
    }
    dataset_close(ds);
}

static void test_build_training__first_rows_are_the_files_beginning(void **state)
{
    struct dataset *ds = open_one("first.bvecs", 100, 33);
    struct trial t = {.seed = 1234};
    struct group g = {.trials = &t, .train_rows = 60};
    uint8_t x[60 * 33];

    (void)state;
    train_on(ds, &g, x);
    check_rows(x, ELEM_U8, 0, 60, 33);
    dataset_close(ds);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build_training__sample_is_ascending_and_as_large_as_asked),
        cmocka_unit_test(test_build_training__every_row_is_as_likely),
        cmocka_unit_test(test_build_training__seed_decides_the_sample),
        cmocka_unit_test(test_build_training__drawn_rows_arrive_in_order_dense_or_sparse),
        cmocka_unit_test(test_build_training__first_rows_are_the_files_beginning),
    };

    return testing_options(argc, argv) < 0 ? 2 : cmocka_run_group_tests(tests, NULL, NULL);
}
