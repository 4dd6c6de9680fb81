/* What bench_kernels can measure, a function a section; bench_kernels.c has the table of them. */
#ifndef IVF_BENCH_SECTIONS_H
#define IVF_BENCH_SECTIONS_H

#include "tests/bench_data.h"

/* The steps on their own (bench_steps.c). */
int bench_assign(struct bench *t);
int bench_means(struct bench *t);
int bench_encode(struct bench *t);
int bench_transform(struct bench *t);
int bench_finite(struct bench *t);
int bench_residuals(struct bench *t);
int bench_synthesize(struct bench *t);

/* k-means of n training rows on the device, 10 iterations. With a folder: the rows, the
   centroids it starts from and those it ends with are written, for others to start from the same
   and be compared (bench_work.c). */
struct bench_kmeans_size {
    int64_t n, nlist;
};
int bench_kmeans(struct bench *t, const struct bench_set *set, struct bench_kmeans_size size);

/* The k 100 nearest of 10,000 queries among n rows of host memory, block by block. */
int bench_truth(struct bench *t, struct bench_set *set, int64_t n, int64_t block_rows);

/*
 * An index filled with n rows from host memory, blocks as a run of a spec reads them
 * (bench_index.c). Trained on nt rows; where nt is 0 the model is not timed and not good: centroids
 * are training rows, codewords the residuals of others, which cost as much to fill by.
 */
struct bench_index_size {
    int64_t n, nlist, nt;
    int m;        /* 0: Flat, rows as they are */
    int searched; /* the filled index is searched, too */
};
int bench_index(struct bench *t, struct bench_set *set, struct bench_index_size size);

#endif
