/* Between dataset.c, dataset_name.c and stream.c; everybody else asks dataset.h. */
#ifndef IVF_DATASET_INTERNAL_H
#define IVF_DATASET_INTERNAL_H

#include "engine/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

enum layout_kind { LAYOUT_FILES, LAYOUT_BIGANN, LAYOUT_DEEP1B, LAYOUT_SYNTHETIC };

struct dataset_layout {
    enum layout_kind kind;
    int d;        /* that the name implies; 0: none */
    int millions; /* of BIGANN's rows */
};

/* LAYOUT_FILES for a name that means nothing; ERR_INVALID, with a hint, for a near miss. */
int dataset_layout_of(struct dataset_layout *out, const char *name);

/* dataset_read with memory of the caller's, dataset_scratch bytes for so many rows. */
int64_t dataset_scratch(const struct dataset *ds, enum part part, int64_t rows);
int dataset_read_with(const struct dataset *ds, enum part part, int64_t first, int64_t rows,
                      void *dst, char *scratch);

#ifdef __cplusplus
}
#endif
#endif
