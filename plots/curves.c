#include "plots/curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/base/stats.h"

const char *const curves_value_names[CURVE_VALUES] = {
    "recall_1",        "recall_10", "recall_100",   "krecall_10",   "recall_tie",
    "intersection_10", "search_ms", "search_ms_q1", "search_ms_q3", "qps",
    "qps_q1",          "qps_q3",    "train_s",      "add_s"};

/* What tells curves apart, and how a label says it; of: columns that often decide it, all in one. */
static const struct setting {
    const char *column, *before, *after, *of[3];
} settings[] = {
    {"index",              "",             "", {0}                      },
    {"spec",               "spec ",        "", {0}                      },
    {"dataset",            "",             "", {0}                      },
    {"n",                  "n ",           "", {0}                      },
    {"d",                  "d ",           "", {"dataset"}              },
    {"dataset_identity",   "data ",        "", {"dataset", "n", "d"}    },
    {"nq",                 "nq ",          "", {0}                      },
    {"backend",            "",             "", {0}                      },
    {"device",             "",             "", {0}                      },
    {"gpus",               "GPUs ",        "", {0}                      },
    {"replicas",           "replicas ",    "", {0}                      },
    {"storage",            "",             "", {"index"}                },
    {"float16",            "float16 ",     "", {"index"}                },
    {"precomputed_tables", "tables ",      "", {"index"}                },
    {"temp_memory",        "temp_memory ", "", {0}                      },
    {"coarse_iterations",  "iterations ",  "", {0}                      },
    {"train_rows",         "trained on ",  "", {"index", "dataset", "n"}},
    {"train_sample",       "sample ",      "", {0}                      },
    {"train_centroids",    "centroids ",   "", {"index"}                },
    {"add_batch",          "add.batch ",   "", {0}                      },
    {"threads",            "threads ",     "", {0}                      },
    {"k",                  "k ",           "", {0}                      },
    {"batch",              "batch ",       "", {0}                      },
    {"commit",             "commit ",      "", {0}                      },
    {"machine",            "machine ",     "", {0}                      },
};
enum { SETTINGS = sizeof settings / sizeof *settings };

static int same(const struct csv *csv, int a, int b, const char *column)
{
    return strcmp(csv_get(csv, a, column), csv_get(csv, b, column)) == 0;
}

static int same_curve(const struct csv *csv, int a, int b)
{
    for (int i = 0; i < SETTINGS; i++)
        if (!same(csv, a, b, settings[i].column)) return 0;
    return 1;
}

static struct curve_point read_point(const struct csv *csv, int row)
{
    struct curve_point p = {
        .row = row, .nprobe = csv_number(csv, row, "nprobe"), .seed = csv_number(csv, row, "seed")};
    double nq = csv_number(csv, row, "nq");

    for (int v = 0; v < CURVE_VALUES; v++)
        p.value[v] = csv_number(csv, row, curves_value_names[v]);
    p.value[VALUE_QPS_Q1] = nq * 1e3 / p.value[VALUE_MS_Q3];
    p.value[VALUE_QPS_Q3] = nq * 1e3 / p.value[VALUE_MS_Q1];
    return p;
}

static int by_place(const void *a, const void *b)
{
    const struct curve_point *p = a, *q = b;

    if (p->curve != q->curve) return p->curve - q->curve;
    if (p->nprobe != q->nprobe) return p->nprobe < q->nprobe ? -1 : 1;
    return (p->seed > q->seed) - (p->seed < q->seed);
}

/* Rows that ran, with the number of their curve, sorted. Curves count in order of appearance. */
static int read_points(struct curves *c)
{
    int *first; /* row of each curve */

    if (!(c->points = mem_new(c->csv.rows, sizeof *c->points))) return ERR_NOMEM;
    if (!(first = mem_new(c->csv.rows, sizeof *first))) return ERR_NOMEM;
    for (int row = 0; row < c->csv.rows; row++) {
        struct curve_point p = read_point(&c->csv, row);

        if (strcmp(csv_get(&c->csv, row, "status"), "ok") != 0) continue;
        while (p.curve < c->count && !same_curve(&c->csv, first[p.curve], row))
            p.curve++;
        if (p.curve == c->count) first[c->count++] = row;
        c->points[c->npoints++] = p;
    }
    mem_free(first);
    qsort(c->points, (size_t)c->npoints, sizeof *c->points, by_place);
    return 0;
}

/* Quantile p of one value over n points; those without it do not count. x: scratch [n]. */
static double quantile(const struct curve_point *points, int n, int value, double p, double *x)
{
    int have = 0;

    for (int i = 0; i < n; i++)
        if (isfinite(points[i].value[value])) x[have++] = points[i].value[value];
    return stats_quantile(x, have, p);
}

static struct curve_point median_of(const struct curve_point *points, int n, double *x)
{
    static const int spread[][2] = {
        {VALUE_MS,  VALUE_MS_Q1 },
        {VALUE_QPS, VALUE_QPS_Q1}
    };
    struct curve_point m = points[0];

    m.seeds = n;
    if (n == 1) return m;
    m.seed = NAN;
    for (int v = 0; v < CURVE_VALUES; v++)
        m.value[v] = quantile(points, n, v, 0.5, x);
    for (int i = 0; i < 2; i++) {
        m.value[spread[i][1]] = quantile(points, n, spread[i][0], 0.25, x);
        m.value[spread[i][1] + 1] = quantile(points, n, spread[i][0], 0.75, x);
    }
    return m;
}

static int make_medians(struct curves *c)
{
    double *x;
    int n;

    if (!(c->medians = mem_new(c->npoints, sizeof *c->medians))) return ERR_NOMEM;
    if (!(x = mem_new(c->npoints, sizeof *x))) return ERR_NOMEM;
    for (int i = 0; i < c->npoints; i += n) {
        const struct curve_point *p = &c->points[i];

        for (n = 1; i + n < c->npoints; n++)
            if (p[n].curve != p->curve || p[n].nprobe != p->nprobe) break;
        c->medians[c->nmedians++] = median_of(p, n, x);
    }
    mem_free(x);
    return 0;
}

/* Rows of all curves agree in a column. */
static int shared(const struct curves *c, const char *column)
{
    for (int i = 1; i < c->npoints; i++)
        if (!same(&c->csv, c->points[i].row, c->points[0].row, column)) return 0;
    return 1;
}

/* The ith point is the first of its curve. */
static int is_first(const struct curves *c, int i)
{
    return i == 0 || c->points[i].curve != c->points[i - 1].curve;
}

/* Curves that agree in all of `of` agree in the column, so that those say it already. */
static int follows(const struct curves *c, const struct setting *s)
{
    enum { MOST = sizeof s->of / sizeof *s->of };

    for (int i = 1; i < c->npoints; i++)
        for (int j = 0; is_first(c, i) && j < i; j++) {
            int a = c->points[i].row, b = c->points[j].row, agree = is_first(c, j);

            for (int k = 0; k < MOST && s->of[k] && agree; k++)
                agree = same(&c->csv, a, b, s->of[k]);
            if (agree && !same(&c->csv, a, b, s->column)) return 0;
        }
    return 1;
}

/* The index is always told: a picture of one curve has a name in its key too. */
static int is_told(const struct curves *c, const struct setting *s)
{
    if (s == settings) return 1;
    return !shared(c, s->column) && !(s->of[0] && follows(c, s));
}

/* A hash is known by its first digits, a switch by a word. */
static void add_setting(struct text *out, const char *column, const char *value)
{
    if (!strcmp(column, "commit") || !strcmp(column, "machine") ||
        !strcmp(column, "dataset_identity") || !strcmp(column, "train_centroids"))
        text_addf(out, "%.8s%s", value, strstr(value, "-dirty") ? "-dirty" : "");
    else if (!strcmp(column, "float16") || !strcmp(column, "precomputed_tables"))
        text_add(out, *value == '1' ? "on" : "off");
    else
        text_add(out, value);
}

/* told: which of the settings. */
static char *make_label(const struct curves *c, int row, const int told[SETTINGS])
{
    struct text label = {0};
    char *copy = NULL;

    for (int i = 0; i < SETTINGS; i++) {
        const char *value = csv_get(&c->csv, row, settings[i].column);

        if (!*value || !told[i]) continue;
        text_addf(&label, "%s%s", label.len > 0 ? " · " : "", settings[i].before);
        add_setting(&label, settings[i].column, value);
        text_add(&label, settings[i].after);
    }
    if (!text_failed(&label)) copy = mem_string(text_get(&label));
    text_clear(&label);
    return copy;
}

static int make_labels(struct curves *c)
{
    int told[SETTINGS];

    if (!(c->labels = mem_new(c->count, sizeof *c->labels))) return ERR_NOMEM;
    for (int i = 0; i < SETTINGS; i++)
        told[i] = is_told(c, &settings[i]);
    for (int i = 0; i < c->npoints; i++) {
        const struct curve_point *p = &c->points[i];

        if (is_first(c, i) && !(c->labels[p->curve] = make_label(c, p->row, told)))
            return ERR_NOMEM;
    }
    return 0;
}

int curves_create(struct curves **out, const char *csv)
{
    struct curves *c = NULL;
    int rc = ERR_NOMEM;

    if (!(c = mem_new(1, sizeof *c))) goto out;
    if ((rc = csv_parse(&c->csv, csv)) < 0) goto out;
    if ((rc = read_points(c)) < 0) goto out;
    if ((rc = make_medians(c)) < 0) goto out;
    if ((rc = make_labels(c)) < 0) goto out;
    *out = c;
    c = NULL;
out:
    curves_free(c);
    return rc;
}

void curves_free(struct curves *c)
{
    if (!c) return;
    for (int i = 0; c->labels && i < c->count; i++)
        mem_free(c->labels[i]);
    mem_free(c->labels);
    mem_free(c->medians);
    mem_free(c->points);
    csv_clear(&c->csv);
    mem_free(c);
}

static void add_shared(const struct curves *c, struct text *out, const char *column,
                       const char *before, const char *after)
{
    const char *value = c->npoints ? csv_get(&c->csv, c->points[0].row, column) : "";

    if (!*value || !shared(c, column)) return;
    text_addf(out, "%s%s", out->len > 0 ? " · " : "", before);
    add_setting(out, column, value);
    text_add(out, after);
}

void curves_shared(const struct curves *c, struct text *out)
{
    const char *latest = "";

    for (int i = 0; i < c->npoints; i++) {
        const char *started = csv_get(&c->csv, c->points[i].row, "started");

        if (strcmp(started, latest) > 0) latest = started;
    }
    add_shared(c, out, "dataset", "", "");
    add_shared(c, out, "n", "n ", "");
    add_shared(c, out, "d", "d ", "");
    add_shared(c, out, "k", "k ", "");
    add_shared(c, out, "device", "", "");
    add_shared(c, out, "threads", "threads ", "");
    add_shared(c, out, "commit", "commit ", "");
    if (*latest) text_addf(out, " · %.10s", latest);
}

/*
 * nprobe is written at both ends of a curve; between them, while there are few curves, at every
 * second point. i: of the medians.
 */
static int is_marked(const struct curves *c, int i)
{
    int from = i, to = i;

    while (from > 0 && c->medians[from - 1].curve == c->medians[i].curve)
        from--;
    while (to + 1 < c->nmedians && c->medians[to + 1].curve == c->medians[i].curve)
        to++;
    if (i == from || i == to) return c->count <= 8;
    return c->count <= 4 && (i - from) % 2 == 0 && to - i > 1;
}

static void add_number(struct text *out, double x)
{
    text_add(out, ",");
    if (isfinite(x)) text_addf(out, "%.10g", x);
}

static void add_point(const struct curves *c, const struct curve_point *p, int marked,
                      struct text *out)
{
    text_addf(out, "%d,", p->curve + 1);
    text_add_csv(out, c->labels[p->curve]);
    text_add(out, p->seeds ? ",median" : ",seed");
    add_number(out, p->nprobe);
    add_number(out, p->seed);
    for (int v = 0; v < CURVE_VALUES; v++)
        add_number(out, p->value[v]);
    text_addf(out, ",%d\n", marked && isfinite(p->nprobe));
}

void curves_add_csv(const struct curves *c, struct text *out)
{
    text_add(out, "curve,label,kind,nprobe,seed");
    for (int v = 0; v < CURVE_VALUES; v++)
        text_addf(out, ",%s", curves_value_names[v]);
    text_add(out, ",mark\n");
    for (int i = 0; i < c->nmedians; i++)
        add_point(c, &c->medians[i], is_marked(c, i), out);
    if (c->nmedians == c->npoints) return; /* one seed each: its points are the medians */
    for (int i = 0; i < c->npoints; i++)
        add_point(c, &c->points[i], 0, out);
}
