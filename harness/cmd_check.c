/* ivfbench check: everything about a spec that can be said without running it. */
#include <stdio.h>

#include "harness/cli.h"
#include "harness/plan.h"

static const char help[] =
    "Usage: ivfbench check [--set KEY=VALUE] [--quiet] SPEC...\n"
    "\n"
    "Reads specs and says all that is wrong with them, with file, line and column: unknown keys,\n"
    "values out of range, contradictions. Looks at the data set where its files are there; opens\n"
    "no device.\n"
    "\n"
    "  --set KEY=VALUE  overrides a key, as in --set search.nprobe=[1,16]; any number of times\n"
    "  --quiet          errors alone\n"
    "\n"
    "Exit codes: 0 right, 1 the data is faulty, 2 an error in a spec.\n"
    "\n"
    "Example: ivfbench check experiments/*.yaml\n";

/* On stdout that the spec is right, on stderr what may surprise. */
static void print_right(const struct plan *p, const struct text *note)
{
    struct text idle = {0}, summary = {0};

    plan_summary(p, &summary);
    plan_idle_excludes(p, &idle);
    if (note->len) fprintf(stderr, "note: %s\n", text_get(note));
    fputs(text_get(&idle), stderr);
    printf("%s: right: %s\n", p->spec->path, text_get(&summary));
    text_clear(&idle);
    text_clear(&summary);
}

static int check(const char *path, const struct cli_list *set, int quiet)
{
    struct plan_words words = {0};
    struct plan *p = NULL;
    struct spec *s = NULL;
    int code = cli_code_of(plan_load(&p, &s, path, set->v, set->count, 0, &words));

    fputs(text_get(&words.errors), stderr);
    if (!p)
        cli_error(code);
    else if (!quiet)
        print_right(p, &words.note);
    plan_free(p);
    spec_free(s);
    text_clear(&words.errors);
    text_clear(&words.note);
    return code;
}

static int run(int argc, char **argv)
{
    struct cli_list set = {0}, specs = {0};
    int quiet = 0, code = EXIT_DONE, rc;
    const struct cli_option options[] = {
        {"--set",   CLI_LIST, &set},
        {"--quiet",     CLI_FLAG, &quiet},
        {0}
    };

    rc = cli_parse(options, argc, argv, &specs);
    if (rc == 0 && !specs.count)
        rc = fail(ERR_INVALID, "check wants a spec: ivfbench check experiments/quickstart.yaml");
    for (int i = 0; i < specs.count && rc == 0; i++) {
        int one = check(specs.v[i], &set, quiet);

        if (one > code) code = one;
    }
    if (rc < 0) code = cli_error(EXIT_USAGE);
    cli_list_clear(&set);
    cli_list_clear(&specs);
    return code;
}

const struct verb verb_check = {"check", "say all that is wrong with specs", help, run};
