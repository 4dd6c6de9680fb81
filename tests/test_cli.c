/* The command line end to end: words, options, exit codes, streams. */
#include "tests/testing.h"

#include <fcntl.h>
#include <pty.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/cli.h"
#include "tests/program.h"

static const char tiny[] = "version: 1\n"
                           "name: tiny\n"
                           "dataset: {name: synthetic, n: 2000, d: 16, nq: 10}\n"
                           "index: \"IVF4,Flat\"\n"
                           "search: {k: 10, nprobe: [1, 4], warmup: 0, repeat: 3}\n";

static const char *tiny_spec(void)
{
    return program_spec("tiny.yaml", "%s", tiny);
}

/* ---- words and options ---- */

static void test_cli__options_take_their_values_in_both_forms(void **state)
{
    const char *db = NULL;
    struct cli_list set = {0}, words = {0};
    int64_t run = 0;
    int quiet = 0;
    const struct cli_option options[] = {
        {"--db",  CLI_STRING, &db},
        {"--set",    CLI_LIST, &set},
        {"--run", CLI_INT, &run},
        {"--quiet",   CLI_FLAG, &quiet},
        {0}
    };
    char *argv[] = {"run", "--db=a b", "one", "--set",     "x=1", "--set=y=2", "--run",
                    "7",   "--quiet",  "--",  "--not-one", "-",   NULL};
    (void)state;

    CHECK_OK(cli_parse(options, 12, argv, &words));
    assert_string_equal(db, "a b");
    assert_int_equal(set.count, 2);
    assert_string_equal(set.v[1], "y=2");
    assert_int_equal(run, 7);
    assert_int_equal(quiet, 1);
    assert_int_equal(words.count, 3);
    assert_string_equal(words.v[1], "--not-one");
    cli_list_clear(&set);
    cli_list_clear(&words);
}

/* What one argument (and perhaps another) is refused with. */
static void check_refused(const char *word, char *one, char *two)
{
    const char *db = NULL;
    struct cli_list words = {0};
    int64_t run = 0;
    int quiet = 0;
    const struct cli_option options[] = {
        {"--db",  CLI_STRING, &db},
        {"--run",    CLI_INT, &run},
        {"--quiet", CLI_FLAG, &quiet},
        {0  }
    };
    char *argv[] = {"run", one, two, NULL};

    CHECK_FAILS(ERR_INVALID, word, cli_parse(options, two ? 3 : 2, argv, &words));
    cli_list_clear(&words);
}

static void test_cli__faults_in_options_are_named(void **state)
{
    (void)state;
    check_refused("did you mean --quiet?", "--quite", NULL);
    check_refused("unknown option --nothing-like-it;", "--nothing-like-it", NULL);
    check_refused("--db wants a value", "--db", NULL);
    check_refused("--db is given twice", "--db=a", "--db=b");
    check_refused("--quiet takes no value", "--quiet=yes", NULL);
    check_refused("not \"7x\"", "--run", "7x");
    check_refused("not \"-1\"", "--run", "-1");
    check_refused("not \"99999999999999999999\"", "--run", "99999999999999999999");
}

static void test_cli__nearest_is_near(void **state)
{
    const char *const verbs[] = {"run", "plan", "report"};
    (void)state;

    assert_string_equal(cli_nearest("rnu", verbs, 3), "run");
    assert_string_equal(cli_nearest("reprot", verbs, 3), "report");
    assert_null(cli_nearest("xyzzy", verbs, 3));
    assert_null(cli_nearest("a-word-that-is-much-longer-than-any-verb-could-ever-be", verbs, 3));
}

static void test_cli__unknown_verb_names_the_nearest(void **state)
{
    (void)state;
    assert_int_equal(program("rnu"), 2);
    assert_non_null(strstr(program_err(), "did you mean run?"));
    assert_string_equal(program_out(), "");
}

static void test_cli__every_verb_has_help_of_a_screen_with_an_example(void **state)
{
    (void)state;
    for (int i = 0; cli_verb(i); i++) {
        int lines = 0;

        if (!cli_verb(i)->summary) continue; /* not for people */
        assert_int_equal(program(cli_verb(i)->name, "--help"), 0);
        assert_string_equal(program_out(), cli_verb(i)->help);
        assert_string_equal(program_err(), "");
        if (!strstr(program_out(), "Example: ivfbench")) fail_msg("%s", cli_verb(i)->name);
        for (const char *c = program_out(); *c; c++)
            lines += *c == '\n';
        assert_in_range(lines, 4, 24);
    }
}

static void test_cli__help_has_the_verbs_the_exit_codes_and_every_key(void **state)
{
    (void)state;
    assert_int_equal(program("help"), 0);
    assert_non_null(strstr(program_out(), "devices"));
    assert_non_null(strstr(program_out(), "Exit codes: 0 done"));
    assert_int_equal(program("help", "spec"), 0);
    assert_non_null(strstr(program_out(), "search.nprobe"));
    assert_int_equal(program("help", "plan"), 0);
    assert_non_null(strstr(program_out(), "Usage: ivfbench plan"));
    assert_int_equal(program("help", "nothing"), 2);
}

static void test_cli__version_and_devices_say_what_this_is(void **state)
{
    (void)state;
    assert_int_equal(program("version"), 0);
    assert_memory_equal(program_out(), "ivfbench ", 9);
    assert_non_null(strstr(program_out(), "\"openblas\""));
    assert_int_equal(program("devices"), 0);
    assert_non_null(strstr(program_out(), "cpu:  "));
    assert_non_null(strstr(program_out(), "cuda: "));
    assert_int_equal(program("devices", "--fast"), 2);
}

/* ---- exit codes of run ---- */

static void test_cli__run_without_a_spec_is_usage(void **state)
{
    (void)state;
    assert_int_equal(program("run"), 2);
    assert_non_null(strstr(program_err(), "run wants a spec"));
    assert_int_equal(program("run", program_file("absent.yaml")), 2);
    assert_non_null(strstr(program_err(), "absent.yaml"));
}

static void test_cli__a_faulty_spec_is_2_and_makes_no_database(void **state)
{
    const char *db = program_file("faulty.db");
    const char *spec = program_spec("faulty.yaml", "version: 1\nname: f\nnprobes: 3\n");
    (void)state;

    assert_int_equal(program("run", tiny_spec(), spec, "--db", db), 2);
    assert_non_null(strstr(program_err(), "faulty.yaml:3:1: error:"));
    assert_int_not_equal(access(db, F_OK), 0);
}

static void test_cli__missing_data_is_2(void **state)
{
    const char *spec = program_spec(
        "missing.yaml", "version: 1\nname: m\ndataset: {name: x, base: b.fvecs, query: q.fvecs}\n"
                        "index: \"IVF4,Flat\"\n");
    (void)state;

    assert_int_equal(program("run", spec, "--db", program_file("missing.db")), 2);
    assert_non_null(strstr(program_err(), "b.fvecs"));
}

static void test_cli__faulty_data_is_1(void **state)
{
    const char *spec = program_spec(
        "torn.yaml",
        "version: 1\nname: t\ndataset: {name: x, base: torn.fvecs, query: torn.fvecs}\n"
        "index: \"IVF4,Flat\"\n");
    FILE *f = fopen(program_file("torn.fvecs"), "wb");
    const int32_t row[3] = {2, 0, 0};
    (void)state;

    assert_non_null(f);
    for (int i = 0; i < 100; i++)
        fwrite(row, sizeof row, 1, f);
    fwrite(row, 7, 1, f);
    fclose(f);
    assert_int_equal(program("run", spec, "--db", program_file("torn.db")), 1);
    assert_non_null(strstr(program_err(), "torn.fvecs"));
}

static void test_cli__what_comes_later_alone_is_2(void **state)
{
    const char *db = program_file("later.db");
    (void)state;

    assert_int_equal(program("run", tiny_spec(), "--db", db, "--set", "gpus=2"), 2);
    assert_non_null(strstr(program_err(), "gpus 2"));
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE status = 'skipped'"), 2);
}

static void test_cli__a_filter_that_matches_nothing_is_4(void **state)
{
    const char *db = program_file("only.db");
    (void)state;

    assert_int_equal(program("run", tiny_spec(), "--db", db, "--only", "*,PQ*"), 4);
    assert_non_null(strstr(program_err(), "*,PQ*"));
    assert_int_equal(program_count(db, "SELECT count(*) FROM run"), 0);
}

static void test_cli__a_database_that_cannot_be_made_is_5(void **state)
{
    (void)state;
    program_spec("plain-file", "%01000d", 7);
    assert_int_equal(program("run", tiny_spec(), "--db", program_file("plain-file/a.db")), 5);
    assert_int_equal(program("run", tiny_spec(), "--db", testing_tmpdir()), 5);
    assert_int_equal(program("run", tiny_spec(), "--db", program_file("plain-file")), 5);
}

static void sql(const char *db, const char *text)
{
    sqlite3 *c = NULL;

    assert_int_equal(sqlite3_open(db, &c), SQLITE_OK);
    assert_int_equal(sqlite3_exec(c, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(c);
}

static void test_cli__a_backend_that_is_not_here_is_5(void **state)
{
    const char *db = program_file("backend.db");
    (void)state;

    setenv("CUDA_VISIBLE_DEVICES", "", 1); /* nor is it, then, where there is a device */
    assert_int_equal(program("run", tiny_spec(), "--db", db, "--set", "backend=cuda"), 5);
    assert_non_null(strstr(program_err(), "backend cuda: "));
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial"), 0);
    assert_int_equal(program("plan", tiny_spec(), "--set", "backend=cuda"), 5);
    unsetenv("CUDA_VISIBLE_DEVICES");
}

static void test_cli__a_newer_database_is_5_and_left_alone(void **state)
{
    const char *db = program_file("newer.db");
    (void)state;

    assert_int_equal(program("run", tiny_spec(), "--db", db), 0);
    sql(db, "PRAGMA user_version = 999");
    assert_int_equal(program("run", tiny_spec(), "--db", db), 5);
    assert_non_null(strstr(program_err(), "newer"));
    assert_int_equal(program_count(db, "SELECT count(*) FROM run"), 1);
}

static void test_cli__a_locked_database_is_5(void **state)
{
    const char *db = program_file("locked.db");
    sqlite3 *c = NULL;
    (void)state;

    assert_int_equal(program("run", tiny_spec(), "--db", db), 0);
    assert_int_equal(sqlite3_open(db, &c), SQLITE_OK);
    assert_int_equal(sqlite3_exec(c, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(program("run", tiny_spec(), "--db", db), 5);
    assert_non_null(strstr(program_err(), "locked"));
    sqlite3_close(c);
    assert_int_equal(program("run", tiny_spec(), "--db", db), 0);
}

static void test_cli__a_full_disk_is_5(void **state)
{
    const char *db = program_file("full.db");
    char command[4096];
    int status;
    (void)state;

    snprintf(command, sizeof command,
             "trap '' XFSZ; ulimit -f 64; exec '%s' run '%s' --db '%s' --set cache=false"
             " >/dev/null 2>'%s'",
             program_path(), tiny_spec(), db, program_file("full.err"));
    status = system(command);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 5);
}

static void test_cli__what_cannot_be_printed_is_5(void **state)
{
    static const char *const verbs[] = {"help spec", "version", "devices", "plan --help"};
    char command[4096];
    (void)state;

    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        int status;

        snprintf(command, sizeof command, "exec '%s' %s >/dev/full 2>'%s'", program_path(),
                 verbs[i], program_file("lost.err"));
        status = system(command);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 5);
    }
}

static void test_cli__the_default_database_is_in_the_data_folder(void **state)
{
    (void)state;
    assert_int_equal(program("run", tiny_spec()), 0);
    assert_int_equal(program_count(program_file("ivfbench/results.db"),
                                   "SELECT count(*) FROM trial WHERE status = 'ok'"),
                     2);
}

/* ---- the terminal ---- */

/* All that a run of tiny shows on a terminal; variable: "NAME=value" set for it. */
static const char *on_terminal(const char *db, const char *variable, const char *option)
{
    static char shown[1 << 16];
    const char *path = program_path(), *spec = tiny_spec();
    size_t len = 0;
    ssize_t n;
    int fd;
    pid_t pid = forkpty(&fd, NULL, NULL, NULL);

    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("TERM", "xterm", 1);
        unsetenv("NO_COLOR");
        setenv("XDG_CACHE_HOME", testing_tmpdir(), 1);
        if (variable) putenv((char *)variable);
        execl(path, "ivfbench", "run", spec, "--db", db, "--set", "search.repeat=300", option,
              (char *)NULL);
        _exit(99);
    }
    while (len < sizeof shown - 1 && (n = read(fd, shown + len, sizeof shown - 1 - len)) > 0)
        len += (size_t)n;
    shown[len] = '\0';
    close(fd);
    waitpid(pid, NULL, 0);
    return shown;
}

static void test_cli__a_terminal_shows_a_bar_that_goes_away(void **state)
{
    const char *shown = on_terminal(program_file("bar.db"), NULL, NULL);
    (void)state;

    assert_non_null(strstr(shown, "\r\033[K["));
    assert_null(strstr(shown, "  ok  ")); /* no lines beside the bar */
    assert_non_null(strstr(strstr(shown, "\r\033[K["), "QPS"));
}

static void test_cli__a_dumb_terminal_and_quiet_show_no_bar(void **state)
{
    (void)state;
    assert_null(strstr(on_terminal(program_file("dumb.db"), "TERM=dumb", NULL), "\033"));
    assert_null(strstr(on_terminal(program_file("hush.db"), NULL, "--quiet"), "\033"));
}

static void test_cli__no_color_is_honoured(void **state)
{
    const char *db = program_file("plain-file");
    (void)state;

    program_spec("plain-file", "%01000d", 7);
    assert_non_null(strstr(on_terminal(db, NULL, NULL), "\033[1;31merror:"));
    assert_null(strstr(on_terminal(db, "NO_COLOR=1", NULL), "\033[1"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_cli__options_take_their_values_in_both_forms),
    cmocka_unit_test(test_cli__faults_in_options_are_named),
    cmocka_unit_test(test_cli__nearest_is_near),
    cmocka_unit_test(test_cli__unknown_verb_names_the_nearest),
    cmocka_unit_test(test_cli__every_verb_has_help_of_a_screen_with_an_example),
    cmocka_unit_test(test_cli__help_has_the_verbs_the_exit_codes_and_every_key),
    cmocka_unit_test(test_cli__version_and_devices_say_what_this_is),
    cmocka_unit_test(test_cli__run_without_a_spec_is_usage),
    cmocka_unit_test(test_cli__a_faulty_spec_is_2_and_makes_no_database),
    cmocka_unit_test(test_cli__missing_data_is_2),
    cmocka_unit_test(test_cli__faulty_data_is_1),
    cmocka_unit_test(test_cli__what_comes_later_alone_is_2),
    cmocka_unit_test(test_cli__a_filter_that_matches_nothing_is_4),
    cmocka_unit_test(test_cli__a_database_that_cannot_be_made_is_5),
    cmocka_unit_test(test_cli__a_backend_that_is_not_here_is_5),
    cmocka_unit_test(test_cli__a_newer_database_is_5_and_left_alone),
    cmocka_unit_test(test_cli__a_locked_database_is_5),
    cmocka_unit_test(test_cli__a_full_disk_is_5),
    cmocka_unit_test(test_cli__what_cannot_be_printed_is_5),
    cmocka_unit_test(test_cli__the_default_database_is_in_the_data_folder),
    cmocka_unit_test(test_cli__a_terminal_shows_a_bar_that_goes_away),
    cmocka_unit_test(test_cli__a_dumb_terminal_and_quiet_show_no_bar),
    cmocka_unit_test(test_cli__no_color_is_honoured),
};

TESTING_MAIN(tests)
