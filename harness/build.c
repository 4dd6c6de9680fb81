#include "harness/build.h"

#include <string.h>

#include "engine/base/mem.h"
#include "harness/build_training.h"
#include "harness/build_truth.h"
#include "harness/centroids.h"
#include "harness/cli.h"
#include "harness/device.h"
#include "harness/machine.h"
#include "harness/maker.h"

/* Transform and codebooks are trained on the first so many of the group's training rows, as in the
   original; where these are drawn, in the file's order, on all of them: the first would be the
   file's beginning. */
enum { HEAD_ROWS = 1000000 };

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int build_tell(struct build *b, const char *stage, int64_t done, int64_t total)
{
    b->run->watch.stage(b->run->watch.arg, stage, done, total);
    return interrupted() ? fail(ERR_INVALID, "interrupted") : 0;
}

static int tell_progress(void *arg, const char *stage, int64_t done, int64_t total)
{
    return build_tell(arg, stage, done, total);
}

void build_warn(struct build *b, const char *text)
{
    if (*text) b->run->watch.warn(b->run->watch.arg, text);
}

void build_keep(struct build *b, const struct cache_artifact *a)
{
    struct text note = {0};

    if (!b->run->plan->spec->cache || cache_save(a) == 0) return;
    text_addf(&note, "cache: %s not kept: %s", a->kind, fail_text());
    build_warn(b, text_get(&note));
    text_clear(&note);
}

/* ---- open ---- */

static int make_rows(void *arg, const struct synthetic *s, enum part part, int64_t first,
                     int64_t rows, void *dst)
{
    return maker_rows(arg, s, part, first, rows, dst);
}

/* A generated set comes from the device too, where that knows how: the host is slower by far. */
static int open_maker(struct build *b)
{
    const struct plan *plan = b->run->plan;
    int64_t rows = plan_maker_rows(plan);
    int rc = rows ? maker_open(&b->maker, "cuda", plan->backend, rows, b->data->d) : 0;

    if (rc == 0 && b->maker) dataset_make_with(b->ds, make_rows, b->maker);
    return rc;
}

static int open_all(struct build *b)
{
    const struct plan *plan = b->run->plan;
    struct phase *phase = &b->phase[b->nphases];
    struct kernels_gpu gpu;
    int rc;

    phase_begin(phase, "open", NULL);
    if ((rc = dataset_open(&b->ds, &plan->spec->dataset)) < 0) return rc;
    b->data = dataset_info(b->ds);
    if (strcmp(b->data->identity.hex, plan->data.identity.hex) != 0)
        return fail(ERR_FORMAT, "dataset %s: its files changed since the run began", b->data->name);
    rc = device_open(&b->b, plan->spec->backend == BACKEND_AUTO ? "auto" : plan->backend,
                     plan->backend, b->group->trials->threads);
    if (rc < 0) return rc;
    b->b->ops->info(b->b, &b->device);
    if (device_look(&gpu, plan->backend) && nvml_open(&b->nvml, &gpu) == ERR_NOMEM)
        return ERR_NOMEM; /* that it is not there is no failure */
    if ((rc = open_maker(b)) < 0) return rc;
    if (!(b->q = mem_new(b->data->nq * b->data->d, sizeof *b->q))) return ERR_NOMEM;
    if ((rc = dataset_queries(b->ds, b->q)) < 0) return rc;
    phase_end(phase, b->b);
    b->nphases++;
    return 0;
}

static struct ivf_desc index_desc(struct build *b)
{
    const struct trial *t = b->group->trials;

    return (struct ivf_desc){
        .d = b->data->d,
        .transform = t->factory.transform,
        .opq_m = t->factory.opq_m,
        .d_out = t->factory.d_out,
        .nlist = t->factory.nlist,
        .m = t->factory.m,
        .storage = t->storage,
        .n = b->data->n,
        .seed = (uint32_t)t->seed,
        .coarse_iterations = (int)b->run->plan->spec->coarse_iterations,
        .coarse = b->coarse,
        .progress = tell_progress,
        .arg = b,
    };
}

static int create(struct build *b)
{
    const char *path = b->run->plan->spec->centroids;
    struct ivf_desc desc;
    int rc = 0;

    if (path) rc = centroids_read(&b->coarse, path, b->group->trials->factory.nlist, b->data->d);
    if (rc < 0) return rc;
    desc = index_desc(b);
    return ivf_create(&b->ix, b->b, &desc);
}

/* ---- train ---- */

static int learn(struct build *b)
{
    int64_t rows = b->group->train_rows;
    struct mat x = {0};
    int rc;

    if (b->coarse && !b->group->trials->factory.m) /* nothing is left to learn */
        return ivf_set_model(b->ix, &(struct ivf_model){.coarse = b->coarse});
    if ((rc = build_training(b, &x)) < 0) goto out;
    rc = ivf_train(b->ix, &x, b->group->train_sampled ? rows : smaller(rows, HEAD_ROWS));
out:
    b->b->ops->release(b->b, &x.data);
    return rc;
}

/*
 * The file of a model: centroids, for PQ codebooks (m of KSUB of d / m), a transform's matrix and
 * bias, each of no bytes where there is none. Its identity is of everything that shapes it. The
 * software is part of that: a change of ours to training must show in the next result, not hide
 * behind a file that the last build left.
 */
static int model_artifact(const struct build *b, const struct ivf_model *model,
                          struct cache_artifact *out)
{
    const struct trial *t = b->group->trials;
    const struct factory *f = &t->factory;
    const struct transform *map = &model->transform;
    int64_t row = (int64_t)sizeof(float) * (map->a ? map->d_out : b->data->d);
    struct text key = {0};
    int rc;

    text_addf(&key, "software=%s data=%s nlist=%lld m=%d seed=%lld iterations=%lld rows=%lld",
              b->run->software.hex, b->data->identity.hex, (long long)f->nlist, f->m,
              (long long)t->seed, (long long)b->run->plan->spec->coarse_iterations,
              (long long)b->group->train_rows);
    text_addf(&key, " threads=%d", t->threads); /* they shape the time that is kept with it */
    if (b->coarse) text_addf(&key, " centroids=%s", b->run->plan->centroids.content.hex);
    text_addf(&key, " transform=%d opq_m=%d d_out=%d sampled=%d backend=%s device=%s",
              (int)f->transform, f->opq_m, f->d_out, b->group->train_sampled, b->b->ops->name,
              b->device.name);
    *out = (struct cache_artifact){
        .kind = "model",
        .part = {{model->coarse, f->nlist * row},
                 {model->books, f->m ? KSUB * row : 0},
                 {map->a, map->a ? map->d_in * row : 0},
                 {map->b, map->b ? row : 0}}
    };
    if ((rc = text_failed(&key)) == 0) out->identity = hash_string(text_get(&key));
    text_clear(&key);
    return rc;
}

/* *once = the nanoseconds that the cached model once took, and the index has it; 0: none. */
static int take_cached(struct build *b, int64_t *once)
{
    const struct ivf_desc desc = index_desc(b);
    struct ivf_model model = {0};
    struct cache_artifact a;
    struct text note = {0};
    int rc;

    *once = 0;
    if ((rc = ivf_model_alloc(&model, &desc)) < 0) goto out;
    if ((rc = model_artifact(b, &model, &a)) < 0) goto out;
    if ((rc = cache_load(&a, &note)) <= 0) goto out;
    if ((rc = ivf_set_model(b->ix, &model)) < 0) goto out;
    *once = a.ns;
out:
    build_warn(b, text_get(&note));
    text_clear(&note);
    ivf_model_clear(&model);
    return rc < 0 ? rc : 0;
}

/* The file of centroids that the spec asks for, as they came out or of the cache. */
static int write_centroids(const struct build *b)
{
    const struct trial *t = b->group->trials;
    const char *pattern = b->run->plan->spec->outputs_centroids;
    int d =
        t->factory.transform == TRANSFORM_NONE || !t->factory.d_out ? b->data->d : t->factory.d_out;
    struct text path = {0};
    int rc;

    if (!pattern) return 0;
    centroids_path(&path, pattern, t->index, t->seed);
    if ((rc = text_failed(&path)) == 0)
        rc = centroids_write(text_get(&path), ivf_model(b->ix)->coarse, t->factory.nlist, d);
    text_clear(&path);
    return rc;
}

static int train(struct build *b)
{
    struct phase *phase = &b->phase[b->nphases];
    struct cache_artifact a;
    int64_t once = 0;
    int rc;

    phase_begin(phase, "train", b->b);
    if (b->run->plan->spec->cache && (rc = take_cached(b, &once)) < 0) return rc;
    if (!once && (rc = learn(b)) < 0) return rc;
    phase_end(phase, b->b);
    b->nphases++;
    if (once) {
        phase->cached = 1;
        phase->wall_ns = once;
        phase->device_ns = -1;
        return 0;
    }
    if ((rc = model_artifact(b, ivf_model(b->ix), &a)) < 0) return rc;
    a.ns = phase->wall_ns;
    if ((rc = dataset_unchanged(b->ds)) < 0) return rc;
    build_keep(b, &a);
    return 0;
}

/* ---- add ---- */

/* One pass over the base; brute: NULL, or what looks at every block too. */
static int add_pass(struct build *b, int pass, struct brute *brute)
{
    int64_t n = b->data->n, total = n * ivf_passes(b->ix), done = n * pass;
    struct stream *s = NULL;
    struct block block;
    int rc, more;

    if ((rc = stream_open(&s, b->ds, PART_BASE, 0, n, plan_block_rows(b->run->plan))) < 0) goto out;
    while ((more = stream_next(s, &block)) > 0) {
        if ((rc = ivf_add(b->ix, &block)) < 0) goto out;
        if (brute && (rc = brute_add(brute, &block)) < 0) goto out;
        if ((rc = build_tell(b, "add", done += block.rows, total)) < 0) goto out;
    }
    rc = more < 0 ? more : ivf_end_pass(b->ix);
out:
    stream_close(s);
    return rc;
}

/* brute looks at the first pass. */
static int add_passes(struct build *b, struct brute *brute)
{
    int passes = ivf_passes(b->ix), rc = passes < 0 ? passes : 0;

    for (int pass = 0; pass < passes && rc == 0; pass++)
        rc = add_pass(b, pass, pass == 0 ? brute : NULL);
    return rc;
}

/* On the host: fills the index and finds the truth on the way, its time counted apart. */
static int add_and_find(struct build *b, struct brute *brute)
{
    struct phase *phase = &b->phase[b->nphases];
    int rc;

    phase_begin(phase, "add", b->b);
    if ((rc = brute_begin(brute, b)) < 0) return rc;
    if ((rc = add_passes(b, brute)) < 0) return rc;
    if ((rc = brute_end(brute, b)) < 0) return rc;
    phase_end(phase, b->b);
    phase->wall_ns -= brute->ns;
    b->nphases++;
    b->phase[b->nphases++] = (struct phase){.name = "truth",
                                            .wall_ns = brute->ns,
                                            .device_ns = -1,
                                            .peak_host = phase->peak_host,
                                            .peak_device = -1,
                                            .cached = brute->cached};
    return 0;
}

static int find_pass(struct build *b, struct brute *brute)
{
    int64_t n = b->data->n, done = 0;
    struct stream *s = NULL;
    struct block block;
    int rc, more;

    if ((rc = stream_open(&s, b->ds, PART_BASE, 0, n, plan_block_rows(b->run->plan))) < 0) goto out;
    while ((more = stream_next(s, &block)) > 0) {
        if ((rc = brute_add(brute, &block)) < 0) goto out;
        if ((rc = build_tell(b, "truth", done += block.rows, n)) < 0) goto out;
    }
    rc = more;
out:
    stream_close(s);
    return rc;
}

/*
 * On a device: first the one, then the other, which reads the base twice. Adding goes on while the
 * next block travels, and brute force on the same block would make it wait at each.
 */
static int add_then_find(struct build *b, struct brute *brute)
{
    struct phase *phase = &b->phase[b->nphases];
    int rc;

    phase_begin(phase, "add", b->b);
    if ((rc = add_passes(b, NULL)) < 0) return rc;
    phase_end(phase++, b->b);
    b->nphases++;
    phase_begin(phase, "truth", b->b);
    if ((rc = brute_begin(brute, b)) < 0) return rc;
    if ((rc = find_pass(b, brute)) < 0) return rc;
    if ((rc = brute_end(brute, b)) < 0) return rc;
    phase_end(phase, b->b);
    phase->cached = brute->cached;
    b->nphases++;
    return 0;
}

static int add(struct build *b)
{
    struct brute brute = {0};
    int rc = b->b->ops->host_bytes ? add_then_find(b, &brute) : add_and_find(b, &brute);

    if (rc == 0) rc = dataset_unchanged(b->ds); /* before anything is kept of it */
    if (rc == 0) brute_keep(&brute, b, b->phase[b->nphases - 1].wall_ns);
    brute_clear(&brute);
    return rc;
}

int build_index(struct build *b, struct run *run, const struct group *group)
{
    int rc;

    b->run = run;
    b->group = group;
    if ((rc = open_all(b)) < 0) return rc;
    if ((rc = create(b)) < 0) return rc;
    if ((rc = train(b)) < 0) return fail_in(rc, "training");
    if ((rc = write_centroids(b)) < 0) return fail_in(rc, "outputs.centroids");
    if ((rc = add(b)) < 0) return fail_in(rc, "adding");
    return 0;
}

void build_clear(struct build *b)
{
    ivf_free(b->ix);
    dataset_close(b->ds);
    maker_close(b->maker);
    nvml_close(b->nvml);
    if (b->b) b->b->ops->close(b->b);
    mem_free(b->coarse);
    mem_free(b->q);
    mem_free(b->truth);
    mem_free(b->truth_dist);
    text_clear(&b->doubt);
    *b = (struct build){0};
}
