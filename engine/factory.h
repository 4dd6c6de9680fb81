/*
 * Faiss-style factory keys: [OPQm[_d],|PCARd,]IVFn,(Flat|PQm). Read to the end: what is left
 * over is an error that names the token (the original's expression is not anchored and runs
 * IVF4096,PQ64x4fs as something else).
 */
#ifndef IVF_FACTORY_H
#define IVF_FACTORY_H

#include "engine/terms.h"

#ifdef __cplusplus
extern "C" {
#endif

enum transform_kind { TRANSFORM_NONE, TRANSFORM_OPQ, TRANSFORM_PCAR };

struct factory {
    enum transform_kind transform;
    int opq_m; /* OPQ's own m */
    int d_out; /* dimensions after the transform; 0: the data's d */
    int64_t nlist;
    int m; /* 0: Flat */
};

/* ERR_INVALID with a text that names key and token, and what was expected there. */
int factory_parse(struct factory *out, const char *key);

/* Whether it can be built for vectors of d dimensions: m | d_out, opq_m | d_out, PCAR's d_out <= d. */
int factory_check(const struct factory *f, const char *key, int d);

#ifdef __cplusplus
}
#endif
#endif
