/*
 * Exact distances from a query to vectors of the arena, by a warp, TOGETHER of them at a time: eight lanes a
 * vector, AHEAD vectors of the same lanes, whose loads are all on their way before the first is needed.
 *
 * A source begins with a query, and then adds lane's terms of the distances to the vectors in `row`, in any order
 * (exact.cuh). Where query and rows are whole numbers these are integers, which are exact and cost no
 * conversions. Rows have zeros past d.
 */
#ifndef IVF_DISTANCES_CUH
#define IVF_DISTANCES_CUH

#include <type_traits>

#include "kernels/cuda/stored.cuh"

enum { DISTANCE_LANES = 8, AHEAD = 4, TOGETHER = 32 / DISTANCE_LANES * AHEAD };
/* What 1,023 and a byte differ by, squared, so many times: less than 2^31. */
enum { WHOLE_D = 1024 };

/* Dimensions j ... j + 3 of a query, zeros past d. */
__device__ __forceinline__ float4 query_four(const float *q, int j, int d)
{
    if (d % 4 == 0 && j < d) return __ldg((const float4 *)(q + j));
    return make_float4(j < d ? q[j] : 0, j + 1 < d ? q[j + 1] : 0, j + 2 < d ? q[j + 2] : 0,
                       j + 3 < d ? q[j + 3] : 0);
}

/* ---- rows ---- */

/* -2 a and -2 b, whole numbers that fit, as a pair of int16: the low bits of what has none but them. */
__device__ __forceinline__ uint32_t whole_pair(float a, float b)
{
    const float units = 0x1.8p23f;

    return __byte_perm(__float_as_uint(fmaf(-2, a, units)), __float_as_uint(fmaf(-2, b, units)),
                       0x5410);
}

/* sum + |x|^2 + <pairs, x>, x being four bytes. */
__device__ __forceinline__ uint32_t whole_four(uint32_t x, uint32_t low, uint32_t high,
                                               uint32_t sum)
{
    sum = __dp4a(x, x, sum);
    asm("dp2a.lo.s32.u32 %0, %1, %2, %0;" : "+r"(sum) : "r"(low), "r"(x));
    asm("dp2a.hi.s32.u32 %0, %1, %2, %0;" : "+r"(sum) : "r"(high), "r"(x));
    return sum;
}

template <enum elem E> struct distance_rows {
    static constexpr bool codes = false, bytes = E == ELEM_U8 || E == ELEM_I8;
    static constexpr int SIZE = E == ELEM_F32 ? 4 : E == ELEM_F16 ? 2 : 1;
    static constexpr int FLIP = E == ELEM_I8 ? 128 : 0; /* added to all: bytes have no sign then */
    using four =
        std::conditional_t<SIZE == 4, uint4, std::conditional_t<SIZE == 2, uint2, uint32_t>>;
    const float *q;
    int whole;       /* q is in integers that fit, and so are rows */
    uint32_t square; /* |q + FLIP|^2 then, with the zeros past d */

    __device__ __forceinline__ void begin(const struct stored &lists, const float *query)
    {
        q = query;
        whole = bytes && lists.d <= WHOLE_D;
        square = 0;
        for (int j = (int)(threadIdx.x % 32); whole && j < lists.stride; j += 32) {
            float v = j < lists.d ? q[j] : 0;
            uint32_t number = (uint32_t)((int)v + FLIP);

            whole = fabsf(v) < 1024 && rintf(v) == v;
            square += number * number;
        }
        whole = __all_sync(WARP_ALL, whole);
        square = __reduce_add_sync(WARP_ALL, square);
    }

    /* Lane's terms of |x|^2 - 2 <q, x>, modulo 2^32. */
    __device__ __forceinline__ void whole_sums(const struct stored &lists,
                                               const uint8_t *const (&row)[AHEAD],
                                               uint32_t (&sum)[AHEAD]) const
    {
        int pieces = (int)(lists.stride / 16);

        for (int p = (int)(threadIdx.x % DISTANCE_LANES); p < pieces; p += DISTANCE_LANES) {
            uint4 piece[AHEAD];

#pragma unroll
            for (int r = 0; r < AHEAD; r++)
                piece[r] = __ldg((const uint4 *)row[r] + p);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float4 a = query_four(q, 16 * p + 4 * i, lists.d);
                uint32_t low = whole_pair(a.x + FLIP, a.y + FLIP);
                uint32_t high = whole_pair(a.z + FLIP, a.w + FLIP);

#pragma unroll
                for (int r = 0; r < AHEAD; r++) {
                    uint32_t x = ((const uint32_t *)&piece[r])[i] ^ (FLIP ? 0x80808080u : 0);

                    sum[r] = whole_four(x, low, high, sum[r]);
                }
            }
        }
    }

    __device__ __forceinline__ void sums(const struct stored &lists,
                                         const uint8_t *const (&row)[AHEAD],
                                         const int32_t (&)[AHEAD], double (&sum)[AHEAD]) const
    {
        for (int j = 4 * (int)(threadIdx.x % DISTANCE_LANES); j < lists.d;
             j += 4 * DISTANCE_LANES) {
            float4 a = query_four(q, j, lists.d);
            four x[AHEAD];

#pragma unroll
            for (int r = 0; r < AHEAD; r++)
                x[r] = __ldg((const four *)(row[r] + j * SIZE));
#pragma unroll
            for (int r = 0; r < AHEAD; r++)
                sum[r] += exact_term(a.x, exact_elem(E, &x[r], 0)) +
                          exact_term(a.y, exact_elem(E, &x[r], 1)) +
                          exact_term(a.z, exact_elem(E, &x[r], 2)) +
                          exact_term(a.w, exact_elem(E, &x[r], 3));
        }
    }

    __device__ double at(const struct stored &, const uint8_t *row, int32_t, int j) const
    {
        return exact_elem(E, row, j);
    }
};

/* ---- codes ---- */

/* What a code of the list around c stands for is c + b, added in fp64. */
struct distance_codes {
    static constexpr bool codes = true, bytes = false;
    const float *q;

    __device__ __forceinline__ void begin(const struct stored &, const float *query)
    {
        q = query;
    }

    __device__ __forceinline__ void sums(const struct stored &lists,
                                         const uint8_t *const (&row)[AHEAD],
                                         const int32_t (&list)[AHEAD], double (&sum)[AHEAD]) const
    {
        int lane = (int)(threadIdx.x % DISTANCE_LANES);

        if (lists.dsub % 4) { /* a dimension at a time */
            for (int j = lane; j < lists.d; j += DISTANCE_LANES)
#pragma unroll
                for (int r = 0; r < AHEAD; r++)
                    sum[r] += exact_term(q[j], at(lists, row[r], list[r], j));
            return;
        }
        for (int j = 4 * lane; j < lists.d; j += 4 * DISTANCE_LANES) {
            int slice = j / lists.dsub;
            const float *words = lists.books + (int64_t)slice * KSUB * lists.dsub;
            float4 mid[AHEAD], b[AHEAD], a = __ldg((const float4 *)(q + j));

            words += j - slice * lists.dsub;
#pragma unroll
            for (int r = 0; r < AHEAD; r++) {
                int word = __ldg(row[r] + slice) * lists.dsub;

                mid[r] = __ldg((const float4 *)(lists.coarse + (int64_t)list[r] * lists.d + j));
                b[r] = __ldg((const float4 *)(words + word));
            }
#pragma unroll
            for (int r = 0; r < AHEAD; r++)
                sum[r] += exact_term(a.x, (double)mid[r].x + b[r].x) +
                          exact_term(a.y, (double)mid[r].y + b[r].y) +
                          exact_term(a.z, (double)mid[r].z + b[r].z) +
                          exact_term(a.w, (double)mid[r].w + b[r].w);
        }
    }

    __device__ double at(const struct stored &lists, const uint8_t *row, int32_t list, int j) const
    {
        return stored_code_at(lists, row, lists.coarse + (int64_t)list * lists.d, j);
    }
};

/* ---- of either ---- */

/* Of x in lanes without that bit, of y in those with it: what the two lanes that differ in it have together. */
template <class T> __device__ __forceinline__ T distance_half(T x, T y, int bit)
{
    bool second = threadIdx.x & bit;
    T kept = second ? y : x, given = second ? x : y;

    return kept + __shfl_xor_sync(WARP_ALL, given, bit);
}

/*
 * Added up over the eight lanes of a vector, and brought to the lane whose it is: vector i of TOGETHER, lane
 * i's, is the (i / 4)th of the (i % 4)th eight lanes.
 */
template <class T> __device__ __forceinline__ T distance_own(const T (&sum)[AHEAD])
{
    static_assert(AHEAD == 4 && DISTANCE_LANES == 8,
                  "halved twice: a lane and the fourth after it");
    int lane = (int)(threadIdx.x % 32);
    T mine = distance_half(distance_half(sum[0], sum[1], 1), distance_half(sum[2], sum[3], 1), 2);

    mine += __shfl_xor_sync(WARP_ALL, mine, 4);
    return __shfl_sync(WARP_ALL, mine, lane % 4 * DISTANCE_LANES + lane / 4 % AHEAD);
}

/* Places that follow each other, and their list: what stands for arrays of them below. */
struct places_from {
    int64_t first;

    __device__ int64_t operator[](int i) const
    {
        return first + i;
    }
};

struct list_of_all {
    int32_t list;

    __device__ int32_t operator[](int) const
    {
        return list;
    }
};

/*
 * The exact distance to the vector at place[lane], of n (1 ... TOGETHER): lanes past these repeat others. For
 * codes, list[i] is the list of place[i]. By the whole warp.
 */
template <class Source, class Places, class Lists>
__device__ __forceinline__ float distance_of(const struct stored &lists, const Source &source,
                                             Places place, Lists list, int n)
{
    int lane = (int)(threadIdx.x % 32), own = min(lane % TOGETHER, n - 1);
    const uint8_t *row[AHEAD];
    int32_t of[AHEAD];
    double sum[AHEAD] = {}, all;
    float out;

#pragma unroll
    for (int r = 0; r < AHEAD; r++) {
        int i = min(4 * r + lane / DISTANCE_LANES, n - 1);

        row[r] = lists.rows + place[i] * lists.stride;
        of[r] = Source::codes ? list[i] : 0;
    }
    if constexpr (Source::bytes)
        if (source.whole) {
            uint32_t whole[AHEAD] = {};

            source.whole_sums(lists, row, whole);
            return (float)(distance_own(whole) + source.square);
        }
    source.sums(lists, row, of, sum);
    all = distance_own(sum);
    if (exact_settled(all, lists.d, &out)) return out;
    all = 0;
    for (int j = 0; j < lists.d; j++)
        all += exact_term(source.q[j], source.at(lists, lists.rows + place[own] * lists.stride,
                                                 Source::codes ? list[own] : 0, j));
    return (float)all;
}

/* use(source), of the kind that these lists want. */
template <class Use> static int distance_for(const struct stored &lists, Use use)
{
    if (lists.m) return use(distance_codes{});
    switch (lists.storage) {
    case ELEM_F32:
        return use(distance_rows<ELEM_F32>{});
    case ELEM_F16:
        return use(distance_rows<ELEM_F16>{});
    case ELEM_U8:
        return use(distance_rows<ELEM_U8>{});
    default:
        return use(distance_rows<ELEM_I8>{});
    }
}

#endif
