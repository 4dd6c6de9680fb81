/*
 * Claims of lists_search at sizes at which a device is busy: its answers are the CPU's, (distance,
 * id) and to the bit, by whatever path they were found. Skipped where no CUDA device opens; with
 * IVFBENCH_TEST_BACKEND=cpu the CPU is compared with itself on other threads.
 */
#include <math.h>

#include "tests/rig.h"
#include "tests/testing.h"

enum { K = 100 };

static const int dims[] = {1, 33, 64, 80, 96, 100, 128, 200, 960};

/* ---- what is stored ---- */

static void test_cuda_search__rows_of_every_type_and_length(void **state)
{
    (void)state;
    for (int i = 0; i < LENGTH(dims); i++) {
        struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_U8, dims[i], 0);

        rig_check_shape(&s, K);
        s.elem = s.storage = ELEM_I8;
        rig_check_shape(&s, K);
        s = rig_shape_of(KIND_SCALED, ELEM_F32, dims[i], 0);
        rig_check_shape(&s, K);
        s.elem = s.storage = ELEM_F16;
        rig_check_shape(&s, K);
    }
}

static void test_cuda_search__rows_kept_as_another_type(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SCALED, ELEM_F32, 96, 0);

    (void)state;
    s.storage = ELEM_F16;
    rig_check_shape(&s, K);
    s.elem = ELEM_F16, s.storage = ELEM_F32;
    rig_check_shape(&s, K);
    s = rig_shape_of(KIND_SIFT, ELEM_U8, 128, 0);
    s.storage = ELEM_F32;
    rig_check_shape(&s, K);
    s.elem = ELEM_F32, s.storage = ELEM_U8;
    rig_check_shape(&s, K);
}

/* dsub 1 ... 16, odd ones and 33 among them; m that four do not divide. */
static void test_cuda_search__codes_of_every_shape(void **state)
{
    static const struct {
        int d, ms[6]; /* 0 ends them */
    } cases[] = {
        {1,   {1}                 },
        {33,  {1, 3, 11, 33}      },
        {64,  {4, 8, 16, 32, 64}  },
        {80,  {5, 10, 20}         },
        {96,  {6, 8, 24, 32}      },
        {100, {10, 20, 25}        },
        {128, {8, 16, 32, 64, 128}},
        {200, {25, 50}            },
        {960, {60, 80, 120, 240}  },
    };

    (void)state;
    for (int i = 0; i < LENGTH(cases); i++)
        for (int j = 0; cases[i].ms[j]; j++) {
            struct rig_shape s =
                j % 2 ? rig_shape_of(KIND_SIFT, ELEM_U8, cases[i].d, cases[i].ms[j])
                      : rig_shape_of(KIND_SCALED, ELEM_F32, cases[i].d, cases[i].ms[j]);

            rig_check_shape(&s, K);
        }
}

static void test_cuda_search__vectors_behind_a_transform(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_U8, 128, 16);

    (void)state;
    s.d_in = 128; /* as OPQ's */
    rig_check_shape(&s, K);
    s.d = 64, s.d_in = 128; /* as PCAR's */
    rig_check_shape(&s, K);
    s.m = 0, s.storage = ELEM_F32;
    rig_check_shape(&s, K);
    s.kind = KIND_SCALED, s.elem = ELEM_F32, s.storage = ELEM_F16;
    rig_check_shape(&s, K);
}

/* ---- lists ---- */

/* Every other row is a step from the row of list 0, and so is every other query. */
static void half_in_one_list(struct rig *r)
{
    int d = r->s.d;

    for (int64_t i = 1; i < r->s.n; i += 2) {
        if (i > 1) rig_copy_row(rig_row(r->x, i, r), rig_row(r->x, 1, r), r);
        rig_row(r->x, i, r)[i % d] += (float)(i / 2 % 3);
    }
    for (int64_t j = 0; j < r->s.nlist; j++)
        rig_copy_row(rig_row(r->c, j, r), rig_row(r->x, j ? 2 * j : 1, r), r);
    for (int64_t i = 1; i < r->s.nq; i += 2) {
        rig_copy_row(rig_row(r->q, i, r), rig_row(r->x, 1, r), r);
        rig_row(r->q, i, r)[i % d] += (float)(i % 5);
    }
}

static void test_cuda_search__one_list_holds_half_of_all_vectors(void **state)
{
    (void)state;
    rig_check_kinds(half_in_one_list, rig_shape_of(KIND_SIFT, ELEM_U8, 96, 0), 24, K);
}

/* Of four lists one repeats its neighbour, so that it is as near and stays empty; one is far off. */
static void three_empty_in_four(struct rig *r)
{
    for (int64_t j = 0; j < r->s.nlist; j++) {
        if (j % 4 == 1 || j % 4 == 3) rig_copy_row(rig_row(r->c, j, r), rig_row(r->c, j - 1, r), r);
        for (int i = 0; j % 4 == 3 && i < r->s.d; i++)
            rig_row(r->c, j - 1, r)[i] = rig_row(r->c, j, r)[i] = 1e4f + (float)j;
    }
}

static void test_cuda_search__lists_may_be_empty(void **state)
{
    (void)state;
    rig_check_kinds(three_empty_in_four, rig_shape_of(KIND_SIFT, ELEM_U8, 64, 0), 16, K);
}

/* Lists of ten: one is shorter than k 100, and so are three of them together. */
static void test_cuda_search__the_lists_probed_may_hold_fewer_than_k(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_U8, 96, 0);
    struct rig r;

    (void)state;
    s.n = 20000;
    s.nlist = 2000;
    rig_check_kinds(NULL, s, 24, K);
    rig_open(&r, &s);
    for (int nprobe = 1; nprobe <= 32; nprobe *= 2)
        rig_check_paths(&r, K, nprobe);
    rig_clear(&r);
}

static void test_cuda_search__there_may_be_one_list(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_U8, 32, 0);

    (void)state;
    s.nlist = 1;
    s.n = 50000;
    rig_check_kinds(NULL, s, 8, K);
}

static void test_cuda_search__thousands_of_lists_are_probed(void **state)
{
    static const int nprobes[] = {1, 1000, 5000, 20000};
    struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_U8, 16, 0);
    struct rig r;

    (void)state;
    s.n = 100000;
    s.nlist = 20000;
    s.nq = 300;
    for (int m = 0; m <= 4; m += 4) {
        s.m = m;
        rig_open(&r, &s);
        for (int i = 0; i < LENGTH(nprobes); i++)
            rig_check_paths(&r, K, nprobes[i]);
        rig_clear(&r);
    }
}

/* ---- what is asked ---- */

static void test_cuda_search__a_call_takes_more_queries_than_a_grid_has_rows(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_U8, 16, 0);
    struct rig r;

    (void)state;
    s.n = 50000;
    s.nq = 70000;
    for (int m = 0; m <= 4; m += 4) {
        s.m = m;
        rig_open(&r, &s);
        rig_check_paths(&r, 10, 8);
        rig_clear(&r);
    }
}

/* By every path: the most that can be kept, and all that is less. */
static void check_ks(struct rig *r, int nprobe)
{
    static const int ks[] = {1, 2, 10, 31, 100, 1000, K_MAX};

    rig_expect(r, K_MAX, nprobe);
    for (int path = -1; path <= 2; path++) {
        if (!rig_force(path, 0) && path >= 0) break;
        for (int i = 0; i < LENGTH(ks); i++) {
            struct search_desc s = {.nq = r->s.nq, .k = ks[i], .nprobe = nprobe};

            rig_reserve(r, &s);
            rig_check(r, 0, s.nq, ks[i]);
        }
    }
    rig_force(-1, 0);
}

static void test_cuda_search__every_k_is_answered(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_U8, 64, 0);
    struct rig r;

    (void)state;
    s.nq = 1000;
    for (int m = 0; m <= 16; m += 16) {
        s.m = m;
        rig_open(&r, &s);
        check_ks(&r, 2);
        check_ks(&r, 20);
        rig_clear(&r);
    }
}

static void test_cuda_search__every_nprobe_is_answered(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_U8, 64, 0);
    struct rig r;

    (void)state;
    s.nq = 1000;
    for (int m = 0; m <= 16; m += 16) {
        s.m = m;
        rig_open(&r, &s);
        for (int nprobe = 1; nprobe < RIG_NLIST; nprobe = 2 * nprobe + 1)
            rig_check_paths(&r, 10, nprobe);
        rig_check_paths(&r, 10, RIG_NLIST);
        rig_clear(&r);
    }
}

static void test_cuda_search__batches_of_any_size_have_the_same_answers(void **state)
{
    static const int sizes[] = {1, 2, 7, 33, 100, 1000, RIG_NQ};
    struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_U8, 128, 0);
    struct rig r;

    (void)state;
    for (int m = 0; m <= 32; m += 32) {
        s.m = m;
        rig_open(&r, &s);
        rig_expect(&r, 10, 16);
        for (int i = 0; i < LENGTH(sizes); i++) {
            struct search_desc desc = {.nq = sizes[i], .k = 10, .nprobe = 16};

            rig_reserve(&r, &desc);
            rig_check_batches(&r, sizes[i] < 20 ? 40 * sizes[i] : RIG_NQ, sizes[i], 10);
        }
        rig_clear(&r);
    }
}

/* A scan takes them by tiles: of 16 to 128 queries of codes. */
static void test_cuda_search__a_list_may_have_few_queries_or_hundreds(void **state)
{
    static const int nqs[] = {9, 31, 85, 700}, ds[] = {32, 64, 96, 128};

    (void)state;
    for (int i = 0; i < LENGTH(ds); i++)
        for (int j = 0; j < LENGTH(nqs); j++) {
            struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_U8, ds[i], ds[i] / 4);
            struct rig r;

            if (testing_left_out()) continue;
            s.n = 20000;
            s.nlist = 8;
            s.nq = nqs[j];
            rig_open(&r, &s);
            rig_check_paths(&r, 10, 4);
            rig_clear(&r);
        }
}

/* Samples that bounds come from have some hundred rows: here they end within a third list. */
static void test_cuda_search__a_bound_may_come_from_part_of_a_list(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_U8, 32, 0);

    (void)state;
    s.n = 290 * RIG_NLIST;
    s.nq = 2 * RIG_NQ;
    rig_check_kinds(NULL, s, 8, 100);
}

/* ---- how it is found ---- */

static void check_overflow(const struct rig_shape *shape, int k)
{
    static const int caps[] = {0, 16, 160, 1000};
    struct search_desc s = {.nq = shape->nq, .k = k, .nprobe = 16};
    struct rig r;

    rig_open(&r, shape);
    rig_expect(&r, k, 16);
    for (int path = -1; path <= 2; path++)
        for (int i = 0; i < LENGTH(caps); i++) {
            if (!rig_force(path, caps[i]) && (path >= 0 || i)) break;
            rig_reserve(&r, &s);
            rig_check(&r, 0, s.nq, k);
            rig_check(&r, s.nq / 2, s.nq / 2 + 20, k < 5 ? k : 5);
        }
    rig_force(-1, 0);
    rig_clear(&r);
}

static void test_cuda_search__candidates_that_find_no_room_change_nothing(void **state)
{
    struct rig_shape s = rig_shape_of(KIND_SIFT, ELEM_U8, 128, 0);

    (void)state;
    check_overflow(&s, 10);
    check_overflow(&s, K);
    s.twist = rig_awkward_queries;
    check_overflow(&s, 10);
    s = rig_shape_of(KIND_SIFT, ELEM_U8, 128, 32);
    check_overflow(&s, 10);
    check_overflow(&s, K);
    s = rig_shape_of(KIND_SCALED, ELEM_F32, 96, 0);
    check_overflow(&s, 10);
    s.twist = half_in_one_list;
    check_overflow(&s, K);
    s.twist = rig_few_points;
    s.n = 20000, s.nq = 300;
    check_overflow(&s, 10);
}

static void test_cuda_search__tables_and_halves_change_nothing(void **state)
{
    static const int ms[] = {8, 32, 64};

    (void)state;
    for (int i = 0; i < LENGTH(ms); i++) {
        struct rig_shape shape = rig_shape_of(KIND_SCALED, ELEM_F32, 128, ms[i]);
        struct rig r;

        rig_open(&r, &shape);
        rig_expect(&r, K, 16);
        for (int how = 0; how < 16; how++) {
            struct search_desc s = {.nq = shape.nq, .k = K, .nprobe = 16};

            s.precomputed_tables = how & 1;
            s.float16 = how >> 1 & 1;
            if (!rig_force((how >> 2) - 1, 0) && how >= 4) break;
            rig_reserve(&r, &s);
            rig_check(&r, 0, s.nq, K);
            rig_check(&r, 7, 8, K);
        }
        rig_force(-1, 0);
        rig_clear(&r);
    }
}

static void test_cuda_search__little_memory_changes_nothing(void **state)
{
    static const size_t bytes[] = {1, 1 << 20, 16 << 20};
    struct rig_shape shape = rig_shape_of(KIND_SIFT, ELEM_U8, 128, 0);

    (void)state;
    for (int m = 0; m <= 32; m += 32) {
        struct rig r;

        shape.m = m;
        rig_open(&r, &shape);
        rig_expect(&r, K, 24);
        for (int i = 0; i < LENGTH(bytes); i++) {
            struct search_desc s = {.k = K, .nprobe = 24, .temp_bytes = bytes[i]};

            s.nq = bytes[i] == 1 ? 100 : shape.nq;
            rig_reserve(&r, &s);
            rig_check(&r, 0, s.nq, K);
        }
        rig_clear(&r);
    }
}

/* Scratch is laid out for what was reserved; with less of it, its parts lie elsewhere. */
static void test_cuda_search__less_may_be_asked_than_was_reserved(void **state)
{
    static const struct {
        int k, nprobe;
    } cases[] = {
        {1,     1  },
        {1,     200},
        {K,     3  },
        {K_MAX, 1  },
        {10,    100},
    };
    struct rig_shape shape = rig_shape_of(KIND_SIFT, ELEM_U8, 64, 0);
    struct search_desc s = {.nq = 4 * RIG_NQ, .k = K_MAX, .nprobe = RIG_NLIST};
    struct rig r;

    (void)state;
    shape.nq = 1000;
    for (int m = 0; m <= 16; m += 16) {
        shape.m = m;
        rig_open(&r, &shape);
        rig_reserve(&r, &s);
        for (int i = 0; i < LENGTH(cases); i++) {
            rig_expect(&r, cases[i].k, cases[i].nprobe);
            rig_check(&r, 0, shape.nq, cases[i].k);
            rig_check(&r, 100, 103, cases[i].k);
            rig_check(&r, 0, 0, cases[i].k);
        }
        rig_clear(&r);
    }
}

/* The coarse step's room depends on nprobe, and not steadily: groups of centroids change size. */
static void test_cuda_search__any_nprobe_below_the_reserved_fits(void **state)
{
    static const int nprobes[] = {1, 2, 3, 8, 9, 33, 47, 85, 96, 97, 128};
    struct rig_shape shape = rig_shape_of(KIND_SCALED, ELEM_F32, 32, 0);
    struct search_desc s = {.k = 10, .nprobe = 128};
    struct rig r;

    (void)state;
    shape.nlist = 1024;
    shape.nq = s.nq = RIG_NQ;
    rig_open(&r, &shape);
    rig_reserve(&r, &s);
    for (int i = 0; i < LENGTH(nprobes); i++) {
        rig_expect(&r, 10, nprobes[i]);
        rig_check(&r, 0, shape.nq, 10);
    }
    rig_clear(&r);
}

/* By every way of the coarse step: centroids scored anew up to nprobe 10 of 5000 lists, collected by a
   second product up to 39 and, from smaller groups, past it. 224, what 200 is padded to, is an odd
   number of 32s; 5000 lists end within a tile. */
static void test_cuda_search__few_of_many_lists_are_the_nearest(void **state)
{
    static const int ds[] = {1, 33, 128, 200, 960}, nprobes[] = {1, 4, 10, 11, 39, 40, 64};
    struct search_desc s = {.k = 10, .nprobe = 64};

    (void)state;
    for (int i = 0; i < LENGTH(ds); i++) {
        struct rig_shape shape = rig_shape_of(KIND_SCALED, ELEM_F32, ds[i], 0);
        struct rig r;

        shape.n = 20000;
        shape.nlist = 5000;
        shape.nq = s.nq = RIG_SOME;
        if (ds[i] == 33) shape.twist = rig_awkward_queries;
        rig_open(&r, &shape);
        rig_reserve(&r, &s);
        for (int j = 0; j < LENGTH(nprobes); j++) {
            rig_expect(&r, 10, nprobes[j]);
            rig_check(&r, 0, shape.nq, 10);
        }
        rig_clear(&r);
    }
}

static void test_cuda_search__the_same_search_gives_the_same_bytes_each_time(void **state)
{
    struct rig_shape shape = rig_shape_of(KIND_SIFT, ELEM_U8, 128, 0);
    struct search_desc s = {.nq = RIG_NQ, .k = K, .nprobe = 32, .precomputed_tables = 1};

    (void)state;
    for (int m = 0; m <= 32; m += 32) {
        struct rig r;

        shape.m = m;
        rig_open(&r, &shape);
        rig_expect(&r, K, 32);
        rig_reserve(&r, &s);
        for (int again = 0; again < 10; again++) {
            rig_check(&r, 0, RIG_NQ, K);
            rig_check(&r, again, again + 33, K);
        }
        rig_clear(&r);
    }
}

/* Device memory at most since the last call. */
static size_t peak(void)
{
    size_t bytes = 0;

    CHECK_OK(rig_device()->ops->peak_bytes(rig_device(), &bytes));
    return bytes;
}

static void check_scratch(const struct rig_shape *shape, const struct search_desc *s)
{
    const struct backend_ops *ops = rig_device()->ops;
    size_t before, taken, plan, slack;
    struct lists_desc desc;
    struct rig r;

    rig_open(&r, shape);
    desc = rig_desc(&r);
    peak();
    before = peak(); /* what is held */
    plan = ops->search_bytes(&desc, s, 1);
    slack = plan / 20 + ((size_t)256 << 20);
    rig_expect(&r, s->k, s->nprobe);
    rig_reserve(&r, s);
    rig_check(&r, 0, s->nq, s->k);
    taken = peak() - before;
    /* a float of each vector is kept, which is no scratch */
    if (s->temp_bytes && plan > s->temp_bytes + (size_t)desc.n * sizeof(float))
        fail_msg("%s: planned %zu bytes, of %zu allowed", r.text, plan, s->temp_bytes);
    if (taken > plan + slack || plan > taken + slack)
        fail_msg("%s: k %d nprobe %d temp %zu: planned %zu bytes, taken %zu", r.text, s->k,
                 s->nprobe, s->temp_bytes, plan, taken);
    rig_clear(&r);
}

static void test_cuda_search__scratch_taken_is_scratch_planned(void **state)
{
    struct rig_shape shape = rig_shape_of(KIND_SIFT, ELEM_U8, 128, 0);
    struct search_desc s = {.k = 10, .nprobe = 32, .precomputed_tables = 1};

    (void)state;
    if (!rig_device()->ops->peak_bytes) skip();
    shape.nlist = 4096;
    shape.nq = s.nq = 10000;
    check_scratch(&shape, &s);
    s.temp_bytes = (size_t)64 << 20;
    check_scratch(&shape, &s);
    s.temp_bytes = 0;
    shape.m = 32;
    check_scratch(&shape, &s);
    s.k = K_MAX, s.nprobe = 256;
    shape.nq = s.nq = 1000;
    check_scratch(&shape, &s);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_cuda_search__rows_of_every_type_and_length),
    cmocka_unit_test(test_cuda_search__rows_kept_as_another_type),
    cmocka_unit_test(test_cuda_search__codes_of_every_shape),
    cmocka_unit_test(test_cuda_search__vectors_behind_a_transform),
    cmocka_unit_test(test_cuda_search__one_list_holds_half_of_all_vectors),
    cmocka_unit_test(test_cuda_search__lists_may_be_empty),
    cmocka_unit_test(test_cuda_search__the_lists_probed_may_hold_fewer_than_k),
    cmocka_unit_test(test_cuda_search__there_may_be_one_list),
    cmocka_unit_test(test_cuda_search__thousands_of_lists_are_probed),
    cmocka_unit_test(test_cuda_search__a_call_takes_more_queries_than_a_grid_has_rows),
    cmocka_unit_test(test_cuda_search__every_k_is_answered),
    cmocka_unit_test(test_cuda_search__every_nprobe_is_answered),
    cmocka_unit_test(test_cuda_search__batches_of_any_size_have_the_same_answers),
    cmocka_unit_test(test_cuda_search__a_list_may_have_few_queries_or_hundreds),
    cmocka_unit_test(test_cuda_search__a_bound_may_come_from_part_of_a_list),
    cmocka_unit_test(test_cuda_search__candidates_that_find_no_room_change_nothing),
    cmocka_unit_test(test_cuda_search__tables_and_halves_change_nothing),
    cmocka_unit_test(test_cuda_search__little_memory_changes_nothing),
    cmocka_unit_test(test_cuda_search__less_may_be_asked_than_was_reserved),
    cmocka_unit_test(test_cuda_search__any_nprobe_below_the_reserved_fits),
    cmocka_unit_test(test_cuda_search__few_of_many_lists_are_the_nearest),
    cmocka_unit_test(test_cuda_search__the_same_search_gives_the_same_bytes_each_time),
    cmocka_unit_test(test_cuda_search__scratch_taken_is_scratch_planned),
};

RIG_MAIN(tests)
