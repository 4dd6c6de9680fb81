/*
 * Where the scan of up to 128 dimensions has its operands from: rows as they are stored, in a form that the
 * tensor cores take.
 */
#ifndef IVF_SCAN_SOURCE_CUH
#define IVF_SCAN_SOURCE_CUH

#include <cmath>

#include "kernels/cuda/scan.cuh"
#include "kernels/cuda/wgmma.cuh"

enum { WARPS = 16, THREADS = 32 * WARPS }; /* of a block of the scan */
enum { GROUP_ROWS = 32 };                  /* that a warp takes at once */

/* ---- asynchronous copies ---- */

/* 8 or 16 bytes. */
template <int BYTES> __device__ __forceinline__ void copy_async(void *to, const void *from)
{
    if constexpr (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)),
                     "l"(from)
                     : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(shared_address(to)), "l"(from)
                     : "memory");
}

/* ---- rows ---- */

/* A group of a unit's rows: those of a lane are lane / 4 + 8 i of it, i < 4. */
struct group {
    uint32_t row; /* its first */
    int rows;     /* of it, that are there: may be none, or past GROUP_ROWS */
    int32_t list;

    /* Where a lane's i-th row is, another one where that is not there. */
    __device__ __forceinline__ const uint8_t *at(const struct scan_task &t, int i) const
    {
        int in_group = min((int)threadIdx.x % 32 / 4 + 8 * i, rows - 1);

        return t.lists.rows + row * t.lists.stride + (uint32_t)in_group * (uint32_t)t.lists.stride;
    }

    __device__ __forceinline__ bool has(int i) const
    {
        return (int)threadIdx.x % 32 / 4 + 8 * i < rows;
    }
};

enum { LINE = 128 }; /* bytes that come together */

/* Lines `from` ... of a group's rows on their way to the L2: a lane a row. */
__device__ __forceinline__ void prefetch_lines(const struct scan_task &t, const struct group &g,
                                               int from, int end)
{
    int lane = (int)threadIdx.x % 32;
    const uint8_t *row = t.lists.rows + ((int64_t)g.row + lane) * t.lists.stride;

    for (int at = from * LINE; lane < g.rows && at < end * LINE && at < t.lists.stride; at += LINE)
        asm volatile("prefetch.global.L2 [%0];" ::"l"(row + at));
}

/* What is looked at first, the halves too. Where rows are long, all warps' rows would be more than the L2 holds. */
__device__ __forceinline__ void prefetch_rows(const struct scan_task &t, const struct group &g)
{
    prefetch_lines(t, g, 0, 1);
    if (t.half && threadIdx.x % 32 == 0)
        asm volatile("prefetch.global.L2 [%0];" ::"l"(t.half + g.row));
}

/* 16 bytes that no one else wants: not through the L1. */
__device__ __forceinline__ uint4 load_once(const void *p)
{
    uint4 x;

    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
                 : "l"(p));
    return x;
}

/* ---- operands ---- */

/*
 * Which 8 of 32 dimensions a lane of a quad (t) has, so that what its warp loads at once are whole sectors: 16 of 64,
 * in two blocks (lane_dim); 8 t ... 8 t + 7; or 4 t ... 4 t + 3 and 16 further.
 */
enum layout { PAIRED, PLAIN, SPLIT };

/* Where a piece of a query goes: the block, and the bytes before it of the 64 that a quad has of that. */
struct piece_place {
    int block, bytes;
};

/*
 * A warp's rows times queries in fp16. acc[i / 2][i % 2 * 2 + c] of a lane is its i-th row and the c-th of its
 * two queries of each eight.
 */
template <int BLOCKS, layout LAYOUT> struct half_operands {
    uint32_t a[2][2 * BLOCKS][4]; /* [set of 16 rows][step of 16 dimensions][register] */
    float half[4];                /* of each row */

    typedef float number;
    static constexpr float none = 0; /* what is noted of no hit */
    static constexpr int blocks = BLOCKS;
    static constexpr int piece_bytes = LAYOUT == SPLIT ? 8 : 16; /* of a query that lie together */

    /* Eight dimensions of row lane / 4 + 8 h of a set, as four pairs. */
    __device__ __forceinline__ void put(int set, int h, int b, const uint32_t (&two)[4])
    {
        a[set][2 * b][h] = two[0];
        a[set][2 * b][2 + h] = two[1];
        a[set][2 * b + 1][h] = two[2];
        a[set][2 * b + 1][2 + h] = two[3];
    }

    /* Where queries are, and where a piece of one goes: block of 32 dimensions, lane of a quad. */
    static __device__ __forceinline__ const void *query(const struct scan_task &t, int32_t query)
    {
        return t.d_x + (int64_t)query * (32 * BLOCKS);
    }

    static __device__ __forceinline__ struct piece_place place(int piece)
    {
        bool paired = LAYOUT == PAIRED && 2 * (piece / 8) + 1 < BLOCKS;

        if constexpr (LAYOUT == SPLIT) return {piece / 8, piece % 4 * 16 + piece % 8 / 4 * 8};
        return {paired ? piece / 8 * 2 + piece % 2 : piece / 4,
                16 * (paired ? piece % 8 / 2 : piece % 4)};
    }

    /* Eight queries: what lanes have of them lies at from[0 ... 32 BLOCKS - 1]. */
    __device__ __forceinline__ void multiply(const uint4 *from, float (&acc)[2][4]) const
    {
#pragma unroll
        for (int i = 0; i < 4; i++)
            acc[i / 2][i % 2 * 2] = acc[i / 2][i % 2 * 2 + 1] = -half[i];
#pragma unroll
        for (int b = 0; b < BLOCKS; b++) {
            uint4 q = from[b * 32];

            mma(acc[0], a[0][2 * b], q.x, q.y);
            mma(acc[1], a[1][2 * b], q.x, q.y);
            mma(acc[0], a[0][2 * b + 1], q.z, q.w);
            mma(acc[1], a[1][2 * b + 1], q.z, q.w);
        }
    }

    static __device__ __forceinline__ float limit(int32_t bits)
    {
        return __int_as_float(bits);
    }

    /* What is kept of a hit; and its query makes e of that. */
    __device__ __forceinline__ float noted(float sum, float limit, int) const
    {
        return sum - limit;
    }

    struct maker {
        float tau;

        __device__ __forceinline__ float e(float past) const
        {
            return fmaxf(tau - past, 0);
        }
    };

    static __device__ __forceinline__ struct maker maker_of(const struct scan_task &t,
                                                            int32_t query)
    {
        return {t.c.d_tau[query]};
    }

    /* e of row i, of a sample; near is in its limit's place. */
    __device__ __forceinline__ float sample_e(const struct scan_task &, float near, float sum,
                                              int) const
    {
        return fmaxf(near - sum, 0);
    }
};

/* half of a lane's rows. Past the last there is HALVES_PAD. */
__device__ __forceinline__ void fetch_halves(const struct scan_task &t, const struct group &g,
                                             float (&out)[4])
{
    const float *half = t.half + g.row + threadIdx.x % 32 / 4;

#pragma unroll
    for (int i = 0; i < 4; i++)
        out[i] = __ldg(half + 8 * i);
}

/* -half is what sums begin at, -inf where there is no row. */
template <int BLOCKS, layout LAYOUT>
__device__ __forceinline__ void load_halves(const struct scan_task &t, const struct group &g,
                                            half_operands<BLOCKS, LAYOUT> &x)
{
    fetch_halves(t, g, x.half);
#pragma unroll
    for (int i = 0; i < 4; i++)
        x.half[i] = g.has(i) ? x.half[i] : INFINITY;
}

/*
 * Where operands come from. bytes: of shared memory, and begin: once a block, before its threads meet. fetch: a
 * group's rows, or what of them waits in registers, on their way; load: the operands of what was fetched.
 */

/* u8 and i8, converted. */
template <enum elem E, int BLOCKS> struct source_bytes {
    typedef half_operands<BLOCKS, PAIRED> operands;
    static constexpr int bytes = 64 * BLOCKS;
    uint4 *centre; /* [4 * BLOCKS]: eight halves each, scaled */
    __half2 scale;

    __device__ void begin(const struct scan_task &t, char *shared)
    {
        __half *to = (__half *)shared;

        centre = (uint4 *)to;
        scale = __float2half2_rn(t.space->scale);
        for (int j = (int)threadIdx.x; j < 32 * BLOCKS; j += THREADS)
            to[j] = __float2half_rn(t.centre[j] * t.space->scale);
    }

    __device__ __forceinline__ void fetch(const struct scan_task &t, const struct group &g)
    {
        prefetch_rows(t, g);
    }

    /* What lies past a row is multiplied by zeros. */
    __device__ __forceinline__ void load(const struct scan_task &t, const struct group &g,
                                         operands &x)
    {
        load_halves(t, g, x);
#pragma unroll
        for (int b = 0; b < BLOCKS; b += 2) {
            int at = lane_dim(b, (int)threadIdx.x % 4, BLOCKS);
            uint4 mid[2] = {centre[at / 8]};

            if (b + 1 < BLOCKS) mid[1] = centre[at / 8 + 1];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const uint8_t *from = g.at(t, i) + at;
                eight<E> raw;
                uint32_t two[4];

                if (b + 1 == BLOCKS) { /* eight bytes are all there is */
                    raw = load_eight<E>(from);
                    operand_bytes<E>(raw, mid[0], scale, two);
                    x.put(i / 2, i % 2, b, two);
                    continue;
                }
                uint4 both = load_once(from);

                raw.v = make_uint2(both.x, both.y);
                operand_bytes<E>(raw, mid[0], scale, two);
                x.put(i / 2, i % 2, b, two);
                raw.v = make_uint2(both.z, both.w);
                operand_bytes<E>(raw, mid[1], scale, two);
                x.put(i / 2, i % 2, b + 1, two);
            }
        }
    }
};

/* f32 and f16: as they are needed. */
template <enum elem E, int BLOCKS> struct source_floats {
    static constexpr enum layout layout = E == ELEM_F32 ? SPLIT : PLAIN;
    typedef half_operands<BLOCKS, layout> operands;
    static constexpr int bytes = 32 * BLOCKS * 4;
    float *centre; /* [32 BLOCKS]: a lane's 8 of each block together */
    float scale;

    /* The dimension that is the j-th of all lanes. */
    static __device__ __forceinline__ int split_dim(int j)
    {
        return j / 32 * 32 + j % 8 / 4 * 16 + j % 32 / 8 * 4 + j % 4;
    }

    __device__ void begin(const struct scan_task &t, char *shared)
    {
        centre = (float *)shared;
        scale = t.space->scale;
        for (int j = (int)threadIdx.x; j < 32 * BLOCKS; j += THREADS)
            centre[j] = t.centre[layout == SPLIT ? split_dim(j) : j];
    }

    __device__ __forceinline__ void fetch(const struct scan_task &t, const struct group &g)
    {
        prefetch_rows(t, g);
    }

    /* Block b of the lane's rows. */
    static __device__ __forceinline__ void ask(const struct scan_task &t, const struct group &g,
                                               int b, eight<E> (&raw)[4])
    {
        int quad = (int)threadIdx.x % 4;

#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint4 *from =
                (const uint4 *)(g.at(t, i) + 32 * b * (E == ELEM_F32 ? 4 : 2)) + quad;
            uint4 *to = (uint4 *)(raw + i);

            to[0] = load_once(from);
            if constexpr (layout == SPLIT) to[1] = load_once(from + 4);
        }
    }

    /* A block's loads are on their way while the one before is converted. */
    __device__ __forceinline__ void load(const struct scan_task &t, const struct group &g,
                                         operands &x)
    {
        eight<E> raw[2][4];

        prefetch_lines(t, g, 1, 4);
        ask(t, g, 0, raw[0]);
        load_halves(t, g, x);
#pragma unroll
        for (int b = 0; b < BLOCKS; b++) {
            const float2 *mid = (const float2 *)(centre + 32 * b + (int)threadIdx.x % 4 * 8);

            if (b + 1 < BLOCKS) ask(t, g, b + 1, raw[(b + 1) % 2]);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                uint32_t two[4];

                operand_floats(raw[b % 2][i], mid, scale, two);
                x.put(i / 2, i % 2, b, two);
            }
        }
    }
};

#endif
