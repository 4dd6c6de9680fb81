/* Between dataset.c, dataset_name.c, dataset_layout.c and stream.c; everybody else asks dataset.h. */
#ifndef IVF_DATASET_INTERNAL_H
#define IVF_DATASET_INTERNAL_H

#include "engine/base/text.h"
#include "engine/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

enum layout_kind { LAYOUT_FILES, LAYOUT_BIGANN, LAYOUT_DEEP, LAYOUT_TEXMEX, LAYOUT_SYNTHETIC };

struct dataset_layout {
    enum layout_kind kind;
    int d;        /* that the name implies; 0: none */
    int millions; /* of rows that the name promises */
};

/* LAYOUT_FILES for a name that means nothing; ERR_INVALID, with a hint, for a near miss. */
int dataset_layout_of(struct dataset_layout *out, const char *name);

/* Where a set of files is, whichever way they were named; a zeroed one is empty. */
struct dataset_files {
    struct text base, query, learn, truth; /* empty: there is none */
    int d;                                 /* that a layout's name promises; 0: any */
    int64_t promised;                      /* base rows that it promises; 0: any */
    int64_t learn_rows;                    /* of learn, the first so many are used; 0: all */
};

/* The files of a layout below root, which may also be their own folder. ERR_INVALID without root. */
int dataset_find(struct dataset_files *out, const struct dataset_layout *layout, const char *name,
                 const char *root);
void dataset_files_clear(struct dataset_files *f);

/* dataset_read with memory of the caller's, dataset_scratch bytes for so many rows. */
int64_t dataset_scratch(const struct dataset *ds, enum part part, int64_t rows);
int dataset_read_with(const struct dataset *ds, enum part part, int64_t first, int64_t rows,
                      void *dst, char *scratch);

#ifdef __cplusplus
}
#endif
#endif
