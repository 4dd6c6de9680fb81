/*
 * A spec: the question somebody wrote down in YAML. One table (spec_keys.c) is the whole truth
 * about every key: parser, range, default, help, JSON schema and "did you mean" read the same
 * row. Errors carry file:line:column, the source line and a caret; all of them are collected.
 */
#ifndef IVF_SPEC_H
#define IVF_SPEC_H

#include "engine/base/text.h"
#include "engine/dataset.h"

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

/* One entry of `exclude`: axes it names, each with the values it excludes. */
struct spec_exclude {
    struct spec_strings keys;   /* "gpus", "nprobe", "index", ... */
    struct spec_strings values; /* beside keys, as canonical text */
};

struct spec_warning; /* see spec.c */

struct spec {
    char *path; /* as given on the command line */
    char *text; /* the whole YAML, as read: kept in the store */
    char *name;

    char *dataset_name, *root, *base, *query, *learn, *truth; /* paths resolved; NULL: not given */
    struct dataset_desc dataset;                              /* points into the strings above */

    enum spec_backend backend;

    /* axes, in the order the plan nests them (index outermost, nprobe innermost) */
    struct spec_strings index;
    struct spec_ints gpus, replicas;
    struct spec_ints storage;                     /* enum elem, or SPEC_AUTO */
    struct spec_ints float16, precomputed_tables; /* 0, 1 */
    struct spec_ints threads;                     /* SPEC_AUTO or a number */
    struct spec_ints seed;
    struct spec_ints k, batch, nprobe;

    int64_t temp_memory; /* bytes, or SPEC_AUTO */
    int64_t coarse_iterations;
    int64_t add_batch;
    int add_mode_alt;
    int64_t max_add;        /* SPEC_AUTO: none */
    int64_t warmup, repeat; /* SPEC_AUTO or a number of passes */
    int measure_recall, measure_intersection;
    int knn_graph;
    char *outputs_ids, *outputs_distances; /* NULL: not asked for */
    int cache;
    int shard, devices_given, limits_given; /* given at all: come with a later issue */

    struct spec_exclude *exclude;
    int nexclude;
};

/*
 * Reads and checks the YAML at path; set: count strings "key=value" of --set, which win over
 * the file. On a fault: ERR_INVALID, and errors (which the caller prints as it is) holds every
 * error in gcc's form, with source line and caret. ERR_IO where path cannot be read. *out is
 * the caller's: spec_free.
 */
int spec_load(struct spec **out, const char *path, const char *const *set, int nset,
              struct text *errors);

/* The same from text already in memory; path names it and is where relative paths start. */
int spec_parse(struct spec **out, const char *path, const char *text, const char *const *set,
               int nset, struct text *errors);
void spec_free(struct spec *s); /* NULL is allowed */

/* experiments/spec.schema.json, made from the table. */
void spec_schema(struct text *out);

/* Every key with type, range, default and meaning: for `help spec`. */
void spec_help(struct text *out);

#ifdef __cplusplus
}
#endif
#endif
