/* plot: pictures of what is in the store. */
#include <stdio.h>
#include <string.h>

#include "harness/publish.h"
#include "harness/shelf.h"
#include "plots/plot.h"

static const char help[] =
    "Usage: ivfbench plot [OPTION...] [FIGURE...]\n"
    "\n"
    "Draws figures by gnuplot: <figure>.svg, .png, and the .gp and .csv they are made of, which\n"
    "are written without gnuplot too. A curve is one index and setting; a point of it the median\n"
    "over seeds. Figures (default: recall_qps):\n"
    "  recall_qps      queries per second against recall\n"
    "  recall_ms       time of one pass over the queries against recall\n"
    "  build_time      seconds of training and adding, by index\n"
    "\n"
    "  --out DIR       where to (default: .)\n"
    "  --x RECALL      across: intersection_10 (default), recall_1, recall_10, recall_100,\n"
    "                  krecall_10 or recall_tie\n"
    "  --title TEXT    above the picture\n"
    "  --spec GLOB, --dataset GLOB, --index GLOB, --run N, --db FILE   as in export\n"
    "\n"
    "Exit codes: 0 done, 2 command line or no such database, 4 nothing matched, 5 gnuplot or the\n"
    "database failed.\n"
    "\n"
    "Example: ivfbench plot --spec 'sift*' --x recall_1 --out pictures recall_qps build_time\n";

static int draw(struct plot *p)
{
    int rc = plot_draw(p);

    if (rc < 0) return shelf_error(rc);
    if (rc == 0) publish_warn_no_gnuplot(p->figure, p->dir);
    printf("%s/%s.%s\n", p->dir, p->figure, rc > 0 ? "svg" : "gp");
    return EXIT_DONE;
}

static int draw_all(struct shelf *s, struct plot *p, const struct cli_list *figures)
{
    struct text rows = {0};
    int code = shelf_open(s), rc;

    if (code != EXIT_DONE) goto out;
    if ((rc = export_rows(s->db, &s->filter, EXPORT_CSV, &rows)) <= 0) {
        code = rc < 0 ? shelf_error(rc) : shelf_nothing(s);
        goto out;
    }
    p->csv = text_get(&rows);
    if (!p->dir) p->dir = ".";
    if (figures->count == 0) {
        p->figure = "recall_qps";
        code = draw(p);
    }
    for (int i = 0; code == EXIT_DONE && i < figures->count; i++) {
        p->figure = figures->v[i];
        code = draw(p);
    }
out:
    text_clear(&rows);
    store_close(s->db);
    return code;
}

static int run(int argc, char **argv)
{
    struct shelf s = {0};
    struct cli_list figures = {0};
    struct plot p = {0};
    const struct cli_option options[] = {
        SHELF_OPTIONS(s),
        {"--out", CLI_STRING, &p.dir},
        {"--x", CLI_STRING, &p.x},
        {"--title",   CLI_STRING, &p.title},
        {0  }
    };
    int code;

    if (cli_parse(options, argc, argv, &figures) < 0)
        code = cli_error(EXIT_USAGE);
    else
        code = draw_all(&s, &p, &figures);
    cli_list_clear(&figures);
    return code;
}

const struct verb verb_plot = {.name = "plot",
                               .summary = "pictures: recall against speed, build time",
                               .help = help,
                               .run = run};
