/*
 * From a group of a plan to rows in the store: one index is built, and every trial searches it.
 * A trial that fails is a row too. run_group runs in the worker process (worker.h); whoever
 * watches is told the same either way.
 */
#ifndef IVF_RUN_H
#define IVF_RUN_H

#include "engine/backend.h"
#include "harness/plan.h"
#include "results/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Who is told how it goes, from the thread that runs. Trials by their number in the group. */
struct run_watch {
    void (*stage)(void *arg, const char *stage, int64_t done, int64_t total);
    void (*begin)(void *arg, int trial);
    void (*end)(void *arg, int trial, enum store_status status, const char *text);
    void (*warn)(void *arg, const char *text);
    void *arg;
};

struct run {
    struct store *db;
    int64_t id; /* its row */
    const struct plan *plan;
    struct hash software; /* see machine_identity */
    struct run_watch watch;
    int store_failed; /* set with the return of a code: the store, not the trial, is at fault */
};

/*
 * Builds the index of g and searches it for the trials todo[ntodo] (numbers in the group), a
 * row for each. 0: all of them have one, failed ones included. A code ends the group early, the
 * rest being without a row: the store failed, the device is lost, or interrupted() (the trial it
 * came upon has its row; while building, that is the first).
 */
int run_group(struct run *r, const struct group *g, const int *todo, int ntodo);

/* A row for a trial that has no result: skipped, or lost with its worker. reason may be NULL. */
int run_record(struct run *r, const struct group *g, const struct trial *t, const char *device,
               enum store_status status, const char *reason);

/* "IVF1024,PQ16 nprobe=8": how a trial is called; what else tells it from others of its group follows. */
void run_trial_name(struct text *out, const struct group *g, const struct trial *t);

const char *run_status_name(enum store_status status); /* "ok", "failed", ...: as in the store */

#ifdef __cplusplus
}
#endif
#endif
