/* What every test includes: cmocka, and checks that look at code and words of a failure. */
#ifndef IVF_TESTING_H
#define IVF_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#undef fail /* cmocka's macro; ours is a function, fail_msg() stays cmocka's */

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
