/* What a run leaves for people: its picture and its page. */
#ifndef IVF_PUBLISH_H
#define IVF_PUBLISH_H

#include "results/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Writes report.html and recall_qps.{svg,png,gp,csv} of what run measured, or found finished,
 * into the folder dir, which is made if need be. Without gnuplot there is no svg and png, and a
 * warning says so. Returns 0; or ERR_INVALID where the run has no rows, ERR_IO as file_put.
 */
int publish(struct store *db, int64_t run, const char *dir);

/* The page alone, to path, the picture drawn into the folder dir. filter->run names the run
   whose spec, machine and software are shown. */
int publish_report(struct store *db, const struct export_filter *filter, int64_t run,
                   const char *dir, const char *path);

/* "No gnuplot: ..." as a warning: which figure's script stands where. */
void publish_warn_no_gnuplot(const char *figure, const char *dir);

#ifdef __cplusplus
}
#endif
#endif
