/*
 * Pictures by gnuplot: a script and its csv are always written; where gnuplot is there, it is
 * run on them for svg and png. The script draws the same again when run in its folder.
 */
#ifndef IVF_PLOT_H
#define IVF_PLOT_H

#ifdef __cplusplus
extern "C" {
#endif

/* 1: gnuplot answers (its version in version[64]); 0: it is not there. */
int plot_gnuplot(char version[64]);

struct plot {
    const char *figure; /* one of plot_figure() */
    const char *csv;    /* text in the columns of `export` */
    const char *title;
    const char *x;   /* the recall across, one of export's columns; NULL: intersection_10 */
    const char *dir; /* made if need be */
};

/* The ith figure's name and what it shows; NULL past the last. */
const char *plot_figure(int i, const char **shows);

/*
 * Draws it into dir: <figure>.csv, .gp, .svg, .png. Returns 1: drawn; 0: gnuplot is missing,
 * script and csv are there; or a code: ERR_INVALID: no such figure or x; nothing in csv to draw;
 * ERR_IO: gnuplot failed, with what it said, or a file cannot be written.
 */
int plot_draw(const struct plot *p);

#ifdef __cplusplus
}
#endif
#endif
