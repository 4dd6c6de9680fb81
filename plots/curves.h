/*
 * From rows of `export` to what is drawn: a curve is everything that shares all settings but
 * nprobe and seed; a point of it is the median over the seeds at one nprobe. Only rows with
 * status ok count.
 */
#ifndef IVF_CURVES_H
#define IVF_CURVES_H

#include "engine/base/text.h"
#include "plots/csv.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a point carries; curves_value_names has their names, which are export's. */
enum {
    VALUE_RECALL_1,
    VALUE_RECALL_10,
    VALUE_RECALL_100,
    VALUE_KRECALL_10,
    VALUE_RECALL_TIE,
    VALUE_INTERSECTION_10,
    VALUE_MS, /* of one pass over all queries; its quartiles: over seeds, if many, else repeats */
    VALUE_MS_Q1,
    VALUE_MS_Q3,
    VALUE_QPS,
    VALUE_QPS_Q1,
    VALUE_QPS_Q3,
    VALUE_TRAIN_S,
    VALUE_ADD_S,
    CURVE_VALUES
};
extern const char *const curves_value_names[CURVE_VALUES];

struct curve_point {
    int curve, row; /* row: of the csv; of a median: the first of its rows */
    int seeds;      /* of a median: over how many; of a single seed's point: 0 */
    double nprobe, seed, value[CURVE_VALUES];
};

struct curves {
    struct csv csv;
    int count;                   /* curves */
    char **labels;               /* [count]: the key, and those settings that tell them apart */
    struct curve_point *points;  /* single ones, by (curve, nprobe, seed) */
    struct curve_point *medians; /* by (curve, nprobe) */
    int npoints, nmedians;
};

/* From text in the columns of export. Without ok rows the result has no curves. */
int curves_create(struct curves **out, const char *csv);
void curves_free(struct curves *c); /* NULL is allowed */

/* One line of what all share: data, device, threads, commit, date. */
void curves_shared(const struct curves *c, struct text *out);

/*
 * Appends points, medians first, as csv: curve (from 1), label, kind (median, seed), nprobe,
 * seed, the values, mark (1: its nprobe is to be written beside it).
 */
void curves_add_csv(const struct curves *c, struct text *out);

#ifdef __cplusplus
}
#endif
#endif
