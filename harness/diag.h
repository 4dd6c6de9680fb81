/*
 * Diagnostics in gcc's form, which editors jump to:
 *
 *   spec.yaml:12:3: error: unknown key "nporbe"; did you mean "nprobe"?
 *      12 |   nporbe: 4
 *         |   ^
 *
 * They are collected, so that one reading of a file shows all that is wrong with it, and come
 * out in the order of the text, whatever order they were found in.
 */
#ifndef IVF_DIAG_H
#define IVF_DIAG_H

#include "engine/base/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A text that diagnostics point into. */
struct source {
    const char *name; /* what stands before the first colon: a path, "--set search.k=1" */
    const char *text; /* NUL-terminated */
    int unnumbered;   /* positions are not printed as :line:column: a single line of text */
    int order;        /* which of several sources comes first */
};

/* A place in a source; line and column count from 0, columns in characters. */
struct mark {
    const struct source *source; /* NULL: nowhere */
    int line, column;
};

struct diag_entry;

/* A zeroed struct is a valid empty one. After a failed allocation it keeps refusing. */
struct diag {
    struct diag_entry *entries; /* [DIAG_MAX], in the order of the text */
    int count, more;            /* errors held; errors past DIAG_MAX, only counted */
    int last;                   /* entry a note belongs to */
    int failed;                 /* 0 or ERR_NOMEM */
};

enum { DIAG_MAX = 100 };

void diag_error(struct diag *d, struct mark at, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* A second place that explains the error recorded last. */
void diag_note(struct diag *d, struct mark at, const char *fmt, ...) PRINTF_LIKE(3, 4);

int diag_errors(const struct diag *d);

/*
 * Writes all of them to out and empties d. 0 where there was none; else ERR_INVALID with
 * "<what>: 3 errors" as its text, or ERR_NOMEM.
 */
int diag_end(struct diag *d, struct text *out, const char *what);
void diag_clear(struct diag *d);

/* Which place the byte at offset of s's text is. */
struct mark diag_mark(const struct source *s, int64_t offset);

/* The line that at is in, up to the end of the whole text. */
const char *diag_line(struct mark at);

/* A value as a message shows it: cut where it is long, nothing that a terminal would obey. */
struct shown {
    char s[96];
};
struct shown diag_show(const char *value);

#ifdef __cplusplus
}
#endif
#endif
