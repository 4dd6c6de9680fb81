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

/* half of a lane's rows: -half is what sums begin at, -inf where there is no row. Past the last there is HALVES_PAD. */
template <int BLOCKS, layout LAYOUT>
__device__ __forceinline__ void load_halves(const struct scan_task &t, const struct group &g,
                                            half_operands<BLOCKS, LAYOUT> &x)
{
    const float *half = t.half + g.row + threadIdx.x % 32 / 4;

    if (!t.half) return; /* they are made up of codes */
#pragma unroll
    for (int i = 0; i < 4; i++)
        x.half[i] = __ldg(half + 8 * i);
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

/*
 * Codes. The codebooks lie code by code, a code's codewords one after the other in fp16; what a lane looks up
 * at once is PIECE dimensions of one codeword. Where these are 4, lanes of neighbouring rows look them up in
 * another order each (the order ^ row % 4), so that the 16 lanes that are served at once hit all
 * banks once. WORDS: dsub is 4, so that four codes are four pieces.
 */
template <int PIECE, bool WORDS, int BLOCKS> struct source_codes {
    typedef half_operands<BLOCKS, PAIRED> operands;
    static constexpr int pitch = (BLOCKS + 1) / 2 * 64; /* books_pitch: 64 or 128 */
    static constexpr int book_bytes = KSUB * pitch * 2;
    static constexpr int bytes = book_bytes + 32 * BLOCKS * 2;
    const __half *books;
    uint16_t *slice; /* [32 * BLOCKS]: the sub-quantizer of each dimension */

    __device__ void begin(const struct scan_task &t, char *shared)
    {
        books = (const __half *)shared;
        slice = (uint16_t *)(shared + book_bytes);
        for (int i = (int)threadIdx.x; i < book_bytes / 16; i += THREADS)
            ((uint4 *)shared)[i] = ((const uint4 *)t.books)[i];
        for (int j = (int)threadIdx.x; j < 32 * BLOCKS; j += THREADS)
            slice[j] = (uint16_t)t.slice[j];
    }

    __device__ __forceinline__ void fetch(const struct scan_task &t, const struct group &g)
    {
        prefetch_rows(t, g);
    }

    /*
     * N (2 or 4) pieces of four dimensions, of the codes in a word; first: bytes from where a codeword begins to the
     * lane's first piece, a multiple of 8 N, and `beyond` more. Piece i ^ turn is the i-th to be looked up.
     */
    template <int N>
    __device__ __forceinline__ void look_up(uint32_t word, uint32_t first, int beyond,
                                            uint2 (&out)[4]) const
    {
        uint32_t turn = threadIdx.x / 4 % N, mine = first + 8 * turn;
        uint2 got[N];

        word = __byte_perm(word, 0, 0x3210 ^ turn * 0x1111);
#pragma unroll
        for (uint32_t i = 0; i < N; i++) {
            uint32_t code = __byte_perm(word, 0, 0x4404 | i << 4); /* times 256 */

            got[i] = *(const uint2 *)((const char *)books + beyond +
                                      ((code / (128 / pitch) | mine) ^ 8 * i));
        }
        /* back, a bit of turn at a time */
#pragma unroll
        for (int bit = 1; bit < N; bit *= 2) {
            bool other = turn & bit;

#pragma unroll
            for (int i = 0; i < N; i++) {
                if (i & bit) continue;
                uint2 low = got[i], high = got[i ^ bit];

                got[i] = other ? high : low;
                got[i ^ bit] = other ? low : high;
            }
        }
#pragma unroll
        for (int i = 0; i < N; i++)
            out[i] = got[i];
    }

    /* Of 64 dimensions a lane has 16 (lane_dim), four codes; of the last 32 of an odd number of blocks 8. */
    __device__ __forceinline__ void load_words(const uint8_t *code, int i, operands &x) const
    {
        uint32_t quad = threadIdx.x % 4;
        uint32_t words[(BLOCKS + 1) / 2];

#pragma unroll
        for (int b = 0; b + 1 < BLOCKS; b += 2)
            words[b / 2] = __ldg((const uint32_t *)(code + 4 * quad) + 2 * b);
        if constexpr (BLOCKS % 2)
            words[BLOCKS / 2] = __ldg((const uint16_t *)(code + 2 * quad) + 4 * (BLOCKS - 1));
#pragma unroll
        for (int b = 0; b < BLOCKS; b += 2) {
            uint2 piece[4];

            if (b + 1 < BLOCKS) {
                look_up<4>(words[b / 2], 32 * quad, 64 * b, piece);
                const uint32_t high[4] = {piece[2].x, piece[2].y, piece[3].x, piece[3].y};

                x.put(i / 2, i % 2, b + 1, high);
            } else {
                look_up<2>(words[b / 2], 16 * quad, 64 * b, piece);
            }
            const uint32_t low[4] = {piece[0].x, piece[0].y, piece[1].x, piece[1].y};

            x.put(i / 2, i % 2, b, low);
        }
    }

    __device__ __forceinline__ void load_pieces(const uint8_t *code, int i, operands &x) const
    {
#pragma unroll
        for (int b = 0; b < BLOCKS; b++) {
            int at = lane_dim(b, (int)threadIdx.x % 4, BLOCKS);
            __align__(8) uint32_t two[4];
            uint16_t *halves = (uint16_t *)two;

#pragma unroll
            for (int j = 0; j < 8; j += PIECE) {
                const __half *from = books + code[slice[at + j]] * pitch + at + j;

                if constexpr (PIECE == 4)
                    *(uint2 *)(halves + j) = *(const uint2 *)from;
                else if constexpr (PIECE == 2)
                    *(uint32_t *)(halves + j) = *(const uint32_t *)from;
                else
                    halves[j] = *(const uint16_t *)from;
            }
            x.put(i / 2, i % 2, b, two);
        }
    }

    /* Of four rows, by the four lanes that have each: |y|^2 / 2 + <c', y>. */
    __device__ void recompute_halves(const struct scan_task &t, const struct group &g,
                                     operands &x) const
    {
        const float *c = t.lists.coarse + (int64_t)g.list * t.lists.d;
        float scale = t.space->scale, sum[4] = {};

#pragma unroll
        for (int b = 0; b < BLOCKS; b++) {
            int at = lane_dim(b, (int)threadIdx.x % 4, BLOCKS);

#pragma unroll
            for (int j = 0; j < 8; j++) {
                float mid = at + j < t.lists.d ? (c[at + j] - t.centre[at + j]) * scale : 0;

#pragma unroll
                for (int i = 0; i < 4; i++) {
                    uint32_t two = x.a[i / 2][2 * b + j / 4][i % 2 + j / 2 % 2 * 2];
                    float2 y = __half22float2(*(const __half2 *)&two);
                    float mine = j % 2 ? y.y : y.x;

                    sum[i] = fmaf(mine, fmaf(0.5f, mine, mid), sum[i]);
                }
            }
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], 1);
            sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], 2);
            x.half[i] = g.has(i) ? sum[i] : INFINITY;
        }
    }

    __device__ __forceinline__ void load(const struct scan_task &t, const struct group &g,
                                         operands &x)
    {
        load_halves(t, g, x);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if constexpr (WORDS)
                load_words(g.at(t, i), i, x);
            else
                load_pieces(g.at(t, i), i, x);
        }
        if (!t.half) recompute_halves(t, g, x);
    }
};

#endif
