/*
 * Rows into list order. That order is a stable sort of list numbers: of 32-bit numbers alone, so
 * that each row, however long, is moved once.
 */
#ifndef IVF_CUDA_PLACE_H
#define IVF_CUDA_PLACE_H

#include "kernels/cuda/cuda.h"

/* Place i has row number row[i], of list list[i]; rows of one list stand as they came. */
struct order {
    int64_t n;
    struct buf list, row;             /* uint32 [n] */
    struct buf spare_list, spare_row; /* uint32 [n]: the sort's other halves; order_invert */
};

/* Takes over list (int32 [n], each below nlist), whatever the outcome. Uses the scratch
   region. */
int order_make(struct order *o, struct cuda *cuda, struct buf *list, int64_t n, int64_t nlist);
void order_clear(struct order *o, struct cuda *cuda); /* a zeroed one is allowed */

/* d_offset[j] = the first place of list j, for j = 0 ... nlist - 1; d_offset[nlist] = n. */
int order_offsets(const struct order *o, struct cuda *cuda, int64_t nlist, int64_t *d_offset);

/* The way back: row number r is at place spare_row[r], in list spare_list[r]. */
int order_invert(const struct order *o, struct cuda *cuda);

/* Bytes of an order, the list numbers that it takes over among them; besides, sort_temp_bytes. */
size_t order_bytes(int64_t n);

/* Rows at, at + 1, ... have the ids first, first + 1, ... up to where the next run begins. */
struct run {
    int64_t at;
    vid first;
};

/*
 * ids[i] = the id of row number d_row[i], of n; into d_ids32, or into d_ids64 where that is NULL.
 * runs: host, ascending, the first at 0. Uses the scratch region.
 */
int place_ids(struct cuda *cuda, const struct run *runs, int64_t nruns, const uint32_t *d_row,
              int64_t n, uint32_t *d_ids32, int64_t *d_ids64);

/*
 * Row to[i] of dst = row from[i] of src, for n of them; NULL: i itself. Rows of src lie side by side,
 * those of dst `stride` bytes apart.
 */
int place_rows(struct cuda *cuda, const void *d_src, const uint32_t *d_from, const uint32_t *d_to,
               int64_t n, int64_t row_bytes, int64_t stride, void *d_dst);

#endif
