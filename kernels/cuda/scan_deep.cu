/*
 * The scan where a row's operands do not fit into registers: 32 dimensions at a time, with the sums of 32
 * queries kept. Rows are read and decoded again for each 32 queries that visit them, out of the caches;
 * so are the queries. No asynchronous copies and no queue of hits: this is the general form, not the
 * fast one.
 */
#include "kernels/cuda/scan_deep.h"

#include <cmath>

#include "kernels/cuda/keys.cuh"
#include "kernels/cuda/scan.cuh"

enum { THREADS = UNIT_ROWS, WARPS = THREADS / 32 };
enum { TILES = 4, QUERIES = 8 * TILES }; /* at once */

/* Eight dimensions of a row from `at` on, as four pairs. */
template <enum elem E> struct deep_rows {
    static constexpr bool codes = false;

    static __device__ __forceinline__ void load(const struct scan_task &t, const uint8_t *row,
                                                int at, uint32_t (&two)[4])
    {
        if (at < t.lists.d)
            operand_at<E>(row, at, t.centre, t.space->scale, two);
        else /* the next row's, multiplied by zeros: but it might be infinite */
            two[0] = two[1] = two[2] = two[3] = 0;
    }
};

struct deep_codes {
    static constexpr bool codes = true;

    static __device__ __forceinline__ void load(const struct scan_task &t, const uint8_t *code,
                                                int at, uint32_t (&two)[4])
    {
        uint16_t *halves = (uint16_t *)two;

#pragma unroll
        for (int j = 0; j < 8; j++)
            halves[j] = *(const uint16_t *)(t.books + code[t.slice[at + j]] * t.pitch + at + j);
    }
};

/* half of four rows, taken from codes: as recompute_halves of scan_codes.cuh, a block of dimensions at a time. */
template <class Source>
__device__ static void recompute_halves(const struct scan_task &t, int32_t list,
                                        const uint8_t *const (&row)[4], float (&half)[4])
{
    const float *c = t.lists.coarse + (int64_t)list * t.lists.d;
    float scale = t.space->scale;

    for (int i = 0; i < 4; i++)
        half[i] = 0;
    for (int at = 8 * (int)(threadIdx.x % 4); at < t.depth; at += 32)
        for (int i = 0; i < 4; i++) {
            uint32_t two[4];

            Source::load(t, row[i], at, two);
            for (int j = 0; j < 8 && at + j < t.lists.d; j++) {
                float y = __half2float(((const __half *)two)[j]);
                float mid = (c[at + j] - t.centre[at + j]) * scale;

                half[i] = fmaf(y, fmaf(0.5f, y, mid), half[i]);
            }
        }
    for (int i = 0; i < 4; i++) {
        half[i] += __shfl_xor_sync(0xffffffffu, half[i], 1);
        half[i] += __shfl_xor_sync(0xffffffffu, half[i], 2);
    }
}

/* What 32 queries have of a warp's 32 rows. */
__device__ static void add_hits(const struct scan_task &t, const struct unit &u, int first_row,
                                const struct pair *pairs, int queries,
                                const float (&acc)[2][TILES][4])
{
    for (int tile = 0; tile < TILES; tile++)
        for (int c = 0; c < 2; c++) {
            int slot = 8 * tile + (int)(threadIdx.x % 4) * 2 + c;
            struct pair pair = slot < queries ? pairs[slot] : (struct pair){0, NOTHING};

            for (int i = 0; i < 4; i++) {
                float past = acc[i / 2][tile][i % 2 * 2 + c] - __int_as_float(pair.limit);
                int place;

                if (t.sample && slot < queries)
                    t.sample[(int64_t)u.pair * UNIT_ROWS + first_row + 8 * i] = fmaxf(-past, 0);
                if (t.sample || !(past > 0)) continue;
                place = atomicAdd(t.c.d_count + pair.query, 1);
                if ((uint32_t)place < (uint32_t)t.c.cap)
                    t.c.d_found[(int64_t)pair.query * t.c.cap + place] =
                        key_of(fmaxf(t.c.d_tau[pair.query] - past, 0), u.row + first_row + 8 * i);
            }
        }
}

template <class Source>
__device__ static void scan_unit(const struct scan_task &t, const struct unit &u)
{
    int first = (int)threadIdx.x / 32 * 32 + (int)threadIdx.x % 32 / 4, quad = (int)threadIdx.x % 4;
    int rows = unit_rows(u.counts);
    const uint8_t *row[4];
    float half[4];

    if ((int)threadIdx.x / 32 * 32 >= rows) {
        for (int i = 0; i < 4 && t.sample; i++)
            t.sample[(int64_t)u.pair * UNIT_ROWS + first + 8 * i] = INFINITY;
        return;
    }
    for (int i = 0; i < 4; i++)
        row[i] = t.lists.rows + ((int64_t)u.row + min(first + 8 * i, rows - 1)) * t.lists.stride;
    if (!t.half) recompute_halves<Source>(t, u.list, row, half);
    for (int i = 0; i < 4; i++)
        if (t.half || first + 8 * i >= rows)
            half[i] = first + 8 * i < rows ? t.half[u.row + first + 8 * i] : INFINITY;

    for (int at = 0; at < unit_queries(u.counts); at += QUERIES) {
        const struct pair *pairs = t.pair + u.pair + at;
        int queries = min(QUERIES, unit_queries(u.counts) - at);
        const __half *x[TILES];
        float acc[2][TILES][4];

#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
            int slot = min(8 * tile + (int)threadIdx.x % 32 / 4, queries - 1);

            x[tile] = t.d_x + (int64_t)pairs[slot].query * t.depth;
#pragma unroll
            for (int i = 0; i < 8; i++)
                acc[i / 4][tile][i % 4] = -half[i / 2];
        }
        for (int j = 8 * quad; j < t.depth; j += 32) {
            uint32_t a[2][2][4];

#pragma unroll
            for (int i = 0; i < 4; i++) {
                uint32_t two[4];

                Source::load(t, row[i], j, two);
                a[i / 2][0][i % 2] = two[0];
                a[i / 2][0][2 + i % 2] = two[1];
                a[i / 2][1][i % 2] = two[2];
                a[i / 2][1][2 + i % 2] = two[3];
            }
#pragma unroll
            for (int tile = 0; tile < TILES; tile++) {
                uint4 q = __ldg((const uint4 *)(x[tile] + j));

#pragma unroll
                for (int set = 0; set < 2; set++) {
                    mma(acc[set][tile], a[set][0], q.x, q.y);
                    mma(acc[set][tile], a[set][1], q.z, q.w);
                }
            }
        }
        add_hits(t, u, first, pairs, queries, acc);
        __syncwarp();
    }
}

/* A block's share of all units: they follow each other, so that consecutive ones are often of one part. */
struct share {
    int64_t first, end;
};

__device__ __forceinline__ struct share share_of(const struct scan_task &t)
{
    int64_t all = t.given ? t.n_given : visits_units(t.total);

    return {all * blockIdx.x / gridDim.x, all * (blockIdx.x + 1) / gridDim.x};
}

/* UNIT_ROWS at a time, and once where there are none: samples say so. */
template <class Source>
__global__ static void __launch_bounds__(THREADS)
    scan_units_deep(__grid_constant__ const struct scan_task t)
{
    __shared__ struct unit unit[2];
    struct share share = share_of(t);

    for (int64_t i = share.first; i < share.end; i++) {
        struct unit *u = unit + i % 2;
        int rows, at = 0;

        if (threadIdx.x < 32) *u = unit_at(t, i);
        __syncthreads(); /* the other one is still in use by those behind */
        rows = unit_rows(u->counts);
        do
            scan_unit<Source>(t, {u->row + (uint32_t)at,
                                  min(UNIT_ROWS, rows - at) | unit_queries(u->counts) << 16,
                                  u->pair, u->list});
        while ((at += UNIT_ROWS) < rows);
    }
}

template <class Source> static int launch(struct cuda *cuda, const struct scan_task &t)
{
    scan_units_deep<Source><<<2 * cuda->sms, THREADS, 0, cuda->stream>>>(t);
    return cuda_launched(cuda, "scan_units_deep");
}

int scan_deep(struct cuda *cuda, const struct scan_task &t)
{
    if (t.lists.m) return launch<deep_codes>(cuda, t);
    switch (t.lists.storage) {
    case ELEM_F32:
        return launch<deep_rows<ELEM_F32>>(cuda, t);
    case ELEM_F16:
        return launch<deep_rows<ELEM_F16>>(cuda, t);
    case ELEM_U8:
        return launch<deep_rows<ELEM_U8>>(cuda, t);
    default:
        return launch<deep_rows<ELEM_I8>>(cuda, t);
    }
}
