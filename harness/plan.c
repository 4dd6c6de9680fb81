#include "harness/plan.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "harness/device.h"
#include "harness/spec_keys.h"

/* The original trains on the first max(1e6, 256 nlist) vectors (bench_gpu_1bn.py:393). */
enum { TRAIN_ROWS = 1000000, ROWS_PER_LIST = 256 };

/* ---- what a spec says before any file is opened ---- */

void plan_guess_data(struct dataset_info *out, const struct spec *spec)
{
    const struct dataset_desc *d = &spec->dataset;
    int known = dataset_name_d(d->name);

    *out = (struct dataset_info){.elem = ELEM_U8};
    memcpy(out->name, d->name, strnlen(d->name, sizeof out->name - 1));
    if (!strcmp(d->name, "synthetic")) {
        out->d = d->d;
        out->n = d->n;
        out->nq = d->nq;
        out->nt = d->nt;
    } else if (known > 0) {
        out->d = known;
        out->n = dataset_name_n(d->name);
        if (strncmp(d->name, "SIFT", 4)) out->elem = ELEM_F32; /* Deep, TEXMEX */
    }
}

const char *plan_backend(const struct spec *spec)
{
    static const char *const words[] = {
        [BACKEND_AUTO] = "auto", [BACKEND_CPU] = "cpu", [BACKEND_CUDA] = "cuda"};

    return device_choose(words[spec->backend]);
}

/* ---- the spec against the data ---- */

static int64_t train_rows(const struct spec *s, const struct dataset_info *data, int64_t nlist)
{
    int auto_rows = s->points_per_centroid == SPEC_AUTO;
    int64_t rows = (auto_rows ? ROWS_PER_LIST : s->points_per_centroid) * nlist;

    if (auto_rows && rows < TRAIN_ROWS) rows = TRAIN_ROWS;
    return rows < data->nt ? rows : data->nt;
}

/* A sample of all rows is all rows. */
static int train_sampled(const struct spec *s, const struct dataset_info *data, int64_t nlist)
{
    return s->train_random && train_rows(s, data, nlist) < data->nt;
}

/* Every key has been parsed and checked by the spec already. */
static struct factory factory_of(const char *key)
{
    struct factory f = {0};

    if (factory_parse(&f, key) < 0) f = (struct factory){.nlist = 1};
    return f;
}

static struct mark place_of(const struct spec *s, enum spec_axis axis)
{
    return s->at[spec_key_row(spec_key_of(axis))];
}

static void check_training(const struct spec *s, const struct dataset_info *data, struct diag *d)
{
    for (int i = 0; i < s->index.count && data->nt; i++) {
        struct factory f = factory_of(s->index.v[i]);

        if (f.nlist > data->nt)
            diag_error(d, s->index_at[i],
                       "%s: %lld lists need as many training vectors; %s has %lld", s->index.v[i],
                       (long long)f.nlist, data->name, (long long)data->nt);
        else if ((f.m || f.opq_m) && data->nt < KSUB)
            diag_error(d, s->index_at[i], "%s: PQ needs at least %d training vectors; %s has %lld",
                       s->index.v[i], KSUB, data->name, (long long)data->nt);
        else if (f.m && train_rows(s, data, f.nlist) < KSUB)
            diag_error(d, s->index_at[i],
                       "%s: PQ needs at least %d training vectors; points_per_centroid leaves %lld",
                       s->index.v[i], KSUB, (long long)train_rows(s, data, f.nlist));
    }
}

static void check_nprobe(const struct spec *s, struct diag *d)
{
    int64_t least = s->nprobe.v[0], nlist = 0;

    for (int i = 1; i < s->nprobe.count; i++)
        if (s->nprobe.v[i] < least) least = s->nprobe.v[i];
    for (int i = 0; i < s->index.count; i++) {
        struct factory f = factory_of(s->index.v[i]);

        if (f.nlist > nlist) nlist = f.nlist;
    }
    if (least > nlist)
        diag_error(d, place_of(s, AXIS_NPROBE), "nprobe: %lld is over nlist %lld in every trial",
                   (long long)least, (long long)nlist);
}

static int any_has_nlist(const struct spec *s, int64_t nlist)
{
    for (int i = 0; i < s->index.count; i++)
        if (factory_of(s->index.v[i]).nlist == nlist) return 1;
    return 0;
}

/* What is in train.centroids, which must be vectors of the data's dimensions, and of use to a key. */
static void check_centroids(const struct spec *s, const struct dataset_info *data,
                            struct centroids *out, struct diag *d)
{
    struct mark place = s->at[spec_key_row(spec_key_find("train.centroids"))];

    if (!s->centroids) return;
    if (centroids_look(out, s->centroids) < 0)
        diag_error(d, place, "train.centroids: %s", fail_text());
    else if (data->d && out->d != data->d)
        diag_error(d, place, "train.centroids: d = %d, but %s has d = %d", out->d, data->name,
                   data->d);
    else if (!any_has_nlist(s, out->nlist))
        diag_error(d, place,
                   "train.centroids: holds %lld centroids, and no index has as many lists",
                   (long long)out->nlist);
}

static int check(const struct spec *s, const struct dataset_info *data, struct centroids *centroids,
                 struct text *errors)
{
    struct diag d = {0};

    if (data->d) spec_check_d(s, data->d, &d);
    check_training(s, data, &d);
    check_nprobe(s, &d);
    check_centroids(s, data, centroids, &d);
    return diag_end(&d, errors, s->path);
}

/* ---- one trial ---- */

/* A trial in the making: which value of each axis it has, as written in the spec. */
struct cell {
    struct plan *plan;
    int at[AXES];
    int threads; /* what `auto` is */
    int failed;
};

static int64_t value_of(const struct cell *c, enum spec_axis axis)
{
    const struct spec_key *key = spec_key_of(axis);
    const char *member = (const char *)c->plan->spec + key->at;

    return ((const struct spec_ints *)(const void *)member)->v[c->at[axis]];
}

/* What `auto` is: the data's own type, and fp32 for what a transform made of them. */
static enum elem storage_of(const struct factory *f, enum elem data, int64_t wanted)
{
    if (f->m) return data;
    if (wanted != SPEC_AUTO) return (enum elem)wanted;
    return f->transform == TRANSFORM_NONE ? data : ELEM_F32;
}

static void fill_trial(const struct cell *c, struct trial *t)
{
    const struct dataset_info *data = &c->plan->data;
    int64_t threads = value_of(c, AXIS_THREADS);

    t->index = c->plan->spec->index.v[c->at[AXIS_INDEX]];
    t->factory = factory_of(t->index);
    t->gpus = strcmp(c->plan->backend, "cpu") ? (int)value_of(c, AXIS_GPUS) : 0;
    t->replicas = (int)value_of(c, AXIS_REPLICAS);
    t->storage = storage_of(&t->factory, data->elem, value_of(c, AXIS_STORAGE));
    t->threads = threads == SPEC_AUTO ? c->threads : (int)threads;
    t->seed = value_of(c, AXIS_SEED);
    t->float16 = t->factory.m ? (int)value_of(c, AXIS_FLOAT16) : 0;
    t->precomputed_tables = t->factory.m ? (int)value_of(c, AXIS_PRECOMPUTED_TABLES) : 0;
    t->k = (int)value_of(c, AXIS_K);
    t->batch = value_of(c, AXIS_BATCH);
    t->nprobe = (int)value_of(c, AXIS_NPROBE);
}

static char *keep(struct cell *c, struct text *t)
{
    char *s = text_failed(t) ? NULL : arena_string(&c->plan->arena, text_get(t));

    if (!s) c->failed = ERR_NOMEM;
    text_clear(t);
    return s;
}

/*
 * Members come in the order of the alphabet; search: those of a search, too. What came to be told apart later
 * is left out where it is as it always was, so that stores keep their past.
 */
enum { ADD_BATCH = 32768 };

static void write_params(struct cell *c, const struct trial *t, int search, char **params,
                         struct hash *identity)
{
    const struct dataset_info *data = &c->plan->data;
    struct text json = {0};

    text_add(&json, "{");
    if (c->plan->spec->add_batch != ADD_BATCH)
        text_addf(&json, "\"add_batch\":%lld,", (long long)c->plan->spec->add_batch);
    text_addf(&json, "\"backend\":\"%s\"", c->plan->backend);
    if (search) text_addf(&json, ",\"batch\":%lld", (long long)t->batch);
    text_addf(&json, ",\"coarse_iterations\":%lld,\"dataset\":\"%s\"",
              (long long)c->plan->spec->coarse_iterations, data->identity.hex);
    if (search) text_addf(&json, ",\"float16\":%s", t->float16 ? "true" : "false");
    text_addf(&json, ",\"gpus\":%d,\"index\":", t->gpus);
    text_add_json(&json, t->index);
    if (search)
        text_addf(&json, ",\"k\":%d,\"nprobe\":%d,\"precomputed_tables\":%s", t->k, t->nprobe,
                  t->precomputed_tables ? "true" : "false");
    text_addf(&json, ",\"replicas\":%d,\"seed\":%lld,\"storage\":\"%s\"", t->replicas,
              (long long)t->seed, elem_name(t->storage));
    if (search && c->plan->spec->temp_memory != SPEC_AUTO)
        text_addf(&json, ",\"temp_memory\":%lld", (long long)c->plan->spec->temp_memory);
    text_addf(&json, ",\"threads\":%d", t->threads);
    if (c->plan->centroids.nlist)
        text_addf(&json, ",\"train_centroids\":\"%s\"", c->plan->centroids.content.hex);
    text_addf(&json, ",\"train_rows\":%lld",
              (long long)train_rows(c->plan->spec, data, t->factory.nlist));
    if (train_sampled(c->plan->spec, data, t->factory.nlist))
        text_add(&json, ",\"train_sample\":\"random\"");
    text_add(&json, "}");
    if ((*params = keep(c, &json))) *identity = hash_string(*params);
}

/* ---- why a trial is skipped ---- */

static void PRINTF_LIKE(4, 5)
    skip(struct cell *c, struct trial *t, enum skip_kind kind, const char *fmt, ...)
{
    struct text words = {0};
    char line[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    text_add(&words, line);
    t->skip = keep(c, &words);
    t->skip_kind = kind;
}

static int excludes(const struct spec_exclude *e, const struct cell *c)
{
    const char *index = c->plan->spec->index.v[c->at[AXIS_INDEX]];
    int found = !e->index.count;

    for (int i = 0; i < e->index.count && !found; i++)
        found = !strcmp(e->index.v[i], index) || !fnmatch(e->index.v[i], index, 0);
    for (int axis = AXIS_INDEX + 1; axis < AXES && found; axis++) {
        const struct spec_ints *wanted = &e->values[axis];

        if (!wanted->count) continue;
        found = 0;
        for (int i = 0; i < wanted->count; i++)
            found |= wanted->v[i] == value_of(c, (enum spec_axis)axis);
    }
    return found;
}

static void apply_excludes(struct cell *c, struct trial *t)
{
    const struct spec *s = c->plan->spec;

    for (int i = 0; i < s->nexclude; i++) {
        if (!excludes(&s->exclude[i], c)) continue;
        c->plan->excluded[i]++;
        if (t->skip || c->failed) continue; /* the first that matches is named */
        if (s->exclude[i].line)
            skip(c, t, SKIP_RULE, "excluded by exclude[%d] (line %d)", i, s->exclude[i].line);
        else
            skip(c, t, SKIP_RULE, "excluded by exclude[%d] (--set)", i);
    }
}

static void apply_rules(struct cell *c, struct trial *t)
{
    int64_t gpus = value_of(c, AXIS_GPUS), given = c->plan->centroids.nlist;

    apply_excludes(c, t);
    if (t->skip || c->failed) return;
    if (t->replicas > gpus)
        skip(c, t, SKIP_RULE, "replicas %d > gpus %lld", t->replicas, (long long)gpus);
    else if (gpus % t->replicas)
        skip(c, t, SKIP_RULE, "gpus %lld is not a multiple of replicas %d", (long long)gpus,
             t->replicas);
    else if (t->factory.transform != TRANSFORM_NONE && !t->factory.m &&
             (t->storage == ELEM_U8 || t->storage == ELEM_I8))
        skip(c, t, SKIP_RULE, "storage %s cannot hold transformed vectors", elem_name(t->storage));
    else if (given && t->factory.transform != TRANSFORM_NONE)
        skip(c, t, SKIP_RULE,
             "train.centroids: of no use behind a transform, which is trained anew");
    else if (given && given != t->factory.nlist)
        skip(c, t, SKIP_RULE, "train.centroids holds %lld centroids, not %lld", (long long)given,
             (long long)t->factory.nlist);
    else if (t->nprobe > t->factory.nlist)
        skip(c, t, SKIP_RULE, "nprobe %d > nlist %lld", t->nprobe, (long long)t->factory.nlist);
}

/* All that a trial would need and this version lacks, in one sentence. */
static void apply_later(struct cell *c, struct trial *t)
{
    const struct spec *s = c->plan->spec;
    int64_t gpus = value_of(c, AXIS_GPUS);
    struct text what = {0};

    if (gpus > 1) text_addf(&what, ", gpus %lld", (long long)gpus);
    if (t->replicas > 1) text_addf(&what, ", replicas %d", t->replicas);
    if (s->later) text_addf(&what, ", %s", s->later);
    if (what.len) skip(c, t, SKIP_LATER, "%s: with a later version", text_get(&what) + 2);
    if (text_failed(&what)) c->failed = ERR_NOMEM;
    text_clear(&what);
}

/* ---- all trials ---- */

/* Moves to the next combination, the last axis fastest; returns the outermost axis that moved,
   -1 after the last combination. */
static int advance(struct cell *c)
{
    int axis = AXES - 1;

    while (axis >= 0 && ++c->at[axis] == spec_axis_count(c->plan->spec, (enum spec_axis)axis))
        c->at[axis--] = 0;
    return axis;
}

static void begin_group(struct cell *c, struct group *g, struct trial *first)
{
    const struct spec *s = c->plan->spec;
    struct text label = {0};

    g->trials = first;
    g->train_rows = train_rows(s, &c->plan->data, first->factory.nlist);
    g->train_sampled = train_sampled(s, &c->plan->data, first->factory.nlist);
    write_params(c, first, 0, &g->params, &g->identity);
    text_add(&label, first->index);
    for (int axis = AXIS_INDEX + 1; axis < AXIS_FLOAT16; axis++) {
        char room[24];

        if (spec_axis_count(s, (enum spec_axis)axis) < 2) continue;
        text_addf(&label, " %s=%s", spec_key_leaf(spec_key_of((enum spec_axis)axis)),
                  spec_axis_text(s, (enum spec_axis)axis, c->at[axis], room));
    }
    g->label = keep(c, &label);
}

static void expand(struct cell *c)
{
    struct plan *p = c->plan;
    int moved = AXIS_INDEX;

    for (int i = 0; i < p->ntrials && !c->failed; i++) {
        struct trial *t = &p->trials[i];

        fill_trial(c, t);
        write_params(c, t, 1, &t->params, &t->identity);
        apply_rules(c, t);
        if (!t->skip && !c->failed) apply_later(c, t);
        if (moved < AXIS_FLOAT16) begin_group(c, &p->groups[p->ngroups++], t);
        p->groups[p->ngroups - 1].ntrials++;
        moved = advance(c);
    }
}

static int by_identity(const void *a, const void *b)
{
    const struct trial *const *x = a, *const *y = b;
    int order = strcmp((*x)->identity.hex, (*y)->identity.hex);

    return order ? order : (*x > *y) - (*x < *y);
}

/* Storage matters to Flat alone, tables and their type to PQ alone, `auto` may be a number that is
   listed too. */
static void skip_twins(struct cell *c)
{
    struct plan *p = c->plan;
    struct trial **sorted = arena_new(&p->arena, p->ntrials, sizeof *sorted);
    int n = 0;

    if (!sorted) c->failed = ERR_NOMEM;
    for (int i = 0; i < p->ntrials && !c->failed; i++)
        if (!p->trials[i].skip) sorted[n++] = &p->trials[i];
    if (n) qsort(sorted, (size_t)n, sizeof *sorted, by_identity);
    for (int i = 1; i < n && !c->failed; i++)
        if (!strcmp(sorted[i - 1]->identity.hex, sorted[i]->identity.hex))
            skip(c, sorted[i], SKIP_RULE,
                 "the same trial as one above: what sets it apart has no meaning for %s",
                 sorted[i]->index);
}

/* The device's memory first: where both are too small, it is the scarcer. */
static void skip_misfit(struct cell *c, struct trial *t, const struct group *g)
{
    size_t host = plan_memory_limit(), device = c->plan->device_bytes, need;
    const char *phase;

    if ((need = plan_peak_device(g, &phase)) > device && device)
        skip(c, t, SKIP_NO_FIT, "does not fit: %s needs %s of the device, whose memory is %s",
             phase, plan_bytes(need).s, plan_bytes(device).s);
    else if ((need = plan_peak_host(g, &phase)) > host)
        skip(c, t, SKIP_NO_FIT, "does not fit: %s needs %s, memory is %s", phase,
             plan_bytes(need).s, plan_bytes(host).s);
}

static void skip_misfits(struct cell *c)
{
    for (int i = 0; i < c->plan->ngroups && !c->failed; i++) {
        struct group *g = &c->plan->groups[i];

        plan_estimate(c->plan, g);
        for (int j = 0; j < g->ntrials && !c->failed; j++)
            if (!g->trials[j].skip) skip_misfit(c, &g->trials[j], g);
    }
}

static void count(struct plan *p)
{
    p->runnable = p->by_rule = p->later = p->no_fit = 0;
    for (int i = 0; i < p->ngroups; i++)
        p->groups[i].runnable = 0;
    for (int i = 0, g = 0; i < p->ntrials; i++) {
        enum skip_kind kind = p->trials[i].skip_kind;

        while (&p->trials[i] >= p->groups[g].trials + p->groups[g].ntrials)
            g++;
        p->groups[g].runnable += kind == SKIP_NONE;
        p->runnable += kind == SKIP_NONE;
        p->by_rule += kind == SKIP_RULE;
        p->later += kind == SKIP_LATER;
        p->no_fit += kind == SKIP_NO_FIT;
    }
}

/* To a backend 0 is `auto`: who asks for none gets the least there is. */
static size_t temp_bytes(int64_t temp_memory)
{
    if (temp_memory == SPEC_AUTO) return 0;
    return temp_memory ? (size_t)temp_memory : 1;
}

struct search_desc plan_search(const struct plan *p, const struct trial *t)
{
    return (struct search_desc){
        .nq = t->batch < p->data.nq ? t->batch : p->data.nq,
        .k = t->k,
        .nprobe = t->nprobe,
        .precomputed_tables = t->precomputed_tables,
        .float16 = t->float16,
        .temp_bytes = temp_bytes(p->spec->temp_memory),
    };
}

int plan_search_alike(const struct search_desc *a, const struct search_desc *b)
{
    return a->precomputed_tables == b->precomputed_tables && a->float16 == b->float16 &&
           a->temp_bytes == b->temp_bytes;
}

void plan_search_widen(struct search_desc *s, const struct search_desc *other)
{
    if (!plan_search_alike(s, other)) return;
    if (other->nq > s->nq) s->nq = other->nq;
    if (other->k > s->k) s->k = other->k;
    if (other->nprobe > s->nprobe) s->nprobe = other->nprobe;
}

int plan_only(struct plan *p, const char *pattern)
{
    static char why[] = "not selected by --only";

    for (int i = 0; i < p->ntrials; i++) {
        struct trial *t = &p->trials[i];

        if (!strcmp(pattern, t->index) || !fnmatch(pattern, t->index, 0)) continue;
        t->skip_kind = SKIP_RULE;
        t->skip = why;
    }
    count(p);
    return p->ntrials - p->by_rule;
}

static int allocate(struct plan *p)
{
    int trials = 1, groups = 1;

    for (int axis = 0; axis < AXES; axis++) {
        trials *= spec_axis_count(p->spec, (enum spec_axis)axis);
        if (axis < AXIS_FLOAT16) groups *= spec_axis_count(p->spec, (enum spec_axis)axis);
    }
    p->ntrials = trials;
    if (!(p->trials = arena_new(&p->arena, trials, sizeof *p->trials))) return ERR_NOMEM;
    if (!(p->groups = arena_new(&p->arena, groups, sizeof *p->groups))) return ERR_NOMEM;
    p->excluded = arena_new(&p->arena, p->spec->nexclude, sizeof *p->excluded);
    if (!p->excluded) return ERR_NOMEM;
    return 0;
}

int plan_create(struct plan **out, const struct spec *spec, const struct dataset_info *data,
                const char *backend, int threads, struct text *errors)
{
    struct plan *p = NULL;
    struct cell c = {.threads = threads};
    struct centroids centroids = {0};
    struct kernels_gpu gpu;
    int rc;

    if ((rc = check(spec, data, &centroids, errors)) < 0) goto out;
    rc = ERR_NOMEM;
    if (!(p = mem_new(1, sizeof *p))) goto out;
    p->spec = spec;
    p->data = *data;
    p->backend = backend;
    p->device_bytes = device_look(&gpu, backend) ? gpu.memory_bytes : 0;
    p->centroids = centroids;
    if ((rc = allocate(p)) < 0) goto out;
    c.plan = p;
    expand(&c);
    if (!c.failed) skip_twins(&c);
    if (!c.failed) skip_misfits(&c);
    if ((rc = c.failed) < 0) goto out;
    count(p);
    *out = p;
    p = NULL; /* now the caller's */
out:
    plan_free(p);
    return rc;
}

void plan_free(struct plan *p)
{
    if (!p) return;
    arena_clear(&p->arena);
    mem_free(p);
}
