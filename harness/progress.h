/*
 * How far a run is, on stderr: on a terminal one line that is drawn again and again (bar, rate,
 * time left), otherwise a line for each finished trial. The only printer while workers run.
 */
#ifndef IVF_PROGRESS_H
#define IVF_PROGRESS_H

#include "engine/base/text.h"
#include "results/store.h"

#ifdef __cplusplus
extern "C" {
#endif

struct progress {
    int quiet, bar;  /* bar: stderr is a terminal */
    int done, total; /* trials */
    char stage[32];
    int64_t began_ns, stage_began_ns, drawn_ns;
    int shown; /* a bar stands on the terminal's last line */
};

void progress_begin(struct progress *p, int total, int quiet);

/* done of total in stage's own unit; total 0: not known. label: the group. */
void progress_stage(struct progress *p, const char *label, const char *stage, int64_t done,
                    int64_t total);

/* A trial is over: counts, and says so where a line is wanted; failures always. */
void progress_trial(struct progress *p, const char *name, enum store_status status,
                    const char *text);

/* A line of its own, whatever stands there; nothing if quiet. */
void progress_note(struct progress *p, const char *text);

/* Removes the bar, so that others may print. */
void progress_clear(struct progress *p);

/*
 * The bar's line without the moves of the cursor, at most width characters. Of a stage that knows
 * its end, share, rate and time left, stage_s seconds after its start:
 *   "[####----] 3/14  IVF1024,PQ16  add 120000/200000  1.2e+06/s  0:07 left"
 * of others the share of trials and the time for those left, all_s seconds after the run's start:
 *   "[##------] 3/14  IVF1024,PQ16 nprobe=8  search  0:12 left"
 */
void progress_format(struct text *out, const struct progress *p, const char *label, int64_t done,
                     int64_t total, double stage_s, double all_s, int width);

#ifdef __cplusplus
}
#endif
#endif
