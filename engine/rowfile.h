/*
 * A file of rows of one length, whatever its format: vectors, or the ids of true neighbours.
 *
 *   .fvecs .bvecs .ivecs              TEXMEX (format_vecs.c)
 *   .fbin .f16bin .u8bin .i8bin .ibin big-ann-benchmarks, DiskANN, cuVS (format_bin.c); a truth
 *                                     file may be called .bin too
 *   .npy                              NumPy (format_npy.c)
 *   .hdf5 .h5                         ann-benchmarks (format_hdf5.c): base, queries and truth in one
 *
 * The end of the name decides (".crop_nb_<n>", which big-ann's downloads append, is looked past),
 * the content is checked against it. Little endian throughout.
 */
#ifndef IVF_ROWFILE_H
#define IVF_ROWFILE_H

#include "engine/base/hash.h"
#include "engine/terms.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a row is made of: the elements of vectors, as enum elem counts them, and kinds of ids. */
enum cell {
    CELL_F32 = ELEM_F32,
    CELL_F16 = ELEM_F16,
    CELL_U8 = ELEM_U8,
    CELL_I8 = ELEM_I8,
    CELL_I32,
    CELL_U32,
    CELL_I64
};

size_t cell_bytes(enum cell cell);
const char *cell_name(enum cell cell);                   /* "f32", ... "i32", "u32", "i64" */
int cell_is_id(enum cell cell);                          /* not an element of vectors */
vid cell_id(enum cell cell, const void *ptr, int64_t i); /* the ith id at ptr */

/* What a file is opened as: some formats hold several sets of rows. */
enum role { ROLE_BASE, ROLE_QUERY, ROLE_LEARN, ROLE_TRUTH };

struct rowformat; /* format.h */

struct rowfile { /* an open file; to be read, not written */
    const struct rowformat *format;
    char *path;
    int fd;
    enum cell cell;
    int d;                  /* cells in a row: dimensions, or neighbours */
    int64_t rows;           /* at least 1 */
    int64_t offset, stride; /* bytes on file: before row 0; from one row to the next */
    int64_t bytes, mtime_ns;
    int has_distances; /* big-ann's truth: f32 [rows][d] follow the ids */
    void *own;         /* the format's */
};

/*
 * Opens and checks: the name ends in a known format (ERR_INVALID), the file exists (ERR_IO), its
 * header makes sense, its size is what rows and d say, d is in 1 ... D_MAX, sampled rows agree, and
 * it holds what the engine works on, not 64-bit floats or an angular set (ERR_FORMAT names file and
 * fault); ERR_UNSUPPORTED where it takes another build to read it. Reads little.
 */
int rowfile_open(struct rowfile **out, const char *path, enum role role);
void rowfile_close(struct rowfile *f); /* NULL is allowed */

/* 1 where the format of a file of this name holds base, queries and truth at once. */
int rowfile_holds_all(const char *path);

/* "vecs", "bin", "npy", "hdf5" */
const char *rowfile_format(const struct rowfile *f);

/* Bytes that rowfile_read wants as scratch for this many rows. */
int64_t rowfile_scratch(const struct rowfile *f, int64_t rows);

/*
 * Rows [first, first + rows), which the file has, into dst[rows][d] of its cell. ERR_FORMAT names
 * a row at fault. Threads: any, each with its own scratch.
 */
int rowfile_read(const struct rowfile *f, int64_t first, int64_t rows, void *dst, char *scratch);

/* ERR_FORMAT where the file was written to since it was opened. */
int rowfile_unchanged(const struct rowfile *f);

/* Adds size, time of change and 64 blocks of content, spread from first to last, to h. */
int rowfile_hash(const struct rowfile *f, struct hasher *h);

#ifdef __cplusplus
}
#endif
#endif
