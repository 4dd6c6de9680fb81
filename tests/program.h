/*
 * The program itself as a test runs it: $IVFBENCH_BINARY in a process of its own, with a cache
 * and data folder of the test's, its output in files.
 */
#ifndef IVF_PROGRAM_H
#define IVF_PROGRAM_H

#include <stdint.h>
#include <sys/types.h>

#include "engine/base/fail.h"

/* Starts `ivfbench <args...>`; the arguments end with a NULL. */
pid_t program_start(const char *verb, ...) __attribute__((sentinel));

/* Its exit code, or 128 + the signal that ended it. */
int program_wait(pid_t pid);

/* Both. */
#define program(...) program_wait(program_start(__VA_ARGS__, NULL))

/* What the last program that was waited for wrote. */
const char *program_out(void);
const char *program_err(void);

/* The program's path; the test is skipped where it is not known. */
const char *program_path(void);

/* tmpdir/<name>; valid until the process ends. */
const char *program_file(const char *name);

/* Writes tmpdir/<name>; returns its path as program_file does. */
const char *program_spec(const char *name, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The first column of the first row; fails the test where there is none. */
int64_t program_count(const char *db, const char *sql);
const char *program_text(const char *db, const char *sql);

/* The process that runs `ivfbench worker` for db; 0: none. */
pid_t program_worker(const char *db);

/* Waits until there is (want 1) or is no (0) worker for db; the process, or 0. */
pid_t program_await_worker(const char *db, int want);

void program_sleep_ms(int ms);

#endif
