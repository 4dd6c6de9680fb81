#include "engine/base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FAIL_TEXT = 1024 };

static _Thread_local char text[FAIL_TEXT];

int fail(int code, const char *fmt, ...)
{
    char line[FAIL_TEXT]; /* an argument may be the text itself */
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    memcpy(text, line, sizeof text);
    return code;
}

int fail_in(int code, const char *fmt, ...)
{
    char prefix[FAIL_TEXT / 2];
    va_list args;

    va_start(args, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, args);
    va_end(args);
    return fail(code, "%s: %s", prefix, text);
}

int fail_errno(int code, int err, const char *fmt, ...)
{
    char line[FAIL_TEXT / 2];
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    return fail(code, "%s: %s", line, strerror(err));
}

const char *fail_text(void)
{
    return text;
}

const char *fail_name(int code)
{
    static const char *const names[] = {"ok",     "invalid",     "nomem", "io",
                                        "format", "unsupported", "device"};
    int i = -code;

    return i >= 0 && i < (int)(sizeof names / sizeof *names) ? names[i] : "unknown";
}
