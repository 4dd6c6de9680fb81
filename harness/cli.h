/*
 * The command line: `ivfbench VERB [OPTION...] [WORD...]`. A verb is a file cmd_<verb>.c that
 * defines one struct verb; cli.c lists them. Data goes to stdout, everything else to stderr.
 */
#ifndef IVF_CLI_H
#define IVF_CLI_H

#include "engine/base/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of the process; `help` and README list them. */
enum exit_code {
    EXIT_DONE = 0,        /* done, skipped by rule, or already finished */
    EXIT_TRIAL = 1,       /* a trial failed: unreadable or faulty data, NaN, memory */
    EXIT_USAGE = 2,       /* command line, spec, missing data file, not supported yet */
    EXIT_REGRESSION = 3,  /* a comparison found something worse */
    EXIT_NOTHING = 4,     /* a filter matched nothing */
    EXIT_ENVIRONMENT = 5, /* no device; database locked, unwritable, newer; disk full */
    EXIT_SIGHUP = 129,
    EXIT_SIGINT = 130,
    EXIT_SIGTERM = 143
};

struct verb {
    const char *name;
    const char *summary; /* a line in `help`; NULL: not shown there */
    const char *help;    /* what --help prints: at most a screen, with an example, ends in \n */
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns an exit_code */
};

extern const struct verb verb_run, verb_plan, verb_check, verb_export, verb_plot, verb_report,
    verb_gt, verb_generate, verb_convert, verb_info, verb_devices, verb_schema, verb_db,
    verb_version, verb_help, verb_worker;

/* The ith verb, NULL past the last. */
const struct verb *cli_verb(int i);

/* Runs the verb that argv[1] names; --help after a verb prints its help. Returns an exit_code. */
int cli_main(int argc, char **argv);

/* Words of a command line; a zeroed one is empty. The strings are argv's. */
struct cli_list {
    const char **v;
    int count;
};
void cli_list_clear(struct cli_list *list);

enum cli_type {
    CLI_FLAG,   /* --quiet:         int, set to 1 */
    CLI_STRING, /* --db FILE:       const char *; once */
    CLI_LIST,   /* --set KEY=VALUE: struct cli_list; any number of times */
    CLI_INT     /* --run N:         int64_t, 0 or more; once */
};

struct cli_option {
    const char *name; /* with its dashes; an array of options ends with a NULL name */
    enum cli_type type;
    void *where;
};

/*
 * Takes argv[1...] apart: --name VALUE or --name=VALUE into its option's `where`, everything
 * else (and all that follows "--") into words; NULL: there may be none. ERR_INVALID says what is wrong,
 * with the nearest option where there is one. Clear words and every CLI_LIST with cli_list_clear in any case.
 */
int cli_parse(const struct cli_option *options, int argc, char **argv, struct cli_list *words);

/* "ivfbench: error: <fail_text()>" on stderr; returns code, so that `return cli_error(...)`. */
int cli_error(enum exit_code code);

/* What reading a spec and its data failed with: faulty data and want of memory are EXIT_TRIAL. */
enum exit_code cli_code_of(int rc);

/* "ivfbench: warning: ..." on stderr. */
void cli_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Of the candidates the one that word was probably meant to be; NULL where none is near. */
const char *cli_nearest(const char *word, const char *const *candidates, int count);

/* Appends the database to use: given, or $XDG_DATA_HOME/ivfbench/results.db (~/.local/share). */
int cli_db_path(struct text *out, const char *given);

/* Appends a word as a shell takes it: in quotes where it needs them. */
void cli_add_word(struct text *out, const char *word);

int cli_terminal(int fd); /* a terminal that can move its cursor: not TERM=dumb */
int cli_colour(int fd);   /* such a terminal, and NO_COLOR is not set */

/*
 * From now on SIGINT, SIGTERM and SIGHUP only set a flag: interrupted() gives the last of them or 0,
 * interrupts() how many came.
 */
void cli_catch_signals(void);
int interrupted(void);
int interrupts(void);

#ifdef __cplusplus
}
#endif
#endif
