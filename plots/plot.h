/*
 * Pictures by gnuplot: a script and its csv are always written; where gnuplot is there, it is
 * run on them (by pipe) for svg and png.
 */
#ifndef IVF_PLOT_H
#define IVF_PLOT_H

#ifdef __cplusplus
extern "C" {
#endif

/* 1: gnuplot answers (its version in version[64]); 0: it is not there. */
int plot_gnuplot(char version[64]);

/*
 * Draws figure ("recall_qps") from csv (text in the columns of `export`) into the folder dir:
 * <figure>.csv, .gp, .svg, .png. Returns 1: drawn; 0: gnuplot is missing, script and csv are
 * there; or a code (ERR_IO: gnuplot failed, with what it said).
 */
int plot_draw(const char *figure, const char *csv, const char *title, const char *dir);

#ifdef __cplusplus
}
#endif
#endif
