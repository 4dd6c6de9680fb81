/* Inverted lists on the device: one arena in list order. lists.cu, fill.cu and search.cu share it. */
#ifndef IVF_CUDA_LISTS_H
#define IVF_CUDA_LISTS_H

#include "kernels/cuda/array.h"
#include "kernels/cuda/transform.h"

struct fill;    /* fill.h: what filling needs, until the last pass has ended */
struct scratch; /* search.cu: what a search needs, taken by lists_reserve */

enum { ARENA_PAD = 128 }; /* bytes past the last row that may be read: they are zeros */

struct lists {
    struct lists_desc desc;  /* its transform is NULL: see applier */
    struct applier *applier; /* NULL: vectors are taken as they come */
    int d_in;
    int64_t row_bytes; /* of a code or of a Flat row */
    int64_t stride;    /* from one to the next in the arena: lists_stride */

    int passes, pass; /* that fill the lists; ended so far */
    int64_t n;        /* vectors, known once the first pass has ended */
    int wide_ids;     /* some id takes more than 32 bits */

    struct buf coarse; /* f32 [nlist][d] */
    struct buf books;  /* f32 [m][KSUB][dsub]; empty for Flat */
    struct buf offset; /* int64 [nlist + 1]: list j is rows offset[j] ... offset[j + 1] - 1 */
    struct buf rows;   /* [n][stride] and ARENA_PAD, aligned to 256 bytes */
    struct buf ids;    /* uint32 [n], int64 [n] where wide_ids */

    struct buf half; /* f32 [n] and HALVES_PAD: scanned.h; empty until it is asked for */

    struct fill *fill;
    struct scratch *scratch;
};

int64_t lists_row_bytes(const struct lists_desc *desc);

/*
 * Rows are a whole number of 16-byte pieces apart, codes of 4-byte ones, so that kernels can read
 * them in pieces; what is between is zeros.
 */
int64_t lists_stride(const struct lists_desc *desc);

/* Bytes of the rows and ids of n vectors, where these fit in 32 bits. */
size_t lists_arena_bytes(const struct lists_desc *desc);

void scratch_free(struct scratch *s, struct cuda *cuda); /* NULL is allowed */

#endif
