/*
 * The contract between the engine and a device: memory, time, and whole batched steps over
 * opaque objects. A step is coarse (a training set to its centroids, a batch of queries to
 * its answers), so that a backend is free to fuse, keep things resident and overlap, and so
 * that the price of the indirect call is nothing.
 *
 * Each backend fulfils one table; kernels/kernels.c knows which exist. A step is complete
 * when it returns unless its comment says otherwise. All return 0 or a code of fail.h. One
 * thread at a time per backend object; different objects are independent.
 *
 * Exactness, the same on every backend: a distance that decides anything is the one of
 * terms.h, and ties go to the lower id (or list, or codeword). A distance past fp32 is +inf: it
 * still ranks lists, but is no answer. Low-precision arithmetic may only rule out what cannot win.
 */
#ifndef IVF_BACKEND_H
#define IVF_BACKEND_H

#include "engine/terms.h"

#ifdef __cplusplus
extern "C" {
#endif

struct backend {
    const struct backend_ops *ops;
}; /* first member of each kind's own struct */

/* Device memory. Only its backend may follow ptr. A zeroed buf is none. */
struct buf {
    void *ptr;
    size_t bytes;
};

/* Rows of vectors on the device: [rows][d] of elem in data, contiguous. */
struct mat {
    struct buf data;
    enum elem elem;
    int64_t rows;
    int d;
};

struct backend_info {
    char name[96];       /* the device: "NVIDIA H200", or the CPU's model */
    int threads;         /* CPU threads used; 0 where that has no meaning */
    size_t memory_bytes; /* total on the device; 0: unknown */
};

/* What inverted lists are to hold. All of it is known before the first vector comes. */
struct lists_desc {
    int d; /* of centroids and stored vectors: after the transform */
    int64_t nlist;
    int m;             /* 0: rows as they are (Flat), else PQ codes of m bytes */
    enum elem storage; /* element type of Flat rows */
    int64_t n;         /* vectors that will be added, at most */
    /* From the d_in dimensions of blocks and queries to d; NULL: none. Copied by lists_create;
       what tells bytes looks at its d_in alone. */
    const struct transform *transform;
};

/*
 * How lists will be searched. All of it is known before the first query. What comes after nprobe
 * is about time and memory, never about answers: a backend that has no use for it leaves it.
 */
struct search_desc {
    int64_t nq;             /* queries handed over at once, at most */
    int k, nprobe;          /* at most */
    int precomputed_tables; /* PQ: one fp32 is kept of each stored vector; 0: recomputed */
    int float16;            /* PQ: look-up tables, where a backend has some, are fp16; 0: fp32 */
    /* Of scratch, at most, but never less than one query needs; 0: as the backend sees fit. What is
       kept of stored vectors is no scratch. */
    size_t temp_bytes;
};

struct synthetic; /* engine/synthetic.h */
struct lists;     /* inverted lists on a device, with their centroids and codebooks: the index */

struct backend_ops {
    const char *name; /* as in the spec: "cpu", "cuda" */

    /* threads: of the CPU, 0 for as many as thread_count() says. ERR_UNSUPPORTED: no such device. */
    int (*open)(struct backend **out, int device, int threads);
    void (*close)(struct backend *b); /* NULL is allowed */
    void (*info)(struct backend *b, struct backend_info *out);

    /* ---- memory and time ---- */
    int (*alloc)(struct backend *b, struct buf *out, size_t bytes); /* zeroed */
    void (*release)(struct backend *b, struct buf *buf);            /* an empty buf is allowed */
    int (*upload)(struct backend *b, struct buf dst, size_t at, const void *src, size_t bytes);
    int (*download)(struct backend *b, void *dst, struct buf src, size_t at, size_t bytes);
    /* Optional: nanoseconds of device time since the last call; absent where host = device. */
    int (*device_ns)(struct backend *b, int64_t *ns);
    /* Optional: the most device memory held at once since the last call. */
    int (*peak_bytes)(struct backend *b, size_t *bytes);

    /* ---- data ---- */

    /* Optional: rows first ... of a part into out (u8), the bytes of synthetic_rows. */
    int (*synthesize)(struct backend *b, const struct synthetic *s, enum part part, int64_t first,
                      struct mat *out);

    /* ---- training ---- */

    /* *row = the first row of x that holds a NaN or an infinity, -1 where none does. */
    int (*finite)(struct backend *b, const struct mat *x, int64_t *row);

    /* Row j of out (f32) = row rows[j] (host) of x, for all rows of out. */
    int (*gather)(struct backend *b, const struct mat *x, const int64_t *rows, struct mat *out);

    /* Row i of out (f32, [rows][t->d_out]) = t applied to row i of x; t is host memory. */
    int (*transform)(struct backend *b, const struct mat *x, const struct transform *t,
                     struct mat *out);

    /*
     * list[i] (int32) = the row of c (f32) nearest to row i of x; *total (NULL is allowed) = the
     * sum of the squared distances, in fp64. x is finite.
     */
    int (*assign)(struct backend *b, const struct mat *x, const struct mat *c, struct buf list,
                  double *total);

    /*
     * Row j of c (f32) = the mean of the rows of x with list[i] == j, summed in fp64 in row
     * order; count[j] (int64) = how many. A row of c that none belongs to stays as it was.
     */
    int (*means)(struct backend *b, const struct mat *x, struct buf list, struct mat *c,
                 struct buf count);

    /* Row i of r (f32) = row i of x minus row list[i] of c, in fp32. r may be x itself. */
    int (*residuals)(struct backend *b, const struct mat *x, struct buf list, const struct mat *c,
                     struct mat *r);

    /*
     * code[i][s] (u8, [rows][m]) = the codeword of books (f32, [m][KSUB][dsub]) nearest to
     * slice s of row i of r (f32); err[s] (double, [m]; an empty buf is allowed) = the sum of
     * the squared distances. The distance here is the fp32 sum of fp32 squared differences in
     * dimension order, without fused multiply-add: the same bits everywhere.
     */
    int (*encode)(struct backend *b, const struct mat *r, int m, struct buf books, struct buf code,
                  struct buf err);

    /* Each codeword = the mean of the slices it codes, as `means` does; count int64 [m][KSUB]. */
    int (*code_means)(struct backend *b, const struct mat *r, int m, struct buf code,
                      struct buf books, struct buf count);

    /* ---- truth ---- */

    /*
     * Merges x, whose row 0 has id first, into the k nearest found so far of each q:
     * dist[nq][k] (f32) and ids[nq][k] (int64), ascending by (distance, id), unfilled places
     * +inf and -1. Begin with all places unfilled. NaN rows and NaN queries match nothing.
     */
    int (*knn)(struct backend *b, const struct block *x, const struct mat *q, int k,
               struct buf dist, struct buf ids);

    /* ---- inverted lists ---- */

    /*
     * Empty lists around coarse centroids (host, [nlist][d]) and, if m > 0, codebooks (host,
     * [m][KSUB][dsub]), both copied. Filling them takes passes(l) passes over the same blocks
     * in the same order; each pass ends with lists_end_pass. Within a list vectors stand in
     * the order they came in.
     */
    int (*lists_create)(struct backend *b, struct lists **out, const struct lists_desc *desc,
                        const float *coarse, const float *books);
    void (*lists_free)(struct backend *b, struct lists *l); /* NULL is allowed */
    int (*lists_passes)(const struct lists *l);
    /*
     * Rows of any element type. Flat rows are kept as desc.storage has them, f16 rounded to nearest
     * even: it is the rounded vector that is at a distance. ERR_FORMAT names the id of a row that
     * holds a NaN or an infinity, or a value that the storage cannot hold: for f16 past 65504, for
     * u8 and i8 any that is not a whole number in range. A device may still be at work when this
     * returns: x is free, but what is wrong with it may be told by a later lists_add of the pass or
     * by its lists_end_pass.
     */
    int (*lists_add)(struct backend *b, struct lists *l, const struct block *x);
    int (*lists_end_pass)(struct backend *b, struct lists *l);
    /* size[nlist]: vectors in each list. */
    int (*lists_sizes)(struct backend *b, const struct lists *l, int64_t *size);

    /*
     * What searches as large as s need, and what s keeps of each vector; the lists are full.
     * Replaces what was, which stays where this fails; both may be held for a moment.
     */
    int (*lists_reserve)(struct backend *b, struct lists *l, const struct search_desc *s);

    /*
     * For each of q[nq][d_in] (host) the k nearest of the vectors in its nprobe nearest lists:
     * dist[nq][k] and ids[nq][k] (host), ascending by (distance, id), (+inf, -1) where the
     * lists hold fewer than k and for a query with a NaN. A PQ vector is where its code says:
     * centroid + codeword, added in fp64. Allocates nothing; needs a lists_reserve that
     * covers it.
     */
    int (*lists_search)(struct backend *b, struct lists *l, const float *q, int64_t nq, int k,
                        int nprobe, float *dist, vid *ids);

    /*
     * Bytes, as `plan` prints them, that will be held on the device by: full lists of desc;
     * besides, filling them; any training step over up to rows rows, nlist centroids or m slices,
     * besides its arguments; a knn of vectors of d, besides its arguments; lists_reserve of s.
     */
    size_t (*lists_bytes)(const struct lists_desc *desc);
    size_t (*fill_bytes)(const struct lists_desc *desc);
    size_t (*train_bytes)(int d, int64_t nlist, int m, int64_t rows, int threads);
    size_t (*knn_bytes)(int d, int k, int threads);
    size_t (*search_bytes)(const struct lists_desc *desc, const struct search_desc *s, int threads);
    /*
     * Optional: bytes of host memory that an open backend holds at most. Present where the
     * device's memory is its own; absent where it is the host's.
     */
    size_t (*host_bytes)(void);
};

/* 0, or ERR_INVALID naming the first slot of the table that is missing and not optional. */
int backend_check(const struct backend_ops *ops);

#ifdef __cplusplus
}
#endif
#endif
