/*
 * Where the scan of up to 128 dimensions has its operands from: rows as they are stored, in a form that the
 * tensor cores take.
 */
#ifndef IVF_SCAN_SOURCE_CUH
#define IVF_SCAN_SOURCE_CUH

#include <cmath>

#include "kernels/cuda/scan.cuh"

enum { THREADS = UNIT_ROWS }; /* of a block of the scan */

/* ---- asynchronous copies ---- */

__device__ __forceinline__ uint32_t shared_at(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}

__device__ __forceinline__ void copy_16(void *to, const void *from)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_at(to)), "l"(from)
                 : "memory");
}

__device__ __forceinline__ void copy_8(void *to, const void *from)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(shared_at(to)), "l"(from)
                 : "memory");
}

__device__ __forceinline__ void copy_4(void *to, const void *from)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_at(to)), "l"(from)
                 : "memory");
}

__device__ __forceinline__ void copies_wait()
{
    asm volatile("cp.async.wait_all;" ::: "memory");
}

/* ---- operands ---- */

/* The first of a thread's rows in a unit; the others are 8, 16 and 24 further. */
__device__ __forceinline__ int first_row(void)
{
    return (int)threadIdx.x / 32 * 32 + (int)threadIdx.x % 32 / 4;
}

/*
 * A warp's 32 rows times queries in fp16. numbers[2 * i + c] of a thread is row first_row() + 8 * i, the c-th
 * of its two queries of each eight.
 */
template <int BLOCKS> struct half_operands {
    uint32_t a[2][2 * BLOCKS][4]; /* [set of 16 rows][step of 16 dimensions][register] */
    float half[4];                /* of each row */

    typedef float number;
    static constexpr int pieces = 4 * BLOCKS; /* of 16 bytes, of a query */
    static constexpr int patches = 160;       /* what shared memory has room for */
    static constexpr bool halves = true;      /* rows need theirs */

    /* Eight dimensions of row lane / 4 + 8 h of a set, as four pairs. */
    __device__ __forceinline__ void put(int set, int h, int b, const uint32_t (&two)[4])
    {
        a[set][2 * b][h] = two[0];
        a[set][2 * b][2 + h] = two[1];
        a[set][2 * b + 1][h] = two[2];
        a[set][2 * b + 1][2 + h] = two[3];
    }

    /* -half is what a row's sums begin at: -inf where there is no row. */
    __device__ __forceinline__ void begin(const float *of_unit)
    {
#pragma unroll
        for (int i = 0; i < 4; i++)
            half[i] = of_unit[first_row() + 8 * i];
    }

    /* Where queries are, and where a piece of one goes: block of 32 dimensions, lane of a quad. */
    static __device__ __forceinline__ const void *query(const struct scan_task &t, int32_t query)
    {
        return t.d_x + (int64_t)query * (32 * BLOCKS);
    }

    static __device__ __forceinline__ uint2 place(unsigned piece)
    {
        unsigned group = piece / 8;
        bool paired = 2 * group + 1 < BLOCKS;

        return {paired ? 2 * group + piece % 2 : BLOCKS - 1, paired ? piece % 8 / 2 : piece % 4};
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

            scan_mma(acc[0], a[0][2 * b], q.x, q.y);
            scan_mma(acc[1], a[1][2 * b], q.x, q.y);
            scan_mma(acc[0], a[0][2 * b + 1], q.z, q.w);
            scan_mma(acc[1], a[1][2 * b + 1], q.z, q.w);
        }
    }

    /* What rows have for themselves that e needs: nothing beside the sum and the limit. */
    __device__ __forceinline__ int odd(void) const
    {
        return 0;
    }

    /* What a query has for itself that e needs: its bound. */
    static __device__ __forceinline__ float asked(const struct scan_task &t, int32_t query)
    {
        return t.c.d_tau[query];
    }

    static __device__ __forceinline__ float limit(int32_t bits)
    {
        return __int_as_float(bits);
    }

    static __device__ __forceinline__ float e(const struct scan_task &, float tau, float limit,
                                              float sum, int)
    {
        return fmaxf(tau - (sum - limit), 0);
    }

    static __device__ __forceinline__ float sample_e(const struct scan_task &, float near,
                                                     float sum, int)
    {
        return fmaxf(near - sum, 0);
    }
};

/*
 * Where operands come from. bytes: of shared memory; begin: once a block; bring: of a unit's rows what
 * travels by itself, into one of two stages; fetch: what waits in registers, once those of the unit before
 * are used; load: a warp's operands of what was brought and fetched.
 */

/* Bytes on their way: two stages of a unit's rows, PITCH from one to the next. */
template <int PITCH> struct byte_stages {
    static constexpr int stage_bytes = UNIT_ROWS * PITCH, bytes = 2 * stage_bytes;
    static constexpr int swizzle = PITCH == 128 ? 4 : 0; /* so that neighbours' banks differ */
    char *stages;

    /* What lies past a row in its place is multiplied by zeros, and must be numbers for that. */
    __device__ void begin(const struct scan_task &t, char *shared)
    {
        stages = shared;
        for (int i = (int)threadIdx.x; i < bytes / 16; i += THREADS)
            if (t.lists.stride < PITCH) ((uint4 *)stages)[i] = {};
    }

    __device__ __forceinline__ void bring(const struct scan_task &t, const struct unit &u,
                                          int stage)
    {
        constexpr int slots = PITCH == 96 ? 8 : PITCH / 16; /* a power of two */
        constexpr int step = THREADS / slots;               /* even: rows of a thread are alike */
        int piece = (int)threadIdx.x % slots, row = (int)threadIdx.x / slots;
        const uint8_t *from = t.lists.rows + ((int64_t)u.row + row) * t.lists.stride + 16 * piece;
        char *to = stages + stage * stage_bytes + row * PITCH + (piece ^ row % 2 * swizzle) * 16;

        if (16 * piece >= t.lists.stride) return;
#pragma unroll 4
        for (int left = unit_rows(u.counts) - row; left > 0; left -= step) {
            copy_16(to, from);
            to += step * PITCH;
            from += step * t.lists.stride;
        }
    }

    /* Piece of 16 bytes of row first_row() + 8 i. */
    __device__ __forceinline__ const char *at(int stage, int i, int piece) const
    {
        return stages + stage * stage_bytes + (first_row() + 8 * i) * PITCH +
               (piece ^ first_row() % 2 * swizzle) * 16;
    }
};

/* u8 and i8, converted: 32 bytes a block of dimensions. */
template <enum elem E, int BLOCKS> struct source_bytes {
    typedef half_operands<BLOCKS> operands;
    typedef byte_stages<32 * BLOCKS> stages;
    static constexpr int bytes = stages::bytes + 64 * BLOCKS;
    stages rows;
    uint4 *centre; /* [4 * BLOCKS]: eight halves each, scaled */
    __half2 scale;

    __device__ void begin(const struct scan_task &t, char *shared)
    {
        __half *to = (__half *)(shared + stages::bytes);

        rows.begin(t, shared);
        centre = (uint4 *)to;
        scale = __float2half2_rn(t.space->scale);
        for (int j = (int)threadIdx.x; j < 32 * BLOCKS; j += THREADS)
            to[j] = __float2half_rn(t.centre[j] * t.space->scale);
    }

    __device__ __forceinline__ void bring(const struct scan_task &t, const struct unit &u,
                                          int stage)
    {
        rows.bring(t, u, stage);
    }

    __device__ __forceinline__ void fetch(const struct scan_task &, const struct unit &)
    {
    }

    __device__ __forceinline__ void load(const struct scan_task &, const struct unit &, int stage,
                                         operands &x)
    {
#pragma unroll
        for (int b = 0; b < BLOCKS; b += 2) {
            int at = lane_dim(b, (int)threadIdx.x % 4, BLOCKS);
            uint4 mid[2] = {centre[at / 8]};

            if (b + 1 < BLOCKS) mid[1] = centre[at / 8 + 1];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const char *piece = rows.at(stage, i, at / 16);
                eight<E> raw;
                uint32_t two[4];

                if (b + 1 == BLOCKS) { /* eight bytes are all there is */
                    raw.v = *(const uint2 *)(piece + at % 16);
                    operand_bytes<E>(raw, mid[0], scale, two);
                    x.put(i / 2, i % 2, b, two);
                    continue;
                }
                uint4 both = *(const uint4 *)piece;

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
    typedef half_operands<BLOCKS> operands;
    static constexpr int bytes = 32 * BLOCKS * 4;
    float *centre;
    float scale;

    __device__ void begin(const struct scan_task &t, char *shared)
    {
        centre = (float *)shared;
        scale = t.space->scale;
        for (int j = (int)threadIdx.x; j < 32 * BLOCKS; j += THREADS)
            centre[j] = t.centre[j];
    }

    __device__ __forceinline__ void bring(const struct scan_task &, const struct unit &, int)
    {
    }

    __device__ __forceinline__ void fetch(const struct scan_task &, const struct unit &)
    {
    }

    __device__ __forceinline__ void load(const struct scan_task &t, const struct unit &u, int,
                                         operands &x)
    {
        int rows = unit_rows(u.counts), first = first_row();

#pragma unroll
        for (int b = 0; b < BLOCKS; b++) {
            int at = lane_dim(b, (int)threadIdx.x % 4, BLOCKS);
            const float2 *mid = (const float2 *)(centre + at);

#pragma unroll
            for (int i = 0; i < 4; i++) {
                int64_t row = (int64_t)u.row + min(first + 8 * i, rows - 1);
                eight<E> raw = load_eight<E>(t.lists.rows + row * t.lists.stride +
                                             at * (E == ELEM_F16 ? 2 : 4));
                uint32_t two[4];

                operand_floats(raw, mid, scale, two);
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
    typedef half_operands<BLOCKS> operands;
    static constexpr int pitch = (BLOCKS + 1) / 2 * 64; /* books_pitch */
    static constexpr int book_bytes = KSUB * pitch * 2;
    static constexpr int bytes = book_bytes + 32 * BLOCKS * 2;
    static constexpr int groups = (BLOCKS + 1) / 2; /* of 64 dimensions: a word of codes each */
    const __half *books;
    uint16_t *slice; /* [32 * BLOCKS]: the sub-quantizer of each dimension */
    uint32_t words[4][groups];

    __device__ void begin(const struct scan_task &t, char *shared)
    {
        books = (const __half *)shared;
        slice = (uint16_t *)(shared + book_bytes);
        for (int i = (int)threadIdx.x; i < book_bytes / 16; i += THREADS)
            ((uint4 *)shared)[i] = ((const uint4 *)t.books)[i];
        for (int j = (int)threadIdx.x; j < 32 * BLOCKS; j += THREADS)
            slice[j] = (uint16_t)t.slice[j];
    }

    /* Row first_row() + 8 i, another one where there is none. */
    __device__ __forceinline__ const uint8_t *code(const struct scan_task &t, const struct unit &u,
                                                   int i) const
    {
        int rows = unit_rows(u.counts);
        int64_t row = rows ? (int64_t)u.row + min(first_row() + 8 * i, rows - 1) : 0;

        return t.lists.rows + row * t.lists.stride;
    }

    __device__ __forceinline__ void bring(const struct scan_task &, const struct unit &, int)
    {
    }

    __device__ __forceinline__ void fetch(const struct scan_task &t, const struct unit &u)
    {
        int quad = (int)threadIdx.x % 4;

#pragma unroll
        for (int i = 0; WORDS && i < 4; i++)
#pragma unroll
            for (int g = 0; g < groups; g++) {
                const uint8_t *from = code(t, u, i) + lane_dim(2 * g, quad, BLOCKS) / 4;

                words[i][g] = 2 * g + 1 < BLOCKS ? __ldg((const uint32_t *)from)
                                                 : __ldg((const uint16_t *)from);
            }
    }

    /* N (2 or 4) pieces of four dimensions from dimension at on, of the codes in a word. */
    template <int N>
    __device__ __forceinline__ void look_up(uint32_t word, int at, uint2 (&out)[4]) const
    {
        uint32_t turn = threadIdx.x / 4 % N;
        uint2 got[N];

#pragma unroll
        for (int i = 0; i < N; i++) {
            uint32_t piece = i ^ turn, code = word >> 8 * piece & 255;

            got[i] = *(const uint2 *)(books + code * pitch + at + 4 * piece);
        }
        /* got[i] is piece i ^ turn: back, a bit of turn at a time */
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

    __device__ __forceinline__ void load_words(int i, operands &x) const
    {
        int quad = (int)threadIdx.x % 4;

#pragma unroll
        for (int b = 0; b < BLOCKS; b += 2) {
            int at = lane_dim(b, quad, BLOCKS);
            uint2 piece[4];

            if (b + 1 < BLOCKS) {
                look_up<4>(words[i][b / 2], at, piece);
                const uint32_t high[4] = {piece[2].x, piece[2].y, piece[3].x, piece[3].y};

                x.put(i / 2, i % 2, b + 1, high);
            } else {
                look_up<2>(words[i][b / 2], at, piece);
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
            uint32_t two[4];
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
    __device__ void recompute_halves(const struct scan_task &t, const struct unit &u,
                                     operands &x) const
    {
        const float *c = t.lists.coarse + (int64_t)u.list * t.lists.d;
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
            x.half[i] = first_row() + 8 * i < unit_rows(u.counts) ? sum[i] : INFINITY;
        }
    }

    __device__ __forceinline__ void load(const struct scan_task &t, const struct unit &u, int,
                                         operands &x)
    {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if constexpr (WORDS)
                load_words(i, x);
            else
                load_pieces(code(t, u, i), i, x);
        }
        if (!t.half) recompute_halves(t, u, x);
    }
};

#endif
