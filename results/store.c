/*
 * A trial is collected in temporary tables (in memory, of this connection) and copied into the
 * file by one short transaction at its end: a trial may take hours, and a write lock held that
 * long would shut out every other process.
 */
#include "results/store.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/fail.h"
#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "results/migrate.h"
#include "results/sql.h"
#include "schema_sql.h"

enum { PATIENCE_MS = 10000 };

struct store {
    struct sql sql;
    int collecting; /* the temporary tables exist */
    int begun;      /* a trial is in them */
};

struct sql *store_sql(struct store *db)
{
    return &db->sql;
}

void store_set_patience(struct store *db, int milliseconds)
{
    sqlite3_busy_timeout(db->sql.handle, milliseconds);
}

/* ------------------------------------------------------------------ opening */

/* A write-ahead log's index is shared memory, which hosts that mount one folder do not share. */
static int on_network(const char *path)
{
    static const unsigned long kinds[] = {
        0x6969,     /* NFS */
        0xFF534D42, /* CIFS */
        0xFE534D42, /* SMB2 */
        0x517B,     /* SMB */
        0x0BD00BD0, /* Lustre */
        0x47504653, /* GPFS */
        0x19830326, /* BeeGFS */
        0x00C36400, /* Ceph */
        0x01021997, /* 9P */
        0x65735546, /* FUSE: sshfs and others */
    };
    struct statfs fs;

    if (statfs(path, &fs) < 0) return 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (((unsigned long)fs.f_type & 0xFFFFFFFF) == kinds[i]) return 1;
    return 0;
}

/* 1: the journal is a write-ahead log now; 0: it is not, which is slower but right; or a code. */
static int use_log(struct sql *c)
{
    const char *asked = getenv("IVFBENCH_JOURNAL");
    sqlite3_stmt *st = NULL;
    int wal = !(asked && !strcmp(asked, "delete")) && !on_network(c->path), rc;

    rc = sql_query(&st, c, wal ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = DELETE", NULL,
                   0);
    if (rc < 0) return rc;
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        wal = !strcmp((const char *)sqlite3_column_text(st, 0), "wal");
    else
        wal = 0; /* no shared memory here, or somebody is in the middle of a transaction */
    sql_done(st);
    return wal;
}

static int set_up(struct sql *c, int readonly)
{
    int rc;

    sqlite3_busy_timeout(c->handle, PATIENCE_MS);
    if ((rc = sql_script(c, "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY")) < 0) return rc;
    if ((rc = migrate_version(c, schema_sql)) < 0) return rc;
    if (readonly && rc < migrate_newest(schema_sql))
        return fail(ERR_UNSUPPORTED,
                    "%s: the database has the older version %d; `ivfbench db check` migrates it",
                    c->path, rc);
    if (readonly) return sql_script(c, "PRAGMA query_only = ON");
    if ((rc = use_log(c)) < 0) return rc;
    rc = sql_script(c, rc ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL");
    return rc < 0 ? rc : migrate(c, schema_sql);
}

/* SQLite takes a file of one byte for an empty one, and would write over it. */
static int check_no_single_byte(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != 1) return 0;
    return fail(ERR_FORMAT, "%s: not a database; choose another file with --db", path);
}

static int open_as(struct store **out, const char *path, int flags, int readonly)
{
    struct store *db = NULL;
    int rc = ERR_NOMEM;

    if (!(db = mem_new(1, sizeof *db))) goto out;
    if ((rc = sql_open(&db->sql, path, flags)) < 0) goto out;
    if ((rc = set_up(&db->sql, readonly)) < 0) goto out;
    *out = db;
    db = NULL;
out:
    store_close(db);
    return rc;
}

int store_open(struct store **out, const char *path)
{
    int rc;

    if (!*path) return fail(ERR_INVALID, "the database's path is empty");
    if ((rc = file_mkdirs_above(path)) < 0) return rc;
    if ((rc = check_no_single_byte(path)) < 0) return rc;
    return open_as(out, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, 0);
}

/* The path as a URI that has SQLite read the file and write nothing beside it. */
static void add_immutable(struct text *uri, const char *path)
{
    text_add(uri, "file:");
    for (; *path; path++)
        text_addf(uri, strchr("%?#", *path) ? "%%%02X" : "%c", *path);
    text_add(uri, "?immutable=1");
}

int store_open_readonly(struct store **out, const char *path)
{
    struct text uri = {0}, log = {0};
    int rc;

    if (access(path, F_OK))
        return fail(ERR_IO, "%s: no such database; `ivfbench run` makes it, --db names another",
                    path);
    if ((rc = check_no_single_byte(path)) < 0) return rc;
    /* Opened for writing, where that may be, since only such a connection takes the log away when
       it is the last to close. */
    rc = open_as(out, path, SQLITE_OPEN_READWRITE, 1);
    if (rc != ERR_IO) return rc;

    /* Where the folder may not be written the log's index cannot be made. With no log there is
       nothing that it would tell. */
    text_addf(&log, "%s-wal", path);
    add_immutable(&uri, path);
    if (!text_failed(&log) && !text_failed(&uri) && access(log.s, F_OK) &&
        open_as(out, uri.s, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, 1) == 0)
        rc = 0;
    text_clear(&uri);
    text_clear(&log);
    return rc;
}

void store_close(struct store *db)
{
    if (!db) return;
    sql_close(&db->sql);
    mem_free(db);
}

/* -------------------------------------------------------------- transactions */

static int begin(struct sql *c)
{
    return sql_script(c, "BEGIN IMMEDIATE");
}

/* Commits if rc is not a code, else undoes; returns the code that came first, with its text. */
static int end(struct sql *c, int rc)
{
    char why[1024];

    if (rc >= 0 && (rc = sql_script(c, "COMMIT")) == 0) return 0;
    snprintf(why, sizeof why, "%s", fail_text());
    if (!sqlite3_get_autocommit(c->handle)) sql_script(c, "ROLLBACK");
    return fail(rc, "%s", why);
}

/* ---------------------------------------------------------------------- runs */

static int new_uuid(char uuid[37])
{
    unsigned char b[16];
    int at = 0;

    if (getrandom(b, sizeof b, 0) != sizeof b)
        return fail(ERR_IO, "no random bytes for a run's id");
    b[6] = (b[6] & 0x0f) | 0x40; /* RFC 4122: version 4, */
    b[8] = (b[8] & 0x3f) | 0x80; /* its variant */
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) uuid[at++] = '-';
        at += snprintf(uuid + at, (size_t)(37 - at), "%02x", b[i]);
    }
    return 0;
}

static const char *or_json(const char *json, const char *empty)
{
    return json && *json ? json : empty;
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

static int add_machine(struct sql *c, const struct store_machine *m, int64_t *id)
{
    struct value facts[] = {value_text(m->fingerprint), value_text(or_json(m->facts, "{}"))};
    int rc =
        sql_run(c, "INSERT OR IGNORE INTO machine (fingerprint, facts) VALUES (?1, ?2)", facts, 2);

    if (rc < 0) return rc;
    return sql_get_int(c, id, "SELECT id FROM machine WHERE fingerprint = ?1 AND facts = ?2", facts,
                       2);
}

static int add_software(struct sql *c, const struct store_software *s, int64_t *id)
{
    struct value facts[] = {value_text(s->identity),
                            value_text(or_empty(s->version)),
                            value_text(or_empty(s->commit)),
                            value_int(s->dirty != 0),
                            value_text(or_empty(s->binary_hash)),
                            value_text(or_json(s->facts, "{}"))};
    int rc = sql_run(c,
                     "INSERT OR IGNORE INTO software (identity, version, \"commit\", dirty,"
                     " binary_hash, facts) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                     facts, 6);

    if (rc < 0) return rc;
    return sql_get_int(c, id,
                       "SELECT id FROM software WHERE identity = ?1 AND version = ?2 AND"
                       " \"commit\" = ?3 AND dirty = ?4 AND binary_hash = ?5 AND facts = ?6",
                       facts, 6);
}

static int add_experiment(struct sql *c, const struct store_run *run, int64_t *id)
{
    struct hash hash = hash_string(or_empty(run->spec_text));
    struct value facts[] = {value_text(run->spec_name), value_text(or_empty(run->spec_path)),
                            value_text(hash.hex), value_text(or_empty(run->spec_text))};
    int rc = sql_run(c,
                     "INSERT OR IGNORE INTO experiment (name, path, hash, text)"
                     " VALUES (?1, ?2, ?3, ?4)",
                     facts, 4);

    if (rc < 0) return rc;
    return sql_get_int(
        c, id, "SELECT id FROM experiment WHERE name = ?1 AND path = ?2 AND hash = ?3", facts, 3);
}

int store_run_begin(struct store *db, const struct store_run *run, int64_t *id)
{
    struct sql *c = &db->sql;
    int64_t experiment = 0, machine = 0, software = 0, row = 0;
    char uuid[37];
    int rc;

    if ((rc = new_uuid(uuid)) < 0) return rc;
    if ((rc = begin(c)) < 0) return rc;
    if ((rc = add_machine(c, &run->machine, &machine)) < 0) goto out;
    if ((rc = add_software(c, &run->software, &software)) < 0) goto out;
    if ((rc = add_experiment(c, run, &experiment)) < 0) goto out;
    rc = SQL_RUN(c,
                 "INSERT INTO run (uuid, experiment, machine, software, argv, overrides,"
                 " environment, started_unix_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                 value_text(uuid), value_int(experiment), value_int(machine), value_int(software),
                 value_text(or_json(run->argv, "[]")), value_text(or_json(run->spec_set, "[]")),
                 value_text(or_json(run->environment, "{}")), value_int(clock_unix_ns()));
    row = sqlite3_last_insert_rowid(c->handle);
out:
    if ((rc = end(c, rc)) == 0) *id = row;
    return rc;
}

int store_run_end(struct store *db, int64_t run, int exit_code)
{
    return SQL_RUN(&db->sql, "UPDATE run SET ended_unix_ns = ?2, exit = ?3 WHERE id = ?1",
                   value_int(run), value_int(clock_unix_ns()), value_int(exit_code));
}

static const char *column(sqlite3_stmt *st, int i)
{
    return (const char *)sqlite3_column_text(st, i);
}

int store_run_see(struct store *db, int64_t run,
                  int (*see)(void *arg, const struct store_run *run, int64_t started_unix_ns),
                  void *arg)
{
    struct sql *c = &db->sql;
    struct value id = value_int(run);
    sqlite3_stmt *st = NULL;
    int rc = sql_query(&st, c,
                       "SELECT m.fingerprint, m.facts, s.version, s.\"commit\", s.dirty,"
                       " s.binary_hash, s.identity, s.facts, e.path, e.name, e.text, r.overrides,"
                       " r.argv, r.environment, r.started_unix_ns FROM run r"
                       " JOIN machine m ON m.id = r.machine JOIN software s ON s.id = r.software"
                       " JOIN experiment e ON e.id = r.experiment WHERE r.id = ?1",
                       &id, 1);

    if (rc < 0 || (rc = sql_step(c, st)) < 0) goto out;
    if (rc == 0) {
        rc = fail(ERR_INVALID, "%s: no run %lld", c->path, (long long)run);
        goto out;
    }
    struct store_run found = {
        .machine = {.fingerprint = column(st, 0), .facts = column(st, 1)},
        .software = { .version = column(st, 2),
                    .commit = column(st, 3),
                    .dirty = sqlite3_column_int(st, 4),
                    .binary_hash = column(st, 5),
                    .identity = column(st, 6),
                    .facts = column(st, 7)},
        .spec_path = column(st, 8),
        .spec_name = column(st, 9),
        .spec_text = column(st, 10),
        .spec_set = column(st, 11),
        .argv = column(st, 12),
        .environment = column(st, 13),
    };
    rc = see(arg, &found, sqlite3_column_int64(st, 14));
out:
    sql_done(st);
    return rc;
}

/* -------------------------------------------------------------------- trials */

static int collect(struct store *db)
{
    int rc;

    if (!db->collecting) {
        rc = sql_script(&db->sql,
                        "CREATE TEMP TABLE t AS SELECT trial.*, name AS dataset_name,"
                        " dataset.identity AS dataset_identity, elem FROM main.trial, dataset"
                        " WHERE 0;"
                        "CREATE TEMP TABLE t_phase AS SELECT * FROM main.phase WHERE 0;"
                        "CREATE TEMP TABLE t_sample AS SELECT * FROM main.sample WHERE 0;"
                        "CREATE TEMP TABLE t_clocks AS SELECT * FROM main.clocks WHERE 0;"
                        "CREATE TEMP TABLE t_metric AS SELECT * FROM main.metric WHERE 0;"
                        "CREATE TEMP TABLE t_hits AS SELECT * FROM main.hits WHERE 0");
        if (rc < 0) return rc;
        db->collecting = 1;
    }
    return sql_script(&db->sql, "DELETE FROM t; DELETE FROM t_phase; DELETE FROM t_sample;"
                                "DELETE FROM t_clocks; DELETE FROM t_metric; DELETE FROM t_hits");
}

int store_begin(struct store *db, const struct store_trial *t)
{
    int rc;

    store_abandon(db);
    if ((rc = collect(db)) < 0) return rc;
    rc = SQL_RUN(&db->sql,
                 "INSERT INTO t (run, identity, params, group_identity, dataset_name,"
                 " dataset_identity, elem, n, nq, d, \"index\", backend, device, storage, gpus,"
                 " replicas, float16, precomputed_tables, threads, seed, batch, nlist, k, nprobe,"
                 " started_unix_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
                 " ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)",
                 value_int(t->run), value_text(t->identity), value_text(or_json(t->params, "{}")),
                 value_text(t->group_identity), value_text(or_empty(t->dataset)),
                 value_text(or_empty(t->dataset_identity)), value_text(or_empty(t->dataset_elem)),
                 value_opt(t->n), value_opt(t->nq), value_opt(t->d), value_text(t->index),
                 value_text(t->backend), value_text(t->device), value_text(t->storage),
                 value_opt(t->gpus), value_opt(t->replicas), value_opt(t->float16),
                 value_opt(t->precomputed_tables), value_opt(t->threads), value_opt(t->seed),
                 value_opt(t->batch), value_opt(t->nlist), value_opt(t->k), value_opt(t->nprobe),
                 value_int(clock_unix_ns()));
    db->begun = rc == 0;
    return rc;
}

static int begun(const struct store *db)
{
    return db->begun ? 0 : fail(ERR_INVALID, "%s: no trial has begun", db->sql.path);
}

int store_phase(struct store *db, const char *name, int64_t wall_ns, int64_t device_ns,
                int64_t peak_host_bytes, int64_t peak_device_bytes, int cached)
{
    int rc = begun(db);

    if (rc < 0) return rc;
    return SQL_RUN(&db->sql,
                   "INSERT INTO t_phase (name, wall_ns, device_ns, peak_host_bytes,"
                   " peak_device_bytes, cached) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                   value_text(name), value_int(wall_ns), value_opt(device_ns),
                   value_opt(peak_host_bytes), value_opt(peak_device_bytes),
                   value_int(cached != 0));
}

int store_sample(struct store *db, const char *stage, int repeat, int64_t wall_ns,
                 int64_t device_ns)
{
    int rc = begun(db);

    if (rc < 0) return rc;
    return SQL_RUN(&db->sql,
                   "INSERT INTO t_sample (stage, repeat, wall_ns, device_ns)"
                   " VALUES (?1, ?2, ?3, ?4)",
                   value_text(stage), value_int(repeat), value_int(wall_ns), value_opt(device_ns));
}

int store_clocks(struct store *db, int sm_mhz, int memory_mhz, int power_mw, int temperature_c,
                 const char *events)
{
    int rc = begun(db);

    if (rc < 0) return rc;
    return SQL_RUN(&db->sql,
                   "INSERT INTO t_clocks (sm_mhz, memory_mhz, power_mw, temperature_c, events)"
                   " VALUES (?1, ?2, ?3, ?4, ?5)",
                   value_opt(sm_mhz), value_opt(memory_mhz), value_opt(power_mw),
                   value_opt(temperature_c), value_text(events));
}

int store_metric(struct store *db, const char *name, double value)
{
    int rc = begun(db);

    if (rc < 0) return rc;
    return SQL_RUN(&db->sql, "INSERT INTO t_metric (name, value) VALUES (?1, ?2)", value_text(name),
                   value_real(value));
}

int store_hits(struct store *db, const char *name, const uint16_t *hits, int64_t nq)
{
    unsigned char *bytes;
    int rc = begun(db);

    if (rc < 0) return rc;
    if (!(bytes = mem_new(nq, 2))) return ERR_NOMEM;
    for (int64_t i = 0; i < nq; i++) {
        bytes[2 * i] = (unsigned char)(hits[i] & 0xff);
        bytes[2 * i + 1] = (unsigned char)(hits[i] >> 8);
    }
    rc = SQL_RUN(&db->sql, "INSERT INTO t_hits (name, nq, counts) VALUES (?1, ?2, ?3)",
                 value_text(name), value_int(nq), value_blob(bytes, 2 * nq));
    mem_free(bytes);
    return rc;
}

static int already_skipped(struct sql *c)
{
    int64_t one;

    return sql_get_int(c, &one,
                       "SELECT 1 FROM trial, t WHERE trial.run = t.run AND"
                       " trial.identity = t.identity AND trial.status = 'skipped' LIMIT 1",
                       NULL, 0);
}

/* Copies what was collected; the caller holds the transaction. */
static int copy(struct sql *c, const char *status, const char *reason, const char *flags)
{
    static const char *const parts[] = {
        ("INSERT INTO phase (trial, name, wall_ns, device_ns, peak_host_bytes, peak_device_bytes,"
         " cached) SELECT ?1, name, wall_ns, device_ns, peak_host_bytes, peak_device_bytes, cached"
         " FROM t_phase ORDER BY rowid"),
        ("INSERT INTO sample (trial, stage, repeat, wall_ns, device_ns)"
         " SELECT ?1, stage, repeat, wall_ns, device_ns FROM t_sample"),
        ("INSERT INTO clocks (trial, sm_mhz, memory_mhz, power_mw, temperature_c, events)"
         " SELECT ?1, sm_mhz, memory_mhz, power_mw, temperature_c, events FROM t_clocks"),
        "INSERT INTO metric (trial, name, value) SELECT ?1, name, value FROM t_metric",
        "INSERT INTO hits (trial, name, nq, counts) SELECT ?1, name, nq, counts FROM t_hits",
    };
    struct value trial;
    int rc;

    rc = sql_script(c, "INSERT OR IGNORE INTO dataset (name, identity, elem)"
                       " SELECT dataset_name, dataset_identity, elem FROM t");
    if (rc < 0) return rc;
    rc = SQL_RUN(c,
                 "INSERT INTO trial (run, dataset, identity, attempt, group_identity, params, n,"
                 " nq, d, \"index\", backend, device, storage, gpus, replicas, float16,"
                 " precomputed_tables, threads, seed, batch, nlist, k, nprobe, status, reason,"
                 " flags, started_unix_ns, ended_unix_ns) SELECT run, dataset.id, t.identity,"
                 " (SELECT coalesce(max(attempt), 0) + 1 FROM trial"
                 "  WHERE trial.identity = t.identity),"
                 " group_identity, params, n, nq, d, \"index\", backend, device, storage, gpus,"
                 " replicas, float16, precomputed_tables, threads, seed, batch, nlist, k, nprobe,"
                 " ?1, ?2, ?3, started_unix_ns, ?4 FROM t JOIN dataset ON"
                 " dataset.name = t.dataset_name AND dataset.identity = t.dataset_identity AND"
                 " dataset.elem = t.elem",
                 value_text(status), value_text(reason), value_text(flags),
                 value_int(clock_unix_ns()));
    trial = value_int(sqlite3_last_insert_rowid(c->handle));
    for (size_t i = 0; rc == 0 && i < sizeof parts / sizeof *parts; i++)
        rc = sql_run(c, parts[i], &trial, 1);
    return rc;
}

int store_end(struct store *db, enum store_status status, const char *reason, const char *flags)
{
    static const char *const names[] = {"ok", "failed", "skipped", "timeout", "oom", "interrupted"};
    struct sql *c = &db->sql;
    int rc;

    if ((rc = begun(db)) < 0) return rc;
    if ((rc = begin(c)) < 0) goto out;
    if (status == STATUS_SKIPPED) rc = already_skipped(c);
    if (rc == 0) rc = copy(c, names[status], reason, flags);
    rc = end(c, rc);
out:
    store_abandon(db);
    return rc;
}

void store_abandon(struct store *db)
{
    db->begun = 0; /* the next begin empties the tables */
}

/* ------------------------------------------------------------------- finding */

/* The latest ok trial of identity on run's machine and software, whichever run it was of. */
static const char latest_ok[] =
    "SELECT max(trial.id) FROM trial JOIN run r ON r.id = trial.run"
    " JOIN machine m ON m.id = r.machine JOIN software s ON s.id = r.software"
    " WHERE trial.identity = ?2 AND trial.status = 'ok' AND m.fingerprint ="
    " (SELECT fingerprint FROM machine JOIN run ON run.machine = machine.id WHERE run.id = ?1)"
    " AND s.identity ="
    " (SELECT identity FROM software JOIN run ON run.software = software.id WHERE run.id = ?1)";

int store_finished(struct store *db, int64_t run, const char *identity)
{
    struct value key[] = {value_int(run), value_text(identity)};
    int64_t trial = 0;
    int rc = sql_get_int(&db->sql, &trial, latest_ok, key, 2);

    if (rc <= 0) return rc;
    rc = SQL_RUN(&db->sql,
                 "INSERT OR IGNORE INTO reuse (run, trial) SELECT ?1, id FROM trial"
                 " WHERE id = ?2 AND run <> ?1",
                 value_int(run), value_int(trial));
    return rc < 0 ? rc : 1;
}

int store_latest_run(struct store *db, int64_t *run)
{
    *run = 0;
    return sql_get_int(
        &db->sql, run,
        "SELECT ifnull(max(run), 0) FROM (SELECT run FROM trial UNION ALL SELECT run FROM reuse)",
        NULL, 0);
}

int store_last_metric(struct store *db, int64_t run, const char *identity, const char *name,
                      double *value)
{
    struct value key[] = {value_int(run), value_text(identity)}, what[2];
    sqlite3_stmt *st = NULL;
    int64_t trial = 0;
    int rc = sql_get_int(&db->sql, &trial, latest_ok, key, 2);

    if (rc <= 0) return rc;
    what[0] = value_int(trial);
    what[1] = value_text(name);
    rc = sql_query(&st, &db->sql, "SELECT value FROM metric WHERE trial = ?1 AND name = ?2", what,
                   2);
    if (rc == 0 && (rc = sql_step(&db->sql, st)) > 0)
        *value = sqlite3_column_type(st, 0) == SQLITE_NULL ? NAN : sqlite3_column_double(st, 0);
    sql_done(st);
    return rc;
}

int store_last_repeats(struct store *db, int64_t run, const char *identity, int64_t *n)
{
    struct value key[] = {value_int(run), value_text(identity)}, what;
    int64_t trial = 0;
    int rc = sql_get_int(&db->sql, &trial, latest_ok, key, 2);

    if (rc <= 0) return rc;
    what = value_int(trial);
    return sql_get_int(
        &db->sql, n, "SELECT count(*) FROM sample WHERE trial = ?1 AND stage = 'search'", &what, 1);
}

int store_check(struct store *db)
{
    struct sql *c = &db->sql;
    sqlite3_stmt *st = NULL;
    int rc;

    if ((rc = sql_query(&st, c, "PRAGMA integrity_check(1)", NULL, 0)) < 0) return rc;
    if ((rc = sql_step(c, st)) > 0 && strcmp(column(st, 0), "ok"))
        rc = fail(ERR_FORMAT, "%s: the database is damaged: %s", c->path, column(st, 0));
    sql_done(st);
    if (rc < 0) return rc;

    if ((rc = sql_query(&st, c, "PRAGMA foreign_key_check", NULL, 0)) < 0) return rc;
    if ((rc = sql_step(c, st)) > 0)
        rc = fail(ERR_FORMAT, "%s: row %lld of table %s refers to a row that is not there", c->path,
                  (long long)sqlite3_column_int64(st, 1), column(st, 0));
    sql_done(st);
    return rc;
}
