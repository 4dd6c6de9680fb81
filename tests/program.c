#include "tests/testing.h"

#include "tests/program.h"

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/text.h"

enum { ARGS = 64, FILES = 64, OUTPUT = 1 << 20, PATIENCE_MS = 60000 };

static char out[OUTPUT], err[OUTPUT];

const char *program_path(void)
{
    const char *path = getenv("IVFBENCH_BINARY");

    if (path && access(path, X_OK) == 0) return path;
    print_message("IVFBENCH_BINARY names no program\n");
    skip();
    return NULL;
}

const char *program_file(const char *name)
{
    static struct {
        char name[64], path[1024];
    } files[FILES];
    int i = 0;

    while (i < FILES && files[i].name[0] && strcmp(files[i].name, name) != 0)
        i++;
    assert_true(i < FILES);
    snprintf(files[i].name, sizeof files[i].name, "%s", name);
    snprintf(files[i].path, sizeof files[i].path, "%s/%s", testing_tmpdir(), name);
    return files[i].path;
}

const char *program_spec(const char *name, const char *fmt, ...)
{
    const char *path = program_file(name);
    char text[8192];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    CHECK_OK(file_put(path, text));
    return path;
}

static void become(const char *path, char **argv, const char *out_path, const char *err_path)
{
    int o = open(out_path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    int e = open(err_path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

    setenv("XDG_CACHE_HOME", testing_tmpdir(), 1);
    setenv("XDG_DATA_HOME", testing_tmpdir(), 1);
    dup2(o, STDOUT_FILENO);
    dup2(e, STDERR_FILENO);
    execv(path, argv);
    _exit(99);
}

pid_t program_start(const char *verb, ...)
{
    const char *path = program_path(), *out_path = program_file("stdout");
    const char *err_path = program_file("stderr");
    char *argv[ARGS] = {(char *)"ivfbench", (char *)verb};
    int argc = 1;
    va_list args;
    pid_t pid;

    va_start(args, verb);
    while (argv[argc] && argc < ARGS - 2)
        argv[++argc] = va_arg(args, char *);
    va_end(args);
    assert_true((pid = fork()) >= 0);
    if (pid == 0) become(path, argv, out_path, err_path);
    return pid;
}

static void slurp(char *into, const char *name)
{
    FILE *f = fopen(program_file(name), "r");

    assert_non_null(f);
    into[fread(into, 1, OUTPUT - 1, f)] = '\0';
    fclose(f);
}

int program_wait(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    slurp(out, "stdout");
    slurp(err, "stderr");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

const char *program_out(void)
{
    return out;
}

const char *program_err(void)
{
    return err;
}

/* Runs sql on db and has the first row's first column as text. */
static const char *query(const char *db, const char *sql)
{
    static char value[4096];
    sqlite3_stmt *st = NULL;
    sqlite3 *c = NULL;

    if (sqlite3_open_v2(db, &c, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(c, PATIENCE_MS) != SQLITE_OK ||
        sqlite3_prepare_v2(c, sql, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
        fail_msg("%s: %s: %s", db, sql, sqlite3_errmsg(c));
    snprintf(value, sizeof value, "%s",
             sqlite3_column_text(st, 0) ? (const char *)sqlite3_column_text(st, 0) : "");
    sqlite3_finalize(st);
    sqlite3_close(c);
    return value;
}

int64_t program_count(const char *db, const char *sql)
{
    return strtoll(query(db, sql), NULL, 10);
}

const char *program_text(const char *db, const char *sql)
{
    return query(db, sql);
}

/* Whether process pid's command line has the word `worker` and db. */
static int is_worker(const char *pid, const char *db)
{
    char path[300], line[4096];
    int found_verb = 0, found_db = 0;
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    if (!(f = fopen(path, "r"))) return 0;
    n = fread(line, 1, sizeof line - 1, f);
    line[n] = '\0';
    fclose(f);
    for (const char *word = line; word < line + n; word += strlen(word) + 1) {
        found_verb |= strcmp(word, "worker") == 0;
        found_db |= strcmp(word, db) == 0;
    }
    return found_verb && found_db;
}

pid_t program_worker(const char *db)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    pid_t pid = 0;

    assert_non_null(proc);
    while (!pid && (entry = readdir(proc)))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && is_worker(entry->d_name, db))
            pid = (pid_t)strtol(entry->d_name, NULL, 10);
    closedir(proc);
    return pid;
}

void program_sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

    while (nanosleep(&t, &t) < 0)
        continue;
}

pid_t program_await_worker(const char *db, int want)
{
    for (int ms = 0; ms < PATIENCE_MS; ms += 5) {
        pid_t pid = program_worker(db);

        if ((pid != 0) == want) return pid;
        program_sleep_ms(5);
    }
    fail_msg("%s: %s worker after a minute", db, want ? "no" : "still a");
    return 0;
}
