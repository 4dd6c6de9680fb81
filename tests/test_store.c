#include "tests/testing.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "results/migrate.h"
#include "results/sql.h"
#include "results/store.h"
#include "tests/fake.h"

/* A path in the test's folder that nothing is at yet. */
static const char *fresh(void)
{
    static char path[600];
    static int count;

    snprintf(path, sizeof path, "%s/sub/%d.db", testing_tmpdir(), count++);
    return path;
}

static struct store *open_fresh(void)
{
    struct store *db = NULL;

    CHECK_OK(store_open(&db, fresh()));
    return db;
}

static int64_t count(struct store *db, const char *select)
{
    int64_t n = 0;

    CHECK_OK(sql_get_int(store_sql(db), &n, select, NULL, 0));
    return n;
}

static void test_store__a_trial_is_kept_with_all_that_belongs_to_it(void **state)
{
    struct store *db = open_fresh();
    int64_t run = fake_run(db);
    struct store_trial t = fake_trial(run, "IVF1024,Flat", 1, 4);
    double value = 0;

    (void)state;
    CHECK_OK(fake_store(db, &t, STATUS_OK));
    CHECK_OK(store_run_end(db, run, 0));
    assert_int_equal(count(db, "SELECT count(*) FROM trial WHERE attempt = 1 AND nprobe = 4 AND"
                               " status = 'ok' AND ended_unix_ns >= started_unix_ns"),
                     1);
    assert_int_equal(count(db, "SELECT count(*) FROM sample"), FAKE_REPEATS);
    assert_int_equal(count(db, "SELECT count(*) FROM sample WHERE device_ns IS NULL"),
                     FAKE_REPEATS);
    assert_int_equal(count(db, "SELECT count(*) FROM metric"), FAKE_METRICS);
    assert_int_equal(count(db, "SELECT sum(wall_ns) FROM phase"), 3750000000);
    assert_int_equal(count(db, "SELECT hex(substr(counts, 21, 2)) = '0A00' FROM hits"), 1);
    assert_int_equal(count(db, "SELECT exit = 0 AND ended_unix_ns >= started_unix_ns FROM run"), 1);
    assert_int_equal(store_last_metric(db, run, t.identity, "recall_1", &value), 1);
    assert_true(value > 0.5 && value < 1);
    assert_int_equal(store_last_metric(db, run, t.identity, "nothing", &value), 0);
    CHECK_OK(store_check(db));
    store_close(db);
}

static void test_store__nothing_is_visible_before_the_end_nor_after_abandon(void **state)
{
    struct store *db = open_fresh(), *other = NULL;
    struct store_trial t = fake_trial(fake_run(db), "IVF1024,Flat", 1, 4);

    (void)state;
    CHECK_OK(store_open(&other, store_sql(db)->path));
    CHECK_OK(store_begin(db, &t));
    CHECK_OK(store_sample(db, "search", 0, 1, -1));
    assert_int_equal(count(other, "SELECT count(*) FROM trial"), 0);
    CHECK_OK(fake_run(other)); /* and nobody is locked out meanwhile */
    store_abandon(db);
    assert_int_equal(count(other, "SELECT count(*) FROM trial"), 0);
    CHECK_FAILS(ERR_INVALID, "no trial has begun", store_sample(db, "search", 1, 1, -1));
    CHECK_FAILS(ERR_INVALID, "no trial has begun", store_end(db, STATUS_OK, NULL, NULL));
    CHECK_OK(store_begin(db, &t));
    CHECK_OK(store_end(db, STATUS_OK, NULL, NULL));
    assert_int_equal(count(other, "SELECT count(*) FROM sample"), 0); /* the abandoned one's */
    assert_int_equal(count(other, "SELECT count(*) FROM trial"), 1);
    store_close(other);
    store_close(db);
}

static void test_store__a_rerun_is_a_new_row_with_the_next_attempt(void **state)
{
    struct store *db = open_fresh();
    struct store_trial t = fake_trial(fake_run(db), "IVF1024,Flat", 1, 4);

    (void)state;
    CHECK_OK(fake_store(db, &t, STATUS_FAILED));
    CHECK_OK(fake_store(db, &t, STATUS_OK));
    CHECK_OK(fake_store(db, &t, STATUS_INTERRUPTED));
    assert_int_equal(count(db, "SELECT count(*) FROM trial"), 3);
    assert_int_equal(count(db, "SELECT attempt FROM trial WHERE status = 'interrupted'"), 3);
    store_close(db);
}

static void test_store__finished_means_ok_on_the_same_machine_and_software(void **state)
{
    struct store *db = open_fresh();
    int64_t first = fake_run(db), same = fake_run(db);
    int64_t machine = fake_run_as(db, NULL, "m2", NULL),
            software = fake_run_as(db, NULL, NULL, "s2");
    struct store_trial t = fake_trial(first, "IVF1024,Flat", 1, 4);

    (void)state;
    CHECK_OK(fake_store(db, &t, STATUS_FAILED));
    assert_int_equal(store_finished(db, first, t.identity), 0);
    CHECK_OK(fake_store(db, &t, STATUS_OK));
    assert_int_equal(store_finished(db, first, t.identity), 1);
    assert_int_equal(store_finished(db, same, t.identity), 1);
    assert_int_equal(store_finished(db, same, "other"), 0);
    assert_int_equal(store_finished(db, machine, t.identity), 0);
    assert_int_equal(store_finished(db, software, t.identity), 0);
    assert_int_equal(store_finished(db, same, t.identity), 1);
    assert_int_equal(count(db, "SELECT count(*) FROM reuse"), 1); /* same's, once */
    store_close(db);
}

static void test_store__a_skipped_trial_is_noted_once_a_run(void **state)
{
    struct store *db = open_fresh();
    struct store_trial t = fake_trial(fake_run(db), "IVF1024,Flat", 1, 4);

    (void)state;
    CHECK_OK(fake_store(db, &t, STATUS_SKIPPED));
    CHECK_OK(fake_store(db, &t, STATUS_SKIPPED));
    assert_int_equal(count(db, "SELECT count(*) FROM trial"), 1);
    t.run = fake_run(db);
    CHECK_OK(fake_store(db, &t, STATUS_SKIPPED));
    assert_int_equal(count(db, "SELECT count(*) FROM trial"), 2);
    store_close(db);
}

static void test_store__what_does_not_apply_is_null_and_nan_is_not_a_number(void **state)
{
    struct store *db = open_fresh();
    int64_t run = fake_run(db);
    struct store_trial t = {.run = run,
                            .identity = "x",
                            .n = -1,
                            .nq = -1,
                            .d = -1,
                            .gpus = -1,
                            .replicas = -1,
                            .float16 = -1,
                            .precomputed_tables = -1,
                            .threads = -1,
                            .seed = -1,
                            .batch = -1,
                            .nlist = -1,
                            .k = -1,
                            .nprobe = -1};
    double value = 0;

    (void)state;
    CHECK_OK(store_begin(db, &t));
    CHECK_OK(store_metric(db, "recall_1", NAN));
    CHECK_OK(store_end(db, STATUS_OK, NULL, NULL));
    assert_int_equal(count(db,
                           "SELECT count(*) FROM trial WHERE n IS NULL AND \"index\" IS NULL AND"
                           " seed IS NULL AND reason IS NULL"),
                     1);
    assert_int_equal(store_last_metric(db, run, "x", "recall_1", &value), 1);
    assert_true(isnan(value));
    store_close(db);
}

static void test_store__wrong_rows_are_refused_whole(void **state)
{
    struct store *db = open_fresh();
    struct store_trial t = fake_trial(12345, "IVF1024,Flat", 1, 4);

    (void)state;
    CHECK_FAILS(ERR_INVALID, "FOREIGN KEY", fake_store(db, &t, STATUS_OK));
    t.run = fake_run(db);
    CHECK_OK(store_begin(db, &t));
    CHECK_OK(store_metric(db, "recall_1", 0.5));
    CHECK_OK(store_metric(db, "recall_1", 0.6));
    CHECK_FAILS(ERR_INVALID, "metric", store_end(db, STATUS_OK, NULL, NULL));
    assert_int_equal(count(db, "SELECT count(*) FROM trial"), 0);
    t.params = "{not json";
    CHECK_FAILS(ERR_INVALID, "json_valid", fake_store(db, &t, STATUS_OK));
    store_close(db);
}

static int see_spec(void *arg, const struct store_run *run, int64_t started_unix_ns)
{
    assert_string_equal(run->spec_name, "fake");
    assert_string_equal(run->spec_set, "[\"search.k=100\"]");
    assert_string_equal(run->machine.fingerprint, "m1");
    assert_string_equal(run->software.identity, "s1");
    assert_true(started_unix_ns > 0);
    *(int *)arg += 1;
    return 0;
}

static void test_store__a_runs_facts_come_back(void **state)
{
    struct store *db = open_fresh();
    int seen = 0;

    (void)state;
    CHECK_OK(store_run_see(db, fake_run(db), see_spec, &seen));
    assert_int_equal(seen, 1);
    CHECK_FAILS(ERR_INVALID, "no run 99", store_run_see(db, 99, see_spec, &seen));
    store_close(db);
}

/* ------------------------------------------------------------- kill and faults */

/* Every trial that is there has all its parts. */
static void check_whole(struct store *db)
{
    CHECK_OK(store_check(db));
    assert_int_equal(count(db, "SELECT count(*) FROM trial WHERE status = 'ok' AND ("
                               "(SELECT count(*) FROM sample WHERE trial = trial.id) <> 5 OR "
                               "(SELECT count(*) FROM metric WHERE trial = trial.id) <> 6 OR "
                               "(SELECT count(*) FROM phase WHERE trial = trial.id) <> 2 OR "
                               "(SELECT count(*) FROM hits WHERE trial = trial.id) <> 1)"),
                     0);
}

/* In a child: stores trial after trial, and says so by a byte for each, until it is killed. */
static void write_until_killed(const char *path, int say)
{
    struct store *db;
    int64_t run;

    if (store_open(&db, path) < 0) _exit(1);
    run = fake_run(db);
    for (int i = 0;; i++) {
        struct store_trial t = fake_trial(run, "IVF1024,Flat", i, (int)getpid());

        if (fake_store(db, &t, STATUS_OK) < 0 || write(say, "+", 1) != 1) _exit(2);
    }
}

/* Kills a writer after its first trial and us microseconds; the trials that it said it stored. */
static int64_t kill_a_writer(const char *path, long us)
{
    struct timespec wait = {0, us * 1000};
    char said[4096];
    int64_t total = 0;
    ssize_t got;
    pid_t child;
    int pipes[2], how;

    assert_int_equal(pipe(pipes), 0);
    if (!(child = fork())) write_until_killed(path, pipes[1]);
    close(pipes[1]);
    total = read(pipes[0], said, 1);
    assert_int_equal(total, 1);
    nanosleep(&wait, NULL);
    kill(child, SIGKILL);
    while ((got = read(pipes[0], said, sizeof said)) > 0)
        total += got;
    close(pipes[0]);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how));
    return total;
}

static void killed_writers_lose_nothing(void)
{
    const char *path = fresh();
    struct store *db = NULL;
    int64_t said = 0, there;

    srand(7);
    for (int i = 0; i < 8; i++) {
        said += kill_a_writer(path, rand() % 60000);
        CHECK_OK(store_open(&db, path));
        check_whole(db);
        there = count(db, "SELECT count(*) FROM trial");
        assert_in_range(there, said, said + i + 1); /* each kill may hide one "+" */
        store_close(db);
    }
}

static void test_store__kill_9_loses_no_finished_trial(void **state)
{
    (void)state;
    killed_writers_lose_nothing();
}

static void test_store__kill_9_loses_nothing_without_a_write_ahead_log_either(void **state)
{
    (void)state;
    setenv("IVFBENCH_JOURNAL", "delete", 1);
    killed_writers_lose_nothing();
    unsetenv("IVFBENCH_JOURNAL");
}

static void test_store__a_write_ahead_log_is_used_where_it_works(void **state)
{
    struct store *db = open_fresh();

    (void)state;
    assert_int_equal(count(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    assert_int_equal(count(db, "SELECT synchronous FROM pragma_synchronous"), 1);
    store_close(db);
    setenv("IVFBENCH_JOURNAL", "delete", 1);
    db = open_fresh();
    unsetenv("IVFBENCH_JOURNAL");
    assert_int_equal(count(db, "SELECT journal_mode = 'delete' FROM pragma_journal_mode"), 1);
    assert_int_equal(count(db, "SELECT synchronous FROM pragma_synchronous"), 2);
    store_close(db);
}

/* A limit on the size of files stands for a full disk; it cannot be taken back, so: a child. */
static void fill_up(struct store *db, int64_t run)
{
    struct rlimit limit = {1 << 20, 1 << 20};
    struct store_trial t;
    int rc = 0;

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; rc == 0 && i < 10000; i++) {
        t = fake_trial(run, "IVF1024,Flat", i, 4);
        rc = fake_store(db, &t, STATUS_OK);
    }
    if (rc != ERR_IO) _exit(1);
    if (!strstr(fail_text(), "disk")) _exit(2);
    _exit(42);
}

static void test_store__a_full_disk_is_reported_and_harms_nothing(void **state)
{
    const char *path = fresh();
    struct store *db = NULL;
    pid_t child;
    int how;

    (void)state;
    if (!(child = fork())) {
        if (store_open(&db, path) < 0) _exit(3);
        fill_up(db, fake_run(db));
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 42);
    CHECK_OK(store_open(&db, path));
    check_whole(db);
    assert_true(count(db, "SELECT count(*) FROM trial") > 3);
    store_close(db);
}

static void test_store__a_locked_database_says_so_and_the_next_try_works(void **state)
{
    struct store *db = open_fresh();
    struct store_trial t = fake_trial(fake_run(db), "IVF1024,Flat", 1, 4);
    sqlite3 *other = NULL;

    (void)state;
    store_set_patience(db, 20);
    assert_int_equal(sqlite3_open(store_sql(db)->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    CHECK_FAILS(ERR_IO, "locked by another process", fake_store(db, &t, STATUS_OK));
    sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
    CHECK_OK(fake_store(db, &t, STATUS_OK));
    sqlite3_close(other);
    store_close(db);
}

static void test_store__an_unwritable_folder_is_named_and_can_be_read(void **state)
{
    char path[700], folder[600];
    struct store *db = NULL;

    (void)state;
    if (geteuid() == 0) skip(); /* root may write anywhere */
    snprintf(folder, sizeof folder, "%s/closed", testing_tmpdir());
    snprintf(path, sizeof path, "%s/x.db", folder);
    CHECK_OK(store_open(&db, path));
    fake_sweep(db);
    store_close(db);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(chmod(folder, 0555), 0);
    CHECK_FAILS(ERR_IO, "x.db", store_open(&db, path));
    CHECK_OK(store_open_readonly(&db, path));
    assert_true(count(db, "SELECT count(*) FROM trial") > 50);
    store_close(db);
    assert_int_equal(chmod(folder, 0755), 0);
}

/* -------------------------------------------------------------------- opening */

static void test_store__garbage_and_other_peoples_databases_are_left_alone(void **state)
{
    const char *path = fresh();
    struct store *db = NULL;
    sqlite3 *other = NULL;
    char *back = NULL;

    (void)state;
    CHECK_OK(file_mkdirs_above(path));
    CHECK_OK(file_put(path, "these are my notes, not a database; please do not write over them"));
    CHECK_FAILS(ERR_FORMAT, "not a database", store_open(&db, path));
    CHECK_OK(file_read_all(&back, NULL, path, 1000));
    assert_string_equal(back, "these are my notes, not a database; please do not write over them");
    mem_free(back);

    path = fresh();
    CHECK_OK(file_put(path, "x")); /* to SQLite itself an empty one */
    CHECK_FAILS(ERR_FORMAT, "not a database", store_open(&db, path));
    CHECK_FAILS(ERR_FORMAT, "not a database", store_open_readonly(&db, path));
    CHECK_OK(file_read_all(&back, NULL, path, 1000));
    assert_string_equal(back, "x");
    mem_free(back);

    path = fresh();
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "CREATE TABLE mine (x)", NULL, NULL, NULL), SQLITE_OK);
    CHECK_FAILS(ERR_FORMAT, "not one of ivfbench", store_open(&db, path));
    sqlite3_close(other);
    CHECK_FAILS(ERR_IO, "directory", store_open(&db, testing_tmpdir()));
}

static void test_store__a_newer_version_is_refused_with_both_numbers(void **state)
{
    struct store *db = open_fresh(), *again = NULL;
    char path[600];

    (void)state;
    snprintf(path, sizeof path, "%s", store_sql(db)->path);
    CHECK_OK(sql_script(store_sql(db), "PRAGMA user_version = 99"));
    store_close(db);
    CHECK_FAILS(ERR_UNSUPPORTED, "version 99, this ivfbench knows up to 2",
                store_open(&again, path));
    CHECK_FAILS(ERR_UNSUPPORTED, "use a newer ivfbench", store_open_readonly(&again, path));
}

static void test_store__a_file_of_version_1_learns_of_clocks_and_keeps_its_trials(void **state)
{
    struct store *db = open_fresh();
    int64_t run = fake_run(db), trials = 0;
    struct store_trial old = fake_trial(run, "IVF1024,Flat", 1, 4),
                       new = fake_trial(run, "IVF1024,Flat", 1, 8);
    char path[600];

    (void)state;
    snprintf(path, sizeof path, "%s", store_sql(db)->path);
    CHECK_OK(fake_store(db, &old, STATUS_OK));
    CHECK_OK(sql_script(store_sql(db), "DROP TABLE clocks; PRAGMA user_version = 1"));
    store_close(db);
    CHECK_OK(store_open(&db, path));
    CHECK_OK(store_begin(db, &new));
    CHECK_OK(store_clocks(db, 1980, -1, 700000, 60, "power_cap"));
    CHECK_OK(store_end(db, STATUS_OK, NULL, "throttled"));
    CHECK_OK(sql_get_int(store_sql(db), &trials,
                         "SELECT count(*) FROM trial LEFT JOIN clocks ON trial = id WHERE"
                         " (nprobe = 4 AND trial IS NULL) OR (sm_mhz = 1980 AND memory_mhz IS NULL"
                         " AND events = 'power_cap')",
                         NULL, 0));
    assert_int_equal(trials, 2);
    store_close(db);
}

static void test_store__reading_what_is_not_there_says_how_to_make_it(void **state)
{
    struct store *db = NULL;

    (void)state;
    CHECK_FAILS(ERR_IO, "ivfbench run", store_open_readonly(&db, "/nowhere/results.db"));
    CHECK_FAILS(ERR_INVALID, "empty", store_open(&db, ""));
}

static void test_store__reading_changes_nothing(void **state)
{
    struct store *db = open_fresh(), *reader = NULL;
    struct store_trial t = fake_trial(fake_run(db), "IVF1024,Flat", 1, 4);

    (void)state;
    CHECK_OK(store_open_readonly(&reader, store_sql(db)->path));
    CHECK_FAILS(ERR_IO, "may not be written", fake_store(reader, &t, STATUS_OK));
    store_close(reader);
    store_close(db);
}

static void test_store__the_last_reader_leaves_nothing_beside_the_file(void **state)
{
    struct store *db = open_fresh();
    char path[600], log[620];

    (void)state;
    snprintf(path, sizeof path, "%s", store_sql(db)->path);
    snprintf(log, sizeof log, "%s-wal", path);
    fake_sweep(db);
    store_close(db);
    CHECK_OK(store_open_readonly(&db, path));
    assert_true(count(db, "SELECT count(*) FROM trial") > 50);
    assert_int_equal(access(log, F_OK), 0); /* the log is in use */
    store_close(db);
    assert_int_not_equal(access(log, F_OK), 0);
}

static void test_store__migrations_go_forward_and_leave_a_backup(void **state)
{
    static const char v1[] = "\n-- migration 1\nCREATE TABLE a (x INTEGER) STRICT;\n";
    static const char v3[] = "\n-- migration 1\nCREATE TABLE a (x INTEGER) STRICT;\n"
                             "\n-- migration 2\nALTER TABLE a ADD COLUMN y INTEGER;\n"
                             "\n-- migration 3\nUPDATE a SET y = 2 * x;\n";
    static const char broken[] = "\n-- migration 1\n\n-- migration 2\n\n-- migration 3\n"
                                 "\n-- migration 4\nDELETE FROM a; NOT SQL;\n";
    char path[600], backup[620];
    struct sql c = {0};
    int64_t y = 0;

    (void)state;
    snprintf(path, sizeof path, "%s", fresh());
    snprintf(backup, sizeof backup, "%s.v1.bak", path);
    CHECK_OK(sql_open(&c, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    CHECK_OK(migrate(&c, v1));
    assert_int_not_equal(access(backup, F_OK), 0);
    CHECK_OK(sql_script(&c, "INSERT INTO a VALUES (21)"));
    CHECK_OK(migrate(&c, v3));
    assert_int_equal(migrate_version(&c, v3), 3);
    CHECK_OK(sql_get_int(&c, &y, "SELECT y FROM a", NULL, 0));
    assert_int_equal(y, 42);
    CHECK_FAILS(ERR_INVALID, "syntax error", migrate(&c, broken));
    assert_int_equal(migrate_version(&c, broken), 3); /* as if never tried */
    assert_int_equal(sql_get_int(&c, &y, "SELECT y FROM a", NULL, 0), 1);
    sql_close(&c);

    CHECK_OK(sql_open(&c, backup, SQLITE_OPEN_READONLY));
    assert_int_equal(migrate_version(&c, v3), 1);
    CHECK_OK(sql_get_int(&c, &y, "SELECT x FROM a", NULL, 0));
    assert_int_equal(y, 21);
    sql_close(&c);
}

static int open_and_close(void *arg)
{
    struct store *db = NULL;
    int rc = store_open(&db, arg);

    store_close(db);
    return rc;
}

static void test_store__opening_survives_every_failed_alloc(void **state)
{
    (void)state;
    assert_true(testing_every_failed_alloc(open_and_close, (void *)(uintptr_t)fresh()) > 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_store__a_trial_is_kept_with_all_that_belongs_to_it),
    cmocka_unit_test(test_store__nothing_is_visible_before_the_end_nor_after_abandon),
    cmocka_unit_test(test_store__a_rerun_is_a_new_row_with_the_next_attempt),
    cmocka_unit_test(test_store__finished_means_ok_on_the_same_machine_and_software),
    cmocka_unit_test(test_store__a_skipped_trial_is_noted_once_a_run),
    cmocka_unit_test(test_store__what_does_not_apply_is_null_and_nan_is_not_a_number),
    cmocka_unit_test(test_store__wrong_rows_are_refused_whole),
    cmocka_unit_test(test_store__a_runs_facts_come_back),
    cmocka_unit_test(test_store__kill_9_loses_no_finished_trial),
    cmocka_unit_test(test_store__kill_9_loses_nothing_without_a_write_ahead_log_either),
    cmocka_unit_test(test_store__a_write_ahead_log_is_used_where_it_works),
    cmocka_unit_test(test_store__a_full_disk_is_reported_and_harms_nothing),
    cmocka_unit_test(test_store__a_locked_database_says_so_and_the_next_try_works),
    cmocka_unit_test(test_store__an_unwritable_folder_is_named_and_can_be_read),
    cmocka_unit_test(test_store__garbage_and_other_peoples_databases_are_left_alone),
    cmocka_unit_test(test_store__a_newer_version_is_refused_with_both_numbers),
    cmocka_unit_test(test_store__a_file_of_version_1_learns_of_clocks_and_keeps_its_trials),
    cmocka_unit_test(test_store__reading_what_is_not_there_says_how_to_make_it),
    cmocka_unit_test(test_store__reading_changes_nothing),
    cmocka_unit_test(test_store__the_last_reader_leaves_nothing_beside_the_file),
    cmocka_unit_test(test_store__migrations_go_forward_and_leave_a_backup),
    cmocka_unit_test(test_store__opening_survives_every_failed_alloc),
};

TESTING_MAIN(tests)
