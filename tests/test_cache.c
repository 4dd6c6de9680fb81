#include "tests/testing.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/cache.h"

static float one[5];
static int64_t two[3];

static struct cache_artifact artifact(const char *name)
{
    setenv("XDG_CACHE_HOME", testing_tmpdir(), 1);
    return (struct cache_artifact){
        .kind = "model",
        .identity = hash_string(name),
        .part = {{one, sizeof one}, {two, sizeof two}},
        .ns = 1234567
    };
}

static void fill(int by)
{
    for (int i = 0; i < 5; i++)
        one[i] = (float)(i * by);
    for (int i = 0; i < 3; i++)
        two[i] = i - by;
}

/* Saves artifact(name), then overwrites the byte at (from the end if negative). */
static void damage(const char *name, long at)
{
    struct cache_artifact a = artifact(name);
    struct text path = {0};
    FILE *f;
    int c;

    fill(3);
    CHECK_OK(cache_save(&a));
    CHECK_OK(cache_path(&path, &a));
    assert_non_null(f = fopen(text_get(&path), "r+b"));
    fseek(f, at, at < 0 ? SEEK_END : SEEK_SET);
    c = fgetc(f);
    fseek(f, at, at < 0 ? SEEK_END : SEEK_SET);
    fputc(c ^ 1, f);
    fclose(f);
    text_clear(&path);
}

static void check_ignored(const char *name, const char *word)
{
    struct cache_artifact a = artifact(name);
    struct text warning = {0};

    assert_int_equal(cache_load(&a, &warning), 0);
    if (!strstr(text_get(&warning), word))
        fail_msg("\"%s\" lacks \"%s\"", text_get(&warning), word);
    text_clear(&warning);
}

static void test_cache__gives_back_what_was_saved(void **state)
{
    struct cache_artifact a = artifact("back");
    struct text warning = {0};
    (void)state;

    fill(7);
    CHECK_OK(cache_save(&a));
    fill(0);
    a.ns = 0;
    assert_int_equal(cache_load(&a, &warning), 1);
    assert_true(one[4] == 28 && two[0] == -7);
    assert_int_equal(a.ns, 1234567);
    assert_string_equal(text_get(&warning), "");
}

static void test_cache__a_miss_is_silent(void **state)
{
    struct cache_artifact a = artifact("never saved");
    struct text warning = {0};
    (void)state;

    assert_int_equal(cache_load(&a, &warning), 0);
    assert_string_equal(text_get(&warning), "");
}

static void test_cache__a_damaged_part_is_passed_over(void **state)
{
    (void)state;
    damage("part", -1);
    check_ignored("part", "checksum");
}

static void test_cache__a_damaged_time_is_passed_over(void **state)
{
    (void)state;
    damage("time", 8 + 8 + 16 + 40);
    check_ignored("time", "checksum");
}

static void test_cache__a_foreign_file_is_passed_over(void **state)
{
    (void)state;
    damage("foreign", 0);
    check_ignored("foreign", "not a cache file");
}

static void test_cache__another_format_is_passed_over(void **state)
{
    (void)state;
    damage("format", 8);
    check_ignored("format", "another version");
}

static void test_cache__a_torn_or_grown_file_is_passed_over(void **state)
{
    struct cache_artifact a = artifact("torn");
    struct text path = {0};
    struct stat whole;
    (void)state;

    CHECK_OK(cache_path(&path, &a));
    CHECK_OK(cache_save(&a));
    assert_int_equal(stat(text_get(&path), &whole), 0);
    for (int bytes = 0; bytes < whole.st_size + 100; bytes += 7) {
        if (bytes == whole.st_size) continue;
        CHECK_OK(cache_save(&a));
        assert_int_equal(truncate(text_get(&path), bytes), 0);
        check_ignored("torn", "than it says");
    }
    text_clear(&path);
}

static void test_cache__other_sizes_are_passed_over(void **state)
{
    struct cache_artifact a = artifact("sizes");
    struct text warning = {0};
    (void)state;

    CHECK_OK(cache_save(&a));
    a.part[1].bytes = 8;
    assert_int_equal(cache_load(&a, &warning), 0);
    assert_non_null(strstr(text_get(&warning), "something else"));
    text_clear(&warning);
}

static void test_cache__an_unwritable_folder_is_said(void **state)
{
    struct cache_artifact a = artifact("unwritable");
    (void)state;

    setenv("XDG_CACHE_HOME", "/dev/null/here", 1);
    CHECK_FAILS(ERR_IO, "/dev/null", cache_save(&a));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_cache__gives_back_what_was_saved),
    cmocka_unit_test(test_cache__a_miss_is_silent),
    cmocka_unit_test(test_cache__a_damaged_part_is_passed_over),
    cmocka_unit_test(test_cache__a_damaged_time_is_passed_over),
    cmocka_unit_test(test_cache__a_foreign_file_is_passed_over),
    cmocka_unit_test(test_cache__another_format_is_passed_over),
    cmocka_unit_test(test_cache__a_torn_or_grown_file_is_passed_over),
    cmocka_unit_test(test_cache__other_sizes_are_passed_over),
    cmocka_unit_test(test_cache__an_unwritable_folder_is_said),
};

TESTING_MAIN(tests)
