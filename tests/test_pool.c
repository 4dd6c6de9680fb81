/* Claims of kernels/cpu/pool.h: whatever scores come in whatever order, the k nearest come out. */
#include <math.h>
#include <stdlib.h>

#include "engine/base/rand.h"
#include "kernels/cpu/pool.h"
#include "tests/testing.h"

static const int ks[] = {1, 2, 3, 10, 100, 1000, 2048};
static const float margins[] = {0, 1e-3f, 0.5f, 40, INFINITY};

/* How the exact distances of the vectors pushed follow each other. */
enum order { RANDOM, ASCENDING, DESCENDING, EQUAL, FEW_VALUES, OUTLIER, ORDERS };

static const char *const order_names[] = {"random", "ascending",  "descending",
                                          "equal",  "few values", "outlier"};

/* The vectors: what is exact, and what the scores make of it. */
struct crowd {
    int n;
    float *dist, *norm, *dot; /* score: norm - 2 dot */
    vid *ids;
};

static char crowd_text[120];

/* Distances are whole numbers below 2^20, so that q_norm + score has no rounding of its own. */
static float distance(enum order order, int n, int i)
{
    uint64_t bits = rand_hash(testing_seed(), (uint64_t)i);

    switch (order) {
    case ASCENDING:
        return (float)(10 + i);
    case DESCENDING:
        return (float)(10 + n - i);
    case EQUAL:
        return 77;
    case FEW_VALUES:
        return (float)(bits % 3);
    case OUTLIER:
        return i == n / 2 ? 1048575 : (float)(bits % 64);
    case RANDOM:
    case ORDERS:
        break;
    }
    return (float)(bits % 1000000);
}

/* Ids run against the positions. With an infinite margin scores mean nothing, a third are NaN. */
static struct crowd crowd_make(enum order order, int n, float margin, float q_norm)
{
    struct crowd c = {.n = n};
    float *f = calloc(3 * (size_t)n + 1, sizeof *f);

    assert_non_null(f);
    c.dist = f, c.norm = f + n, c.dot = f + 2 * (size_t)n;
    c.ids = calloc((size_t)n + 1, sizeof *c.ids);
    for (int i = 0; i < n; i++) {
        uint64_t bits = rand_hash(testing_seed() + 1, (uint64_t)i);
        double error = (double)(bits >> 11) / (1ull << 53) * 1.98 - 0.99;

        c.dist[i] = distance(order, n, i);
        c.ids[i] = 1000000 - i;
        c.dot[i] = (float)(bits % 1000);
        c.norm[i] = c.dist[i] - q_norm + 2 * c.dot[i];
        if (margin < 1 && margin > 0)
            c.dot[i] = 0, c.norm[i] = c.dist[i] - q_norm; /* room for the fraction */
        if (margin > 0 && margin < INFINITY) c.norm[i] += (float)(0.8 * error) * margin;
        if (margin == INFINITY && bits % 3 == 0) c.norm[i] = NAN;
        if (margin == INFINITY && bits % 3 == 1) c.norm[i] = bits & 64 ? INFINITY : -INFINITY;
    }
    return c;
}

static void crowd_clear(struct crowd *c)
{
    free(c->dist);
    free(c->ids);
}

static void exact(const void *ctx, const int64_t *pos, int n, float *dist, vid *ids)
{
    const struct crowd *c = ctx;

    for (int i = 0; i < n; i++) {
        if (pos[i] < 0 || pos[i] >= c->n)
            fail_msg("%s: position %lld", crowd_text, (long long)pos[i]);
        if (dist) dist[i] = c->dist[pos[i]];
        ids[i] = c->ids[pos[i]];
    }
}

/* A pool between guard words, and the whole crowd in it, some at a time. */
static struct pool pool_of(const struct crowd *c, int k, float q_norm, float margin)
{
    int64_t cap = pool_cap(k);
    struct pool p = {.score = testing_guarded(cap, sizeof *p.score),
                     .pos = testing_guarded(cap, sizeof *p.pos),
                     .tmp_dist = testing_guarded(cap, sizeof *p.tmp_dist),
                     .tmp_ids = testing_guarded(cap, sizeof *p.tmp_ids)};
    int step = 1;

    pool_start(&p, k, q_norm, margin, exact, c);
    for (int at = 0; at < c->n; at += step, step = step * 7 % 1009) {
        int some = c->n - at < step ? c->n - at : step;

        pool_push_products(&p, c->norm + at, c->dot + at, some, at);
        if (p.count > p.cap) fail_msg("%s: %d in a pool of %d", crowd_text, p.count, p.cap);
    }
    return p;
}

static void pool_done(struct pool *p)
{
    testing_guarded_free(p->score);
    testing_guarded_free(p->pos);
    testing_guarded_free(p->tmp_dist);
    testing_guarded_free(p->tmp_ids);
}

struct answer {
    float dist;
    vid id;
};

static int nearer(const void *a, const void *b)
{
    const struct answer *x = a, *y = b;

    if (x->dist != y->dist) return x->dist < y->dist ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static struct answer *sorted(const struct crowd *c)
{
    struct answer *all = calloc((size_t)c->n + 1, sizeof *all);

    for (int i = 0; i < c->n; i++)
        all[i] = (struct answer){c->dist[i], c->ids[i]};
    qsort(all, (size_t)c->n, sizeof *all, nearer);
    return all;
}

static void check_finish(const struct crowd *c, int k, float q_norm, float margin)
{
    struct answer *want = sorted(c);
    struct pool p = pool_of(c, k, q_norm, margin);
    float *dist = testing_guarded(k, sizeof *dist);
    vid *ids = testing_guarded(k, sizeof *ids);

    pool_finish(&p, dist, ids);
    for (int i = 0; i < k; i++) {
        float d = i < c->n ? want[i].dist : INFINITY;
        vid id = i < c->n ? want[i].id : -1;

        if (dist[i] != d || ids[i] != id)
            fail_msg("%s: answer %d is (%.9g, %lld), not (%.9g, %lld)", crowd_text, i, dist[i],
                     (long long)ids[i], d, (long long)id);
    }
    testing_guarded_free(dist);
    testing_guarded_free(ids);
    pool_done(&p);
    free(want);
}

static int ascending(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Members are known by position: 1000000 - id. */
static void check_members(const struct crowd *c, int k, float q_norm, float margin)
{
    struct answer *want = sorted(c);
    struct pool p = pool_of(c, k, q_norm, margin);
    int32_t *pos = testing_guarded(k, sizeof *pos), *must = calloc((size_t)k, sizeof *must);
    int n = c->n < k ? c->n : k, got = pool_members(&p, pos);

    if (got != n) fail_msg("%s: %d members, not %d", crowd_text, got, n);
    for (int i = 1; i < n && margin < INFINITY; i++)
        if (c->dist[pos[i]] < c->dist[pos[0]] - 2 * margin)
            fail_msg("%s: the first is not the best", crowd_text);
    for (int i = 0; i < n; i++)
        must[i] = (int32_t)(1000000 - want[i].id);
    qsort(pos, (size_t)n, sizeof *pos, ascending);
    qsort(must, (size_t)n, sizeof *must, ascending);
    for (int i = 0; i < n; i++)
        if (pos[i] != must[i]) fail_msg("%s: member %d, not %d", crowd_text, pos[i], must[i]);
    testing_guarded_free(pos);
    pool_done(&p);
    free(must);
    free(want);
}

/* Every k, order and margin, with fewer than k vectors up to many times what a pool holds. */
static void for_crowds(void (*check)(const struct crowd *c, int k, float q_norm, float margin))
{
    for (int i = 0; i < LENGTH(ks); i++) {
        int k = ks[i], cap = (int)pool_cap(k);
        const int sizes[] = {0, 1, k - 1, k, k + 1, cap - 1, cap, cap + 1, 5 * cap + 7};

        for (int size = 0; size < LENGTH(sizes) * ORDERS * LENGTH(margins); size++) {
            enum order order = size / LENGTH(sizes) % ORDERS;
            float margin = margins[size / LENGTH(sizes) / ORDERS], q_norm = 1000;
            struct crowd c = crowd_make(order, sizes[size % LENGTH(sizes)], margin, q_norm);

            snprintf(crowd_text, sizeof crowd_text, "k %d n %d %s margin %g seed %u", k, c.n,
                     order_names[order], margin, testing_seed());
            check(&c, k, q_norm, margin);
            crowd_clear(&c);
        }
    }
}

static void test_pool__finish_gives_what_a_sort_gives(void **state)
{
    (void)state;
    for_crowds(check_finish);
}

static void test_pool__members_are_the_first_k_of_a_sort(void **state)
{
    (void)state;
    for_crowds(check_members);
}

/* A NaN score under a finite margin: a vector that holds a NaN. */
static void test_pool__nan_scores_are_no_answers(void **state)
{
    struct crowd c = crowd_make(RANDOM, 3000, 0.5f, 0);

    (void)state;
    snprintf(crowd_text, sizeof crowd_text, "NaN, seed %u", testing_seed());
    for (int i = 0; i < c.n; i += 1 + i % 3) {
        c.norm[i] = NAN;
        c.dist[i] = INFINITY; /* sorts last; more than k others are left */
    }
    check_finish(&c, 100, 0, 0.5f);
    crowd_clear(&c);
}

/* Where scores mean nothing, a distance that is NaN or past fp32 still is no answer. */
static void test_pool__nan_and_infinite_distances_are_no_answers(void **state)
{
    enum { K = 8 };
    struct crowd c = crowd_make(RANDOM, 2000, INFINITY, 0);
    struct pool p;
    float dist[K];
    vid ids[K];

    (void)state;
    for (int i = 0; i < c.n; i++)
        c.dist[i] = i == 1234 ? 5 : i % 2 ? NAN : INFINITY;
    p = pool_of(&c, K, 0, INFINITY);
    pool_finish(&p, dist, ids);
    assert_true(dist[0] == 5 && ids[0] == 1000000 - 1234);
    for (int i = 1; i < K; i++)
        assert_true(dist[i] == INFINITY && ids[i] == -1);
    pool_done(&p);
    crowd_clear(&c);
}

static void test_pool__sort_orders_by_distance_then_id(void **state)
{
    (void)state;
    for (int n = 0; n < 3000; n = n * 2 + 1) {
        for (int order = 0; order < ORDERS; order++) {
            struct crowd c = crowd_make(order, n, 0, 0);
            struct answer *want = sorted(&c);

            pool_sort(c.dist, c.ids, n);
            for (int i = 0; i < n; i++)
                assert_true(c.dist[i] == want[i].dist && c.ids[i] == want[i].id);
            free(want);
            crowd_clear(&c);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_pool__finish_gives_what_a_sort_gives),
    cmocka_unit_test(test_pool__members_are_the_first_k_of_a_sort),
    cmocka_unit_test(test_pool__nan_scores_are_no_answers),
    cmocka_unit_test(test_pool__nan_and_infinite_distances_are_no_answers),
    cmocka_unit_test(test_pool__sort_orders_by_distance_then_id),
};

TESTING_MAIN(tests)
