#include "engine/ivf.h"

#include <assert.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/base/rand.h"
#include "engine/kmeans.h"
#include "engine/pq.h"

struct ivf {
    struct backend *b;
    struct ivf_desc desc;
    struct ivf_model model;
    struct lists *lists; /* NULL until there is a model */
    int64_t n, total;    /* vectors in it; vectors seen in the current pass */
    int pass;            /* passes ended */
    int64_t reserved_nq;
    int reserved_k, reserved_nprobe;
};

int ivf_create(struct ivf **out, struct backend *b, const struct ivf_desc *desc)
{
    struct ivf *ix;

    if (desc->d < 1 || desc->nlist < 1)
        return fail(ERR_INVALID, "index: d %d and nlist %lld must be positive", desc->d,
                    (long long)desc->nlist);
    if (desc->m < 0 || (desc->m && desc->d % desc->m))
        return fail(ERR_INVALID, "PQ%d: m does not divide d %d", desc->m, desc->d);
    if (!(ix = mem_new(1, sizeof *ix))) return ERR_NOMEM;
    ix->b = b;
    ix->desc = *desc;
    *out = ix;
    return 0;
}

static void model_clear(struct ivf *ix)
{
    mem_free(ix->model.coarse);
    mem_free(ix->model.books);
    ix->model = (struct ivf_model){0};
}

void ivf_free(struct ivf *ix)
{
    if (!ix) return;
    ix->b->ops->lists_free(ix->b, ix->lists);
    model_clear(ix);
    mem_free(ix);
}

static int64_t coarse_floats(const struct ivf *ix)
{
    return ix->desc.nlist * ix->desc.d;
}

static int64_t book_floats(const struct ivf *ix)
{
    return ix->desc.m ? (int64_t)KSUB * ix->desc.d : 0; /* m * KSUB * dsub */
}

static int model_alloc(struct ivf *ix)
{
    model_clear(ix); /* of a training that failed */
    if (!(ix->model.coarse = mem_new(coarse_floats(ix), sizeof(float)))) return ERR_NOMEM;
    if (!ix->desc.m) return 0;
    return (ix->model.books = mem_new(book_floats(ix), sizeof(float))) ? 0 : ERR_NOMEM;
}

static int make_lists(struct ivf *ix)
{
    const struct ivf_desc *desc = &ix->desc;
    struct lists_desc lists = {
        .d = desc->d, .nlist = desc->nlist, .m = desc->m, .storage = desc->storage, .n = desc->n};

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

/* At most PQ_TRAIN_MAX of the first rows of x, drawn as Faiss's fvecs_maybe_subsample does. */
static int sample_rows(struct ivf *ix, const struct mat *x, int64_t rows, struct mat *out)
{
    int64_t *perm = mem_new(rows, sizeof *perm);
    size_t bytes = 0;
    int rc = ERR_NOMEM;

    if (!perm) goto out;
    for (int64_t i = 0; i < rows; i++)
        perm[i] = i;
    if (rows > PQ_TRAIN_MAX) rand_perm(perm, rows, ix->desc.seed);
    *out = (struct mat){
        .elem = ELEM_F32, .rows = rows < PQ_TRAIN_MAX ? rows : PQ_TRAIN_MAX, .d = x->d};
    if ((rc = mem_bytes(&bytes, out->rows * out->d, sizeof(float))) < 0) goto out;
    if ((rc = ix->b->ops->alloc(ix->b, &out->data, bytes)) < 0) goto out;
    rc = ix->b->ops->gather(ix->b, x, perm, out);
out:
    mem_free(perm);
    return rc;
}

/* Codebooks of the residuals of a sample of x. */
static int train_books(struct ivf *ix, const struct mat *x, int64_t rows)
{
    const struct backend_ops *ops = ix->b->ops;
    struct pq_desc pq = {.m = ix->desc.m, .seed = ix->desc.seed, .step = books_step, .arg = ix};
    struct mat sample = {0}, coarse = {.elem = ELEM_F32, .rows = ix->desc.nlist, .d = ix->desc.d};
    struct buf list = {0};
    int rc;

    if ((rc = sample_rows(ix, x, rows, &sample)) < 0) goto out;
    if ((rc = ops->alloc(ix->b, &coarse.data, (size_t)coarse_floats(ix) * sizeof(float))) < 0)
        goto out;
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

int ivf_train(struct ivf *ix, const struct mat *x, int64_t pq_rows)
{
    struct kmeans_desc kmeans = {.nlist = ix->desc.nlist,
                                 .iterations = ix->desc.coarse_iterations,
                                 .seed = ix->desc.seed,
                                 .step = coarse_step,
                                 .arg = ix};
    struct kmeans_report report;
    int64_t bad = -1;
    int rc;

    assert(!ix->lists && x->d == ix->desc.d);
    if ((rc = ix->b->ops->finite(ix->b, x, &bad)) < 0) return rc;
    if (bad >= 0)
        return fail(ERR_FORMAT, "training vector %lld holds a NaN or an infinity", (long long)bad);
    if ((rc = model_alloc(ix)) < 0) return rc;
    if ((rc = kmeans_train(ix->b, x, &kmeans, ix->model.coarse, &report)) < 0) return rc;
    if (ix->desc.m && (rc = train_books(ix, x, pq_rows < x->rows ? pq_rows : x->rows)) < 0)
        return rc;
    return make_lists(ix);
}

const struct ivf_model *ivf_model(const struct ivf *ix)
{
    return ix->lists ? &ix->model : NULL;
}

int ivf_set_model(struct ivf *ix, const struct ivf_model *model)
{
    int rc;

    assert(!ix->lists && model->coarse && (model->books || !ix->desc.m));
    if ((rc = model_alloc(ix)) < 0) return rc;
    memcpy(ix->model.coarse, model->coarse, (size_t)coarse_floats(ix) * sizeof(float));
    if (ix->desc.m) memcpy(ix->model.books, model->books, (size_t)book_floats(ix) * sizeof(float));
    return make_lists(ix);
}

/* ---- filling ---- */

int ivf_passes(const struct ivf *ix)
{
    assert(ix->lists);
    return ix->b->ops->lists_passes(ix->lists);
}

int ivf_add(struct ivf *ix, const struct block *x)
{
    int64_t all = ix->desc.n * ivf_passes(ix), most = ix->pass ? ix->n : ix->desc.n;
    int rc;

    assert(x->d == ix->desc.d && ix->pass < ivf_passes(ix));
    if (ix->total + x->rows > most)
        return fail(ERR_INVALID, "add: more than the %lld vectors %s", (long long)most,
                    ix->pass ? "of the first pass" : "announced");
    if ((rc = ix->b->ops->lists_add(ix->b, ix->lists, x)) < 0) return rc;
    ix->total += x->rows;
    return report_progress(ix, "add", ix->pass * ix->desc.n + ix->total, all);
}

int ivf_end_pass(struct ivf *ix)
{
    int rc;

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

int ivf_imbalance(const struct ivf *ix, double *out)
{
    int64_t *size = mem_new(ix->desc.nlist, sizeof *size);
    double squares = 0;
    int rc = ERR_NOMEM;

    if (!size) goto out;
    if ((rc = ix->b->ops->lists_sizes(ix->b, ix->lists, size)) < 0) goto out;
    for (int64_t j = 0; j < ix->desc.nlist; j++)
        squares += (double)size[j] * (double)size[j];
    *out = ix->n ? (double)ix->desc.nlist * squares / ((double)ix->n * (double)ix->n) : 1;
out:
    mem_free(size);
    return rc;
}

/* ---- search ---- */

int ivf_reserve(struct ivf *ix, int64_t nq, int k, int nprobe)
{
    int rc;

    if (k < 1 || k > K_MAX) return fail(ERR_INVALID, "k %d is not in 1 ... %d", k, K_MAX);
    if (nprobe < 1 || nprobe > ix->desc.nlist)
        return fail(ERR_INVALID, "nprobe %d is not in 1 ... nlist %lld", nprobe,
                    (long long)ix->desc.nlist);
    if ((rc = ix->b->ops->lists_reserve(ix->b, ix->lists, nq, k, nprobe)) < 0) return rc;
    ix->reserved_nq = nq;
    ix->reserved_k = k;
    ix->reserved_nprobe = nprobe;
    return 0;
}

int ivf_search(struct ivf *ix, const float *q, int64_t nq, int k, int nprobe, float *dist, vid *ids)
{
    if (k < 1 || nprobe < 1 || k > ix->reserved_k || nprobe > ix->reserved_nprobe ||
        nq > ix->reserved_nq)
        return fail(ERR_INVALID,
                    "search: nq %lld, k %d, nprobe %d pass what was reserved: %lld, %d, %d",
                    (long long)nq, k, nprobe, (long long)ix->reserved_nq, ix->reserved_k,
                    ix->reserved_nprobe);
    return ix->b->ops->lists_search(ix->b, ix->lists, q, nq, k, nprobe, dist, ids);
}
