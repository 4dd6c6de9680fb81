#include "harness/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "harness/cli.h"

enum { LINE = 4096, POLL_MS = 200 };
static const int64_t TELL_NS = 50000000; /* a stage is told 20 times a second at most */

/* ---- the lines ---- */

/* Text as the rest of a line: what would end it early is a space. */
static void put_line(const struct worker_pipe *pipe, const char *head, const char *text)
{
    char line[LINE];
    int len = snprintf(line, sizeof line - 1, "%s %s", head, text);

    if (len > (int)sizeof line - 2) len = (int)sizeof line - 2;
    for (int i = 0; i < len; i++)
        if (line[i] == '\n') line[i] = ' ';
    line[len++] = '\n';
    while (write(pipe->fd, line, (size_t)len) < 0 && errno == EINTR)
        continue; /* a line is shorter than PIPE_BUF: written whole or not at all */
}

static void tell_stage(void *arg, const char *stage, int64_t done, int64_t total)
{
    struct worker_pipe *pipe = arg;
    int64_t now = clock_ns();
    char head[64], name[64];

    if (done != total && now - pipe->told_ns < TELL_NS) return;
    pipe->told_ns = now;
    snprintf(head, sizeof head, "stage %lld %lld", (long long)done, (long long)total);
    snprintf(name, sizeof name, "%s", stage);
    put_line(pipe, head, name);
}

static void tell_begin(void *arg, int trial)
{
    char head[32];

    snprintf(head, sizeof head, "begin %d", trial);
    put_line(arg, head, "");
}

static void tell_end(void *arg, int trial, enum store_status status, const char *text)
{
    char head[48];

    snprintf(head, sizeof head, "end %d %d", trial, (int)status);
    put_line(arg, head, text);
}

static void tell_warn(void *arg, const char *text)
{
    put_line(arg, "warn", text);
}

void worker_tell_fault(const struct worker_pipe *pipe, const char *text)
{
    put_line(pipe, "fault", text);
}

void worker_tell_leave(const struct worker_pipe *pipe, int exit_code)
{
    char code[16];

    snprintf(code, sizeof code, "%d", exit_code);
    put_line(pipe, "leave", code);
    close(pipe->fd);
}

struct run_watch worker_watch(struct worker_pipe *pipe)
{
    return (struct run_watch){tell_stage, tell_begin, tell_end, tell_warn, pipe};
}

/* The number at *s, which moves past it and a space. */
static int64_t number(char **s)
{
    int64_t n = strtoll(*s, s, 10);

    if (**s == ' ') ++*s;
    return n;
}

int worker_hear(char *line, const struct run_watch *watch, struct worker_end *end)
{
    char *space = strchr(line, ' '), *rest = space ? space + 1 : line + strlen(line);
    int64_t a, b;

    if (space) *space = '\0';
    if (strcmp(line, "stage") == 0) {
        a = number(&rest);
        b = number(&rest);
        watch->stage(watch->arg, rest, a, b);
    } else if (strcmp(line, "begin") == 0) {
        watch->begin(watch->arg, (int)number(&rest));
    } else if (strcmp(line, "end") == 0) {
        a = number(&rest);
        b = number(&rest);
        watch->end(watch->arg, (int)a, (enum store_status)b, rest);
    } else if (strcmp(line, "warn") == 0) {
        watch->warn(watch->arg, rest);
    } else if (strcmp(line, "fault") == 0) {
        snprintf(end->fault, sizeof end->fault, "%s", rest);
    } else if (strcmp(line, "leave") == 0) {
        end->exit_code = (int)number(&rest);
        end->left = 1;
    } else {
        return fail(ERR_FORMAT, "a worker said \"%.60s\"", line);
    }
    return 0;
}

/* ---- the process ---- */

/* A file in memory with the spec's text, to be the worker's stdin. */
static int spec_file(const struct spec *spec)
{
    int fd = memfd_create("spec", MFD_CLOEXEC);
    size_t len = strlen(spec->text), at = 0;

    if (fd < 0) return fail_errno(ERR_IO, errno, "worker: no memory file");
    while (at < len) {
        ssize_t n = write(fd, spec->text + at, len - at);

        if (n < 0) {
            int err = errno;

            close(fd);
            return fail_errno(ERR_IO, err, "worker: the spec's text");
        }
        at += (size_t)n;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* argv of the worker: strings of its own or job's, the array for mem_free. NULL: no memory. */
struct arguments {
    char run[24];
    struct text todo;
    const char **v;
};

static int arguments_make(struct arguments *a, const struct worker_job *job)
{
    const char *fixed[] = {
        "ivfbench", "worker", "--spec",  job->spec->path,          "--db",      job->db,
        "--run",    a->run,   "--group", job->group->identity.hex, "--backend", job->backend,
        "--trials", NULL};
    int count = (int)(sizeof fixed / sizeof *fixed);

    snprintf(a->run, sizeof a->run, "%lld", (long long)job->run);
    for (int i = 0; i < job->ntodo; i++)
        text_addf(&a->todo, i ? ",%d" : "%d", job->todo[i]);
    if (text_failed(&a->todo)) return ERR_NOMEM;
    if (!(a->v = mem_new(count + 2 * job->nset + 1, sizeof *a->v))) return ERR_NOMEM;
    fixed[count - 1] = text_get(&a->todo);
    memcpy(a->v, fixed, sizeof fixed);
    for (int i = 0; i < job->nset; i++) {
        a->v[count++] = "--set";
        a->v[count++] = job->set[i];
    }
    return 0;
}

static void arguments_clear(struct arguments *a)
{
    text_clear(&a->todo);
    mem_free(a->v);
}

/* dup2 that also clears close-on-exec where from is already to. */
static int move_fd(int from, int to)
{
    return from == to ? fcntl(from, F_SETFD, 0) : dup2(from, to);
}

/* In the child, between fork and exec: only async-signal-safe calls. */
static void become_worker(int spec, int pipe, pid_t parent, const char *const *argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(EXIT_ENVIRONMENT); /* it died before the line above */
    /* The spec first: it may lie where the pipe must go. stdout is for data, which only the
       parent has. */
    if (move_fd(spec, STDIN_FILENO) < 0 || move_fd(pipe, WORKER_FD) < 0 ||
        dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        _exit(EXIT_ENVIRONMENT);
    execv("/proc/self/exe", (char *const *)argv);
    _exit(EXIT_ENVIRONMENT);
}

static int start(const struct worker_job *job, pid_t *pid, int *from)
{
    struct arguments arguments = {0};
    int spec = -1, pipes[2] = {-1, -1}, rc;
    pid_t parent = getpid();

    if ((rc = arguments_make(&arguments, job)) < 0) goto out;
    if ((rc = spec = spec_file(job->spec)) < 0) goto out;
    if (pipe2(pipes, O_CLOEXEC) < 0 || (*pid = fork()) < 0) {
        rc = fail_errno(ERR_IO, errno, "worker: no process");
        goto out;
    }
    if (*pid == 0) become_worker(spec, pipes[1], parent, arguments.v);
    *from = pipes[0];
    pipes[0] = -1;
    rc = 0;
out:
    if (spec >= 0) close(spec);
    if (pipes[0] >= 0) close(pipes[0]);
    if (pipes[1] >= 0) close(pipes[1]);
    arguments_clear(&arguments);
    return rc;
}

/* Hands on the whole lines of buf[*len]; what is left moves to its front. */
static void hear_lines(char *buf, size_t *len, const struct run_watch *watch,
                       struct worker_end *end)
{
    char *line = buf, *newline;

    while ((newline = memchr(line, '\n', *len - (size_t)(line - buf)))) {
        *newline = '\0';
        if (worker_hear(line, watch, end) < 0)
            snprintf(end->fault, sizeof end->fault, "%s", fail_text());
        line = newline + 1;
    }
    *len -= (size_t)(line - buf);
    memmove(buf, line, *len);
    if (*len == LINE) *len = 0; /* longer than any line of ours */
}

/* Passes a signal on once; a second one is meant. */
static void pass_on(pid_t pid, int *passed)
{
    if (!interrupted()) return;
    if (interrupts() > 1)
        kill(pid, SIGKILL);
    else if (!*passed)
        kill(pid, interrupted());
    *passed = 1;
}

static void listen_to(pid_t pid, int fd, const struct run_watch *watch, struct worker_end *end)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    char buf[LINE];
    size_t len = 0;
    ssize_t n = 1;
    int passed = 0;

    while (n != 0) {
        pass_on(pid, &passed);
        if (poll(&poll_fd, 1, POLL_MS) <= 0) continue;
        n = read(fd, buf + len, sizeof buf - len);
        if (n < 0 && errno != EINTR) break;
        if (n > 0) len += (size_t)n;
        hear_lines(buf, &len, watch, end);
    }
}

/* Its status; a process that said goodbye and does not go is killed after a while. */
static int reap(pid_t pid, struct worker_end *end)
{
    int status = 0, waited = 0;
    pid_t gone = 0;

    while (end->left && gone == 0 && waited < WORKER_LEAVE_MS) {
        if ((gone = waitpid(pid, &status, WNOHANG)) != 0) break;
        poll(NULL, 0, waited < 100 ? 1 : 20);
        waited += waited < 100 ? 1 : 20;
    }
    if (gone == pid) return status;
    if (end->left) kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return end->left ? end->exit_code << 8 : status; /* as a process that exits has it */
}

int worker_run(const struct worker_job *job, const struct run_watch *watch, struct worker_end *end)
{
    int fd = -1, status, rc;
    pid_t pid = -1;

    *end = (struct worker_end){.exit_code = -1};
    if ((rc = start(job, &pid, &fd)) < 0) return rc;
    listen_to(pid, fd, watch, end);
    close(fd);
    status = reap(pid, end);
    if (WIFSIGNALED(status))
        end->signal = WTERMSIG(status);
    else
        end->exit_code = WEXITSTATUS(status);
    return 0;
}
