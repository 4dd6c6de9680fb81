/* ivfbench plan: what `run` would do, as a table. */
#include <stdio.h>
#include <string.h>

#include "engine/base/thread.h"
#include "harness/cli.h"
#include "harness/device.h"
#include "harness/plan.h"
#include "harness/spec_keys.h"

static const char help[] =
    "Usage: ivfbench plan [--set KEY=VALUE] [--only PATTERN] [--quiet] SPEC...\n"
    "\n"
    "Prints what `run` would do: the groups of trials that share an index, what of each runs, "
    "what\n"
    "is skipped and why, and how much memory each phase will hold: training; filling the index, "
    "with\n"
    "truth found on the way; searching. It must fit in the machine's memory, or the control "
    "group's,\n"
    "all of it: what others use now is not looked at. Nor is the database, where trials may be\n"
    "finished that `run` will leave out.\n"
    "\n"
    "  --set KEY=VALUE  overrides a key, as in --set search.nprobe=[1,16]; any number of times\n"
    "  --only PATTERN   only index keys that match, as in --only '*,Flat'\n"
    "  --quiet          no notes\n"
    "\n"
    "Exit codes: 0 done; 1 the data is faulty; 2 an error in a spec, missing data, or nothing "
    "that\n"
    "this version or this machine can run; 4 --only matched nothing; 5 no such backend.\n"
    "\n"
    "Example: ivfbench plan experiments/quickstart.yaml\n";

/* Axes that shape an index and have one value: what all groups have in common. */
static void print_fixed(const struct plan *p)
{
    const char *comma = "";

    printf("  fixed    ");
    for (int axis = AXIS_INDEX + 1; axis < AXIS_FLOAT16; axis++) {
        char room[24];

        if (spec_axis_count(p->spec, (enum spec_axis)axis) > 1) continue;
        printf("%s%s %s", comma, spec_key_leaf(spec_key_of((enum spec_axis)axis)),
               spec_axis_text(p->spec, (enum spec_axis)axis, 0, room));
        comma = ", ";
    }
    printf("\n");
}

static void print_head(const struct plan *p)
{
    const struct dataset_info *d = &p->data;
    struct text summary = {0};
    struct kernels_gpu gpu;

    plan_summary(p, &summary);
    printf("%s: %s", p->spec->name, text_get(&summary));
    text_clear(&summary);
    printf("\n  data     %s: %lld x %d %s, %lld queries, %lld to train on\n", d->name,
           (long long)d->n, d->d, elem_name(d->elem), (long long)d->nq, (long long)d->nt);
    printf("  backend  %s", p->backend);
    if (device_check(p->backend) < 0)
        printf(", which cannot run here");
    else if (device_look(&gpu, p->backend))
        printf(": %s, %s", gpu.name, plan_bytes(gpu.memory_bytes).s);
    printf("\n  memory   %s; threads: auto is %d\n", plan_bytes(plan_memory_limit()).s,
           thread_count());
    print_fixed(p);
}

/* The widest label, for the table's column. */
static int label_width(const struct plan *p)
{
    int width = 5;

    for (int i = 0; i < p->ngroups; i++)
        if ((int)strlen(p->groups[i].label) > width) width = (int)strlen(p->groups[i].label);
    return width;
}

static struct shown bytes_or_dash(size_t bytes)
{
    return bytes ? plan_bytes(bytes) : (struct shown){"-"};
}

/* Whether the plan has a kind of memory beside the host's. */
static int has_device(const struct plan *p)
{
    const char *phase;

    for (int i = 0; i < p->ngroups; i++)
        if (plan_peak_device(&p->groups[i], &phase)) return 1;
    return 0;
}

/* It may be more than the cap: what one query needs, and what is kept of stored vectors. */
static void print_search_step(const struct plan *p, const struct group *g)
{
    if (p->spec->temp_memory == SPEC_AUTO || !g->search_step) return;
    printf("       a search takes %s beside the index; temp_memory is %s\n",
           plan_bytes(g->search_step).s, plan_bytes((size_t)p->spec->temp_memory).s);
}

static void print_group(const struct plan *p, const struct group *g, int width)
{
    printf("%5d  %-*s  %6d  %4d  %9s  %9s  %9s", (int)(g - p->groups) + 1, width, g->label,
           g->ntrials, g->runnable, bytes_or_dash(g->train.host).s, bytes_or_dash(g->fill.host).s,
           bytes_or_dash(g->search.host).s);
    if (has_device(p))
        printf("  %9s  %9s  %9s", bytes_or_dash(g->train.device).s, bytes_or_dash(g->fill.device).s,
               bytes_or_dash(g->search.device).s);
    printf("\n");
}

/* Whether two neighbours differ in nothing but nprobe, so that they share a line. */
static int same_line(const struct trial *a, const struct trial *b)
{
    return a->k == b->k && a->batch == b->batch && a->float16 == b->float16 &&
           a->precomputed_tables == b->precomputed_tables && a->skip_kind == b->skip_kind &&
           (!a->skip || !strcmp(a->skip, b->skip));
}

/* One line of trials from i on; returns the trial after them. */
static int print_trials(const struct group *g, int i)
{
    const struct trial *first = &g->trials[i];

    printf("       %s  k %d, batch %lld", first->skip ? "skip" : "run ", first->k,
           (long long)first->batch);
    if (first->float16) printf(", float16");
    if (first->factory.m && !first->precomputed_tables) printf(", no tables");
    printf(", nprobe");
    for (; i < g->ntrials && same_line(first, &g->trials[i]); i++)
        printf(" %d", g->trials[i].nprobe);
    if (first->skip) printf(": %s", first->skip);
    printf("\n");
    return i;
}

static void print_plan(const struct plan *p)
{
    int width = label_width(p);

    print_head(p);
    printf("\n");
    if (has_device(p))
        printf("%5s  %-*s  %6s  %4s  %-31s  %s\n", "", width, "", "", "", "host memory",
               "device memory");
    printf("%5s  %-*s  %6s  %4s  %9s  %9s  %9s", "group", width, "index", "trials", "run", "train",
           "fill", "search");
    if (has_device(p)) printf("  %9s  %9s  %9s", "train", "fill", "search");
    printf("\n");
    for (int i = 0; i < p->ngroups; i++) {
        print_group(p, &p->groups[i], width);
        print_search_step(p, &p->groups[i]);
        for (int j = 0; j < p->groups[i].ntrials;)
            j = print_trials(&p->groups[i], j);
    }
}

/* What the plan itself says about how `run` would end. */
static int verdict(struct plan *p, const char *only)
{
    if (only && plan_only(p, only) == 0) {
        fail(ERR_INVALID, "--only %s matches no index of %s", only, p->spec->path);
        return cli_error(EXIT_NOTHING);
    }
    print_plan(p);
    if (p->runnable && device_check(p->backend) < 0) return cli_error(EXIT_ENVIRONMENT);
    if (p->runnable || p->by_rule == p->ntrials) return EXIT_DONE;
    fail(ERR_INVALID, "%s: nothing is left to run", p->spec->path);
    return cli_error(EXIT_USAGE);
}

static void print_notes(const struct plan *p, const struct text *note)
{
    struct text idle = {0};

    plan_idle_excludes(p, &idle);
    if (note->len) fprintf(stderr, "note: %s\n", text_get(note));
    fputs(text_get(&idle), stderr);
    text_clear(&idle);
}

static int plan(const char *path, const struct cli_list *set, const char *only, int quiet)
{
    struct plan_words words = {0};
    struct plan *p = NULL;
    struct spec *s = NULL;
    int rc = plan_load(&p, &s, path, set->v, set->count, 1, &words), code;

    fputs(text_get(&words.errors), stderr);
    if (p && !quiet) print_notes(p, &words.note);
    code = p ? verdict(p, only) : cli_error(cli_code_of(rc));
    plan_free(p);
    spec_free(s);
    text_clear(&words.errors);
    text_clear(&words.note);
    return code;
}

static int run(int argc, char **argv)
{
    struct cli_list set = {0}, specs = {0};
    const char *only = NULL;
    int quiet = 0, code = EXIT_DONE, rc;
    const struct cli_option options[] = {
        {"--set",  CLI_LIST, &set},
        {"--only",    CLI_STRING, &only},
        {"--quiet", CLI_FLAG, &quiet},
        {0  }
    };

    rc = cli_parse(options, argc, argv, &specs);
    if (rc == 0 && !specs.count)
        rc = fail(ERR_INVALID, "plan wants a spec: ivfbench plan experiments/quickstart.yaml");
    for (int i = 0; i < specs.count && rc == 0; i++) {
        int one = plan(specs.v[i], &set, only, quiet);

        if (one > code) code = one;
    }
    if (rc < 0) code = cli_error(EXIT_USAGE);
    cli_list_clear(&set);
    cli_list_clear(&specs);
    return code;
}

const struct verb verb_plan = {"plan", "print what `run` would do, and what it skips and why", help,
                               run};
