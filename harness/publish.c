#include "harness/publish.h"

#include <string.h>
#include <time.h>

#include "engine/base/fail.h"
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/cli.h"
#include "plots/json.h"
#include "plots/plot.h"
#include "plots/report.h"

enum { SVG_MAX = 16 << 20 };

struct page {
    struct text csv;
    char *svg; /* NULL: none */
    const char *path;
};

void publish_warn_no_gnuplot(const char *figure, const char *dir)
{
    cli_warn("no gnuplot 5.4 or later: no picture; its script and data are %s/%s.gp and .csv "
             "(install gnuplot-nox, then run `gnuplot %s.gp` there)",
             dir, figure, figure);
}

/* A word of the call that gives the same again; elsewhere nothing has failed before. */
static int add_again(void *arg, const char *key, const char *value)
{
    (void)key;
    if (strcmp(value, "--rerun-failed") == 0) return 0;
    text_add(arg, " ");
    cli_add_word(arg, value);
    return text_failed(arg);
}

static void add_commands(struct text *out, const struct store_run *run)
{
    struct text words = {0};

    if (json_each(run->argv, add_again, &words) < 0) text_reset(&words);
    if (strcmp(run->software.commit, "unknown") != 0)
        text_addf(out, "git checkout %s%s\n", run->software.commit,
                  run->software.dirty ? "  # and changes that were not committed" : "");
    text_addf(out,
              "cmake -B build -DCMAKE_BUILD_TYPE=Release && cmake --build build\n"
              "build/ivfbench%s\n",
              text_get(&words));
    text_clear(&words);
}

static int write_page(void *arg, const struct store_run *run, int64_t started_unix_ns)
{
    const struct page *page = arg;
    struct text commands = {0};
    time_t started = (time_t)(started_unix_ns / 1000000000);
    char date[32] = "";
    struct tm utc;
    int rc;

    if (gmtime_r(&started, &utc)) strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &utc);
    add_commands(&commands, run);
    if ((rc = text_failed(&commands)) == 0)
        rc = report_write(&(struct report){.title = run->spec_name,
                                           .rows_csv = text_get(&page->csv),
                                           .svg = page->svg,
                                           .machine = run->machine.facts,
                                           .software = run->software.facts,
                                           .environment = run->environment,
                                           .spec = run->spec_text,
                                           .commands = text_get(&commands),
                                           .date = date},
                          page->path);
    text_clear(&commands);
    return rc;
}

static int see_name(void *arg, const struct store_run *run, int64_t started_unix_ns)
{
    (void)started_unix_ns;
    text_add(arg, run->spec_name);
    return text_failed(arg);
}

/* 0, with the picture in page->svg if there is one: nothing to draw is no reason for no page. */
static int draw(struct page *page, const char *title, const char *dir)
{
    struct plot plot = {
        .figure = "recall_qps", .csv = text_get(&page->csv), .title = title, .dir = dir};
    struct text path = {0};
    int rc = plot_draw(&plot);

    if (rc == ERR_INVALID) {
        cli_warn("%s", fail_text());
        return 0;
    }
    if (rc == 0) publish_warn_no_gnuplot("recall_qps", dir);
    if (rc > 0) {
        text_addf(&path, "%s/recall_qps.svg", dir);
        rc = text_failed(&path);
        if (rc == 0) rc = file_read_all(&page->svg, NULL, text_get(&path), SVG_MAX);
        text_clear(&path);
    }
    return rc;
}

int publish_report(struct store *db, const struct export_filter *filter, int64_t run,
                   const char *dir, const char *path)
{
    struct page page = {.path = path};
    struct text title = {0};
    int rc;

    if ((rc = export_rows(db, filter, EXPORT_CSV, &page.csv)) < 0) goto out;
    if (rc == 0) {
        rc = fail(ERR_INVALID, "no trials to report");
        goto out;
    }
    if ((rc = store_run_see(db, run, see_name, &title)) < 0) goto out;
    if ((rc = file_mkdirs(dir)) < 0) goto out;
    if ((rc = draw(&page, text_get(&title), dir)) < 0) goto out;
    rc = store_run_see(db, run, write_page, &page);
out:
    mem_free(page.svg);
    text_clear(&title);
    text_clear(&page.csv);
    return rc;
}

int publish(struct store *db, int64_t run, const char *dir)
{
    struct export_filter filter = {.run = run};
    struct text path = {0};
    int rc;

    text_addf(&path, "%s/report.html", dir);
    if ((rc = text_failed(&path)) == 0) rc = publish_report(db, &filter, run, dir, text_get(&path));
    text_clear(&path);
    return rc;
}
