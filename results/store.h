/*
 * The store: an SQLite database that keeps every raw sample for good. Append-only: a trial run
 * again is a new row. A trial appears whole (its phases, samples and metrics with it) or not at
 * all. Readers and writers of several processes may share a store (WAL where the file system
 * allows it). One thread at a time per struct store.
 */
#ifndef IVF_STORE_H
#define IVF_STORE_H

#include <stdint.h>

#include "engine/base/text.h"

#ifdef __cplusplus
extern "C" {
#endif

struct store;

/*
 * Opens, creating (with its folder) and migrating if need be; a backup of an older version is
 * left beside it (<path>.v<version>.bak). ERR_IO: cannot be opened or written, locked, disk full;
 * ERR_UNSUPPORTED: made by a newer version; ERR_FORMAT: not a database, or not one of ours.
 * A write-ahead log is used but on network file systems and where IVFBENCH_JOURNAL=delete is in
 * the environment.
 */
int store_open(struct store **out, const char *path);

/* Changes nothing of what the file says, and leaves nothing beside it. ERR_IO where there is none;
   ERR_UNSUPPORTED also for an older version, which store_open would migrate. */
int store_open_readonly(struct store **out, const char *path);
void store_close(struct store *db); /* NULL is allowed; a trial not ended is as if never begun */

/* How long to wait for another process's lock before failing; 10000 at first. */
void store_set_patience(struct store *db, int milliseconds);

/* Who produces numbers: stable facts make the key, the environment is kept beside it. */
struct store_machine {
    const char *fingerprint; /* of stable facts only */
    const char *facts;       /* JSON: cpu, cores, memory, gpus */
};
struct store_software {
    const char *version;
    const char *commit; /* of the source tree; "unknown" outside git */
    int dirty;
    const char *binary_hash;
    const char *identity; /* the commit if clean, else the binary's hash */
    const char *facts;    /* JSON: compiler, flags, libraries' versions */
};

/* One call of `run` for one spec. Returns its row id in *run. */
struct store_run {
    struct store_machine machine;
    struct store_software software;
    const char *spec_path, *spec_name, *spec_text,
        *spec_set;           /* set: the --set values, JSON array */
    const char *argv;        /* JSON array, from the verb on */
    const char *environment; /* JSON: driver, kernel, governor, load, ... */
};
int store_run_begin(struct store *db, const struct store_run *run, int64_t *id);
int store_run_end(struct store *db, int64_t run, int exit_code);

/* Hands run's facts to see, the strings borrowed during the call. ERR_INVALID: no such run. */
int store_run_see(struct store *db, int64_t run,
                  int (*see)(void *arg, const struct store_run *run, int64_t started_unix_ns),
                  void *arg);

enum store_status { /* as text in the column: lower case, without the prefix */
                    STATUS_OK,
                    STATUS_FAILED,
                    STATUS_SKIPPED,
                    STATUS_TIMEOUT,
                    STATUS_OOM,
                    STATUS_INTERRUPTED
};

/* A trial as asked for. Text NULL and numbers -1: not applicable (NULL in the column). */
struct store_trial {
    int64_t run;
    const char *identity, *params; /* plan.h */
    const char *group_identity;
    const char *dataset, *dataset_identity, *dataset_elem;
    int64_t n, nq;
    int d;
    const char *index, *backend, *device, *storage;
    int gpus, replicas, float16, precomputed_tables, threads;
    int64_t seed, batch, nlist;
    int k, nprobe;
};

/*
 * Between begin and end: phases, samples, metrics and hits of this trial, all copied. Nothing of
 * it is in the file (and nobody is locked out) until end writes it in one transaction, as the
 * next attempt of its identity. After an end of STATUS_OK the trial counts as finished. One that
 * did not run is begun and ended with STATUS_SKIPPED and a reason; the second such row of a
 * run and identity is not written. flags: words with commas between ("suspect,noisy"); reason, flags:
 * NULL if there is nothing to say. store_abandon: as if never begun. When end fails the trial is
 * abandoned. A metric that is NaN is kept as "not a number".
 */
int store_begin(struct store *db, const struct store_trial *trial);
int store_phase(struct store *db, const char *name, int64_t wall_ns, int64_t device_ns /* -1 */,
                int64_t peak_host_bytes, int64_t peak_device_bytes /* -1 */, int cached);
int store_sample(struct store *db, const char *stage, int repeat, int64_t wall_ns,
                 int64_t device_ns /* -1 */);
/* Of the GPU beside the timed passes, at most once a trial. -1, NULL: not known. */
int store_clocks(struct store *db, int sm_mhz, int memory_mhz, int power_mw, int temperature_c,
                 const char *events);
int store_metric(struct store *db, const char *name, double value);
int store_hits(struct store *db, const char *name, const uint16_t *hits, int64_t nq);
int store_end(struct store *db, enum store_status status, const char *reason, const char *flags);
void store_abandon(struct store *db);

/*
 * 1: an ok trial of this identity exists for the run's machine and software identity; it is then
 * noted as part of the run's result, whose export and report show it. 0: none.
 */
int store_finished(struct store *db, int64_t run, const char *identity);

/* The latest run that measured a trial or found one finished; 0: there is none. */
int store_latest_run(struct store *db, int64_t *run);

/* Metric of the latest ok trial of this identity on the run's machine and software: 1, 0 none. */
int store_last_metric(struct store *db, int64_t run, const char *identity, const char *name,
                      double *value);
/* *n: the timed passes of that trial; 1, 0 none. */
int store_last_repeats(struct store *db, int64_t run, const char *identity, int64_t *n);

/* integrity_check and foreign_key_check; ERR_FORMAT with the first fault. */
int store_check(struct store *db);

#ifdef __cplusplus
}
#endif
#endif
