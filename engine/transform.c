#include "engine/transform.h"

#include <assert.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/dense.h"
#include "engine/opq.h"
#include "engine/sample.h"

enum {
    ROTATION_SEED = 5,     /* Faiss's, whatever the seed of the rest */
    BLOCK_BYTES = 16 << 20 /* rows in fp64 at a time */
};

int transform_alloc(struct transform *t, enum transform_kind kind, int d_in, int d_out)
{
    *t = (struct transform){0};
    if (kind == TRANSFORM_NONE) return 0;
    t->d_in = d_in;
    t->d_out = d_out;
    if (!(t->a = mem_new((int64_t)d_out * d_in, sizeof *t->a))) return ERR_NOMEM;
    if (kind == TRANSFORM_PCAR && !(t->b = mem_new(d_out, sizeof *t->b))) return ERR_NOMEM;
    return 0;
}

void transform_clear(struct transform *t)
{
    mem_free(t->a);
    mem_free(t->b);
    *t = (struct transform){0};
}

/* ---- PCAR ---- */

/* The sample, read a block at a time, and what is summed over it. */
struct pca {
    struct backend *b;
    const struct mat *x;
    int64_t *picked, count;
    struct mat block; /* on the device: some of the rows picked */
    float *host;      /* the same */
    double *wide;     /* the same, less the mean */
    double *mean;     /* [d] */
    double *gram;     /* [d][d]: covariance times count, then eigenvectors */
    double *value;    /* [d] */
};

static int64_t block_rows(int d)
{
    int64_t rows = BLOCK_BYTES / ((int64_t)d * (int64_t)sizeof(double));

    return rows < 1 ? 1 : rows;
}

static void pca_clear(struct pca *p)
{
    p->b->ops->release(p->b, &p->block.data);
    mem_free(p->picked);
    mem_free(p->host);
    mem_free(p->wide);
    mem_free(p->mean);
    mem_free(p->gram);
    mem_free(p->value);
}

static int pca_start(struct pca *p, int64_t rows, uint32_t seed)
{
    int d = p->x->d, rc;
    int64_t values = block_rows(d) * d;

    if ((rc = sample_pick(&p->picked, &p->count, rows, PCA_ROWS_PER_D * (int64_t)d, seed)) < 0)
        return rc;
    p->block = (struct mat){.elem = ELEM_F32, .d = d};
    if (!(p->host = mem_new(values, sizeof *p->host))) return ERR_NOMEM;
    if (!(p->wide = mem_new(values, sizeof *p->wide))) return ERR_NOMEM;
    if (!(p->mean = mem_new(d, sizeof *p->mean))) return ERR_NOMEM;
    if (!(p->gram = mem_new((int64_t)d * d, sizeof *p->gram))) return ERR_NOMEM;
    if (!(p->value = mem_new(d, sizeof *p->value))) return ERR_NOMEM;
    return p->b->ops->alloc(p->b, &p->block.data, (size_t)values * sizeof(float));
}

/* The rows picked from `from` on, as many as a block holds, into host and, less the mean, wide. */
static int pca_read(struct pca *p, int64_t from)
{
    int d = p->x->d, rc;
    int64_t left = p->count - from, most = block_rows(d);
    size_t bytes;

    p->block.rows = left < most ? left : most;
    bytes = (size_t)(p->block.rows * d) * sizeof(float);
    if ((rc = p->b->ops->gather(p->b, p->x, p->picked + from, &p->block)) < 0) return rc;
    if ((rc = p->b->ops->download(p->b, p->host, p->block.data, 0, bytes)) < 0) return rc;
    for (int64_t i = 0; i < p->block.rows; i++)
        for (int j = 0; j < d; j++)
            p->wide[i * d + j] = p->host[i * d + j] - p->mean[j];
    return 0;
}

/* Mean first, then the covariance of what is left: from sums of squares it would cancel. */
static int pca_sums(struct pca *p)
{
    int d = p->x->d, rc;
    double *sum = p->value; /* not in use yet */

    for (int64_t from = 0; from < p->count; from += p->block.rows) {
        if ((rc = pca_read(p, from)) < 0) return rc;
        for (int64_t i = 0; i < p->block.rows; i++)
            for (int j = 0; j < d; j++)
                sum[j] += p->wide[i * d + j];
    }
    for (int j = 0; j < d; j++)
        p->mean[j] = sum[j] / (double)p->count;
    for (int64_t from = 0; from < p->count; from += p->block.rows) {
        if ((rc = pca_read(p, from)) < 0) return rc;
        dense_add_gram(p->gram, p->wide, p->block.rows, d);
    }
    return 0;
}

/* a = a random rotation of the leading eigenvectors, b = -a mean. */
static int pca_finish(struct transform *out, const struct pca *p)
{
    int d = out->d_in, d_out = out->d_out, rc = ERR_NOMEM;
    double *rotation = mem_new((int64_t)d_out * d_out, sizeof *rotation);
    double *leading = mem_new((int64_t)d_out * d, sizeof *leading);
    double *a = mem_new((int64_t)d_out * d, sizeof *a);

    if (!rotation || !leading || !a) goto out;
    for (int i = 0; i < d_out; i++)
        for (int j = 0; j < d; j++)
            leading[(int64_t)i * d + j] = p->gram[(int64_t)(d - 1 - i) * d + j];
    if ((rc = dense_rotation(rotation, d_out, ROTATION_SEED)) < 0) goto out;
    dense_product(rotation, leading, d_out, d_out, d, a);
    for (int i = 0; i < d_out; i++) {
        double shift = 0;

        for (int j = 0; j < d; j++) {
            out->a[(int64_t)i * d + j] = (float)a[(int64_t)i * d + j];
            shift += a[(int64_t)i * d + j] * p->mean[j];
        }
        out->b[i] = (float)-shift;
    }
out:
    mem_free(rotation);
    mem_free(leading);
    mem_free(a);
    return rc;
}

static int pcar_train(struct transform *out, struct backend *b, const struct mat *x, int64_t rows,
                      const struct transform_desc *desc)
{
    struct pca p = {.b = b, .x = x};
    int rc;

    if ((rc = pca_start(&p, rows, desc->seed)) < 0) goto out;
    if ((rc = pca_sums(&p)) < 0) goto out;
    if ((rc = dense_eigen(p.gram, x->d, p.value)) < 0) goto out;
    rc = pca_finish(out, &p);
out:
    pca_clear(&p);
    return rc;
}

static void pcar_train_bytes(int d_in, int d_out, int64_t rows, size_t *host, size_t *device)
{
    size_t d = (size_t)d_in, out = (size_t)d_out, square = d * d * sizeof(double);
    size_t values = (size_t)block_rows(d_in) * d;

    /* the block twice; eigenvectors and LAPACK's workspace, two squares and a little; the end */
    *host = values * (sizeof(float) + sizeof(double)) + 3 * square + 8 * out * (2 * d + out) +
            (size_t)rows * sizeof(int64_t);
    *device = values * sizeof(float);
}

/* ---- either ---- */

int transform_train(struct transform *t, struct backend *b, const struct mat *x, int64_t rows,
                    const struct transform_desc *desc)
{
    assert(desc->kind != TRANSFORM_NONE && t->a && t->d_in == x->d);
    if (desc->kind == TRANSFORM_OPQ) return opq_train(t, b, x, rows, desc);
    if (t->d_out > t->d_in)
        return fail(ERR_INVALID, "PCAR%d: more than the data's %d dimensions", t->d_out, t->d_in);
    return pcar_train(t, b, x, rows, desc);
}

void transform_train_bytes(enum transform_kind kind, int opq_m, int d_in, int d_out, int64_t rows,
                           size_t *host, size_t *device)
{
    *host = *device = 0;
    if (kind == TRANSFORM_PCAR) pcar_train_bytes(d_in, d_out, rows, host, device);
    if (kind == TRANSFORM_OPQ) opq_train_bytes(opq_m, d_in, d_out, rows, host, device);
}
