/*
 * The fvecs, bvecs and ivecs files of the TEXMEX corpora: per row an int32 d, then d elements
 * (float32, uint8, int32); little endian, no header, no padding.
 */
#ifndef IVF_FORMAT_VECS_H
#define IVF_FORMAT_VECS_H

#include "engine/base/hash.h"
#include "engine/terms.h"

#ifdef __cplusplus
extern "C" {
#endif

enum vecs_kind { VECS_F32, VECS_U8, VECS_I32 }; /* .fvecs, .bvecs, .ivecs */

struct vecs { /* an open file; to be read, not written */
    char *path;
    int fd;
    enum vecs_kind kind;
    int d;
    int64_t rows;
    int64_t row_bytes, bytes; /* on file: of a row, of all */
    int64_t mtime_ns;
};

enum { VECS_CHUNK = 4 << 20 }; /* bytes asked of the system at once, about */

/*
 * The kind that path's name ends in. ERR_UNSUPPORTED for formats of other tools that a later
 * version reads, ERR_INVALID for the rest.
 */
int vecs_kind_of(enum vecs_kind *out, const char *path);

/*
 * Opens and checks: the file exists (ERR_IO), its size is whole rows, d is in 1 ... D_MAX and
 * the same in 64 rows spread over it (ERR_FORMAT names file, row and fault).
 */
int vecs_open(struct vecs **out, const char *path);
void vecs_close(struct vecs *v); /* NULL is allowed */

/* Bytes that vecs_read wants as scratch for this many rows. */
int64_t vecs_scratch(const struct vecs *v, int64_t rows);

/*
 * Rows [first, first + rows), which the file has, into dst[rows][d] without their counts, each
 * of which is checked (ERR_FORMAT names the row). Threads: any, each with its own scratch.
 */
int vecs_read(const struct vecs *v, int64_t first, int64_t rows, void *dst, char *scratch);

/* Adds size, time of change and 64 blocks of content, spread from first to last, to h. */
int vecs_hash(const struct vecs *v, struct hasher *h);

#ifdef __cplusplus
}
#endif
#endif
