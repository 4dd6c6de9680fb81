/* What the two kernels of the product share: their task, and how blocks divide it. */
#ifndef IVF_PRODUCT_CUH
#define IVF_PRODUCT_CUH

#include "kernels/cuda/product.h"
#include "kernels/cuda/reduce.cuh"

struct task {
    const __half *d_x;    /* [.][depth] */
    const int32_t *d_row; /* [n]: rows of x; NULL: all in order */
    const int32_t *d_n;   /* where the host does not know n; NULL: n */
    int64_t n;
    const __half *d_image;
    const float *d_norm;
    int depth, tiles;
    int splits; /* 0: as many as keep the device busy */
};

enum { WAVES = 8 }; /* units a block at least, where there are enough: the last wave's idle share */

/*
 * A block's work, one after the other: TILE_ROWS rows and a part of the columns. Blocks that run
 * side by side take different rows of the same part, so that the columns come out of the L2.
 */
struct work {
    int64_t n, row_tiles, units;
    int splits, per; /* parts, and tiles of each: a multiple of TILE_STEP */

    __host__ __device__ static int choose_splits(int blocks, int64_t row_tiles, int tiles)
    {
        int64_t most = tiles / TILE_STEP < MAX_SPLITS ? tiles / TILE_STEP : MAX_SPLITS, want;

        if (row_tiles == 0 || row_tiles >= WAVES * blocks) return 1;
        want = (2 * WAVES * (int64_t)blocks + row_tiles - 1) / row_tiles;
        return (int)(want < most ? want : most > 1 ? most : 1);
    }

    __device__ __forceinline__ explicit work(const struct task &t)
    {
        n = t.d_n ? *t.d_n : t.n;
        row_tiles = (n + TILE_ROWS - 1) / TILE_ROWS;
        splits = t.splits ? t.splits : choose_splits((int)gridDim.x, row_tiles, t.tiles);
        per = ((t.tiles + splits - 1) / splits + TILE_STEP - 1) / TILE_STEP * TILE_STEP;
        units = row_tiles * splits;
    }

    __device__ __forceinline__ int64_t first_row(int64_t unit) const
    {
        return unit % row_tiles * TILE_ROWS;
    }

    __device__ __forceinline__ int split(int64_t unit) const
    {
        return (int)(unit / row_tiles);
    }

    __device__ __forceinline__ int first_tile(int64_t unit, int tiles) const
    {
        return min(split(unit) * per, tiles);
    }

    __device__ __forceinline__ int end_tile(int64_t unit, int tiles) const
    {
        return min((split(unit) + 1) * per, tiles);
    }
};

/* Where row `row` of the task begins; past the end, the last row, whose results nobody takes. */
__device__ __forceinline__ const __half *task_row(const struct task &t, const struct work &w,
                                                  int64_t row)
{
    int64_t at = min(row, w.n - 1);

    return t.d_x + (t.d_row ? t.d_row[at] : at) * t.depth;
}

/* The launchers; product_on_wgmma only for depth <= 128 and where cuda->wgmma. */
template <class Reduce>
int product_on_wgmma(struct cuda *cuda, const struct task &task, const Reduce &reduce);
template <class Reduce>
int product_on_mma(struct cuda *cuda, const struct task &task, const Reduce &reduce);

#endif
