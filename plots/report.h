/* The report: one self-contained HTML file with the picture inline, and no script in it. */
#ifndef IVF_REPORT_H
#define IVF_REPORT_H

#ifdef __cplusplus
extern "C" {
#endif

/* What the page shows; all text is plain and escaped here. NULL: left out. */
struct report {
    const char *title;
    const char *rows_csv;    /* in the columns of `export`; the table, and offered as a download */
    const char *svg;         /* the picture, as gnuplot wrote it; NULL: no gnuplot, said so */
    const char *machine;     /* JSON object of facts: a table of two columns */
    const char *software;    /* JSON object */
    const char *environment; /* JSON object */
    const char *spec;        /* the YAML text */
    const char *commands;    /* lines to type to get the same again */
    const char *date;
};

/* Writes it whole or not at all to path. */
int report_write(const struct report *r, const char *path);

#ifdef __cplusplus
}
#endif
#endif
