/*
 * Claims of lists_search about values: queries and rows that low precision cannot tell apart, ties, and what lies at
 * the ends of a type. Answers are the CPU's, (distance, id) and to the bit, by every path, as test_cuda_search.c has
 * it, and skipped where it is.
 */
#include <math.h>

#include "tests/rig.h"
#include "tests/testing.h"

enum { K = 100 };

static void test_cuda_values__values_that_break_low_precision(void **state)
{
    (void)state;
    for (int kind = 0; kind < MADE_KINDS; kind++) {
        struct rig_shape s = rig_shape_of(kind, ELEM_F32, 40, 0);

        s.n = 50000;
        s.nq = 300;
        rig_check_shape(&s, K);
        s.m = 10;
        rig_check_shape(&s, K);
    }
}

/* ---- ties ---- */

static void one_point(struct rig *r)
{
    for (int64_t i = 1; i < r->s.n; i++)
        rig_copy_row(rig_row(r->x, i, r), r->x, r);
}

static void test_cuda_values__all_distances_may_be_equal(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_U8, 48, 0);

    (void)state;
    s.n = 40000;
    rig_check_kinds(one_point, s, 12, K);
    rig_check_kinds(rig_few_points, s, 12, K);
}

static void test_cuda_values__odd_queries_leave_those_beside_them_alone(void **state)
{
    (void)state;
    rig_check_kinds(rig_awkward_queries, rig_shape_of(KIND_SIFT, ELEM_U8, 64, 0), 16, K);
}

/* Values at the ends of what a byte holds. */
static void ends_of_bytes(struct rig *r)
{
    static const float ends[] = {0, 255, 1, 254, -128, 127, -0.0f, 1};
    int first = r->s.storage == ELEM_I8 ? 4 : 0, d = r->s.d;

    for (int64_t i = 0; i < r->s.nq; i += 5)
        for (int j = 0; j < d; j++)
            rig_row(r->q, i, r)[j] = ends[first + (i / 5 + j) % 4];
}

/* The same, and one query that is just past them, or no whole number: then none is taken for bytes. */
static void past_bytes(struct rig *r)
{
    ends_of_bytes(r);
    rig_row(r->q, 7, r)[0] = r->s.storage == ELEM_I8 ? -129 : 256;
}

static void half_a_byte(struct rig *r)
{
    ends_of_bytes(r);
    rig_row(r->q, r->s.nq - 1, r)[r->s.d - 1] = 0.5f;
}

static void test_cuda_values__queries_may_be_bytes_or_hardly_none(void **state)
{
    void (*twists[])(struct rig * r) = {ends_of_bytes, past_bytes, half_a_byte};

    (void)state;
    for (int i = 0; i < LENGTH(twists); i++) {
        struct rig_shape s = rig_shape_of(KIND_SIFT, i % 2 ? ELEM_I8 : ELEM_U8, i ? 128 : 96, 0);

        s.twist = twists[i];
        s.nq = RIG_SOME;
        rig_check_shape(&s, K);
        s.elem = s.storage = i % 2 ? ELEM_U8 : ELEM_I8;
        rig_check_shape(&s, 10);
    }
}

/* A few rows a hundred thousand and 1e12 times as long as the others, a few as short. */
static void outliers(struct rig *r)
{
    static const float factors[] = {1e5f, 1e-5f, 1e12f, 1e-12f, 0};

    for (int64_t i = 17; i < r->s.n; i += 1999)
        for (int j = 0; j < r->s.d; j++)
            rig_row(r->x, i, r)[j] *= factors[i / 1999 % LENGTH(factors)];
    for (int64_t i = 5; i < r->s.nq; i += 50)
        for (int j = 0; j < r->s.d; j++)
            rig_row(r->q, i, r)[j] *= factors[i / 50 % LENGTH(factors)];
}

static void test_cuda_values__norms_may_be_far_apart(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SCALED, ELEM_F32, 96, 0);

    (void)state;
    s.twist = outliers;
    s.nq = RIG_SOME;
    rig_check_shape(&s, K);
    s.storage = ELEM_F16;
    s.elem = ELEM_F16; /* which ends at 65504 */
    rig_check_shape(&s, K);
    s.elem = ELEM_F32;
    s.m = 24;
    rig_check_shape(&s, K);
}

/* Rows and queries of all lengths up to where they are far from the others, and past that. */
static void ever_longer(struct rig *r)
{
    for (int64_t i = 0; i < r->s.n; i += 3)
        for (int j = 0; j < r->s.d; j++)
            rig_row(r->x, i, r)[j] *= (float)(2 + i % 37);
    for (int64_t i = 0; i < r->s.nq; i++)
        for (int j = 0; j < r->s.d; j++)
            rig_row(r->q, i, r)[j] *= (float)(1 + i % 25);
}

static void test_cuda_values__norms_may_differ_by_any_factor(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SCALED, ELEM_F32, 64, 0);

    (void)state;
    s.twist = ever_longer;
    s.nq = RIG_SOME;
    rig_check_shape(&s, K);
    s.nlist = 16; /* whose centroids are nearer to each other than to rows */
    rig_check_shape(&s, K);
    s.twist = outliers;
    rig_check_shape(&s, K);
    s.nlist = 2;
    rig_check_shape(&s, K);
}

static void longer_and_longer(struct rig *r)
{
    static const float factors[] = {1, 1, 1, 20, 300, 1e5f};

    for (int64_t i = 0; i < r->s.n; i++)
        for (int j = 0; j < r->s.d; j++)
            rig_row(r->x, i, r)[j] *= factors[i % LENGTH(factors)];
}

/* The first bound is one past everything: e's that are taken from it have no digits left. */
static void test_cuda_values__norms_may_differ_in_lists_shorter_than_k(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SCALED, ELEM_F32, 32, 0);
    struct rig r;

    (void)state;
    s.n = 2500;
    s.nq = RIG_SOME;
    s.twist = longer_and_longer;
    rig_open(&r, &s);
    for (int nprobe = 1; nprobe <= RIG_NLIST; nprobe *= 4)
        rig_check_paths(&r, K, nprobe);
    rig_clear(&r);
}

/* Zeros and ones between centroids that are all but the same, and in one row a byte that is past fp16. */
static void one_large_byte(struct rig *r)
{
    for (int64_t i = 0; i < r->s.n * r->s.d; i++)
        r->x[i] = (float)((int)r->x[i] % 2);
    rig_row(r->x, r->s.n / 2, r)[3] = r->s.elem == ELEM_U8 ? 255 : -128;
    for (int64_t i = 0; i < r->s.nlist * r->s.d; i++)
        r->c[i] = 0.4f + (float)(i % 101) / 505;
    for (int64_t i = 0; i < r->s.nq * r->s.d; i++)
        r->q[i] = (float)(i % 13) / 26;
}

static void test_cuda_values__one_byte_may_be_far_from_the_others(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_U8, 32, 0);

    (void)state;
    s.nlist = 16;
    s.n = 20000;
    s.nq = RIG_SOME;
    s.twist = one_large_byte;
    rig_check_shape(&s, 1);
    rig_check_shape(&s, K);
    s.elem = s.storage = ELEM_I8;
    rig_check_shape(&s, 1);
}

static void move_from_zero(struct rig *r, float mean)
{
    for (int64_t i = 0; i < r->s.n * r->s.d; i++)
        r->x[i] = mean + r->x[i] / 16;
    for (int64_t i = 0; i < r->s.nq * r->s.d; i++)
        r->q[i] = mean + r->q[i] / 16;
    for (int64_t i = 0; i < r->s.nlist * r->s.d; i++)
        r->c[i] = mean + r->c[i] / 16;
}

static void far_from_zero(struct rig *r)
{
    move_from_zero(r, 30000);
}

static void farther_from_zero(struct rig *r)
{
    move_from_zero(r, 4e6f);
}

static void test_cuda_values__the_mean_may_be_far_larger_than_the_spread(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_F32, 96, 0);

    (void)state;
    s.twist = far_from_zero;
    s.nq = RIG_SOME;
    rig_check_shape(&s, K);
    s.storage = ELEM_F16;
    rig_check_shape(&s, K);
    s.m = 24;
    rig_check_shape(&s, K);
}

/* 256 tables fit in no block: what codes stand for is looked at element by element. */
static void test_cuda_values__so_may_that_of_long_codes(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_F32, 512, 256);

    (void)state;
    s.twist = farther_from_zero;
    s.n = 4000;
    s.nq = RIG_SOME;
    rig_check_shape(&s, K);
}

/* Centred it is nothing; before, it is past what can be scaled. */
static void same_huge_value(struct rig *r)
{
    for (int64_t i = 0; i < r->s.n; i++)
        rig_row(r->x, i, r)[0] = 3e38f;
    for (int64_t i = 0; i < r->s.nq; i++)
        rig_row(r->q, i, r)[0] = 3e38f;
    for (int64_t j = 0; j < r->s.nlist; j++)
        rig_row(r->c, j, r)[0] = 3e38f;
}

static void test_cuda_values__all_may_have_the_same_huge_value(void **state)
{
    struct rig_shape s = rig_shape_of(MADE_GAUSS, ELEM_F32, 40, 0);

    (void)state;
    s.twist = same_huge_value;
    s.nq = RIG_SOME;
    rig_check_shape(&s, K);
    s.m = 10;
    rig_check_shape(&s, K);
}

/* ---- what scores cannot decide ---- */

/* A query far from everything, and where floats are kept the last row. */
static void strays(struct rig *r)
{
    for (int j = 0; j < r->s.d; j++) {
        rig_row(r->q, 5, r)[j] = 1e6f * (float)(j + 1);
        if (r->s.elem == ELEM_F32) rig_row(r->x, r->s.n - 1, r)[j] = -1e6f * (float)(j + 1);
    }
}

/* Answers do not tell how they were found: a stray vector must not have all queries searched plainly. */
static void check_left(const struct rig_shape *s, int most)
{
    struct search_desc want = {.nq = s->nq, .k = K, .precomputed_tables = 1};
    struct rig r;

    want.nprobe = s->nlist < 128 ? (int)s->nlist : 128;
    rig_open(&r, s);
    rig_expect(&r, K, want.nprobe);
    for (int path = 1; path <= 2; path++) {
        int32_t walked, plain;

        rig_force(path, 0);
        rig_reserve(&r, &want);
        rig_check(&r, 0, s->nq, K);
        CHECK_OK(made_search_left(rig_device(), r.got, &walked, &plain));
        if (walked > most || plain > most)
            fail_msg("%s, path %d: %d queries walked after a scan, %d were searched plainly",
                     r.text, path, walked, plain);
    }
    rig_force(-1, 0);
    rig_clear(&r);
}

static void test_cuda_values__what_scores_can_decide_is_left_to_them(void **state)
{
    (void)state;
    if (!rig_force(-1, 0)) skip();
    for (int m = 0; m <= 16; m += 16)
        for (int floats = 0; floats < 2; floats++)
            for (int nlist = 1; nlist <= RIG_NLIST; nlist += RIG_NLIST - 1) {
                struct rig_shape s = floats ? rig_shape_of(KIND_SCALED, ELEM_F32, 64, m)
                                            : rig_shape_of(KIND_SIFT, ELEM_U8, 64, m);

                if (testing_left_out()) continue;
                s.n = 50000;
                s.nq = RIG_SOME;
                s.nlist = nlist;
                check_left(&s, 0);
                s.twist = strays;
                if (nlist > 1) check_left(&s, 1);
            }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_cuda_values__values_that_break_low_precision),
    cmocka_unit_test(test_cuda_values__all_distances_may_be_equal),
    cmocka_unit_test(test_cuda_values__odd_queries_leave_those_beside_them_alone),
    cmocka_unit_test(test_cuda_values__queries_may_be_bytes_or_hardly_none),
    cmocka_unit_test(test_cuda_values__norms_may_be_far_apart),
    cmocka_unit_test(test_cuda_values__norms_may_differ_by_any_factor),
    cmocka_unit_test(test_cuda_values__norms_may_differ_in_lists_shorter_than_k),
    cmocka_unit_test(test_cuda_values__one_byte_may_be_far_from_the_others),
    cmocka_unit_test(test_cuda_values__the_mean_may_be_far_larger_than_the_spread),
    cmocka_unit_test(test_cuda_values__so_may_that_of_long_codes),
    cmocka_unit_test(test_cuda_values__all_may_have_the_same_huge_value),
    cmocka_unit_test(test_cuda_values__what_scores_can_decide_is_left_to_them),
};

RIG_MAIN(tests)
