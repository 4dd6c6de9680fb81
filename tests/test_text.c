/* Claims of engine/base/text.h. */
#include "tests/testing.h"

#include "engine/base/text.h"

static void test_text__a_zeroed_struct_is_an_empty_text(void **state)
{
    struct text t = {0};

    (void)state;
    assert_string_equal(text_get(&t), "");
    assert_int_equal(text_failed(&t), 0);
    text_clear(&t);
}

static void test_text__pieces_are_joined_in_order(void **state)
{
    struct text t = {0};

    (void)state;
    text_add(&t, "nprobe");
    text_addf(&t, "=%d", 16);
    text_add_bytes(&t, ", and more", 5);
    assert_string_equal(text_get(&t), "nprobe=16, and");
    assert_int_equal(t.len, 14);
    text_clear(&t);
}

static void test_text__it_grows_past_any_first_guess(void **state)
{
    struct text t = {0};

    (void)state;
    for (int i = 0; i < 10000; i++)
        text_addf(&t, "%04d", i);
    assert_int_equal(t.len, 40000);
    assert_int_equal(strlen(text_get(&t)), 40000);
    assert_memory_equal(t.s + 4 * 9999, "9999", 5);
    text_clear(&t);
}

static void test_text__json_escapes_what_json_forbids(void **state)
{
    struct text t = {0};

    (void)state;
    text_add_json(&t, "a\"b\\c\n\x01\xc3\xa9");
    text_add(&t, ",");
    text_add_json(&t, NULL);
    text_add(&t, ",");
    text_add_json(&t, "");
    assert_string_equal(text_get(&t), "\"a\\\"b\\\\c\\u000a\\u0001\xc3\xa9\",null,\"\"");
    text_reset(&t);
    text_add_json(&t, "a\xff\xc3z\xe2\x88\xa9\xe2\x88"); /* of all these one is a character */
    assert_string_equal(text_get(&t), "\"a\\ufffd\\ufffdz\xe2\x88\xa9\\ufffd\\ufffd\"");
    text_clear(&t);
}

static void test_text__csv_quotes_only_where_it_must(void **state)
{
    struct text t = {0};

    (void)state;
    text_add_csv(&t, "IVF1024");
    text_add(&t, ";");
    text_add_csv(&t, "IVF1024,PQ16");
    text_add(&t, ";");
    text_add_csv(&t, "say \"so\"");
    text_add(&t, ";");
    text_add_csv(&t, "two\nlines");
    assert_string_equal(text_get(&t), "IVF1024;\"IVF1024,PQ16\";\"say \"\"so\"\"\";\"two\nlines\"");
    text_clear(&t);
}

static void test_text__html_cannot_be_broken_out_of(void **state)
{
    struct text t = {0};

    (void)state;
    text_add_html(&t, "<a href='x\"'>&");
    assert_string_equal(text_get(&t), "&lt;a href=&#39;x&quot;&#39;&gt;&amp;");
    text_clear(&t);
}

static void test_text__after_a_failed_append_it_keeps_refusing(void **state)
{
    struct text t = {0};

    (void)state;
    text_add(&t, "before");
    mem_fail_at(1);
    text_addf(&t, "%01000d", 0);
    text_add(&t, "after");
    assert_int_equal(text_failed(&t), ERR_NOMEM);
    assert_string_equal(text_get(&t), "before");
    text_reset(&t);
    text_add(&t, "again");
    assert_int_equal(text_failed(&t), 0);
    assert_string_equal(text_get(&t), "again");
    text_clear(&t);
}

static void test_text__reset_keeps_the_memory(void **state)
{
    struct text t = {0};
    int64_t before;

    (void)state;
    text_addf(&t, "%01000d", 0);
    text_reset(&t);
    assert_string_equal(text_get(&t), "");
    before = mem_count();
    text_addf(&t, "%01000d", 1);
    assert_int_equal(mem_count(), before);
    text_clear(&t);
    assert_null(t.s);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_text__a_zeroed_struct_is_an_empty_text),
    cmocka_unit_test(test_text__pieces_are_joined_in_order),
    cmocka_unit_test(test_text__it_grows_past_any_first_guess),
    cmocka_unit_test(test_text__json_escapes_what_json_forbids),
    cmocka_unit_test(test_text__csv_quotes_only_where_it_must),
    cmocka_unit_test(test_text__html_cannot_be_broken_out_of),
    cmocka_unit_test(test_text__after_a_failed_append_it_keeps_refusing),
    cmocka_unit_test(test_text__reset_keeps_the_memory),
};

TESTING_MAIN(tests)
