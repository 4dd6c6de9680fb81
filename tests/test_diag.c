#include "tests/testing.h"

#include "harness/diag.h"

static struct diag diag;
static struct text out;

static int tear_down(void **state)
{
    (void)state;
    diag_clear(&diag);
    text_clear(&out);
    return 0;
}

static const struct source file = {.name = "f.yaml", .text = "one\ntwo\nthree\n"};
static const struct source set = {.name = "--set a=1", .text = "a=1", .unnumbered = 1, .order = 1};

static void test_diag__nothing_said_is_no_error(void **state)
{
    (void)state;
    CHECK_OK(diag_end(&diag, &out, "f.yaml"));
    assert_string_equal(text_get(&out), "");
}

static void test_diag__errors_come_in_the_order_of_the_text_each_with_its_notes(void **state)
{
    (void)state;
    diag_error(&diag, (struct mark){&set, 0, 2}, "last");
    diag_error(&diag, (struct mark){&file, 2, 1}, "second");
    diag_note(&diag, (struct mark){&file, 0, 0}, "of the second");
    diag_error(&diag, (struct mark){&file, 0, 2}, "first");
    diag_note(&diag, (struct mark){&file, 1, 0}, "of the first");
    assert_int_equal(diag_errors(&diag), 3);
    CHECK_FAILS(ERR_INVALID, "f.yaml: 3 errors", diag_end(&diag, &out, "f.yaml"));
    assert_string_equal(text_get(&out), "f.yaml:1:3: error: first\n    1 | one\n      |   ^\n"
                                        "f.yaml:2:1: note: of the first\n    2 | two\n      | ^\n"
                                        "f.yaml:3:2: error: second\n    3 | three\n      |  ^\n"
                                        "f.yaml:1:1: note: of the second\n    1 | one\n      | ^\n"
                                        "--set a=1: error: last\n      | a=1\n      |   ^\n");
    assert_int_equal(diag_errors(&diag), 0);
}

/* A file of one long line must not fill the screen once an error. */
static void test_diag__long_lines_are_cut_around_the_caret(void **state)
{
    char line[1001];
    struct source wide = {.name = "w", .text = line};

    (void)state;
    memset(line, 'x', 1000);
    line[1000] = '\0';
    line[500] = '!';
    diag_error(&diag, (struct mark){&wide, 0, 500}, "here");
    CHECK_FAILS(ERR_INVALID, "1 error", diag_end(&diag, &out, "w"));
    assert_true(out.len < 400);
    assert_non_null(strstr(text_get(&out), "| ...xxx"));
    assert_int_equal(strchr(text_get(&out), '!') - strstr(text_get(&out), "    1 | "),
                     strchr(text_get(&out), '^') - strstr(text_get(&out), "      | "));
}

static void test_diag__marks_are_counted_in_lines_and_characters(void **state)
{
    static const struct source breaks = {.name = "b",
                                         .text = "a\r\nb\rc\xC2\x85"
                                                 "d\xE2\x80\xA8\xC3\xA9\xC3\xA9x"};
    struct mark at;

    (void)state;
    at = diag_mark(&breaks, (int64_t)strlen(breaks.text) - 1);
    assert_int_equal(at.line, 4);
    assert_int_equal(at.column, 2);
    assert_string_equal(diag_line(at), "\xC3\xA9\xC3\xA9x");
}

static void test_diag__shown_values_are_short_and_harmless(void **state)
{
    char longer[500];

    (void)state;
    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_string_equal(diag_show("a\x1b[31m\n\t\xff\xC2\x9b\xC3\xA9").s, "a?[31m????\xC3\xA9");
    assert_true(strlen(diag_show(longer).s) < sizeof(struct shown));
    assert_non_null(strstr(diag_show(longer).s, "yyy..."));
}

static void test_diag__no_memory_is_said(void **state)
{
    (void)state;
    for (int nth = 1; nth <= 2; nth++) {
        mem_fail_at(nth);
        diag_error(&diag, (struct mark){&file, 0, 0}, "lost");
        mem_fail_at(0);
        CHECK_FAILS(ERR_NOMEM, "out of memory", diag_end(&diag, &out, "f.yaml"));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_diag__nothing_said_is_no_error),
        TEST(test_diag__errors_come_in_the_order_of_the_text_each_with_its_notes),
        TEST(test_diag__long_lines_are_cut_around_the_caret),
        TEST(test_diag__marks_are_counted_in_lines_and_characters),
        TEST(test_diag__shown_values_are_short_and_harmless),
        TEST(test_diag__no_memory_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
