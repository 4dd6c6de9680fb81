/*
 * How much memory a group of trials will need, before any of it is taken. The lists and a
 * search's scratch are the backend's own sums; training is what engine/ivf.c holds: the rows, as
 * they came and transformed, an assignment of each, centroids twice, for PQ the sampled residuals;
 * or, before that, what learns the transform.
 */
#include "harness/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/pq.h"
#include "engine/transform.h"
#include "kernels/kernels.h"

/* Blocks of the reading thread: one in use, two ahead, each of at least 16 MiB. */
enum { BLOCKS = 3, BLOCK_BYTES = 16 << 20 };

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Dimensions that the lists live in. */
static int d_out(const struct plan *p, const struct factory *f)
{
    return f->transform != TRANSFORM_NONE && f->d_out ? f->d_out : p->data.d;
}

static size_t training(const struct plan *p, const struct group *g)
{
    const struct factory *f = &g->trials->factory;
    size_t d = (size_t)d_out(p, f), rows = (size_t)g->train_rows;
    size_t sample = rows < PQ_TRAIN_MAX ? rows : PQ_TRAIN_MAX;
    size_t bytes = rows * (size_t)p->data.d * elem_bytes(p->data.elem);
    size_t transform =
        transform_train_bytes(f->transform, f->opq_m, p->data.d, (int)d, (int64_t)rows);
    size_t lists = rows * 8 + (size_t)f->nlist * (8 * d + 16);

    if (f->transform != TRANSFORM_NONE) lists += rows * d * sizeof(float);
    if (f->m) lists += sample * (8 * d + (size_t)f->m) + 8 * KSUB * d;
    return bytes + larger(transform, lists);
}

static size_t searching(const struct plan *p, const struct group *g, const struct lists_desc *lists,
                        const struct backend_ops *ops)
{
    size_t most = 0, nq = (size_t)p->data.nq;

    for (int i = 0; i < g->ntrials; i++) {
        const struct trial *t = &g->trials[i];
        int64_t batch = t->batch < p->data.nq ? t->batch : p->data.nq;

        if (t->skip) continue;
        most = larger(most, ops->search_bytes(lists, batch, t->k, t->nprobe, t->threads) +
                                nq * (size_t)t->k * (sizeof(float) + sizeof(vid)));
    }
    return most + nq * ((size_t)p->data.d * sizeof(float) + (size_t)p->data.truth_k * sizeof(vid));
}

void plan_estimate(const struct plan *p, struct group *g)
{
    const struct trial *t = g->trials;
    const struct transform transform = {.d_in = p->data.d, .d_out = d_out(p, &t->factory)};
    const struct lists_desc lists = {
        .d = transform.d_out,
        .nlist = t->factory.nlist,
        .m = t->factory.m,
        .storage = t->storage,
        .n = p->data.n,
        .transform = t->factory.transform == TRANSFORM_NONE ? NULL : &transform};
    size_t row = (size_t)p->data.d * elem_bytes(p->data.elem);
    const struct backend_ops *ops;

    g->train_bytes = g->index_bytes = g->search_bytes = 0;
    if (!p->data.d || !p->data.n) return;
    if (kernels_find(&ops, p->backend) < 0) return;
    g->train_bytes = training(p, g);
    g->index_bytes =
        ops->lists_bytes(&lists) + BLOCKS * larger(BLOCK_BYTES, row * (size_t)p->spec->add_batch);
    g->search_bytes = searching(p, g, &lists, ops);
}

size_t plan_peak(const struct group *g, const char **phase)
{
    size_t searched = g->index_bytes + g->search_bytes;

    *phase = g->train_bytes > searched ? "training" : "the index";
    return larger(g->train_bytes, searched);
}

/* The number that a cgroup file holds; 0 for "max", or where there is no such file. */
static size_t cgroup_bytes(const char *path)
{
    unsigned long long bytes = 0;
    FILE *f = fopen(path, "r");

    if (!f) return 0;
    if (fscanf(f, "%llu", &bytes) != 1) bytes = 0;
    fclose(f);
    return (size_t)bytes;
}

size_t plan_memory_limit(void)
{
    static const char *const files[] = {"/sys/fs/cgroup/memory.max",
                                        "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    size_t limit = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);

    for (int i = 0; i < 2; i++) {
        size_t bytes = cgroup_bytes(files[i]);

        if (bytes && bytes < limit) limit = bytes;
    }
    return limit;
}

struct shown plan_bytes(size_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double amount = (double)bytes;
    struct shown out;
    int unit = 0;

    for (; amount >= 1024 && unit < 6; unit++)
        amount /= 1024;
    snprintf(out.s, sizeof out.s, unit ? "%.1f %s" : "%.0f %s", amount, units[unit]);
    return out;
}
