/* What the two kernels of the scan share: their task, walking through units, products, what becomes of hits. */
#ifndef IVF_SCAN_CUH
#define IVF_SCAN_CUH

#include "kernels/cuda/operand.cuh"
#include "kernels/cuda/scan.h"

struct scan_task {
    struct stored lists;
    int depth, pitch;
    const __half *d_x; /* [n][depth]: queries, packed */
    const float *centre;
    const struct product_facts *space;
    const float *half;
    const __half *books;
    const int32_t *slice;
    const struct visit *visit;
    const struct pair *pair;
    const struct visits_total *total;
    struct candidates c;
};

/* A chunk times a tile. */
struct unit {
    uint32_t row; /* the chunk's first */
    int counts;   /* rows | queries << 16; 0: there are no more */
    int32_t pair; /* the tile's first */
    int32_t list;
};

__device__ __forceinline__ int unit_rows(int counts)
{
    return counts & 0xffff;
}

__device__ __forceinline__ int unit_queries(int counts)
{
    return counts >> 16;
}

/* A block's share of the units, one after the other. Only one thread asks. */
struct units {
    const struct visit *visit;
    struct visit at, after;
    int64_t next, end;
    int left, i, tiles, chunk, tile; /* left: visits after the next one */

    /* The last visit that begins at or before `next`, by bisection. */
    __device__ void begin(const struct scan_task &t)
    {
        int64_t all = visits_units(t.total);
        int lo = 0, hi = visits_lists(t.total);

        visit = t.visit;
        next = all * blockIdx.x / gridDim.x;
        end = all * (blockIdx.x + 1) / gridDim.x;
        if (next >= end) return;
        left = hi;
        while (hi - lo > 1) {
            int mid = lo + (hi - lo) / 2;

            if (visit[mid].unit <= next)
                lo = mid;
            else
                hi = mid;
        }
        i = lo;
        enter(visit[i]);
        chunk = (int)((next - at.unit) / tiles);
        tile = (int)((next - at.unit) % tiles);
    }

    __device__ void enter(const struct visit &v)
    {
        at = v;
        tiles = (at.pairs + UNIT_QUERIES - 1) / UNIT_QUERIES;
        chunk = tile = 0;
        if (i + 1 < left) after = visit[i + 1]; /* well before it is needed */
    }

    __device__ struct unit take()
    {
        if (next >= end) return {0, 0, 0, 0};
        next++;
        if (tile == tiles) {
            tile = 0;
            chunk++;
        }
        if ((int64_t)chunk * UNIT_ROWS >= at.rows) {
            i++;
            enter(after);
        }
        /* tiles of like sizes, in whole groups of eight */
        int per = ((at.pairs + tiles - 1) / tiles + 7) / 8 * 8, first = tile * per;
        int queries = max(0, min(per, at.pairs - first));
        int rows = (int)min((int64_t)UNIT_ROWS, (int64_t)at.rows - (int64_t)chunk * UNIT_ROWS);

        tile++;
        return {at.row + (uint32_t)chunk * UNIT_ROWS, rows | queries << 16, at.pair + first,
                at.list};
    }
};

/* Dimension where the eight begin that a lane of a quad (t) has of block b of 32: 16 of 64 at a time. */
__device__ __forceinline__ int lane_dim(int b, int t, int blocks)
{
    return (b | 1) < blocks ? b / 2 * 64 + 16 * t + b % 2 * 8 : 32 * b + 8 * t;
}

/* acc[16 rows][8 queries] += a[16][16] * b[16][8] */
__device__ __forceinline__ void scan_mma(float (&acc)[4], const uint32_t (&a)[4], uint32_t b0,
                                         uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* A hit's key: e from how far it is past the limit. */
__device__ __forceinline__ uint64_t hit_key(const struct candidates &c, int query, float past,
                                            uint32_t row)
{
    return key_of(fmaxf(c.d_tau[query] - past, 0), row);
}

#endif
