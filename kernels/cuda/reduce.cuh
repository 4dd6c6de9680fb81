/*
 * What happens to a tile of scores in the registers that the product left it in. A warp has 16 rows
 * x TILE_COLS; acc[4 * j + 2 * r + i] of a thread is row (lane / 4 + 8 * r), column
 * (8 * j + 2 * (lane % 4) + i), after mma.m16n8k16 as after wgmma. Scores are non-negative floats,
 * compared as integers: Hopper has a maximum of three for those.
 *
 * Each reducer has begin (of a thread's rows, row + 8 r of n), tile, and end.
 */
#ifndef IVF_REDUCE_CUH
#define IVF_REDUCE_CUH

#include <climits>

#include "kernels/cuda/product.h"

/* The score, as an integer, of element (j, r, i). */
__device__ __forceinline__ int tile_score(const float (&acc)[64], float2 norm, int j, int r, int i)
{
    return __float_as_int(acc[4 * j + 2 * r + i] + (i ? norm.y : norm.x));
}

/*
 * The best and the second best group of 8 columns: within a thread 4 neighbouring j. Which of the
 * tile's 4 groups it was takes the place of the score's two lowest bits.
 */
struct reduce_best_two {
    struct best_two out;

    struct state {
        int best[2], second[2], tile[2];
    };

    __device__ __forceinline__ void begin(state &s, int64_t, int64_t) const
    {
        for (int r = 0; r < 2; r++)
            s.best[r] = s.second[r] = s.tile[r] = 0;
    }

    __device__ __forceinline__ void tile(state &s, const float (&acc)[64], const float2 *norm,
                                         int tile) const
    {
        int before[2] = {s.best[0], s.best[1]};

#pragma unroll
        for (int g = 0; g < 4; g++) {
            int top[2] = {0, 0};

#pragma unroll
            for (int j = 4 * g; j < 4 * g + 4; j++) {
                float2 two = norm[4 * j];

#pragma unroll
                for (int r = 0; r < 2; r++)
                    top[r] = __vimax3_s32(top[r], tile_score(acc, two, j, r, 0),
                                          tile_score(acc, two, j, r, 1));
            }
#pragma unroll
            for (int r = 0; r < 2; r++) {
                top[r] = (top[r] & ~3) | g;
                s.second[r] = max(s.second[r], min(s.best[r], top[r]));
                s.best[r] = max(s.best[r], top[r]);
            }
        }
#pragma unroll
        for (int r = 0; r < 2; r++)
            s.tile[r] = s.best[r] != before[r] ? tile : s.tile[r];
    }

    /* The four lanes of a row come together. */
    __device__ __forceinline__ void end(state &s, int64_t row, int64_t n, int split) const
    {
        int lane = (int)(threadIdx.x % 32);

#pragma unroll
        for (int r = 0; r < 2; r++) {
            int best = s.best[r], second = s.second[r];
            int group = s.tile[r] * 16 + (best & 3) * 4 + lane % 4;

#pragma unroll
            for (int lanes = 1; lanes < 4; lanes *= 2) {
                int best2 = __shfl_xor_sync(0xffffffffu, best, lanes);
                int second2 = __shfl_xor_sync(0xffffffffu, second, lanes);
                int group2 = __shfl_xor_sync(0xffffffffu, group, lanes);

                second = max(max(second, second2), min(best, best2));
                if (best2 > best || (best2 == best && group2 < group)) {
                    best = best2;
                    group = group2;
                }
            }
            if (lane % 4 == 0 && row + 8 * r < n) {
                int64_t at = split * n + row + 8 * r;

                out.d_best[at] = __int_as_float(best);
                out.d_second[at] = __int_as_float(second);
                out.d_group[at] = group;
            }
        }
    }
};

/*
 * The best score of each group of columns, written: 4 bytes for 8 or 32 columns, of which a thread has
 * those of its lane in the quad.
 */
template <int PARTS> struct reduce_groups {
    float *best;
    int64_t groups; /* of a row */

    struct state {
        float *out[2]; /* NULL: there is no such row */
    };

    __device__ __forceinline__ void begin(state &s, int64_t row, int64_t n) const
    {
        for (int r = 0; r < 2; r++)
            s.out[r] =
                row + 8 * r < n ? best + (row + 8 * r) * groups + threadIdx.x % 4 * PARTS : NULL;
    }

    __device__ __forceinline__ void tile(state &s, const float (&acc)[64], const float2 *norm,
                                         int tile) const
    {
        int top[2][PARTS] = {};

#pragma unroll
        for (int j = 0; j < 16; j++) {
            float2 two = norm[4 * j];

#pragma unroll
            for (int r = 0; r < 2; r++)
                top[r][j * PARTS / 16] =
                    __vimax3_s32(top[r][j * PARTS / 16], tile_score(acc, two, j, r, 0),
                                 tile_score(acc, two, j, r, 1));
        }
#pragma unroll
        for (int r = 0; r < 2; r++) {
            if (!s.out[r]) continue;
            if constexpr (PARTS == 4)
                *(int4 *)(s.out[r] + tile * 4 * PARTS) =
                    make_int4(top[r][0], top[r][1], top[r][2], top[r][3]);
            else
                *(int *)(s.out[r] + tile * 4 * PARTS) = top[r][0];
        }
    }

    __device__ __forceinline__ void end(state &, int64_t, int64_t, int) const
    {
    }
};

/* The columns at or above each row's threshold. Few tiles have any; those are gone through. */
struct reduce_collect {
    struct collected out;
    int64_t n_columns;

    struct state {
        int below
            [2]; /* the largest score that does not pass; none does of a row that is not there */
        int64_t row;
    };

    __device__ __forceinline__ void begin(state &s, int64_t row, int64_t n) const
    {
        s.row = row;
        for (int r = 0; r < 2; r++) {
            float threshold = row + 8 * r < n ? out.d_threshold[row + 8 * r] : 0;

            /* fmaxf: -0 would be the lowest of integers; where sums overflow a score is NaN, which
               as an integer is past infinity, and passes */
            s.below[r] = row + 8 * r < n ? __float_as_int(fmaxf(threshold, 0.0f)) - 1 : INT_MAX;
        }
    }

    /* hits: bit 2 j + i for the column of (j, i). */
    __device__ __forceinline__ void append(const state &s, int r, uint32_t hits, int tile) const
    {
        int64_t row = s.row + 8 * r;

        for (; hits; hits &= hits - 1) {
            int bit = __ffs((int)hits) - 1;
            int64_t column =
                (int64_t)tile * TILE_COLS + 8 * (bit / 2) + 2 * (threadIdx.x % 4) + bit % 2;
            int at;

            if (column >= n_columns) return;
            at = atomicAdd(out.d_count + row, 1);
            if (at < out.cap) out.d_column[row * out.cap + at] = (int32_t)column;
        }
    }

    __device__ __forceinline__ void tile(state &s, const float (&acc)[64], const float2 *norm,
                                         int tile) const
    {
        int top[2] = {0, 0};

#pragma unroll
        for (int j = 0; j < 16; j++) {
            float2 two = norm[4 * j];

#pragma unroll
            for (int r = 0; r < 2; r++)
                top[r] = __vimax3_s32(top[r], tile_score(acc, two, j, r, 0),
                                      tile_score(acc, two, j, r, 1));
        }
        if (top[0] <= s.below[0] && top[1] <= s.below[1]) return;
#pragma unroll
        for (int r = 0; r < 2; r++) {
            uint32_t hits = 0;

#pragma unroll
            for (int e = 0; e < 32; e++)
                if (tile_score(acc, norm[4 * (e / 2)], e / 2, r, e % 2) > s.below[r])
                    hits |= 1u << e;
            append(s, r, hits, tile);
        }
    }

    __device__ __forceinline__ void end(state &, int64_t, int64_t, int) const
    {
    }
};

#endif
