/*
 * Search query by query: a block walks a query's lists, or a share of them, one vector after the other, and
 * keeps the best. For batches whose queries share no lists.
 */
#ifndef IVF_CUDA_WALK_H
#define IVF_CUDA_WALK_H

#include "kernels/cuda/candidates.h"

/* The lists of each query. */
struct walk {
    int nprobe;
    const int32_t *d_probe; /* [n][nprobe] */
    const float *d_near;    /* [n][nprobe]: of those lists (coarse.h) */
    int64_t expected;       /* vectors in all lists of a query, about */
};

/*
 * Enqueues: candidates from all lists; of all queries, without a bound before, or of those in `only`, within
 * the bounds there are and counted anew. Counts of the former are 0 before (rows.d_zero).
 */
int walk_lists(struct cuda *cuda, const struct scanned *s, const struct queries *q,
               const struct walk *w, const struct candidates *c, struct undone only);

#endif
