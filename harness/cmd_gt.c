/* gt: the true neighbours of queries by brute force, as a file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "engine/dataset.h"
#include "engine/rowwriter.h"
#include "engine/truth.h"
#include "harness/datawork.h"
#include "harness/device.h"
#include "harness/spec.h"
#include "kernels/kernels.h"

static const char help[] =
    "Usage: ivfbench gt (SPEC | --base FILE --query FILE) -o FILE [OPTION...]\n"
    "\n"
    "Finds the k nearest base vectors of each query exactly, by squared Euclidean distance, equal\n"
    "distances by the lower id, and writes their ids: .ivecs, .ibin (distances behind the ids, as "
    "in\n"
    "big-ann's truth) or .npy. The base is read in blocks, so it may be larger than memory.\n"
    "\n"
    "  -k K            neighbours per query (default: 100)\n"
    "  -o FILE         the truth; appears whole or not at all\n"
    "  --limit N       among the first N base vectors only\n"
    "  --backend WHAT  cuda, cpu or auto (default)\n"
    "  --threads N     of the CPU (default: all this process may use)\n"
    "  --quiet         no bar\n"
    "\n"
    "Exit codes: 0 done, 1 faulty data, 2 command line or no such file, 5 no device, or FILE "
    "cannot\n"
    "be written.\n"
    "\n"
    "Example: ivfbench gt --base base.1B.u8bin --query query.u8bin --limit 10000000 -o "
    "gt10M.ibin\n";

struct job {
    struct dataset_desc data;
    const char *out, *backend;
    int64_t k, limit, threads; /* limit -1: not given */
    struct spec *spec;         /* NULL: base and query were named; data points into it */
};

struct answers {
    float *dist; /* [nq][k], as ids */
    vid *ids;
};

/* A row that is nowhere is nobody's neighbour, and a truth that leaves it out one of other data. */
static int check_finite(const struct block *x)
{
    const float *f32 = x->ptr;
    const uint16_t *f16 = x->ptr;

    if (x->elem != ELEM_F32 && x->elem != ELEM_F16) return 0;
    for (int64_t i = 0; i < x->rows * x->d; i++) {
        if (x->elem == ELEM_F32 ? isfinite(f32[i]) : (f16[i] & 0x7C00) != 0x7C00) continue;
        return fail(ERR_FORMAT, "base vector %lld holds a NaN or an infinity",
                    (long long)(x->first + i / x->d));
    }
    return 0;
}

static int search_blocks(struct datawork *w, struct dataset *ds, struct truth *t)
{
    const struct dataset_info *info = dataset_info(ds);
    int64_t step = datawork_rows(info->d * (int64_t)elem_bytes(info->elem), info->n);
    struct stream *s = NULL;
    struct block x;
    int rc, more = 0;

    if ((rc = stream_open(&s, ds, PART_BASE, 0, info->n, step)) < 0) goto out;
    while ((more = stream_next(s, &x)) > 0) {
        if ((rc = check_finite(&x)) < 0) goto out;
        if ((rc = truth_add(t, &x)) < 0) goto out;
        if ((rc = datawork_tell(w, "truth", x.first + x.rows, info->n)) < 0) goto out;
    }
    rc = more;
out:
    stream_close(s);
    return rc;
}

static int search(struct datawork *w, const struct job *job, struct dataset *ds, struct backend *b,
                  struct answers *out)
{
    const struct dataset_info *info = dataset_info(ds);
    int64_t places = info->nq * job->k;
    float *q = mem_new(info->nq * info->d, sizeof *q);
    struct truth *t = NULL;
    int rc = ERR_NOMEM;

    if (!q || !(out->dist = mem_new(places, sizeof *out->dist))) goto out;
    if (!(out->ids = mem_new(places, sizeof *out->ids))) goto out;
    if ((rc = dataset_queries(ds, q)) < 0) goto out;
    if ((rc = truth_create(&t, b, q, info->nq, info->d, (int)job->k)) < 0) goto out;
    if ((rc = search_blocks(w, ds, t)) < 0) goto out;
    rc = truth_get(t, out->dist, out->ids);
out:
    truth_free(t);
    mem_free(q);
    return rc;
}

static int write_truth(const struct job *job, const struct answers *a, int64_t nq)
{
    int64_t places = nq * job->k;
    struct rowwriter *out = NULL;
    enum cell cell;
    void *ids = NULL;
    int rc;

    if ((rc = rowwriter_cell(&cell, job->out, CELL_I64)) < 0) goto out;
    rc = ERR_NOMEM;
    if (!(ids = mem_new(places, cell_bytes(cell)))) goto out;
    if ((rc = cell_convert(cell, ids, CELL_I64, a->ids, places)) < 0) goto out;
    if ((rc = rowwriter_create(&out, job->out, cell, nq, (int)job->k)) < 0) goto out;
    if ((rc = rowwriter_add(out, ids, nq)) < 0) goto out;
    if (rowwriter_takes_distances(job->out) && (rc = rowwriter_add_distances(out, a->dist)) < 0)
        goto out;
    rc = rowwriter_commit(out);
    out = NULL;
out:
    rowwriter_discard(out);
    mem_free(ids);
    return rc;
}

static int check(const struct job *job, const struct dataset *ds)
{
    const struct dataset_info *info = dataset_info(ds);
    enum cell cell;
    int rc;

    if (job->k > info->n)
        return fail(ERR_INVALID, "-k %lld: there are %lld base vectors", (long long)job->k,
                    (long long)info->n);
    if ((rc = dataset_spares(ds, job->out)) < 0) return rc;
    return rowwriter_cell(&cell, job->out, CELL_I64);
}

static int find(struct datawork *w, const struct job *job)
{
    struct dataset *ds = NULL;
    struct backend *b = NULL;
    struct answers a = {0};
    int rc;

    if ((rc = dataset_open(&ds, &job->data)) < 0) goto out;
    if ((rc = check(job, ds)) < 0) goto out;
    if ((rc = datawork_backend(w, &b, job->backend, (int)job->threads)) < 0) goto out;
    if ((rc = search(w, job, ds, b, &a)) < 0) goto out;
    w->writing = 1;
    rc = write_truth(job, &a, dataset_info(ds)->nq);
out:
    mem_free(a.dist);
    mem_free(a.ids);
    if (b) b->ops->close(b);
    dataset_close(ds);
    return rc;
}

/* ---- the command line ---- */

static int take_spec(struct job *job, const char *path)
{
    struct text errors = {0};
    int rc = spec_load(&job->spec, path, NULL, 0, &errors);

    fputs(text_get(&errors), stderr);
    text_clear(&errors);
    if (rc == 0) job->data = job->spec->dataset;
    return rc;
}

static int take_words(struct job *job, const struct cli_list *words)
{
    int rc = 0;

    if (!job->backend) job->backend = "auto";
    if ((rc = device_word(job->backend)) < 0) return rc;
    if (!job->out) return fail(ERR_INVALID, "gt wants -o FILE, where the truth goes");
    if (job->k < 1 || job->k > K_MAX) return fail(ERR_INVALID, "-k is from 1 to %d", K_MAX);
    if (words->count > 1 || (words->count == 1) == (job->data.base || job->data.query))
        return fail(ERR_INVALID, "gt wants either one SPEC, or --base and --query");
    if (words->count == 1) rc = take_spec(job, words->v[0]);
    if (rc == 0 && !job->data.base && !job->spec) rc = fail(ERR_INVALID, "gt wants --base FILE");
    if (job->limit == 0) return fail(ERR_INVALID, "--limit is from 1");
    if (job->limit > 0) job->data.limit = job->limit;
    return rc;
}

/*
 * OpenBLAS looks at its variable before main starts, so where that must be set this program begins
 * again, with argv as main had it: the verb's begins one behind. Without success: slower, not wrong.
 */
static void choose_blas(char **argv)
{
    const char *core = kernels_blas_coretype();

    if (!core || getenv("OPENBLAS_CORETYPE")) return;
    if (setenv("OPENBLAS_CORETYPE", core, 0) == 0) execv("/proc/self/exe", argv - 1);
}

static int run(int argc, char **argv)
{
    struct cli_list words = {0};
    struct job job = {.data = {.name = "gt"}, .k = 100, .limit = -1};
    struct datawork w;
    int quiet = 0, rc;
    const struct cli_option options[] = {
        {"--base",         CLI_STRING, &job.data.base},
        {"--query",  CLI_STRING, &job.data.query},
        {"--limit",        CLI_INT, &job.limit},
        {"-k", CLI_INT, &job.k},
        {"-o",        CLI_STRING, &job.out},
        {"--backend",      CLI_STRING, &job.backend},
        {"--threads",             CLI_INT, &job.threads},
        {"--quiet",          CLI_FLAG, &quiet},
        {0            }
    };

    if ((rc = cli_parse(options, argc, argv, &words)) == 0) rc = take_words(&job, &words);
    datawork_begin(&w, quiet);
    if (rc == 0) {
        w.label = job.out;
        choose_blas(argv);
        rc = find(&w, &job);
    }
    spec_free(job.spec);
    cli_list_clear(&words);
    return (int)datawork_end(&w, rc);
}

const struct verb verb_gt = {
    .name = "gt", .summary = "true neighbours by brute force, as a file", .help = help, .run = run};
