#include "tests/row_files.h"

#include <math.h>

#include "harness/centroids.h"

enum { NLIST = 5, D = 7 };

static const float *some(void)
{
    static float c[NLIST * D];

    for (int i = 0; i < NLIST * D; i++)
        c[i] = (float)i / 8;
    return c;
}

static void test_centroids__what_is_written_is_read_back(void **state)
{
    const char *path = at("new/folder/c.npy");
    struct centroids facts;
    float *c = NULL;

    (void)state;
    CHECK_OK(centroids_write(path, some(), NLIST, D));
    CHECK_OK(centroids_look(&facts, path));
    assert_int_equal(facts.nlist, NLIST);
    assert_int_equal(facts.d, D);
    CHECK_OK(centroids_read(&c, path, NLIST, D));
    assert_memory_equal(c, some(), sizeof *c * NLIST * D);
    mem_free(c);
}

static void test_centroids__faults_are_named(void **state)
{
    const char *path = at("c.npy"), *bytes = make_file("c.bvecs", 5, 7);
    float broken[NLIST * D];
    struct centroids facts;
    float *c = NULL;

    (void)state;
    CHECK_OK(centroids_write(path, some(), NLIST, D));
    CHECK_FAILS(ERR_FORMAT, "holds 5 centroids of d = 7, not 6 of 7",
                centroids_read(&c, path, 6, 7));
    CHECK_FAILS(ERR_FORMAT, "holds u8, but centroids are f32", centroids_look(&facts, bytes));
    CHECK_FAILS(ERR_IO, "none.npy", centroids_look(&facts, at("none.npy")));
    CHECK_FAILS(ERR_INVALID, "does not hold every f32", centroids_write(bytes, some(), NLIST, D));
    memcpy(broken, some(), sizeof broken);
    broken[2 * D + 3] = NAN;
    CHECK_OK(centroids_write(path, broken, NLIST, D));
    CHECK_FAILS(ERR_FORMAT, "centroid 2 holds a NaN", centroids_read(&c, path, NLIST, D));
    assert_null(c);
}

static void test_centroids__pattern_is_filled_in(void **state)
{
    struct text out = {0};

    (void)state;
    centroids_path(&out, "a/{index}_{seed}{x}{.npy", "IVF4,Flat", 12);
    assert_string_equal(text_get(&out), "a/IVF4,Flat_12{x}{.npy");
    text_clear(&out);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_centroids__what_is_written_is_read_back),
        cmocka_unit_test(test_centroids__faults_are_named),
        cmocka_unit_test(test_centroids__pattern_is_filled_in),
    };

    return testing_options(argc, argv) < 0 ? 2 : cmocka_run_group_tests(tests, NULL, NULL);
}
