/*
 * What the trials of a group share: the open data set, the device, the filled index, queries and
 * their true neighbours, and how long each phase of getting there took.
 */
#ifndef IVF_BUILD_H
#define IVF_BUILD_H

#include "engine/cache.h"
#include "engine/ivf.h"
#include "harness/nvml.h"
#include "harness/phase.h"
#include "harness/run.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BUILD_PHASES = 4 };

/* A zeroed one is empty. */
struct build {
    struct run *run; /* borrowed, as is group */
    const struct group *group;
    struct dataset *ds;
    const struct dataset_info *data;
    struct backend *b;
    struct maker *maker; /* of ds's rows, where a device makes them; NULL: ds itself */
    struct backend_info device;
    struct nvml *nvml; /* of that device; NULL: nothing is known of its clocks */
    struct ivf *ix;
    float *coarse;     /* [nlist][d] where the spec names a file of centroids, else NULL */
    float *q;          /* [nq][d] */
    int truth_k;       /* true neighbours per query: shipped, or as many as k asks for */
    vid *truth;        /* [nq][truth_k] */
    float *truth_dist; /* [nq][truth_k]; NULL where the data set brought its truth */
    struct text doubt; /* why truth is suspect; empty: it is not */
    struct phase phase[BUILD_PHASES];
    int nphases;
};

/*
 * Opens, trains (or takes a model from the cache), adds, and gets the truth: shipped, cached or
 * computed in the same pass over the base as the add (on a device: in one of its own). b holds what was reached on failure too:
 * build_clear in any case.
 */
int build_index(struct build *b, struct run *run, const struct group *group);
void build_clear(struct build *b);

/* Tells the watch, and ends what is being done if interrupted(): 0, or ERR_INVALID. */
int build_tell(struct build *b, const char *stage, int64_t done, int64_t total);

/* Tells the watch of something that costs time but no result. Nothing for "". */
void build_warn(struct build *b, const char *text);

/* Keeps a where the spec allows a cache; where it cannot be kept, a warning is all. */
void build_keep(struct build *b, const struct cache_artifact *a);

#ifdef __cplusplus
}
#endif
#endif
