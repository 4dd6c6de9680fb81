/*
 * What happens to a tile of scores in the registers that the product left it in. A warp has 16 rows
 * x TILE_COLS; acc[4 * j + 2 * r + i] of a thread is row (lane / 4 + 8 * r), column
 * (8 * j + 2 * (lane % 4) + i), after mma.m16n8k16 as after wgmma. Scores are non-negative floats,
 * compared as integers: Hopper has a maximum of three for those.
 *
 * Each reducer has begin (of a thread's rows, row + 8 r of n; set: 0 or 1), tile, and end. One that wants
 * shared_bytes for each warp (a multiple of 16) has start and finish besides, before and after all.
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

/* The best score of a thread's 8 columns of part g of the tile, in each of its rows; 0 where none is above that. */
__device__ __forceinline__ void part_tops(const float (&acc)[64], const float2 *norm, int g,
                                          int (&top)[2])
{
    top[0] = top[1] = 0;
#pragma unroll
    for (int j = 4 * g; j < 4 * g + 4; j++) {
        float2 two = norm[4 * j];

#pragma unroll
        for (int r = 0; r < 2; r++)
            top[r] =
                __vimax3_s32(top[r], tile_score(acc, two, j, r, 0), tile_score(acc, two, j, r, 1));
    }
}

/*
 * The best and the second best group of 8 columns: within a thread 4 neighbouring j. Which of the
 * tile's 4 groups it was takes the place of the score's two lowest bits.
 */
struct reduce_best_two {
    struct best_two out;

    static constexpr int shared_bytes = 0;

    struct state {
        int best[2], second[2], tile[2];
    };

    __device__ __forceinline__ void begin(state &s, int64_t, int64_t, int, char *) const
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
            int top[2];

            part_tops(acc, norm, g, top);
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
 * The best score of each group of columns, written: 4 bytes for BAND_COLS or GROUP_COLS of them, which
 * are all of one thread. BANDS, PARTS: which are wanted.
 */
template <bool BANDS, bool PARTS> struct reduce_groups {
    struct group_best out;
    int64_t bands; /* of a row */

    static constexpr int shared_bytes = 0;

    struct state {
        int64_t first[2]; /* the row's first band that is the lane's; -1: there is no such row */
    };

    __device__ __forceinline__ void begin(state &s, int64_t row, int64_t n, int, char *) const
    {
        for (int r = 0; r < 2; r++)
            s.first[r] = row + 8 * r < n ? (row + 8 * r) * bands + threadIdx.x % 4 : -1;
    }

    __device__ __forceinline__ void tile(state &s, const float (&acc)[64], const float2 *norm,
                                         int tile) const
    {
        constexpr int TOPS = PARTS ? BAND_PARTS : 1;
        int top[2][TOPS] = {};

#pragma unroll
        for (int j = 0; j < 16; j++) {
            float2 two = norm[4 * j];

#pragma unroll
            for (int r = 0; r < 2; r++)
                top[r][j * TOPS / 16] =
                    __vimax3_s32(top[r][j * TOPS / 16], tile_score(acc, two, j, r, 0),
                                 tile_score(acc, two, j, r, 1));
        }
#pragma unroll
        for (int r = 0; r < 2; r++) {
            int64_t at = s.first[r] + tile * 4;

            if (s.first[r] < 0) continue;
            if constexpr (PARTS) {
                ((int4 *)out.d_part)[at] = make_int4(top[r][0], top[r][1], top[r][2], top[r][3]);
                top[r][0] = max(__vimax3_s32(top[r][0], top[r][1], top[r][2]), top[r][3]);
            }
            if constexpr (BANDS) ((int *)out.d_band)[at] = top[r][0];
        }
    }

    __device__ __forceinline__ void end(state &, int64_t, int64_t, int) const
    {
    }
};

/*
 * The columns at or above each row's threshold. While a product waits for its registers nothing may
 * wait for memory, nor is each element looked at: a lane's 8 scores in a row and a quarter of the
 * tile are a unit, and those that have a hit go into the warp's queue as they are. When there are
 * 32, each lane picks the hits of one. Hits go to the rows' rooms between a block's parts of the
 * work, where all wait anyway, or when there are too many: 128 of them travel at once. A unit is
 * known by 32 bits, in which there is room for 2^30 columns.
 */
struct reduce_collect {
    struct collected out;
    int64_t n_columns;

    enum { UNITS = 32, HITS = 200, IN_FLIGHT = 4 };

    /* Of a warp. Hits are picked already, units are not. */
    struct queue {
        float4 score[UNITS][2];
        uint32_t unit[UNITS]; /* tile << 9 | quarter << 7 | set << 6 | r << 5 | lane */
        int below[32];        /* of a row in the warp: the largest score that does not pass */
        int32_t row_of[32];   /* and its number */
        int32_t row[HITS], column[HITS];
        float hit_score[HITS];
        int units, hits;
        int unused[2]; /* whole 16 bytes */
    };
    static constexpr int shared_bytes = sizeof(struct queue);

    struct state {
        struct queue *queue;
        int set, below[2];
    };

    __device__ __forceinline__ void begin(state &s, int64_t row, int64_t n, int set,
                                          char *room) const
    {
        s.queue = (struct queue *)room;
        s.set = set;
        for (int r = 0; r < 2; r++) {
            float threshold = row + 8 * r < n ? out.d_threshold[row + 8 * r] : 0;
            int in_warp = 16 * set + 8 * r + (int)(threadIdx.x % 32 / 4);

            /* INT_MAX: nothing passes of a row not there */
            s.below[r] = row + 8 * r < n ? collected_below(threshold) : INT_MAX;
            if (threadIdx.x % 4) continue;
            s.queue->below[in_warp] = s.below[r];
            s.queue->row_of[in_warp] = (int32_t)(row + 8 * r);
        }
    }

    /* The column of a unit's e-th score. */
    __device__ __forceinline__ static int64_t unit_column(uint32_t unit, int e)
    {
        return (int64_t)(unit >> 9) * TILE_COLS + (unit >> 7 & 3) * 32 + unit % 4 * 2 +
               8 * (e / 2) + e % 2;
    }

    /* By the whole warp: each hit to a place in its row's room. */
    __device__ __forceinline__ void flush(struct queue *q, int hits) const
    {
        __syncwarp();
        for (int first = (int)(threadIdx.x % 32); first < hits; first += 32 * IN_FLIGHT) {
            int place[IN_FLIGHT];

#pragma unroll
            for (int i = 0; i < IN_FLIGHT; i++)
                if (first + 32 * i < hits)
                    place[i] = atomicAdd(out.d_count + q->row[first + 32 * i], 1);
#pragma unroll
            for (int i = 0; i < IN_FLIGHT; i++) {
                int at = first + 32 * i;

                if (at >= hits || place[i] >= out.cap) continue;
                int64_t to = (int64_t)q->row[at] * out.cap + place[i];

                out.d_column[to] = q->column[at];
                if (out.d_score) out.d_score[to] = q->hit_score[at];
            }
        }
        __syncwarp(); /* all is read before it is overwritten */
    }

    /* Which scores of a unit pass and are no padding's: a bit each. */
    __device__ __forceinline__ uint32_t find_hits(const struct queue *q, int at) const
    {
        const float *score = (const float *)q->score[at];
        uint32_t unit = q->unit[at], hits = 0;
        int below = q->below[unit >> 2 & 31];

#pragma unroll
        for (int e = 0; e < GROUP_COLS; e++)
            if (__float_as_int(score[e]) > below && unit_column(unit, e) < n_columns)
                hits |= 1u << e;
        return hits;
    }

    /* By the whole warp: the hits of all units in the queue; returns how many hits there are. */
    __device__ __forceinline__ int pick(struct queue *q, int units, int hits) const
    {
        int lane = (int)(threadIdx.x % 32);
        unsigned before = (1u << lane) - 1, lanes;

        __syncwarp();
        uint32_t left = lane < units ? find_hits(q, lane) : 0;

        for (; (lanes = __ballot_sync(0xffffffffu, left)); left &= left - 1) {
            if (hits + __popc(lanes) > HITS) {
                flush(q, hits);
                hits = 0;
            }
            if (left) {
                int e = __ffs((int)left) - 1, at = hits + __popc(lanes & before);
                uint32_t unit = q->unit[lane];

                q->row[at] = q->row_of[unit >> 2 & 31];
                q->column[at] = (int32_t)unit_column(unit, e);
                q->hit_score[at] = ((const float *)q->score[lane])[e];
            }
            hits += __popc(lanes);
        }
        __syncwarp();
        return hits;
    }

    /* hot: bit 2 g + r where unit (g, r) has a hit; cleared where it finds room in the queue. */
    __device__ __forceinline__ void append(const state &s, const float (&acc)[64],
                                           const float2 *norm, int tile, uint32_t &hot,
                                           int &units) const
    {
        unsigned lane = threadIdx.x % 32, before = (1u << lane) - 1;

#pragma unroll
        for (int u = 0; u < 8; u++) {
            int g = u / 2, r = u % 2;
            unsigned lanes = __ballot_sync(0xffffffffu, hot >> u & 1);

            if (!lanes || units + __popc(lanes) > UNITS) continue;
            if (hot >> u & 1) {
                int at = units + __popc(lanes & before);

#pragma unroll
                for (int half = 0; half < 2; half++) {
                    int j = 4 * g + 2 * half;
                    float2 a = norm[4 * j], b = norm[4 * j + 4];
                    const float *x = acc + 4 * j + 2 * r;

                    s.queue->score[at][half] =
                        make_float4(x[0] + a.x, x[1] + a.y, x[4] + b.x, x[5] + b.y);
                }
                s.queue->unit[at] = (uint32_t)tile << 9 | g << 7 | s.set << 6 | r << 5 | lane;
            }
            hot &= ~(1u << u);
            units += __popc(lanes);
        }
    }

    __device__ __forceinline__ void tile(state &s, const float (&acc)[64], const float2 *norm,
                                         int tile) const
    {
        uint32_t hot = 0;

#pragma unroll
        for (int g = 0; g < 4; g++) {
            int top[2];

            part_tops(acc, norm, g, top);
#pragma unroll
            for (int r = 0; r < 2; r++)
                hot |= top[r] > s.below[r] ? 1u << (2 * g + r) : 0;
        }
        if (!__any_sync(0xffffffffu, hot)) return;
        int units = s.queue->units, hits = s.queue->hits;

        for (;;) {
            append(s, acc, norm, tile, hot, units);
            if (!__any_sync(0xffffffffu, hot)) break;
            hits = pick(s.queue, units, hits);
            units = 0;
        }
        keep(s.queue, units, hits);
    }

    /* What the queue holds, once all lanes have read what it held. */
    __device__ __forceinline__ static void keep(struct queue *q, int units, int hits)
    {
        __syncwarp();
        if (threadIdx.x % 32 == 0) {
            q->units = units;
            q->hits = hits;
        }
        __syncwarp();
    }

    /* Units go by the rows that the warp has now; hits may wait as long as there is room for what
       the next work is likely to bring. */
    __device__ __forceinline__ void end(state &s, int64_t, int64_t, int) const
    {
        int units = s.queue->units, hits = s.queue->hits;

        if (!units && hits <= HITS / 4) return;
        hits = pick(s.queue, units, hits);
        if (hits > HITS / 4) {
            flush(s.queue, hits);
            hits = 0;
        }
        keep(s.queue, 0, hits);
    }

    __device__ __forceinline__ static void start(char *room)
    {
        keep((struct queue *)room, 0, 0);
    }

    __device__ __forceinline__ void finish(char *room) const
    {
        struct queue *q = (struct queue *)room;

        flush(q, q->hits);
    }
};

#endif
