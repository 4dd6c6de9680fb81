#include "plots/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "build_time_gp.h"
#include "engine/base/fail.h"
#include "engine/base/file.h"
#include "engine/base/text.h"
#include "output_gp.h"
#include "plots/curves.h"
#include "plots/gnuplot.h"
#include "recall_ms_gp.h"
#include "recall_qps_gp.h"
#include "style_gp.h"

static const struct figure {
    const char *name, *shows, *script;
    int value; /* on the y axis, whose ticks are made here; -1: gnuplot's own */
} figures[] = {
    {"recall_qps", "queries per second against recall",                recall_qps_gp, VALUE_QPS},
    {"recall_ms",  "time of one pass over the queries against recall", recall_ms_gp,  VALUE_MS },
    {"build_time", "seconds of training and adding, by index",         build_time_gp, -1       },
};
enum { FIGURES = sizeof figures / sizeof *figures };

static const struct across {
    int value;
    const char *words;
} across[] = {
    {VALUE_INTERSECTION_10, "10-recall@10 (share of the true 10 nearest among the 10 found)"      },
    {VALUE_RECALL_1,        "1-recall@1 (share of queries whose nearest comes first)"             },
    {VALUE_RECALL_10,       "1-recall@10 (share of queries whose nearest is among the first 10)"  },
    {VALUE_RECALL_100,      "1-recall@100 (share of queries whose nearest is among the first 100)"},
    {VALUE_KRECALL_10,      "10-recall of all k found (share of the true 10 nearest among them)"  },
    {VALUE_RECALL_TIE,      "tie-aware recall"                                                    },
};

int plot_gnuplot(char version[64])
{
    return gnuplot_probe(version);
}

const char *plot_figure(int i, const char **shows)
{
    if (i < 0 || i >= FIGURES) return NULL;
    if (shows) *shows = figures[i].shows;
    return figures[i].name;
}

static const struct figure *find_figure(const char *name)
{
    for (int i = 0; i < FIGURES; i++)
        if (!strcmp(figures[i].name, name)) return &figures[i];
    return NULL;
}

static const struct across *find_across(const char *name)
{
    if (!name) return &across[0];
    for (size_t i = 0; i < sizeof across / sizeof *across; i++)
        if (!strcmp(curves_value_names[across[i].value], name)) return &across[i];
    return NULL;
}

/* As gnuplot's string: in single quotes nothing is special but the quote itself. */
static void add_quoted(struct text *out, const char *s)
{
    text_add(out, "'");
    for (; *s; s++) {
        if (*s == '\'')
            text_add(out, "''");
        else
            text_addf(out, "%c", (unsigned char)*s < ' ' ? ' ' : *s);
    }
    text_add(out, "'");
}

struct range {
    double low, high;
};

/* Of a value over all points; low > high where none has it. */
static struct range range_of(const struct curves *c, int value)
{
    struct range r = {INFINITY, -INFINITY};

    for (int i = 0; i < c->npoints; i++) {
        double x = c->points[i].value[value];

        if (!isfinite(x)) continue;
        r.low = fmin(r.low, x);
        r.high = fmax(r.high, x);
    }
    return r;
}

/* Ticks at 1, 2 and 5 of each decade: on a short log scale gnuplot would set one or two. */
static void add_log_ticks(struct text *out, struct range r)
{
    static const double steps[] = {1, 2, 5};
    static const struct {
        double one;
        const char *unit;
    } units[] = {
        {1e9, " G"},
        {1e6, " M"},
        {1e3, " k"},
        {0,   ""  }
    };
    const char *comma = "";

    text_addf(out, "set yrange [%.6g:%.6g]\nset ytics (", r.low / 1.35, r.high * 1.35);
    for (int decade = (int)floor(log10(r.low / 1.35)); decade <= 12; decade++)
        for (int i = 0; i < 3; i++) {
            double at = steps[i] * pow(10, decade);
            int u = 0;

            if (at < r.low / 1.35 || at > r.high * 1.35) continue;
            while (at < units[u].one)
                u++;
            text_addf(out, "%s\"%.6g%s\" %.6g", comma, u < 3 ? at / units[u].one : at,
                      units[u].unit, at);
            comma = ", ";
        }
    text_add(out, ")\n");
}

/* Everything the script needs to know of the data, so that the rest of it is the same for all. */
static void add_facts(struct text *out, const struct plot *p, const struct figure *f,
                      const struct across *a, const struct curves *c)
{
    struct range x = range_of(c, a->value);
    struct text shared = {0};

    curves_shared(c, &shared);
    text_addf(out, "# %s. Run `gnuplot %s.gp` in this folder to draw it again.\nfigure = '%s'\n",
              f->shows, f->name, f->name);
    text_addf(out, "curves = %d\narray label_of[%d]\n", c->count, c->count);
    for (int i = 0; i < c->count; i++) {
        text_addf(out, "label_of[%d] = ", i + 1);
        add_quoted(out, c->labels[i]);
        text_add(out, "\n");
    }
    text_add(out, "title = ");
    add_quoted(out, p->title ? p->title : f->shows);
    text_add(out, "\nsubtitle = ");
    add_quoted(out, text_get(&shared));
    text_addf(out, "\nrecall = '%s'\nrecall_words = '%s'\nmany_seeds = %d\n",
              curves_value_names[a->value], a->words, c->npoints > c->nmedians);
    if (f->value >= 0) {
        text_addf(out, "set xrange [%.2f:%.2f]\n", floor(x.low * 20 - 0.2) / 20,
                  x.high > 0.9 ? 1.0 : ceil(x.high * 20 + 0.2) / 20);
        add_log_ticks(out, range_of(c, f->value));
    }
    text_add(out, "\n");
    if (text_failed(&shared)) out->failed = text_failed(&shared);
    text_clear(&shared);
}

static int check_drawable(const struct plot *p, const struct figure *f, const struct across *a,
                          const struct curves *c)
{
    struct range x = range_of(c, a->value);

    if (c->count == 0) return fail(ERR_INVALID, "%s: no trial with status ok to draw", p->figure);
    if (f->value >= 0 && x.low > x.high)
        return fail(
            ERR_INVALID,
            "%s: no trial has %s; it needs a k as large, and `measure` in the spec to ask for it",
            p->figure, curves_value_names[a->value]);
    return 0;
}

static int put(const struct plot *p, const char *suffix, const struct text *content)
{
    struct text path = {0};
    int rc;

    text_addf(&path, "%s/%s%s", p->dir, p->figure, suffix);
    if ((rc = text_failed(&path)) == 0 && (rc = text_failed(content)) == 0)
        rc = file_put(text_get(&path), text_get(content));
    text_clear(&path);
    return rc;
}

int plot_draw(const struct plot *p)
{
    const struct figure *f = find_figure(p->figure);
    const struct across *a = find_across(p->x);
    struct text script = {0}, data = {0};
    struct curves *c = NULL;
    char version[64];
    int rc;

    if (!f)
        return fail(ERR_INVALID, "no figure is named %s; `ivfbench plot --help` lists them",
                    p->figure);
    if (!a)
        return fail(ERR_INVALID,
                    "%s is not a recall to draw against; `ivfbench plot --help` lists them", p->x);
    if ((rc = curves_create(&c, p->csv)) < 0) goto out;
    if ((rc = check_drawable(p, f, a, c)) < 0) goto out;
    if ((rc = file_mkdirs(p->dir)) < 0) goto out;
    curves_add_csv(c, &data);
    add_facts(&script, p, f, a, c);
    text_add(&script, style_gp);
    text_add(&script, f->script);
    text_add(&script, output_gp);
    if ((rc = put(p, ".csv", &data)) < 0) goto out;
    if ((rc = put(p, ".gp", &script)) < 0) goto out;
    if (!gnuplot_probe(version)) goto out;
    rc = gnuplot_run(text_get(&script), p->dir);
    rc = rc < 0 ? fail_in(rc, "%s/%s.gp", p->dir, p->figure) : 1;
out:
    curves_free(c);
    text_clear(&script);
    text_clear(&data);
    return rc;
}
