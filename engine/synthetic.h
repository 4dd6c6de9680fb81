/*
 * Vectors made up by integer arithmetic that look like SIFT to an index: for the quickstart, the
 * suite, and scale tests without a download. A row is a pure function of (seed, part, i, d).
 */
#ifndef IVF_SYNTHETIC_H
#define IVF_SYNTHETIC_H

#include "engine/base/hash.h"
#include "engine/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SYNTHETIC_VERSION = 1 }; /* of the generator; rises when any row changes */

struct synthetic; /* the tables of one (seed, d): about 130 * d bytes */

/* ERR_INVALID where d is not in 1 ... D_MAX. */
int synthetic_create(struct synthetic **out, int64_t seed, int d);
void synthetic_free(struct synthetic *s); /* NULL is allowed */

/*
 * Rows [first, first + rows) of a part into dst[rows][d]; 0 <= first, first + rows <= 2^47. The
 * same bytes on every machine, alone or in a block, whatever the size of the set. Threads: any.
 */
void synthetic_rows(const struct synthetic *s, enum part part, int64_t first, int64_t rows,
                    uint8_t *dst);

#ifdef __cplusplus
}
#endif
#endif
