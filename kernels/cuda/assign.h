/* Centroids made ready for many assignments: what k-means, adding and searching share. */
#ifndef IVF_CUDA_ASSIGN_H
#define IVF_CUDA_ASSIGN_H

#include "kernels/cuda/cuda.h"

struct assigner;

/*
 * d_c: [nlist][d] on the device; every assignment reads it, so it has to stay. Enqueues; nothing is
 * waited for. Uses the scratch region.
 */
int assigner_create(struct assigner **out, struct cuda *cuda, const float *d_c, int64_t nlist,
                    int d);
void assigner_free(struct assigner *a); /* NULL is allowed */

/*
 * Enqueues: d_list[i] = the centroid nearest to row i of x, as the contract's assign. A row that
 * is not finite gets some list. d_total (NULL is allowed): [ASSIGN_SUMS], to which the squared
 * distances are added, always in the same order. Uses the scratch region.
 */
enum { ASSIGN_SUMS = 256 };
int assigner_run(struct assigner *a, const struct mat *x, int32_t *d_list, double *d_total);

/* Bytes that an assigner holds; scratch of one over up to rows rows. */
size_t assigner_bytes(int64_t nlist, int d);
size_t assigner_scratch(int d, int64_t rows);

/* Scratch of the contract's assign, which makes ready and runs. */
size_t assign_once_scratch(int64_t nlist, int d, int64_t rows);

#endif
