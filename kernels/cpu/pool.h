/*
 * What may still be among the k nearest of one query, by scores that are off by at most a
 * margin. Everything within the margin of the k-th is kept; who really wins is decided by exact
 * distances and ids. When ties or a wide margin fill the pool, exact distances thin it out, so
 * its size is fixed, whatever the data.
 */
#ifndef IVF_POOL_H
#define IVF_POOL_H

#include <math.h>

#include "engine/terms.h"

/* Exact distances (not where dist is NULL) and ids of the vectors at pos[n], for ctx's query. */
typedef void (*pool_exact)(const void *ctx, const int64_t *pos, int n, float *dist, vid *ids);

struct pool {
    int k, cap, count;
    float margin;
    float q_norm; /* |q|^2: with a margin of 0 a distance is exactly q_norm + score */
    float bound;  /* a score above it cannot win */
    float *score; /* [cap] */
    int64_t *pos; /* [cap]: where the vector is; the owner's meaning */
    pool_exact exact;
    const void *ctx;
    float *tmp_dist; /* [cap], and [cap]: of the thread that holds the pool at the moment */
    vid *tmp_ids;
};

enum { POOL_BLOCK = 64 }; /* scores looked at together; room for them is made beforehand */

/* How many places a pool for k answers has, in score, pos and both tmp: a quarter is at least a
   block, so that thinning out always makes room for one. */
static inline int64_t pool_cap(int64_t k)
{
    return 2 * k + 4 * POOL_BLOCK;
}

/* Empties p for a query; its arrays stay. */
void pool_start(struct pool *p, int k, float q_norm, float margin, pool_exact exact,
                const void *ctx);

/* Drops what cannot win, so that there is room again, and tightens the bound. */
void pool_shrink(struct pool *p);

/*
 * Pushes the vectors pos ... pos + n - 1, whose score is norm[i] - 2 dot[i]. A score of NaN rules
 * nothing out where an infinite margin says that scores mean nothing.
 */
void pool_push_products(struct pool *p, const float *norm, const float *dot, int64_t n,
                        int64_t pos);

/* Pushes the vectors pos + row[i], i < n, of these scores, none of which is a NaN. */
void pool_push_rows(struct pool *p, const float *score, const int16_t *row, int n, int64_t pos);

/*
 * The answer: the k smallest by (distance, id), ascending, padded with (+inf, -1), into
 * dist[k] and ids[k]. The pool is used up.
 */
void pool_finish(struct pool *p, float *dist, vid *ids);

/*
 * Only who the k nearest are (fewer if the pool has fewer): their pos, the one of the best score
 * first, the others in any order. Exact distances are computed for doubtful ones alone. Returns
 * how many. The pool is used up.
 */
int pool_members(struct pool *p, int32_t *pos);

/* Sorts n pairs ascending by (distance, id), in place. */
void pool_sort(float *dist, vid *ids, int64_t n);

#endif
