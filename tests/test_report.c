#include "tests/testing.h"

#include <stdlib.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "harness/publish.h"
#include "plots/json.h"
#include "plots/plot.h"
#include "plots/report.h"
#include "tests/fake.h"

/* A store with a fake sweep, published into a fresh folder of the given name. */
static const char *published(const char *name)
{
    static char dir[600];
    struct store *db = NULL;
    char path[700];

    snprintf(dir, sizeof dir, "%s/%s", testing_tmpdir(), name);
    snprintf(path, sizeof path, "%s/%s.db", testing_tmpdir(), name);
    CHECK_OK(store_open(&db, path));
    CHECK_OK(publish(db, fake_sweep(db), dir));
    store_close(db);
    return dir;
}

static char *page_in(const char *dir)
{
    char path[700], *s = NULL;

    snprintf(path, sizeof path, "%s/report.html", dir);
    CHECK_OK(file_read_all(&s, NULL, path, 1 << 20));
    return s;
}

static void test_report__the_page_holds_picture_table_facts_spec_and_command(void **state)
{
    char *page = page_in(published("whole")), version[64];

    (void)state;
    assert_non_null(strstr(page, "<title>fake</title>"));
    assert_non_null(strstr(page, "Toy &lt;9000&gt; &amp; co"));
    assert_non_null(strstr(page, "<td class=\"words\">IVF1024,PQ16</td>"));
    assert_non_null(strstr(page, "index: [&quot;IVF1024,Flat&quot;, &quot;IVF1024,PQ16&quot;]"));
    assert_non_null(strstr(page, "\nbuild/ivfbench run experiments/fake.yaml\n"));
    assert_non_null(strstr(page, "git checkout 0123456789abcdef0123456789abcdef01234567\n"));
    assert_non_null(strstr(page, "because, it &quot;said&quot; so"));
    assert_non_null(strstr(page, "base64,c3BlYyxzdGF0dXMs")); /* "spec,status," */
    if (plot_gnuplot(version)) assert_non_null(strstr(page, "<svg"));
    mem_free(page);
}

static void test_report__the_page_asks_nothing_of_the_network(void **state)
{
    char *page = page_in(published("alone"));

    (void)state;
    assert_null(strstr(page, "<script"));
    assert_null(strstr(page, "<!DOCTYPE svg"));
    assert_null(strstr(page, "src="));
    assert_null(strstr(page, "@import"));
    for (const char *s = page; (s = strstr(s, "http")); s++) /* names of namespaces, no links */
        assert_memory_equal(s, "http://www.w3.org/", 18);
    assert_null(strstr(page, "href=\"http"));
    assert_null(strstr(page, "href='http"));
    mem_free(page);
}

static void test_report__without_gnuplot_the_page_says_so(void **state)
{
    const char *dir;
    char path[700], *page;

    (void)state;
    setenv("IVFBENCH_GNUPLOT", "none", 1);
    page = page_in(dir = published("plain"));
    unsetenv("IVFBENCH_GNUPLOT");
    assert_null(strstr(page, "<svg"));
    assert_non_null(strstr(page, "gnuplot was not there"));
    snprintf(path, sizeof path, "%s/recall_qps.gp", dir);
    assert_int_equal(access(path, R_OK), 0);
    mem_free(page);
}

static void test_report__a_run_without_trials_is_refused(void **state)
{
    struct store *db = NULL;
    char path[600];

    (void)state;
    snprintf(path, sizeof path, "%s/empty.db", testing_tmpdir());
    CHECK_OK(store_open(&db, path));
    CHECK_FAILS(ERR_INVALID, "no trials", publish(db, fake_run(db), testing_tmpdir()));
    store_close(db);
}

static int collect(void *arg, const char *key, const char *value)
{
    text_addf(arg, "[%s|%s]", key, value);
    return 0;
}

static void test_report__json_members_are_read_one_level_deep(void **state)
{
    struct text seen = {0};

    (void)state;
    CHECK_OK(json_each(" {\"a\": \"x \\\"y\\\" \\u00e9\", \"b\" : [1, {\"c\": \"]\"}], \"d\":2.5}",
                       collect, &seen));
    assert_string_equal(text_get(&seen), "[a|x \"y\" é][b|[1, {\"c\": \"]\"}]][d|2.5]");
    text_reset(&seen);
    CHECK_OK(json_each("[\"run\", null, \"\"]", collect, &seen));
    assert_string_equal(text_get(&seen), "[|run][|null][|]");
    CHECK_OK(json_each("{}", collect, &seen));
    CHECK_FAILS(ERR_FORMAT, "not an object", json_each("7", collect, &seen));
    CHECK_FAILS(ERR_FORMAT, "cut off", json_each("{\"a\": \"x", collect, &seen));
    CHECK_FAILS(ERR_FORMAT, "cut off", json_each("[1, 2", collect, &seen));
    text_clear(&seen);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_report__the_page_holds_picture_table_facts_spec_and_command),
    cmocka_unit_test(test_report__the_page_asks_nothing_of_the_network),
    cmocka_unit_test(test_report__without_gnuplot_the_page_says_so),
    cmocka_unit_test(test_report__a_run_without_trials_is_refused),
    cmocka_unit_test(test_report__json_members_are_read_one_level_deep),
};

TESTING_MAIN(tests)
