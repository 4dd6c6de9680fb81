/* Search by exact distances alone: what nothing can confuse, and what queries fall back to that no bound helps. */
#ifndef IVF_CUDA_PLAIN_H
#define IVF_CUDA_PLAIN_H

#include "kernels/cuda/candidates.h"

/*
 * Enqueues: the answers of the queries in `only`, or of all n where it has no arrays, from all vectors of
 * their lists probe[n][nprobe].
 */
int plain_search(struct cuda *cuda, const struct stored *lists, const float *d_q, int64_t n,
                 struct undone only, const int32_t *d_probe, int nprobe, int k,
                 const struct answers *out);

#endif
