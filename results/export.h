/*
 * Rows of the store as csv or json: one a trial (its last attempt; all: every attempt), the
 * columns of the issue tracker's contract first (see export.c). Medians are computed here from
 * raw samples; nothing derived is stored.
 */
#ifndef IVF_EXPORT_H
#define IVF_EXPORT_H

#include "results/store.h"

#ifdef __cplusplus
extern "C" {
#endif

enum export_format { EXPORT_CSV, EXPORT_JSON, EXPORT_TABLE, EXPORT_MARKDOWN };

/* NULL: no filter. Globs (*, ?) on spec name and factory key. run: 0 for all runs. */
struct export_filter {
    const char *spec, *index;
    int64_t run;
    int all;
};

/* Returns how many rows were written to out, or a code. */
int export_rows(struct store *db, const struct export_filter *filter, enum export_format format,
                struct text *out);

/* One row, typed, for those who draw or print: borrowed strings, valid during the call.
   A missing number is NAN. */
struct export_row {
    const char *spec, *status, *reason, *flags, *dataset, *index, *backend, *device, *storage,
        *commit;
    int64_t trial, n, seed, batch, nq, threads;
    int d, gpus, replicas, float16, precomputed_tables, k, nprobe;
    double search_ms, search_ms_lo, search_ms_hi; /* median, quartiles over repeats */
    double search_device_ms, qps;
    double recall_1, recall_10, recall_100, krecall_10, recall_tie, intersection_10;
    double train_s, add_s, peak_host_bytes, peak_device_bytes;
    int repeats;
};

/* Calls see for each row, ordered by spec, index, seed, ..., nprobe; stops at a negative return. */
int export_each(struct store *db, const struct export_filter *filter,
                int (*see)(void *arg, const struct export_row *row), void *arg);

#ifdef __cplusplus
}
#endif
#endif
