/* help: the verbs, a verb's page, the keys of a spec. */
#include <stdio.h>
#include <string.h>

#include "harness/cli.h"
#include "harness/spec.h"

static const char exit_codes[] =
    "\n"
    "Exit codes: 0 done, skipped by rule or already finished; 1 a trial failed; 2 command line,\n"
    "spec or data file; 4 a filter matched nothing; 5 no device, or a database that\n"
    "is locked, unwritable or of a newer version, or a full disk;\n"
    "129, 130, 143 interrupted.\n";

static void overview(void)
{
    puts(
        "ivfbench measures inverted-file indexes for vector search: a YAML spec becomes an index,\n"
        "a table of recall against time, and a picture. Every sample is kept in SQLite.\n"
        "\n"
        "Usage: ivfbench VERB [OPTION...] [SPEC...]\n");
    for (int i = 0; cli_verb(i); i++)
        if (cli_verb(i)->summary) printf("  %-8s %s\n", cli_verb(i)->name, cli_verb(i)->summary);
    puts("\n`ivfbench VERB --help` says more, `ivfbench help spec` explains every key of a spec.");
    fputs(exit_codes, stdout);
}

/* name: NULL for all keys. */
static int help_keys(const char *name)
{
    struct text page = {0};
    int code = EXIT_DONE;

    if (spec_help(&page, name) == 0) {
        fail(ERR_INVALID,
             "help: no verb and no key of a spec is named %s; `ivfbench help` lists the "
             "verbs, `ivfbench help spec` the keys",
             name);
        code = cli_error(EXIT_USAGE);
    } else if (text_failed(&page)) {
        code = cli_error(EXIT_TRIAL);
    } else {
        fputs(text_get(&page), stdout);
    }
    text_clear(&page);
    return code;
}

static int topic(const char *name)
{
    for (int i = 0; cli_verb(i); i++) {
        if (!cli_verb(i)->summary || strcmp(cli_verb(i)->name, name) != 0) continue;
        fputs(cli_verb(i)->help, stdout);
        return EXIT_DONE;
    }
    return help_keys(strcmp(name, "spec") == 0 ? NULL : name);
}

static int help(int argc, char **argv)
{
    if (argc < 2 || argv[1][0] == '-') {
        overview();
        return EXIT_DONE;
    }
    return topic(argv[1]);
}

const struct verb verb_help = {
    .name = "help",
    .summary = "this page, a verb's page, or keys of a spec",
    .help = "Usage: ivfbench help [VERB | spec | KEY]\n"
            "\n"
            "Without a word: the verbs and the exit codes. With a verb: what VERB --help prints.\n"
            "With `spec`: every key of a spec with its type, range, default and meaning. With a\n"
            "key or a section of them: the same of those.\n"
            "\n"
            "Example: ivfbench help search.nprobe\n",
    .run = help,
};
