/*
 * Lloyd's iterations over a backend. The training set, its assignment and the centroids stay on
 * the device; what crosses is one count a list and, only where lists ran empty, the centroids.
 */
#include "engine/kmeans.h"

#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/base/rand.h"

/* faiss/Clustering.cpp: what a split moves the two halves apart, relative to a coordinate */
static const float NUDGE = 1 / 1024.f;

/* A list drawn with probability growing with its size, walking the lists in a circle. */
static int64_t draw_populous(struct rand *r, const int64_t *count, int64_t nlist, int64_t n)
{
    for (int64_t tries = 0;; tries++) {
        int64_t j = tries % nlist;
        float p = ((float)count[j] - 1.0f) / (float)(n - nlist);

        if (rand_float(r) < p) return j;
    }
}

int64_t kmeans_split(float *c, int64_t *count, int64_t nlist, int d, int64_t n)
{
    struct rand r;
    int64_t filled = 0;

    rand_seed(&r, 1234); /* anew at each call, as Faiss does */
    for (int64_t i = 0; i < nlist; i++) {
        int64_t from;

        if (count[i]) continue;
        from = draw_populous(&r, count, nlist, n);
        for (int j = 0; j < d; j++) {
            float v = c[from * d + j];

            c[i * d + j] = v * (j % 2 ? 1 - NUDGE : 1 + NUDGE);
            c[from * d + j] = v * (j % 2 ? 1 + NUDGE : 1 - NUDGE);
        }
        count[i] = count[from] / 2;
        count[from] -= count[i];
        filled++;
    }
    return filled;
}

/* Everything a training holds; zeroed is empty. */
struct work {
    struct backend *b;
    struct mat c;           /* [nlist][d] on the device */
    struct buf list, count; /* int32 [n], int64 [nlist] on the device */
    int64_t *host_count;    /* [nlist] */
    int64_t *perm;          /* [n] */
};

static void work_clear(struct work *w)
{
    w->b->ops->release(w->b, &w->c.data);
    w->b->ops->release(w->b, &w->list);
    w->b->ops->release(w->b, &w->count);
    mem_free(w->host_count);
    mem_free(w->perm);
}

static int work_start(struct work *w, const struct mat *x, const struct kmeans_desc *desc)
{
    const struct backend_ops *ops = w->b->ops;
    size_t bytes = 0;
    int rc;

    w->c = (struct mat){.elem = ELEM_F32, .rows = desc->nlist, .d = x->d};
    if ((rc = mem_bytes(&bytes, desc->nlist * x->d, sizeof(float))) < 0) return rc;
    if ((rc = ops->alloc(w->b, &w->c.data, bytes)) < 0) return rc;
    if ((rc = ops->alloc(w->b, &w->list, (size_t)x->rows * sizeof(int32_t))) < 0) return rc;
    if ((rc = ops->alloc(w->b, &w->count, (size_t)desc->nlist * sizeof(int64_t))) < 0) return rc;
    if (!(w->host_count = mem_new(desc->nlist, sizeof *w->host_count))) return ERR_NOMEM;
    if (!(w->perm = mem_new(x->rows, sizeof *w->perm))) return ERR_NOMEM;
    rand_perm(w->perm, x->rows, desc->seed + 1); /* Faiss draws the start with seed + 1 */
    return ops->gather(w->b, x, w->perm, &w->c);
}

/* After an update: counts to the host; where lists are empty, centroids there and back. */
static int refill(struct work *w, float *c, int64_t n, int64_t *splits)
{
    const struct backend_ops *ops = w->b->ops;
    int64_t empty = 0;
    int rc;

    if ((rc = ops->download(w->b, w->host_count, w->count, 0, w->count.bytes)) < 0) return rc;
    for (int64_t j = 0; j < w->c.rows; j++)
        empty += w->host_count[j] == 0;
    if (!empty) return 0;
    if ((rc = ops->download(w->b, c, w->c.data, 0, w->c.data.bytes)) < 0) return rc;
    *splits += kmeans_split(c, w->host_count, w->c.rows, w->c.d, n);
    return ops->upload(w->b, w->c.data, 0, c, w->c.data.bytes);
}

static double imbalance(const int64_t *count, int64_t nlist, int64_t n)
{
    double squares = 0;

    for (int64_t j = 0; j < nlist; j++)
        squares += (double)count[j] * (double)count[j];
    return (double)nlist * squares / ((double)n * (double)n);
}

int kmeans_train(struct backend *b, const struct mat *x, const struct kmeans_desc *desc, float *c,
                 struct kmeans_report *report)
{
    struct work w = {.b = b};
    int rc;

    *report = (struct kmeans_report){0};
    if (x->rows < desc->nlist)
        return fail(ERR_INVALID, "k-means: %lld training vectors are fewer than nlist %lld",
                    (long long)x->rows, (long long)desc->nlist);
    if ((rc = work_start(&w, x, desc)) < 0) goto out;
    for (int i = 0; i < desc->iterations; i++) {
        if ((rc = b->ops->assign(b, x, &w.c, w.list, &report->objective)) < 0) goto out;
        if ((rc = b->ops->means(b, x, w.list, &w.c, w.count)) < 0) goto out;
        if ((rc = refill(&w, c, x->rows, &report->splits)) < 0) goto out;
        if (desc->step && (rc = desc->step(desc->arg, i, report->objective)) < 0) goto out;
    }
    report->imbalance = imbalance(w.host_count, desc->nlist, x->rows);
    rc = b->ops->download(b, c, w.c.data, 0, w.c.data.bytes);
out:
    work_clear(&w);
    return rc;
}
