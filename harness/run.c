#include "harness/run.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "harness/build.h"
#include "harness/cli.h"
#include "harness/contention.h"
#include "harness/evaluate.h"
#include "harness/timing.h"

struct samples {
    int n;
    int64_t wall[TIMING_PASSES], device[TIMING_PASSES];
};

/* Room for the answers and times of one trial after another. */
struct search {
    struct run *run;
    struct build *b;
    float *dist; /* [nq][k] of the trial, k up to the group's largest */
    vid *ids, *first_ids;
    struct samples *warm, *timed; /* warm: the cold first pass, then the warm-up */
    const int *todo;              /* the trials that will search */
    int ntodo;
    struct search_desc reserved; /* k 0: nothing is */
    struct phase searching, evaluating;
    struct nvml_state clocks; /* the worse of right before and right after the timed passes */
    double contended;         /* contention_share of the timed passes */
    struct evaluation evaluation;
};

const char *run_status_name(enum store_status status)
{
    static const char *const names[] = {"ok", "failed", "skipped", "timeout", "oom", "interrupted"};

    return names[status];
}

/* " key=value" where trials of the group differ in it; at: offsetof in struct trial. */
static void add_int(struct text *out, const struct group *g, const struct trial *t, const char *key,
                    size_t at)
{
    for (int i = 0; i < g->ntrials; i++) {
        const int *mine = (const int *)((const char *)t + at);
        const int *other = (const int *)((const char *)&g->trials[i] + at);

        if (*mine == *other) continue;
        text_addf(out, " %s=%d", key, *mine);
        return;
    }
}

static void add_batch(struct text *out, const struct group *g, const struct trial *t)
{
    for (int i = 0; i < g->ntrials; i++) {
        if (g->trials[i].batch == t->batch) continue;
        text_addf(out, " batch=%lld", (long long)t->batch);
        return;
    }
}

void run_trial_name(struct text *out, const struct group *g, const struct trial *t)
{
    text_addf(out, "%s nprobe=%d", g->label, t->nprobe);
    add_int(out, g, t, "k", offsetof(struct trial, k));
    add_int(out, g, t, "float16", offsetof(struct trial, float16));
    add_int(out, g, t, "tables", offsetof(struct trial, precomputed_tables));
    add_batch(out, g, t);
}

/* ---- rows ---- */

static int store_trial_begin(struct run *r, const struct group *g, const struct trial *t,
                             const char *device)
{
    const struct dataset_info *data = &r->plan->data;
    const struct store_trial row = {
        .run = r->id,
        .identity = t->identity.hex,
        .params = t->params,
        .group_identity = g->identity.hex,
        .dataset = data->name,
        .dataset_identity = data->identity.hex,
        .dataset_elem = elem_name(data->elem),
        .n = data->n,
        .nq = data->nq,
        .d = data->d,
        .index = t->index,
        .backend = r->plan->backend,
        .device = device,
        .storage = t->factory.m ? NULL : elem_name(t->storage),
        .gpus = t->gpus,
        .replicas = t->replicas,
        .float16 = t->float16,
        .precomputed_tables = t->factory.m ? t->precomputed_tables : -1,
        .threads = t->threads,
        .seed = t->seed,
        .batch = t->batch,
        .nlist = t->factory.nlist,
        .k = t->k,
        .nprobe = t->nprobe,
    };

    return store_begin(r->db, &row);
}

/* Notes that it is the store that failed. */
static int stored(struct run *r, int rc)
{
    if (rc < 0) r->store_failed = 1;
    return rc;
}

int run_record(struct run *r, const struct group *g, const struct trial *t, const char *device,
               enum store_status status, const char *reason)
{
    int rc;

    if ((rc = store_trial_begin(r, g, t, device)) < 0) return stored(r, rc);
    return stored(r, store_end(r->db, status, reason, NULL));
}

static int store_phases(struct store *db, const struct phase *p, int n)
{
    int rc = 0;

    for (int i = 0; i < n && rc == 0; i++)
        rc = store_phase(db, p[i].name, p[i].wall_ns, p[i].device_ns, p[i].peak_host,
                         p[i].peak_device, p[i].cached);
    return rc;
}

static int store_samples(struct store *db, const char *stage, const struct samples *s, int from,
                         int to)
{
    int rc = 0;

    for (int i = from; i < to && rc == 0; i++)
        rc = store_sample(db, stage, i - from, s->wall[i], s->device[i]);
    return rc;
}

static int store_metrics(struct store *db, const struct evaluation *e, int64_t nq)
{
    int rc = 0;

    for (int i = 0; i < e->nmetrics && rc == 0; i++) {
        rc = store_metric(db, e->metric[i].name, e->metric[i].value);
        if (rc == 0 && e->metric[i].hits)
            rc = store_hits(db, e->metric[i].name, e->metric[i].hits, nq);
    }
    return rc;
}

static void add_flag(struct text *out, const char *word, int raised)
{
    if (raised) text_addf(out, "%s%s", out->len ? "," : "", word);
}

/* "suspect,noisy,contended,throttled" of what is so; "" where nothing is. */
static void add_flags(struct text *out, const struct search *s)
{
    const struct samples *timed = s->timed;

    add_flag(out, "suspect", s->evaluation.doubt.len > 0);
    add_flag(out, "noisy", timed->n > 0 && timing_spread(timed->wall, timed->n) > 0.1);
    add_flag(out, "contended", s->contended > 0.1);
    add_flag(out, "throttled", nvml_throttled(&s->clocks));
}

static int store_clock_state(const struct search *s)
{
    const struct nvml_state *c = &s->clocks;
    struct text events = {0};
    int rc;

    if (!s->b->nvml) return 0;
    nvml_add_events(&events, c);
    if ((rc = text_failed(&events)) == 0)
        rc = store_clocks(s->run->db, c->sm_mhz, c->memory_mhz, c->power_mw, c->temperature_c,
                          events.len ? events.s : NULL);
    text_clear(&events);
    return rc;
}

static int store_result(struct search *s)
{
    const struct build *b = s->b;
    struct store *db = s->run->db;
    const char *doubt = s->evaluation.doubt.len ? s->evaluation.doubt.s : NULL;
    struct text flags = {0};
    int rc;

    if ((rc = store_phases(db, b->phase, b->nphases)) < 0) return rc;
    if ((rc = store_phases(db, &s->searching, 1)) < 0) return rc;
    if ((rc = store_phases(db, &s->evaluating, 1)) < 0) return rc;
    if ((rc = store_samples(db, "first", s->warm, 0, 1)) < 0) return rc;
    if ((rc = store_samples(db, "warmup", s->warm, 1, s->warm->n)) < 0) return rc;
    if ((rc = store_samples(db, "search", s->timed, 0, s->timed->n)) < 0) return rc;
    if ((rc = store_clock_state(s)) < 0) return rc;
    if ((rc = store_metrics(db, &s->evaluation, b->data->nq)) < 0) return rc;
    add_flags(&flags, s);
    if ((rc = text_failed(&flags)) == 0)
        rc = store_end(db, STATUS_OK, doubt, flags.len ? flags.s : NULL);
    text_clear(&flags);
    return rc;
}

/* ---- search ---- */

/* What is reserved is first brought down to the least that can be: the old and the new might not
   fit at once. */
static int reserve(struct search *s, const struct search_desc *want)
{
    const struct search_desc least = {.nq = 1, .k = 1, .nprobe = 1, .temp_bytes = 1};
    int rc;

    if (s->reserved.k) {
        if ((rc = ivf_reserve(s->b->ix, &least)) < 0) return rc;
        s->reserved = least;
    }
    if ((rc = ivf_reserve(s->b->ix, want)) < 0) return rc;
    s->reserved = *want;
    return 0;
}

static int covers(const struct search_desc *s, const struct search_desc *own)
{
    return plan_search_alike(s, own) && s->nq >= own->nq && s->k >= own->k &&
           s->nprobe >= own->nprobe;
}

/*
 * Room for all of the searches that are like t's, so that each is timed with the same; where there
 * is none for the largest, as much as t's own needs.
 */
static int reserve_for(struct search *s, const struct trial *t)
{
    const struct plan *p = s->run->plan;
    struct search_desc own = plan_search(p, t), largest = own;
    int rc;

    if (covers(&s->reserved, &own)) return 0;
    for (int i = 0; i < s->ntodo; i++) {
        struct search_desc other = plan_search(p, &s->b->group->trials[s->todo[i]]);

        plan_search_widen(&largest, &other);
    }
    rc = reserve(s, &largest);
    return rc == ERR_NOMEM ? reserve(s, &own) : rc;
}

/* Searches all queries once, a batch at a time, and adds the times to out. */
static int search_pass(struct search *s, const struct trial *t, struct samples *out)
{
    struct backend *b = s->b->b;
    int64_t nq = s->b->data->nq, d = s->b->data->d, began;
    int rc = 0;

    out->device[out->n] = -1;
    if (b->ops->device_ns) b->ops->device_ns(b, &out->device[out->n]);
    began = clock_ns();
    for (int64_t i = 0; i < nq && rc == 0; i += t->batch) {
        int64_t rows = nq - i < t->batch ? nq - i : t->batch;

        rc = ivf_search(s->b->ix, s->b->q + i * d, rows, t->k, t->nprobe, s->dist + i * t->k,
                        s->ids + i * t->k);
        if (rc == 0 && interrupted()) rc = fail(ERR_INVALID, "interrupted");
    }
    out->wall[out->n] = clock_ns() - began;
    if (rc == 0 && b->ops->device_ns) rc = b->ops->device_ns(b, &out->device[out->n]);
    out->n++;
    return rc;
}

/* What the passes read of the device's time is no longer there for the phase to read. */
static void add_device_ns(struct phase *p, const struct samples *s)
{
    for (int i = 0; i < s->n; i++)
        if (s->device[i] >= 0) p->device_ns += s->device[i];
}

/* Repeats, as long as timing.h wants more, and what else went on meanwhile. */
static int timed_passes(struct search *s, const struct trial *t)
{
    int64_t repeat = s->run->plan->spec->repeat;
    struct contention from, to;
    int rc;

    s->clocks = nvml_read(s->b->nvml);
    contention_read(&from);
    while (timing_more(s->timed->wall, s->timed->n, repeat)) {
        if ((rc = search_pass(s, t, s->timed)) < 0) return rc;
        if ((rc = build_tell(s->b, "search", s->timed->n, 0)) < 0) return rc;
    }
    contention_read(&to);
    s->contended = contention_share(&from, &to);
    s->clocks = nvml_worse(s->clocks, nvml_read(s->b->nvml));
    return 0;
}

/* The cold first pass, warm-up, then repeats. */
static int search_passes(struct search *s, const struct trial *t)
{
    int64_t warmup = s->run->plan->spec->warmup;
    size_t bytes = (size_t)(s->b->data->nq * t->k) * sizeof *s->ids;
    int rc;

    s->warm->n = s->timed->n = 0;
    phase_begin(&s->searching, "search", s->b->b);
    if ((rc = search_pass(s, t, s->warm)) < 0) return rc;
    memcpy(s->first_ids, s->ids, bytes);
    while (timing_warming(s->warm->wall, s->warm->n, warmup)) {
        if ((rc = search_pass(s, t, s->warm)) < 0) return rc;
        if ((rc = build_tell(s->b, "warm-up", s->warm->n, 0)) < 0) return rc;
    }
    if ((rc = timed_passes(s, t)) < 0) return rc;
    phase_end(&s->searching, s->b->b);
    add_device_ns(&s->searching, s->warm);
    add_device_ns(&s->searching, s->timed);
    return 0;
}

static int search_and_evaluate(struct search *s, const struct trial *t)
{
    size_t bytes = (size_t)(s->b->data->nq * t->k) * sizeof *s->ids;
    int rc;

    if ((rc = reserve_for(s, t)) < 0) return rc;
    if ((rc = search_passes(s, t)) < 0) return rc;
    phase_begin(&s->evaluating, "evaluate", s->b->b);
    if ((rc = evaluate(&s->evaluation, s->b, t, s->dist, s->ids)) < 0) return rc;
    phase_end(&s->evaluating, s->b->b);
    if (memcmp(s->first_ids, s->ids, bytes) != 0)
        evaluation_doubt(&s->evaluation, "answers differ between passes");
    return text_failed(&s->evaluation.doubt);
}

/* ---- trials ---- */

static enum store_status status_of(int rc)
{
    if (interrupted()) return STATUS_INTERRUPTED;
    return rc == ERR_NOMEM ? STATUS_OOM : STATUS_FAILED;
}

/*
 * A row for trial i, which came to nothing by rc, whose text is the reason. 0: on with the next
 * one; a code where there is no going on.
 */
static int record_failure(struct run *r, const struct build *b, const struct group *g, int i,
                          int rc)
{
    enum store_status status = status_of(rc);
    char reason[1024];
    int recorded;

    snprintf(reason, sizeof reason, "%s", fail_text());
    recorded =
        run_record(r, g, &g->trials[i], *b->device.name ? b->device.name : NULL, status, reason);
    if (recorded < 0) return recorded;
    r->watch.end(r->watch.arg, i, status, reason);
    return rc == ERR_DEVICE || interrupted() ? fail(rc, "%s", reason) : 0;
}

/* Beside the flag in the row, in so many words: a slow search may be the cooling's doing. */
static void warn_of_clocks(const struct search *s, const struct group *g, const struct trial *t)
{
    struct text line = {0};

    if (!nvml_throttled(&s->clocks)) return;
    run_trial_name(&line, g, t);
    text_add(&line, ": the GPU's clocks were held back while it was timed: ");
    nvml_add_events(&line, &s->clocks);
    build_warn(s->b, text_get(&line));
    text_clear(&line);
}

static void describe(const struct search *s, struct text *out)
{
    const struct evaluation *e = &s->evaluation;
    struct text flags = {0};

    for (int i = 0; i < e->nmetrics; i++)
        if (strcmp(e->metric[i].name, "recall_1") == 0 ||
            strcmp(e->metric[i].name, "intersection_10") == 0)
            text_addf(out, "%s %.4f  ", e->metric[i].name, e->metric[i].value);
    if (s->timed->n)
        text_addf(out, "%.3g ms", timing_quantile(s->timed->wall, s->timed->n, 0.5) / 1e6);
    add_flags(&flags, s);
    if (flags.len) text_addf(out, "  %s", text_get(&flags));
    text_clear(&flags);
    if (e->doubt.len) text_addf(out, " (%s)", e->doubt.s);
}

/* search -> evaluate -> store. A failed trial is stored, not an error here. */
static int run_trial(struct search *s, const struct group *g, int i)
{
    const struct trial *t = &g->trials[i];
    struct run *r = s->run;
    struct text line = {0};
    int rc;

    r->watch.begin(r->watch.arg, i);
    if ((rc = store_trial_begin(r, g, t, s->b->device.name)) < 0) return stored(r, rc);
    if ((rc = search_and_evaluate(s, t)) < 0) return record_failure(r, s->b, g, i, rc);
    if ((rc = store_result(s)) < 0) return stored(r, rc);
    warn_of_clocks(s, g, t);
    describe(s, &line);
    r->watch.end(r->watch.arg, i, STATUS_OK, text_get(&line));
    text_clear(&line);
    return 0;
}

/* ---- the group ---- */

/* Room for the answers of the largest of the trials to come, and for the first one's search: a
   device that fails at that fails all of them. */
static int search_create(struct search *s, struct run *r, struct build *b, const int *todo,
                         int ntodo)
{
    const struct trial *trials = b->group->trials;
    int64_t nq = b->data->nq;
    int k = 1, rc;

    for (int i = 0; i < ntodo; i++)
        if (trials[todo[i]].k > k) k = trials[todo[i]].k;
    s->run = r;
    s->b = b;
    s->todo = todo;
    s->ntodo = ntodo;
    if (!(s->dist = mem_new(nq * k, sizeof *s->dist))) return ERR_NOMEM;
    if (!(s->ids = mem_new(nq * k, sizeof *s->ids))) return ERR_NOMEM;
    if (!(s->first_ids = mem_new(nq * k, sizeof *s->first_ids))) return ERR_NOMEM;
    if (!(s->warm = mem_new(1, sizeof *s->warm))) return ERR_NOMEM;
    if (!(s->timed = mem_new(1, sizeof *s->timed))) return ERR_NOMEM;
    if ((rc = evaluation_create(&s->evaluation, nq)) < 0) return rc;
    rc = ntodo ? reserve_for(s, &trials[*todo]) : 0;
    return rc == ERR_NOMEM ? 0 : rc; /* then it is that trial's own end */
}

static void search_clear(struct search *s)
{
    mem_free(s->dist);
    mem_free(s->ids);
    mem_free(s->first_ids);
    mem_free(s->warm);
    mem_free(s->timed);
    evaluation_clear(&s->evaluation);
    *s = (struct search){0};
}

/* No index, no trials: each of them failed for this reason. An interrupt came upon the first. */
static int record_all(struct run *r, const struct build *b, const struct group *g, const int *todo,
                      int ntodo, int rc)
{
    char reason[1024];

    snprintf(reason, sizeof reason, "%s", fail_text());
    for (int i = 0; i < ntodo; i++) {
        int recorded;

        fail(rc, "%s", reason);
        if ((recorded = record_failure(r, b, g, todo[i], rc)) < 0 &&
            (r->store_failed || interrupted()))
            return recorded;
    }
    return 0;
}

/* dataset -> train -> add: one index; then each of the group's trials: search -> evaluate -> store. */
int run_group(struct run *r, const struct group *g, const int *todo, int ntodo)
{
    struct build b = {0};
    struct search s = {0};
    int rc;

    if ((rc = build_index(&b, r, g)) < 0 || (rc = search_create(&s, r, &b, todo, ntodo)) < 0) {
        rc = record_all(r, &b, g, todo, ntodo, rc);
        goto out;
    }
    for (int i = 0; i < ntodo; i++)
        if ((rc = run_trial(&s, g, todo[i])) < 0) goto out;
out:
    search_clear(&s);
    build_clear(&b);
    return rc;
}
