/* report: one HTML page of what is in the store. */
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"
#include "harness/publish.h"
#include "harness/shelf.h"

static const char help[] =
    "Usage: ivfbench report [OPTION...]\n"
    "\n"
    "Writes one self-contained HTML page: the picture, the table, machine and software, the spec,\n"
    "the commands that give the same again. The picture's files lie beside it. Without a filter\n"
    "it shows the latest run; with one, all that matches, and the facts of its latest run.\n"
    "\n"
    "  --out FILE      the page (default: report.html)\n"
    "  --spec GLOB, --dataset GLOB, --index GLOB, --run N, --db FILE   as in export\n"
    "\n"
    "Exit codes: 0 done, 2 command line or no such database, 4 nothing matched, 5 gnuplot or the\n"
    "database failed.\n"
    "\n"
    "Example: ivfbench report --spec 'sift*' --out sift.html\n";

static int see_latest(void *arg, const struct export_row *row)
{
    int64_t *latest = arg;

    if (row->run > *latest) *latest = row->run;
    return 0;
}

static int write_report(struct shelf *s, const char *path)
{
    int64_t latest = s->run, seen = 0;
    int all = !s->filter.spec && !s->filter.dataset && !s->filter.index, rc;
    char *copy;

    if (all && latest == 0 && (rc = store_latest_run(s->db, &latest)) < 0) return shelf_error(rc);
    if (all) s->filter.run = latest;
    rc = export_each(s->db, &s->filter, see_latest, &seen);
    if (latest == 0) latest = seen;
    if (rc <= 0) return rc < 0 ? shelf_error(rc) : shelf_nothing(s);
    if (!(copy = mem_string(path))) return cli_error(EXIT_ENVIRONMENT);
    rc = publish_report(s->db, &s->filter, latest, dirname(copy), path);
    mem_free(copy);
    if (rc < 0) return shelf_error(rc);
    puts(path);
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct shelf s = {0};
    const char *path = NULL;
    const struct cli_option options[] = {
        SHELF_OPTIONS(s), {"--out", CLI_STRING, &path},
         {0 }
    };
    int code;

    if (cli_parse(options, argc, argv, NULL) < 0 || shelf_spares(&s, path) < 0) {
        code = cli_error(EXIT_USAGE);
    } else if ((code = shelf_open(&s)) == EXIT_DONE) {
        code = write_report(&s, path ? path : "report.html");
    }
    store_close(s.db);
    return code;
}

const struct verb verb_report = {
    .name = "report", .summary = "one HTML page: picture, table, facts", .help = help, .run = run};
