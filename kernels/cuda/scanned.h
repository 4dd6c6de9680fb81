/*
 * What the steps of a search share about the vectors they look at, beside the lists themselves.
 *
 * Searching is done on half the squared distance in the scaled space of the coarse quantizer (product.h),
 *
 *     e = |q' - x'|^2 / 2 = near - (<q', y> - half),
 *
 * where for rows y = x', half = |x'|^2 / 2, near = |q'|^2 / 2, and for codes, x = c + r, y = r' (r scaled),
 * half = |r'|^2 / 2 + <c', r'>, near = |q' - c'|^2 / 2: what depends on the vector alone is one float, and
 * what is left is a product. Low precision makes e's that are off by at most half of e_margin.
 */
#ifndef IVF_CUDA_SCANNED_H
#define IVF_CUDA_SCANNED_H

#include "kernels/cuda/coarse.h"
#include "kernels/cuda/lists.h"
#include "kernels/cuda/stored.cuh"

/* What bounds the errors of e, on the device. */
struct scan_facts {
    float y_max; /* |y| at most */
    float y_err; /* |y - what fp16 makes of it| at most; of codes, and what c + r loses in fp64 */
    float near_max, near_err; /* the same of rows that are not far (e_far) */
};

enum { HALVES_PAD = 32 }; /* halves past the last that may be read, whatever they are */

struct scanned {
    struct stored lists;
    const struct space *space; /* of the coarse quantizer */
    struct scan_facts *d_facts;
    float *d_half;    /* [n + HALVES_PAD]; NULL: kernels recompute it */
    int float16;      /* tables in fp16 */
    __half *d_books;  /* [KSUB][pitch]: codewords scaled, in fp16, zeros past d; NULL for rows */
    int pitch;        /* of those, in elements */
    int32_t *d_slice; /* [depth]: the sub-quantizer of each dimension, in range past d too */
};

/* Up to 128 dimensions, bytes from one code to the next: a code is a byte of an address. And bytes of all. */
enum { BOOK_PITCH = 256, BOOK_BYTES = KSUB * BOOK_PITCH };

/* In elements, of any depth. */
static inline int books_pitch(int depth)
{
    return (depth * 2 + BOOK_PITCH - 1) / BOOK_PITCH * (BOOK_PITCH / 2);
}

/* All arrays but d_half out of a room: d and m of the lists are known. */
void scanned_room(struct scanned *s, struct room *r);

/* Enqueues what is done once for full lists. */
int scanned_make(struct cuda *cuda, struct scanned *s, int64_t n, int64_t nlist);

#ifdef __CUDACC__
/*
 * How far apart two e of a query must be for the distances to be in the same order, as fp32: see
 * product_margin. Besides, half may have been made of fp16 codewords, sums have up to `depth` terms, and near
 * comes out of a product, too. y_max, y_err: of the vectors that are compared.
 */
__device__ static inline float e_margin(const struct product_facts *space, float y_max, float y_err,
                                        int depth, float length, float err, bool codes,
                                        bool fp16_tables)
{
    float c_max = codes ? space->col_max : 0, reach = length + c_max + y_max;
    float fp16 = (length + c_max + (codes ? y_max : 0)) * y_err + err * (y_max + y_err);
    float sums = (float)depth * 0x1p-22f * (length + err) * (y_max + y_err);
    float rest = (float)(depth + 32) * 0x1p-23f * reach * reach;
    /* rounding to 11 bits, or to the last bit of what is 1024 times as large (walk.cu) */
    float tables = fp16_tables ? 0x1p-10f * reach * y_max + (float)depth * 0x1p-15f : 0;
    float near = codes ? product_margin(space, depth, length, err) : 0;

    return 2.02f * (fp16 + sums + rest + tables) + near + space->resolution + 0x1p-126f;
}

/*
 * A row longer than this is far: one such row among millions would give all queries a margin so wide that none of
 * them is decided by e. Where all centroids are at the centre none is.
 */
__device__ static inline float e_far(const struct product_facts *space)
{
    return space->col_max > 0 ? 16 * space->col_max : INFINITY;
}

/*
 * The margins of a query: of all rows, and of those that are not far. To a query half as long as what is far, at most,
 * e of a far row is an eighth of far^2 or more, and by Cauchy and Schwarz so is what fp16 makes of it, which is no
 * longer than the row; no rounding that e_margin accounts for takes half of that. So what has an e up to `limit`, a
 * sixteenth, is not far, and where the k-th and `near` are within it, no far row is among the k nearest.
 */
struct e_margins {
    float near, all;
    float limit;
};

__device__ static inline struct e_margins e_margins_of(const struct product_facts *space,
                                                       const struct scan_facts *f, int depth,
                                                       float length, float err, bool codes,
                                                       bool fp16_tables)
{
    float all = e_margin(space, f->y_max, f->y_err, depth, length, err, codes, fp16_tables);
    float far = e_far(space);

    if (codes || !(length <= 0.5f * far)) return {all, all, INFINITY};
    return {e_margin(space, f->near_max, f->near_err, depth, length, err, false, false), all,
            0x1p-4f * far * far};
}

/* If k vectors have an e up to kth, no answer's e is past this. */
__device__ static inline float e_within(const struct e_margins &m, float kth)
{
    float last = kth + m.near;

    return last <= m.limit ? last : kth + m.all;
}

/* Whether a query is at a list that e cannot express: at a distance past fp32. */
__device__ static inline bool e_is_past(int32_t list, float near)
{
    return list >= 0 && !(near < INFINITY);
}

/*
 * What a bound is where there is none yet: no e comes near it, but it is not so much larger that e would lose
 * bits beside it. +inf where numbers are past what e can do.
 */
__device__ static inline float e_unbounded(const struct product_facts *space,
                                           const struct scan_facts *f, float length, bool codes)
{
    float reach = length + (codes ? space->col_max : 0) + f->y_max;

    return 2 * reach * reach + fmaxf(space->resolution, 0x1p-126f);
}
#endif

#endif
