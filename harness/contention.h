/*
 * Whether what was timed had the processors to itself. Linux counts for each thread how long it was
 * ready to run and stood in line (the second number of /proc/self/task/<tid>/schedstat): because of
 * other programs, or of more threads than processors. A search beside others can be twenty times as
 * slow and just as steady, so the spread of its times does not tell.
 */
#ifndef IVF_CONTENTION_H
#define IVF_CONTENTION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CONTENTION_THREADS = 1024 }; /* those past it are not looked at */

/* Since their start, at one moment. */
struct contention {
    int64_t at_ns; /* clock_ns */
    int n;         /* threads; 0 where the kernel does not count */
    struct {
        int tid;
        int64_t waited_ns;
    } thread[CONTENTION_THREADS];
};

/* As of now, of all threads of this process. */
void contention_read(struct contention *out);

/*
 * The share of the time between two readings that the thread which waited longest spent waiting, 0 ... 1;
 * threads of a step wait for the last of them. 0 where nothing is known.
 */
double contention_share(const struct contention *from, const struct contention *to);

#ifdef __cplusplus
}
#endif
#endif
