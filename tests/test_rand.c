/*
 * Claims of engine/base/rand.h. The golden numbers are the C++ standard's (mt19937's 10,000th)
 * and what Faiss 1.15.1 gives (RandomGenerator, rand_perm).
 */
#include "tests/testing.h"

#include "engine/base/rand.h"

#include <math.h>

static void test_rand__stream_is_that_of_mt19937(void **state)
{
    struct rand r;

    (void)state;
    rand_seed(&r, 5489);
    assert_int_equal(rand_u32(&r), 3499211612u);
    for (int i = 2; i < 10000; i++)
        rand_u32(&r);
    assert_int_equal(rand_u32(&r), 4123659995u);
}

static void test_rand__floats_are_faiss_floats(void **state)
{
    static const float golden[] = {0.19151945f, 0.49766368f, 0.62210876f, 0.81783843f};
    struct rand r;

    (void)state;
    rand_seed(&r, 1234);
    for (int i = 0; i < 4; i++)
        assert_true(rand_float(&r) == golden[i]);
}

static void test_rand__integers_below_n_are_faiss_integers(void **state)
{
    static const int64_t golden[] = {775, 171, 806, 365, 316, 564};
    struct rand r;

    (void)state;
    rand_seed(&r, 1234);
    for (int i = 0; i < 6; i++)
        assert_int_equal(rand_below(&r, 1000), golden[i]);
}

static void test_rand__normals_have_the_moments_of_normals(void **state)
{
    enum { N = 100000 };
    double m[5] = {0};
    struct rand r;

    (void)state;
    rand_seed(&r, testing_seed());
    for (int i = 0; i < N; i++) {
        double v = rand_normal(&r);

        for (int p = 1; p < 5; p++)
            m[p] += pow(v, p) / N;
    }
    assert_true(fabs(m[1]) < 0.02 && fabs(m[3]) < 0.06);
    assert_true(fabs(m[2] - 1) < 0.03 && fabs(m[4] - 3) < 0.2);
}

static void test_rand__permutation_of_ten_is_faiss_permutation(void **state)
{
    static const int64_t golden[] = {5, 4, 8, 2, 6, 9, 1, 7, 0, 3};
    int64_t perm[10];

    (void)state;
    rand_perm(perm, 10, 1234);
    assert_memory_equal(perm, golden, sizeof golden);
}

static void test_rand__permutation_of_a_thousand_is_faiss_permutation(void **state)
{
    static const int64_t head[] = {775, 760, 390, 842, 624, 4, 138, 865};
    int64_t perm[1000], sum = 0;

    (void)state;
    rand_perm(perm, 1000, 1234);
    assert_memory_equal(perm, head, sizeof head);
    for (int64_t i = 0; i < 1000; i++)
        sum += perm[i] * (i + 1);
    assert_int_equal(sum, 252943933);
}

static void test_rand__permutations_of_nothing_and_of_one_are_legal(void **state)
{
    int64_t perm[2] = {-7, -7};

    (void)state;
    rand_perm(perm, 0, 1);
    assert_int_equal(perm[0], -7);
    rand_perm(perm, 1, 1);
    assert_int_equal(perm[0], 0);
    assert_int_equal(perm[1], -7);
}

static void test_rand__permutation_holds_each_row_once(void **state)
{
    enum { N = 4099 };
    static int64_t perm[N];
    static unsigned char seen[N];

    (void)state;
    rand_perm(perm, N, testing_seed());
    for (int i = 0; i < N; i++) {
        assert_in_range(perm[i], 0, N - 1);
        assert_false(seen[perm[i]]++);
    }
}

/* One flipped bit of the counter or the seed flips about half of the 64; 8 sigma of slack. */
static void test_rand__hash_spreads_every_bit(void **state)
{
    enum { N = 1000 };
    uint64_t base = testing_seed();

    (void)state;
    for (int bit = 0; bit < 64; bit++) {
        int64_t of_counter = 0, of_seed = 0;

        for (uint64_t i = 0; i < N; i++) {
            uint64_t h = rand_hash(base, i);

            of_counter += __builtin_popcountll(h ^ rand_hash(base, i ^ 1ull << bit));
            of_seed += __builtin_popcountll(h ^ rand_hash(base ^ 1ull << bit, i));
        }
        assert_in_range(of_counter, 32 * N - 8 * 127, 32 * N + 8 * 127);
        assert_in_range(of_seed, 32 * N - 8 * 127, 32 * N + 8 * 127);
    }
}

/* Synthetic vectors are this function's; a change of it would silently change every data set. */
static void test_rand__hash_never_changes(void **state)
{
    (void)state;
    assert_int_equal(rand_hash(0, 0), 0xa706dd2f4d197e6fu);
    assert_int_equal(rand_hash(1, 0), 0x46b73e79f0c37c00u);
    assert_int_equal(rand_hash(1234, 999999999), 0x739acfb3eaf49136u);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_rand__stream_is_that_of_mt19937),
    cmocka_unit_test(test_rand__floats_are_faiss_floats),
    cmocka_unit_test(test_rand__integers_below_n_are_faiss_integers),
    cmocka_unit_test(test_rand__normals_have_the_moments_of_normals),
    cmocka_unit_test(test_rand__permutation_of_ten_is_faiss_permutation),
    cmocka_unit_test(test_rand__permutation_of_a_thousand_is_faiss_permutation),
    cmocka_unit_test(test_rand__permutations_of_nothing_and_of_one_are_legal),
    cmocka_unit_test(test_rand__permutation_holds_each_row_once),
    cmocka_unit_test(test_rand__hash_spreads_every_bit),
    cmocka_unit_test(test_rand__hash_never_changes),
};

TESTING_MAIN(tests)
