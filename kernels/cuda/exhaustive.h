/* The coarse step by all distances of a query, for those that products do not serve. */
#ifndef IVF_CUDA_EXHAUSTIVE_H
#define IVF_CUDA_EXHAUSTIVE_H

#include "kernels/cuda/coarse.h"

/* Enqueues what coarse_search does, for the queries *undone.d_n says, or n where that is NULL. */
int exhaustive_search(struct cuda *cuda, const struct coarse *c, const float *d_q, int64_t n,
                      struct undone undone, int nprobe, int32_t *d_probe, float *d_near);

/* For all of q, c->wide at most, right after they were packed: its first kernel runs beside that. */
int exhaustive_few(struct cuda *cuda, const struct coarse *c, const struct queries *q, int nprobe,
                   int32_t *d_probe, float *d_near);

#endif
