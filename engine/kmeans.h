/*
 * Lloyd's k-means as Faiss's Clustering does it (faiss/Clustering.cpp): starts from rows drawn
 * by a seeded permutation, splits the large to fill the empty after each update.
 */
#ifndef IVF_KMEANS_H
#define IVF_KMEANS_H

#include "engine/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kmeans_desc {
    int64_t nlist;
    int iterations;
    uint32_t seed;
    /* Optional: called after each iteration; a negative return stops with that code. */
    int (*step)(void *arg, int iteration, double objective);
    void *arg;
};

struct kmeans_report {
    double objective; /* sum of squared distances at the last assignment, summed in fp64 */
    int64_t splits;   /* empty lists refilled, over all iterations */
    double imbalance; /* nlist * sum(size^2) / n^2; 1: all lists the same */
};

/*
 * c (host, [nlist][d]) = centroids of x, which lies on b. ERR_INVALID where x has fewer rows
 * than nlist; x has been checked to be finite. The same seed gives the same bits.
 */
int kmeans_train(struct backend *b, const struct mat *x, const struct kmeans_desc *desc, float *c,
                 struct kmeans_report *report);

/*
 * Fills each empty centroid (count 0) with a copy of a populous one, nudged apart, as Faiss's
 * split_clusters; count is split with it. Returns how many were filled.
 */
int64_t kmeans_split(float *c, int64_t *count, int64_t nlist, int d, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
