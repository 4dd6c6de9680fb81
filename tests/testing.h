/*
 * What every test includes: cmocka, and checks that look at code and words of a failure. A test
 * program takes `--seed N` for its random cases and a pattern ("*oom*") for which tests to run.
 */
#ifndef IVF_TESTING_H
#define IVF_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
/* cmocka's fail is a macro, which its fail_msg needs; ours is a function. */
#undef fail
#undef fail_msg
#define fail_msg(...)                                                                              \
    do {                                                                                           \
        print_error(__VA_ARGS__);                                                                  \
        print_error("\n");                                                                         \
        _fail(__FILE__, __LINE__);                                                                 \
    } while (0)

#include "engine/base/fail.h"
#include "engine/base/mem.h"

/* call succeeds; its text is printed where it does not. */
#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        long long rc_ = (call);                                                                    \
        if (rc_ < 0) fail_msg("%s gave %lld: %s", #call, rc_, fail_text());                        \
    } while (0)

/* call fails with code, and its text holds word. */
#define CHECK_FAILS(code, word, call)                                                              \
    do {                                                                                           \
        long long rc_ = (call);                                                                    \
        if (rc_ != (code)) fail_msg("%s gave %lld, not %s (%s)", #call, rc_, #code, fail_text());  \
        if (!strstr(fail_text(), word)) fail_msg("\"%s\" lacks \"%s\"", fail_text(), word);        \
    } while (0)

#define LENGTH(a) ((int)(sizeof(a) / sizeof *(a)))

/* The program's main: test_<file> [--seed N] [PATTERN]. tests: an array of struct CMUnitTest. */
#define TESTING_MAIN(tests)                                                                        \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return testing_options(argc, argv) < 0 ? 2 : cmocka_run_group_tests(tests, NULL, NULL);    \
    }

/* Reads the options; negative, and said on stderr, where they are not understood. */
int testing_options(int argc, char **argv);

/*
 * Where random cases start: --seed, else $IVFBENCH_TEST_SEED, else always the same. Printed at
 * the first call, so that a failure can be had again.
 */
uint32_t testing_seed(void);

/* n elements of size bytes, zeros, and one more; for free(). Memory is there, or the test fails. */
void *testing_array(int64_t n, size_t size);

/*
 * For loops over many cases, so that tools which slow a program down a hundred times see cases of
 * all kinds. With $IVFBENCH_TEST_SHARE "15" it is 0 the first time it is asked in a process and every
 * 15th time after; with "3+15" the first three times, which is all of most claims, and every 15th
 * of those after them. Without that variable, always.
 */
int testing_left_out(void);

/*
 * Runs call(arg) again and again, its first, second, ... allocation failing, until it makes fewer
 * than that; each of those runs must give ERR_NOMEM with a text, the last one 0. So call creates
 * and frees all it needs. Returns how many allocations were made to fail.
 */
int64_t testing_every_failed_alloc(int (*call)(void *arg), void *arg);

/*
 * Where the real data is: $IVFBENCH_DATA/<file> if that exists, else NULL, and the test should
 * call skip() after saying so. Valid until the next call.
 */
const char *testing_data(const char *file);

/* A fresh folder under $TMPDIR that is removed when the process ends. Valid until the end. */
const char *testing_tmpdir(void);

/* Memory with guard words on both sides; testing_guarded_free checks them. */
void *testing_guarded(int64_t n, size_t size);
void testing_guarded_free(void *ptr);

#endif
