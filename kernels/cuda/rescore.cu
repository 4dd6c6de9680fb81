/*
 * rescore: the columns past a row's threshold, out of the groups whose best is.
 *
 * Block   WARPS warps, a row each, which takes its groups in rounds of ROUND bands: (1) those whose
 *         best passes, (2) of these, the parts of GROUP_COLS columns whose best passes, (3) those
 *         columns' scores, BATCH parts at a time. (1) reads BAND_COLS columns' 4 bytes, so the
 *         parts' bests, 16 bytes a band, need not be read but for a few.
 * Scores  by mma.sync: a lane has 16 bytes of a column as they lie, and nothing is converted or summed
 *         over lanes. Of these the first and third words are those of row lane / 4 of an operand,
 *         the second and fourth of row lane / 4 + 8; times two columns that have the row's own
 *         words alike they are two parts of one sum. That is as exact as the product's sums and
 *         has one rounding more, which product_margin, of as many as there are terms, covers.
 * Bytes   2 * depth * GROUP_COLS a part, out of the L2, and there is little else. Hence the columns as
 *         rows: each is whole lines there. In the product's image 32 bytes of a column and its
 *         neighbour are together, and each is a request of its own.
 *
 * A row with too many columns for its room is left once it is known to be one.
 */
#include "kernels/cuda/rescore.h"

#include "kernels/cuda/chain.cuh"
#include "kernels/cuda/mma.cuh"

enum { WARPS = 4, THREADS = 32 * WARPS };
enum { BLOCKS = 5 }; /* at once: with fewer registers ptxas has loads wait for one another */
enum { LOADS = 16, ROUND = 32 * LOADS }; /* bands; LOADS: of a lane, on their way at once */
enum { BATCH = 4 };                      /* parts: a lane ends up with a column of one */
enum { STEP = 64 };                      /* of depth: a line of a column, and 10 loads of a lane */

struct rescoring {
    struct rows x, c;  /* c: the columns */
    const float *norm; /* [.]: of columns; 0 where there is no column, whatever its row holds */
    const int *band, *part; /* [x.n][bands], [x.n][bands][BAND_PARTS]: best scores */
    int64_t bands;
    struct collected found;
};

/* Of a warp: what passes, by its number in the round. */
struct hot {
    uint16_t band[ROUND], part[ROUND * BAND_PARTS];
};

/* By the whole warp: what the lanes have that pass, after those n in the list. */
static __device__ __forceinline__ int append(uint16_t *list, int n, bool pass, int what)
{
    unsigned lanes = __ballot_sync(0xffffffffu, pass);

    if (pass) list[n + __popc(lanes & ((1u << threadIdx.x % 32) - 1))] = (uint16_t)what;
    return n + __popc(lanes);
}

/* The bands from `first` on that pass; how many there are. */
static __device__ int find_bands(const struct rescoring &r, int64_t row, int first, int below,
                                 struct hot *hot)
{
    const int *best = r.band + row * r.bands;
    int lane = (int)(threadIdx.x % 32), score[LOADS], n = 0;

#pragma unroll
    for (int i = 0; i < LOADS; i++) {
        int at = first + 32 * i + lane;

        score[i] = at < r.bands ? __ldg(best + at) : -1; /* which never passes */
    }
    __syncwarp(); /* what was in the list is read */
#pragma unroll
    for (int i = 0; i < LOADS; i++)
        n = append(hot->band, n, score[i] > below, 32 * i + lane);
    __syncwarp();
    return n;
}

/* The parts that pass, of these bands. */
static __device__ int find_parts(const struct rescoring &r, int64_t row, int first, int below,
                                 struct hot *hot, int bands)
{
    const int4 *best = (const int4 *)r.part + row * r.bands + first;
    int n = 0;

    for (int base = 0; base < bands; base += 32) {
        int i = base + (int)(threadIdx.x % 32), band = hot->band[min(i, bands - 1)];
        int4 score = i < bands ? __ldg(best + band) : make_int4(-1, -1, -1, -1);

        n = append(hot->part, n, score.x > below, band * BAND_PARTS);
        n = append(hot->part, n, score.y > below, band * BAND_PARTS + 1);
        n = append(hot->part, n, score.z > below, band * BAND_PARTS + 2);
        n = append(hot->part, n, score.w > below, band * BAND_PARTS + 3);
    }
    __syncwarp();
    return n;
}

/* The row's operand for 32 dimensions: even columns of it are for the first and third words of what is
   multiplied, odd ones for the second and fourth. */
static __device__ __forceinline__ uint2 row_operand(const uint4 &x)
{
    return threadIdx.x / 4 % 2 ? make_uint2(x.y, x.w) : make_uint2(x.x, x.z);
}

/*
 * <x, c> of all columns of BATCH groups; a lane gets that of column lane / 4 of group lane % 4. Past the
 * depth the last 32 dimensions come again, times 0.
 */
static __device__ __forceinline__ float multiply_batch(const struct rescoring &r, const __half *x,
                                                       const int32_t (&group)[BATCH])
{
    int lane = (int)(threadIdx.x % 32), depth = r.x.depth;
    float acc[BATCH][4] = {}, mine = 0;
    const __half *c[BATCH];

    x += lane % 4 * 8;
#pragma unroll
    for (int g = 0; g < BATCH; g++)
        c[g] = r.c.d_x + min(group_column(group[g], lane / 4), r.c.n - 1) * depth + lane % 4 * 8;
#pragma unroll 1 /* all loads of a step are on their way before its products */
    for (int j = 0; j < depth; j += STEP) {
        int at[2] = {j, min(j + 32, depth - 32)};
        uint4 of_row[2], of_column[BATCH][2];

#pragma unroll
        for (int s = 0; s < 2; s++) {
            of_row[s] = __ldg((const uint4 *)(x + at[s]));
#pragma unroll
            for (int g = 0; g < BATCH; g++)
                of_column[g][s] = __ldg((const uint4 *)(c[g] + at[s]));
        }
#pragma unroll
        for (int s = 0; s < 2; s++) {
            uint2 b = at[s] == j + 32 * s ? row_operand(of_row[s]) : make_uint2(0, 0);

#pragma unroll
            for (int g = 0; g < BATCH; g++) {
                uint4 v = of_column[g][s];
                uint32_t a[4] = {v.x, v.y, v.z, v.w};

                mma(acc[g], a, b.x, b.y);
            }
        }
    }
#pragma unroll
    for (int g = 0; g < BATCH; g++)
        if (lane % 4 == g) mine = acc[g][0] + acc[g][3];
    return mine;
}

static __device__ __forceinline__ int32_t hot_group(const struct hot *hot, int i, int first)
{
    int part = hot->part[i];

    return part_group(first + part / BAND_PARTS, part % BAND_PARTS);
}

/* The columns that pass, of these parts, to the row's room; `found` are there already. How many then. */
static __device__ int collect_columns(const struct rescoring &r, int64_t row, int first, int below,
                                      const struct hot *hot, int parts, int found)
{
    int lane = (int)(threadIdx.x % 32);

    for (int i = 0; i < parts && found <= r.found.cap; i += BATCH) {
        int mine = i + lane % BATCH;
        int64_t column = group_column(hot_group(hot, min(mine, parts - 1), first), lane / BATCH);
        float norm = __ldg(r.norm + column), score;
        int32_t group[BATCH];

        for (int g = 0; g < BATCH; g++)
            group[g] = hot_group(hot, min(i + g, parts - 1), first);
        score = multiply_batch(r, r.x.d_x + row * r.x.depth, group);
        score = norm == 0 ? 0 : norm + score;
        bool pass = mine < parts && column < r.c.n && __float_as_int(score) > below;
        unsigned lanes = __ballot_sync(0xffffffffu, pass);
        int place = found + __popc(lanes & ((1u << lane) - 1));

        if (pass && place < r.found.cap) {
            r.found.d_column[row * r.found.cap + place] = (int32_t)column;
            r.found.d_score[row * r.found.cap + place] = score;
        }
        found += __popc(lanes);
    }
    return found;
}

__global__ static void __launch_bounds__(THREADS, BLOCKS)
    rescore(__grid_constant__ const struct rescoring r)
{
    chain_begin();
    __shared__ struct hot hots[WARPS];
    struct hot *hot = hots + threadIdx.x / 32;
    int64_t row = blockIdx.x * (int64_t)WARPS + threadIdx.x / 32;
    int found = 0;

    if (row >= r.x.n) return;
    int below = collected_below(r.found.d_threshold[row]);

    for (int first = 0; first < r.bands && found <= r.found.cap; first += ROUND) {
        int bands = find_bands(r, row, first, below, hot);
        int parts = find_parts(r, row, first, below, hot, bands);

        found = collect_columns(r, row, first, below, hot, parts, found);
    }
    if (threadIdx.x % 32 == 0) r.found.d_count[row] = found;
}

int rescore_groups(struct cuda *cuda, const struct rows *x, const struct columns *c,
                   const struct rows *plain, const struct group_best *best,
                   const struct collected *out)
{
    struct rescoring r = {.x = *x,
                          .c = *plain,
                          .norm = c->d_norm,
                          .band = (const int *)best->d_band,
                          .part = (const int *)best->d_part,
                          .bands = product_bands(c->tiles),
                          .found = *out};

    if (!x->n) return 0;
    return chain_launch(cuda, "rescore", rescore, (unsigned)((x->n + WARPS - 1) / WARPS), THREADS,
                        0, r);
}
