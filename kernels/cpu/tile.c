/*
 * The one file compiled with fused multiply-add allowed: all it computes are scores, and their
 * margin holds for any order and any fusing.
 */
#include "kernels/cpu/tile.h"

void tile_pack(const float *const *q, int n, int d, float *panels)
{
    for (int i = 0; i < n; i += LANES) {
        float *panel = panels + (int64_t)i * d;

        memset(panel, 0, sizeof *panel * LANES * (size_t)d);
        for (int l = 0; l < LANES && i + l < n; l++)
            for (int j = 0; j < d; j++)
                panel[j * LANES + l] = q[i + l][j];
    }
}

/* Notes the lanes of one row that are within their bounds. */
SIMD_INLINE void note(vf score, vi within, int row, int lane, struct tile_hits *hits)
{
    int32_t any = 0;

    for (int l = 0; l < LANES; l++)
        any |= within[l];
    if (!any) return;
    for (int l = 0; l < LANES; l++) {
        int at = hits->count[lane + l];

        hits->score[lane + l][at] = score[l]; /* no branch: a lane that missed is overwritten */
        hits->row[lane + l][at] = (int16_t)row;
        hits->count[lane + l] = at - within[l];
    }
}

/* R rows times P panels: R * P sums in registers while the dimensions pass. */
#define BLOCK(R, P)                                                                                \
    do {                                                                                           \
        vf sum[R][P];                                                                              \
                                                                                                   \
        for (int r = 0; r < R; r++)                                                                \
            for (int p = 0; p < P; p++)                                                            \
                sum[r][p] = (vf){0};                                                               \
        for (int j = 0; j < d; j++) {                                                              \
            vf q[P];                                                                               \
                                                                                                   \
            for (int p = 0; p < P; p++)                                                            \
                q[p] = vf_load(panels + ((int64_t)p * d + j) * LANES);                             \
            for (int r = 0; r < R; r++)                                                            \
                for (int p = 0; p < P; p++)                                                        \
                    sum[r][p] += rows[(int64_t)r * d + j] * q[p];                                  \
        }                                                                                          \
        for (int r = 0; r < R; r++) {                                                              \
            for (int p = 0; p < P; p++) {                                                          \
                vf score = norm[r] - 2 * sum[r][p];                                                \
                                                                                                   \
                note(score, score <= vf_load(bound + p * LANES), first + r, lane + p * LANES,      \
                     hits);                                                                        \
            }                                                                                      \
        }                                                                                          \
    } while (0)

#define BLOCK_FUNCTION(name, R, P)                                                                 \
    SIMD_INLINE void name(const float *rows, const float *norm, int d, const float *panels,        \
                          const float *bound, int first, int lane, struct tile_hits *hits)         \
    {                                                                                              \
        BLOCK(R, P);                                                                               \
    }

BLOCK_FUNCTION(block_8x2, 8, 2)
BLOCK_FUNCTION(block_8x1, 8, 1)
BLOCK_FUNCTION(block_1x1, 1, 1)

SIMD_CLONES void tile_scan(const float *rows, const float *norm, int n, int d, const float *panels,
                           int npanels, const float *bound, struct tile_hits *hits)
{
    memset(hits->count, 0, sizeof hits->count);
    for (int p = 0; p < npanels; p += 2) {
        const float *panel = panels + (int64_t)p * d * LANES;
        int r = 0, lane = p * LANES;

        for (; r + 8 <= n; r += 8) {
            const float *row = rows + (int64_t)r * d;

            if (p + 2 <= npanels)
                block_8x2(row, norm + r, d, panel, bound + lane, r, lane, hits);
            else
                block_8x1(row, norm + r, d, panel, bound + lane, r, lane, hits);
        }
        for (; r < n; r++)
            for (int one = p; one < npanels && one < p + 2; one++)
                block_1x1(rows + (int64_t)r * d, norm + r, d, panels + (int64_t)one * d * LANES,
                          bound + one * LANES, r, one * LANES, hits);
    }
}
