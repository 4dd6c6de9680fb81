/* Claims of engine/base/fail.h. */
#include "tests/testing.h"

#include <errno.h>

static void test_fail__returns_the_code_and_records_the_text(void **state)
{
    (void)state;
    assert_int_equal(fail(ERR_IO, "%s: %d bytes missing", "base.bvecs", 3), ERR_IO);
    assert_string_equal(fail_text(), "base.bvecs: 3 bytes missing");
}

static void test_fail__a_new_text_replaces_the_old(void **state)
{
    (void)state;
    fail(ERR_IO, "a long first text");
    fail(ERR_NOMEM, "second");
    assert_string_equal(fail_text(), "second");
}

static void test_fail__its_own_text_may_be_an_argument(void **state)
{
    (void)state;
    fail(ERR_IO, "inner");
    fail(ERR_INVALID, "outer (%s)", fail_text());
    assert_string_equal(fail_text(), "outer (inner)");
}

static void test_fail__callers_put_in_front_what_they_know(void **state)
{
    (void)state;
    fail(ERR_FORMAT, "3 bytes left over");
    assert_int_equal(fail_in(ERR_FORMAT, "dataset %s", "sift1m"), ERR_FORMAT);
    fail_in(ERR_FORMAT, "run");
    assert_string_equal(fail_text(), "run: dataset sift1m: 3 bytes left over");
}

static void test_fail__the_systems_words_come_last(void **state)
{
    (void)state;
    assert_int_equal(fail_errno(ERR_IO, ENOENT, "%s", "x.fvecs"), ERR_IO);
    assert_string_equal(fail_text(), "x.fvecs: No such file or directory");
}

static void test_fail__a_text_too_long_is_cut_not_overrun(void **state)
{
    char longer[4096];

    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    fail(ERR_IO, "%s", longer);
    assert_int_equal(strlen(fail_text()), 1023);
    fail_in(ERR_IO, "%s", longer);
    assert_true(strlen(fail_text()) < 1024);
}

static void test_fail__every_code_has_a_name(void **state)
{
    static const char *const names[] = {"invalid", "nomem",       "io",
                                        "format",  "unsupported", "device"};

    (void)state;
    for (int i = 0; i < 6; i++)
        assert_string_equal(fail_name(-1 - i), names[i]);
    assert_string_equal(fail_name(0), "ok");
    assert_string_equal(fail_name(-7), "unknown");
    assert_string_equal(fail_name(1), "unknown");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_fail__returns_the_code_and_records_the_text),
    cmocka_unit_test(test_fail__a_new_text_replaces_the_old),
    cmocka_unit_test(test_fail__its_own_text_may_be_an_argument),
    cmocka_unit_test(test_fail__callers_put_in_front_what_they_know),
    cmocka_unit_test(test_fail__the_systems_words_come_last),
    cmocka_unit_test(test_fail__a_text_too_long_is_cut_not_overrun),
    cmocka_unit_test(test_fail__every_code_has_a_name),
};

TESTING_MAIN(tests)
