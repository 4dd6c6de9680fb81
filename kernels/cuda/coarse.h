/* Which lists a query visits. */
#ifndef IVF_CUDA_COARSE_H
#define IVF_CUDA_COARSE_H

#include "kernels/cuda/cuda.h"

/*
 * Enqueues: d_probe[nq][nprobe] = the lists whose centroids d_c[nlist][d] are the nearest to each of
 * d_q[nq][d] by (distance, list), +inf being a distance here; in no particular order, but the same
 * each time. A query with a NaN gets some lists. nprobe <= nlist. d_dist: room for [nq][nlist].
 */
int coarse_search(struct cuda *cuda, const float *d_c, int64_t nlist, int d, const float *d_q,
                  int64_t nq, int nprobe, float *d_dist, int32_t *d_probe);

#endif
