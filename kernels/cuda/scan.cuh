/* What the two kernels of the scan share: their task, walking through units, products, what becomes of hits. */
#ifndef IVF_SCAN_CUH
#define IVF_SCAN_CUH

#include "kernels/cuda/operand.cuh"
#include "kernels/cuda/scan.h"

struct scan_task {
    struct stored lists;
    int depth, pitch;
    int tile, stages, whole_stages; /* queries of a unit at most; units that a block has at once */
    const __half *d_x;              /* [n][depth]: queries, packed */
    struct whole whole;
    const float *centre;
    const struct product_facts *space;
    const float *half;
    const __half *books;
    const int32_t *slice;
    const struct visit *visit;
    const struct pair *pair;
    struct visits_total *total;
    struct candidates c;
    /* Instead of visits' units: those given, of one query each; all e are written, not what is past a limit. */
    const struct unit *given;
    int64_t n_given;
    float *sample; /* [n_given][UNIT_ROWS] */
};

__device__ __forceinline__ int unit_rows(int counts)
{
    return counts & 0xffff;
}

__device__ __forceinline__ int unit_queries(int counts)
{
    return counts >> 16;
}

/* Unit number i of all: as given, or of the visit that it falls into, 32 of which are looked at at once. By a warp. */
__device__ __forceinline__ struct unit unit_at(const struct scan_task &t, int64_t i)
{
    int lo = 0, hi, lane = (int)threadIdx.x % 32;

    if (t.given) return t.given[i];
    hi = visits_lists(t.total);
    while (hi - lo > 1) { /* the last visit that begins at or before it */
        int step = (hi - lo + 31) / 32, at = lo + lane * step;
        unsigned before = __ballot_sync(0xffffffffu, at < hi && t.visit[at].unit <= i);

        lo += (__popc(before) - 1) * step;
        hi = min(hi, lo + step);
    }
    struct visit at = t.visit[lo];
    int tiles = (at.pairs + t.tile - 1) / t.tile;
    /* parts and tiles of like sizes, in whole groups of 32 and of eight */
    int parts = (int)((at.rows + PART_ROWS - 1) / PART_ROWS);
    int high = (int)((at.rows + parts - 1) / parts + 31) / 32 * 32;
    int per = ((at.pairs + tiles - 1) / tiles + 7) / 8 * 8;
    int part = (int)((i - at.unit) / tiles);
    int first = (int)((i - at.unit) % tiles) * per;
    int rows = min(high, (int)(at.rows - (uint32_t)part * high));

    return {at.row + (uint32_t)part * high, rows | min(per, at.pairs - first) << 16,
            at.pair + first, at.list};
}

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

#endif
