/*
 * How much memory each phase of a group will hold, before any of it is taken. What lists, filling
 * them, a search and brute force take are the backend's own sums; the rest is what harness/build.c
 * and engine/ivf.c hold beside them. Memory counts once it is touched, as machine_peak_bytes counts.
 * Left out is what any process of ours has: code, BLAS and its threads, the store (some 20 MiB).
 */
#include "harness/plan.h"

#include <stdio.h>

#include "engine/pq.h"
#include "engine/transform.h"
#include "harness/evaluate.h"
#include "harness/machine.h"
#include "kernels/kernels.h"

enum { TRUTH_DEPTH = 100 }; /* neighbours found where no k of the plan asks for more */

/* Of a true neighbour, or an answer. */
enum { NEIGHBOUR = sizeof(float) + sizeof(vid) };

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

int64_t plan_block_rows(const struct plan *p)
{
    int64_t row = (int64_t)elem_bytes(p->data.elem) * p->data.d, rows = PLAN_BLOCK_BYTES / row;

    if (rows > p->spec->add_batch) rows = p->spec->add_batch;
    if (rows > p->data.n) rows = p->data.n;
    return rows < 1 ? 1 : rows;
}

int plan_truth_k(const struct plan *p)
{
    int k = TRUTH_DEPTH;

    for (int i = 0; i < p->ntrials; i++)
        if (p->trials[i].k > k) k = p->trials[i].k;
    if (p->data.n < k) k = (int)p->data.n;
    return p->data.truth_k && p->data.truth_k < k ? p->data.truth_k : k;
}

/* ---- what several phases hold ---- */

/* The group's data and index; none of it is taken. */
struct sizes {
    const struct plan *p;
    const struct factory *f;
    const struct backend_ops *ops;
    struct transform transform;
    struct lists_desc lists;
    size_t row;   /* bytes of a vector as the data has it */
    size_t d;     /* of the lists */
    size_t q;     /* bytes of all queries */
    size_t truth; /* ... and of their true neighbours, with distances where these are computed */
};

static struct sizes sizes_of(const struct plan *p, const struct group *g)
{
    const struct trial *t = g->trials;
    const struct factory *f = &t->factory;
    struct sizes z = {.p = p, .f = f};
    size_t neighbour = p->data.truth_k ? sizeof(vid) : NEIGHBOUR;

    z.transform = (struct transform){.d_in = p->data.d, .d_out = p->data.d};
    if (f->transform != TRANSFORM_NONE && f->d_out) z.transform.d_out = f->d_out;
    z.lists = (struct lists_desc){.d = z.transform.d_out,
                                  .nlist = f->nlist,
                                  .m = f->m,
                                  .storage = t->storage,
                                  .n = p->data.n};
    z.row = (size_t)p->data.d * elem_bytes(p->data.elem);
    z.d = (size_t)z.transform.d_out;
    z.q = (size_t)p->data.nq * (size_t)p->data.d * sizeof(float);
    z.truth = (size_t)p->data.nq * (size_t)plan_truth_k(p) * neighbour;
    return z;
}

/* The model as the index keeps it beside the lists' own copy, and centroids that were given. */
static size_t model_bytes(const struct sizes *z)
{
    size_t coarse = (size_t)z->f->nlist * z->d, books = z->f->m ? KSUB * z->d : 0;
    size_t transform = z->f->transform == TRANSFORM_NONE ? 0 : (size_t)z->p->data.d * z->d;

    return (coarse * (z->p->centroids.nlist ? 2 : 1) + books + transform) * sizeof(float);
}

/* Blocks that the reader has in flight, and what it unpacks a file's own layout from. */
static size_t stream_bytes(const struct sizes *z, int64_t rows)
{
    return (STREAM_BLOCKS + 1) * (size_t)rows * z->row;
}

/* ---- the phases ---- */

/* k-means: a permutation and an assignment of the rows, the rows by list, centroids and counts. */
static size_t kmeans_bytes(const struct sizes *z, size_t rows)
{
    return rows * (2 * sizeof(int64_t) + sizeof(int32_t)) +
           (size_t)z->f->nlist * (z->d * sizeof(float) + 3 * sizeof(int64_t) + sizeof(float));
}

/* Codebooks: who was drawn, the sample, its assignment, codes and start; centroids, books thrice. */
static size_t books_bytes(const struct sizes *z, size_t rows)
{
    size_t sample = rows < PQ_TRAIN_MAX ? rows : PQ_TRAIN_MAX, m = (size_t)z->f->m;

    return rows * sizeof(int64_t) + (size_t)z->f->nlist * z->d * sizeof(float) +
           sample * (z->d * sizeof(float) + sizeof(int32_t) + m + sizeof(int64_t)) +
           3 * KSUB * z->d * sizeof(float);
}

/* While the training rows are read: the reader's blocks, or who was drawn and one block. */
static size_t reading_bytes(const struct sizes *z, const struct group *g)
{
    if (!g->train_sampled) return stream_bytes(z, PLAN_BLOCK_BYTES / (int64_t)z->row);
    return (size_t)g->train_rows * sizeof(int64_t) + PLAN_BLOCK_BYTES;
}

/* The rows as they came, then: what reads them, what learns a transform, what learns the lists. */
static size_t training(const struct sizes *z, const struct group *g)
{
    const struct factory *f = z->f;
    size_t rows = (size_t)g->train_rows, held = model_bytes(z) + z->q, lists;

    if (z->p->centroids.nlist && !f->m) return held; /* nothing is left to learn */
    lists = larger(kmeans_bytes(z, rows), f->m ? books_bytes(z, rows) : 0);
    if (f->transform != TRANSFORM_NONE) lists += rows * z->d * sizeof(float);
    return held + rows * z->row +
           larger(reading_bytes(z, g),
                  larger(lists, transform_train_bytes(f->transform, f->opq_m, z->p->data.d,
                                                      z->lists.d, g->train_rows)));
}

/* The lists and what fills them; brute force: queries and answers of its own, then unfilled. */
static size_t filling(const struct sizes *z, const struct group *g)
{
    const struct plan *p = z->p;
    int k = plan_truth_k(p);
    size_t brute = p->data.truth_k ? 0 : z->q + 2 * z->truth;

    return model_bytes(z) + z->q + z->truth + brute + z->ops->lists_bytes(&z->lists) +
           z->ops->fill_bytes(&z->lists) + stream_bytes(z, plan_block_rows(p)) +
           z->ops->knn_bytes(p->data.d, k, g->trials->threads);
}

/* The lists, a search as large as any of the group's, answers twice and what judges them. */
static size_t searching(const struct sizes *z, const struct group *g)
{
    size_t nq = (size_t)z->p->data.nq, answers, evaluation;
    int64_t batch = 1;
    int k = 1, nprobe = 1;

    for (int i = 0; i < g->ntrials; i++) {
        const struct trial *t = &g->trials[i];

        if (t->skip) continue;
        batch = t->batch > batch ? t->batch : batch;
        k = t->k > k ? t->k : k;
        nprobe = t->nprobe > nprobe ? t->nprobe : nprobe;
    }
    if (batch > z->p->data.nq) batch = z->p->data.nq;
    answers = nq * (size_t)k * (NEIGHBOUR + sizeof(vid));
    evaluation = nq * (3 * sizeof(uint16_t) + (1 + TIE_RANK) * sizeof(float));
    return model_bytes(z) + z->q + z->truth + answers + evaluation +
           z->ops->lists_bytes(&z->lists) +
           z->ops->search_bytes(&z->lists, batch, k, nprobe, g->trials->threads);
}

void plan_estimate(const struct plan *p, struct group *g)
{
    struct sizes z = sizes_of(p, g);

    g->train_bytes = g->fill_bytes = g->search_bytes = 0;
    if (!p->data.d || !p->data.n || kernels_find(&z.ops, p->backend) < 0) return;
    if (z.f->transform != TRANSFORM_NONE) z.lists.transform = &z.transform;
    g->train_bytes = training(&z, g);
    g->fill_bytes = filling(&z, g);
    g->search_bytes = searching(&z, g);
}

size_t plan_peak(const struct group *g, const char **phase)
{
    size_t held = larger(g->fill_bytes, g->search_bytes);

    *phase = g->fill_bytes < g->search_bytes ? "searching" : "the index";
    if (g->train_bytes > held) *phase = "training";
    return larger(g->train_bytes, held);
}

size_t plan_memory_limit(void)
{
    return (size_t)machine_memory_bytes();
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
