/* Claims of engine/truth.h. */
#include <math.h>
#include <stdlib.h>

#include "engine/dataset.h"
#include "engine/truth.h"
#include "tests/made.h"
#include "tests/ref.h"
#include "tests/testing.h"

enum { N = 2000, NQ = 30, D = 24, K = 20 };

static float x[N * D], q[NQ * D];

/* The truth of x, N / blocks rows at a time, in the order (i * stride) % blocks. */
static void truth_of(int blocks, int stride, float *dist, vid *ids)
{
    struct truth *t = NULL;

    CHECK_OK(truth_create(&t, made_backend(2), q, NQ, D, K));
    for (int i = 0; i < blocks; i++) {
        int at = i * stride % blocks, from = N * at / blocks, to = N * (at + 1) / blocks;
        struct block block = {.d = D, .rows = to - from, .ptr = x + from * D, .first = from};

        CHECK_OK(truth_add(t, &block));
    }
    CHECK_OK(truth_get(t, dist, ids));
    truth_free(t);
}

static void test_truth__blocks_in_any_order_give_the_same(void **state)
{
    static const int ways[][2] = {
        {1,    1   },
        {2,    1   },
        {7,    1   },
        {7,    3   },
        {41,   40  },
        {200,  77  },
        {2000, 1999}
    };
    static float dist[NQ * K], want[NQ * K];
    static vid ids[NQ * K], want_ids[NQ * K];

    (void)state;
    for (int kind = 0; kind < MADE_KINDS; kind++) {
        made_rows(kind, testing_seed() + 1, N, D, x);
        made_rows(kind, testing_seed() + 2, NQ, D, q);
        ref_knn(x, N, q, NQ, D, K, want, want_ids);
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            truth_of(ways[i][0], ways[i][1], dist, ids);
            if (memcmp(ids, want_ids, sizeof ids) || memcmp(dist, want, sizeof dist))
                fail_msg("%s in %d blocks, stride %d", made_name(kind), ways[i][0], ways[i][1]);
        }
    }
}

/* At this d the CPU takes 512 rows at once, whatever the block: 1,100 are two parts and a rest. */
static void test_truth__a_block_of_several_parts_is_one_block(void **state)
{
    enum { WIDE = 8192, ROWS = 1100, FEW = 3, NEAR = 5 };
    float *rows = testing_guarded((int64_t)ROWS * WIDE, sizeof *rows), dist[FEW * NEAR];
    struct block block = {.d = WIDE, .rows = ROWS, .ptr = rows, .first = 40};
    float want[FEW * NEAR], *queries = rows + (int64_t)(ROWS - FEW) * WIDE;
    vid ids[FEW * NEAR], want_ids[FEW * NEAR];
    struct truth *t = NULL;

    (void)state;
    made_rows(0, testing_seed() + 3, ROWS, WIDE, rows);
    memcpy(rows, rows + (int64_t)(ROWS - 1) * WIDE, WIDE * sizeof *rows); /* a tie of the ends */
    ref_knn(rows, ROWS, queries, FEW, WIDE, NEAR, want, want_ids);
    CHECK_OK(truth_create(&t, made_backend(2), queries, FEW, WIDE, NEAR));
    CHECK_OK(truth_add(t, &block));
    CHECK_OK(truth_get(t, dist, ids));
    truth_free(t);
    assert_memory_equal(dist, want, sizeof dist);
    for (int i = 0; i < FEW * NEAR; i++)
        assert_int_equal(ids[i], want_ids[i] + 40);
    assert_int_equal(ids[(FEW - 1) * NEAR], 40);
    assert_int_equal(ids[(FEW - 1) * NEAR + 1], 40 + ROWS - 1);
    testing_guarded_free(rows);
}

static void test_truth__places_are_unfilled_until_there_are_rows(void **state)
{
    struct truth *t = NULL;
    struct block one = {.d = D, .rows = 1, .ptr = x, .first = 7};
    float dist[2 * 3];
    vid ids[2 * 3];

    (void)state;
    CHECK_OK(truth_create(&t, made_backend(1), q, 2, D, 3));
    CHECK_OK(truth_get(t, dist, ids));
    for (int i = 0; i < 6; i++)
        assert_true(dist[i] == INFINITY && ids[i] == -1);
    CHECK_OK(truth_add(t, &one));
    CHECK_OK(truth_get(t, NULL, ids));
    CHECK_OK(truth_get(t, dist, NULL));
    for (int i = 0; i < 6; i++)
        assert_int_equal(ids[i], i % 3 ? -1 : 7);
    truth_free(t);
    truth_free(NULL);
}

static void test_truth__k_out_of_range_is_refused(void **state)
{
    struct truth *t = NULL;

    (void)state;
    CHECK_FAILS(ERR_INVALID, "k 0", truth_create(&t, made_backend(1), q, NQ, D, 0));
    CHECK_FAILS(ERR_INVALID, "k 2049", truth_create(&t, made_backend(1), q, NQ, D, K_MAX + 1));
    assert_null(t);
}

static int create_add_free(void *arg)
{
    struct block block = {.d = D, .rows = 100, .ptr = x};
    struct truth *t = NULL;
    struct backend *b = NULL;
    int rc;

    (void)arg;
    if ((rc = made_backend(1)->ops->open(&b, 0, 2)) < 0) goto out;
    if ((rc = truth_create(&t, b, q, NQ, D, K)) < 0) goto out;
    rc = truth_add(t, &block);
out:
    truth_free(t);
    if (b) b->ops->close(b);
    return rc;
}

static void test_truth__every_failed_alloc_is_survived(void **state)
{
    (void)state;
    made_backend(1);
    assert_true(testing_every_failed_alloc(create_add_free, NULL) > (made_on_cpu() ? 8 : 1));
}

/* ---- on real data ---- */

/* Paths of base, queries and truth; skips the test, visibly, where they are not here. */
static void find_bigann9k(char path[3][1024])
{
    static const char *const files[] = {"bigann10k/bigann9k_base.bvecs",
                                        "bigann10k/bigann9k_query.bvecs",
                                        "bigann10k/bigann9k_groundtruth.ivecs"};

    for (int i = 0; i < 3; i++) {
        const char *file = testing_data(files[i]);

        if (file) {
            snprintf(path[i], sizeof path[i], "%s", file);
            continue;
        }
        print_message("no %s under $IVFBENCH_DATA\n", files[i]);
        skip();
    }
}

static void test_truth__shipped_truth_of_bigann9k_is_reproduced(void **state)
{
    char path[3][1024];
    struct dataset_desc desc = {
        .name = "bigann9k", .base = path[0], .query = path[1], .truth = path[2]};
    const struct dataset_info *info;
    struct dataset *ds = NULL;
    struct stream *s = NULL;
    struct block block;
    struct truth *t = NULL;
    float *queries;
    vid *ids, *want;

    (void)state;
    find_bigann9k(path);
    CHECK_OK(dataset_open(&ds, &desc));
    info = dataset_info(ds);
    queries = calloc((size_t)(info->nq * info->d), sizeof *queries);
    ids = calloc((size_t)(info->nq * info->truth_k), sizeof *ids);
    want = calloc((size_t)(info->nq * info->truth_k), sizeof *want);
    CHECK_OK(dataset_queries(ds, queries));
    CHECK_OK(dataset_truth(ds, info->truth_k, want));
    CHECK_OK(truth_create(&t, made_backend(2), queries, info->nq, info->d, info->truth_k));
    CHECK_OK(stream_open(&s, ds, PART_BASE, 0, info->n, 1000));
    for (int rc; (rc = stream_next(s, &block));) {
        CHECK_OK(rc);
        CHECK_OK(truth_add(t, &block));
    }
    CHECK_OK(truth_get(t, NULL, ids));
    assert_int_equal(info->nq * info->truth_k, 100000);
    for (int64_t i = 0; i < info->nq * info->truth_k; i++)
        if (ids[i] != want[i])
            fail_msg("query %lld, rank %lld: %lld, not %lld", (long long)(i / info->truth_k),
                     (long long)(i % info->truth_k), (long long)ids[i], (long long)want[i]);
    truth_free(t);
    stream_close(s);
    dataset_close(ds);
    free(queries), free(ids), free(want);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_truth__blocks_in_any_order_give_the_same),
    cmocka_unit_test(test_truth__a_block_of_several_parts_is_one_block),
    cmocka_unit_test(test_truth__places_are_unfilled_until_there_are_rows),
    cmocka_unit_test(test_truth__k_out_of_range_is_refused),
    cmocka_unit_test(test_truth__every_failed_alloc_is_survived),
    cmocka_unit_test(test_truth__shipped_truth_of_bigann9k_is_reproduced),
};

MADE_MAIN(tests)
