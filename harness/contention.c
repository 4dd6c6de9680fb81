#include "harness/contention.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/clock.h"

/* What a thread has waited; -1: it is gone, or the kernel does not say. */
static int64_t waited_ns(int tid)
{
    long long ran, waited = -1;
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", tid);
    if (!(f = fopen(path, "r"))) return -1;
    if (fscanf(f, "%lld %lld", &ran, &waited) != 2) waited = -1;
    fclose(f);
    return waited;
}

void contention_read(struct contention *out)
{
    DIR *threads = opendir("/proc/self/task");
    struct dirent *entry;

    out->at_ns = clock_ns();
    out->n = 0;
    while (threads && out->n < CONTENTION_THREADS && (entry = readdir(threads))) {
        int tid = atoi(entry->d_name); /* 0: . and .. */
        int64_t waited = tid > 0 ? waited_ns(tid) : -1;

        if (waited < 0) continue;
        out->thread[out->n].tid = tid;
        out->thread[out->n++].waited_ns = waited;
    }
    if (threads) closedir(threads);
}

/* 0 for a thread that was not there yet. */
static int64_t waited_by(const struct contention *c, int tid)
{
    for (int i = 0; i < c->n; i++)
        if (c->thread[i].tid == tid) return c->thread[i].waited_ns;
    return 0;
}

double contention_share(const struct contention *from, const struct contention *to)
{
    int64_t longest = 0, ns = to->at_ns - from->at_ns;

    for (int i = 0; i < to->n; i++) {
        int64_t waited = to->thread[i].waited_ns - waited_by(from, to->thread[i].tid);

        if (waited > longest) longest = waited;
    }
    if (ns <= 0) return 0;
    return longest < ns ? (double)longest / (double)ns : 1;
}
