/*
 * Rows of the store as csv, json or a table: one a trial. A trial is what has one identity on one
 * machine; its row is the last of its attempts that the filter lets through, whatever became of
 * that (all: every attempt has a row). Medians are computed here from raw samples; nothing
 * derived is stored.
 */
#ifndef IVF_EXPORT_H
#define IVF_EXPORT_H

#include "results/store.h"

#ifdef __cplusplus
extern "C" {
#endif

enum export_format { EXPORT_CSV, EXPORT_JSON, EXPORT_TABLE, EXPORT_MARKDOWN };

/*
 * NULL: no filter. Globs (*, ?, [a-z]) on spec name, data set and factory key. run: only what
 * that run measured or, finished before, did not measure again; 0 for all runs.
 */
struct export_filter {
    const char *spec, *dataset, *index;
    int64_t run;
    int all;
};

/*
 * Appends to out; returns how many rows, or a code.
 *   csv       RFC 4180 with a line of names, but lines end in \n alone; a missing value is empty
 *   json      an array of objects; a missing value is null
 *   table     for eyes: what all rows share in a line above, what differs in aligned columns
 *   markdown  the same, as a Markdown table
 * csv and json have every column of export_columns; the first ones and their order are fixed.
 */
int export_rows(struct store *db, const struct export_filter *filter, enum export_format format,
                struct text *out);

/*
 * One row, typed, for those who draw or print: borrowed strings, valid during the call. Missing:
 * "" for a text, -1 for an integer, NAN for a number. Times of a search are for all nq queries.
 */
struct export_row {
    const char *spec, *status, *reason, *flags, *dataset, *index, *backend, *device, *storage,
        *commit, *started /* 2026-01-31T23:59:59Z */, *identity, *machine /* fingerprint */,
        *clock_events, *dataset_identity, *temp_memory /* "auto" or bytes */,
        *train_sample /* "first", "random" */, *train_centroids /* "trained", or a file's hash */;
    int64_t trial, run, attempt, n, d, gpus, replicas, float16, precomputed_tables, threads, seed,
        k, nprobe, batch, nq, nlist, repeats;
    int64_t coarse_iterations, train_rows, add_batch;
    int64_t train_cached;                         /* 1: train_s is of an earlier run */
    double search_ms, search_ms_q1, search_ms_q3; /* median, quartiles over repeats */
    double search_device_ms, qps;                 /* qps: nq over the median */
    double recall_1, recall_10, recall_100, krecall_10, recall_tie, intersection_10;
    double train_s, add_s, peak_host_bytes, peak_device_bytes;
    double sm_mhz, memory_mhz, power_w, temperature_c; /* of the GPU: see schema.sql */
};

enum export_kind { EXPORT_TEXT, EXPORT_INT, EXPORT_REAL };
struct export_column {
    const char *name;
    enum export_kind kind;
    size_t at; /* offsetof in struct export_row */
};
extern const struct export_column export_columns[];
extern const int export_columns_count;

/*
 * Calls see for each row, ordered by spec, dataset, index, where it ran (what did not run comes
 * last), seed, k, batch, nprobe; stops at a negative return. Returns how many rows, or the code.
 */
int export_each(struct store *db, const struct export_filter *filter,
                int (*see)(void *arg, const struct export_row *row), void *arg);

#ifdef __cplusplus
}
#endif
#endif
