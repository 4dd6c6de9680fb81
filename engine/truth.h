/*
 * Exact nearest neighbours by brute force, block by block: for data sets that come without
 * them, and to check those that come with some.
 */
#ifndef IVF_TRUTH_H
#define IVF_TRUTH_H

#include "engine/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

struct truth; /* the k nearest found so far of each query */

/* For q[nq][d] (host, copied). ERR_INVALID where k is not in 1 ... K_MAX. */
int truth_create(struct truth **out, struct backend *b, const float *q, int64_t nq, int d, int k);
void truth_free(struct truth *t); /* NULL is allowed */

/* Merges a block of base rows; ids are block->first + row. Each row once, in any order. */
int truth_add(struct truth *t, const struct block *x);

/* dist[nq][k], ids[nq][k] as ivf_search gives them; either may be NULL. */
int truth_get(struct truth *t, float *dist, vid *ids);

#ifdef __cplusplus
}
#endif
#endif
