/* worker: the hidden verb that runs one group in a process of its own; see worker.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/thread.h"
#include "harness/cli.h"
#include "harness/machine.h"
#include "harness/worker.h"

enum { SPEC_MAX = 16 << 20 };

struct job {
    const char *spec, *db, *group, *backend, *trials;
    int64_t run;
    struct cli_list set;
};

static int parse(struct job *job, int argc, char **argv)
{
    const struct cli_option options[] = {
        {"--spec",     CLI_STRING, &job->spec},
        {"--db",  CLI_STRING, &job->db},
        {"--run",       CLI_INT, &job->run},
        {"--group",    CLI_STRING, &job->group},
        {"--backend",      CLI_STRING, &job->backend},
        {"--trials",   CLI_STRING, &job->trials},
        {"--set",    CLI_LIST, &job->set},
        {0}
    };
    struct cli_list words = {0};
    int rc = cli_parse(options, argc, argv, &words);

    if (rc == 0 &&
        (words.count || !job->spec || !job->db || !job->group || !job->backend || !job->trials))
        rc = fail(ERR_INVALID, "worker is started by run, not by hand");
    cli_list_clear(&words);
    return rc;
}

/* Spec and plan again, from the same words as the parent's. */
static int make_plan(struct plan **plan, struct spec **spec, const struct job *job)
{
    struct dataset *ds = NULL;
    struct text errors = {0};
    char *text = NULL;
    int rc;

    if ((rc = file_read_all(&text, NULL, "/dev/stdin", SPEC_MAX)) < 0) goto out;
    rc = spec_parse(spec, job->spec, text, job->set.v, job->set.count, &errors);
    if (rc < 0) goto out;
    if ((rc = dataset_open(&ds, &(*spec)->dataset)) < 0) goto out;
    rc = plan_create(plan, *spec, dataset_info(ds), job->backend, thread_count(), &errors);
out:
    dataset_close(ds);
    mem_free(text);
    text_clear(&errors);
    return rc;
}

static const struct group *find_group(const struct plan *plan, const char *identity)
{
    for (int i = 0; i < plan->ngroups; i++)
        if (strcmp(plan->groups[i].identity.hex, identity) == 0) return &plan->groups[i];
    fail(ERR_FORMAT, "dataset %s: its files changed since the run began", plan->data.name);
    return NULL;
}

/* "0,3,4" -> todo[], which has room for every trial of g. Returns how many. */
static int read_trials(const char *list, const struct group *g, int *todo)
{
    int n = 0;

    while (*list && n < g->ntrials) {
        char *end;
        long i = strtol(list, &end, 10);

        if (end == list || i < 0 || i >= g->ntrials)
            return fail(ERR_INVALID, "worker: no trial %.20s", list);
        todo[n++] = (int)i;
        list = *end == ',' ? end + 1 : end;
    }
    return n;
}

static int run_job(struct run *run, const struct job *job)
{
    const struct group *g = find_group(run->plan, job->group);
    int *todo = NULL, ntodo, rc = ERR_NOMEM;

    if (!g) return ERR_FORMAT;
    if (!(todo = mem_new(g->ntrials, sizeof *todo))) goto out;
    if ((rc = ntodo = read_trials(job->trials, g, todo)) < 0) goto out;
    rc = run_group(run, g, todo, ntodo);
out:
    mem_free(todo);
    return rc;
}

/* What went wrong, for the parent to print. */
static int exit_code(const struct run *run, const struct worker_pipe *pipe, int rc)
{
    if (rc == 0) return EXIT_DONE;
    if (interrupted()) return 128 + interrupted();
    worker_tell_fault(pipe, fail_text());
    return run->store_failed ? EXIT_ENVIRONMENT : EXIT_TRIAL;
}

static int worker(int argc, char **argv)
{
    struct worker_pipe pipe = {.fd = WORKER_FD};
    struct job job = {0};
    struct run run = {0};
    struct spec *spec = NULL;
    struct plan *plan = NULL;
    int rc;

    cli_catch_signals();
    if (parse(&job, argc, argv) < 0) {
        rc = cli_error(EXIT_USAGE);
        goto out;
    }
    run.id = job.run;
    run.watch = worker_watch(&pipe);
    if ((rc = make_plan(&plan, &spec, &job)) < 0) goto told;
    run.plan = plan;
    if ((rc = machine_identity(&run.software)) < 0) goto told;
    if ((rc = store_open(&run.db, job.db)) < 0) {
        run.store_failed = 1;
        goto told;
    }
    rc = run_job(&run, &job);
told:
    rc = exit_code(&run, &pipe, rc);
out:
    store_close(run.db);
    if (run.watch.arg) worker_tell_leave(&pipe, rc);
    plan_free(plan);
    spec_free(spec);
    cli_list_clear(&job.set);
    return rc;
}

const struct verb verb_worker = {
    .name = "worker",
    .help = "Usage: ivfbench worker ... (started by `ivfbench run`, not by hand)\n",
    .run = worker,
};
