/*
 * Between rowfile.c, rowwriter.c and the formats, a file each: what a format must say of itself.
 * To add one: a format_<x>.c with a struct rowformat, and its names in the table of rowfile.c.
 */
#ifndef IVF_FORMAT_H
#define IVF_FORMAT_H

#include "engine/base/file.h"
#include "engine/rowfile.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rowformat {
    const char *name;
    int holds_all; /* base, queries and truth in one file */

    /*
     * f->path, fd, bytes and (but for npy and hdf5) cell are set, the file is not empty: fills cell,
     * d, rows, offset and stride and makes every check that rowfile_open promises.
     */
    int (*measure)(struct rowfile *f, enum role role);

    /* NULL, all three: the rows lie on file as they are given, without gaps. */
    int64_t (*scratch)(const struct rowfile *f, int64_t rows);
    int (*read)(const struct rowfile *f, int64_t first, int64_t rows, void *dst, char *scratch);
    void (*close)(struct rowfile *f);

    /* What stands before the first row, and before each row (NULL: nothing); both NULL: this format
       is only read. */
    int (*write_head)(struct file *to, enum cell cell, int64_t rows, int d);
    int (*write_prefix)(struct file *to, int d);
};

extern const struct rowformat rowformat_vecs, rowformat_bin, rowformat_npy, rowformat_hdf5;

/* The format that path's name ends in, and its cell where the name says that. ERR_INVALID. */
int rowformat_find(const struct rowformat **out, enum cell *cell, const char *path);

/* path from the last dot on, without big-ann's ".crop_nb_<n>"; "" where there is none. */
struct suffix {
    char s[16];
};
struct suffix rowformat_suffix(const char *path);

/* All n bytes at offset `at` of the file; row names where, if the file ends before. */
int rowfile_pread(const struct rowfile *f, void *dst, int64_t n, int64_t at, int64_t row);

/* *out = rows * d * (bytes of a cell); ERR_FORMAT where that passes what a file can hold. */
int rowfile_body(int64_t *out, const struct rowfile *f, int64_t rows, int64_t d);

/* ERR_FORMAT for a header's counts that no file of ours can have. */
int rowfile_check_shape(const struct rowfile *f, int64_t rows, int64_t d);

#ifdef __cplusplus
}
#endif
#endif
