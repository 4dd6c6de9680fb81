/*
 * The steps of the contract, one at a time, on data larger than the device's caches: a set of
 * about a gigabyte, or where the work per row is large, as many rows as keep a run short.
 */
#include "engine/base/mem.h"
#include "engine/base/rand.h"
#include "engine/dense.h"
#include "tests/bench_sections.h"

enum { REPEATS = 5 };
static const int64_t SET_BYTES = (int64_t)1 << 30;
static const double RUN_PRODUCTS = 4e13; /* of one run of assign: 0.05 s at the ceiling */

static int64_t rows_of(const struct bench *t, int64_t row_bytes)
{
    int64_t rows = SET_BYTES / row_bytes, most = 8 << 20;

    return bench_scaled(t, rows < most ? rows : most, 1000);
}

/* What the steps work on; each uses some of it. */
struct operands {
    struct backend *b;
    struct bench_set set;
    struct mat x, c, out;
    struct buf list, count, books, code;
    struct transform transform;
    int m;
    int64_t row;
};

static void operands_clear(struct operands *o)
{
    const struct backend_ops *ops = o->b->ops;

    ops->release(o->b, &o->x.data);
    ops->release(o->b, &o->c.data);
    ops->release(o->b, &o->out.data);
    ops->release(o->b, &o->list);
    ops->release(o->b, &o->count);
    ops->release(o->b, &o->books);
    ops->release(o->b, &o->code);
    mem_free(o->transform.a);
    bench_set_close(&o->set);
}

/* x: as many rows as a set has; list: one number a row. */
static int operands_open(struct operands *o, const struct bench *t, enum elem elem, int d)
{
    int64_t rows = rows_of(t, (int64_t)elem_bytes(elem) * d);
    int rc;

    *o = (struct operands){.b = t->b};
    if ((rc = bench_set_open(&o->set, elem, d)) < 0) return rc;
    if ((rc = bench_mat(&o->set, t, rows, &o->x)) < 0) return rc;
    return t->b->ops->alloc(t->b, &o->list, (size_t)rows * sizeof(int32_t));
}

static int operands_centroids(struct operands *o, const struct bench *t, int64_t nlist)
{
    float *c = NULL;
    int rc;

    o->b->ops->release(o->b, &o->c.data);
    rc = bench_centroids(&o->set, t, nlist, &c, &o->c);
    mem_free(c);
    return rc;
}

static int operands_out(struct operands *o, int d)
{
    o->out = (struct mat){.elem = ELEM_F32, .rows = o->x.rows, .d = d};
    return o->b->ops->alloc(o->b, &o->out.data, (size_t)(o->x.rows * d) * sizeof(float));
}

static double bytes_of(const struct mat *x)
{
    return (double)x->rows * x->d * (double)elem_bytes(x->elem);
}

/* Starts a job over o: "<what> <rows> x <d> <type><rest>". */
static struct bench_job job_of(struct operands *o, int (*run)(void *arg), const char *what,
                               const char *rest)
{
    struct bench_job job = {.repeats = REPEATS, .warm = 1, .run = run, .arg = o};

    snprintf(job.name, sizeof job.name, "%s %lld x %d %s%s", what, (long long)o->x.rows, o->x.d,
             elem_name(o->x.elem), rest);
    return job;
}

/* ---- assign ---- */

static int run_assign(void *arg)
{
    struct operands *o = arg;
    double total;

    return o->b->ops->assign(o->b, &o->x, &o->c, o->list, &total);
}

static int assign_to(const struct bench *t, struct operands *o, int64_t nlist)
{
    int64_t all = o->x.rows, most = (int64_t)(RUN_PRODUCTS / (2.0 * (double)nlist * o->x.d));
    struct bench_job job;
    char rest[40];
    int rc;

    if ((rc = operands_centroids(o, t, nlist)) < 0) return rc;
    if (o->x.rows > most) o->x.rows = most;
    snprintf(rest, sizeof rest, " -> %lld", (long long)nlist);
    job = job_of(o, run_assign, "assign", rest);
    job.work.products = 2.0 * (double)o->x.rows * (double)nlist * o->x.d;
    job.work.memory = bytes_of(&o->x) + bytes_of(&o->c) + 4.0 * (double)o->x.rows;
    rc = bench_run(t, &job);
    o->x.rows = all;
    return rc;
}

int bench_assign(struct bench *t)
{
    static const int ds[] = {32, 64, 96, 128, 200};
    static const int64_t nlists[] = {1000, 4096, 16384, 65536, 262144};
    static const enum elem elems[] = {ELEM_U8, ELEM_F32};
    struct operands o;
    int rc = 0;

    for (int i = 0; i < 10 && rc == 0; i++) {
        if ((rc = operands_open(&o, t, elems[i % 2], ds[i / 2])) < 0) goto next;
        for (int j = 0; j < 5 && rc == 0; j++)
            rc = assign_to(t, &o, bench_scaled(t, nlists[j], 16));
    next:
        operands_clear(&o);
    }
    return rc;
}

/* ---- means ---- */

static int run_means(void *arg)
{
    struct operands *o = arg;

    return o->b->ops->means(o->b, &o->x, o->list, &o->c, o->count);
}

static int means_of(struct bench *t, enum elem elem, int d, int64_t nlist)
{
    const struct backend_ops *ops = t->b->ops;
    struct operands o;
    struct bench_job job;
    char rest[40];
    int rc;

    if ((rc = operands_open(&o, t, elem, d)) < 0) goto out;
    if ((rc = operands_centroids(&o, t, nlist)) < 0) goto out;
    if ((rc = ops->alloc(t->b, &o.count, (size_t)nlist * sizeof(int64_t))) < 0) goto out;
    if ((rc = ops->assign(t->b, &o.x, &o.c, o.list, NULL)) < 0) goto out; /* lists as they come */
    snprintf(rest, sizeof rest, " -> %lld", (long long)nlist);
    job = job_of(&o, run_means, "means", rest);
    job.work.memory =
        bytes_of(&o.x) + bytes_of(&o.c) + 4.0 * (double)o.x.rows + 8.0 * (double)nlist;
    rc = bench_run(t, &job);
out:
    operands_clear(&o);
    return rc;
}

int bench_means(struct bench *t)
{
    static const int64_t nlists[] = {4096, 65536};
    int rc = 0;

    for (int i = 0; i < 2 && rc == 0; i++) {
        int64_t nlist = bench_scaled(t, nlists[i], 16);

        if ((rc = means_of(t, ELEM_U8, 128, nlist)) == 0) rc = means_of(t, ELEM_F32, 96, nlist);
    }
    return rc;
}

/* ---- encode ---- */

static int run_encode(void *arg)
{
    struct operands *o = arg;

    return o->b->ops->encode(o->b, &o->x, o->m, o->books, o->code, (struct buf){0});
}

static int run_residuals(void *arg)
{
    struct operands *o = arg;

    return o->b->ops->residuals(o->b, &o->x, o->list, &o->c, &o->out);
}

/* o's rows become residuals; the slices of its first KSUB rows are the codebooks. */
static int make_books(struct operands *o, int64_t nlist, const struct bench *t, float *books)
{
    const struct backend_ops *ops = t->b->ops;
    int d = o->x.d;
    int rc;

    if ((rc = operands_centroids(o, t, nlist)) < 0) return rc;
    if ((rc = ops->assign(t->b, &o->x, &o->c, o->list, NULL)) < 0) return rc;
    if ((rc = ops->residuals(t->b, &o->x, o->list, &o->c, &o->x)) < 0) return rc;
    return ops->download(t->b, books, o->x.data, 0, (size_t)KSUB * (size_t)d * sizeof(float));
}

/* [KSUB][m][dsub] as [m][KSUB][dsub]. */
static int upload_books(struct operands *o, const float *rows, int m)
{
    int d = o->x.d, dsub = d / m, rc;
    float *books = mem_new((int64_t)KSUB * d, sizeof *books);

    if (!books) return ERR_NOMEM;
    for (int64_t at = 0; at < (int64_t)KSUB * d; at++) {
        int64_t s = at / (KSUB * dsub), j = at / dsub % KSUB;

        books[at] = rows[j * d + s * dsub + at % dsub];
    }
    rc = o->b->ops->upload(o->b, o->books, 0, books, (size_t)KSUB * (size_t)d * sizeof(float));
    mem_free(books);
    return rc;
}

int bench_encode(struct bench *t)
{
    static const int ms[] = {8, 16, 32, 64};
    const int d = 128;
    struct operands o;
    float *rows = mem_new((int64_t)KSUB * d, sizeof *rows);
    int rc;

    if ((rc = operands_open(&o, t, ELEM_F32, d)) < 0) goto out;
    rc = ERR_NOMEM;
    if (!rows) goto out;
    if ((rc = make_books(&o, bench_scaled(t, 1024, 16), t, rows)) < 0) goto out;
    if ((rc = t->b->ops->alloc(t->b, &o.books, sizeof(float) * KSUB * (size_t)d)) < 0) goto out;
    if ((rc = t->b->ops->alloc(t->b, &o.code, (size_t)o.x.rows * 64)) < 0) goto out;
    for (int i = 0; i < 4 && rc == 0; i++) {
        struct bench_job job;
        char rest[40];

        snprintf(rest, sizeof rest, ", m %d", ms[i]);
        o.m = ms[i];
        if ((rc = upload_books(&o, rows, o.m)) < 0) goto out;
        job = job_of(&o, run_encode, "encode", rest);
        job.work.products = 2.0 * (double)o.x.rows * KSUB * d;
        job.work.memory = bytes_of(&o.x) + (double)o.x.rows * o.m;
        rc = bench_run(t, &job);
    }
out:
    operands_clear(&o);
    mem_free(rows);
    return rc;
}

/* ---- transform ---- */

static int run_transform(void *arg)
{
    struct operands *o = arg;

    return o->b->ops->transform(o->b, &o->x, &o->transform, &o->out);
}

/* The first d_out rows of a random rotation: what PCAR has, but for the data. */
static int make_transform(struct transform *t, int d_in, int d_out)
{
    double *rotation = mem_new((int64_t)d_in * d_in, sizeof *rotation);
    int rc = ERR_NOMEM;

    *t = (struct transform){.d_in = d_in, .d_out = d_out};
    if (!rotation || !(t->a = mem_new((int64_t)d_out * d_in, sizeof *t->a))) goto out;
    if ((rc = dense_rotation(rotation, d_in, 1)) < 0) goto out;
    for (int64_t i = 0; i < (int64_t)d_out * d_in; i++)
        t->a[i] = (float)rotation[i];
out:
    mem_free(rotation);
    return rc;
}

static int transform_of(struct bench *t, enum elem elem, int d_in, int d_out)
{
    struct operands o;
    struct bench_job job;
    char rest[40];
    int rc;

    if ((rc = operands_open(&o, t, elem, d_in)) < 0) goto out;
    if ((rc = operands_out(&o, d_out)) < 0) goto out;
    if ((rc = make_transform(&o.transform, d_in, d_out)) < 0) goto out;
    snprintf(rest, sizeof rest, " -> d %d", d_out);
    job = job_of(&o, run_transform, "transform", rest);
    job.work.products = 2.0 * (double)o.x.rows * d_in * d_out;
    job.work.memory = bytes_of(&o.x) + bytes_of(&o.out);
    rc = bench_run(t, &job);
out:
    operands_clear(&o);
    return rc;
}

int bench_transform(struct bench *t)
{
    int rc = transform_of(t, ELEM_U8, 128, 64);

    return rc < 0 ? rc : transform_of(t, ELEM_F32, 96, 96);
}

/* ---- finite, residuals, synthesize ---- */

static int run_finite(void *arg)
{
    struct operands *o = arg;

    return o->b->ops->finite(o->b, &o->x, &o->row);
}

int bench_finite(struct bench *t)
{
    struct operands o;
    struct bench_job job;
    int rc;

    if ((rc = operands_open(&o, t, ELEM_F32, 96)) < 0) goto out;
    job = job_of(&o, run_finite, "finite", "");
    job.work.memory = bytes_of(&o.x);
    if ((rc = bench_run(t, &job)) == 0 && o.row >= 0)
        rc = fail(ERR_FORMAT, "finite: row %lld is said to be none", (long long)o.row);
out:
    operands_clear(&o);
    return rc;
}

int bench_residuals(struct bench *t)
{
    struct operands o;
    struct bench_job job;
    int rc;

    if ((rc = operands_open(&o, t, ELEM_F32, 128)) < 0) goto out;
    if ((rc = operands_centroids(&o, t, bench_scaled(t, 16384, 16))) < 0) goto out;
    if ((rc = operands_out(&o, 128)) < 0) goto out;
    if ((rc = t->b->ops->assign(t->b, &o.x, &o.c, o.list, NULL)) < 0) goto out;
    job = job_of(&o, run_residuals, "residuals", "");
    job.work.memory = bytes_of(&o.x) + bytes_of(&o.c) + bytes_of(&o.out) + 4.0 * (double)o.x.rows;
    rc = bench_run(t, &job);
out:
    operands_clear(&o);
    return rc;
}

static int run_synthesize(void *arg)
{
    struct operands *o = arg;

    return o->b->ops->synthesize(o->b, o->set.s, PART_BASE, 0, &o->x);
}

int bench_synthesize(struct bench *t)
{
    /* engine/synthetic.c: two small products a row, of 22 x 64 and 64 x d */
    const int latent = 22, hidden = 64;
    struct operands o;
    struct bench_job job;
    int rc;

    if (!t->b->ops->synthesize) {
        bench_say("synthesize: %s leaves it to the host", t->b->ops->name);
        return 0;
    }
    if ((rc = operands_open(&o, t, ELEM_U8, 128)) < 0) goto out;
    job = job_of(&o, run_synthesize, "synthesize", "");
    job.work.products = 2.0 * (double)o.x.rows * hidden * (latent + 128);
    job.work.memory = bytes_of(&o.x);
    rc = bench_run(t, &job);
out:
    operands_clear(&o);
    return rc;
}
