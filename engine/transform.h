/*
 * What is done to vectors before the index sees them, learnt from some of them. OPQ (Ge, He, Ke,
 * Sun 2013) is a rotation, to d_out dimensions, that makes a product quantizer's error small;
 * PCAR keeps the d_out directions of most variance and rotates them at random, so that each has
 * the same share. Rules and defaults of Faiss's OPQMatrix and PCAMatrix (VectorTransform.cpp).
 */
#ifndef IVF_TRANSFORM_H
#define IVF_TRANSFORM_H

#include "engine/backend.h"
#include "engine/factory.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    OPQ_ROWS = 65536,    /* OPQ learns from at most so many */
    OPQ_ITERATIONS = 50, /* of rotation and codebooks in turn */
    PCA_ROWS_PER_D = 1000
};

struct transform_desc {
    enum transform_kind kind; /* not TRANSFORM_NONE */
    int opq_m;
    uint32_t seed;
    /* Optional: after each of OPQ's iterations, with the squared error of its codes summed over
       the training rows; a negative return stops with that code. */
    int (*step)(void *arg, int iteration, double objective);
    void *arg;
};

/* Room for a transform of that kind, zeroed; nothing at all for TRANSFORM_NONE. */
int transform_alloc(struct transform *t, enum transform_kind kind, int d_in, int d_out);
void transform_clear(struct transform *t); /* also after a failed transform_alloc */

/*
 * Fills t, which transform_alloc made, from a sample of the first `rows` rows of x (on b, of any
 * element type, finite). a has orthonormal rows; where d_out > d_in, as if zeros followed the
 * vectors, orthonormal columns. ERR_INVALID where OPQ's m does not divide d_out or it has fewer
 * than KSUB rows, and where PCAR's d_out passes d_in. The same seed gives the same bits, whatever
 * the threads.
 */
int transform_train(struct transform *t, struct backend *b, const struct mat *x, int64_t rows,
                    const struct transform_desc *desc);

/* Bytes that training takes at most beside the rows it is given: of the host's memory, and through
   the backend's alloc. What the backend's steps take is not in it. */
void transform_train_bytes(enum transform_kind kind, int opq_m, int d_in, int d_out, int64_t rows,
                           size_t *host, size_t *device);

#ifdef __cplusplus
}
#endif
#endif
