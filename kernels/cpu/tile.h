/*
 * Many queries times the rows of a list, with the filter in the epilogue: sixteen queries are
 * the lanes of a panel, scores stay in registers, and only those within their query's bound are
 * written. A general product would pack the rows anew for each few queries that share a list,
 * and write every score (OpenBLAS: a third of the search's time, measured).
 */
#ifndef IVF_TILE_H
#define IVF_TILE_H

#include <stdint.h>

#include "kernels/cpu/simd.h"

enum {
    TILE_PANELS = 4,                    /* panels of one pass over the rows */
    TILE_QUERIES = TILE_PANELS * LANES, /* so, queries of one pass */
    TILE_ROWS = 256,                    /* rows of one pass */
};

/* What got through, by query: count[i] of score[i] and row[i], rows ascending. */
struct tile_hits {
    int count[TILE_QUERIES];
    float score[TILE_QUERIES][TILE_ROWS];
    int16_t row[TILE_QUERIES][TILE_ROWS];
};

/* n <= TILE_QUERIES queries q[i][d] as panels [ceil(n / LANES)][d][LANES]; lanes left over are 0. */
void tile_pack(const float *const *q, int n, int d, float *panels);

/*
 * The scores norm[r] - 2<row r, query i> that are at most bound[i] (NaN: none is), for n <=
 * TILE_ROWS rows[n][d] and the queries of npanels panels; bound has a value for every lane.
 */
void tile_scan(const float *rows, const float *norm, int n, int d, const float *panels, int npanels,
               const float *bound, struct tile_hits *hits);

#endif
