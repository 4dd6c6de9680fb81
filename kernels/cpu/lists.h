/* The CPU's inverted lists: one arena in list order. What lists.c builds and search.c reads. */
#ifndef IVF_CPU_LISTS_H
#define IVF_CPU_LISTS_H

#include "engine/backend.h"
#include "kernels/cpu/transform.h"

struct scratch; /* search.c: what a search needs, taken by lists_reserve */

struct lists {
    struct lists_desc desc;  /* its transform is NULL: see applier */
    struct applier *applier; /* NULL: vectors are taken as they come */
    int d_in;
    int row_bytes; /* of a code or of a Flat row */
    int dsub;

    float *coarse;      /* [nlist][d] */
    float *coarse_norm; /* [nlist]: |c|^2 */
    double coarse_max;  /* the largest |c| */
    int coarse_whole;   /* all whole numbers */
    float *books;       /* [m][KSUB][dsub]; NULL for Flat */
    float *books_t;     /* the same, codes_transpose'd */

    int pass;         /* passes ended: 0 assigning, 1 placing, 2 complete */
    int64_t n, at;    /* vectors of the first pass; vectors seen in this one */
    vid max_id;       /* the largest seen in the first pass */
    int32_t *list_of; /* [desc.n] between the passes */
    int64_t *offset;  /* [nlist + 1]: list j is rows offset[j] ... offset[j + 1] - 1 */
    int64_t *cursor;  /* [nlist]: next free row of each list, while placing */
    uint8_t *rows;    /* [n][row_bytes] */
    uint32_t *ids32;  /* [n] where ids fit in 32 bits, else ids64 */
    int64_t *ids64;
    float *norm;     /* [n]: |x|^2 of every vector, where its code says it is */
    int32_t *nearby; /* the list of row 0, LISTS_STRIDE, 2 LISTS_STRIDE ... of the arena */
    double max_norm; /* at least the norm of every vector stored */
    int whole;       /* all values stored are whole numbers */

    struct scratch *scratch;
};

static inline vid lists_id(const struct lists *l, int64_t pos)
{
    return l->ids32 ? (vid)l->ids32[pos] : l->ids64[pos];
}

/*
 * Rows pos ... pos + n - 1 of the arena, all of one list, as fp32 [n][d]: where they lie, or
 * unpacked into rows.
 */
const float *lists_unpack(const struct lists *l, int64_t list, int64_t pos, int64_t n, float *rows);

enum { LISTS_STRIDE = 64 };

/* The list that row pos of the arena belongs to. */
static inline int64_t lists_at(const struct lists *l, int64_t pos)
{
    int64_t list = l->nearby[pos / LISTS_STRIDE];

    while (l->offset[list + 1] <= pos)
        list++;
    return list;
}

void scratch_free(struct scratch *s); /* NULL is allowed */

#endif
