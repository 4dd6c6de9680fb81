#include "results/sql.h"

#include <sqlite3.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"

int sql_fail(struct sql *c, int result)
{
    const char *path = c->path ? c->path : "database";
    const char *words = c->handle ? sqlite3_errmsg(c->handle) : sqlite3_errstr(result);
    int err = c->handle ? sqlite3_system_errno(c->handle) : 0;

    switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fail(ERR_IO,
                    "%s: the database is locked by another process; wait until the other "
                    "ivfbench (or sqlite3) is done, or give this one its own with --db",
                    path);
    case SQLITE_FULL:
        return fail(ERR_IO,
                    "%s: the disk is full; make room and run again, what was finished is "
                    "kept",
                    path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return fail(ERR_IO,
                    "%s: the database may not be written: make the file and its folder "
                    "writable, or choose another with --db",
                    path);
    case SQLITE_CANTOPEN:
        if (err) return fail_errno(ERR_IO, err, "%s: cannot open the database", path);
        return fail(ERR_IO, "%s: cannot open the database (a missing or unwritable folder?)", path);
    case SQLITE_IOERR:
        if (err) return fail_errno(ERR_IO, err, "%s: %s", path, words);
        if (result == SQLITE_IOERR_WRITE || result == SQLITE_IOERR_FSYNC)
            return fail(ERR_IO,
                        "%s: %s while writing: is a disk, a quota or a limit on the size of files "
                        "exhausted? What was finished is kept",
                        path, words);
        return fail(ERR_IO, "%s: %s", path, words);
    case SQLITE_NOTADB:
        return fail(ERR_FORMAT, "%s: not a database; choose another file with --db", path);
    case SQLITE_CORRUPT:
        return fail(ERR_FORMAT,
                    "%s: the database is damaged (%s); copy it away, try sqlite3's "
                    ".recover on the copy",
                    path, words);
    case SQLITE_NOMEM:
        return fail(ERR_NOMEM, "%s: out of memory in SQLite", path);
    default:
        return fail(ERR_INVALID, "%s: %s", path, words);
    }
}

int sql_open(struct sql *c, const char *path, int flags)
{
    int result;

    if (!(c->path = mem_string(path))) return ERR_NOMEM;
    result = sqlite3_open_v2(path, &c->handle, flags, NULL);
    if (result != SQLITE_OK) {
        result = sql_fail(c, result);
        sql_close(c);
        return result;
    }
    sqlite3_extended_result_codes(c->handle, 1);
    return 0;
}

void sql_close(struct sql *c)
{
    sqlite3_close(c->handle);
    mem_free(c->path);
    *c = (struct sql){0};
}

int sql_script(struct sql *c, const char *statements)
{
    int result = sqlite3_exec(c->handle, statements, NULL, NULL, NULL);

    return result == SQLITE_OK ? 0 : sql_fail(c, result);
}

static int bind(sqlite3_stmt *st, int at, const struct value *v)
{
    switch (v->kind) {
    case VALUE_INT:
        return sqlite3_bind_int64(st, at, v->i);
    case VALUE_REAL:
        return sqlite3_bind_double(st, at, v->real);
    case VALUE_TEXT:
        return sqlite3_bind_text(st, at, v->ptr, -1, SQLITE_STATIC);
    case VALUE_BLOB:
        return sqlite3_bind_blob64(st, at, v->ptr, (sqlite3_uint64)v->i, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(st, at);
    }
}

int sql_query(sqlite3_stmt **out, struct sql *c, const char *statement, const struct value *values,
              int n)
{
    sqlite3_stmt *st = NULL;
    int result = sqlite3_prepare_v2(c->handle, statement, -1, &st, NULL);

    for (int i = 0; result == SQLITE_OK && i < n; i++)
        result = bind(st, i + 1, &values[i]);
    if (result != SQLITE_OK) {
        result = sql_fail(c, result);
        sqlite3_finalize(st);
        return result;
    }
    *out = st;
    return 0;
}

int sql_step(struct sql *c, sqlite3_stmt *rows)
{
    int result = sqlite3_step(rows);

    if (result == SQLITE_ROW) return 1;
    return result == SQLITE_DONE ? 0 : sql_fail(c, result);
}

void sql_done(sqlite3_stmt *rows)
{
    sqlite3_finalize(rows);
}

int sql_run(struct sql *c, const char *statement, const struct value *values, int n)
{
    sqlite3_stmt *st;
    int rc;

    if ((rc = sql_query(&st, c, statement, values, n)) < 0) return rc;
    while ((rc = sql_step(c, st)) > 0)
        ;
    sql_done(st);
    return rc;
}

int sql_get_int(struct sql *c, int64_t *out, const char *statement, const struct value *values,
                int n)
{
    sqlite3_stmt *st;
    int rc;

    if ((rc = sql_query(&st, c, statement, values, n)) < 0) return rc;
    if ((rc = sql_step(c, st)) > 0) {
        if (sqlite3_column_type(st, 0) == SQLITE_NULL)
            rc = 0;
        else
            *out = sqlite3_column_int64(st, 0);
    }
    sql_done(st);
    return rc;
}
