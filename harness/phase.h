/*
 * How long a part of the work took and how much memory it held at most: open, train, add, truth,
 * search, evaluate. peak_host is all the process's anonymous memory while the phase lasted (what it
 * found included, not what it added): what must have fitted. See machine_peak_bytes.
 */
#ifndef IVF_PHASE_H
#define IVF_PHASE_H

#include "engine/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

struct phase {
    const char *name;
    int64_t wall_ns;
    int64_t device_ns, peak_host, peak_device; /* -1: not known */
    int cached;                                /* wall_ns is of when it was made */
};

/* Starts the clock, and what counts device time and memory. b may be NULL: no device yet. */
void phase_begin(struct phase *p, const char *name, struct backend *b);
void phase_end(struct phase *p, struct backend *b);

#ifdef __cplusplus
}
#endif
#endif
