/*
 * What a search keeps of each query until the end: the vectors that may be among its answers, as keys of
 * (e, place in the arena), and the e past which nothing can be.
 */
#ifndef IVF_CUDA_CANDIDATES_H
#define IVF_CUDA_CANDIDATES_H

#include "kernels/cuda/scanned.h"

enum { CANDIDATES_MAX = 1 << 16 }; /* of a query, however few there are */

struct candidates {
    int k, cap;
    float *d_tau;       /* [n]: the bound that a scan took e from; 0: walked; -inf: past e */
    int32_t *d_count;   /* [n]; past cap: not all could be kept */
    uint64_t *d_found;  /* [n][cap] */
    struct whole whole; /* where queries are, e are exact, and have no margin */
};

/* The room that k answers want, several times as much as is expected to be used. */
static inline int candidates_cap(int k)
{
    int cap = 2048;

    while (cap < 16 * k)
        cap *= 2;
    return cap;
}

/* On the device. */
struct answers {
    float *d_dist; /* [n][k] */
    vid *d_ids;    /* [n][k] */
};

/*
 * Enqueues: of queries, or where `only` has arrays, of those in it: the k nearest of the candidates by
 * (exact distance, id) into out. Queries whose candidates were not all kept, or more of which are within
 * the margin than can be sorted, go to `undone`, whose count is 0 before.
 */
int candidates_answer(struct cuda *cuda, const struct scanned *s, const struct queries *q,
                      const struct candidates *c, struct undone only, int64_t nlist,
                      const struct answers *out, struct undone undone);

/*
 * Enqueues, after a scan: for queries with more candidates than could be kept, the bound that those kept give,
 * and a count of 0: they are to be searched again, and d_again[n] is 1 for them, else 0. *d_any, which is 0
 * before: 1 where there are any.
 */
int candidates_tighten(struct cuda *cuda, const struct scanned *s, const struct queries *q,
                       const struct candidates *c, int32_t *d_again, int32_t *d_any);

#endif
