/* Search, of large batches and of small ones, with the recall that it gives. */
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "engine/ivf.h"
#include "engine/measure.h"
#include "engine/truth.h"
#include "kernels/cuda/search.h"
#include "tests/bench_sections.h"

#pragma weak cuda_search_force /* of builds that have CUDA */

enum { ITERATIONS = 10, SEED = 1234, REPEATS = 10, WARM = 2 };
enum { QUERIES = 10000, JUDGED = 1000, RECALL_AT = 10 };
enum { BATCHES = 100, WAYS_BATCHES = 8 }; /* that a run takes, where they are small */

struct search_job {
    const struct bench *t;
    struct bench_set *set;
    struct ivf_desc desc;
    struct ivf *ix;
    float *coarse;  /* [nlist][d]; NULL until trained */
    vid *truth;     /* [judged][RECALL_AT] */
    uint16_t *hits; /* [judged] */
    int64_t judged;
    int64_t batch, batches; /* queries in each; of a run */
    int k, nprobe;
    enum search_path path;
    float *dist; /* [nq][k] */
    vid *ids;    /* [nq][k] */
    char note[80];
};

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void job_clear(struct search_job *job)
{
    ivf_free(job->ix);
    mem_free(job->coarse);
    mem_free(job->truth);
    mem_free(job->hits);
    mem_free(job->dist);
    mem_free(job->ids);
}

/* ---- what is searched ---- */

/* On rows of the device; the centroids of the first index are those of all. */
static int train(struct search_job *job, int64_t nt)
{
    size_t bytes = (size_t)(job->desc.nlist * job->desc.d) * sizeof(float);
    struct mat x = {0};
    int rc;

    job->desc.coarse = job->coarse;
    if ((rc = ivf_create(&job->ix, job->t->b, &job->desc)) < 0) return rc;
    if ((rc = bench_mat(job->set, job->t, nt, &x)) == 0) rc = ivf_train(job->ix, &x, x.rows);
    job->t->b->ops->release(job->t->b, &x.data);
    if (rc < 0 || job->coarse) return rc;
    if (!(job->coarse = mem_new(job->desc.nlist * job->desc.d, sizeof(float)))) return ERR_NOMEM;
    memcpy(job->coarse, ivf_model(job->ix)->coarse, bytes);
    return 0;
}

static int build(struct search_job *job, int64_t nt)
{
    int64_t start = clock_ns();
    double imbalance = 0;
    char key[32];
    int rc;

    if ((rc = train(job, nt)) < 0) return rc;
    if ((rc = bench_fill(job->ix, job->set, job->desc.n)) < 0) return rc;
    if ((rc = ivf_imbalance(job->ix, &imbalance)) < 0) return rc;
    bench_key(&job->desc, key);
    bench_say("    %s: built in %.1f s, imbalance %.3f", key, (double)(clock_ns() - start) * 1e-9,
              imbalance);
    return 0;
}

static int find_truth(struct search_job *job)
{
    const struct bench_set *set = job->set;
    struct block x = {set->elem, set->d, job->desc.n, set->base, 0};
    struct truth *truth = NULL;
    int rc = ERR_NOMEM;

    job->judged = smaller(JUDGED, set->nq);
    if (!(job->truth = mem_new(job->judged * RECALL_AT, sizeof *job->truth))) goto out;
    if (!(job->hits = mem_new(job->judged, sizeof *job->hits))) goto out;
    if ((rc = truth_create(&truth, job->t->b, set->q, job->judged, set->d, RECALL_AT)) < 0)
        goto out;
    if ((rc = truth_add(truth, &x)) == 0) rc = truth_get(truth, NULL, job->truth);
out:
    truth_free(truth);
    return rc;
}

static int write_set(const struct search_job *job)
{
    char name[32];
    int rc;

    if (!job->t->folder) return 0;
    if ((rc = bench_write_base(job->set, job->t, job->desc.n)) < 0) return rc;
    snprintf(name, sizeof name, "%lld_coarse", (long long)job->desc.nlist);
    return bench_write(job->set, job->t, name, ELEM_F32, job->coarse, job->desc.nlist);
}

/* As IVF16384_PQ32_np32_k10_ids: rows kept as another type have the same answers. */
static int write_answers(const struct search_job *job)
{
    char key[32], name[80];

    if (!job->t->folder) return 0;
    bench_key(&job->desc, key);
    *strchr(key, ',') = '_';
    snprintf(name, sizeof name, "%s_np%d_k%d_ids", key, job->nprobe, job->k);
    return bench_write_ids(job->set, job->t, name, job->ids, job->set->nq, job->k);
}

/* ---- searches ---- */

static int run_search(void *arg)
{
    struct search_job *job = arg;
    int rc = 0;

    for (int64_t i = 0; i < job->batches && rc == 0; i++) {
        int64_t from = i * job->batch, at = from * job->k;

        rc = ivf_search(job->ix, job->set->q + from * job->set->d, job->batch, job->k, job->nprobe,
                        job->dist + at, job->ids + at);
    }
    return rc;
}

static int judge(void *arg)
{
    struct search_job *job = arg;
    int64_t nq = smaller(job->judged, job->batch * job->batches);
    double recall =
        measure_intersection(job->ids, job->truth, nq, job->k, RECALL_AT, RECALL_AT, job->hits);

    snprintf(job->note, sizeof job->note, "recall@%d %.4f of %lld queries", RECALL_AT, recall,
             (long long)nq);
    return 0;
}

/* Of one batch. Products: with all centroids, and with the rows visited. Bytes: each list once. */
static struct bench_work search_work(const struct search_job *job)
{
    double nq = (double)job->batch, n = (double)job->desc.n, d = job->desc.d;
    double visits = nq * job->nprobe * n / (double)job->desc.nlist;
    double stored = job->desc.m ? job->desc.m : d * (double)elem_bytes(job->desc.storage);

    return (struct bench_work){
        .products = 2 * d * (nq * (double)job->desc.nlist + visits),
        .memory = (visits < n ? visits : n) * stored + (double)job->desc.nlist * d * 4,
        .bus = nq * d * 4,
    };
}

static void name_line(const struct search_job *job, struct bench_job *line)
{
    static const char *const ways[] = {[SEARCH_PLAINLY] = ", plainly",
                                       [SEARCH_BY_QUERY] = ", by query",
                                       [SEARCH_BY_LIST] = ", by list"};
    size_t cap = sizeof line->name;
    char key[32];
    int at;

    bench_key(&job->desc, key);
    at = snprintf(line->name, cap, "search %s, %lld x %d %s, k %d, nprobe %d", key,
                  (long long)job->desc.n, job->desc.d, elem_name(job->set->elem), job->k,
                  job->nprobe);
    if (!job->desc.m && job->desc.storage != job->set->elem)
        at +=
            snprintf(line->name + at, cap - (size_t)at, ", %s rows", elem_name(job->desc.storage));
    if (job->batch < job->set->nq)
        at += snprintf(line->name + at, cap - (size_t)at, ", batch %lld", (long long)job->batch);
    if (job->path != SEARCH_AUTO)
        snprintf(line->name + at, cap - (size_t)at, "%s", ways[job->path]);
}

/* All queries at once, or some of them in batches: a line of one search. */
static int measure(struct search_job *job, int64_t batch, int64_t batches, int nprobe)
{
    const struct search_desc s = {
        .nq = batch, .k = job->k, .nprobe = nprobe, .precomputed_tables = 1};
    struct bench_job line = {
        .repeats = REPEATS, .warm = WARM, .run = run_search, .clear = judge, .arg = job};
    int rc;

    job->batch = batch;
    job->batches = batches;
    job->nprobe = nprobe;
    if ((rc = ivf_reserve(job->ix, &s)) < 0) return rc;
    line.times = batches;
    line.note = job->note;
    line.work = search_work(job);
    name_line(job, &line);
    return bench_run(job->t, &line);
}

static int measure_batches(struct search_job *job, int nprobe)
{
    static const int64_t sizes[] = {1, 10, 100, 1000};
    int64_t nq = job->set->nq;
    int rc = 0;

    for (int i = 0; i < 4 && rc == 0; i++)
        if (sizes[i] < nq) rc = measure(job, sizes[i], smaller(BATCHES, nq / sizes[i]), nprobe);
    return rc;
}

/* From here on. */
static void take_path(struct search_job *job, enum search_path path)
{
    job->path = path;
    cuda_search_force(job->t->b, path, 0);
}

static int has_paths(const struct search_job *job)
{
    const char *backend = job->t->b->ops->name;

    if (cuda_search_force && strcmp(backend, "cuda") == 0) return 1;
    bench_say("    %s has one way of searching", backend);
    return 0;
}

/* Batches of a size, by query and by list. */
static int measure_both(struct search_job *job, int64_t batch, int nprobe)
{
    int rc = 0;

    for (int path = SEARCH_BY_QUERY; path <= SEARCH_BY_LIST && rc == 0; path++) {
        take_path(job, path);
        rc = measure(job, batch, smaller(WAYS_BATCHES, job->set->nq / batch), nprobe);
    }
    take_path(job, SEARCH_AUTO);
    return rc;
}

/* From where a list is hardly ever visited to where it is by two queries. */
static int measure_ways(struct search_job *job)
{
    static const int nprobes[] = {1, 8, 32, 128, 1024};
    int rc = 0;

    if (!has_paths(job)) return 0;
    for (int i = 0; i < 5; i++)
        for (int64_t batch = 1; batch <= job->set->nq && rc == 0; batch *= 2) {
            double each = (double)batch * nprobes[i] / (double)job->desc.nlist;

            if (nprobes[i] > job->desc.nlist || each < 0.03 || each > 2) continue;
            rc = measure_both(job, batch, nprobes[i]);
        }
    return rc;
}

static int search_one(struct search_job *job, const struct bench_searched *index, int64_t nt)
{
    int first = !job->coarse, rc;

    job->desc.m = index->m;
    job->desc.storage = index->storage;
    if ((rc = build(job, nt)) < 0) return rc;
    if (first && (rc = write_set(job)) < 0) return rc;
    for (int i = 0; i < BENCH_NPROBES && index->nprobes[i] && rc == 0; i++) {
        int nprobe = (int)smaller(index->nprobes[i], job->desc.nlist);

        if ((rc = measure(job, job->set->nq, 1, nprobe)) == 0) rc = write_answers(job);
    }
    if (rc == 0 && index->ways) rc = measure_ways(job);
    if (rc == 0 && index->batched)
        rc = measure_batches(job, (int)smaller(index->batched, job->desc.nlist));
    ivf_free(job->ix);
    job->ix = NULL;
    return rc;
}

int bench_search(struct bench *t, struct bench_set *set, struct bench_search_size size)
{
    struct search_job job = {.t = t, .set = set, .k = size.k};
    int64_t nq = bench_scaled(t, QUERIES, 16);
    int rc;

    if (size.plainly && !has_paths(&job)) return 0;
    if (size.plainly) take_path(&job, SEARCH_PLAINLY);
    job.desc = (struct ivf_desc){.d = set->d,
                                 .nlist = bench_scaled(t, size.nlist, 16),
                                 .n = bench_scaled(t, size.n, 1000),
                                 .seed = SEED,
                                 .coarse_iterations = ITERATIONS};
    if ((rc = bench_set_fill(set, t, job.desc.n, nq)) < 0) goto out;
    rc = ERR_NOMEM;
    if (!(job.dist = mem_new(nq * job.k, sizeof *job.dist))) goto out;
    if (!(job.ids = mem_new(nq * job.k, sizeof *job.ids))) goto out;
    if ((rc = find_truth(&job)) < 0) goto out;
    for (int i = 0;
         i < BENCH_INDEXES && (size.indexes[i].nprobes[0] || size.indexes[i].ways) && rc == 0; i++)
        rc = search_one(&job, size.indexes + i, bench_scaled(t, size.nt, 1000));
out:
    if (size.plainly) take_path(&job, SEARCH_AUTO);
    job_clear(&job);
    return rc;
}
