/* Training and truth as a whole: what a user waits for. */
#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/base/rand.h"
#include "engine/base/stats.h"
#include "engine/kmeans.h"
#include "engine/truth.h"
#include "tests/bench_sections.h"

enum { ITERATIONS = 10, SEED = 1234, REPEATS = 3 };
enum { K = 100, QUERIES = 10000 };

/* ---- k-means ---- */

struct kmeans_job {
    struct backend *b;
    struct mat x;
    int64_t nlist;
    float *c; /* [nlist][d] */
    int64_t start;
    double iteration[ITERATIONS]; /* seconds */
    struct kmeans_report report;
    char note[160];
};

static int kmeans_step(void *arg, int iteration, double objective)
{
    struct kmeans_job *job = arg;
    int64_t now = clock_ns();

    (void)objective;
    job->iteration[iteration] = (double)(now - job->start) * 1e-9;
    job->start = now;
    return 0;
}

static int run_kmeans(void *arg)
{
    struct kmeans_job *job = arg;
    struct kmeans_desc desc = {.nlist = job->nlist,
                               .iterations = ITERATIONS,
                               .seed = SEED,
                               .step = kmeans_step,
                               .arg = job};
    int rc;

    job->start = clock_ns();
    if ((rc = kmeans_train(job->b, &job->x, &desc, job->c, &job->report)) < 0) return rc;
    snprintf(job->note, sizeof job->note,
             "objective %.9g, imbalance %.3f, %lld splits, median iteration %.3f ms",
             job->report.objective, job->report.imbalance, (long long)job->report.splits,
             1e3 * stats_median(job->iteration, ITERATIONS));
    return 0;
}

/* As <set>_<name>_<training rows>_<nlist>. */
static int write_centroids(const struct bench *t, const struct bench_set *set,
                           const struct kmeans_job *job, const char *name)
{
    char sized[64];

    snprintf(sized, sizeof sized, "%s_%lld_%lld", name, (long long)job->x.rows,
             (long long)job->nlist);
    return bench_write(set, t, sized, ELEM_F32, job->c, job->nlist);
}

/* The rows that kmeans_train starts from, drawn as its header says. */
static int write_start(const struct bench *t, const struct bench_set *set, struct kmeans_job *job)
{
    const struct backend_ops *ops = t->b->ops;
    struct mat start = {.elem = ELEM_F32, .rows = job->nlist, .d = set->d};
    size_t bytes = (size_t)(job->nlist * set->d) * sizeof(float);
    int64_t *perm = mem_new(job->x.rows, sizeof *perm);
    int rc = ERR_NOMEM;

    if (!perm) goto out;
    rand_perm(perm, job->x.rows, SEED + 1);
    if ((rc = ops->alloc(t->b, &start.data, bytes)) < 0) goto out;
    if ((rc = ops->gather(t->b, &job->x, perm, &start)) < 0) goto out;
    if ((rc = ops->download(t->b, job->c, start.data, 0, bytes)) < 0) goto out;
    rc = write_centroids(t, set, job, "start");
out:
    ops->release(t->b, &start.data);
    mem_free(perm);
    return rc;
}

static int write_learn(const struct bench *t, const struct bench_set *set, const struct mat *x)
{
    void *rows = mem_new(x->rows * x->d, elem_bytes(x->elem));
    char name[64];
    int rc = ERR_NOMEM;

    if (!rows || (rc = t->b->ops->download(t->b, rows, x->data, 0, x->data.bytes)) < 0) goto out;
    snprintf(name, sizeof name, "learn_%lld", (long long)x->rows);
    rc = bench_write(set, t, name, x->elem, rows, x->rows);
out:
    mem_free(rows);
    return rc;
}

int bench_kmeans(struct bench *t, const struct bench_set *set, struct bench_kmeans_size size)
{
    int64_t n = bench_scaled(t, size.n, 1000), nlist = bench_scaled(t, size.nlist, 16);
    struct kmeans_job work = {.b = t->b, .nlist = nlist};
    struct bench_job job = {.repeats = REPEATS, .warm = 1, .run = run_kmeans};
    int rc;

    job.arg = &work;
    job.note = work.note;
    if ((rc = bench_mat(set, t, n, &work.x)) < 0) goto out;
    rc = ERR_NOMEM;
    if (!(work.c = mem_new(nlist * set->d, sizeof *work.c))) goto out;
    if (t->folder && (rc = write_start(t, set, &work)) < 0) goto out;
    if (t->folder && (rc = write_learn(t, set, &work.x)) < 0) goto out;
    snprintf(job.name, sizeof job.name, "k-means %lld x %d %s -> %lld", (long long)n, set->d,
             elem_name(set->elem), (long long)nlist);
    job.work.products = 2.0 * ITERATIONS * (double)n * (double)nlist * set->d;
    job.work.memory = 2.0 * ITERATIONS * (double)work.x.data.bytes; /* assign and means */
    if ((rc = bench_run(t, &job)) < 0) goto out;
    if (t->folder) rc = write_centroids(t, set, &work, "centroids");
out:
    t->b->ops->release(t->b, &work.x.data);
    mem_free(work.c);
    return rc;
}

/* ---- truth ---- */

struct truth_job {
    struct backend *b;
    const struct bench_set *set;
    int64_t n, block_rows;
    float *dist;
    vid *ids;
    char note[160];
};

static int add_blocks(const struct truth_job *job, struct truth *truth)
{
    size_t row = (size_t)job->set->d * elem_bytes(job->set->elem);
    int rc = 0;

    for (int64_t i = 0; i < job->n && rc == 0; i += job->block_rows) {
        struct block x = {job->set->elem, job->set->d, job->block_rows,
                          (const char *)job->set->base + (size_t)i * row, i};

        if (job->n - i < x.rows) x.rows = job->n - i;
        rc = truth_add(truth, &x);
    }
    return rc;
}

static int run_truth(void *arg)
{
    struct truth_job *job = arg;
    struct truth *truth = NULL;
    int rc;

    if ((rc = truth_create(&truth, job->b, job->set->q, job->set->nq, job->set->d, K)) < 0)
        return rc;
    if ((rc = add_blocks(job, truth)) == 0) rc = truth_get(truth, job->dist, job->ids);
    truth_free(truth);
    return rc;
}

/* For others to compare with: the sum of the first and of the last distances. */
static void note_answers(struct truth_job *job)
{
    double first = 0, last = 0;

    for (int64_t i = 0; i < job->set->nq; i++) {
        first += job->dist[i * K];
        last += job->dist[i * K + K - 1];
    }
    snprintf(job->note, sizeof job->note, "mean distance of the first %.9g, of the last %.9g",
             first / (double)job->set->nq, last / (double)job->set->nq);
}

static int clear_truth(void *arg)
{
    note_answers(arg);
    return 0;
}

int bench_truth(struct bench *t, struct bench_set *set, int64_t n, int64_t block_rows)
{
    int64_t nq = bench_scaled(t, QUERIES, 16);
    struct truth_job work = {.b = t->b, .set = set, .n = bench_scaled(t, n, 1000)};
    struct bench_job job = {.repeats = REPEATS, .warm = 1, .run = run_truth, .clear = clear_truth};
    int rc;

    work.block_rows = block_rows ? block_rows : work.n;
    job.arg = &work;
    job.note = work.note;
    if ((rc = bench_set_fill(set, t, work.n, nq)) < 0) return rc;
    if (t->folder && !block_rows && (rc = bench_write_base(set, t, work.n)) < 0) return rc;
    rc = ERR_NOMEM;
    if (!(work.dist = mem_new(nq * K, sizeof *work.dist))) goto out;
    if (!(work.ids = mem_new(nq * K, sizeof *work.ids))) goto out;
    snprintf(job.name, sizeof job.name, "truth %lld in %lld x %d %s, k %d%s", (long long)nq,
             (long long)work.n, set->d, elem_name(set->elem), K, block_rows ? ", blocks" : "");
    job.work.products = 2.0 * (double)nq * (double)work.n * set->d;
    job.work.bus = (double)work.n * set->d * (double)elem_bytes(set->elem);
    job.work.memory = job.work.bus + (double)nq * (4.0 * set->d + 12.0 * K);
    rc = bench_run(t, &job);
out:
    mem_free(work.dist);
    mem_free(work.ids);
    return rc;
}
