#include "results/export.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "results/sql.h"
#include "engine/base/stats.h"
#include "results/summary.h"

#define TEXT(name)                                                                                 \
    {                                                                                              \
#name, EXPORT_TEXT, offsetof(struct export_row, name)                                      \
    }
#define INT(name)                                                                                  \
    {                                                                                              \
#name, EXPORT_INT, offsetof(struct export_row, name)                                       \
    }
#define REAL(name)                                                                                 \
    {                                                                                              \
#name, EXPORT_REAL, offsetof(struct export_row, name)                                      \
    }

/* Scripts of users count on the order up to commit; append at the end. */
const struct export_column export_columns[] = {
    TEXT(spec),
    TEXT(status),
    TEXT(reason),
    TEXT(flags),
    TEXT(dataset),
    INT(n),
    INT(d),
    TEXT(index),
    TEXT(backend),
    TEXT(device),
    INT(gpus),
    INT(replicas),
    TEXT(storage),
    INT(float16),
    INT(threads),
    INT(seed),
    INT(k),
    INT(nprobe),
    INT(batch),
    INT(nq),
    REAL(search_ms),
    REAL(search_device_ms),
    REAL(qps),
    REAL(recall_1),
    REAL(recall_10),
    REAL(recall_100),
    REAL(krecall_10),
    REAL(recall_tie),
    REAL(intersection_10),
    REAL(train_s),
    REAL(add_s),
    REAL(peak_host_bytes),
    REAL(peak_device_bytes),
    TEXT(commit),
    REAL(search_ms_q1),
    REAL(search_ms_q3),
    INT(repeats),
    INT(nlist),
    INT(precomputed_tables),
    INT(trial),
    INT(run),
    INT(attempt),
    TEXT(started),
    TEXT(identity),
    TEXT(machine),
    REAL(sm_mhz),
    REAL(memory_mhz),
    REAL(power_w),
    REAL(temperature_c),
    TEXT(clock_events),
    TEXT(temp_memory),
    INT(train_cached),
    TEXT(dataset_identity),
    INT(coarse_iterations),
    INT(train_rows),
    TEXT(train_sample),
    TEXT(train_centroids),
    INT(add_batch),
};
const int export_columns_count = sizeof export_columns / sizeof *export_columns;

/* Its columns have the names of ours. What came to be told apart later has none in the store, and is not in params where it is as it always was. */
static const char query[] =
    "SELECT spec, status, reason, flags, dataset_name AS dataset, \"index\", backend, device, "
    "storage,"
    " \"commit\", started, identity, fingerprint AS machine, id AS trial, run, attempt, n, d, gpus,"
    " replicas, float16,"
    " precomputed_tables, threads, seed, k, nprobe, batch, nq, nlist, clock_events, temp_memory,"
    " dataset_identity, coarse_iterations, train_rows, train_sample, train_centroids, add_batch"
    " FROM (SELECT t.*, c.events AS clock_events, e.name AS spec, x.name AS dataset_name,"
    " x.identity AS dataset_identity, m.fingerprint,"
    " s.\"commit\" || iif(s.dirty, '-dirty', '') AS \"commit\","
    " strftime('%Y-%m-%dT%H:%M:%SZ', t.started_unix_ns / 1000000000, 'unixepoch') AS started,"
    " ifnull(params ->> 'temp_memory', 'auto') AS temp_memory,"
    " params ->> 'coarse_iterations' AS coarse_iterations, params ->> 'train_rows' AS train_rows,"
    " ifnull(params ->> 'train_sample', 'first') AS train_sample,"
    " ifnull(params ->> 'train_centroids', 'trained') AS train_centroids,"
    " ifnull(params ->> 'add_batch', 32768) AS add_batch,"
    " row_number() OVER (PARTITION BY t.identity, m.fingerprint ORDER BY"
    " t.status IN ('skipped', 'interrupted'), t.attempt DESC) AS age"
    " FROM trial t LEFT JOIN clocks c ON c.trial = t.id JOIN dataset x ON x.id = t.dataset"
    " JOIN run r ON r.id = t.run JOIN experiment e ON e.id = r.experiment"
    " JOIN machine m ON m.id = r.machine JOIN software s ON s.id = r.software"
    " WHERE (?1 IS NULL OR e.name GLOB ?1 OR t.id IN (SELECT u.trial FROM reuse u JOIN run ON"
    " run.id = u.run JOIN experiment f ON f.id = run.experiment WHERE f.name GLOB ?1))"
    " AND (?2 IS NULL OR x.name GLOB ?2) AND (?3 IS NULL OR t.\"index\" GLOB ?3)"
    " AND (?4 = 0 OR t.run = ?4 OR t.id IN (SELECT trial FROM reuse WHERE reuse.run = ?4)))"
    " WHERE ?5 OR age = 1"
    " ORDER BY spec, dataset_name, n, d, dataset_identity, \"index\", fingerprint, backend,"
    " device NULLS LAST, gpus, replicas, storage, coarse_iterations, train_rows, train_sample,"
    " train_centroids, add_batch, float16, precomputed_tables, temp_memory, threads, seed, k,"
    " batch, nprobe, attempt";

static const struct export_column *find_column(const char *name)
{
    for (int i = 0; i < export_columns_count; i++)
        if (!strcmp(export_columns[i].name, name)) return &export_columns[i];
    return NULL;
}

static void read_columns(struct export_row *row, sqlite3_stmt *st)
{
    for (int i = 0; i < sqlite3_column_count(st); i++) {
        const struct export_column *column = find_column(sqlite3_column_name(st, i));
        char *field = (char *)row + column->at;
        int missing = sqlite3_column_type(st, i) == SQLITE_NULL;

        if (column->kind == EXPORT_TEXT)
            *(const char **)field = missing ? "" : (const char *)sqlite3_column_text(st, i);
        else
            *(int64_t *)field = missing ? -1 : sqlite3_column_int64(st, i);
    }
}

/* NULL: a metric that is no column. */
static double *real_field(struct export_row *row, const char *name)
{
    const struct export_column *column = find_column(name);

    return column && column->kind == EXPORT_REAL ? (double *)((char *)row + column->at) : NULL;
}

static int read_metrics(struct sql *c, struct export_row *row)
{
    struct value trial = value_int(row->trial);
    sqlite3_stmt *st = NULL;
    int rc = sql_query(&st, c, "SELECT name, value FROM metric WHERE trial = ?1", &trial, 1);

    while (rc >= 0 && (rc = sql_step(c, st)) > 0) {
        double *field = real_field(row, (const char *)sqlite3_column_text(st, 0));

        if (field && sqlite3_column_type(st, 1) != SQLITE_NULL)
            *field = sqlite3_column_double(st, 1);
    }
    sql_done(st);
    return rc;
}

/* Wall (device: device) milliseconds of the passes; *x is mem_new's. How many, or a code. */
static int64_t read_passes(struct sql *c, int64_t trial, int device, double **x)
{
    struct value id = value_int(trial);
    const char *select = device ? "SELECT device_ns / 1e6, count(*) OVER () FROM sample"
                                  " WHERE trial = ?1 AND stage = 'search' AND device_ns IS NOT NULL"
                                : "SELECT wall_ns / 1e6, count(*) OVER () FROM sample"
                                  " WHERE trial = ?1 AND stage = 'search'";
    sqlite3_stmt *st = NULL;
    int64_t n = 0;
    int rc = sql_query(&st, c, select, &id, 1);

    while (rc >= 0 && (rc = sql_step(c, st)) > 0) {
        if (!*x && !(*x = mem_new(sqlite3_column_int64(st, 1), sizeof **x))) rc = ERR_NOMEM;
        if (rc > 0) (*x)[n++] = sqlite3_column_double(st, 0);
    }
    sql_done(st);
    return rc < 0 ? rc : n;
}

static int read_samples(struct sql *c, struct export_row *row)
{
    double *wall = NULL, *device = NULL;
    int64_t n = read_passes(c, row->trial, 0, &wall);
    int64_t n_device = n < 0 ? n : read_passes(c, row->trial, 1, &device);

    if (n_device >= 0) {
        row->repeats = n;
        row->search_ms = stats_median(wall, n);
        row->search_ms_q1 = stats_quantile(wall, n, 0.25);
        row->search_ms_q3 = stats_quantile(wall, n, 0.75);
        row->search_device_ms = stats_median(device, n_device);
        if (row->nq > 0 && row->search_ms > 0) row->qps = (double)row->nq / row->search_ms * 1e3;
    }
    mem_free(wall);
    mem_free(device);
    return n_device < 0 ? (int)n_device : 0;
}

static void keep_max(double *field, sqlite3_stmt *st, int column)
{
    if (sqlite3_column_type(st, column) != SQLITE_NULL)
        *field = fmax(*field, sqlite3_column_double(st, column)); /* fmax ignores a NAN */
}

static int read_phases(struct sql *c, struct export_row *row)
{
    struct value trial = value_int(row->trial);
    sqlite3_stmt *st = NULL;
    int rc = sql_query(&st, c,
                       "SELECT sum(wall_ns) FILTER (WHERE name = 'train') / 1e9,"
                       " sum(wall_ns) FILTER (WHERE name = 'add') / 1e9,"
                       " max(peak_host_bytes), max(peak_device_bytes),"
                       " max(cached) FILTER (WHERE name = 'train')"
                       " FROM phase WHERE trial = ?1",
                       &trial, 1);

    if (rc == 0 && (rc = sql_step(c, st)) > 0) {
        keep_max(&row->train_s, st, 0);
        keep_max(&row->add_s, st, 1);
        keep_max(&row->peak_host_bytes, st, 2);
        keep_max(&row->peak_device_bytes, st, 3);
        row->train_cached =
            sqlite3_column_type(st, 4) == SQLITE_NULL ? -1 : sqlite3_column_int64(st, 4);
    }
    sql_done(st);
    return rc;
}

static int read_clocks(struct sql *c, struct export_row *row)
{
    struct value trial = value_int(row->trial);
    sqlite3_stmt *st = NULL;
    int rc = sql_query(&st, c,
                       "SELECT sm_mhz, memory_mhz, power_mw / 1e3, temperature_c FROM clocks"
                       " WHERE trial = ?1",
                       &trial, 1);

    if (rc == 0 && (rc = sql_step(c, st)) > 0) {
        keep_max(&row->sm_mhz, st, 0);
        keep_max(&row->memory_mhz, st, 1);
        keep_max(&row->power_w, st, 2);
        keep_max(&row->temperature_c, st, 3);
    }
    sql_done(st);
    return rc;
}

static int read_row(struct sql *c, struct export_row *row, sqlite3_stmt *st)
{
    int rc;

    *row = (struct export_row){0};
    for (int i = 0; i < export_columns_count; i++)
        if (export_columns[i].kind == EXPORT_REAL)
            *(double *)((char *)row + export_columns[i].at) = NAN;
    read_columns(row, st);
    if ((rc = read_metrics(c, row)) < 0) return rc;
    if ((rc = read_samples(c, row)) < 0) return rc;
    if ((rc = read_phases(c, row)) < 0) return rc;
    return read_clocks(c, row);
}

int export_each(struct store *db, const struct export_filter *filter,
                int (*see)(void *arg, const struct export_row *row), void *arg)
{
    struct sql *c = store_sql(db);
    struct value values[] = {value_text(filter->spec), value_text(filter->dataset),
                             value_text(filter->index), value_int(filter->run),
                             value_int(filter->all)};
    struct export_row row;
    sqlite3_stmt *st = NULL;
    int rc = sql_query(&st, c, query, values, 5), rows = 0;

    while (rc >= 0 && (rc = sql_step(c, st)) > 0) {
        if ((rc = read_row(c, &row, st)) < 0) break;
        rc = see(arg, &row);
        rows++;
    }
    sql_done(st);
    return rc < 0 ? rc : rows;
}

/* ----------------------------------------------------------------- csv, json */

/* With as few digits as give the same number back. */
static void add_real(struct text *out, double x)
{
    char digits[40];

    if (x == floor(x) && fabs(x) < 9007199254740992.0) { /* whole, bytes above all: no exponent */
        text_addf(out, "%.0f", x);
        return;
    }
    for (int precision = 6; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, x);
        if (strtod(digits, NULL) == x) break;
    }
    text_add(out, digits);
}

/* 0: the field is missing, and nothing was added. */
static int add_number(struct text *out, const struct export_row *row,
                      const struct export_column *column)
{
    const char *field = (const char *)row + column->at;

    if (column->kind == EXPORT_INT) {
        if (*(const int64_t *)field < 0) return 0;
        text_addf(out, "%lld", (long long)*(const int64_t *)field);
        return 1;
    }
    if (!isfinite(*(const double *)field)) return 0;
    add_real(out, *(const double *)field);
    return 1;
}

static int see_csv(void *arg, const struct export_row *row)
{
    struct text *out = arg;

    for (int i = 0; i < export_columns_count; i++) {
        const struct export_column *column = &export_columns[i];

        if (i > 0) text_add(out, ",");
        if (column->kind == EXPORT_TEXT)
            text_add_csv(out, *(const char *const *)((const char *)row + column->at));
        else
            add_number(out, row, column);
    }
    text_add(out, "\n");
    return text_failed(out);
}

static int see_json(void *arg, const struct export_row *row)
{
    struct text *out = arg;

    if (text_failed(out)) return text_failed(out);
    text_add(out, out->s[out->len - 1] == '}' ? ",\n  {" : "\n  {");
    for (int i = 0; i < export_columns_count; i++) {
        const struct export_column *column = &export_columns[i];

        text_addf(out, "%s\"%s\": ", i > 0 ? ", " : "", column->name);
        if (column->kind == EXPORT_TEXT) {
            const char *s = *(const char *const *)((const char *)row + column->at);

            text_add_json(out, *s ? s : NULL);
        } else if (!add_number(out, row, column)) {
            text_add(out, "null");
        }
    }
    text_add(out, "}");
    return text_failed(out);
}

int export_rows(struct store *db, const struct export_filter *filter, enum export_format format,
                struct text *out)
{
    int rows;

    switch (format) {
    case EXPORT_CSV:
        for (int i = 0; i < export_columns_count; i++)
            text_addf(out, "%s%s", i > 0 ? "," : "", export_columns[i].name);
        text_add(out, "\n");
        rows = export_each(db, filter, see_csv, out);
        break;
    case EXPORT_JSON:
        text_add(out, "[");
        rows = export_each(db, filter, see_json, out);
        text_add(out, "\n]\n");
        break;
    default:
        rows = summary_add(db, filter, format == EXPORT_MARKDOWN, out);
    }
    return rows < 0 || !text_failed(out) ? rows : text_failed(out);
}
