#include "harness/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/mem.h"

static const struct verb *const verbs[] = {
    &verb_run,    &verb_plan,     &verb_check,   &verb_export, &verb_plot,    &verb_report,
    &verb_gt,     &verb_generate, &verb_convert, &verb_info,   &verb_devices, &verb_db,
    &verb_schema, &verb_version,  &verb_help,    &verb_worker,
};

/* The last signal, and how many there were times SIGNALS. */
static volatile sig_atomic_t caught;
enum { SIGNALS = 256 };

static void catch_signal(int sig)
{
    caught = caught / SIGNALS * SIGNALS + SIGNALS + sig;
}

void cli_catch_signals(void)
{
    struct sigaction act = {.sa_handler = catch_signal}; /* no SA_RESTART: waits must wake up */
    struct sigaction before;

    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    /* a terminal that goes away; nohup's choice stays */
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &act, NULL);
}

int interrupted(void)
{
    return caught % SIGNALS;
}

int interrupts(void)
{
    return caught / SIGNALS;
}

const struct verb *cli_verb(int i)
{
    return i < (int)(sizeof verbs / sizeof *verbs) ? verbs[i] : NULL;
}

int cli_terminal(int fd)
{
    const char *term = getenv("TERM");

    return isatty(fd) && !(term && strcmp(term, "dumb") == 0);
}

int cli_colour(int fd)
{
    const char *no = getenv("NO_COLOR");

    return cli_terminal(fd) && !(no && *no);
}

enum exit_code cli_code_of(int rc)
{
    if (rc >= 0) return EXIT_DONE;
    return rc == ERR_FORMAT || rc == ERR_NOMEM ? EXIT_TRIAL : EXIT_USAGE;
}

int cli_error(enum exit_code code)
{
    fflush(stdout); /* where both go to one place, what was printed first comes first */
    int colour = cli_colour(STDERR_FILENO);

    fprintf(stderr, "ivfbench: %serror:%s %s\n", colour ? "\033[1;31m" : "",
            colour ? "\033[0m" : "", fail_text());
    return code;
}

void cli_warn(const char *fmt, ...)
{
    int colour = cli_colour(STDERR_FILENO);
    va_list args;

    fprintf(stderr, "ivfbench: %swarning:%s ", colour ? "\033[1;35m" : "", colour ? "\033[0m" : "");
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

/* Levenshtein's distance of two short words; long ones count as far apart. */
static int edits(const char *a, const char *b)
{
    enum { LONG = 48 };
    int row[LONG + 1], na = (int)strlen(a), nb = (int)strlen(b);

    if (na > LONG || nb > LONG) return LONG;
    for (int j = 0; j <= nb; j++)
        row[j] = j;
    for (int i = 1; i <= na; i++) {
        int diagonal = row[0];

        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[nb];
}

const char *cli_nearest(const char *word, const char *const *candidates, int count)
{
    const char *nearest = NULL;
    int best = (int)strlen(word) / 3 + 2; /* more edits than this is another word */

    for (int i = 0; i < count; i++) {
        int e = edits(word, candidates[i]);

        if (e < best) {
            best = e;
            nearest = candidates[i];
        }
    }
    return nearest;
}

static int list_add(struct cli_list *list, const char *word)
{
    const char **v = mem_resize(list->v, list->count, list->count + 1, sizeof *v);

    if (!v) return ERR_NOMEM;
    v[list->count++] = word;
    list->v = v;
    return 0;
}

void cli_list_clear(struct cli_list *list)
{
    mem_free(list->v);
    *list = (struct cli_list){0};
}

static int take_int(int64_t *out, const char *name, const char *value)
{
    char *end;
    long long n;

    errno = 0;
    n = strtoll(value, &end, 10);
    if (errno || end == value || *end || n < 0)
        return fail(ERR_INVALID, "%s wants a whole number, not \"%s\"", name, value);
    *out = n;
    return 0;
}

static int take_value(const struct cli_option *opt, const char *value)
{
    const char **string = opt->where;

    switch (opt->type) {
    case CLI_LIST:
        return list_add(opt->where, value);
    case CLI_INT:
        return take_int(opt->where, opt->name, value);
    case CLI_STRING:
        if (*string) return fail(ERR_INVALID, "%s is given twice", opt->name);
        *string = value;
        return 0;
    case CLI_FLAG:
        break;
    }
    return fail(ERR_INVALID, "%s takes no value", opt->name);
}

static int unknown_option(const struct cli_option *options, const char *verb, const char *arg)
{
    enum { MOST = 32 };
    const char *names[MOST], *near;
    int count = 0;

    for (; options[count].name && count < MOST; count++)
        names[count] = options[count].name;
    near = cli_nearest(arg, names, count);
    return fail(ERR_INVALID, "%s: unknown option %s%s%s%s; `ivfbench %s --help` lists them", verb,
                arg, near ? " (did you mean " : "", near ? near : "", near ? "?)" : "", verb);
}

/* argv[*i] is an option, its value perhaps argv[*i + 1]. */
static int take_option(const struct cli_option *options, int argc, char **argv, int *i)
{
    const char *arg = argv[*i], *equals = strchr(arg, '=');
    size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
    const struct cli_option *opt = options;

    while (opt->name && (strlen(opt->name) != len || memcmp(opt->name, arg, len) != 0))
        opt++;
    if (!opt->name) return unknown_option(options, argv[0], arg);
    if (equals) return take_value(opt, equals + 1);
    if (opt->type == CLI_FLAG) {
        *(int *)opt->where = 1;
        return 0;
    }
    if (*i + 1 >= argc) return fail(ERR_INVALID, "%s: %s wants a value", argv[0], opt->name);
    return take_value(opt, argv[++*i]);
}

int cli_parse(const struct cli_option *options, int argc, char **argv, struct cli_list *words)
{
    int rc = 0, only_words = 0;

    for (int i = 1; i < argc && rc == 0; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0)
            only_words = 1;
        else if (!only_words && argv[i][0] == '-' && argv[i][1])
            rc = take_option(options, argc, argv, &i);
        else if (words)
            rc = list_add(words, argv[i]);
        else
            rc = fail(ERR_INVALID, "%s takes no \"%s\"; `ivfbench %s --help` says what it takes",
                      argv[0], argv[i], argv[0]);
    }
    return rc;
}

int cli_db_path(struct text *out, const char *given)
{
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

    if (given && !*given) return fail(ERR_INVALID, "--db wants the name of a file");
    if (given)
        text_add(out, given);
    else if (xdg && *xdg)
        text_addf(out, "%s/ivfbench/results.db", xdg);
    else if (home && *home)
        text_addf(out, "%s/.local/share/ivfbench/results.db", home);
    else
        return fail(ERR_INVALID, "no place for the database: HOME is not set; give --db FILE");
    return text_failed(out);
}

void cli_add_word(struct text *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=.,:/@%";

    if (*word && !word[strspn(word, plain)]) {
        text_add(out, word);
        return;
    }
    text_add(out, "'");
    for (; *word; word++)
        text_add_bytes(out, *word == '\'' ? "'\\''" : word, *word == '\'' ? 4 : 1);
    text_add(out, "'");
}

static int wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return 1;
    return 0;
}

static int unknown_verb(const char *name)
{
    const char *names[sizeof verbs / sizeof *verbs], *near;
    int count = 0;

    for (int i = 0; cli_verb(i); i++)
        if (cli_verb(i)->summary) names[count++] = cli_verb(i)->name;
    near = cli_nearest(name, names, count);
    fail(ERR_INVALID, "unknown verb %s%s%s%s; `ivfbench help` lists them", name,
         near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    return cli_error(EXIT_USAGE);
}

/* What a verb printed may be waiting still, and find no room. */
static int deliver(int code)
{
    int lost = fflush(stdout) == EOF || ferror(stdout);

    if (code != EXIT_DONE || !lost) return code;
    fail(ERR_IO, "stdout: what was printed could not be written: is the disk full?");
    return cli_error(EXIT_ENVIRONMENT);
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    if (!wants_help(argc - 1, argv + 1))
        return argc > 1 ? verb->run(argc - 1, argv + 1) : verb->run(argc, argv);
    fputs(verb->help, stdout);
    return EXIT_DONE;
}

int cli_main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";

    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    if (strcmp(name, "--version") == 0) name = "version";
    for (int i = 0; cli_verb(i); i++)
        if (strcmp(cli_verb(i)->name, name) == 0) return deliver(run_verb(cli_verb(i), argc, argv));
    return unknown_verb(name);
}
