/* Claims of engine/base/file.h. */
#include "tests/testing.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/file.h"

static const char *in_tmpdir(const char *name)
{
    static char path[2][1024];
    static int turn;

    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", testing_tmpdir(), name);
    return path[turn];
}

static int entries(const char *folder)
{
    DIR *d = opendir(folder);
    int n = 0;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void check_content(const char *path, const char *want)
{
    char *got = NULL;
    int64_t n = -1;

    CHECK_OK(file_read_all(&got, &n, path, 1 << 20));
    assert_int_equal(n, strlen(want));
    assert_string_equal(got, want);
    mem_free(got);
}

static void test_file__what_was_put_is_read_back(void **state)
{
    const char *path = in_tmpdir("put");

    (void)state;
    CHECK_OK(file_put(path, "recall"));
    check_content(path, "recall");
    CHECK_OK(file_put(path, ""));
    check_content(path, "");
}

static void test_file__nothing_appears_before_the_commit(void **state)
{
    const char *path = in_tmpdir("late");
    struct file *f = NULL;

    (void)state;
    CHECK_OK(file_create(&f, path));
    CHECK_OK(file_write(f, "late", 4));
    assert_int_equal(access(path, F_OK), -1);
    CHECK_OK(file_commit(f));
    check_content(path, "late");
}

static void test_file__a_discarded_file_leaves_the_old_and_no_rest(void **state)
{
    char folder[1024], path[1100];
    struct file *f = NULL;

    (void)state;
    snprintf(folder, sizeof folder, "%s", in_tmpdir("discard"));
    snprintf(path, sizeof path, "%s/kept", folder);
    CHECK_OK(file_mkdirs(folder));
    CHECK_OK(file_put(path, "old"));
    CHECK_OK(file_create(&f, path));
    CHECK_OK(file_write(f, "new", 3));
    file_discard(f);
    file_discard(NULL);
    check_content(path, "old");
    assert_int_equal(entries(folder), 1);
}

/* A limit on the size of files stands for a full disk: the same path through write or flush. */
static void test_file__a_full_disk_fails_and_leaves_the_old(void **state)
{
    char folder[1024], path[1100], *big = mem_new(1 << 20, 1);
    struct rlimit old, limit;
    int rc;

    (void)state;
    snprintf(folder, sizeof folder, "%s", in_tmpdir("full"));
    snprintf(path, sizeof path, "%s/kept", folder);
    CHECK_OK(file_mkdirs(folder));
    CHECK_OK(file_put(path, "old"));
    memset(big, 'x', (1 << 20) - 1);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = (struct rlimit){4096, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    rc = file_put(path, big);
    setrlimit(RLIMIT_FSIZE, &old);
    mem_free(big);
    assert_int_equal(rc, ERR_IO);
    assert_non_null(strstr(fail_text(), "File too large"));
    check_content(path, "old");
    assert_int_equal(entries(folder), 1);
}

static void test_file__a_missing_folder_is_named(void **state)
{
    struct file *f = NULL;
    char *s = NULL;

    (void)state;
    CHECK_FAILS(ERR_IO, "no/such/folder/x", file_create(&f, in_tmpdir("no/such/folder/x")));
    CHECK_FAILS(ERR_IO, "nothing: No such file", file_read_all(&s, NULL, in_tmpdir("nothing"), 10));
    assert_null(f);
    assert_null(s);
}

static void test_file__a_folder_is_no_file(void **state)
{
    char *s = NULL;

    (void)state;
    CHECK_FAILS(ERR_IO, "Is a directory", file_read_all(&s, NULL, testing_tmpdir(), 10));
}

static void test_file__reading_refuses_more_than_max(void **state)
{
    const char *path = in_tmpdir("eight");
    char *s = NULL;

    (void)state;
    CHECK_OK(file_put(path, "12345678"));
    CHECK_FAILS(ERR_INVALID, "longer than 7 bytes", file_read_all(&s, NULL, path, 7));
    assert_null(s);
    CHECK_OK(file_read_all(&s, NULL, path, 8));
    assert_string_equal(s, "12345678");
    mem_free(s);
}

static void test_file__mkdirs_makes_all_of_them_and_once(void **state)
{
    struct stat st;

    (void)state;
    CHECK_OK(file_mkdirs(in_tmpdir("a/b/c")));
    CHECK_OK(file_mkdirs(in_tmpdir("a/b/c")));
    CHECK_OK(file_mkdirs_above(in_tmpdir("a/d/file.csv")));
    assert_int_equal(stat(in_tmpdir("a/b/c"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(stat(in_tmpdir("a/d"), &st), 0);
    assert_int_equal(stat(in_tmpdir("a/d/file.csv"), &st), -1);
}

static void test_file__mkdirs_stops_at_a_file(void **state)
{
    (void)state;
    CHECK_OK(file_put(in_tmpdir("plain"), ""));
    CHECK_FAILS(ERR_IO, "Not a directory", file_mkdirs(in_tmpdir("plain/below")));
}

static void test_file__a_path_too_long_is_refused(void **state)
{
    char path[5000];
    struct file *f = NULL;

    (void)state;
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    CHECK_FAILS(ERR_INVALID, "too long", file_create(&f, path));
    CHECK_FAILS(ERR_INVALID, "too long", file_mkdirs(path));
    CHECK_FAILS(ERR_INVALID, "too long", file_mkdirs_above(path));
}

static int put_and_read(void *arg)
{
    char *s = NULL;
    int rc;

    if ((rc = file_put(arg, "content")) < 0) return rc;
    if ((rc = file_read_all(&s, NULL, arg, 100)) < 0) return rc;
    mem_free(s);
    return 0;
}

static void test_file__survives_every_failed_alloc(void **state)
{
    char path[1024];

    (void)state;
    snprintf(path, sizeof path, "%s", in_tmpdir("oom"));
    assert_int_equal(testing_every_failed_alloc(put_and_read, path), 2);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_file__what_was_put_is_read_back),
    cmocka_unit_test(test_file__nothing_appears_before_the_commit),
    cmocka_unit_test(test_file__a_discarded_file_leaves_the_old_and_no_rest),
    cmocka_unit_test(test_file__a_full_disk_fails_and_leaves_the_old),
    cmocka_unit_test(test_file__a_missing_folder_is_named),
    cmocka_unit_test(test_file__a_folder_is_no_file),
    cmocka_unit_test(test_file__reading_refuses_more_than_max),
    cmocka_unit_test(test_file__mkdirs_makes_all_of_them_and_once),
    cmocka_unit_test(test_file__mkdirs_stops_at_a_file),
    cmocka_unit_test(test_file__a_path_too_long_is_refused),
    cmocka_unit_test(test_file__survives_every_failed_alloc),
};

TESTING_MAIN(tests)
