/*
 * How a function says that it failed: it returns one of six negative codes and has written
 * why, once, into a text buffer of the calling thread. The buffer is fixed, so that running
 * out of memory can be reported too.
 */
#ifndef IVF_FAIL_H
#define IVF_FAIL_H

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ERR_INVALID = -1,     /* the caller's or the user's argument, option or spec */
    ERR_NOMEM = -2,       /* memory, of the host or of a device */
    ERR_IO = -3,          /* the operating system refused: missing file, disk full, locked */
    ERR_FORMAT = -4,      /* a file's content is not what it should be */
    ERR_UNSUPPORTED = -5, /* right, but not something this build or this machine does */
    ERR_DEVICE = -6,      /* the device failed; its context is gone */
};

#if defined(__GNUC__)
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PRINTF_LIKE(fmt, args)
#endif

/* Records why; returns code. A text recorded before is lost. */
int fail(int code, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Puts "prefix: " before the recorded text: what only this caller knows. Returns code. */
int fail_in(int code, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* fail() with ": <the system's words for err>" appended. Returns code. */
int fail_errno(int code, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The calling thread's text; "" if nothing has failed yet. Valid until the next fail. */
const char *fail_text(void);

/* The code's name in lower case: "invalid", "nomem", ... */
const char *fail_name(int code);

#ifdef __cplusplus
}
#endif
#endif
