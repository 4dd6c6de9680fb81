/*
 * A plan: the spec's axes multiplied out into trials, grouped by the index they share, each
 * with its identity or the reason why it is skipped. Pure: opens no device, writes nothing.
 */
#ifndef IVF_PLAN_H
#define IVF_PLAN_H

#include "engine/dataset.h"
#include "engine/factory.h"
#include "harness/spec.h"

#ifdef __cplusplus
extern "C" {
#endif

struct trial {
    const char *index; /* the factory key */
    struct factory factory;
    int gpus, replicas; /* gpus: 0 on the CPU */
    enum elem storage;  /* of Flat rows, `auto` resolved; for PQ the data's own */
    int float16, precomputed_tables, threads;
    int64_t seed;
    int k, nprobe;
    int64_t batch;
    char *params;         /* canonical JSON of everything that changes the number */
    struct hash identity; /* of params */
    char *skip;           /* why it does not run; NULL: it runs */
    int unsupported;      /* skip is "comes with a later version", not a rule of the spec's */
};

/* Trials that share one index: the same data, key, training, storage and threads. */
struct group {
    struct hash identity;
    char *label;          /* "IVF1024,PQ16 seed=2": what distinguishes it within the plan */
    struct trial *trials; /* into plan.trials, contiguous */
    int ntrials;
    size_t train_bytes, index_bytes, search_bytes; /* estimates of host memory per phase */
};

struct plan {
    const struct spec *spec; /* borrowed */
    struct dataset_info data;
    const char *backend; /* what will run: "cpu", "cuda" */
    struct trial *trials;
    int ntrials;
    struct group *groups;
    int ngroups;
    int runnable, skipped_by_rule, unsupported; /* trials */
};

/*
 * data: of the open data set. backend, threads: what `auto` becomes. ERR_INVALID for a
 * contradiction between spec and data (m that does not divide d, nprobe over nlist in every
 * trial, ...), with all of them in errors.
 */
int plan_create(struct plan **out, const struct spec *spec, const struct dataset_info *data,
                const char *backend, int threads, struct text *errors);
void plan_free(struct plan *p); /* NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
