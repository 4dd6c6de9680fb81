/* The verbs that read the store, as a user calls them: exit codes and words. */
#include "tests/testing.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/text.h"
#include "tests/fake.h"

/* A store with a fake sweep in the tests' folder. */
static const char *sweep(void)
{
    static char path[600];
    struct store *db = NULL;

    if (path[0]) return path;
    snprintf(path, sizeof path, "%s/it's a sweep.db", testing_tmpdir());
    CHECK_OK(store_open(&db, path));
    fake_sweep(db);
    store_close(db);
    return path;
}

/* Exit code of `ivfbench <words>` in the tests' folder; *said is both its streams. */
static int call(const char *words, char **said)
{
    const char *binary = getenv("IVFBENCH_BINARY");
    struct text command = {0}, path = {0};
    int status;

    if (!binary) skip(); /* not called by ctest */
    setenv("DB", sweep(), 1);
    text_addf(&command, "cd '%s' && '%s' %s >said 2>&1", testing_tmpdir(), binary, words);
    text_addf(&path, "%s/said", testing_tmpdir());
    status = system(text_get(&command));
    CHECK_OK(file_read_all(said, NULL, text_get(&path), 1 << 20));
    text_clear(&command);
    text_clear(&path);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define CHECK_CALL(code, word, words)                                                              \
    do {                                                                                           \
        char *said_ = NULL;                                                                        \
        int got_ = call(words, &said_);                                                            \
        assert_non_null(said_);                                                                    \
        if (got_ != (code)) fail_msg("%s: exit %d: %s", words, got_, said_);                       \
        if (*(word) && !strstr(said_, word))                                                       \
            fail_msg("%s: \"%s\" lacks \"%s\"", words, said_, word);                               \
        mem_free(said_);                                                                           \
    } while (0)

static int is_there(const char *name)
{
    char path[700];

    snprintf(path, sizeof path, "%s/%s", testing_tmpdir(), name);
    return access(path, R_OK) == 0;
}

static void test_verbs__export_has_four_formats(void **state)
{
    (void)state;
    CHECK_CALL(0, "spec,status,reason,", "export --db \"$DB\"");
    CHECK_CALL(0, "\"nprobe\": 256", "export --format json --db \"$DB\"");
    CHECK_CALL(0, "index         seed  nprobe", "export --format table --db \"$DB\"");
    CHECK_CALL(0, "| index |", "export --format md --index '*,Flat' --db \"$DB\"");
    CHECK_CALL(0, "", "export -o rows.csv --db \"$DB\"");
    assert_true(is_there("rows.csv"));
    CHECK_CALL(2, "csv, json, table or md", "export --format xml --db \"$DB\"");
    CHECK_CALL(2, "takes no \"sift.yaml\"", "export sift.yaml --db \"$DB\"");
}

static void test_verbs__a_filter_without_match_exits_with_4(void **state)
{
    (void)state;
    CHECK_CALL(4, "no trial matches --index HNSW*", "export --index 'HNSW*' --db \"$DB\"");
    CHECK_CALL(4, "no trial matches --spec x", "plot --spec x --db \"$DB\"");
    CHECK_CALL(4, "no trial matches", "report --dataset x --db \"$DB\"");
}

static void test_verbs__nothing_is_written_over_the_database(void **state)
{
    (void)state;
    CHECK_CALL(2, "is the database", "export --db \"$DB\" -o \"$DB\"");
    CHECK_CALL(2, "is the database", "report --db \"$DB\" --out \"$DB\"");
    CHECK_CALL(0, "", "db check --db \"$DB\"");
}

static void test_verbs__a_missing_database_exits_with_2_and_says_what_to_do(void **state)
{
    (void)state;
    CHECK_CALL(2, "`ivfbench run` makes it", "export --db nothing.db");
    CHECK_CALL(2, "`ivfbench run` makes it", "report --db nothing.db");
    CHECK_CALL(2, "`ivfbench run` makes it", "db check --db nothing.db");
    assert_false(is_there("nothing.db"));
}

static void test_verbs__without_gnuplot_plot_and_report_warn_and_exit_with_0(void **state)
{
    (void)state;
    setenv("IVFBENCH_GNUPLOT", "none", 1);
    CHECK_CALL(0, "warning: no gnuplot", "plot --out plain recall_qps --db \"$DB\"");
    CHECK_CALL(0, "warning: no gnuplot", "report --out plain/page.html --db \"$DB\"");
    unsetenv("IVFBENCH_GNUPLOT");
    assert_true(is_there("plain/recall_qps.gp"));
    assert_true(is_there("plain/page.html"));
    assert_false(is_there("plain/recall_qps.svg"));
}

static void test_verbs__plot_refuses_what_it_cannot_draw(void **state)
{
    (void)state;
    CHECK_CALL(2, "no figure is named cake", "plot cake --db \"$DB\"");
    CHECK_CALL(2, "qps is not a recall", "plot --x qps --db \"$DB\"");
}

static void test_verbs__db_check_tells_whole_from_foreign(void **state)
{
    (void)state;
    CHECK_CALL(0, "whole", "db check --db \"$DB\"");
    CHECK_CALL(5, "not a database", "db check --db rows.csv");
    CHECK_CALL(2, "db check", "db");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_verbs__export_has_four_formats),
    cmocka_unit_test(test_verbs__a_filter_without_match_exits_with_4),
    cmocka_unit_test(test_verbs__nothing_is_written_over_the_database),
    cmocka_unit_test(test_verbs__a_missing_database_exits_with_2_and_says_what_to_do),
    cmocka_unit_test(test_verbs__without_gnuplot_plot_and_report_warn_and_exit_with_0),
    cmocka_unit_test(test_verbs__plot_refuses_what_it_cannot_draw),
    cmocka_unit_test(test_verbs__db_check_tells_whole_from_foreign),
};

TESTING_MAIN(tests)
