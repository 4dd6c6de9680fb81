/*
 * A file of rows being written, streamed, whole or absent: the other direction of rowfile.h. The
 * name's end decides the format. In HDF5 vectors are written as `train`, ids as `neighbors`.
 */
#ifndef IVF_ROWWRITER_H
#define IVF_ROWWRITER_H

#include "engine/rowfile.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rowwriter;

/*
 * *out = the cell in which a file named path holds rows of `from`: .npy as they are, the others as
 * their name says. ERR_INVALID where that would lose something (f32 as u8, ids as vectors) and for a
 * format that is only read: the text says what to do.
 */
int rowwriter_cell(enum cell *out, const char *path, enum cell from);

/* dst[count] in cell `to` = src[count] in cell `from`, a pair that rowwriter_cell gave. ERR_FORMAT
   for an id that is negative or too large for `to`. */
int cell_convert(enum cell to, void *dst, enum cell from, const void *src, int64_t count);

/* Announces rows of d cells; the file appears at rowwriter_commit. */
int rowwriter_create(struct rowwriter **out, const char *path, enum cell cell, int64_t rows, int d);
int rowwriter_add(struct rowwriter *w, const void *x, int64_t rows); /* x[rows][d] of its cell */

/* 1 where distances may follow the ids: big-ann's truth. */
int rowwriter_takes_distances(const char *path);
/* After all rows, for all rows at once: dist[rows][d]. */
int rowwriter_add_distances(struct rowwriter *w, const float *dist);

int rowwriter_commit(struct rowwriter *w);   /* all rows have come; frees w, also on failure */
void rowwriter_discard(struct rowwriter *w); /* nothing appears; NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
