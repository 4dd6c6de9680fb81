#include "harness/build_truth.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/measure.h"

enum { CHECKED = 8 }; /* queries that check a truth which was not computed just now */

/* Relative: shipped truths were computed in fp32, where near ties may have changed places. */
static const double TOLERANCE = 1e-4;

static struct cache_artifact truth_artifact(const struct build *b)
{
    int64_t places = b->data->nq * b->truth_k;
    char key[96];

    snprintf(key, sizeof key, "data=%s k=%d", b->data->identity.hex, b->truth_k);
    return (struct cache_artifact){
        .kind = "truth",
        .identity = hash_string(key),
        .part = {{b->truth, places * (int64_t)sizeof *b->truth},
                 {b->truth_dist, places * (int64_t)sizeof *b->truth_dist}}
    };
}

/* 1: b->truth is filled, shipped or cached; 0: there is room for it. */
static int find_truth(struct brute *t, struct build *b)
{
    struct cache_artifact a;
    struct text note = {0};
    int64_t places;
    int rc;

    b->truth_k = plan_truth_k(b->run->plan);
    places = b->data->nq * b->truth_k;
    if (!(b->truth = mem_new(places, sizeof *b->truth))) return ERR_NOMEM;
    if (b->data->truth_k) {
        rc = dataset_truth(b->ds, b->truth_k, b->truth);
        return rc < 0 ? rc : 1;
    }
    if (!(b->truth_dist = mem_new(places, sizeof *b->truth_dist))) return ERR_NOMEM;
    if (!b->run->plan->spec->cache) return 0;
    a = truth_artifact(b);
    if ((rc = cache_load(&a, &note)) > 0) t->cached = 1;
    build_warn(b, text_get(&note));
    text_clear(&note);
    return rc;
}

/* Brute force for every stride-th query. */
static int start(struct brute *t, struct build *b)
{
    int64_t d = b->data->d;
    float *q;
    int rc;

    if (t->stride == 1) return truth_create(&t->t, b->b, b->q, t->nq, b->data->d, t->k);
    if (!(q = mem_new(t->nq * d, sizeof *q))) return ERR_NOMEM;
    for (int64_t i = 0; i < t->nq; i++)
        memcpy(q + i * d, b->q + i * t->stride * d, (size_t)d * sizeof *q);
    rc = truth_create(&t->t, b->b, q, t->nq, b->data->d, t->k);
    mem_free(q);
    return rc;
}

int brute_begin(struct brute *t, struct build *b)
{
    int64_t began = clock_ns(), nq = b->data->nq;
    int rc;

    if ((rc = find_truth(t, b)) < 0) return rc;
    t->all = rc == 0;
    t->k = b->truth_k;
    t->nq = t->all || nq < CHECKED ? nq : CHECKED;
    t->stride = nq / t->nq;
    if ((rc = start(t, b)) < 0) return rc;
    t->ns = clock_ns() - began;
    return 0;
}

int brute_add(struct brute *t, const struct block *x)
{
    int64_t began = clock_ns();
    int rc = truth_add(t->t, x);

    t->ns += clock_ns() - began;
    return rc;
}

/* *dist = the distance of query i to base row id; +inf for none. */
static int distance(struct build *b, int64_t i, vid id, float *dist)
{
    int64_t d = b->data->d;
    void *raw = NULL;
    float *x = NULL;
    int rc = ERR_NOMEM;

    *dist = INFINITY;
    if (id < 0) return 0;
    if (!(raw = mem_new(d, elem_bytes(b->data->elem)))) goto out;
    if (!(x = mem_new(d, sizeof *x))) goto out;
    if ((rc = dataset_read(b->ds, PART_BASE, id, 1, raw)) < 0) goto out;
    elem_to_floats(b->data->elem, raw, d, x);
    *dist = measure_distance(b->q + i * d, x, (int)d);
out:
    mem_free(x);
    mem_free(raw);
    return rc;
}

/* The r-th (from 0) true distance of query i, as b->truth has it. */
static int true_distance(struct build *b, int64_t i, int r, float *dist)
{
    int64_t at = i * b->truth_k + r;

    if (!b->truth_dist) return distance(b, i, b->truth[at], dist);
    *dist = b->truth_dist[at];
    return 0;
}

int build_truth_kth(struct build *b, int r, float *kth)
{
    int rc;

    for (int64_t i = 0; i < b->data->nq; i++)
        if ((rc = true_distance(b, i, r - 1, &kth[i])) < 0) return rc;
    return 0;
}

static int is_true(const struct build *b, int64_t i, int r, vid id)
{
    for (int j = 0; j < r; j++)
        if (b->truth[i * b->truth_k + j] == id) return 1;
    return 0;
}

int build_truth_distances(struct build *b, const vid *ids, int k, int r, const float *kth,
                          float *dist)
{
    int rc = 0;

    for (int64_t i = 0; i < b->data->nq; i++) {
        for (int j = 0; j < r && rc == 0; j++) {
            vid id = ids[i * k + j];

            if (id >= 0 && is_true(b, i, r, id))
                dist[i * r + j] = kth[i];
            else
                rc = distance(b, i, id, &dist[i * r + j]);
        }
        if (rc < 0) return rc;
    }
    return 0;
}

int64_t build_truth_refuted(const struct build *b, const vid *ids, int k, const float *dist,
                            int k_dist, int r, const float *kth)
{
    for (int64_t i = 0; i < b->data->nq; i++)
        for (int j = 0; j < r && isfinite(kth[i]); j++)
            if (dist[i * k_dist + j] < (1 - TOLERANCE) * kth[i] &&
                !is_true(b, i, r, ids[i * k + j]))
                return i;
    return -1;
}

/*
 * Compares distances, not ids: of neighbours at the same distance either may come first. The
 * first query that disagrees is written to b->doubt.
 */
static int compare(const struct brute *t, struct build *b, const float *dist)
{
    for (int64_t j = 0; j < t->nq; j++) {
        for (int r = 0; r < t->k; r++) {
            float found = dist[j * t->k + r], claimed;
            int rc = true_distance(b, j * t->stride, r, &claimed);

            if (rc < 0) return rc;
            if (found == claimed || fabs((double)found - claimed) <= TOLERANCE * found) continue;
            text_addf(&b->doubt,
                      "truth disagrees with brute force: neighbour %d of query %lld is at %g, not "
                      "at %g",
                      r + 1, (long long)j * t->stride, (double)found, (double)claimed);
            return text_failed(&b->doubt);
        }
    }
    return 0;
}

static int check(struct brute *t, struct build *b)
{
    float *dist = mem_new(t->nq * t->k, sizeof *dist);
    int rc = ERR_NOMEM;

    if (!dist) goto out;
    if ((rc = truth_get(t->t, dist, NULL)) < 0) goto out;
    rc = compare(t, b, dist);
out:
    mem_free(dist);
    return rc;
}

int brute_end(struct brute *t, struct build *b)
{
    int64_t began = clock_ns();
    int rc = t->all ? truth_get(t->t, b->truth_dist, b->truth) : check(t, b);

    t->ns += clock_ns() - began;
    return rc;
}

void brute_keep(const struct brute *t, struct build *b, int64_t ns)
{
    struct cache_artifact a;

    if (!t->all) return;
    a = truth_artifact(b);
    a.ns = ns;
    build_keep(b, &a);
}

void brute_clear(struct brute *t)
{
    truth_free(t->t);
    *t = (struct brute){0};
}
