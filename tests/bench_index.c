/* An index from host memory: trained, filled. */
#include <string.h>

#include "engine/base/mem.h"
#include "engine/ivf.h"
#include "harness/plan.h"
#include "tests/bench_sections.h"

enum { ITERATIONS = 10, SEED = 1234, REPEATS = 3 };

struct index_job {
    struct backend *b;
    const struct bench_set *set;
    struct ivf_desc desc;
    struct ivf_model model; /* what fills; owned */
    struct ivf *ix;         /* NULL, or filled */
    void *learn;            /* host, [nt][d] */
    int64_t nt;
    char note[160];
};

void bench_key(const struct ivf_desc *desc, char key[32])
{
    if (desc->m)
        snprintf(key, 32, "IVF%lld,PQ%d", (long long)desc->nlist, desc->m);
    else
        snprintf(key, 32, "IVF%lld,Flat", (long long)desc->nlist);
}

static void index_clear(struct index_job *job)
{
    ivf_free(job->ix);
    ivf_model_clear(&job->model);
    mem_free(job->learn);
}

static size_t row_bytes(const struct bench_set *set)
{
    return (size_t)set->d * elem_bytes(set->elem);
}

/* ---- training ---- */

static int copy_model(struct index_job *job, const struct ivf_model *model)
{
    size_t coarse = (size_t)(job->desc.nlist * job->desc.d) * sizeof(float);
    int rc;

    ivf_model_clear(&job->model);
    if ((rc = ivf_model_alloc(&job->model, &job->desc)) < 0) return rc;
    memcpy(job->model.coarse, model->coarse, coarse);
    if (job->desc.m)
        memcpy(job->model.books, model->books, sizeof(float) * KSUB * (size_t)job->desc.d);
    return 0;
}

/* From rows in host memory to an index that waits for vectors. */
static int run_train(void *arg)
{
    struct index_job *job = arg;
    const struct backend_ops *ops = job->b->ops;
    struct mat x = {.elem = job->set->elem, .rows = job->nt, .d = job->set->d};
    size_t bytes = (size_t)job->nt * row_bytes(job->set);
    int rc;

    if ((rc = ivf_create(&job->ix, job->b, &job->desc)) < 0) return rc;
    if ((rc = ops->alloc(job->b, &x.data, bytes)) < 0) return rc;
    if ((rc = ops->upload(job->b, x.data, 0, job->learn, bytes)) == 0)
        rc = ivf_train(job->ix, &x, x.rows);
    ops->release(job->b, &x.data);
    return rc;
}

static int clear_train(void *arg)
{
    struct index_job *job = arg;
    int rc = copy_model(job, ivf_model(job->ix));

    ivf_free(job->ix);
    job->ix = NULL;
    return rc;
}

static int train(const struct bench *t, struct index_job *job)
{
    struct bench_job line = {
        .repeats = REPEATS, .run = run_train, .clear = clear_train, .arg = job};
    char key[32];
    int rc;

    if (!(job->learn = mem_new(job->nt, row_bytes(job->set)))) return ERR_NOMEM;
    if ((rc = bench_rows(job->set, t, PART_LEARN, 0, job->nt, job->learn)) < 0) return rc;
    bench_key(&job->desc, key);
    snprintf(line.name, sizeof line.name, "train %s on %lld x %d %s", key, (long long)job->nt,
             job->set->d, elem_name(job->set->elem));
    line.work.products = 2.0 * ITERATIONS * (double)job->nt * (double)job->desc.nlist * job->set->d;
    line.work.bus = (double)job->nt * (double)row_bytes(job->set);
    line.work.memory = 2 * ITERATIONS * line.work.bus;
    return bench_run(t, &line);
}

/* Codeword j of slice s: slice s of training row j less training row KSUB + j. */
static int borrow_books(const struct bench *t, struct index_job *job)
{
    int d = job->set->d, dsub = d / job->desc.m, rc = ERR_NOMEM;
    void *rows = mem_new(2 * KSUB, row_bytes(job->set));
    float *x = mem_new((int64_t)2 * KSUB * d, sizeof *x);

    if (!rows || !x) goto out;
    if ((rc = bench_rows(job->set, t, PART_LEARN, 0, 2 * KSUB, rows)) < 0) goto out;
    elem_to_floats(job->set->elem, rows, (int64_t)2 * KSUB * d, x);
    for (int64_t at = 0; at < (int64_t)KSUB * d; at++) {
        int64_t s = at / (KSUB * dsub), j = at / dsub % KSUB, i = j * d + s * dsub + at % dsub;

        job->model.books[at] = x[i] - x[(int64_t)KSUB * d + i];
    }
out:
    mem_free(rows);
    mem_free(x);
    return rc;
}

static int borrow_model(const struct bench *t, struct index_job *job)
{
    struct mat on_device = {0};
    float *c = NULL;
    int rc;

    if ((rc = ivf_model_alloc(&job->model, &job->desc)) < 0) return rc;
    if ((rc = bench_centroids(job->set, t, job->desc.nlist, &c, &on_device)) == 0) {
        mem_free(job->model.coarse);
        job->model.coarse = c;
    }
    t->b->ops->release(t->b, &on_device.data);
    return rc < 0 || !job->desc.m ? rc : borrow_books(t, job);
}

/* ---- filling ---- */

static int fill_pass(struct ivf *ix, const struct bench_set *set, int64_t n)
{
    size_t row = row_bytes(set);
    int64_t some = PLAN_BLOCK_BYTES / (int64_t)row;
    int rc = 0;

    for (int64_t i = 0; i < n && rc == 0; i += some) {
        struct block x = {set->elem, set->d, some, (const char *)set->base + (size_t)i * row, i};

        if (n - i < some) x.rows = n - i;
        rc = ivf_add(ix, &x);
    }
    return rc < 0 ? rc : ivf_end_pass(ix);
}

int bench_fill(struct ivf *ix, const struct bench_set *set, int64_t n)
{
    int passes = ivf_passes(ix), rc = passes < 0 ? passes : 0;

    for (int pass = 0; pass < passes && rc == 0; pass++)
        rc = fill_pass(ix, set, n);
    return rc;
}

/* From a model to an index that can be searched: its memory is taken in here, too. */
static int run_fill(void *arg)
{
    struct index_job *job = arg;
    double imbalance = 0;
    int rc;

    if ((rc = ivf_create(&job->ix, job->b, &job->desc)) < 0) return rc;
    if ((rc = ivf_set_model(job->ix, &job->model)) < 0) return rc;
    if ((rc = bench_fill(job->ix, job->set, job->desc.n)) < 0) return rc;
    if ((rc = ivf_imbalance(job->ix, &imbalance)) < 0) return rc;
    snprintf(job->note, sizeof job->note, "%d pass%s, imbalance %.3f, %s", ivf_passes(job->ix),
             ivf_passes(job->ix) == 1 ? "" : "es", imbalance,
             job->nt ? "trained centroids" : "centroids are training rows");
    return 0;
}

static int clear_fill(void *arg)
{
    struct index_job *job = arg;

    ivf_free(job->ix);
    job->ix = NULL;
    return 0;
}

static int fill(const struct bench *t, struct index_job *job)
{
    struct bench_job line = {.repeats = REPEATS, .warm = 1, .run = run_fill, .clear = clear_fill};
    double n = (double)job->desc.n, row = (double)row_bytes(job->set);
    char key[32];

    line.arg = job;
    line.note = job->note;
    bench_key(&job->desc, key);
    snprintf(line.name, sizeof line.name, "add %s, %lld x %d %s", key, (long long)job->desc.n,
             job->set->d, elem_name(job->set->elem));
    line.work.products = 2 * n * job->set->d * ((double)job->desc.nlist + (job->desc.m ? KSUB : 0));
    line.work.bus = n * row;
    line.work.memory = n * (row + 4 + (job->desc.m ? job->desc.m : row));
    return bench_run(t, &line);
}

int bench_index(struct bench *t, struct bench_set *set, struct bench_index_size size)
{
    struct index_job job = {.b = t->b, .set = set};
    int rc;

    if (size.nt) job.nt = bench_scaled(t, size.nt, 1000);
    job.desc = (struct ivf_desc){.d = set->d,
                                 .nlist = bench_scaled(t, size.nlist, 16),
                                 .m = size.m,
                                 .storage = set->elem,
                                 .n = bench_scaled(t, size.n, 1000),
                                 .seed = SEED,
                                 .coarse_iterations = ITERATIONS};
    if ((rc = bench_set_fill(set, t, job.desc.n, set->nq)) < 0) goto out;
    if ((rc = job.nt ? train(t, &job) : borrow_model(t, &job)) < 0) goto out;
    rc = fill(t, &job);
out:
    index_clear(&job);
    return rc;
}
