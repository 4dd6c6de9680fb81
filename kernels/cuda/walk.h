/*
 * Search query by query: a block walks a query's lists, or a share of them, one vector after the other, and
 * keeps the best. For batches whose queries share no lists, and for the first bound of all others.
 */
#ifndef IVF_CUDA_WALK_H
#define IVF_CUDA_WALK_H

#include "kernels/cuda/candidates.h"

struct walk {
    int nprobe;
    const int32_t *d_probe; /* [n][nprobe] */
    const float *d_dist;    /* [n][nprobe] */
};

/*
 * Enqueues: c->d_tau and c->d_count (0) of each query, from the vectors that its nearest lists hold: some, k
 * at least where all its lists have that many. A query whose numbers are past what e can do gets a
 * count past cap.
 */
int walk_bound(struct cuda *cuda, const struct scanned *s, const struct queries *q,
               const struct walk *w, const struct candidates *c);

/*
 * Enqueues: candidates from all lists; of all queries, without a bound before, or of those in `only`, within
 * the bounds there are and counted anew.
 */
int walk_lists(struct cuda *cuda, const struct scanned *s, const struct queries *q,
               const struct walk *w, const struct candidates *c, struct undone only);

#endif
