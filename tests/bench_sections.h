/* What bench_kernels can measure, a function a section; bench_kernels.c has the table of them. */
#ifndef IVF_BENCH_SECTIONS_H
#define IVF_BENCH_SECTIONS_H

#include "engine/ivf.h"
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
    int m; /* 0: Flat, rows as they are */
};
int bench_index(struct bench *t, struct bench_set *set, struct bench_index_size size);

/* What it shares: "IVF16384,PQ32"; all passes of a trained index over n rows of host memory. */
void bench_key(const struct ivf_desc *desc, char key[32]);
int bench_fill(struct ivf *ix, const struct bench_set *set, int64_t n);

/*
 * 10,000 queries against indexes of n rows, which share centroids trained on nt rows
 * (bench_search.c). Building is not timed; the note has the recall among the first 1,000 queries.
 * With a folder: rows, queries and centroids are written, for others to build the same lists, and
 * the answers to each nprobe.
 */
enum { BENCH_NPROBES = 5, BENCH_INDEXES = 3 };
struct bench_searched {
    int m; /* 0: Flat */
    enum elem storage;
    int nprobes[BENCH_NPROBES]; /* 0 ends them */
    int ways; /* whether batches are searched by list and by query; of no index: neither this nor nprobes */
    int batched; /* an nprobe for batches of 1, 10, 100, 1,000; 0: none */
};
struct bench_search_size {
    int64_t n, nlist, nt;
    int k;
    int plainly; /* exact distances alone, as what nothing helps is searched */
    struct bench_searched indexes[BENCH_INDEXES];
};
int bench_search(struct bench *t, struct bench_set *set, struct bench_search_size size);

#endif
