/* What the two kernels of the scan share: their task, walking through units, products, what becomes of hits. */
#ifndef IVF_SCAN_CUH
#define IVF_SCAN_CUH

#include "kernels/cuda/mma.cuh"
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
    int parts = (int)((at.rows - 1) / PART_ROWS) + 1;
    int high = (int)((at.rows - 1) / (uint32_t)parts + 32) / 32 * 32;
    int per = ((at.pairs + tiles - 1) / tiles + 7) / 8 * 8;
    int part = (int)((i - at.unit) / tiles);
    int first = (int)((i - at.unit) % tiles) * per;
    uint32_t before = (uint32_t)part * (uint32_t)high; /* lists may have 2^32 rows */
    int rows = (int)min((uint32_t)high, at.rows - before);

    return {at.row + before, rows | min(per, at.pairs - first) << 16, at.pair + first, at.list};
}

/* Dimension where the eight begin that a lane of a quad (t) has of block b of 32: 16 of 64 at a time. */
__device__ __forceinline__ int lane_dim(int b, int t, int blocks)
{
    return (b | 1) < blocks ? b / 2 * 64 + 16 * t + b % 2 * 8 : 32 * b + 8 * t;
}

#endif
