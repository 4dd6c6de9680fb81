/*
 * What the answers of a trial are worth: recalls and intersections, with the hits of every query
 * where two runs are later compared in pairs, and whether they can be believed.
 */
#ifndef IVF_EVALUATE_H
#define IVF_EVALUATE_H

#include "harness/build.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EVALUATE_METRICS = 8 };
enum { TIE_RANK = 10 }; /* recall_tie is taken at this rank, as intersection_10 is */

/* Memory for one evaluation after another; a zeroed one is empty. */
struct evaluation {
    struct {
        const char *name; /* "recall_1", ... */
        double value;
        const uint16_t *hits; /* [nq], in this struct's memory; NULL: not kept */
    } metric[EVALUATE_METRICS];
    int nmetrics;
    struct text doubt; /* why the trial is suspect, reasons with "; " between; empty: it is not */

    uint16_t *hits_1, *hits_10, *hits; /* [nq] */
    float *kth;                        /* [nq]: distance of the true kth_r-th neighbour */
    float *dist;                       /* [nq][TIE_RANK]: true distances of the first answers */
    int kth_r;                         /* 0: kth is not filled */
};

int evaluation_create(struct evaluation *e, int64_t nq);
void evaluation_clear(struct evaluation *e);

/* Of dist[nq][t->k] and ids[nq][t->k], as ivf_search gives them. Replaces what e held before. */
int evaluate(struct evaluation *e, struct build *b, const struct trial *t, const float *dist,
             const vid *ids);

/* A metric by name; NAN where it was not taken. */
double evaluation_get(const struct evaluation *e, const char *name);

/* Adds a reason to doubt. */
void evaluation_doubt(struct evaluation *e, const char *reason);

/*
 * How far p of a trial with fewer probes may lie above that of one with more, over nq queries:
 * not at all where vectors are stored as they are, since answers can only get nearer; three
 * standard errors and a little where they are stored with loss, which can push a true answer out.
 */
double evaluate_allowed_fall(double p, int lossy, int64_t nq);

#ifdef __cplusplus
}
#endif
#endif
