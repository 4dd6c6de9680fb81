#include "harness/drive.h"

#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "harness/centroids.h"
#include "harness/cli.h"
#include "harness/worker.h"
#include "results/export.h"

/* ---- what is to do ---- */

static int selected(const struct drive *d, const struct trial *t)
{
    return !d->only || fnmatch(d->only, t->index, 0) == 0;
}

int drive_selected(const struct drive *d)
{
    int n = 0;

    for (int i = 0; i < d->run.plan->ntrials; i++)
        n += selected(d, &d->run.plan->trials[i]);
    return n;
}

static void set_state(struct drive *d, int i, enum drive_state state)
{
    d->count[d->state[i]]--;
    d->state[i] = state;
    d->count[state]++;
}

static int record_skipped(struct drive *d, const struct group *g)
{
    const struct trial *trials = d->run.plan->trials;
    int first = (int)(g->trials - trials), rc;

    for (int i = first; i < first + g->ntrials; i++) {
        if (d->state[i] != DRIVE_SKIPPED) continue;
        if ((rc = run_record(&d->run, g, &trials[i], NULL, STATUS_SKIPPED, trials[i].skip)) < 0)
            return rc;
    }
    return 0;
}

/* Whether the file of centroids that the spec wants of the trial's index is there; a code. */
static int has_centroids(const struct spec *spec, const struct trial *t)
{
    struct text path = {0};
    int rc;

    if (!spec->outputs_centroids) return 1;
    centroids_path(&path, spec->outputs_centroids, t->index, t->seed);
    if ((rc = text_failed(&path)) == 0) rc = access(text_get(&path), F_OK) == 0;
    text_clear(&path);
    return rc;
}

/* Whether the store has of a trial what the spec wants measured, and as often; a code. */
static int is_finished(const struct drive *d, const struct trial *t)
{
    const struct plan *plan = d->run.plan;
    int ten = t->k >= 10 && plan_truth_k(plan) >= 10, rc = has_centroids(plan->spec, t);
    int64_t repeats = 0;
    double value;

    if (rc > 0 && plan->spec->repeat != SPEC_AUTO) {
        rc = store_last_repeats(d->run.db, d->run.id, t->identity.hex, &repeats);
        if (rc > 0) rc = repeats >= plan->spec->repeat;
    }
    if (rc > 0 && plan->spec->measure_recall)
        rc = store_last_metric(d->run.db, d->run.id, t->identity.hex, "recall_1", &value);
    if (rc > 0 && plan->spec->measure_intersection && ten)
        rc = store_last_metric(d->run.db, d->run.id, t->identity.hex, "intersection_10", &value);
    return rc > 0 ? store_finished(d->run.db, d->run.id, t->identity.hex) : rc;
}

/* A row of the export: the last attempt at a trial. Marks it if it came to nothing here. */
static int mark_failed(void *arg, const struct export_row *row)
{
    struct drive *d = arg;

    if (strcmp(row->machine, d->fingerprint) != 0 || strcmp(row->status, "ok") == 0 ||
        strcmp(row->status, "skipped") == 0)
        return 0;
    for (int i = 0; i < d->run.plan->ntrials; i++)
        if (d->state[i] == DRIVE_OUT &&
            strcmp(row->identity, d->run.plan->trials[i].identity.hex) == 0)
            set_state(d, i, DRIVE_PENDING);
    return 0;
}

/* Of the selected trials only those whose last attempt failed. */
static int select_failed(struct drive *d)
{
    const struct export_filter all = {0};
    int rc = export_each(d->run.db, &all, mark_failed, d);

    for (int i = 0; i < d->run.plan->ntrials; i++) {
        const struct trial *t = &d->run.plan->trials[i];

        if (d->state[i] == DRIVE_PENDING && (t->skip || !selected(d, t)))
            set_state(d, i, DRIVE_OUT);
        if (rc < 0 || d->state[i] == DRIVE_PENDING || t->skip || !selected(d, t)) continue;
        rc = is_finished(d, t); /* which makes it part of this run's result */
    }
    return rc < 0 ? rc : 0;
}

static int select_all(struct drive *d)
{
    for (int i = 0; i < d->run.plan->ntrials; i++) {
        const struct trial *t = &d->run.plan->trials[i];
        int finished = 0;

        if (!selected(d, t)) continue;
        if (!t->skip && !d->force) finished = is_finished(d, t);
        if (finished < 0) return finished;
        set_state(d, i, t->skip ? DRIVE_SKIPPED : finished ? DRIVE_FINISHED : DRIVE_PENDING);
    }
    return 0;
}

int drive_select(struct drive *d)
{
    const struct plan *plan = d->run.plan;
    int rc;

    if (!(d->state = mem_new(plan->ntrials, sizeof *d->state))) return ERR_NOMEM;
    d->count[DRIVE_OUT] = plan->ntrials;
    if (d->rerun_failed) return select_failed(d);
    if ((rc = select_all(d)) < 0) return rc;
    for (int i = 0; i < plan->ngroups; i++)
        if ((rc = record_skipped(d, &plan->groups[i])) < 0) return rc;
    return 0;
}

void drive_clear(struct drive *d)
{
    mem_free(d->state);
    d->state = NULL;
}

/* ---- what a worker tells ---- */

static int first_of_group(const struct drive *d)
{
    return (int)(d->group->trials - d->run.plan->trials);
}

static void on_stage(void *arg, const char *stage, int64_t done, int64_t total)
{
    struct drive *d = arg;
    struct text label = {0};

    if (d->current >= 0)
        run_trial_name(&label, d->group, &d->group->trials[d->current]);
    else
        text_add(&label, d->group->label);
    progress_stage(&d->progress, text_get(&label), stage, done, total);
    text_clear(&label);
}

static void on_begin(void *arg, int trial)
{
    struct drive *d = arg;

    if (trial >= 0 && trial < d->group->ntrials) d->current = trial;
}

static void on_end(void *arg, int trial, enum store_status status, const char *text)
{
    struct drive *d = arg;
    struct text name = {0};

    if (trial < 0 || trial >= d->group->ntrials) return;
    d->current = -1;
    d->ended++;
    d->failed += status != STATUS_OK;
    set_state(d, first_of_group(d) + trial, DRIVE_DONE);
    run_trial_name(&name, d->group, &d->group->trials[trial]);
    progress_trial(&d->progress, text_get(&name), status, text);
    text_clear(&name);
}

static void on_warn(void *arg, const char *text)
{
    struct drive *d = arg;

    if (d->quiet) return;
    progress_clear(&d->progress);
    cli_warn("%s", text);
}

/* ---- a worker that did not end well ---- */

static void describe_death(const struct worker_end *end, char *reason, size_t cap)
{
    if (end->signal == SIGKILL)
        snprintf(reason, cap,
                 "the worker was killed (by hand or by the kernel's out-of-memory killer)");
    else if (end->signal)
        snprintf(reason, cap, "the worker died of signal %d (%s)", end->signal,
                 strsignal(end->signal));
    else if (*end->fault)
        snprintf(reason, cap, "%s", end->fault);
    else
        snprintf(reason, cap, "the worker ended with code %d", end->exit_code);
}

/* A row for trial i of the group, unless the worker wrote it with its last breath. */
static int record_lost(struct drive *d, int i, enum store_status status, const char *reason)
{
    const struct trial *t = &d->group->trials[i];
    int rc = d->force ? 0 : store_finished(d->run.db, d->run.id, t->identity.hex);

    if (rc < 0) return rc;
    if (rc > 0) {
        on_end(d, i, STATUS_OK, "");
        return 0;
    }
    if ((rc = run_record(&d->run, d->group, t, NULL, status, reason)) < 0) return rc;
    on_end(d, i, status, reason);
    return 0;
}

/*
 * The worker is gone with trials left. The one it was at is lost; before the first that is all of
 * them, since the index they share is what failed. One that ended by itself has written its row.
 */
static int record_death(struct drive *d, const int *todo, int ntodo, const struct worker_end *end,
                        enum store_status status)
{
    int at = d->current, rc = 0;
    char reason[1100];

    describe_death(end, reason, sizeof reason);
    if (at >= 0) return record_lost(d, at, status, reason);
    if (d->ended && !end->signal) return 0;
    if (d->ended || status == STATUS_INTERRUPTED) {
        for (int i = 0; i < ntodo; i++)
            if (d->state[first_of_group(d) + todo[i]] == DRIVE_PENDING)
                return record_lost(d, todo[i], status, reason);
        return 0;
    }
    for (int i = 0; i < ntodo && rc == 0; i++)
        rc = record_lost(d, todo[i], status, reason);
    return rc;
}

/* ---- group after group ---- */

static int collect_todo(const struct drive *d, int *todo)
{
    int n = 0;

    for (int i = 0; i < d->group->ntrials; i++)
        if (d->state[first_of_group(d) + i] == DRIVE_PENDING) todo[n++] = i;
    return n;
}

/* One worker for what is left of the group. EXIT_DONE: go on, whatever became of the trials. */
static int drive_worker(struct drive *d, const int *todo, int ntodo)
{
    const struct worker_job job = {
        .spec = d->run.plan->spec,
        .set = d->set,
        .nset = d->nset,
        .db = d->db_path,
        .backend = d->run.plan->backend,
        .run = d->run.id,
        .group = d->group,
        .todo = todo,
        .ntodo = ntodo,
    };
    const struct run_watch watch = {on_stage, on_begin, on_end, on_warn, d};
    struct worker_end end;

    d->current = -1;
    d->ended = 0;
    if (worker_run(&job, &watch, &end) < 0) return EXIT_ENVIRONMENT;
    if (interrupted()) {
        if (end.signal && record_death(d, todo, ntodo, &end, STATUS_INTERRUPTED) < 0)
            return EXIT_ENVIRONMENT;
        return 128 + interrupted();
    }
    if (end.exit_code == EXIT_ENVIRONMENT) {
        fail(ERR_IO, "%s", *end.fault ? end.fault : "the worker could not be started");
        return EXIT_ENVIRONMENT;
    }
    if (end.exit_code == EXIT_DONE && d->ended == ntodo) return EXIT_DONE;
    return record_death(d, todo, ntodo, &end, STATUS_FAILED) < 0 ? EXIT_ENVIRONMENT : EXIT_DONE;
}

static int drive_group(struct drive *d, int *todo)
{
    int ntodo, code;

    while ((ntodo = collect_todo(d, todo)) > 0)
        if ((code = drive_worker(d, todo, ntodo)) != EXIT_DONE) return code;
    return EXIT_DONE;
}

int drive(struct drive *d)
{
    const struct plan *plan = d->run.plan;
    int *todo = mem_new(plan->ntrials, sizeof *todo), code = EXIT_DONE;

    if (!todo) return EXIT_TRIAL;
    progress_begin(&d->progress, d->count[DRIVE_PENDING], d->quiet);
    for (int i = 0; i < plan->ngroups && code == EXIT_DONE; i++) {
        d->group = &plan->groups[i];
        code = interrupted() ? 128 + interrupted() : drive_group(d, todo);
    }
    progress_clear(&d->progress);
    mem_free(todo);
    if (code == EXIT_DONE && d->failed) code = EXIT_TRIAL;
    return code;
}
