/*
 * Results for eyes. What all rows share stands in one line above; a column is there only where
 * the rows that have it differ in it or where it is a result that some row has.
 */
#ifndef IVF_SUMMARY_H
#define IVF_SUMMARY_H

#include "results/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Appends the table of the filtered rows, aligned or as Markdown; returns how many, or a code. */
int summary_add(struct store *db, const struct export_filter *filter, int markdown,
                struct text *out);

#ifdef __cplusplus
}
#endif
#endif
