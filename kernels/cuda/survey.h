/* What rows must be to go into lists: finite, and such as the storage can hold. And storing them. */
#ifndef IVF_CUDA_SURVEY_H
#define IVF_CUDA_SURVEY_H

#include "kernels/cuda/cuda.h"

/*
 * The first row that is not as it must be: its id and what is wrong in one number that is smaller
 * the smaller the id is. All bits set: no row.
 */
typedef unsigned long long misfit;
static const misfit NO_MISFIT = ~0ull;

/*
 * Enqueues: *d_first = the smaller of itself and the first misfit of x, whose row 0 has id first.
 * kept: the rows are to be held as storage has them; 0: any finite row will do.
 */
int survey_rows(struct cuda *cuda, const struct mat *x, int kept, enum elem storage, vid first,
                misfit *d_first);

/* 0 for NO_MISFIT, else ERR_FORMAT, naming the row. */
int survey_verdict(misfit first, enum elem storage);

/* Enqueues: d_out[rows][d] of storage = x, f16 rounded to nearest even. What does not fit: anything. */
int survey_store(struct cuda *cuda, const struct mat *x, enum elem storage, void *d_out);

#endif
