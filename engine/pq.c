/*
 * The m k-means of a product quantizer run as one: an assignment of all slices is an encode, so
 * each iteration reads the residuals twice and launches two steps, whatever m is.
 */
#include "engine/pq.h"

#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/base/rand.h"
#include "engine/kmeans.h"

/* Everything a training holds; zeroed is empty. */
struct work {
    struct backend *b;
    int m, dsub;
    struct buf books, code, count, err;
    int64_t *host_count; /* [m][KSUB] */
    double *host_err;    /* [m] */
};

static void work_clear(struct work *w)
{
    w->b->ops->release(w->b, &w->books);
    w->b->ops->release(w->b, &w->code);
    w->b->ops->release(w->b, &w->count);
    w->b->ops->release(w->b, &w->err);
    mem_free(w->host_count);
    mem_free(w->host_err);
}

/* The first KSUB rows of a seeded permutation, cut into slices: books[m][KSUB][dsub]. */
static int start_books(struct work *w, const struct mat *r, uint32_t seed, float *books)
{
    const struct backend_ops *ops = w->b->ops;
    struct mat rows = {.elem = ELEM_F32, .rows = KSUB, .d = r->d};
    int64_t *perm = NULL;
    float *host = NULL;
    int rc = ERR_NOMEM;

    if (!(perm = mem_new(r->rows, sizeof *perm))) goto out;
    if (!(host = mem_new((int64_t)KSUB * r->d, sizeof *host))) goto out;
    rand_perm(perm, r->rows, seed + 1);
    if ((rc = ops->alloc(w->b, &rows.data, (size_t)KSUB * (size_t)r->d * sizeof *host)) < 0)
        goto out;
    if ((rc = ops->gather(w->b, r, perm, &rows)) < 0) goto out;
    if ((rc = ops->download(w->b, host, rows.data, 0, rows.data.bytes)) < 0) goto out;
    for (int s = 0; s < w->m; s++)
        for (int j = 0; j < KSUB; j++)
            memcpy(books + ((int64_t)s * KSUB + j) * w->dsub, host + j * r->d + s * w->dsub,
                   (size_t)w->dsub * sizeof *books);
    rc = 0;
out:
    ops->release(w->b, &rows.data);
    mem_free(perm);
    mem_free(host);
    return rc;
}

static int work_start(struct work *w, const struct mat *r, const struct pq_desc *desc, float *books)
{
    const struct backend_ops *ops = w->b->ops;
    int64_t codewords = (int64_t)w->m * KSUB;
    int rc;

    if ((rc = ops->alloc(w->b, &w->books, (size_t)(KSUB * r->d) * sizeof *books)) < 0) return rc;
    if ((rc = ops->alloc(w->b, &w->code, (size_t)(r->rows * w->m))) < 0) return rc;
    if ((rc = ops->alloc(w->b, &w->count, (size_t)codewords * sizeof(int64_t))) < 0) return rc;
    if ((rc = ops->alloc(w->b, &w->err, (size_t)w->m * sizeof(double))) < 0) return rc;
    if (!(w->host_count = mem_new(codewords, sizeof *w->host_count))) return ERR_NOMEM;
    if (!(w->host_err = mem_new(w->m, sizeof *w->host_err))) return ERR_NOMEM;
    if (!desc->go_on && (rc = start_books(w, r, desc->seed, books)) < 0) return rc;
    return ops->upload(w->b, w->books, 0, books, w->books.bytes);
}

/* Fills the empty codewords of every slice, if any, as k-means does. */
static int refill(struct work *w, float *books, int64_t n)
{
    const struct backend_ops *ops = w->b->ops;
    int64_t empty = 0;
    int rc;

    if ((rc = ops->download(w->b, w->host_count, w->count, 0, w->count.bytes)) < 0) return rc;
    for (int j = 0; j < w->m * KSUB; j++)
        empty += w->host_count[j] == 0;
    if (!empty) return 0;
    if ((rc = ops->download(w->b, books, w->books, 0, w->books.bytes)) < 0) return rc;
    for (int s = 0; s < w->m; s++)
        kmeans_split(books + (int64_t)s * KSUB * w->dsub, w->host_count + s * KSUB, KSUB, w->dsub,
                     n);
    return ops->upload(w->b, w->books, 0, books, w->books.bytes);
}

static double sum(const double *v, int n)
{
    double total = 0;

    for (int i = 0; i < n; i++)
        total += v[i];
    return total;
}

int pq_train(struct backend *b, const struct mat *r, const struct pq_desc *desc, float *books)
{
    struct work w = {.b = b, .m = desc->m, .dsub = desc->m ? r->d / desc->m : 0};
    int iterations = desc->iterations ? desc->iterations : PQ_ITERATIONS, rc;

    if (desc->m <= 0 || r->d % desc->m)
        return fail(ERR_INVALID, "PQ%d: m does not divide d %d", desc->m, r->d);
    if (r->rows < KSUB)
        return fail(ERR_INVALID, "PQ%d: %lld training vectors are fewer than its %d codewords",
                    desc->m, (long long)r->rows, KSUB);
    if ((rc = work_start(&w, r, desc, books)) < 0) goto out;
    for (int i = 0; i < iterations; i++) {
        if ((rc = b->ops->encode(b, r, w.m, w.books, w.code, w.err)) < 0) goto out;
        if ((rc = b->ops->code_means(b, r, w.m, w.code, w.books, w.count)) < 0) goto out;
        if ((rc = refill(&w, books, r->rows)) < 0) goto out;
        if (!desc->step) continue;
        if ((rc = b->ops->download(b, w.host_err, w.err, 0, w.err.bytes)) < 0) goto out;
        if ((rc = desc->step(desc->arg, i, sum(w.host_err, w.m))) < 0) goto out;
    }
    rc = b->ops->download(b, books, w.books, 0, w.books.bytes);
out:
    work_clear(&w);
    return rc;
}
