/*
 * Claims of kernels/cuda/passes.h and of what filling promises beside the contract: lists filled in
 * one pass and in two are those of the CPU, rows come in many chunks, memory is as planned. Skipped
 * where no CUDA device opens.
 */
#include <math.h>
#include <stdlib.h>

#include "kernels/cuda/passes.h"
#include "kernels/kernels.h"
#include "tests/made.h"
#include "tests/testing.h"

/* In the library only where the build has CUDA: without, nothing asks for them. */
#pragma weak passes_for
#pragma weak passes_create

enum { NLIST = 23, NQ = 40, K = 30, SIZES = 2 };

static struct backend *gpu;

/* Rows to add, as the data set has them, and what is asked. */
struct data {
    struct lists_desc desc;
    enum elem elem;
    int d_in;
    void *rows;
    float *q, *coarse, *books;
    struct transform transform;
};

static float *made(enum made_kind kind, uint32_t stream, int64_t n, int d)
{
    float *x = testing_array(n * d, sizeof *x);

    made_rows(kind, testing_seed() + stream, n, d, x);
    return x;
}

/* desc: of what is to be held; d_in: 0 without a transform. */
static struct data data_make(struct lists_desc desc, enum elem elem, int d_in)
{
    enum made_kind kind = elem == ELEM_U8 ? MADE_TIES : MADE_CLUSTERS;
    struct data t = {.desc = desc, .elem = elem, .d_in = d_in ? d_in : desc.d};
    float *x = made(kind, 1, desc.n, t.d_in);

    t.desc.nlist = NLIST;
    t.rows = testing_array(desc.n * t.d_in, sizeof(float));
    made_as(elem, x, desc.n * t.d_in, t.rows);
    t.q = made(kind, 2, NQ, t.d_in);
    t.coarse = made(kind, 3, NLIST, desc.d);
    if (desc.m) t.books = made(kind, 4, KSUB, desc.d);
    if (d_in)
        t.transform = (struct transform){d_in, desc.d, made(MADE_GAUSS, 5, desc.d, d_in), NULL};
    free(x);
    return t;
}

static void data_clear(struct data *t)
{
    free(t->rows);
    free(t->q);
    free(t->coarse);
    free(t->books);
    free(t->transform.a);
}

/* One block of a third, two of the rest; ids go on from each other but for the last, 2^33 later. */
static void add_pass(struct backend *b, struct lists *l, const struct data *t, vid apart)
{
    int64_t n = t->desc.n, cut[] = {0, n / 3, n - n / 5, n};

    for (int i = 0; i < 3; i++) {
        struct block x = {.elem = t->elem, .d = t->d_in, .rows = cut[i + 1] - cut[i]};

        x.ptr = (const char *)t->rows + (size_t)(cut[i] * t->d_in) * elem_bytes(t->elem);
        x.first = cut[i] + (i == 2 ? apart : 0);
        CHECK_OK(b->ops->lists_add(b, l, &x));
    }
    CHECK_OK(b->ops->lists_end_pass(b, l));
}

/* Lists of t, filled; passes: 0 for as many as the backend says. */
static struct lists *filled(struct backend *b, const struct data *t, int passes, vid apart)
{
    struct lists_desc desc = t->desc;
    struct lists *l = NULL;

    if (t->transform.a) desc.transform = &t->transform;
    if (passes)
        CHECK_OK(passes_create(b, &l, &desc, t->coarse, t->books, passes));
    else
        CHECK_OK(b->ops->lists_create(b, &l, &desc, t->coarse, t->books));
    if (passes) assert_int_equal(b->ops->lists_passes(l), passes);
    for (int p = b->ops->lists_passes(l); p > 0; p--)
        add_pass(b, l, t, apart);
    return l;
}

/* What can be seen of lists: their sizes and answers to few and to many probes. */
struct seen {
    int64_t size[NLIST];
    float dist[SIZES][NQ * K];
    vid ids[SIZES][NQ * K];
};

static struct seen *look(struct backend *b, struct lists *l, const struct data *t)
{
    static const int nprobes[SIZES] = {2, NLIST};
    const struct search_desc all = {.nq = NQ, .k = K, .nprobe = NLIST, .precomputed_tables = 1};
    struct seen *s = testing_array(1, sizeof *s);

    CHECK_OK(b->ops->lists_sizes(b, l, s->size));
    CHECK_OK(b->ops->lists_reserve(b, l, &all));
    for (int i = 0; i < SIZES; i++)
        CHECK_OK(b->ops->lists_search(b, l, t->q, NQ, K, nprobes[i], s->dist[i], s->ids[i]));
    return s;
}

static void check_passes(struct data t, vid apart)
{
    struct backend *cpu = made_backend(2);
    struct lists *want = filled(cpu, &t, 0, apart);
    struct seen *expected = look(cpu, want, &t);

    for (int passes = 1; passes <= 2; passes++) {
        struct lists *l = filled(gpu, &t, passes, apart);
        struct seen *got = look(gpu, l, &t);

        if (memcmp(got, expected, sizeof *got))
            fail_msg("n %lld d_in %d d %d m %d %s as %s in %d passes is not what the CPU has, "
                     "seed %u",
                     (long long)t.desc.n, t.d_in, t.desc.d, t.desc.m, elem_name(t.elem),
                     elem_name(t.desc.storage), passes, testing_seed());
        free(got);
        gpu->ops->lists_free(gpu, l);
    }
    free(expected);
    cpu->ops->lists_free(cpu, want);
    data_clear(&t);
}

/* ---- claims ---- */

static void test_cuda_lists__one_pass_and_two_give_the_cpus_lists(void **state)
{
    static const struct {
        struct lists_desc desc;
        enum elem elem;
        int d_in;
    } cases[] = {
        {{.d = 128, .n = 5000, .storage = ELEM_U8}, ELEM_U8,  0 }, /* rows as they are */
        {{.d = 33, .n = 5000, .storage = ELEM_U8},  ELEM_U8,  0 }, /* no two bytes aligned */
        {{.d = 33, .n = 5000, .storage = ELEM_F16}, ELEM_F32, 0 }, /* rounded */
        {{.d = 20, .n = 5000, .storage = ELEM_F32}, ELEM_U8,  0 },
        {{.d = 24, .n = 5000, .m = 3},              ELEM_U8,  0 },
        {{.d = 96, .n = 5000, .m = 48},             ELEM_F32, 0 },
        {{.d = 16, .n = 5000, .m = 16},             ELEM_F32, 40},
        {{.d = 40, .n = 5000, .storage = ELEM_F32}, ELEM_U8,  16},
        {{.d = 5, .n = 1, .storage = ELEM_F32},     ELEM_F32, 0 },
        {{.d = 5, .n = 0, .storage = ELEM_F32},     ELEM_F32, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_passes(data_make(cases[i].desc, cases[i].elem, cases[i].d_in), 0);
}

static void test_cuda_lists__rows_past_several_rounds_of_the_ring_keep_their_order(void **state)
{
    struct lists_desc desc = {.d = 960, .n = 70000, .m = 8}; /* 256 MiB, 8,738 rows at a time */

    (void)state;
    check_passes(data_make(desc, ELEM_F32, 0), 0);
    desc.m = 0;
    check_passes(data_make(desc, ELEM_F32, 0), 0);
}

static void test_cuda_lists__ids_need_not_follow_each_other(void **state)
{
    struct lists_desc desc = {.d = 12, .n = 900};

    (void)state;
    check_passes(data_make(desc, ELEM_F32, 0), 1000);
    check_passes(data_make(desc, ELEM_F32, 0), (vid)1 << 33);
}

/* However often the data is read, a bad row is told by the end of the first pass. */
static void test_cuda_lists__a_bad_row_is_told_when_its_pass_ends(void **state)
{
    struct lists_desc desc = {.d = 7, .n = 3000};
    struct data t = data_make(desc, ELEM_F32, 0);
    struct block x = {.d = 7, .rows = 3000, .ptr = t.rows, .first = 100};

    (void)state;
    ((float *)t.rows)[2345 * 7 + 6] = NAN;
    for (int passes = 1; passes <= 2; passes++) {
        struct lists *l = NULL;

        CHECK_OK(passes_create(gpu, &l, &t.desc, t.coarse, NULL, passes));
        CHECK_OK(gpu->ops->lists_add(gpu, l, &x));
        CHECK_FAILS(ERR_FORMAT, "base vector 2445 holds a NaN", gpu->ops->lists_end_pass(gpu, l));
        gpu->ops->lists_free(gpu, l);
    }
    data_clear(&t);
}

static void test_cuda_lists__what_is_taken_is_what_was_planned(void **state)
{
    struct lists_desc desc = {.d = 64, .n = 1000000, .storage = ELEM_U8};

    (void)state;
    for (int m = 0; m <= 32; m += 32) {
        struct data t;
        struct lists *l;
        size_t before, peak, held, plan, lists;

        desc.m = m;
        t = data_make(desc, ELEM_U8, 0);
        CHECK_OK(gpu->ops->peak_bytes(gpu, &before));
        CHECK_OK(gpu->ops->peak_bytes(gpu, &before)); /* what is held now */
        l = filled(gpu, &t, 0, 0);
        CHECK_OK(gpu->ops->peak_bytes(gpu, &peak));
        CHECK_OK(gpu->ops->peak_bytes(gpu, &held));
        lists = gpu->ops->lists_bytes(&t.desc);
        plan = lists + gpu->ops->fill_bytes(&t.desc);
        /* the ring and the scratch region may have been there before, and stay */
        if (peak > before + plan || peak + ((size_t)256 << 20) < plan)
            fail_msg("m %d: planned %zu, taken %zu, before %zu", m, plan, peak, before);
        gpu->ops->lists_free(gpu, l);
        CHECK_OK(gpu->ops->peak_bytes(gpu, &peak));
        CHECK_OK(gpu->ops->peak_bytes(gpu, &peak));
        assert_int_equal(held - peak, lists);
        data_clear(&t);
    }
}

static void test_cuda_lists__data_is_read_twice_where_codes_do_not_fit_twice(void **state)
{
    struct lists_desc desc = {.d = 128, .nlist = 65536, .m = 32, .n = 1000000000};
    size_t gib = (size_t)1 << 30;

    (void)state;
    assert_int_equal(passes_for(&desc, 140 * gib), 1);
    assert_int_equal(passes_for(&desc, 80 * gib), 2);
    assert_int_equal(passes_for(&desc, 0), 1); /* unknown */
    desc.n = 100000000;
    assert_int_equal(passes_for(&desc, 80 * gib), 1);
}

static void test_cuda_lists__more_than_32_bits_count_is_refused(void **state)
{
    struct lists_desc desc = {.d = 4, .nlist = 1, .n = (int64_t)1 << 32};
    static const float c[4];
    struct lists *l = NULL;

    (void)state;
    CHECK_FAILS(ERR_UNSUPPORTED, "4294967296 vectors",
                gpu->ops->lists_create(gpu, &l, &desc, c, NULL));
}

/* More queries than a grid's second dimension has, and the same bytes each time. */
static void test_cuda_lists__a_batch_of_70000_is_answered_alike_twice(void **state)
{
    enum { MANY = 70000 };
    const struct search_desc some = {.nq = MANY, .k = 1, .nprobe = 3};
    struct lists_desc desc = {.d = 8, .n = 500};
    struct data t = data_make(desc, ELEM_F32, 0);
    struct lists *l = filled(gpu, &t, 0, 0);
    float *q = made(MADE_CLUSTERS, 7, MANY, 8), *dist = testing_array(2 * MANY, sizeof *dist);
    vid *ids = testing_array(2 * MANY, sizeof *ids);

    (void)state;
    CHECK_OK(gpu->ops->lists_reserve(gpu, l, &some));
    for (int i = 0; i < 2; i++)
        CHECK_OK(gpu->ops->lists_search(gpu, l, q, MANY, 1, 3, dist + i * MANY, ids + i * MANY));
    assert_memory_equal(ids, ids + MANY, MANY * sizeof *ids);
    assert_memory_equal(dist, dist + MANY, MANY * sizeof *dist);
    for (int64_t i = 0; i < MANY; i += 997) { /* alone as in the batch */
        CHECK_OK(gpu->ops->lists_search(gpu, l, q + i * 8, 1, 1, 3, dist, ids));
        assert_int_equal(ids[0], ids[MANY + i]);
    }
    gpu->ops->lists_free(gpu, l);
    data_clear(&t);
    free(q), free(dist), free(ids);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_cuda_lists__one_pass_and_two_give_the_cpus_lists),
    cmocka_unit_test(test_cuda_lists__rows_past_several_rounds_of_the_ring_keep_their_order),
    cmocka_unit_test(test_cuda_lists__ids_need_not_follow_each_other),
    cmocka_unit_test(test_cuda_lists__a_bad_row_is_told_when_its_pass_ends),
    cmocka_unit_test(test_cuda_lists__what_is_taken_is_what_was_planned),
    cmocka_unit_test(test_cuda_lists__data_is_read_twice_where_codes_do_not_fit_twice),
    cmocka_unit_test(test_cuda_lists__more_than_32_bits_count_is_refused),
    cmocka_unit_test(test_cuda_lists__a_batch_of_70000_is_answered_alike_twice),
};

int main(int argc, char **argv)
{
    const struct backend_ops *ops = NULL;
    int failed;

    if (testing_options(argc, argv) < 0) return 2;
    if (kernels_find(&ops, "cuda") < 0 || ops->open(&gpu, 0, 2) < 0) {
        printf("skipped: %s\n", fail_text());
        return 77;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    gpu->ops->close(gpu);
    return failed;
}
