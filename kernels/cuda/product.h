/*
 * Matrix products whose results are never written: tiles of rows x columns on the tensor cores in
 * fp16, reduced as they come out. What assignment, truth and the coarse step share.
 *
 * Vectors are centred and scaled first (struct space), which is what makes fp16 do. The score of
 * row x and column c stands for a distance, the higher the nearer:
 *
 *     score = offset - |c'|^2 / 2 + <x', c'>  =  offset + |x'|^2 / 2 - |x' - c'|^2 / 2
 *
 * with x' = (x - centre) * scale; offset makes all scores non-negative, so that floats compare as
 * integers. A score is off by at most product_margin: scores may rule out, distances decide.
 *
 * Columns are packed into tiles of TILE_COLS, which lie in memory as the tensor cores' shared
 * memory wants them: [depth / 8][TILE_COLS / 8] blocks of 8 columns x 8 halves (the "core matrix"
 * of wgmma without swizzle, and one ldmatrix). Within 32 dimensions the order is permuted so that
 * a thread's operand of two steps is 16 contiguous bytes of a row (pack.cu).
 */
#ifndef IVF_CUDA_PRODUCT_H
#define IVF_CUDA_PRODUCT_H

#include <cuda_fp16.h>

#include "kernels/cuda/cuda.h"

enum {
    TILE_ROWS = 256, /* of a block's work */
    TILE_COLS = 128,
    TILE_STEP = 4,  /* columns are padded to a multiple of this many tiles */
    GROUP_COLS = 8, /* columns among which best_two does not decide */
    BAND_PARTS = 4, /* groups of a tile that a lane of a quad has; their columns: */
    BAND_COLS = BAND_PARTS * GROUP_COLS,
    MAX_SPLITS = 64, /* parts of the columns that blocks may take apart */
};

/* Dimensions as the product has them: d and zeros. Up to 128 in 32s: those have a kernel each. */
static inline int product_depth(int d)
{
    return (d + 31) / 32 * 32;
}

/* What is known about all rows and columns, on the device: only kernels read it. */
struct product_facts {
    float scale;   /* a power of two */
    float row_max; /* the largest |x'| that is not far off; and so on */
    float col_max; /* |c'| */
    float col_err; /* |c' - what fp16 makes of it| */
    float
        resolution; /* what two distances that fp32 tells apart differ by at least, scaled, near 0 */
};

/* Where vectors are centred and how they are scaled. */
struct space {
    int d, depth;
    float *d_centre; /* [depth] */
    struct product_facts *d_facts;
};

/* Columns, packed. */
struct columns {
    int64_t n, tiles; /* tiles: a multiple of TILE_STEP */
    int depth;
    __half *d_image; /* [tiles][depth * TILE_COLS] */
    float *d_half;   /* [tiles * TILE_COLS]: |c'|^2 / 2 */
    float *d_norm;   /* [tiles * TILE_COLS]: offset - that; 0 where there is no column */
};

/* Rows, packed. */
struct rows {
    int64_t n;
    int depth;
    __half *d_x;     /* [n][depth] */
    float *d_square; /* [n]: |x'|^2; NaN for a row with a NaN or an infinity */
    float *d_length; /* [n]: its root, or a little more */
    float *d_err;    /* [n]: |x' - what fp16 makes of it| */
    int32_t *d_zero; /* [n]: counters of the rows, which packing sets to 0; NULL: there are none */
};

/* The arrays of each out of a room, d_zero excepted; columns and rows need n and depth set, a space d. */
void space_room(struct space *s, struct room *r);
void columns_room(struct columns *c, struct room *r);
void rows_room(struct rows *x, struct room *r);

static inline int64_t columns_tiles(int64_t n)
{
    return (n + TILE_COLS * TILE_STEP - 1) / (TILE_COLS * TILE_STEP) * TILE_STEP;
}

/* All of these enqueue. d_partial: space_partials(d) doubles that are free again afterwards. */
int64_t space_partials(int d);
int space_fit(struct cuda *cuda, struct space *s, enum elem elem, const void *d_x, int64_t n,
              double *d_partial);
/* Packs vectors and adds them to the facts; first forgets what the facts say of columns (rows). */
int columns_pack(struct cuda *cuda, const struct space *s, enum elem elem, const void *d_x,
                 struct columns *c);
int rows_pack(struct cuda *cuda, const struct space *s, enum elem elem, const void *d_x,
              struct rows *x);
/* The norms, once the facts hold both sides. */
int columns_norms(struct cuda *cuda, const struct space *s, struct columns *c);

/* For each row and part of the columns: the best group and how good the best of the others is. */
struct best_two {
    int splits;
    float *d_best, *d_second; /* [splits][n] */
    int32_t *d_group;         /* [splits][n]: see group_column */
};

/* Parts to cut the columns into, so that n rows keep the device busy. */
int product_splits(const struct cuda *cuda, int64_t n, int64_t tiles);
int product_best_two(struct cuda *cuda, const struct rows *x, const struct columns *c,
                     const struct best_two *out);

/* Columns whose score is at least the row's threshold, in any order. */
struct collected {
    int cap;
    const float *d_threshold; /* [n]; +inf: nothing */
    int32_t *d_count;         /* [n]: how many there are; those past cap are not kept */
    int32_t *d_column;        /* [n][cap] */
    float *d_score;           /* [n][cap], or NULL: nobody wants them */
};

/* Of rows d_row[0 ... *d_n - 1] of x where d_row is given (out's arrays are by place in d_row). */
int product_collect(struct cuda *cuda, const struct rows *x, const int32_t *d_row,
                    const int32_t *d_n, const struct columns *c, const struct collected *out);

/*
 * The best score of each group of columns, 0 where none is above that: of each band, the BAND_COLS that a lane
 * of a quad has in a tile, and of each GROUP_COLS of these. NULL: not wanted; one of the two is.
 */
struct group_best {
    float *d_band; /* [n][tiles][4] */
    float *d_part; /* [n][tiles][4][BAND_PARTS]: see part_group */
};

static inline int64_t product_bands(int64_t tiles)
{
    return tiles * 4;
}

int product_groups(struct cuda *cuda, const struct rows *x, const struct columns *c,
                   const struct group_best *out);

#ifdef __CUDACC__
/*
 * A score passes a row's threshold where, as an integer, it is above this. fmaxf: -0 would be the lowest
 * of integers; where sums overflow a score is NaN, which as an integer is past infinity, and passes.
 */
__device__ static inline int collected_below(float threshold)
{
    return __float_as_int(fmaxf(threshold, 0.0f)) - 1;
}

/*
 * A row farther than this is far off: were it to count for the offset, the roundings of all scores would be as
 * large. Its scores say nothing then, and its margin is infinite. Where all columns are at the centre none is.
 */
__device__ static inline float product_far(const struct product_facts *f)
{
    return f->col_max > 0 ? 4096 * f->col_max : INFINITY;
}

/*
 * How much longer, past a half percent, fp16 makes a vector: its elements below 2^-14 are whole multiples of
 * 2^-24, so that d <= D_MAX = 2^16 of them gain 2^-25 sqrt(d) at most.
 */
static const float PRODUCT_GRAIN = 0x1p-17f;

/* The offset of all scores, which makes them non-negative, those of rows far off excepted. */
__device__ static inline float product_offset(const struct product_facts *f)
{
    float top = f->col_max + PRODUCT_GRAIN, row = f->row_max + PRODUCT_GRAIN;

    return 0.505f * top * top + 1.01f * top * row;
}

/* The group that part `part` of a row's band number `band` is. */
__device__ static inline int32_t part_group(int32_t band, int part)
{
    return band / 4 * 16 + part * 4 + band % 4;
}

/* The ith column of a group, i < GROUP_COLS; 2 i and 2 i + 1 are neighbours. */
__device__ static inline int64_t group_column(int32_t group, int i)
{
    int quad = group % 4, part = group / 4 % 4;

    return (int64_t)(group / 16) * TILE_COLS + 32 * part + 8 * (i / 2) + 2 * quad + i % 2;
}

/*
 * How far apart two scores of a row must be for the distances to be in the same order, as fp32.
 * Each score is off by what fp16 took off either side, by the tensor cores' sums (truncated to 23
 * bits, depth terms), by the sums of squares in it (32 terms in a row, then few) and by a few
 * roundings of the offset's size; a distance that decides is rounded to fp32. What squares lose that underflow
 * is less than the offset's grain. +inf (or NaN): scores do not count.
 */
__device__ static inline float product_margin(const struct product_facts *f, int depth,
                                              float length, float err)
{
    float top = f->col_max, reach = length + top;
    float fp16 = length * f->col_err + err * (top + f->col_err);
    float sums = (float)depth * 0x1p-22f * (length + err) * (top + f->col_err);
    float squares = (float)(depth / 8 + 16) * 0x1p-23f * reach * reach;
    float offset = 0x1p-20f * (top + PRODUCT_GRAIN) * (top + f->row_max + 2 * PRODUCT_GRAIN);

    if (length > f->row_max) return INFINITY;
    return 2.02f * (fp16 + sums + squares + offset) + 0x1p-23f * reach * reach + f->resolution;
}
#endif

#endif
