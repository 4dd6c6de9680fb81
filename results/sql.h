/*
 * A thin coat over SQLite for the files of this folder: values bound by type, and its result
 * codes turned into ours with words the user can act on.
 */
#ifndef IVF_SQL_H
#define IVF_SQL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sqlite3;
struct sqlite3_stmt;

struct sql {
    struct sqlite3 *handle;
    char *path; /* for messages */
};

enum value_kind { VALUE_NULL, VALUE_INT, VALUE_REAL, VALUE_TEXT, VALUE_BLOB };

/* A value to bind. Text and bytes are borrowed while the statement runs. */
struct value {
    enum value_kind kind;
    int64_t i; /* the number; of a blob: its bytes */
    double real;
    const void *ptr;
};

static inline struct value value_int(int64_t i)
{
    return (struct value){.kind = VALUE_INT, .i = i};
}

/* NULL where i is negative: "not applicable". */
static inline struct value value_opt(int64_t i)
{
    return (struct value){.kind = i < 0 ? VALUE_NULL : VALUE_INT, .i = i};
}

static inline struct value value_real(double real) /* NaN is stored as NULL */
{
    return (struct value){.kind = VALUE_REAL, .real = real};
}

static inline struct value value_text(const char *s) /* NULL is NULL */
{
    return (struct value){.kind = s ? VALUE_TEXT : VALUE_NULL, .ptr = s};
}

static inline struct value value_blob(const void *bytes, int64_t n)
{
    return (struct value){.kind = VALUE_BLOB, .i = n, .ptr = bytes};
}

/* flags: SQLITE_OPEN_...; path may be a URI with SQLITE_OPEN_URI. A zeroed *c is a closed one. */
int sql_open(struct sql *c, const char *path, int flags);
void sql_close(struct sql *c);

/* One or more statements that take no values and whose rows nobody wants. */
int sql_script(struct sql *c, const char *statements);

/* One statement with its ?1 ?2 ... bound; rows are not wanted. */
int sql_run(struct sql *c, const char *statement, const struct value *values, int n);

/* The same, for its rows: sql_step gives 1 (a row), 0 (no more) or a code. */
int sql_query(struct sqlite3_stmt **out, struct sql *c, const char *statement,
              const struct value *values, int n);
int sql_step(struct sql *c, struct sqlite3_stmt *rows);
void sql_done(struct sqlite3_stmt *rows); /* NULL is allowed */

/* First column of the first row. 1: there is one; 0: no row, or NULL in it. */
int sql_get_int(struct sql *c, int64_t *out, const char *statement, const struct value *values,
                int n);

/* Values in place: SQL_RUN(c, "... ?1, ?2", value_int(7), value_text("a")). */
#define SQL_VALUES(...)                                                                            \
    (const struct value[]){__VA_ARGS__},                                                           \
        (int)(sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value))
#define SQL_RUN(c, statement, ...) sql_run(c, statement, SQL_VALUES(__VA_ARGS__))

/* A result code of SQLite as one of ours, with its text. */
int sql_fail(struct sql *c, int result);

struct store;
struct sql *store_sql(struct store *db); /* store.c; for the readers in this folder */

#ifdef __cplusplus
}
#endif
#endif
