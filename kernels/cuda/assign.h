/* Centroids made ready for many assignments: what k-means, adding and searching share. */
#ifndef IVF_CUDA_ASSIGN_H
#define IVF_CUDA_ASSIGN_H

#include "kernels/cuda/cuda.h"

struct assigner;

/*
 * d_c: [nlist][d] on the device; it is read by every assignment and has to stay. Enqueues; nothing
 * is waited for. assigner_update: d_c has other values now.
 */
int assigner_create(struct assigner **out, struct cuda *cuda, const float *d_c, int64_t nlist,
                    int d);
int assigner_update(struct assigner *a);
void assigner_free(struct assigner *a); /* NULL is allowed */

/*
 * Enqueues: d_list[i] = the centroid nearest to row i of x, as the contract's assign; d_dist (NULL is
 * allowed) [rows]: its distance. x is finite. Uses the scratch region.
 */
int assigner_run(struct assigner *a, const struct mat *x, int32_t *d_list, float *d_dist);

/* Bytes that an assigner holds; scratch of a run over up to rows rows. */
size_t assigner_bytes(int64_t nlist, int d);
size_t assigner_scratch(int64_t nlist, int d, int64_t rows);

#endif
