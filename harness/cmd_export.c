/* export: the rows of the store, for programs and for eyes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/file.h"
#include "harness/shelf.h"

static const char help[] =
    "Usage: ivfbench export [OPTION...]\n"
    "\n"
    "Writes a row a trial: its last attempt on each machine. Times are medians over repeats, for\n"
    "all queries together.\n"
    "\n"
    "  --format WHAT   csv (default), json, table or md (Markdown)\n"
    "  -o FILE         into FILE, whole or not at all; else to stdout\n"
    "  --all           every attempt\n"
    "  --spec GLOB     specs of these names\n"
    "  --dataset GLOB  data sets of these names\n"
    "  --index GLOB    factory keys, as in --index 'IVF1024,*'\n"
    "  --run N         what run N measured or found finished\n"
    "  --db FILE       the database (default: $XDG_DATA_HOME/ivfbench/results.db)\n"
    "\n"
    "Exit codes: 0 done, 2 command line or no such database, 4 nothing matched, 5 the database\n"
    "cannot be read.\n"
    "\n"
    "Example: ivfbench export --format table --spec 'sift*'\n";

/* name NULL: *format stays as it is. */
static int find_format(const char *name, enum export_format *format)
{
    static const char *const names[] = {"csv", "json", "table", "md"}; /* as the enum */

    if (!name) return 0;
    for (int i = 0; i < 4; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *format = (enum export_format)i;
        return 0;
    }
    return fail(ERR_INVALID, "--format %s: it can be csv, json, table or md", name);
}

static int deliver(const struct text *rows, const char *path)
{
    if (path) return file_put(path, text_get(rows));
    if (fputs(text_get(rows), stdout) == EOF || fflush(stdout) == EOF)
        return fail_errno(ERR_IO, errno, "stdout");
    return 0;
}

static int export_to(struct shelf *s, enum export_format format, const char *path)
{
    struct text rows = {0};
    int code = shelf_open(s), rc;

    if (code != EXIT_DONE) goto out;
    rc = export_rows(s->db, &s->filter, format, &rows);
    if (rc == 0)
        code = shelf_nothing(s);
    else if (rc < 0 || (rc = deliver(&rows, path)) < 0)
        code = shelf_error(rc);
out:
    text_clear(&rows);
    store_close(s->db);
    return code;
}

static int run(int argc, char **argv)
{
    struct shelf s = {0};
    const char *format_name = NULL, *path = NULL;
    enum export_format format = EXPORT_CSV;
    const struct cli_option options[] = {
        SHELF_OPTIONS(s),
        {"--format",    CLI_STRING, &format_name},
        {"-o", CLI_STRING, &path},
        {"--all",          CLI_FLAG, &s.filter.all},
        {0       }
    };

    if (cli_parse(options, argc, argv, NULL) < 0 || find_format(format_name, &format) < 0 ||
        shelf_spares(&s, path) < 0)
        return cli_error(EXIT_USAGE);
    return export_to(&s, format, path);
}

const struct verb verb_export = {
    .name = "export", .summary = "the results as csv, json or a table", .help = help, .run = run};
