/*
 * The index: a coarse quantizer over inverted lists of rows (IVFFlat) or of PQ codes of
 * residuals (IVFPQ), behind a transform (OPQ, PCAR) or none. create -> train -> add each block,
 * passes times -> search.
 */
#ifndef IVF_IVF_H
#define IVF_IVF_H

#include "engine/backend.h"
#include "engine/factory.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ivf; /* owns its lists; borrows its backend, which must outlive it */

struct ivf_desc {
    int d; /* of the vectors and queries as they come */
    enum transform_kind transform;
    int opq_m; /* of the transform's own PQ, where it is OPQ */
    int d_out; /* dimensions after the transform; 0: d */
    int64_t nlist;
    int m;             /* 0: Flat */
    enum elem storage; /* of Flat rows; after a transform f32 or f16 */
    int64_t n;         /* vectors that will be added */
    uint32_t seed;
    int coarse_iterations;
    /* Optional: [nlist][d_out] centroids to train with instead of learning them; the caller's,
       until ivf_train has returned. */
    const float *coarse;
    /* Optional: progress of training and filling, done of total in the stage's own unit, called
       often; a negative return (an interrupt) ends the call with that code. */
    int (*progress)(void *arg, const char *stage, int64_t done, int64_t total);
    void *arg;
};

/* What was learnt, in host memory: enough to fill the lists again without training. */
struct ivf_model {
    struct transform transform; /* a is NULL where there is none */
    float *coarse;              /* [nlist][d_out] */
    float *books;               /* [m][KSUB][dsub]; NULL where m == 0 */
};

int ivf_create(struct ivf **out, struct backend *b, const struct ivf_desc *desc);
void ivf_free(struct ivf *ix); /* NULL is allowed */

/*
 * Learns from x (device, any element type, on the index's backend), in the original's order: the
 * transform from samples of the first `head` rows, the centroids from all of them transformed,
 * the codebooks from at most PQ_TRAIN_MAX of the first `head`, sampled as Faiss does. ERR_FORMAT
 * names a row that is not finite.
 */
int ivf_train(struct ivf *ix, const struct mat *x, int64_t head);

/*
 * Room for a model of desc's sizes, zeroed: its transform's b only for PCAR. Clear it, also after
 * a failure.
 */
int ivf_model_alloc(struct ivf_model *model, const struct ivf_desc *desc);
void ivf_model_clear(struct ivf_model *model);

/* The model is the index's; valid while it lives. NULL before training. */
const struct ivf_model *ivf_model(const struct ivf *ix);

/* Instead of ivf_train: takes a model trained before, which is copied. */
int ivf_set_model(struct ivf *ix, const struct ivf_model *model);

/*
 * Filling takes this many passes over the same blocks in the same order (1 or 2) ... The first call
 * of this or any that follows makes the lists: a code where that fails.
 */
int ivf_passes(struct ivf *ix);
/* ... each of which adds every block, host rows with ids from block->first, and is then ended. */
int ivf_add(struct ivf *ix, const struct block *x);
int ivf_end_pass(struct ivf *ix);

int64_t ivf_n(const struct ivf *ix);            /* vectors in it */
int ivf_imbalance(struct ivf *ix, double *out); /* nlist * sum(size^2) / n^2 */

/*
 * What searches as large as s need, in place of what was reserved; the index is full. ERR_INVALID
 * where k or nprobe cannot be; after a failure what was reserved is as it was.
 */
int ivf_reserve(struct ivf *ix, const struct search_desc *s);

/*
 * For each of q[nq][d], the k nearest of the vectors in its nprobe nearest lists: dist[nq][k]
 * and ids[nq][k], ascending by (distance, id), (+inf, -1) where the lists hold fewer than k.
 * Host memory of the caller's, complete on return. Allocates nothing; ERR_INVALID where k,
 * nprobe or nq pass what was reserved. With m == 0 and nprobe == nlist the answer is exact.
 */
int ivf_search(struct ivf *ix, const float *q, int64_t nq, int k, int nprobe, float *dist,
               vid *ids);

#ifdef __cplusplus
}
#endif
#endif
