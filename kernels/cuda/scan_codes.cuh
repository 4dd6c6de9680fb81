/*
 * Operands of the scan that are decoded: codes, of which the codebooks in shared memory make rows in fp16. In both
 * forms a codebook lies code by code, a code's codewords one after the other, BOOK_PITCH bytes.
 */
#ifndef IVF_SCAN_CODES_CUH
#define IVF_SCAN_CODES_CUH

#include "kernels/cuda/scan_source.cuh"

/* Where half is not kept: of four rows, by the four lanes that have each, |y|^2 / 2 + <c', y>. */
template <int BLOCKS>
__device__ static void recompute_halves(const struct scan_task &t, const struct group &g,
                                        half_operands<BLOCKS, PAIRED> &x)
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

/* Of any dsub. What a lane looks up at once is PIECE dimensions of one codeword. */
template <int PIECE, int BLOCKS> struct source_pieces {
    typedef half_operands<BLOCKS, PAIRED> operands;
    static constexpr int bytes = BOOK_BYTES + 32 * BLOCKS * 2;
    const __half *books;
    uint16_t *slice; /* [32 * BLOCKS]: the sub-quantizer of each dimension */

    __device__ void begin(const struct scan_task &t, char *shared)
    {
        books = (const __half *)shared;
        slice = (uint16_t *)(shared + BOOK_BYTES);
        for (int i = (int)threadIdx.x; i < BOOK_BYTES / 16; i += THREADS)
            ((uint4 *)shared)[i] = ((const uint4 *)t.books)[i];
        for (int j = (int)threadIdx.x; j < 32 * BLOCKS; j += THREADS)
            slice[j] = (uint16_t)t.slice[j];
    }

    __device__ __forceinline__ void fetch(const struct scan_task &t, const struct group &g)
    {
        prefetch_rows(t, g);
    }

    __device__ __forceinline__ void load(const struct scan_task &t, const struct group &g,
                                         operands &x)
    {
        if (t.half) load_halves(t, g, x);
#pragma unroll
        for (int i = 0; i < 4; i++)
            load_row(g.at(t, i), i, x);
        if (!t.half) recompute_halves(t, g, x);
    }

    __device__ __forceinline__ void load_row(const uint8_t *code, int i, operands &x) const
    {
#pragma unroll
        for (int b = 0; b < BLOCKS; b++) {
            int at = lane_dim(b, (int)threadIdx.x % 4, BLOCKS);
            __align__(8) uint32_t two[4];
            uint16_t *halves = (uint16_t *)two;

#pragma unroll
            for (int j = 0; j < 8; j += PIECE) {
                const __half *from = books + code[slice[at + j]] * (BOOK_PITCH / 2) + at + j;

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
};

/*
 * Of dsub 4. A lane has four codes in a word, and looks up the codeword of each at once: a piece.
 *
 * Sixteen lanes are served at a time, of which four have neighbouring rows and the same dimensions, so the same banks.
 * Each of these has a turn of its own: it looks its pieces up in the order ^ turn, and puts them back, which would be
 * more instructions than all else. So there is a second image of the codebooks where there is room, in which
 * pieces lie as turns 2 and 3 want them: half of the putting back is spared.
 */
template <int BLOCKS, int IMAGES> struct source_words {
    typedef half_operands<BLOCKS, PAIRED> operands;
    /* Bytes from one image to the other: behind it, or where lines are half empty the other half. */
    static constexpr int to_image = BLOCKS > 2 ? BOOK_BYTES : BOOK_PITCH / 2;
    static constexpr int bytes = BOOK_BYTES * (BLOCKS > 2 ? IMAGES : 1);
    static constexpr int turns = 4 / IMAGES;        /* that have an image together */
    static constexpr int in_pairs = BLOCKS / 2 * 2; /* blocks of whose pairs a lane has four pieces;
                                                       of one that is left it has two */
    const char *books;
    uint32_t spots_of_four, spots_of_two;
    uint32_t word[4][(BLOCKS + 1) / 2]; /* what was fetched of each row: codes, and half */
    float half[4];

    __device__ void begin(const struct scan_task &t, char *shared)
    {
        uint32_t quad = threadIdx.x % 4, turn = threadIdx.x / 4 % 4, mine = turn / turns;

        books = shared;
        spots_of_four = spots(32 * quad + 8 * turn + mine * to_image);
        spots_of_two = spots(16 * quad + 8 * (turn % 2) + mine * (64 + to_image));
        for (int i = (int)threadIdx.x; i < KSUB * 4 * BLOCKS; i += THREADS) {
            int at = i % (4 * BLOCKS), code = i / (4 * BLOCKS) * (BOOK_PITCH / 16);
            uint4 two = ((const uint4 *)t.books)[code + at];

            ((uint4 *)shared)[code + at] = two;
            /* two pieces where the other two of four are; in the other half of a line */
            at ^= at < 4 * in_pairs ? 1 : 4;
            if (IMAGES == 2) ((uint4 *)shared)[code + to_image / 16 + at] = two;
        }
    }

    /* Bytes from a codeword to the piece at `spot` and to the one 8 from there (^), in one register for look_up. */
    static __device__ __forceinline__ uint32_t spots(uint32_t spot)
    {
        return __byte_perm(spot, spot ^ 8, 0x3240);
    }

    __device__ __forceinline__ void fetch(const struct scan_task &t, const struct group &g)
    {
        uint32_t quad = threadIdx.x % 4;

#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint8_t *code = g.at(t, i);

#pragma unroll
            for (int b = 0; b < in_pairs; b += 2)
                word[i][b / 2] = __ldg((const uint32_t *)(code + 8 * b + 4 * quad));
            if constexpr (in_pairs < BLOCKS)
                word[i][in_pairs / 2] = __ldg((const uint16_t *)(code + 8 * in_pairs + 2 * quad));
        }
        if (t.half) fetch_halves(t, g, half);
    }

    __device__ __forceinline__ void load(const struct scan_task &t, const struct group &g,
                                         operands &x)
    {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            x.half[i] = g.has(i) ? half[i] : INFINITY;
#pragma unroll
            for (int b = 0; b < in_pairs; b += 2) {
                uint2 piece[4];

                look_up(word[i][b / 2], spots_of_four, 64 * b, piece);
                put_pieces(piece[0], piece[1], i, b, x);
                put_pieces(piece[2], piece[3], i, b + 1, x);
            }
            if constexpr (in_pairs < BLOCKS) {
                uint2 piece[2];

                look_up(word[i][in_pairs / 2], spots_of_two, 64 * in_pairs, piece);
                put_pieces(piece[0], piece[1], i, in_pairs, x);
            }
        }
        if (!t.half) recompute_halves(t, g, x);
    }

    static __device__ __forceinline__ void put_pieces(uint2 a, uint2 b, int i, int block,
                                                      operands &x)
    {
        const uint32_t two[4] = {a.x, a.y, b.x, b.y};

        x.put(i / 2, i % 2, block, two);
    }

    /*
     * N pieces (2 or 4), of the codes in a word, of codewords that begin `beyond` bytes into their code's. The i-th to
     * be looked up is piece i ^ turn, 8 i bytes (^) from the lane's spot. A code is its address's second byte.
     */
    template <int N>
    __device__ __forceinline__ void look_up(uint32_t codes, uint32_t spots, int beyond,
                                            uint2 (&out)[N]) const
    {
        constexpr int orders = N < turns ? N : turns;
        uint32_t turn = threadIdx.x / 4 % orders;

        codes = __byte_perm(codes, 0, 0x3210 ^ turn * 0x1111);
#pragma unroll
        for (uint32_t i = 0; i < N; i++) {
            uint32_t near = i < 2 ? spots : spots ^ 0x1010;

            out[i] = *(const uint2 *)(books + beyond +
                                      __byte_perm(codes, near, 0x7604 | i << 4 | i % 2));
        }
        put_back<orders>(turn, out);
    }

    /* A bit of turn at a time. */
    template <int ORDERS, int N>
    static __device__ __forceinline__ void put_back(uint32_t turn, uint2 (&out)[N])
    {
#pragma unroll
        for (int bit = 1; bit < ORDERS; bit *= 2)
#pragma unroll
            for (int i = 0; i < N; i++) {
                if (i & bit) continue;
                uint2 low = out[i], high = out[i ^ bit];

                out[i] = turn & bit ? high : low;
                out[i ^ bit] = turn & bit ? low : high;
            }
    }
};

#endif
