#include "results/summary.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"

enum role {
    SETTING, /* above the table where all rows share it, else a column */
    APART,   /* a column where rows differ in it */
    CONTENT, /* a column where rows of one data set, n and d differ in it */
    ALWAYS,  /* a setting that is always a column */
    RESULT   /* a column where any row has it */
};
enum form { WORDS, HASH /* its first digits */, COUNT, SWITCH, RECALL, TIME, RATE, SECONDS, BYTES };

static const struct shown {
    const char *title; /* of the column */
    enum role role;
    enum form form;
    size_t at, low, high; /* in struct export_row; low, high: quartiles of a TIME */
} shown[] = {
#define AT(name) offsetof(struct export_row, name)
    {"spec",         SETTING, WORDS,   AT(spec),               0,                0               },
    {"dataset",      SETTING, WORDS,   AT(dataset),            0,                0               },
    {"n",            SETTING, COUNT,   AT(n),                  0,                0               },
    {"d",            SETTING, COUNT,   AT(d),                  0,                0               },
    {"nq",           SETTING, COUNT,   AT(nq),                 0,                0               },
    {"k",            SETTING, COUNT,   AT(k),                  0,                0               },
    {"index",        ALWAYS,  WORDS,   AT(index),              0,                0               },
    {"backend",      SETTING, WORDS,   AT(backend),            0,                0               },
    {"device",       SETTING, WORDS,   AT(device),             0,                0               },
    {"gpus",         SETTING, COUNT,   AT(gpus),               0,                0               },
    {"replicas",     SETTING, COUNT,   AT(replicas),           0,                0               },
    {"storage",      SETTING, WORDS,   AT(storage),            0,                0               },
    {"float16",      SETTING, SWITCH,  AT(float16),            0,                0               },
    {"tables",       SETTING, SWITCH,  AT(precomputed_tables), 0,                0               },
    {"temp_memory",  SETTING, WORDS,   AT(temp_memory),        0,                0               },
    {"threads",      SETTING, COUNT,   AT(threads),            0,                0               },
    {"batch",        SETTING, COUNT,   AT(batch),              0,                0               },
    {"seed",         SETTING, COUNT,   AT(seed),               0,                0               },
    {"data",         CONTENT, HASH,    AT(dataset_identity),   0,                0               },
    {"iterations",   APART,   COUNT,   AT(coarse_iterations),  0,                0               },
    {"trained on",   APART,   COUNT,   AT(train_rows),         0,                0               },
    {"sample",       APART,   WORDS,   AT(train_sample),       0,                0               },
    {"centroids",    APART,   HASH,    AT(train_centroids),    0,                0               },
    {"add.batch",    APART,   COUNT,   AT(add_batch),          0,                0               },
    {"commit",       APART,   HASH,    AT(commit),             0,                0               },
    {"machine",      APART,   HASH,    AT(machine),            0,                0               },
    {"nprobe",       ALWAYS,  COUNT,   AT(nprobe),             0,                0               },
    {"R@1",          RESULT,  RECALL,  AT(recall_1),           0,                0               },
    {"R@10",         RESULT,  RECALL,  AT(recall_10),          0,                0               },
    {"R@100",        RESULT,  RECALL,  AT(recall_100),         0,                0               },
    {"tie-aware",    RESULT,  RECALL,  AT(recall_tie),         0,                0               },
    {"10∩10",      RESULT,  RECALL,  AT(intersection_10),    0,                0               },
    {"search ms",    RESULT,  TIME,    AT(search_ms),          AT(search_ms_q1), AT(search_ms_q3)},
    {"device ms",    RESULT,  TIME,    AT(search_device_ms),   0,                0               },
    {"QPS",          RESULT,  RATE,    AT(qps),                0,                0               },
    {"model cached", SETTING, SWITCH,  AT(train_cached),       0,                0               },
    {"train s",      RESULT,  SECONDS, AT(train_s),            0,                0               },
    {"add s",        RESULT,  SECONDS, AT(add_s),              0,                0               },
    {"host",         RESULT,  BYTES,   AT(peak_host_bytes),    0,                0               },
    {"GPU",          RESULT,  BYTES,   AT(peak_device_bytes),  0,                0               },
    {"status",       SETTING, WORDS,   AT(status),             0,                0               },
    {"flags",        RESULT,  WORDS,   AT(flags),              0,                0               },
    {"reason",       RESULT,  WORDS,   AT(reason),             0,                0               },
#undef AT
};
enum { COLUMNS = sizeof shown / sizeof *shown };

struct summary {
    char *(*cells)[COLUMNS]; /* [rows][COLUMNS], each cell of mem_string */
    int rows, cap;
};

/* Three significant digits, but never fewer than the whole part. */
static int decimals(double x)
{
    int whole = x >= 1 ? (int)floor(log10(x)) + 1 : x > 0 ? (int)floor(log10(x)) + 1 : 1;

    return whole >= 3 ? 0 : 3 - whole > 6 ? 6 : 3 - whole;
}

static void add_thousands(struct text *out, int64_t x)
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)x);

    for (int i = 0; i < len; i++)
        text_addf(out, "%s%c", i > 0 && (len - i) % 3 == 0 ? "," : "", digits[i]);
}

static void add_bytes(struct text *out, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;

    for (; bytes >= 1024 && unit < 4; unit++)
        bytes /= 1024;
    text_addf(out, "%.*f %s", decimals(bytes), bytes, units[unit]);
}

/* Median and half the distance of the quartiles, to the same place. */
static void add_time(struct text *out, double median, double q1, double q3)
{
    text_addf(out, "%.*f", decimals(median), median);
    if (isfinite(q1)) text_addf(out, " ±%.*f", decimals(median), (q3 - q1) / 2);
}

static void add_real(struct text *out, const struct export_row *row, const struct shown *s)
{
    const char *base = (const char *)row;
    double x = *(const double *)(base + s->at);

    if (!isfinite(x)) return;
    switch (s->form) {
    case RECALL:
        text_addf(out, "%.4f", x);
        break;
    case TIME:
        add_time(out, x, s->low ? *(const double *)(base + s->low) : NAN,
                 s->high ? *(const double *)(base + s->high) : NAN);
        break;
    case RATE:
        if (x < 100)
            text_addf(out, "%.*f", decimals(x), x);
        else
            add_thousands(out, llround(x));
        break;
    case BYTES:
        add_bytes(out, x);
        break;
    default:
        text_addf(out, "%.*f", decimals(x), x);
    }
}

static void add_cell(struct text *out, const struct export_row *row, const struct shown *s)
{
    const char *field = (const char *)row + s->at;
    int64_t i;

    switch (s->form) {
    case WORDS:
        text_add(out, *(const char *const *)field);
        break;
    case HASH:
        text_addf(out, "%.8s", *(const char *const *)field);
        break;
    case COUNT:
    case SWITCH:
        i = *(const int64_t *)field;
        if (i < 0) break;
        if (s->form == SWITCH)
            text_add(out, i ? "on" : "off");
        else
            text_addf(out, "%lld", (long long)i);
        break;
    default:
        add_real(out, row, s);
    }
}

static int see(void *arg, const struct export_row *row)
{
    struct summary *t = arg;
    struct text cell = {0};
    int cap = t->cap ? 2 * t->cap : 64, rc = 0;
    void *cells;

    if (t->rows == t->cap) {
        if (!(cells = mem_resize(t->cells, t->cap, cap, sizeof *t->cells))) return ERR_NOMEM;
        t->cells = cells;
        t->cap = cap;
    }
    memset(t->cells[t->rows], 0, sizeof *t->cells);
    t->rows++;
    for (int i = 0; rc == 0 && i < COLUMNS; i++) {
        text_reset(&cell);
        add_cell(&cell, row, &shown[i]);
        if ((rc = text_failed(&cell)) == 0 &&
            !(t->cells[t->rows - 1][i] = mem_string(text_get(&cell))))
            rc = ERR_NOMEM;
    }
    text_clear(&cell);
    return rc;
}

/* The first that a row has in a column; "" where none does. */
static const char *first_of(const struct summary *t, int column)
{
    for (int r = 0; r < t->rows; r++)
        if (*t->cells[r][column]) return t->cells[r][column];
    return "";
}

/* Rows without it, as PQ has no storage and what was skipped no device, do not count. */
static int differs(const struct summary *t, int column)
{
    const char *first = first_of(t, column);

    for (int r = 0; r < t->rows; r++)
        if (*t->cells[r][column] && strcmp(t->cells[r][column], first) != 0) return 1;
    return 0;
}

static int present(const struct summary *t, int column)
{
    return *first_of(t, column) != '\0';
}

/* Rows of a data set, n and d follow each other. */
static int content_differs(const struct summary *t, int column)
{
    enum { DATASET = 1, N, D }; /* in shown */

    for (int r = 1; r < t->rows; r++) {
        char *const *a = t->cells[r - 1], *const *b = t->cells[r];

        if (!strcmp(a[DATASET], b[DATASET]) && !strcmp(a[N], b[N]) && !strcmp(a[D], b[D]) &&
            strcmp(a[column], b[column]) != 0)
            return 1;
    }
    return 0;
}

static int is_column(const struct summary *t, int column)
{
    if (shown[column].role == CONTENT) return content_differs(t, column);

    if (shown[column].role == SETTING || shown[column].role == APART) return differs(t, column);
    return shown[column].role == ALWAYS || present(t, column);
}

/* Characters, not bytes: UTF-8's continuation bytes take no room. */
static int width(const char *s)
{
    int n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static int column_width(const struct summary *t, int column)
{
    int widest = width(shown[column].title);

    for (int r = 0; r < t->rows; r++) {
        int w = width(t->cells[r][column]);

        if (w > widest) widest = w;
    }
    return widest;
}

/* Words to the left, numbers to the right. */
static void add_padded(struct text *out, const char *s, int column, int room)
{
    int blanks = room - width(s);

    if (shown[column].form == WORDS)
        text_addf(out, "%s%*s", s, blanks, "");
    else
        text_addf(out, "%*s%s", blanks, "", s);
}

static void add_markdown_cell(struct text *out, const char *s)
{
    text_add(out, " ");
    for (; *s; s++)
        text_addf(out, *s == '|' ? "\\%c" : "%c", *s);
    text_add(out, " |");
}

/* row -1: the titles. */
static void add_line(struct text *out, const struct summary *t, int row, int markdown,
                     const int *widths)
{
    int first = 1;

    if (markdown) text_add(out, "|");
    for (int i = 0; i < COLUMNS; i++) {
        const char *s = row < 0 ? shown[i].title : t->cells[row][i];

        if (widths[i] < 0) continue;
        if (markdown) {
            add_markdown_cell(out, s);
            continue;
        }
        if (!first) text_add(out, "  ");
        add_padded(out, s, i, widths[i]);
        first = 0;
    }
    while (!markdown && out->len > 0 && out->s[out->len - 1] == ' ')
        out->s[--out->len] = '\0';
    text_add(out, "\n");
}

/* One sentence, broken into lines where it is long. */
static void add_shared(struct text *out, const struct summary *t)
{
    enum { LINE = 100 };
    int used = 0;

    for (int i = 0; i < COLUMNS; i++) {
        int room = width(shown[i].title) + 1 + width(first_of(t, i));

        if (is_column(t, i) || shown[i].role == APART || shown[i].role == CONTENT || !present(t, i))
            continue;
        if (used > 0) text_add(out, used + 2 + room > LINE ? ",\n" : ", ");
        used = used > 0 && used + 2 + room <= LINE ? used + 2 + room : room;
        text_addf(out, "%s %s", shown[i].title, first_of(t, i));
    }
    text_add(out, "\n\n");
}

static void add_table(struct text *out, const struct summary *t, int markdown)
{
    int widths[COLUMNS];

    for (int i = 0; i < COLUMNS; i++)
        widths[i] = is_column(t, i) ? column_width(t, i) : -1;
    add_shared(out, t);
    add_line(out, t, -1, markdown, widths);
    if (markdown) {
        text_add(out, "|");
        for (int i = 0; i < COLUMNS; i++)
            if (widths[i] >= 0)
                text_add(out, shown[i].form == WORDS || shown[i].form == HASH ? "---|" : "---:|");
        text_add(out, "\n");
    }
    for (int r = 0; r < t->rows; r++)
        add_line(out, t, r, markdown, widths);
}

int summary_add(struct store *db, const struct export_filter *filter, int markdown,
                struct text *out)
{
    struct summary t = {0};
    int rc = export_each(db, filter, see, &t);

    if (rc > 0) add_table(out, &t, markdown);
    for (int r = 0; r < t.rows; r++)
        for (int i = 0; i < COLUMNS; i++)
            mem_free(t.cells[r][i]);
    mem_free(t.cells);
    return rc;
}
