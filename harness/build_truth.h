/*
 * The true neighbours a group is measured against: shipped with the data, from the cache, or
 * brute-forced while the base goes by for the first time. A truth that was not computed just
 * now is checked: a few queries are brute-forced all the same.
 */
#ifndef IVF_BUILD_TRUTH_H
#define IVF_BUILD_TRUTH_H

#include "engine/truth.h"
#include "harness/build.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Brute force over one pass; zeroed: none. */
struct brute {
    struct truth *t;
    int64_t nq, stride; /* of every stride-th query */
    int k;
    int all;    /* its result becomes b->truth; else it checks b->truth */
    int cached; /* b->truth came from the cache */
    int64_t ns; /* spent on truth so far */
};

/* Gets shipped or cached truth into b, or makes room for it; q and backend are open. */
int brute_begin(struct brute *t, struct build *b);
int brute_add(struct brute *t, const struct block *x);

/* After the last block: truth is in b, a disagreement in b->doubt. */
int brute_end(struct brute *t, struct build *b);

/* Puts a truth just computed, in ns, into the cache. */
void brute_keep(const struct brute *t, struct build *b, int64_t ns);
void brute_clear(struct brute *t);

/*
 * kth[q] = the distance of query q to its r-th true neighbour (1 <= r <= truth_k), recomputed
 * from the base vector where truth came without distances.
 */
int build_truth_kth(struct build *b, int r, float *kth);

/*
 * dist[nq][r] = the distances of each query to the base vectors that the first r of its answers
 * ids[nq][k] name (+inf for -1): what an index that stores vectors with loss cannot say itself.
 * An answer among the true r is given kth[q], unread: it is no farther than that.
 */
int build_truth_distances(struct build *b, const vid *ids, int k, int r, const float *kth,
                          float *dist);

/*
 * The first query with an answer among its first r that is nearer than its r-th true neighbour and
 * yet none of those, which no truth allows; -1: there is none. ids[nq][k]; dist[nq][k_dist].
 */
int64_t build_truth_refuted(const struct build *b, const vid *ids, int k, const float *dist,
                            int k_dist, int r, const float *kth);

#ifdef __cplusplus
}
#endif
#endif
