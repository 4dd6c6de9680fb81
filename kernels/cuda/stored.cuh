/* Lists as kernels see them, and how far a query is from a vector in them. */
#ifndef IVF_STORED_CUH
#define IVF_STORED_CUH

#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/lists.h"

/* As in struct lists. */
struct stored {
    int d, m, dsub;
    enum elem storage;
    int64_t stride;
    const float *coarse, *books;
    const int64_t *offset;
    const uint8_t *rows;
    const uint32_t *ids32; /* NULL: ids64 */
    const int64_t *ids64;
};

static inline struct stored stored_of(const struct lists *l)
{
    const struct lists_desc *desc = &l->desc;

    return {.d = desc->d,
            .m = desc->m,
            .dsub = desc->m ? desc->d / desc->m : 0,
            .storage = desc->storage,
            .stride = l->stride,
            .coarse = (const float *)l->coarse.ptr,
            .books = (const float *)l->books.ptr,
            .offset = (const int64_t *)l->offset.ptr,
            .rows = (const uint8_t *)l->rows.ptr,
            .ids32 = l->wide_ids ? NULL : (const uint32_t *)l->ids.ptr,
            .ids64 = l->wide_ids ? (const int64_t *)l->ids.ptr : NULL};
}

__device__ inline vid stored_id(const struct stored &s, int64_t pos)
{
    return s.ids32 ? (vid)s.ids32[pos] : s.ids64[pos];
}

/* Dimension j of the vector that a code of the list around c stands for. */
__device__ inline double stored_code_at(const struct stored &s, const uint8_t *code, const float *c,
                                        int j)
{
    int slice = j / s.dsub, word = slice * KSUB + code[slice];

    return (double)c[j] + (double)s.books[word * s.dsub + (j - slice * s.dsub)];
}

#endif
