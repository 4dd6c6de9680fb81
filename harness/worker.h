/*
 * A group of trials in a process of its own: fork and exec of this very program with the hidden
 * verb `worker`. What takes the worker down (out of memory, a lost device, a bug) takes nobody
 * else; and the parent never opens a device. The worker writes its own rows; it tells of its
 * progress in lines through a pipe, and a worker whose parent is gone is killed by the kernel.
 */
#ifndef IVF_WORKER_H
#define IVF_WORKER_H

#include "harness/run.h"

#ifdef __cplusplus
extern "C" {
#endif

struct worker_job {
    const struct spec *spec; /* its text travels along, so that an edited file splits no run */
    const char *const *set;  /* --set values; nset of them */
    int nset;
    const char *db;
    const char *backend; /* that was planned with: what `auto` is must not change on the way */
    int64_t run;
    const struct group *group;
    const int *todo; /* trials by their number in the group; ntodo of them */
    int ntodo;
};

/* How a worker ended. */
struct worker_end {
    int exit_code;    /* as in cli.h; -1 where a signal ended it */
    int signal;       /* that ended it; 0: none */
    char fault[1024]; /* what it said was wrong with more than a trial; "" if nothing */
    int left;         /* it said goodbye, with exit_code */
};

/*
 * Runs the job and waits, handing on what the worker tells to watch. Signals are passed
 * on; a second one kills it. ERR_IO: the process could not be made.
 */
int worker_run(const struct worker_job *job, const struct run_watch *watch, struct worker_end *end);

/* The same lines from the other side: a watch that writes them to fd. */
struct worker_pipe {
    int fd;
    int64_t told_ns; /* when a stage was last told: not more often than is looked at */
};
struct run_watch worker_watch(struct worker_pipe *pipe);
void worker_tell_fault(const struct worker_pipe *pipe, const char *text);

/*
 * The worker's last words: it has done all it will do and ends with this exit code. What is left is
 * the process's own end, in which a device's driver has its part and may hang: the parent waits for
 * it WORKER_LEAVE_MS, then kills the process and goes by the code.
 */
void worker_tell_leave(const struct worker_pipe *pipe, int exit_code);

/* Hands one line (without its newline) to watch, or to end; 0, or ERR_FORMAT. Changes line. */
int worker_hear(char *line, const struct run_watch *watch, struct worker_end *end);

enum { WORKER_FD = 3 }; /* the pipe, in the worker */
enum { WORKER_LEAVE_MS = 5000 };

#ifdef __cplusplus
}
#endif
#endif
