/* Search list by list: each chunk of a list is read once and multiplied by all queries that visit it. */
#ifndef IVF_CUDA_SCAN_H
#define IVF_CUDA_SCAN_H

#include "kernels/cuda/candidates.h"
#include "kernels/cuda/visits.h"

/* Shared memory of a block, at most, where the fast form fits; past 128 dimensions, and on devices that have less,
   the deep one takes its place, which knows no whole numbers. */
enum { SCAN_BYTES = 160 * 1024 };

/*
 * Enqueues: what is past its pair's limit, of all visits, is added to its query's candidates. q->rows are
 * packed.
 */
int scan_lists(struct cuda *cuda, const struct scanned *s, const struct queries *q,
               const struct visits *v, const struct candidates *c);

/*
 * Enqueues: e[n][UNIT_ROWS] of the rows of each of n units, which have one query each; its pair's limit is
 * near. +inf where there is no row.
 */
int scan_sample(struct cuda *cuda, const struct scanned *s, const struct queries *q,
                const struct unit *d_unit, int64_t n, const struct pair *d_pair, float *d_e);

#endif
