/* What dies, and what is left: kill -9 and signals in every phase, end to end. */
#include "tests/testing.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness/worker.h"
#include "results/store.h"
#include "tests/program.h"

/* ---- the lines ---- */

struct heard {
    char text[8192];
};

static void on_stage(void *arg, const char *stage, int64_t done, int64_t total)
{
    struct heard *h = arg;

    snprintf(h->text, sizeof h->text, "stage %s %lld %lld", stage, (long long)done,
             (long long)total);
}

static void on_begin(void *arg, int trial)
{
    struct heard *h = arg;

    snprintf(h->text, sizeof h->text, "begin %d", trial);
}

static void on_end(void *arg, int trial, enum store_status status, const char *text)
{
    struct heard *h = arg;

    snprintf(h->text, sizeof h->text, "end %d %d %s", trial, (int)status, text);
}

static void on_warn(void *arg, const char *text)
{
    struct heard *h = arg;

    snprintf(h->text, sizeof h->text, "warn %s", text);
}

/* A worker's end of a pipe, and what its parent hears at the other. */
struct wire {
    int fd[2];
    struct worker_pipe pipe;
    struct run_watch tell, hear;
    struct heard heard;
    struct worker_end end;
};

static void wire_open(struct wire *w)
{
    memset(w, 0, sizeof *w);
    assert_int_equal(pipe2(w->fd, O_CLOEXEC), 0);
    w->pipe.fd = w->fd[1];
    w->tell = worker_watch(&w->pipe);
    w->hear = (struct run_watch){on_stage, on_begin, on_end, on_warn, &w->heard};
}

static const char *wire_hear(struct wire *w)
{
    char line[8192];
    ssize_t n = read(w->fd[0], line, sizeof line - 1);

    assert_true(n > 0 && line[n - 1] == '\n');
    line[n - 1] = '\0';
    assert_null(strchr(line, '\n'));
    CHECK_OK(worker_hear(line, &w->hear, &w->end));
    return w->heard.text;
}

static void wire_close(struct wire *w)
{
    close(w->fd[0]);
    close(w->fd[1]);
}

static void test_worker__what_is_told_is_heard(void **state)
{
    struct wire w;
    (void)state;

    wire_open(&w);
    w.tell.begin(w.tell.arg, 7);
    assert_string_equal(wire_hear(&w), "begin 7");
    w.tell.end(w.tell.arg, 7, STATUS_OOM, "no  room left");
    assert_string_equal(wire_hear(&w), "end 7 4 no  room left");
    w.tell.stage(w.tell.arg, "k-means step", 3, 25);
    assert_string_equal(wire_hear(&w), "stage k-means step 3 25");
    w.tell.warn(w.tell.arg, "cache: odd");
    assert_string_equal(wire_hear(&w), "warn cache: odd");
    worker_tell_fault(&w.pipe, "disk full");
    wire_hear(&w);
    assert_string_equal(w.end.fault, "disk full");
    wire_close(&w);
}

static void test_worker__a_text_of_any_kind_is_one_line(void **state)
{
    char text[6000];
    struct wire w;
    (void)state;

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    text[10] = '\n';
    wire_open(&w);
    w.tell.end(w.tell.arg, 1, STATUS_FAILED, text);
    assert_non_null(strstr(wire_hear(&w), "xxxxxxxxxx xxx"));
    w.tell.end(w.tell.arg, 2, STATUS_FAILED, "");
    assert_string_equal(wire_hear(&w), "end 2 1 ");
    wire_close(&w);
}

static void test_worker__stages_are_not_told_faster_than_anybody_looks(void **state)
{
    struct wire w;
    int told = 0;
    char c;
    (void)state;

    wire_open(&w);
    for (int i = 0; i < 1000; i++)
        w.tell.stage(w.tell.arg, "add", i, 100000);
    w.tell.stage(w.tell.arg, "add", 100000, 100000); /* the end always */
    close(w.fd[1]);
    while (read(w.fd[0], &c, 1) == 1)
        told += c == '\n';
    close(w.fd[0]);
    assert_true(told >= 2 && told < 20);
}

static void test_worker__an_unknown_line_is_refused(void **state)
{
    struct wire w;
    char line[] = "hello there";
    (void)state;

    wire_open(&w);
    CHECK_FAILS(ERR_FORMAT, "hello", worker_hear(line, &w.hear, &w.end));
    wire_close(&w);
}

/* ---- the processes ---- */

enum { TRIALS = 8 };

/* About two seconds of work in which every phase can be met. */
static const char *long_spec(void)
{
    return program_spec("long.yaml",
                        "version: 1\n"
                        "name: long\n"
                        "dataset: {name: synthetic, n: 8000, d: 16, nq: 200}\n"
                        "index: [\"IVF16,Flat\", \"IVF16,PQ4\"]\n"
                        "cache: false\n"
                        "threads: 1\n"
                        "search: {k: 10, nprobe: [1, 2, 4, 16], warmup: 0, repeat: 60}\n");
}

/* The store is sound, and no trial has been finished twice. Returns how many are finished. */
static int64_t check_store(const char *path)
{
    struct store *db = NULL;
    int64_t runs;

    if (access(path, F_OK) != 0) return 0; /* killed before it was made */
    CHECK_OK(store_open(&db, path));
    CHECK_OK(store_check(db));
    store_close(db);
    runs = program_count(path, "SELECT count(*) FROM (SELECT 1 FROM trial WHERE status = 'ok'"
                               " GROUP BY identity HAVING count(*) > 1)");
    assert_int_equal(runs, 0);
    return program_count(path, "SELECT count(*) FROM trial WHERE status = 'ok'");
}

static void finish(const char *db)
{
    assert_int_equal(program("run", long_spec(), "--db", db), 0);
    assert_int_equal(check_store(db), TRIALS);
}

static int random_ms(void)
{
    static unsigned state;

    if (!state) state = testing_seed();
    state = state * 1664525u + 1013904223u;
    return 50 + (int)((state >> 16) % 1450);
}

static void test_worker__a_killed_parent_costs_nothing_finished(void **state)
{
    const char *db = program_file("parent.db");
    int64_t before = 0;
    (void)state;

    for (int i = 0; i < 6 && before < TRIALS; i++) {
        pid_t pid = program_start("run", long_spec(), "--db", db, NULL);
        int64_t after;

        program_sleep_ms(random_ms());
        kill(pid, SIGKILL);
        program_wait(pid);
        program_await_worker(db, 0); /* it goes with its parent */
        after = check_store(db);
        assert_true(after >= before);
        before = after;
    }
    finish(db);
}

static void test_worker__two_runs_at_once_are_told(void **state)
{
    const char *db = program_file("two.db");
    /* quiet: it has the file of the other's words open, too */
    pid_t pid = program_start("run", long_spec(), "--db", db, "--quiet", "--set",
                              "search.repeat=1000", NULL);
    (void)state;

    program_await_worker(db, 1);
    program("run", long_spec(), "--db", db, "--only", "*,PQ4");
    assert_non_null(strstr(program_err(), "another run uses"));
    kill(pid, SIGINT);
    program_wait(pid);
    assert_int_equal(program("run", long_spec(), "--db", db), 0);
    assert_null(strstr(program_err(), "another run uses"));
}

static void test_worker__a_killed_worker_costs_only_its_trial(void **state)
{
    const char *db = program_file("worker.db");
    pid_t pid = program_start("run", long_spec(), "--db", db, "--set", "search.repeat=200", NULL);
    int64_t failed;
    (void)state;

    for (int kills = 0; kills < 3; kills++) {
        pid_t worker = kills ? program_worker(db) : program_await_worker(db, 1);

        program_sleep_ms(random_ms() / 4);
        if (worker && program_worker(db) == worker) kill(worker, SIGKILL);
    }
    assert_int_equal(program_wait(pid), 1);
    assert_non_null(strstr(program_err(), "killed"));
    failed = program_count(db, "SELECT count(*) FROM trial WHERE status = 'failed' AND"
                               " reason LIKE '%killed%'");
    assert_true(failed > 0);
    assert_int_equal(check_store(db) + failed, TRIALS);
    assert_int_equal(program("run", long_spec(), "--db", db, "--rerun-failed"), 0);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial"), TRIALS + failed);
    assert_int_equal(check_store(db), TRIALS);
    assert_int_equal(program_count(db, "SELECT count(*) FROM reuse WHERE run = 2"),
                     TRIALS - failed);
}

static void test_worker__a_worker_killed_while_building_fails_its_group(void **state)
{
    const char *db = program_file("building.db");
    pid_t pid = program_start("run", long_spec(), "--db", db, NULL);
    (void)state;

    kill(program_await_worker(db, 1), SIGKILL);
    assert_int_equal(program_wait(pid), 1);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE status = 'failed' AND"
                                       " \"index\" = 'IVF16,Flat'"),
                     TRIALS / 2);
    assert_int_equal(check_store(db), TRIALS / 2);
}

/* Interrupts a run with sig after ms; its exit code. */
static int interrupt(const char *db, int sig, int ms)
{
    pid_t pid = program_start("run", long_spec(), "--db", db, "--set", "search.repeat=1000", NULL);

    program_await_worker(db, 1);
    program_sleep_ms(ms);
    kill(pid, sig);
    return program_wait(pid);
}

static void test_worker__an_interrupt_is_recorded_and_gone_on_from(void **state)
{
    const char *db = program_file("interrupt.db");
    int64_t finished;
    (void)state;

    assert_int_equal(interrupt(db, SIGINT, 700), 130);
    assert_non_null(strstr(program_err(), "To go on: ivfbench run"));
    assert_int_equal(program_worker(db), 0);
    finished = check_store(db);
    assert_true(finished < TRIALS);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE status = 'interrupted'"),
                     1);
    assert_int_equal(program_count(db, "SELECT exit FROM run"), 130);
    finish(db);
}

static void test_worker__an_interrupt_while_building_is_heard(void **state)
{
    const char *db = program_file("early.db");
    (void)state;

    assert_int_equal(interrupt(db, SIGINT, 20), 130);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE status = 'interrupted'"),
                     1);
    finish(db);
}

static void test_worker__termination_is_an_interrupt_of_its_own_code(void **state)
{
    const char *db = program_file("term.db");
    (void)state;

    assert_int_equal(interrupt(db, SIGTERM, 300), 143);
    assert_int_equal(interrupt(db, SIGHUP, 300), 129);
    assert_int_equal(program_worker(db), 0);
    assert_int_equal(program_count(db, "SELECT exit FROM run WHERE id = 1"), 143);
    assert_int_equal(program_count(db, "SELECT exit FROM run WHERE id = 2"), 129);
    finish(db);
}

/* Waits until process pid catches SIGINT: before that, one would kill even a stopped process. */
static void await_handler(pid_t pid)
{
    unsigned long long caught = 0;
    char path[64], line[256];

    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    for (int ms = 0; ms < 60000 && !(caught & 1u << (SIGINT - 1)); ms += 5) {
        FILE *f = fopen(path, "r");

        assert_non_null(f);
        while (fgets(line, sizeof line, f))
            if (strncmp(line, "SigCgt:", 7) == 0) caught = strtoull(line + 7, NULL, 16);
        fclose(f);
        program_sleep_ms(5);
    }
    assert_true(caught & 1u << (SIGINT - 1));
}

static void test_worker__a_second_interrupt_does_not_wait(void **state)
{
    const char *db = program_file("second.db");
    pid_t pid = program_start("run", long_spec(), "--db", db, "--set", "search.repeat=1000", NULL);
    pid_t worker = program_await_worker(db, 1);
    (void)state;

    await_handler(worker);
    kill(worker, SIGSTOP); /* one that does not listen */
    kill(pid, SIGINT);
    program_sleep_ms(300);
    assert_int_equal(program_worker(db), worker);
    kill(pid, SIGINT);
    assert_int_equal(program_wait(pid), 130);
    assert_int_equal(program_worker(db), 0);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE status = 'interrupted'"),
                     1);
}

static void test_worker__an_edited_spec_does_not_split_a_run(void **state)
{
    const char *db = program_file("edited.db");
    pid_t pid = program_start("run", long_spec(), "--db", db, NULL);
    (void)state;

    program_await_worker(db, 1);
    program_spec("long.yaml", "nonsense: [");
    assert_int_equal(program_wait(pid), 0);
    assert_int_equal(check_store(db), TRIALS);
}

/* n rows of 32 small floats. */
static void write_fvecs(const char *name, int n)
{
    const int32_t d = 32;
    FILE *f = fopen(program_file(name), "wb");
    float row[32];

    assert_non_null(f);
    srand(3);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < d; j++)
            row[j] = (float)(rand() % 256);
        fwrite(&d, sizeof d, 1, f);
        fwrite(row, sizeof row, 1, f);
    }
    fclose(f);
}

static void test_worker__data_cut_off_under_a_run_fails_what_was_left(void **state)
{
    const char *db = program_file("cut.db");
    const char *spec =
        program_spec("cut.yaml", "version: 1\n"
                                 "name: cut\n"
                                 "dataset: {name: cut, base: cut.fvecs, query: cutq.fvecs}\n"
                                 "index: [\"IVF16,Flat\", \"IVF16,PQ4\"]\n"
                                 "search: {k: 10, nprobe: [1, 4], warmup: 0, repeat: 3}\n");
    pid_t pid;
    (void)state;

    write_fvecs("cut.fvecs", 20000);
    write_fvecs("cutq.fvecs", 20);
    pid = program_start("run", spec, "--db", db, NULL);
    program_await_worker(db, 1);
    assert_int_equal(truncate(program_file("cut.fvecs"), 1000001), 0);
    assert_int_equal(program_wait(pid), 1);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE status = 'failed' AND"
                                       " \"index\" = 'IVF16,PQ4'"),
                     2);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial"), 4);
}

static void test_worker__is_not_started_by_hand(void **state)
{
    (void)state;
    assert_int_equal(program("worker"), 2);
    assert_non_null(strstr(program_err(), "not by hand"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_worker__what_is_told_is_heard),
    cmocka_unit_test(test_worker__a_text_of_any_kind_is_one_line),
    cmocka_unit_test(test_worker__stages_are_not_told_faster_than_anybody_looks),
    cmocka_unit_test(test_worker__an_unknown_line_is_refused),
    cmocka_unit_test(test_worker__a_killed_parent_costs_nothing_finished),
    cmocka_unit_test(test_worker__two_runs_at_once_are_told),
    cmocka_unit_test(test_worker__a_killed_worker_costs_only_its_trial),
    cmocka_unit_test(test_worker__a_worker_killed_while_building_fails_its_group),
    cmocka_unit_test(test_worker__an_interrupt_is_recorded_and_gone_on_from),
    cmocka_unit_test(test_worker__an_interrupt_while_building_is_heard),
    cmocka_unit_test(test_worker__termination_is_an_interrupt_of_its_own_code),
    cmocka_unit_test(test_worker__a_second_interrupt_does_not_wait),
    cmocka_unit_test(test_worker__an_edited_spec_does_not_split_a_run),
    cmocka_unit_test(test_worker__data_cut_off_under_a_run_fails_what_was_left),
    cmocka_unit_test(test_worker__is_not_started_by_hand),
};

TESTING_MAIN(tests)
