/* run: from specs to rows in the database, a table and, with --out, a report and pictures. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "engine/base/mem.h"
#include "harness/cli.h"
#include "harness/device.h"
#include "harness/drive.h"
#include "harness/machine.h"
#include "harness/publish.h"
#include "results/export.h"

struct options {
    const char *db, *only, *out;
    struct cli_list set, specs;
    int force, rerun_failed, quiet;
};

struct loaded {
    struct spec *spec;
    struct plan *plan;
};

struct session {
    struct options opt;
    struct loaded *loaded; /* [opt.specs.count] */
    struct machine machine;
    struct text db_path, argv, set; /* argv, set: JSON arrays */
    struct store *db;
    int alone; /* holds the database's lock of runs; -1: nobody can tell */
};

static void add_json_array(struct text *out, const char *const *v, int count)
{
    text_add(out, "[");
    for (int i = 0; i < count; i++) {
        if (i) text_add(out, ", ");
        text_add_json(out, v[i]);
    }
    text_add(out, "]");
}

/* ---- what is said ---- */

/* One line for each reason and how many trials it stops. */
static void say_skipped(const struct drive *d)
{
    const struct plan *plan = d->run.plan;

    for (int i = 0, n; i < plan->ntrials; i += n) {
        const char *reason = plan->trials[i].skip;

        for (n = 1; i + n < plan->ntrials && d->state[i + n] == d->state[i] && reason &&
                    plan->trials[i + n].skip && strcmp(plan->trials[i + n].skip, reason) == 0;)
            n++;
        if (d->state[i] == DRIVE_SKIPPED)
            fprintf(stderr, "skipped: %d trial%s: %s\n", n, n == 1 ? "" : "s", reason);
    }
}

static void say_plan(const struct drive *d)
{
    int finished = d->count[DRIVE_FINISHED], todo = d->count[DRIVE_PENDING];

    if (d->quiet) return;
    if (todo || !finished)
        fprintf(stderr, "%s: %d trial%s to run\n", d->run.plan->spec->name, todo,
                todo == 1 ? "" : "s");
    say_skipped(d);
    if (finished)
        fprintf(stderr, "already finished: %d trial%s; --force runs them again\n", finished,
                finished == 1 ? "" : "s");
}

/* The same command; --force, too: without it what was finished before would be taken for done. */
static void say_how_to_go_on(char **argv)
{
    struct text line = {0};

    for (int i = 0; argv[i]; i++) {
        text_add(&line, " ");
        cli_add_word(&line, argv[i]);
    }
    fprintf(stderr, "interrupted; what is finished is kept. To go on: ivfbench%s\n",
            text_get(&line));
    text_clear(&line);
}

/* The run's rows on stdout; where the database is on stderr. */
static int show(const struct session *s, const struct drive *d)
{
    const struct export_filter filter = {.run = d->run.id};
    struct text table = {0};
    int rc = export_rows(s->db, &filter, EXPORT_TABLE, &table);

    if (rc >= 0) fputs(text_get(&table), stdout);
    if (rc >= 0 && fflush(stdout) != 0) rc = fail(ERR_IO, "the table could not be written");
    if (!d->quiet) fprintf(stderr, "database: %s\n", text_get(&s->db_path));
    text_clear(&table);
    return rc < 0 ? rc : 0;
}

/* ---- a spec ---- */

static int begin(const struct session *s, struct drive *d)
{
    const struct spec *spec = d->run.plan->spec;
    const struct store_run row = {
        .machine = machine_row(&s->machine),
        .software = machine_software_row(&s->machine),
        .spec_path = spec->path,
        .spec_name = spec->name,
        .spec_text = spec->text,
        .spec_set = text_get(&s->set),
        .argv = text_get(&s->argv),
        .environment = text_get(&s->machine.environment),
    };

    return store_run_begin(s->db, &row, &d->run.id);
}

/* Where nothing is left to run: done before, skipped by rule, nothing matched, or not possible. */
static enum exit_code without_work(const struct drive *d)
{
    const struct plan *plan = d->run.plan;

    if (d->rerun_failed) {
        fail(ERR_INVALID, "%s: no trial failed the last time", plan->spec->path);
        return cli_error(EXIT_NOTHING);
    }
    if (d->count[DRIVE_FINISHED]) return EXIT_DONE;
    for (int i = 0; i < plan->ntrials; i++) {
        if (d->state[i] != DRIVE_SKIPPED || plan->trials[i].skip_kind == SKIP_RULE) continue;
        fail(ERR_UNSUPPORTED, "%s: nothing is left to run: %s", plan->spec->path,
             plan->trials[i].skip);
        return cli_error(EXIT_USAGE);
    }
    return EXIT_DONE;
}

/* Draws and writes the report into --out; each of several specs has a folder of its own there. */
static int publish_run(const struct session *s, const struct drive *d)
{
    struct text dir = {0};
    int rc;

    if (!s->opt.out) return 0;
    text_add(&dir, s->opt.out);
    if (s->opt.specs.count > 1) text_addf(&dir, "/%s", d->run.plan->spec->name);
    if ((rc = text_failed(&dir)) == 0) rc = publish(s->db, d->run.id, text_get(&dir));
    if (rc == 0 && !d->quiet) fprintf(stderr, "report: %s/report.html\n", text_get(&dir));
    text_clear(&dir);
    return rc;
}

/* From select to the table; the run's row has begun. */
static enum exit_code run_trials(const struct session *s, struct drive *d)
{
    enum exit_code code;

    if (drive_select(d) < 0) return cli_error(EXIT_ENVIRONMENT);
    say_plan(d);
    code = d->count[DRIVE_PENDING] ? (enum exit_code)drive(d) : without_work(d);
    if (code == EXIT_ENVIRONMENT) return cli_error(code);
    if (code == EXIT_NOTHING) return code;
    if (show(s, d) < 0) return cli_error(EXIT_ENVIRONMENT);
    if (!interrupted() && publish_run(s, d) < 0) return cli_error(EXIT_ENVIRONMENT);
    return code;
}

static enum exit_code run_plan(const struct session *s, const struct plan *plan)
{
    struct drive d = {
        .db_path = text_get(&s->db_path),
        .set = s->opt.set.v,
        .nset = s->opt.set.count,
        .only = s->opt.only,
        .force = s->opt.force,
        .rerun_failed = s->opt.rerun_failed,
        .quiet = s->opt.quiet,
        .fingerprint = s->machine.fingerprint.hex,
        .run = {.db = s->db, .plan = plan, .software = s->machine.identity},
    };
    enum exit_code code;

    if (device_check(plan->backend) < 0) return cli_error(EXIT_ENVIRONMENT);
    if (!drive_selected(&d)) {
        fail(ERR_INVALID, "--only %s matches no index of %s", d.only, plan->spec->path);
        return cli_error(EXIT_NOTHING);
    }
    if (begin(s, &d) < 0) return cli_error(EXIT_ENVIRONMENT);
    code = run_trials(s, &d);
    drive_clear(&d);
    if (store_run_end(s->db, d.run.id, code) < 0) return cli_error(EXIT_ENVIRONMENT);
    return code;
}

static enum exit_code load(const struct session *s, const char *path, struct loaded *out)
{
    struct plan_words words = {0};
    const struct cli_list *set = &s->opt.set;
    int rc = plan_load(&out->plan, &out->spec, path, set->v, set->count, 1, &words);
    enum exit_code code = EXIT_DONE;

    fputs(text_get(&words.errors), stderr);
    if (words.note.len && !s->opt.quiet) fprintf(stderr, "note: %s\n", text_get(&words.note));
    if (rc < 0) code = cli_error(cli_code_of(rc));
    text_clear(&words.errors);
    text_clear(&words.note);
    return code;
}

/* ---- the call ---- */

static int parse(struct options *opt, int argc, char **argv)
{
    const struct cli_option options[] = {
        {"--db",      CLI_STRING, &opt->db},
        {"--set",   CLI_LIST, &opt->set},
        {"--only",     CLI_STRING, &opt->only},
        {"--out",  CLI_STRING, &opt->out},
        {"--force",    CLI_FLAG, &opt->force},
        {"--rerun-failed", CLI_FLAG, &opt->rerun_failed},
        {"--quiet",     CLI_FLAG, &opt->quiet},
        {0 }
    };
    int rc = cli_parse(options, argc, argv, &opt->specs);

    if (rc < 0) return rc;
    if (!opt->specs.count)
        return fail(ERR_INVALID, "run wants a spec: ivfbench run experiments/quickstart.yaml");
    if (opt->force && opt->rerun_failed)
        return fail(ERR_INVALID, "run: --force and --rerun-failed exclude each other");
    return 0;
}

/* All specs before the first trial: a typo in the third must not show after a night. */
static enum exit_code load_all(struct session *s)
{
    enum exit_code worst = EXIT_DONE;
    int count = s->opt.specs.count;

    if (!(s->loaded = mem_new(count, sizeof *s->loaded))) return cli_error(EXIT_TRIAL);
    for (int i = 0; i < count; i++) {
        enum exit_code code = load(s, s->opt.specs.v[i], &s->loaded[i]);

        if (code > worst) worst = code;
    }
    return worst;
}

static enum exit_code run_all(struct session *s, char **argv)
{
    enum exit_code worst = EXIT_DONE;

    for (int i = 0; i < s->opt.specs.count && worst < EXIT_ENVIRONMENT; i++) {
        enum exit_code code = run_plan(s, s->loaded[i].plan);

        if (code > worst) worst = code;
    }
    if (interrupted()) say_how_to_go_on(argv);
    return worst;
}

/*
 * Two runs at once measure what both find unfinished twice, each in the way of the other. People may want that,
 * on two GPUs; they should know. The lock is not one of SQLite's, and goes with this process however that ends.
 */
static void warn_of_another_run(struct session *s)
{
    s->alone = open(text_get(&s->db_path), O_RDONLY | O_CLOEXEC);
    if (s->alone >= 0 && flock(s->alone, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK &&
        !s->opt.quiet)
        cli_warn("another run uses %s at the moment: trials that neither has finished are measured "
                 "by both, and times disturb each other",
                 text_get(&s->db_path));
}

static int open_session(struct session *s, int argc, char **argv)
{
    int rc;

    if ((rc = cli_db_path(&s->db_path, s->opt.db)) < 0) return rc;
    add_json_array(&s->argv, (const char *const *)argv, argc);
    add_json_array(&s->set, s->opt.set.v, s->opt.set.count);
    if ((rc = text_failed(&s->argv)) < 0 || (rc = text_failed(&s->set)) < 0) return rc;
    if ((rc = machine_read(&s->machine)) < 0) return rc;
    return store_open(&s->db, text_get(&s->db_path));
}

static void close_session(struct session *s)
{
    for (int i = 0; s->loaded && i < s->opt.specs.count; i++) {
        plan_free(s->loaded[i].plan);
        spec_free(s->loaded[i].spec);
    }
    mem_free(s->loaded);
    store_close(s->db);
    if (s->alone >= 0) close(s->alone); /* after the store: it would drop SQLite's locks, too */
    machine_clear(&s->machine);
    text_clear(&s->db_path);
    text_clear(&s->argv);
    text_clear(&s->set);
    cli_list_clear(&s->opt.set);
    cli_list_clear(&s->opt.specs);
}

static int run(int argc, char **argv)
{
    struct session s = {.alone = -1};
    enum exit_code code;

    cli_catch_signals();
    if (parse(&s.opt, argc, argv) < 0)
        code = cli_error(EXIT_USAGE);
    else
        code = load_all(&s);
    if (code == EXIT_DONE && open_session(&s, argc, argv) < 0) code = cli_error(EXIT_ENVIRONMENT);
    if (code == EXIT_DONE) {
        warn_of_another_run(&s);
        code = run_all(&s, argv);
    }
    close_session(&s);
    return code;
}

const struct verb verb_run = {
    .name = "run",
    .summary = "run specs: index, search, measure, keep every sample",
    .help =
        "Usage: ivfbench run [OPTION...] SPEC...\n"
        "\n"
        "Builds the indexes that the specs ask for, searches them, and keeps every sample in an\n"
        "SQLite database. Trials that are finished there (same machine, commit and build) are not\n"
        "run again, so an interrupted run goes on where it was. Prints the table on stdout.\n"
        "\n"
        "  --db FILE        the database (default $XDG_DATA_HOME/ivfbench/results.db)\n"
        "  --set KEY=VALUE  overrides a key, as in --set search.nprobe=[1,16]; any number of "
        "times\n"
        "  --only PATTERN   only index keys that match, as in --only '*,Flat'\n"
        "  --out DIR        also draw pictures and write a report there\n"
        "  --force          run finished trials again\n"
        "  --rerun-failed   only trials whose last attempt failed\n"
        "  --quiet          nothing on stderr but errors\n"
        "\n"
        "Exit codes: 0 done, skipped by rule or already finished; 1 a trial failed; 2 an error in\n"
        "a spec, missing data, or nothing that this version or machine can run; 4 --only or\n"
        "--rerun-failed matched nothing; 5 no such backend, database or disk; "
        "129, 130, 143 interrupted.\n"
        "\n"
        "Example: ivfbench run --db sift.db --out report experiments/quickstart.yaml\n",
    .run = run,
};
