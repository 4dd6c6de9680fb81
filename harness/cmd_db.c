/* db: care for the database itself. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/shelf.h"

static const char help[] =
    "Usage: ivfbench db check [--db FILE]\n"
    "\n"
    "Migrates a database of an older version (a copy is left beside it), then looks for damage.\n"
    "\n"
    "Exit codes: 0 whole, 2 not there, 5 damaged, not a database of ours, locked, unwritable or "
    "of\n"
    "a newer version.\n"
    "\n"
    "Example: ivfbench db check --db results.db\n";

static int check(const char *path)
{
    struct store *db = NULL;
    int rc;

    if (access(path, F_OK) != 0) {
        fail(ERR_INVALID, "%s: no such database; `ivfbench run` makes it", path);
        return cli_error(EXIT_USAGE);
    }
    if ((rc = store_open(&db, path)) == 0) rc = store_check(db);
    store_close(db);
    if (rc < 0) return shelf_error(rc);
    printf("%s: whole\n", path);
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct cli_list words = {0};
    struct text path = {0};
    const char *given = NULL;
    const struct cli_option options[] = {
        {"--db",  CLI_STRING, &given},
        {0}
    };
    int code = EXIT_USAGE;

    if (cli_parse(options, argc, argv, &words) < 0) goto error;
    if (words.count != 1 || strcmp(words.v[0], "check") != 0) {
        fail(ERR_INVALID, "db: say what to do: `ivfbench db check`");
        goto error;
    }
    if (cli_db_path(&path, given) < 0) goto error;
    code = check(text_get(&path));
    goto out;
error:
    code = cli_error(EXIT_USAGE);
out:
    text_clear(&path);
    cli_list_clear(&words);
    return code;
}

const struct verb verb_db = {
    .name = "db", .summary = "check the database", .help = help, .run = run};
