/*
 * The parent's side of a run: which trials of a plan are to be run, a worker process for each
 * group of them, a fresh one after each death, and a row for what a dead worker left without.
 */
#ifndef IVF_DRIVE_H
#define IVF_DRIVE_H

#include "harness/progress.h"
#include "harness/run.h"

#ifdef __cplusplus
extern "C" {
#endif

enum drive_state {
    DRIVE_OUT,      /* not selected */
    DRIVE_SKIPPED,  /* by the plan, with a reason */
    DRIVE_FINISHED, /* an ok row was there before */
    DRIVE_PENDING,
    DRIVE_DONE /* has its row of this run */
};

struct drive {
    const char *db_path;
    const char *const *set; /* --set values; nset of them */
    int nset;
    const char *only;        /* a pattern of index keys; NULL: all */
    int force, rerun_failed; /* also what is finished; only what failed the last time */
    int quiet;

    struct run run;          /* db and plan are set by the caller, id after select */
    const char *fingerprint; /* of this machine */
    enum drive_state *state; /* [plan->ntrials] */
    int count[DRIVE_DONE + 1];
    struct progress progress;
    int failed; /* trials of this run that are not ok */

    /* of the worker that runs now */
    const struct group *group;
    int current; /* the trial it is at; -1: none */
    int ended;   /* trials it has ended */
};

/* Whether any trial is selected at all: how many. */
int drive_selected(const struct drive *d);

/*
 * Decides the state of every trial, and records the skipped ones. run.id is the row of a run
 * that has begun. Fails as the store does.
 */
int drive_select(struct drive *d);

/* Runs what is to do. Returns an exit_code; with EXIT_ENVIRONMENT fail_text() says why. */
int drive(struct drive *d);
void drive_clear(struct drive *d);

#ifdef __cplusplus
}
#endif
#endif
