/* A CSV text (RFC 4180, a line of names first) as cells: what `export` wrote, read back. */
#ifndef IVF_CSV_H
#define IVF_CSV_H

#ifdef __cplusplus
extern "C" {
#endif

struct csv {
    int columns, rows;  /* rows: without the names */
    const char **names; /* [columns] */
    const char **cells; /* [rows][columns], unquoted */
    char *memory;       /* the strings */
};

/* ERR_FORMAT names the line whose number of fields differs from the first's. */
int csv_parse(struct csv *out, const char *text);
void csv_clear(struct csv *csv); /* a zeroed one is allowed */

/* The cell of the named column; "" where there is no such column. */
const char *csv_get(const struct csv *csv, int row, const char *column);

/* The same as a number; NAN where it is empty or none. */
double csv_number(const struct csv *csv, int row, const char *column);

#ifdef __cplusplus
}
#endif
#endif
