/* The first bound of each query: what e of its k-th answer cannot be past, from a sample of its lists. */
#ifndef IVF_CUDA_BOUND_H
#define IVF_CUDA_BOUND_H

#include "kernels/cuda/candidates.h"
#include "kernels/cuda/scan.h"
#include "kernels/cuda/walk.h"

/*
 * Enqueues: c->d_tau and c->d_count (0) of each query, from some hundred rows that its nearest lists hold; where
 * those are fewer than k, a bound that lets everything through. A query whose numbers are past what e can do gets a
 * count past cap. c->d_found is room for the work.
 */
int bound_queries(struct cuda *cuda, const struct scanned *s, const struct queries *q,
                  const struct walk *w, const struct candidates *c);

#endif
