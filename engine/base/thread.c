#include "engine/base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"

struct thread {
    pthread_t handle;
    int (*body)(void *arg);
    void *arg;
    int rc;
    char text[1024];
};

static void *enter(void *arg)
{
    struct thread *t = arg;

    if ((t->rc = t->body(t->arg)) < 0) snprintf(t->text, sizeof t->text, "%s", fail_text());
    return NULL;
}

int thread_start(struct thread **out, int (*body)(void *arg), void *arg)
{
    struct thread *t = mem_new(1, sizeof *t);
    int err;

    if (!t) return ERR_NOMEM;
    t->body = body;
    t->arg = arg;
    if ((err = pthread_create(&t->handle, NULL, enter, t))) {
        mem_free(t);
        return fail_errno(ERR_NOMEM, err, "cannot start a thread");
    }
    *out = t;
    return 0;
}

int thread_join(struct thread *t)
{
    int rc;

    if (!t) return 0;
    pthread_join(t->handle, NULL);
    if ((rc = t->rc) < 0) fail(rc, "%s", t->text);
    mem_free(t);
    return rc;
}

/* The cgroup v2 quota in whole processors, rounded up; 0 where there is none. */
static int cgroup_quota(void)
{
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    long long quota, period;
    int cpus = 0;

    if (!f) return 0;
    if (fscanf(f, "%lld %lld", &quota, &period) == 2 && period > 0)
        cpus = (int)((quota + period - 1) / period);
    fclose(f);
    return cpus;
}

int thread_count(void)
{
    int cpus = 1, quota = cgroup_quota();
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0) cpus = CPU_COUNT(&set);
    return quota > 0 && quota < cpus ? quota : cpus;
}
