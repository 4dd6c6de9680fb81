/*
 * How good answers are. Every measure is a sum over queries; each also gives the hits of every
 * query (so that two runs over the same queries can be compared in pairs). Arrays are host,
 * ids[nq][k] and truth[nq][truth_k] as ivf_search gives them.
 */
#ifndef IVF_MEASURE_H
#define IVF_MEASURE_H

#include "engine/terms.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * 1-recall@r as the original counts it (bench_gpu_1bn.py, "1-R@r"): 1 for a query whose true
 * nearest, truth[q][0], is among ids[q][0 ... r-1]. hits[nq]. Returns the mean over queries.
 */
double measure_recall_1(const vid *ids, const vid *truth, int64_t nq, int k, int truth_k, int r,
                        uint16_t *hits);

/*
 * Intersection at r: how many of the true r are among the r found, each id once, -1 never;
 * r <= k and r <= truth_k. hits[nq] in 0 ... r. Returns the mean share. The same number is
 * known as k-recall@k, at k = r.
 */
double measure_intersection(const vid *ids, const vid *truth, int64_t nq, int k, int truth_k, int r,
                            uint16_t *hits);

/*
 * Tie-aware recall at r: how many of the r found are no farther than the true r-th neighbour,
 * whose distance is kth[q]: an answer that ties with a true one counts. Returns the mean share.
 */
double measure_recall_tie(const float *dist, const float *kth, int64_t nq, int k, int r,
                          uint16_t *hits);

/* The first query whose answers repeat an id, -1 if none does. */
int64_t measure_repeated_id(const vid *ids, int64_t nq, int k);

/* The squared L2 distance of terms.h. */
float measure_distance(const float *a, const float *b, int d);

#ifdef __cplusplus
}
#endif
#endif
