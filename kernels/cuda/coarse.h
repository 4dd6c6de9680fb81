/*
 * Which lists a query visits, exactly: the nprobe whose centroids are nearest by (distance, list).
 */
#ifndef IVF_CUDA_COARSE_H
#define IVF_CUDA_COARSE_H

#include "kernels/cuda/product.h"
#include "kernels/cuda/whole.h"

/* Queries on the device, as they are and packed in the coarse quantizer's space. */
struct queries {
    int64_t n;
    int d;
    float *d_q;       /* [n][d] */
    struct rows rows; /* [n] */
    struct whole whole;
};

/* Queries that another path has to take, by their numbers, in any order. */
struct undone {
    int32_t *d_n;
    int32_t *d_query;
};

struct coarse {
    int64_t nlist, slice; /* slice: queries taken at once, at most */
    int d, nprobe;        /* nprobe: at most */
    size_t slice_bytes;   /* of a slice's arrays, at most, but for one query's */
    int64_t wide;         /* queries searched exhaustively at once */
    const float *d_c;     /* [nlist][d] */
    struct space space;   /* fitted to the centroids; queries and rows are packed in it too */
    struct columns columns;
    struct rows plain; /* the centroids again, as rows, for rescore.cu */

    /* of a slice */
    struct group_best best;
    struct collected found;
    float *d_threshold;
    struct undone undone;
    float *d_all; /* [rows of exhaustive search at once][nlist] */
    double *d_partial;
};

static const size_t COARSE_SLICE_BYTES = (size_t)256 << 20; /* what is enough */

/* All arrays out of a room; d, nlist, nprobe, slice_bytes are set. nq: queries in a call, at most. */
void coarse_room(struct coarse *c, int64_t nq, struct room *r);

/* Enqueues what is done once: the space, the packed centroids. */
int coarse_make(struct cuda *cuda, struct coarse *c, const float *d_c);

/*
 * Enqueues: d_probe[n][nprobe], the nprobe lists nearest by (distance, list), and
 * d_near[n][nprobe], half the squared distance to each in the scaled space (struct space), off by
 * half of product_margin at most and not negative; +inf where it is past fp32.
 *
 * Which lists these are is exact; the nearest come first as far as scores tell them apart, so d_near
 * ascends but for steps back within the margin. Where nprobe is past COARSE_SORTED only the first
 * is in its place. A query with a NaN or an infinity gets -1 and +inf for all. Packs q->rows, too.
 */
enum { COARSE_SORTED = 4096 };
int coarse_search(struct cuda *cuda, struct coarse *c, struct queries *q, int nprobe,
                  int32_t *d_probe, float *d_near);

#ifdef __CUDACC__
/* A distance as d_near has it. */
__device__ static inline float coarse_near(float dist, float scale)
{
    return (float)(0.5 * ((double)dist * scale * scale));
}
#endif

#endif
