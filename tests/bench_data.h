/*
 * The vectors that are measured with, made up but shaped like real ones: SIFT-like u8 rows of the
 * synthetic generator, or the same with Gaussian jitter and brought to unit length, as f32, like
 * Deep1B's. A row is a pure function of (kind, d, part, row).
 */
#ifndef IVF_BENCH_DATA_H
#define IVF_BENCH_DATA_H

#include "engine/synthetic.h"
#include "tests/bench.h"

/* Made where it is first needed, and kept. */
struct bench_set {
    enum elem elem; /* u8 or f32 */
    int d;
    struct synthetic *s;
    int64_t n, nq, written; /* written: base rows on file */
    void *base;             /* host, [n][d] */
    float *q;               /* host, [nq][d] */
};

int bench_set_open(struct bench_set *out, enum elem elem, int d);
void bench_set_close(struct bench_set *set); /* a zeroed one is allowed */

/* At least n base rows and exactly nq queries in host memory. Made on the device where that can. */
int bench_set_fill(struct bench_set *set, const struct bench *t, int64_t n, int64_t nq);

/* Rows first ... of a part into dst[rows][d] of the set's type. */
int bench_rows(const struct bench_set *set, const struct bench *t, enum part part, int64_t first,
               int64_t rows, void *dst);

/* The first rows of the training part on the device; the caller releases out->data. */
int bench_mat(const struct bench_set *set, const struct bench *t, int64_t rows, struct mat *out);

/*
 * nlist training rows from a far corner with a jitter of a fraction of a step, so that they are no
 * whole numbers, as centroids are none: host, and on the device. The caller frees and releases.
 */
int bench_centroids(const struct bench_set *set, const struct bench *t, int64_t nlist, float **out,
                    struct mat *on_device);

/* x[rows][d] as <folder>/<type>_<d>_<name>.npy; the same of ids[rows][k]. */
int bench_write(const struct bench_set *set, const struct bench *t, const char *name,
                enum elem elem, const void *x, int64_t rows);
int bench_write_ids(const struct bench_set *set, const struct bench *t, const char *name,
                    const vid *ids, int64_t rows, int k);

/* The queries, and n base rows as "base" where not so many have been written yet. */
int bench_write_base(struct bench_set *set, const struct bench *t, int64_t n);

#endif
