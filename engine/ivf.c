#include "engine/ivf.h"

#include <assert.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/kmeans.h"
#include "engine/pq.h"
#include "engine/sample.h"
#include "engine/transform.h"

struct ivf {
    struct backend *b;
    struct ivf_desc desc;
    struct ivf_model model;
    int trained;         /* there is a model */
    struct lists *lists; /* NULL until something is to be put into them */
    int64_t n, total;    /* vectors in it; vectors seen in the current pass */
    int pass;            /* passes ended */
    struct search_desc reserved;
};

/* Of the space that lists live in. */
static int d_out(const struct ivf_desc *desc)
{
    return desc->transform == TRANSFORM_NONE || !desc->d_out ? desc->d : desc->d_out;
}

static int check_desc(const struct ivf_desc *desc)
{
    if (desc->d < 1 || desc->nlist < 1 || desc->d_out < 0)
        return fail(ERR_INVALID, "index: d %d and nlist %lld must be positive", desc->d,
                    (long long)desc->nlist);
    if (desc->m < 0 || (desc->m && d_out(desc) % desc->m))
        return fail(ERR_INVALID, "PQ%d: m does not divide d %d", desc->m, d_out(desc));
    if (desc->transform == TRANSFORM_OPQ && (desc->opq_m < 1 || d_out(desc) % desc->opq_m))
        return fail(ERR_INVALID, "OPQ%d: m does not divide d %d", desc->opq_m, d_out(desc));
    if (desc->transform == TRANSFORM_PCAR && d_out(desc) > desc->d)
        return fail(ERR_INVALID, "PCAR%d: more than the data's %d dimensions", d_out(desc),
                    desc->d);
    if (desc->transform != TRANSFORM_NONE && !desc->m && desc->storage != ELEM_F32 &&
        desc->storage != ELEM_F16)
        return fail(ERR_INVALID, "storage %s cannot hold transformed vectors: use f32 or f16",
                    elem_name(desc->storage));
    return 0;
}

int ivf_create(struct ivf **out, struct backend *b, const struct ivf_desc *desc)
{
    struct ivf *ix;
    int rc;

    if ((rc = check_desc(desc)) < 0) return rc;
    if (!(ix = mem_new(1, sizeof *ix))) return ERR_NOMEM;
    ix->b = b;
    ix->desc = *desc;
    ix->desc.d_out = d_out(desc);
    *out = ix;
    return 0;
}

void ivf_free(struct ivf *ix)
{
    if (!ix) return;
    ix->b->ops->lists_free(ix->b, ix->lists);
    ivf_model_clear(&ix->model);
    mem_free(ix);
}

/* ---- the model ---- */

static int64_t coarse_floats(const struct ivf_desc *desc)
{
    return desc->nlist * d_out(desc);
}

static int64_t book_floats(const struct ivf_desc *desc)
{
    return desc->m ? (int64_t)KSUB * d_out(desc) : 0; /* m * KSUB * dsub */
}

int ivf_model_alloc(struct ivf_model *model, const struct ivf_desc *desc)
{
    int rc;

    *model = (struct ivf_model){0};
    if ((rc = transform_alloc(&model->transform, desc->transform, desc->d, d_out(desc))) < 0)
        return rc;
    if (!(model->coarse = mem_new(coarse_floats(desc), sizeof(float)))) return ERR_NOMEM;
    if (!desc->m) return 0;
    return (model->books = mem_new(book_floats(desc), sizeof(float))) ? 0 : ERR_NOMEM;
}

void ivf_model_clear(struct ivf_model *model)
{
    transform_clear(&model->transform);
    mem_free(model->coarse);
    mem_free(model->books);
    *model = (struct ivf_model){0};
}

static void copy_floats(float *dst, const float *src, int64_t n)
{
    if (n) memcpy(dst, src, (size_t)n * sizeof *dst);
}

/* Not before they are wanted: what trained the model has been given back by then. */
static int need_lists(struct ivf *ix)
{
    const struct ivf_desc *desc = &ix->desc;
    const struct transform *transform = &ix->model.transform;
    struct lists_desc lists = {.d = desc->d_out,
                               .nlist = desc->nlist,
                               .m = desc->m,
                               .storage = desc->storage,
                               .n = desc->n,
                               .transform = transform->a ? transform : NULL};

    assert(ix->trained);
    if (ix->lists) return 0;
    return ix->b->ops->lists_create(ix->b, &ix->lists, &lists, ix->model.coarse, ix->model.books);
}

/* ---- training ---- */

static int report_progress(struct ivf *ix, const char *stage, int64_t done, int64_t total)
{
    return ix->desc.progress ? ix->desc.progress(ix->desc.arg, stage, done, total) : 0;
}

static int coarse_step(void *arg, int iteration, double objective)
{
    struct ivf *ix = arg;

    (void)objective;
    return report_progress(ix, "train", iteration + 1, ix->desc.coarse_iterations);
}

static int books_step(void *arg, int iteration, double objective)
{
    (void)objective;
    return report_progress(arg, "train codes", iteration + 1, PQ_ITERATIONS);
}

static int transform_step(void *arg, int iteration, double objective)
{
    (void)objective;
    return report_progress(arg, "train transform", iteration + 1, OPQ_ITERATIONS);
}

/* Learns the transform, and y = x transformed. */
static int train_transform(struct ivf *ix, const struct mat *x, int64_t rows, struct mat *y)
{
    struct transform_desc desc = {.kind = ix->desc.transform,
                                  .opq_m = ix->desc.opq_m,
                                  .seed = ix->desc.seed,
                                  .step = transform_step,
                                  .arg = ix};
    size_t bytes = 0;
    int rc;

    *y = (struct mat){.elem = ELEM_F32, .rows = x->rows, .d = ix->desc.d_out};
    if ((rc = transform_train(&ix->model.transform, ix->b, x, rows, &desc)) < 0) return rc;
    if ((rc = mem_bytes(&bytes, y->rows * y->d, sizeof(float))) < 0) return rc;
    if ((rc = ix->b->ops->alloc(ix->b, &y->data, bytes)) < 0) return rc;
    return ix->b->ops->transform(ix->b, x, &ix->model.transform, y);
}

/* Codebooks of the residuals of a sample of x. */
static int train_books(struct ivf *ix, const struct mat *x, int64_t rows)
{
    const struct backend_ops *ops = ix->b->ops;
    struct pq_desc pq = {.m = ix->desc.m, .seed = ix->desc.seed, .step = books_step, .arg = ix};
    struct mat sample = {0}, coarse = {.elem = ELEM_F32, .rows = ix->desc.nlist, .d = x->d};
    struct buf list = {0};
    size_t bytes;
    int rc;

    if ((rc = sample_rows(ix->b, x, rows, PQ_TRAIN_MAX, ix->desc.seed, &sample)) < 0) goto out;
    bytes = (size_t)coarse_floats(&ix->desc) * sizeof(float);
    if ((rc = ops->alloc(ix->b, &coarse.data, bytes)) < 0) goto out;
    if ((rc = ops->upload(ix->b, coarse.data, 0, ix->model.coarse, coarse.data.bytes)) < 0)
        goto out;
    if ((rc = ops->alloc(ix->b, &list, (size_t)sample.rows * sizeof(int32_t))) < 0) goto out;
    if ((rc = ops->assign(ix->b, &sample, &coarse, list, NULL)) < 0) goto out;
    if ((rc = ops->residuals(ix->b, &sample, list, &coarse, &sample)) < 0) goto out;
    rc = pq_train(ix->b, &sample, &pq, ix->model.books);
out:
    ops->release(ix->b, &sample.data);
    ops->release(ix->b, &coarse.data);
    ops->release(ix->b, &list);
    return rc;
}

/* Centroids, then codebooks, of vectors that have been transformed. */
static int train_lists(struct ivf *ix, const struct mat *x, int64_t head)
{
    struct kmeans_desc kmeans = {.nlist = ix->desc.nlist,
                                 .iterations = ix->desc.coarse_iterations,
                                 .seed = ix->desc.seed,
                                 .step = coarse_step,
                                 .arg = ix};
    struct kmeans_report report;
    int rc;

    if (ix->desc.coarse)
        copy_floats(ix->model.coarse, ix->desc.coarse, coarse_floats(&ix->desc));
    else if ((rc = kmeans_train(ix->b, x, &kmeans, ix->model.coarse, &report)) < 0)
        return rc;
    return ix->desc.m ? train_books(ix, x, head) : 0;
}

int ivf_train(struct ivf *ix, const struct mat *x, int64_t head)
{
    const struct backend_ops *ops = ix->b->ops;
    struct mat y = {0};
    int64_t bad = -1;
    int rc;

    assert(!ix->trained && x->d == ix->desc.d);
    if (head > x->rows) head = x->rows;
    if ((rc = ops->finite(ix->b, x, &bad)) < 0) return rc;
    if (bad >= 0)
        return fail(ERR_FORMAT, "training vector %lld holds a NaN or an infinity", (long long)bad);
    ivf_model_clear(&ix->model); /* of a training that failed */
    if ((rc = ivf_model_alloc(&ix->model, &ix->desc)) < 0) goto out;
    if (ix->desc.transform != TRANSFORM_NONE && (rc = train_transform(ix, x, head, &y)) < 0)
        goto out;
    if ((rc = train_lists(ix, y.data.ptr ? &y : x, head)) < 0) goto out;
    ix->trained = 1;
out:
    ops->release(ix->b, &y.data);
    return rc;
}

const struct ivf_model *ivf_model(const struct ivf *ix)
{
    return ix->trained ? &ix->model : NULL;
}

int ivf_set_model(struct ivf *ix, const struct ivf_model *model)
{
    const struct ivf_desc *desc = &ix->desc;
    struct transform *t = &ix->model.transform;
    int rc;

    assert(!ix->trained && model->coarse && (model->books || !desc->m));
    assert(model->transform.a || desc->transform == TRANSFORM_NONE);
    ivf_model_clear(&ix->model);
    if ((rc = ivf_model_alloc(&ix->model, desc)) < 0) return rc;
    copy_floats(t->a, model->transform.a, (int64_t)t->d_in * t->d_out);
    copy_floats(t->b, model->transform.b, t->b ? t->d_out : 0);
    copy_floats(ix->model.coarse, model->coarse, coarse_floats(desc));
    copy_floats(ix->model.books, model->books, book_floats(desc));
    ix->trained = 1;
    return 0;
}

/* ---- filling ---- */

int ivf_passes(struct ivf *ix)
{
    int rc = need_lists(ix);

    return rc < 0 ? rc : ix->b->ops->lists_passes(ix->lists);
}

int ivf_add(struct ivf *ix, const struct block *x)
{
    int64_t most = ix->pass ? ix->n : ix->desc.n;
    int passes = ivf_passes(ix), rc;

    if (passes < 0) return passes;
    assert(x->d == ix->desc.d && ix->pass < passes);
    if (ix->total + x->rows > most)
        return fail(ERR_INVALID, "add: more than the %lld vectors %s", (long long)most,
                    ix->pass ? "of the first pass" : "announced");
    if ((rc = ix->b->ops->lists_add(ix->b, ix->lists, x)) < 0) return rc;
    ix->total += x->rows;
    return report_progress(ix, "add", ix->pass * ix->desc.n + ix->total, ix->desc.n * passes);
}

int ivf_end_pass(struct ivf *ix)
{
    int rc;

    if ((rc = need_lists(ix)) < 0) return rc;
    if (ix->pass && ix->total != ix->n)
        return fail(ERR_INVALID, "add: pass %d brought %lld vectors, the first %lld", ix->pass + 1,
                    (long long)ix->total, (long long)ix->n);
    if ((rc = ix->b->ops->lists_end_pass(ix->b, ix->lists)) < 0) return rc;
    ix->n = ix->total;
    ix->total = 0;
    ix->pass++;
    return 0;
}

int64_t ivf_n(const struct ivf *ix)
{
    return ix->n;
}

int ivf_imbalance(struct ivf *ix, double *out)
{
    int64_t *size = mem_new(ix->desc.nlist, sizeof *size);
    double squares = 0;
    int rc = ERR_NOMEM;

    if (!size) goto out;
    if ((rc = need_lists(ix)) < 0) goto out;
    if ((rc = ix->b->ops->lists_sizes(ix->b, ix->lists, size)) < 0) goto out;
    for (int64_t j = 0; j < ix->desc.nlist; j++)
        squares += (double)size[j] * (double)size[j];
    *out = ix->n ? (double)ix->desc.nlist * squares / ((double)ix->n * (double)ix->n) : 1;
out:
    mem_free(size);
    return rc;
}

/* ---- search ---- */

int ivf_reserve(struct ivf *ix, const struct search_desc *s)
{
    int rc;

    if (s->k < 1 || s->k > K_MAX) return fail(ERR_INVALID, "k %d is not in 1 ... %d", s->k, K_MAX);
    if (s->nprobe < 1 || s->nprobe > ix->desc.nlist)
        return fail(ERR_INVALID, "nprobe %d is not in 1 ... nlist %lld", s->nprobe,
                    (long long)ix->desc.nlist);
    if ((rc = need_lists(ix)) < 0) return rc;
    if ((rc = ix->b->ops->lists_reserve(ix->b, ix->lists, s)) < 0) return rc;
    ix->reserved = *s;
    return 0;
}

int ivf_search(struct ivf *ix, const float *q, int64_t nq, int k, int nprobe, float *dist, vid *ids)
{
    const struct search_desc *most = &ix->reserved;

    if (k < 1 || nprobe < 1 || k > most->k || nprobe > most->nprobe || nq > most->nq)
        return fail(ERR_INVALID,
                    "search: nq %lld, k %d, nprobe %d pass what was reserved: %lld, %d, %d",
                    (long long)nq, k, nprobe, (long long)most->nq, most->k, most->nprobe);
    return ix->b->ops->lists_search(ix->b, ix->lists, q, nq, k, nprobe, dist, ids);
}
