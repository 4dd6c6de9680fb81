/*
 * Rotation and codebooks by turns: codebooks for the rotated rows, then the rotation that brings
 * the rows nearest to what their codes say (orthogonal Procrustes), which no turn makes worse.
 * What grows with the rows runs on the backend; the rotation, d x d, on the host.
 */
#include "engine/opq.h"

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/dense.h"
#include "engine/pq.h"
#include "engine/sample.h"

enum { FIRST_PQ_ITERATIONS = 40, PQ_ITERATIONS_AFTER = 4 }; /* Faiss's niter_pq_0, niter_pq */

/* Everything a training holds; zeroed is empty. */
struct work {
    struct backend *b;
    const struct transform_desc *desc;
    int d;           /* of rows with the zeros that make them at least d_out long */
    struct mat x, y; /* on the device: rows [n][d] less their mean; rotated [n][d_out] */
    struct buf books, code, err;
    struct transform r;  /* the rotation: d -> d_out */
    float *rows;         /* [n][d]: x on the host */
    float *decoded;      /* [n][d_out]: what the codes say */
    float *host_books;   /* [m][KSUB][dsub] */
    uint8_t *host_code;  /* [n][m] */
    double *host_err;    /* [m] */
    double *cross, *rot; /* [d][d_out], [d][d] */
};

static void work_clear(struct work *w)
{
    w->b->ops->release(w->b, &w->x.data);
    w->b->ops->release(w->b, &w->y.data);
    w->b->ops->release(w->b, &w->books);
    w->b->ops->release(w->b, &w->code);
    w->b->ops->release(w->b, &w->err);
    transform_clear(&w->r);
    mem_free(w->rows);
    mem_free(w->decoded);
    mem_free(w->host_books);
    mem_free(w->host_code);
    mem_free(w->host_err);
    mem_free(w->cross);
    mem_free(w->rot);
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static int64_t sampled(int64_t rows)
{
    return rows < OPQ_ROWS ? rows : OPQ_ROWS;
}

void opq_train_bytes(int opq_m, int d_in, int d_out, int64_t rows, size_t *host, size_t *device)
{
    size_t n = (size_t)sampled(rows), out = (size_t)d_out, m = (size_t)opq_m;
    size_t d = (size_t)larger(d_in, d_out);

    /* rows, what is made of them and codes; books; LAPACK's share; who was drawn */
    *host =
        n * (4 * d + 4 * out + m) + 8 * KSUB * out + 64 * d * d + (size_t)rows * sizeof(int64_t);
    /* rows, rotated ones and codes of two steps; books of two steps and what they start from */
    *device = n * (4 * d + 4 * out + 2 * m) + 12 * KSUB * out;
}

static int work_alloc(struct work *w, int64_t n, int d_out)
{
    const struct backend_ops *ops = w->b->ops;
    int m = w->desc->opq_m, rc;

    if ((rc = transform_alloc(&w->r, TRANSFORM_OPQ, w->d, d_out)) < 0) return rc;
    if (!(w->rows = mem_new(n * w->d, sizeof *w->rows))) return ERR_NOMEM;
    if (!(w->decoded = mem_new(n * d_out, sizeof *w->decoded))) return ERR_NOMEM;
    if (!(w->host_books = mem_new((int64_t)KSUB * d_out, sizeof(float)))) return ERR_NOMEM;
    if (!(w->host_code = mem_new(n * m, 1))) return ERR_NOMEM;
    if (!(w->host_err = mem_new(m, sizeof *w->host_err))) return ERR_NOMEM;
    if (!(w->cross = mem_new((int64_t)w->d * d_out, sizeof *w->cross))) return ERR_NOMEM;
    if (!(w->rot = mem_new((int64_t)w->d * w->d, sizeof *w->rot))) return ERR_NOMEM;
    w->x = (struct mat){.elem = ELEM_F32, .rows = n, .d = w->d};
    w->y = (struct mat){.elem = ELEM_F32, .rows = n, .d = d_out};
    if ((rc = ops->alloc(w->b, &w->x.data, (size_t)(n * w->d) * sizeof(float))) < 0) return rc;
    if ((rc = ops->alloc(w->b, &w->y.data, (size_t)(n * d_out) * sizeof(float))) < 0) return rc;
    if ((rc = ops->alloc(w->b, &w->books, (size_t)(KSUB * d_out) * sizeof(float))) < 0) return rc;
    if ((rc = ops->alloc(w->b, &w->code, (size_t)(n * m))) < 0) return rc;
    return ops->alloc(w->b, &w->err, (size_t)m * sizeof(double));
}

/* rows[n][d], of which the first d_in values of each are set: less their mean. */
static int centre(float *rows, int64_t n, int d, int d_in)
{
    double *mean = mem_new(d_in, sizeof *mean);

    if (!mean) return ERR_NOMEM;
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < d_in; j++)
            mean[j] += rows[i * d + j];
    for (int j = 0; j < d_in; j++)
        mean[j] /= (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < d_in; j++)
            rows[i * d + j] = (float)(rows[i * d + j] - mean[j]);
    mem_free(mean);
    return 0;
}

/* The sample, centred and padded, on host and device. */
static int take_rows(struct work *w, const struct mat *x, int64_t rows, int d_out)
{
    struct mat sample = {0};
    float *host = NULL;
    int rc;

    if ((rc = sample_rows(w->b, x, rows, OPQ_ROWS, w->desc->seed, &sample)) < 0) goto out;
    rc = ERR_NOMEM;
    if (!(host = mem_new(sample.rows * x->d, sizeof *host))) goto out;
    if ((rc = w->b->ops->download(w->b, host, sample.data, 0, sample.data.bytes)) < 0) goto out;
    w->b->ops->release(w->b, &sample.data); /* the work takes its place */
    if ((rc = work_alloc(w, sample.rows, d_out)) < 0) goto out;
    for (int64_t i = 0; i < sample.rows; i++)
        for (int j = 0; j < x->d; j++)
            w->rows[i * w->d + j] = host[i * x->d + j];
    mem_free(host);
    host = NULL;
    if ((rc = centre(w->rows, sample.rows, w->d, x->d)) < 0) goto out;
    rc = w->b->ops->upload(w->b, w->x.data, 0, w->rows, w->x.data.bytes);
out:
    w->b->ops->release(w->b, &sample.data);
    mem_free(host);
    return rc;
}

/* The rotation's rows are the first d_out of rot[.][d]. */
static void take_rotation(struct work *w)
{
    for (int64_t i = 0; i < (int64_t)w->r.d_out * w->d; i++)
        w->r.a[i] = (float)w->rot[i];
}

static void decode(const struct work *w)
{
    int m = w->desc->opq_m, d = w->r.d_out, dsub = d / m;

    for (int64_t i = 0; i < w->x.rows; i++)
        for (int s = 0; s < m; s++) {
            const float *word =
                w->host_books + ((int64_t)s * KSUB + w->host_code[i * m + s]) * dsub;

            for (int j = 0; j < dsub; j++)
                w->decoded[i * d + s * dsub + j] = word[j];
        }
}

/* Codebooks for the rows as they are rotated now, and what the rows' codes then say. */
static int requantize(struct work *w, int iteration)
{
    const struct backend_ops *ops = w->b->ops;
    struct pq_desc pq = {.m = w->desc->opq_m,
                         .seed = w->desc->seed,
                         .iterations = iteration ? PQ_ITERATIONS_AFTER : FIRST_PQ_ITERATIONS,
                         .go_on = iteration > 0};
    int rc;

    if ((rc = ops->transform(w->b, &w->x, &w->r, &w->y)) < 0) return rc;
    if ((rc = pq_train(w->b, &w->y, &pq, w->host_books)) < 0) return rc;
    if ((rc = ops->upload(w->b, w->books, 0, w->host_books, w->books.bytes)) < 0) return rc;
    if ((rc = ops->encode(w->b, &w->y, pq.m, w->books, w->code, w->err)) < 0) return rc;
    if ((rc = ops->download(w->b, w->host_code, w->code, 0, w->code.bytes)) < 0) return rc;
    if ((rc = ops->download(w->b, w->host_err, w->err, 0, w->err.bytes)) < 0) return rc;
    decode(w);
    return 0;
}

static int report(const struct work *w, int iteration)
{
    double total = 0;

    for (int s = 0; s < w->desc->opq_m; s++)
        total += w->host_err[s];
    return w->desc->step ? w->desc->step(w->desc->arg, iteration, total) : 0;
}

/* The rotation that brings the rows nearest to what is decoded. */
static int rerotate(struct work *w)
{
    int rc;

    if ((rc = dense_cross(w->rows, w->d, w->decoded, w->r.d_out, w->x.rows, w->cross)) < 0)
        return rc;
    if ((rc = dense_procrustes(w->cross, w->d, w->r.d_out, w->rot)) < 0) return rc;
    take_rotation(w);
    return 0;
}

int opq_train(struct transform *t, struct backend *b, const struct mat *x, int64_t rows,
              const struct transform_desc *desc)
{
    struct work w = {.b = b, .desc = desc, .d = larger(t->d_in, t->d_out)};
    int rc;

    if (desc->opq_m < 1 || t->d_out % desc->opq_m)
        return fail(ERR_INVALID, "OPQ%d: m does not divide d %d", desc->opq_m, t->d_out);
    if ((rc = take_rows(&w, x, rows, t->d_out)) < 0) goto out;
    if ((rc = dense_rotation(w.rot, w.d, desc->seed)) < 0) goto out;
    take_rotation(&w);
    for (int i = 0; i < OPQ_ITERATIONS; i++) {
        if ((rc = requantize(&w, i)) < 0) goto out;
        if ((rc = report(&w, i)) < 0) goto out;
        if ((rc = rerotate(&w)) < 0) goto out;
    }
    for (int i = 0; i < t->d_out; i++)
        for (int j = 0; j < t->d_in; j++)
            t->a[(int64_t)i * t->d_in + j] = w.r.a[(int64_t)i * w.d + j];
out:
    work_clear(&w);
    return rc;
}
