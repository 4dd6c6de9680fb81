/*
 * Product quantizer (Jegou, Douze, Schmid 2011): m k-means of 256 codewords, one a slice of
 * d / m dimensions, trained together. Rules and defaults of faiss/impl/ProductQuantizer.cpp:
 * at most 65,536 training rows, 25 iterations, the same start rows for every slice.
 */
#ifndef IVF_PQ_H
#define IVF_PQ_H

#include "engine/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PQ_TRAIN_MAX = 65536, PQ_ITERATIONS = 25 };

struct pq_desc {
    int m;
    uint32_t seed;
    int iterations; /* 0: PQ_ITERATIONS */
    int go_on;      /* start from what books holds, not from rows drawn by the seed */
    int (*step)(void *arg, int iteration, double objective); /* as in kmeans.h */
    void *arg;
};

/*
 * books (host, [m][KSUB][dsub]) for residuals r (f32, on b, at most PQ_TRAIN_MAX rows).
 * ERR_INVALID where r has fewer than KSUB rows or m does not divide d.
 */
int pq_train(struct backend *b, const struct mat *r, const struct pq_desc *desc, float *books);

#ifdef __cplusplus
}
#endif
#endif
