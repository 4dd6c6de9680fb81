/*
 * A spec: the question somebody wrote down in YAML. One table (spec_keys.c) is the whole truth
 * about every key: parser, range, default, help, JSON schema and "did you mean" read the same
 * row. Errors carry file:line:column, the source line and a caret; all of them are collected.
 */
#ifndef IVF_SPEC_H
#define IVF_SPEC_H

#include "engine/base/text.h"
#include "engine/dataset.h"
#include "harness/arena.h"
#include "harness/diag.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Values of an axis: a list in YAML gives one trial each, a scalar is a list of one. */
struct spec_ints {
    int64_t *v;
    int count;
};
struct spec_strings {
    char **v;
    int count;
};

enum { SPEC_AUTO = -1 }; /* `auto`, where a key allows it; `none` too, where that is the word */

enum spec_backend { BACKEND_AUTO, BACKEND_CUDA, BACKEND_CPU };

/* The axes in the order a plan nests them, outermost first; those before AXIS_FLOAT16 shape the
   index, the others only how it is searched. */
enum spec_axis {
    AXIS_INDEX,
    AXIS_GPUS,
    AXIS_REPLICAS,
    AXIS_STORAGE,
    AXIS_THREADS,
    AXIS_SEED,
    AXIS_FLOAT16,
    AXIS_PRECOMPUTED_TABLES,
    AXIS_K,
    AXIS_BATCH,
    AXIS_NPROBE,
    AXES,
    AXIS_NONE = -1
};

/* One entry of `exclude`: a trial is left out if each axis named here has one of the values. */
struct spec_exclude {
    int line;                      /* in the spec, from 1; 0: it came by --set */
    struct spec_strings index;     /* keys, or patterns of the shell's kind ("*,Flat") */
    struct spec_ints values[AXES]; /* as written in the spec; count 0: any */
};

struct spec {
    char *path; /* as given on the command line */
    char *text; /* the whole YAML, as read: kept in the store */
    char *name;
    int64_t version;

    char *dataset_name, *root, *base, *query, *learn, *truth; /* paths resolved; NULL: not given */
    int64_t dataset_d;
    struct dataset_desc dataset; /* points into the strings above */

    int backend; /* enum spec_backend */

    /* axes */
    struct spec_strings index;
    struct spec_ints gpus, replicas;
    struct spec_ints storage;                     /* enum elem, or SPEC_AUTO */
    struct spec_ints float16, precomputed_tables; /* 0, 1 */
    struct spec_ints threads;                     /* SPEC_AUTO or a number */
    struct spec_ints seed;
    struct spec_ints k, batch, nprobe;

    int64_t temp_memory; /* bytes, or SPEC_AUTO */
    int64_t coarse_iterations;
    int train_random;            /* training rows are drawn; 0: the first */
    int64_t points_per_centroid; /* training rows a list; SPEC_AUTO: the original's rule */
    int64_t add_batch;
    int add_mode_alt;
    int64_t max_add;          /* SPEC_AUTO: none */
    int64_t warmup, repeat;   /* SPEC_AUTO or a number of passes */
    struct spec_ints measure; /* enum spec_measure */
    int measure_recall, measure_intersection;
    int knn_graph;
    char *outputs_ids, *outputs_distances; /* NULL: not asked for */
    char *centroids, *outputs_centroids;   /* train.centroids, outputs.centroids: paths or NULL */
    int cache;

    /* These come with a later version: checked and held, and `later` is set. */
    int shard;
    struct spec_ints devices, seeds, train_seeds;
    int64_t limits_seconds, limits_memory; /* SPEC_AUTO: none */
    char *later; /* those of the spec's keys that come with a later version; NULL: none */

    struct spec_exclude *exclude;
    int nexclude;

    const struct mark *at;       /* [spec_key_count()] where each key's value stood, by row */
    const struct mark *index_at; /* [index.count] */
    struct arena arena;          /* all of the above */
};

enum spec_measure { MEASURE_RECALL, MEASURE_INTERSECTION };

/*
 * Reads and checks the YAML at path; set: nset strings "key=value" of --set, which win over the
 * file ("search.nprobe=[1,4]", "dataset={name: synthetic, d: 64, n: 1000}": a whole section is
 * replaced as a whole). On a fault: ERR_INVALID, and errors (which the caller prints as it is)
 * holds every error in gcc's form, with source line and caret. ERR_IO where path cannot be read.
 * *out is the caller's: spec_free.
 */
int spec_load(struct spec **out, const char *path, const char *const *set, int nset,
              struct text *errors);

/* The same from text already in memory; path names it and is where relative paths start. */
int spec_parse(struct spec **out, const char *path, const char *text, const char *const *set,
               int nset, struct text *errors);
void spec_free(struct spec *s); /* NULL is allowed */

/* Records each index key that cannot be built for vectors of d dimensions, where it stood. */
void spec_check_d(const struct spec *s, int d, struct diag *diag);

/* How the spec writes the ith value of an axis: "IVF64,Flat", "auto", "u8", "true", "16". */
const char *spec_axis_text(const struct spec *s, enum spec_axis axis, int i, char room[24]);
int spec_axis_count(const struct spec *s, enum spec_axis axis);

/* experiments/spec.schema.json (JSON Schema, draft 7), made from the table. */
void spec_schema(struct text *out);

/*
 * Keys with type, range, default and meaning: of all, the one of that name, or those of a section.
 * Returns how many. name: NULL, "search.nprobe", "search".
 */
int spec_help(struct text *out, const char *name);

#ifdef __cplusplus
}
#endif
#endif
