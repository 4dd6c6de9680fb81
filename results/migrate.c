#include "results/migrate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/base/text.h"

static const char marker[] = "\n-- migration ";

/* The section that leads to version, without its marker; *end is one past it. NULL: none. */
static const char *find_section(const char *script, int version, const char **end)
{
    for (const char *s = strstr(script, marker); s; s = strstr(s, marker)) {
        s += sizeof marker - 1;
        if (atoi(s) != version) continue;
        s += strcspn(s, "\n");
        *end = strstr(s, marker);
        if (!*end) *end = s + strlen(s);
        return s;
    }
    return NULL;
}

int migrate_newest(const char *script)
{
    const char *end;
    int version = 0;

    while (find_section(script, version + 1, &end))
        version++;
    return version;
}

int migrate_version(struct sql *c, const char *script)
{
    int newest = migrate_newest(script), rc;
    int64_t application = 0, version = 0, tables = 0;

    if ((rc = sql_get_int(c, &application, "PRAGMA application_id", NULL, 0)) < 0) return rc;
    if ((rc = sql_get_int(c, &version, "PRAGMA user_version", NULL, 0)) < 0) return rc;
    if ((rc = sql_get_int(c, &tables, "SELECT count(*) FROM sqlite_schema", NULL, 0)) < 0)
        return rc;
    if (application == 0 && version == 0 && tables == 0) return 0;
    if (application != STORE_APPLICATION_ID)
        return fail(
            ERR_FORMAT,
            "%s: an SQLite database, but not one of ivfbench; choose another file with --db",
            c->path);
    if (version > newest)
        return fail(ERR_UNSUPPORTED,
                    "%s: the database has version %lld, this ivfbench knows up to %d; use a newer "
                    "ivfbench, or another database with --db",
                    c->path, (long long)version, newest);
    return (int)version;
}

/* VACUUM INTO sees what is still in the write-ahead log, which a copy of the file would not. */
static int back_up(struct sql *c, int version)
{
    struct text path = {0}, tmp = {0};
    int rc = ERR_NOMEM;

    text_addf(&path, "%s.v%d.bak", c->path, version);
    text_addf(&tmp, "%s.tmp.%ld", text_get(&path), (long)getpid());
    if (text_failed(&path) || text_failed(&tmp)) goto out;
    unlink(text_get(&tmp));
    if ((rc = SQL_RUN(c, "VACUUM INTO ?1", value_text(text_get(&tmp)))) < 0) goto out;
    if (rename(text_get(&tmp), text_get(&path))) rc = fail_errno(ERR_IO, errno, "%s", path.s);
out:
    if (rc < 0) {
        unlink(text_get(&tmp));
        fail_in(rc, "no backup of the database before its migration");
    }
    text_clear(&path);
    text_clear(&tmp);
    return rc;
}

/* To version, in one transaction, unless another process was faster. */
static int step(struct sql *c, const char *script, int version)
{
    struct text sql = {0};
    const char *end = NULL, *section = find_section(script, version, &end);
    int rc;

    text_add_bytes(&sql, section, end - section);
    text_addf(&sql, "PRAGMA application_id = %d; PRAGMA user_version = %d;", STORE_APPLICATION_ID,
              version);
    if ((rc = text_failed(&sql)) < 0) goto out;
    if ((rc = sql_script(c, "BEGIN IMMEDIATE")) < 0) goto out;
    if ((rc = migrate_version(c, script)) >= 0 && rc < version) rc = sql_script(c, text_get(&sql));
    if (rc >= 0) rc = sql_script(c, "COMMIT");
    if (rc < 0) {
        char why[512];

        snprintf(why, sizeof why, "%s", fail_text()); /* the rollback must not talk over it */
        sql_script(c, "ROLLBACK");
        fail(rc, "%s", why);
    }
out:
    text_clear(&sql);
    return rc;
}

int migrate(struct sql *c, const char *script)
{
    int newest = migrate_newest(script), version = migrate_version(c, script), rc;

    if (version < 0 || version == newest) return version < 0 ? version : 0;
    if (version > 0 && (rc = back_up(c, version)) < 0) return rc;
    while (version < newest)
        if ((rc = step(c, script, ++version)) < 0) return rc;
    return 0;
}
