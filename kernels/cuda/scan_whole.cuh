/*
 * Rows that are bytes times queries that are whole numbers (whole.h): integers by integer products. Nothing is
 * converted, operands are half as large, and e is exact.
 */
#ifndef IVF_CUDA_SCAN_WHOLE_CUH
#define IVF_CUDA_SCAN_WHOLE_CUH

#include <climits>
#include <cmath>

#include "kernels/cuda/scan_source.cuh"

/* acc[16 rows][8 queries] += a[16][32] * b[32][8] */
template <enum elem E>
__device__ __forceinline__ void whole_mma(int (&acc)[4], const uint32_t (&a)[4], uint32_t b0,
                                          uint32_t b1)
{
    if constexpr (E == ELEM_U8)
        asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32 "
                     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+r"(acc[0]), "+r"(acc[1]), "+r"(acc[2]), "+r"(acc[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    else
        asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
                     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+r"(acc[0]), "+r"(acc[1]), "+r"(acc[2]), "+r"(acc[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* A word's bytes, each times itself, added to sum. */
template <enum elem E> __device__ __forceinline__ int add_squares(int sum, uint32_t word)
{
    if constexpr (E == ELEM_U8)
        return (int)__dp4a(word, word, (unsigned)sum);
    else
        return __dp4a((int)word, (int)word, sum);
}

enum { NO_ROW = 1 << 30 }; /* in a square's place: so far that no limit is past it (whole_limit) */

/* A warp's 32 rows; GROUPS: of 64 dimensions. Numbers are laid out as half_operands' are. */
template <enum elem E, int GROUPS> struct whole_operands {
    uint32_t a[2][2 * GROUPS][4]; /* [set of 16 rows][step of 32 dimensions][register] */
    int square[4];                /* |x|^2 of each row; NO_ROW */

    typedef int number;
    static constexpr int blocks = GROUPS, piece_bytes = 16;
    static constexpr int none = INT_MIN;

    static __device__ __forceinline__ const void *query(const struct scan_task &t, int32_t query)
    {
        return t.whole.d_x + (int64_t)query * (64 * GROUPS);
    }

    static __device__ __forceinline__ struct piece_place place(int piece)
    {
        return {piece / 4, piece % 4 * 16};
    }

    /* <q, x> - floor(|x|^2 / 2) */
    __device__ __forceinline__ void multiply(const uint4 *from, int (&acc)[2][4]) const
    {
#pragma unroll
        for (int i = 0; i < 4; i++)
            acc[i / 2][i % 2 * 2] = acc[i / 2][i % 2 * 2 + 1] = -(square[i] >> 1);
#pragma unroll
        for (int g = 0; g < GROUPS; g++) {
            uint4 q = from[g * 32];

            whole_mma<E>(acc[0], a[0][2 * g], q.x, q.y);
            whole_mma<E>(acc[1], a[1][2 * g], q.x, q.y);
            whole_mma<E>(acc[0], a[0][2 * g + 1], q.z, q.w);
            whole_mma<E>(acc[1], a[1][2 * g + 1], q.z, q.w);
        }
    }

    static __device__ __forceinline__ int limit(int32_t bits)
    {
        return bits;
    }

    /* 2 <q, x> - |x|^2: the bit that halving dropped is put back. */
    __device__ __forceinline__ int noted(int sum, int, int i) const
    {
        return 2 * sum - (square[i] & 1);
    }

    struct maker {
        int square; /* |q|^2 */
        float scale;

        __device__ __forceinline__ float e(int noted) const
        {
            return whole_e(square - noted, scale);
        }
    };

    static __device__ __forceinline__ struct maker maker_of(const struct scan_task &t,
                                                            int32_t query)
    {
        return {t.whole.d_square[query], t.space->scale};
    }

    __device__ __forceinline__ float sample_e(const struct scan_task &t, int near, int sum,
                                              int i) const
    {
        return square[i] == NO_ROW ? INFINITY : whole_e(near - noted(sum, 0, i), t.space->scale);
    }
};

/* Rows as they are: on their way in registers. */
template <enum elem E, int GROUPS> struct source_whole {
    typedef whole_operands<E, GROUPS> operands;
    static constexpr int bytes = 0;
    uint4 words[4][GROUPS];

    __device__ void begin(const struct scan_task &, char *)
    {
    }

    /* What lies past a row has no part in its square. */
    __device__ __forceinline__ void fetch(const struct scan_task &t, const struct group &g)
    {
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int w = 0; w < GROUPS; w++) {
                int at = 64 * w + 16 * ((int)threadIdx.x % 4);

                words[i][w] = at < t.lists.stride ? load_once(g.at(t, i) + at) : uint4{};
            }
    }

    __device__ __forceinline__ void load(const struct scan_task &, const struct group &g,
                                         operands &x)
    {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int sum = 0;

#pragma unroll
            for (int w = 0; w < GROUPS; w++) {
                const uint4 &four = words[i][w];

                x.a[i / 2][2 * w][i % 2] = four.x;
                x.a[i / 2][2 * w][i % 2 + 2] = four.y;
                x.a[i / 2][2 * w + 1][i % 2] = four.z;
                x.a[i / 2][2 * w + 1][i % 2 + 2] = four.w;
                sum = add_squares<E>(add_squares<E>(sum, four.x), four.y);
                sum = add_squares<E>(add_squares<E>(sum, four.z), four.w);
            }
            sum += __shfl_xor_sync(0xffffffffu, sum, 1);
            sum += __shfl_xor_sync(0xffffffffu, sum, 2);
            x.square[i] = g.has(i) ? sum : NO_ROW;
        }
    }
};

#endif
