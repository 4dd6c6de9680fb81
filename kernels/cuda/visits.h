/*
 * The lists that a batch visits, the other way round: for each list the queries that visit it, and how that
 * work divides into units of a part of the list times a tile of its queries. No list's length
 * shows in memory: units are counted, not stored.
 */
#ifndef IVF_CUDA_VISITS_H
#define IVF_CUDA_VISITS_H

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/whole.h"

enum { PART_ROWS = 1024 };                  /* of a unit, at most */
enum { TILE_SMALL = 64, TILE_LARGE = 128 }; /* queries of a unit, at most: see visits_tile */
enum { UNIT_ROWS = 256 };                   /* of one of a sample */

/*
 * A query at a list, and what <q', y> - half must be past for a vector to be of interest: near less the
 * query's bound, as a float; of whole numbers whole_limit, an integer. Of a sample (scan.h) it is near
 * itself, or |q|^2.
 */
struct pair {
    int32_t query;
    int32_t limit; /* its bits */
};
enum {
    NOTHING = 0x7f800000
}; /* a limit that nothing passes: +inf, and past all integers there are */

/* A list that some query visits. Its units go part by part, through all tiles of queries each. */
struct visit {
    int64_t unit;       /* the first: how many there are of the lists before it */
    uint32_t row, rows; /* of the list */
    int32_t list;
    int32_t pair, pairs; /* where its pairs begin, and how many */
};

/* A part of a list times a tile of its queries. */
struct unit {
    uint32_t row; /* the part's first */
    int counts;   /* rows | queries << 16 */
    int32_t pair; /* the tile's first */
    int32_t list;
};

/* Counts on the device. */
struct visits_total {
    unsigned long long visits_and_units; /* visits << 40 | units */
    int32_t pairs;
    unsigned long long next; /* units that blocks have taken */
};

struct visits {
    int tile;                     /* queries of a unit, at most */
    struct visit *d_visit;        /* [min(nlist, pairs)] */
    struct pair *d_pair;          /* [pairs] */
    int32_t *d_count, *d_first;   /* [nlist] */
    int32_t *d_rank;              /* [pairs]: of each among the pairs of its list */
    struct visits_total *d_total; /* this and d_count are zeros before a search */
};

/* The most pairs in one batch: their places are 32 bits. And the lists that can be counted beside units. */
#define VISITS_PAIRS_MAX ((int64_t)1 << 30)
#define VISITS_LISTS_MAX ((int64_t)1 << 24)

/*
 * Rows are taken once for each tile of queries that visit their list. Large tiles save that where many do, but
 * fewer of them are in a block's shared memory at once, which short lists want; and so do codes, whose
 * codebooks take most of it.
 */
enum { LARGE_BYTES = 208 * 1024 }; /* of shared memory that a scan of large tiles needs */
static inline int visits_tile(const struct cuda *cuda, int64_t pairs, int64_t nlist, int64_t rows,
                              bool codes)
{
    int64_t each = pairs / nlist; /* queries that visit a list */

    if (codes && each < TILE_SMALL * 3 / 8)
        return each < TILE_SMALL / 8 ? TILE_SMALL / 4 : TILE_SMALL / 2;
    if (cuda->shared_max < LARGE_BYTES) return TILE_SMALL;
    return each > 4 * TILE_SMALL || (each > TILE_SMALL * 3 / 4 && rows > nlist * PART_ROWS / 2)
               ? TILE_LARGE
               : TILE_SMALL;
}

/* What of it has to be zeros, and the rest. */
void visits_zeros(struct visits *v, int64_t nlist, struct room *r);
void visits_room(struct visits *v, int64_t nlist, int64_t pairs, struct room *r);

/* What limits are made of. */
struct visits_of {
    int64_t n;    /* queries */
    int64_t rows; /* in all lists */
    int nprobe;
    const int32_t *d_probe; /* [n][nprobe]; -1: none */
    const float *d_near;    /* [n][nprobe], or NULL: rows, and near is half of d_square */
    const float *d_square;  /* [n]: |q'|^2 */
    const float *d_tau;     /* [n]: e at most */
    struct whole whole;     /* whether limits are integers */
    const struct product_facts *space;
    const int32_t *d_again; /* [n]: 0 for queries that are left out; NULL: none is */
    const int32_t *d_any;   /* beside d_again: 0 where all are left out */
};

int visits_make(struct cuda *cuda, struct visits *v, const struct visits_of *of, int64_t nlist,
                const int64_t *d_offset);

#ifdef __CUDACC__
__device__ __forceinline__ int64_t visits_units(const struct visits_total *t)
{
    return (int64_t)(t->visits_and_units & (((unsigned long long)1 << 40) - 1));
}

__device__ __forceinline__ int visits_lists(const struct visits_total *t)
{
    return (int)(t->visits_and_units >> 40);
}
#endif

#endif
