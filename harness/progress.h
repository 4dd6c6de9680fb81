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
    int64_t stage_began_ns, drawn_ns;
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
 * The bar's line without the moves of the cursor, at most width characters:
 * "[####----] 3/14  IVF1024,PQ16  add 120000/200000  1.2e+06/s  0:07 left"
 */
void progress_format(struct text *out, const struct progress *p, const char *label, int64_t done,
                     int64_t total, double seconds, int width);

#ifdef __cplusplus
}
#endif
#endif
