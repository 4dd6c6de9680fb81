#include "harness/evaluate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/measure.h"
#include "harness/build_truth.h"

int evaluation_create(struct evaluation *e, int64_t nq)
{
    if (!(e->hits_1 = mem_new(nq, sizeof *e->hits_1))) return ERR_NOMEM;
    if (!(e->hits_10 = mem_new(nq, sizeof *e->hits_10))) return ERR_NOMEM;
    if (!(e->hits = mem_new(nq, sizeof *e->hits))) return ERR_NOMEM;
    if (!(e->kth = mem_new(nq, sizeof *e->kth))) return ERR_NOMEM;
    if (!(e->dist = mem_new(nq * TIE_RANK, sizeof *e->dist))) return ERR_NOMEM;
    return 0;
}

void evaluation_clear(struct evaluation *e)
{
    mem_free(e->hits_1);
    mem_free(e->hits_10);
    mem_free(e->hits);
    mem_free(e->kth);
    mem_free(e->dist);
    text_clear(&e->doubt);
    *e = (struct evaluation){0};
}

static void put(struct evaluation *e, const char *name, double value, const uint16_t *hits)
{
    e->metric[e->nmetrics].name = name;
    e->metric[e->nmetrics].value = value;
    e->metric[e->nmetrics++].hits = hits;
}

double evaluation_get(const struct evaluation *e, const char *name)
{
    for (int i = 0; i < e->nmetrics; i++)
        if (strcmp(e->metric[i].name, name) == 0) return e->metric[i].value;
    return NAN;
}

void evaluation_doubt(struct evaluation *e, const char *reason)
{
    if (e->doubt.len) text_add(&e->doubt, "; ");
    text_add(&e->doubt, reason);
}

/* Recalls by id, as the original counts them. */
static void recalls(struct evaluation *e, const struct build *b, int k, const vid *ids)
{
    static const struct {
        int r;
        const char *name;
    } ranks[] = {
        {1,   "recall_1"  },
        {10,  "recall_10" },
        {100, "recall_100"}
    };

    for (int i = 0; i < 3; i++) {
        uint16_t *hits = ranks[i].r == 1 ? e->hits_1 : e->hits;
        double value;

        if (ranks[i].r > k) break;
        value = measure_recall_1(ids, b->truth, b->data->nq, k, b->truth_k, ranks[i].r, hits);
        put(e, ranks[i].name, value, ranks[i].r == 1 ? hits : NULL);
    }
}

/* Whether the index answers with distances to something else than the base vectors themselves. */
static int stored_with_loss(const struct build *b, const struct trial *t)
{
    return t->factory.m > 0 || t->factory.transform != TRANSFORM_NONE ||
           (t->storage != b->data->elem && t->storage != ELEM_F32);
}

static void doubt_truth(struct evaluation *e, int64_t query, int r)
{
    char why[120];

    if (query < 0) return;
    snprintf(why, sizeof why,
             "truth lacks an answer to query %lld that is nearer than its neighbour %d",
             (long long)query, r);
    evaluation_doubt(e, why);
}

/* Recall by distance: an answer that ties with a true one counts. */
static int recall_tie(struct evaluation *e, struct build *b, const struct trial *t,
                      const float *dist, const vid *ids)
{
    int r = t->k < b->truth_k ? t->k : b->truth_k, k = t->k, rc;

    if (r > TIE_RANK) r = TIE_RANK;
    if (e->kth_r != r) {
        e->kth_r = 0;
        if ((rc = build_truth_kth(b, r, e->kth)) < 0) return rc;
        e->kth_r = r;
    }
    if (stored_with_loss(b, t)) {
        if ((rc = build_truth_distances(b, ids, k, r, e->kth, e->dist)) < 0) return rc;
        dist = e->dist;
        k = r;
    }
    doubt_truth(e, build_truth_refuted(b, ids, t->k, dist, k, r, e->kth), r);
    put(e, "recall_tie", measure_recall_tie(dist, e->kth, b->data->nq, k, r, e->hits), NULL);
    return 0;
}

double evaluate_allowed_fall(double p, int lossy, int64_t nq)
{
    return !lossy ? 0 : 3 * sqrt(p * (1 - p) / (double)nq) + 0.002;
}

/* The same trial with the next fewer (more: the next more) probes; NULL where there is none. */
static const struct trial *neighbour(const struct group *g, const struct trial *t, int more)
{
    const struct trial *best = NULL;

    for (int i = 0; i < g->ntrials; i++) {
        const struct trial *u = &g->trials[i];

        if (u->skip || u->k != t->k || u->batch != t->batch || u->float16 != t->float16 ||
            u->precomputed_tables != t->precomputed_tables ||
            (more ? u->nprobe <= t->nprobe : u->nprobe >= t->nprobe))
            continue;
        if (!best || (more ? u->nprobe < best->nprobe : u->nprobe > best->nprobe)) best = u;
    }
    return best;
}

/*
 * By distance for Flat: by id, a tie at the last rank could look like a fall. More probes may have been measured
 * first; which of the two is wrong nobody knows.
 */
static int doubt_fall(struct evaluation *e, struct build *b, const struct trial *t)
{
    int lossy = stored_with_loss(b, t), rc;
    const char *name = lossy ? "intersection_10" : "recall_tie";
    double value = evaluation_get(e, name), other;
    char why[160];

    if (isnan(value)) return 0;
    for (int more = 0; more < 2; more++) {
        const struct trial *u = neighbour(b->group, t, more);

        if (!u) continue;
        rc = store_last_metric(b->run->db, b->run->id, u->identity.hex, name, &other);
        if (rc < 0) return rc;
        double from = more ? value : other, to = more ? other : value;

        if (rc == 0 || !(from - to > evaluate_allowed_fall(from, lossy, b->data->nq))) continue;
        snprintf(why, sizeof why, "%s falls from %.4f at nprobe %d to %.4f at nprobe %d", name,
                 from, more ? t->nprobe : u->nprobe, to, more ? u->nprobe : t->nprobe);
        evaluation_doubt(e, why);
    }
    return 0;
}

static void doubt_repeats(struct evaluation *e, const struct build *b, int k, const vid *ids)
{
    int64_t i = measure_repeated_id(ids, b->data->nq, k);
    char why[80];

    if (i < 0) return;
    snprintf(why, sizeof why, "query %lld has an id twice", (long long)i);
    evaluation_doubt(e, why);
}

int evaluate(struct evaluation *e, struct build *b, const struct trial *t, const float *dist,
             const vid *ids)
{
    const struct spec *spec = b->run->plan->spec;
    int64_t nq = b->data->nq;
    int rc;

    e->nmetrics = 0;
    text_reset(&e->doubt);
    if (spec->measure_recall) {
        recalls(e, b, t->k, ids);
        if ((rc = recall_tie(e, b, t, dist, ids)) < 0) return rc;
    }
    if (t->k >= 10 && b->truth_k >= 10) {
        double share = measure_intersection(ids, b->truth, nq, t->k, b->truth_k, 10, e->hits_10);

        if (spec->measure_recall) put(e, "krecall_10", share, NULL);
        if (spec->measure_intersection) put(e, "intersection_10", share, e->hits_10);
    }
    if (b->doubt.len) evaluation_doubt(e, b->doubt.s);
    doubt_repeats(e, b, t->k, ids);
    if ((rc = doubt_fall(e, b, t)) < 0) return rc;
    return text_failed(&e->doubt);
}
