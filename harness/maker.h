/*
 * Rows of the synthetic set, by the device that has a step for them: the same bytes as the
 * generator's own, which stands in wherever there is none. A maker has a backend object to itself,
 * so that a reader thread may fill blocks while the index is being built from others.
 */
#ifndef IVF_MAKER_H
#define IVF_MAKER_H

#include "engine/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

struct maker;

/*
 * For blocks of up to rows rows of d. wanted, name: as device_open takes them. *out stays NULL,
 * which is a maker too, where that backend makes no rows. The block on the device is this object's
 * own, not in what the index's backend says it holds.
 */
int maker_open(struct maker **out, const char *wanted, const char *name, int64_t rows, int d);
void maker_close(struct maker *m); /* NULL is allowed */

/* As synthetic_rows; rows at most what was opened for. Several threads may call, one at a time. */
int maker_rows(struct maker *m, const struct synthetic *s, enum part part, int64_t first,
               int64_t rows, void *dst);

#ifdef __cplusplus
}
#endif
#endif
