#include "plots/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/file.h"
#include "engine/base/text.h"
#include "plots/csv.h"
#include "plots/curves.h"
#include "plots/json.h"
#include "report_css.h"

/* Columns of the table: where rows that have one differ or, for results, where any row has one. */
static const struct shown {
    const char *column, *title;
    int decimals; /* -1: as it is; -2: a hash's first digits */
    int result, words;
} shown[] = {
    {"spec",               "spec",         -1, 0, 1},
    {"dataset",            "data set",     -1, 0, 1},
    {"n",                  "n",            -1, 0, 0},
    {"d",                  "d",            -1, 0, 0},
    {"dataset_identity",   "data",         -2, 0, 1},
    {"nq",                 "nq",           -1, 0, 0},
    {"index",              "index",        -1, 1, 1},
    {"backend",            "backend",      -1, 0, 1},
    {"device",             "device",       -1, 0, 1},
    {"gpus",               "GPUs",         -1, 0, 0},
    {"replicas",           "replicas",     -1, 0, 0},
    {"storage",            "storage",      -1, 0, 1},
    {"float16",            "float16",      -1, 0, 0},
    {"precomputed_tables", "tables",       -1, 0, 0},
    {"temp_memory",        "temp_memory",  -1, 0, 0},
    {"coarse_iterations",  "iterations",   -1, 0, 0},
    {"train_rows",         "trained on",   -1, 0, 0},
    {"train_sample",       "sample",       -1, 0, 1},
    {"train_centroids",    "centroids",    -2, 0, 1},
    {"add_batch",          "add.batch",    -1, 0, 0},
    {"commit",             "commit",       -2, 0, 1},
    {"machine",            "machine",      -2, 0, 1},
    {"threads",            "threads",      -1, 0, 0},
    {"k",                  "k",            -1, 0, 0},
    {"batch",              "batch",        -1, 0, 0},
    {"seed",               "seed",         -1, 0, 0},
    {"nprobe",             "nprobe",       -1, 1, 0},
    {"recall_1",           "1-R@1",        4,  1, 0},
    {"recall_10",          "1-R@10",       4,  1, 0},
    {"recall_100",         "1-R@100",      4,  1, 0},
    {"recall_tie",         "tie-aware",    4,  1, 0},
    {"intersection_10",    "10-R@10",      4,  1, 0},
    {"search_ms",          "search ms",    2,  1, 0},
    {"search_device_ms",   "device ms",    2,  1, 0},
    {"qps",                "QPS",          0,  1, 0},
    {"train_s",            "train s",      2,  1, 0},
    {"add_s",              "add s",        2,  1, 0},
    {"train_cached",       "model cached", -1, 0, 0},
    {"status",             "status",       -1, 0, 1},
    {"flags",              "flags",        -1, 1, 1},
    {"reason",             "reason",       -1, 1, 1},
};
enum { SHOWN = sizeof shown / sizeof *shown };

static int agree(const struct csv *csv, int a, int b, const char *column)
{
    return strcmp(csv_get(csv, a, column), csv_get(csv, b, column)) == 0;
}

/* Data sets of a name, n and d are not always of one content; their rows follow each other. */
static int content_differs(const struct csv *csv)
{
    for (int b = 1; b < csv->rows; b++)
        if (agree(csv, b - 1, b, "dataset") && agree(csv, b - 1, b, "n") &&
            agree(csv, b - 1, b, "d") && !agree(csv, b - 1, b, "dataset_identity"))
            return 1;
    return 0;
}

static int is_shown(const struct csv *csv, const struct shown *s)
{
    const char *first = "";

    if (!strcmp(s->column, "dataset_identity")) return content_differs(csv);

    for (int row = 0; row < csv->rows; row++) {
        const char *value = csv_get(csv, row, s->column);

        if (!*value) continue;
        if (s->result || (*first && strcmp(value, first) != 0)) return 1;
        first = value;
    }
    return 0;
}

static void add_cell(struct text *out, const struct csv *csv, int row, const struct shown *s)
{
    const char *value = csv_get(csv, row, s->column);
    double x = csv_number(csv, row, s->column);
    char digits[9];

    text_add(out, s->words ? "<td class=\"words\">" : "<td>");
    snprintf(digits, sizeof digits, "%s", value);
    if (s->decimals >= 0 && isfinite(x))
        text_addf(out, "%.*f", s->decimals, x);
    else
        text_add_html(out, s->decimals == -2 ? digits : value);
    text_add(out, "</td>");
}

static void add_table(struct text *out, const struct csv *csv)
{
    int on[SHOWN];

    text_add(out, "<div class=\"wide\"><table>\n<thead><tr>");
    for (int i = 0; i < SHOWN; i++)
        if ((on[i] = is_shown(csv, &shown[i])))
            text_addf(out, "<th scope=\"col\"%s>%s</th>", shown[i].words ? " class=\"words\"" : "",
                      shown[i].title);
    text_add(out, "</tr></thead>\n<tbody>\n");
    for (int row = 0; row < csv->rows; row++) {
        text_add(out, strcmp(csv_get(csv, row, "status"), "ok") ? "<tr class=\"bad\">" : "<tr>");
        for (int i = 0; i < SHOWN; i++)
            if (on[i]) add_cell(out, csv, row, &shown[i]);
        text_add(out, "</tr>\n");
    }
    text_add(out, "</tbody></table></div>\n");
}

static void add_base64(struct text *out, const char *s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i += 3) {
        unsigned bits = (unsigned)(unsigned char)s[i] << 16;

        if (i + 1 < n) bits |= (unsigned)(unsigned char)s[i + 1] << 8;
        if (i + 2 < n) bits |= (unsigned char)s[i + 2];
        text_addf(out, "%c%c%c%c", digits[bits >> 18], digits[bits >> 12 & 63],
                  i + 1 < n ? digits[bits >> 6 & 63] : '=', i + 2 < n ? digits[bits & 63] : '=');
    }
}

static void add_results(struct text *out, const struct report *r, const struct csv *csv)
{
    text_add(out, "<h2>Results</h2>\n"
                  "<p class=\"soft\">Times are medians over repeats, for all queries together. "
                  "1-R@r: share of queries whose true nearest is among the first r. "
                  "10-R@10: share of the true 10 nearest among the 10 found.</p>\n");
    add_table(out, csv);
    text_add(out, "<p class=\"download\"><a download=\"results.csv\" "
                  "href=\"data:text/csv;charset=utf-8;base64,");
    add_base64(out, r->rows_csv);
    text_addf(out, "\">results.csv</a> <span class=\"soft\">(every column, %d rows)</span></p>\n",
              csv->rows);
}

/* Without the XML declaration and document type, which have no place inside a page. */
static void add_picture(struct text *out, const char *svg)
{
    const char *from = svg ? strstr(svg, "<svg") : NULL;

    if (!from) {
        text_add(out, "<p class=\"soft\">No picture: gnuplot was not there when this was "
                      "written, or there was nothing to draw.</p>\n");
        return;
    }
    text_add(out, "<figure role=\"img\" aria-label=\"Queries per second against recall\">\n");
    text_add(out, from);
    text_add(out, "</figure>\n");
}

static int add_fact(void *arg, const char *key, const char *value)
{
    struct text *out = arg;

    if (!*value || !strcmp(value, "[]")) return 0; /* not known here, or none */
    text_add(out, "<tr><th scope=\"row\">");
    for (; *key; key++)
        text_add_html(out, (char[]){(char)(*key == '_' ? ' ' : *key), '\0'});
    text_add(out, "</th><td>");
    text_add_html(out, value);
    text_add(out, "</td></tr>\n");
    return text_failed(out);
}

static int add_facts(struct text *out, const char *heading, const char *json)
{
    int rc;

    if (!json) return 0;
    text_addf(out, "<section><h2>%s</h2><table class=\"facts\"><tbody>\n", heading);
    rc = json_each(json, add_fact, out);
    text_add(out, "</tbody></table></section>\n");
    return rc < 0 ? fail_in(rc, "facts of the %s", heading) : 0;
}

static void add_pre(struct text *out, const char *heading, const char *content)
{
    if (!content) return;
    text_addf(out, "<h2>%s</h2>\n<pre>", heading);
    text_add_html(out, content);
    text_add(out, "</pre>\n");
}

static void add_head(struct text *out, const struct report *r, const struct curves *c)
{
    struct text shared = {0};

    curves_shared(c, &shared);
    text_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta name=\"generator\" content=\"ivfbench\">\n<title>");
    text_add_html(out, r->title);
    text_addf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header><h1>", report_css);
    text_add_html(out, r->title);
    text_add(out, "</h1>\n<p class=\"soft\">");
    text_add_html(out, text_get(&shared));
    text_add(out, "</p></header>\n");
    text_clear(&shared);
}

static int compose(struct text *out, const struct report *r, const struct curves *c)
{
    int rc;

    add_head(out, r, c);
    add_picture(out, r->svg);
    add_results(out, r, &c->csv);
    add_pre(out, "The same again", r->commands);
    add_pre(out, "The spec", r->spec);
    text_add(out, "<div class=\"columns\">\n");
    if ((rc = add_facts(out, "Machine", r->machine)) < 0) return rc;
    if ((rc = add_facts(out, "Software", r->software)) < 0) return rc;
    if ((rc = add_facts(out, "That day", r->environment)) < 0) return rc;
    text_add(out, "</div>\n<footer>Written by ivfbench");
    if (r->date) {
        text_add(out, ", run of ");
        text_add_html(out, r->date);
    }
    text_add(out, ".</footer>\n</body>\n</html>\n");
    return text_failed(out);
}

int report_write(const struct report *r, const char *path)
{
    struct curves *c = NULL;
    struct text page = {0};
    int rc;

    if ((rc = curves_create(&c, r->rows_csv)) < 0) goto out;
    if ((rc = compose(&page, r, c)) < 0) goto out;
    rc = file_put(path, text_get(&page));
out:
    curves_free(c);
    text_clear(&page);
    return rc;
}
