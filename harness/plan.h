/*
 * A plan: the spec's axes multiplied out into trials, grouped by the index they share, each
 * with its identity or the reason why it is skipped. Opens no device, writes nothing, and of files
 * reads only train.centroids.
 *
 * Nesting, outermost first, is that of enum spec_axis: index, gpus, replicas, storage, threads,
 * seed (these shape the index: a group is one combination of them), then float16,
 * precomputed_tables, k, batch, nprobe.
 *
 * The identity of a trial is the hash of its params: JSON with sorted keys and no spaces, of
 * all that changes the number and nothing else: the data's identity, key, backend, GPUs and
 * replicas, storage as resolved, add.batch, threads, seed, iterations, training rows (how many, whether drawn,
 * whose centroids), float16, tables, temp_memory unless `auto`, k, batch, nprobe. Not in it: paths, the
 * spec's name, the order of keys or values, how often time is taken, what is measured (a trial that lacks it
 * is not finished), caching.
 */
#ifndef IVF_PLAN_H
#define IVF_PLAN_H

#include "engine/backend.h"
#include "engine/dataset.h"
#include "engine/factory.h"
#include "harness/centroids.h"
#include "harness/spec.h"

#ifdef __cplusplus
extern "C" {
#endif

enum skip_kind {
    SKIP_NONE,  /* it runs */
    SKIP_RULE,  /* the spec says so, or it makes no sense: nprobe over nlist, the same twice */
    SKIP_LATER, /* right, but it comes with a later version */
    SKIP_NO_FIT /* this machine's memory is too small */
};

struct trial {
    const char *index; /* the factory key */
    struct factory factory;
    int gpus, replicas;              /* gpus: 0 on the CPU */
    enum elem storage;               /* of Flat rows, `auto` resolved; for PQ the data's own */
    int float16, precomputed_tables; /* 0 for Flat, which has no tables */
    int threads;
    int64_t seed;
    int k, nprobe;
    int64_t batch;
    char *params;         /* canonical JSON of everything that changes the number */
    struct hash identity; /* of params */
    enum skip_kind skip_kind;
    char *skip; /* why it does not run; NULL: it runs */
};

/* Bytes of memory. device: of a device's own; 0 where its memory is the host's. */
struct footprint {
    size_t host, device;
};

/* Trials that share one index. */
struct group {
    char *params;         /* canonical JSON of what shapes the index */
    struct hash identity; /* of params */
    char *label;          /* "IVF1024,PQ16 seed=2": what distinguishes it within the plan */
    struct trial *trials; /* into plan.trials, contiguous */
    int ntrials, runnable;
    int64_t
        train_rows; /* training vectors: max(1e6, 256 nlist), or as many a list as the spec says */
    int train_sampled; /* drawn from all there are; 0: the first of them */
    /* Memory that each phase holds at most, whatever took it, by estimate; 0: unknown. fill: truth
       too. search: evaluation too. */
    struct footprint train, fill, search;
    size_t search_step; /* of search: what the backend takes for it beside the index */
};

struct plan {
    const struct spec *spec; /* borrowed */
    struct dataset_info data;
    const char *backend;        /* what will run: "cpu", "cuda" */
    size_t device_bytes;        /* of the device's own memory; 0: it has none, or is not there */
    struct centroids centroids; /* nlist 0: they are trained */
    struct trial *trials;
    int ntrials;
    struct group *groups;
    int ngroups;
    int runnable, by_rule, later, no_fit; /* trials */
    int *excluded;                        /* [spec->nexclude] trials that match each entry */
    struct arena arena;                   /* all of the above */
};

/*
 * data: of the open data set, or plan_guess_data's (what is 0 there is not checked). backend,
 * threads: what `auto` becomes. ERR_INVALID for a contradiction between spec and data (m that
 * does not divide d, more lists than training vectors, nprobe over nlist in every trial), with
 * all of them in errors.
 */
int plan_create(struct plan **out, const struct spec *spec, const struct dataset_info *data,
                const char *backend, int threads, struct text *errors);
void plan_free(struct plan *p); /* NULL is allowed */

/* What plan_load did not fail for, but people should know. Clear both with text_clear. */
struct plan_words {
    struct text errors; /* of the spec, ready to print */
    struct text note; /* "dataset x: ...: not checked against data", or that a truth is not used */
};

/*
 * From a spec's file to its plan: spec_load, a look at the data, plan_create with as many threads
 * as there are. must_open 0: where the data cannot be found, the plan is made from what the spec
 * says, and words->note tells. A data set that comes with a later version never fails here. Free
 * *out before *spec.
 */
int plan_load(struct plan **out, struct spec **spec, const char *path, const char *const *set,
              int nset, int must_open, struct plan_words *words);

/* What the spec alone says of its data, without opening it; 0 where it says nothing. */
void plan_guess_data(struct dataset_info *out, const struct spec *spec);

/* "cuda" or "cpu": what a spec's `backend` becomes in this build on this machine (device.h). */
const char *plan_backend(const struct spec *spec);

/* Trials whose key matches no pattern ("*,Flat") are skipped by rule. Returns how many are left. */
int plan_only(struct plan *p, const char *pattern);

/* "14 trials in 2 groups; 12 to run, 2 skipped by rule" */
void plan_summary(const struct plan *p, struct text *out);

/* A line for each entry of `exclude` that matches no trial: mostly a slip of somebody's pen. */
void plan_idle_excludes(const struct plan *p, struct text *out);

/* How a trial searches, as the backend is told; of no more queries at once than there are. */
struct search_desc plan_search(const struct plan *p, const struct trial *t);

/* Whether two searches differ in nothing but size, so that what is reserved can serve both. */
int plan_search_alike(const struct search_desc *a, const struct search_desc *b);
/* Widens s to the sizes of one that is alike; any other leaves it as it is. */
void plan_search_widen(struct search_desc *s, const struct search_desc *other);

/* Fills a group's three estimates of memory. Unknown for a backend that this build lacks. */
void plan_estimate(const struct plan *p, struct group *g);

/* The most memory of one kind that a group needs at once, and for what ("training", "the index",
   "searching"). */
size_t plan_peak_host(const struct group *g, const char **phase);
size_t plan_peak_device(const struct group *g, const char **phase);

/* Host memory that a plan must fit in: machine_memory_bytes. A device's is plan->device_bytes. */
size_t plan_memory_limit(void);

/* Rows of the base read at once: add.batch, or as many as PLAN_BLOCK_BYTES hold if that is less. */
enum { PLAN_BLOCK_BYTES = 16 << 20 }; /* large enough for any disk */
int64_t plan_block_rows(const struct plan *p);

/* Rows that a device makes at once where the set is a synthetic one; 0: it is files. */
int64_t plan_maker_rows(const struct plan *p);

/* True neighbours that are kept of each query: as many as were shipped or as any k asks for. */
int plan_truth_k(const struct plan *p);

/* "1.5 GiB" */
struct shown plan_bytes(size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
