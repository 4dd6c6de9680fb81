/*
 * A data set: base vectors, queries, training vectors and, perhaps, the true neighbours. Read
 * in blocks, never loaded whole; u8 stays u8. Names of files decide their format (rowfile.h); the
 * folder layouts are those of the original script, and the forms of today's downloads:
 *
 *   SIFT1M ... SIFT1000M  root/bigann/bigann_{base,query,learn}.bvecs, gnd/idx_<n>M.ivecs: the
 *                         first n million rows of BIGANN (not TEXMEX's own SIFT1M set); root may
 *                         also be that folder itself. Truth is shipped for n = 1, 2, 5, 10, 20,
 *                         50, 100, 200, 500, 1000; another n has none
 *                         Or base.1B.u8bin, query.public.10K.u8bin, learn.100M.u8bin there
 *   Deep1B, Deep1M ...    root/deep1b/{base,deep1B_queries,learn}.fvecs, deep1B_groundtruth.ivecs
 *                         (deep<n>M_groundtruth.ivecs), or base.1B.fbin, query.public.10K.fbin,
 *                         learn.350M.fbin, groundtruth.public.10K.ibin (groundtruth.<n>M.10K.ibin);
 *                         of learn the first 10 million rows, as the original
 *   TEXMEX-SIFT1M         root/sift/sift_{base,query,learn}.fvecs, sift_groundtruth.ivecs
 *   synthetic             generated (synthetic.h)
 *   anything else         base, query, learn, truth: files of the user's; where base is an HDF5
 *                         file of ann-benchmarks, queries and truth come out of it too
 */
#ifndef IVF_DATASET_H
#define IVF_DATASET_H

#include "engine/base/hash.h"
#include "engine/terms.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What to open, as the spec says it. Strings are the caller's; NULL and 0: not given. */
struct dataset_desc {
    const char *name;
    const char *root;                         /* folder of a named layout */
    const char *base, *query, *learn, *truth; /* files; learn defaults to base */
    int64_t limit; /* use the first so many base rows; truth with an id beyond is then left out */
    int d;         /* synthetic: */
    int64_t n;
    int64_t nq;   /* 0: 1000 */
    int64_t nt;   /* 0: min(n, 50000) */
    int64_t seed; /* any; 0 is a seed too */
};

struct dataset; /* an open one */

/* Facts, known after dataset_open. */
struct dataset_info {
    char name[64];
    enum elem elem; /* of base and learn; queries may be of another type and are given as f32 */
    int d;
    int64_t n, nq, nt;
    int truth_k; /* true neighbours per query on file; 0: none */
    /* Of everything that shapes a result: files' sizes, mtimes and 64 sampled blocks of each,
       limit; or the generator's version and parameters. The path is not part of it. */
    struct hash identity;
};

/*
 * Opens and checks: files exist (ERR_IO), sizes fit whole rows, dimensions of first and sampled
 * rows agree (ERR_FORMAT names file, row and what is wrong), a layout's base has the rows its
 * name promises (ERR_FORMAT), limit <= rows (ERR_INVALID), truth has a row a query. Reads
 * little, whatever the size (but all of the truth where rows are left out). ERR_UNSUPPORTED: it takes
 * another build to read the files.
 */
int dataset_open(struct dataset **out, const struct dataset_desc *desc);
void dataset_close(struct dataset *ds); /* NULL is allowed; after its streams */
const struct dataset_info *dataset_info(const struct dataset *ds);
int dataset_unchanged(const struct dataset *ds); /* ERR_FORMAT: a file was written to meanwhile */
/* ERR_INVALID, which says so, where writing to path would be writing over a file of the set. */
int dataset_spares(const struct dataset *ds, const char *path);

/*
 * d that name implies without any file ("SIFT10M": 128), 0 if it implies none; ERR_INVALID with
 * a hint for a name that only looks like a known one (SIFT10K, sift1m, sythetic). For `check`,
 * where no base file is given: a file's owner may name it anything but a known layout.
 */
int dataset_name_d(const char *name);
int64_t dataset_name_n(const char *name); /* the same of n: "SIFT10M": 10 million */

/* 1 where a base file of this name brings its queries and truth along, 0 where they are files. */
int dataset_file_holds_all(const char *base);

/*
 * Rows [first, first + rows) of base or learn into dst ([rows][d] of info's elem). Every row's
 * stored dimension is checked. Threads: any.
 */
int dataset_read(struct dataset *ds, enum part part, int64_t first, int64_t rows, void *dst);

/*
 * Who makes a synthetic set's rows from now on, in synthetic_rows' place and with its bytes, from
 * whatever thread reads; NULL: synthetic_rows again. Not while a stream is open. Without effect on
 * a set of files.
 */
struct synthetic;
typedef int (*dataset_maker)(void *arg, const struct synthetic *s, enum part part, int64_t first,
                             int64_t rows, void *dst);
void dataset_make_with(struct dataset *ds, dataset_maker make, void *arg);

/* All queries as f32: q[nq][d]. ERR_FORMAT names a query with a NaN or an infinity. */
int dataset_queries(struct dataset *ds, float *q);

/* The first k true neighbours of each query: ids[nq][k], k <= truth_k; ids are checked against
   n (ERR_FORMAT). ERR_INVALID where there is no truth. */
int dataset_truth(struct dataset *ds, int k, vid *ids);

/*
 * Rows [first, first + rows) of base or learn in order, as blocks of at most block_rows rows; a
 * thread reads two blocks ahead. A block is valid until the next call on the stream. A fault of
 * the reader's comes after the blocks before it, and again from every later call.
 */
enum { STREAM_BLOCKS = 3 }; /* that a stream holds: one handed out, two ahead */

struct stream;
int stream_open(struct stream **out, struct dataset *ds, enum part part, int64_t first,
                int64_t rows, int64_t block_rows);
int stream_next(struct stream *s, struct block *out); /* 1: a block; 0: the end; or a code */
void stream_close(struct stream *s);                  /* at any time; NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
