/* A transform (terms.h) on the device, for rows as they come: training, adding and searching share it. */
#ifndef IVF_CUDA_TRANSFORM_H
#define IVF_CUDA_TRANSFORM_H

#include "kernels/cuda/cuda.h"

struct applier;

/* Copies t (host memory) to the device; complete on return. */
int applier_create(struct applier **out, struct cuda *cuda, const struct transform *t);
void applier_free(struct applier *ap); /* NULL is allowed */

/* Bytes of device memory that an applier holds. */
size_t applier_bytes(int d_in, int d_out);

/*
 * Enqueues: d_out[rows][d_out] = the transform of d_x[rows][d_in] of elem. No scratch is used; the
 * arrays are apart.
 */
int applier_run(struct applier *ap, enum elem elem, const void *d_x, int64_t rows, float *d_out);

#endif
