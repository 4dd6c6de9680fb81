/* A worker thread whose failure text is carried over by the join. */
#ifndef IVF_THREAD_H
#define IVF_THREAD_H

#ifdef __cplusplus
extern "C" {
#endif

struct thread;

/* Runs body(arg) in a new thread; body returns 0 or a code with its text recorded. */
int thread_start(struct thread **out, int (*body)(void *arg), void *arg);

/* Waits; returns what body returned, with body's text as the caller's. Frees t. NULL gives 0. */
int thread_join(struct thread *t);

/* Processors this process may use (affinity and cgroup quota counted); at least 1. */
int thread_count(void);

#ifdef __cplusplus
}
#endif
#endif
