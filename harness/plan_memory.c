/*
 * How much memory each phase of a group will hold, before any of it is taken, the host's apart from
 * a device's own. What lists, filling them, a search and the steps take are the backend's own sums;
 * the rest is what harness/build.c and the engine hold beside them: on the device what comes from
 * the backend's alloc, on the host what comes from mem_new. Memory counts once it is touched, as machine_peak_bytes counts.
 * Left out is what any process of ours has: code, BLAS and its threads, the store (some 20 MiB); on
 * a device what its driver takes for itself.
 */
#include "harness/plan.h"

#include <stdio.h>
#include <string.h>

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

int64_t plan_maker_rows(const struct plan *p)
{
    int64_t rows = p->data.n > p->data.nt ? p->data.n : p->data.nt, most;

    if (strcmp(p->spec->dataset.name, "synthetic") != 0) return 0;
    most = PLAN_BLOCK_BYTES / p->data.d;
    if (most < 1) most = 1;
    return rows < most ? rows : most;
}

int plan_truth_k(const struct plan *p)
{
    int k = TRUTH_DEPTH;

    for (int i = 0; i < p->ntrials; i++)
        if (p->trials[i].k > k) k = p->trials[i].k;
    if (p->data.n < k) k = (int)p->data.n;
    return p->data.truth_k && p->data.truth_k < k ? p->data.truth_k : k;
}

/* ---- two kinds of memory ---- */

static struct footprint on_host(size_t bytes)
{
    return (struct footprint){.host = bytes};
}

static struct footprint both(struct footprint a, struct footprint b)
{
    return (struct footprint){a.host + b.host, a.device + b.device};
}

/* Never at the same time. */
static struct footprint either(struct footprint a, struct footprint b)
{
    return (struct footprint){larger(a.host, b.host), larger(a.device, b.device)};
}

/* ---- what several phases hold ---- */

/* The group's data and index; none of it is taken. */
struct sizes {
    const struct plan *p;
    const struct factory *f;
    const struct backend_ops *ops;
    struct transform transform;
    struct lists_desc lists;
    int threads;
    int64_t train_rows;
    size_t row;   /* bytes of a vector as the data has it */
    size_t d;     /* of the lists */
    size_t q;     /* bytes of all queries */
    size_t truth; /* ... and of their true neighbours, with distances where these are computed */
};

static struct sizes sizes_of(const struct plan *p, const struct group *g)
{
    const struct trial *t = g->trials;
    const struct factory *f = &t->factory;
    struct sizes z = {.p = p, .f = f, .threads = t->threads, .train_rows = g->train_rows};
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

/* What comes from the backend's alloc, or is its own. */
static struct footprint on_device(const struct sizes *z, size_t bytes)
{
    return z->ops->host_bytes ? (struct footprint){.device = bytes} : on_host(bytes);
}

/* The model as the index keeps it beside the lists' own copy, and centroids that were given. */
static size_t model_bytes(const struct sizes *z)
{
    size_t coarse = (size_t)z->f->nlist * z->d, books = z->f->m ? KSUB * z->d : 0;
    size_t transform = z->f->transform == TRANSFORM_NONE ? 0 : (size_t)z->p->data.d * z->d;

    return (coarse * (z->p->centroids.nlist ? 2 : 1) + books + transform) * sizeof(float);
}

/* In every phase: the model, the queries, and with a device what its backend has of the host's
   memory and a block of rows that it makes. */
static struct footprint always(const struct sizes *z)
{
    struct footprint f = on_host(model_bytes(z) + z->q);

    if (!z->ops->host_bytes) return f;
    f.host += z->ops->host_bytes();
    if (z->ops->synthesize) f.device += (size_t)(plan_maker_rows(z->p) * z->p->data.d);
    return f;
}

/* Blocks that the reader has in flight, and what it unpacks a file's own layout from. */
static size_t stream_bytes(const struct sizes *z, int64_t rows)
{
    return (STREAM_BLOCKS + 1) * (size_t)rows * z->row;
}

/* What the steps of training take for themselves. */
static size_t train_step_bytes(const struct sizes *z)
{
    int d = z->p->data.d > z->lists.d ? z->p->data.d : z->lists.d;
    int m = z->f->m > z->f->opq_m ? z->f->m : z->f->opq_m;

    return z->ops->train_bytes(d, z->f->nlist, m, z->train_rows, z->threads);
}

static size_t knn_step_bytes(const struct sizes *z)
{
    return z->ops->knn_bytes(z->p->data.d, plan_truth_k(z->p), z->threads);
}

/* ---- training ---- */

/* Centroids, who is nearest to which and how many; how they begin, and how many on the host. */
static struct footprint kmeans_bytes(const struct sizes *z)
{
    size_t rows = (size_t)z->train_rows, nlist = (size_t)z->f->nlist;

    return both(
        on_device(z, rows * sizeof(int32_t) + nlist * (z->d * sizeof(float) + sizeof(int64_t))),
        on_host((rows + nlist) * sizeof(int64_t)));
}

/* Codebooks: the sample, its assignment and codes, centroids, books and what they begin with, their
   counts; who was drawn, of the rows or of the sample, and the books' beginning. */
static struct footprint books_bytes(const struct sizes *z)
{
    size_t rows = (size_t)z->train_rows, sample = rows < PQ_TRAIN_MAX ? rows : PQ_TRAIN_MAX;
    size_t m = (size_t)z->f->m, counts = m * KSUB * sizeof(int64_t);

    if (!m) return on_host(0);
    return both(on_device(z, sample * (z->d * sizeof(float) + sizeof(int32_t) + m) +
                                 ((size_t)z->f->nlist + 2 * KSUB) * z->d * sizeof(float) + counts),
                on_host(rows * sizeof(int64_t) + KSUB * z->d * sizeof(float) + counts));
}

static struct footprint transform_bytes(const struct sizes *z)
{
    size_t host, device;

    transform_train_bytes(z->f->transform, z->f->opq_m, z->p->data.d, z->lists.d, z->train_rows,
                          &host, &device);
    return both(on_host(host), on_device(z, device));
}

/* While the training rows are read: the reader's blocks, or who was drawn and one block. */
static struct footprint reading_bytes(const struct sizes *z, const struct group *g)
{
    if (!g->train_sampled) return on_host(stream_bytes(z, PLAN_BLOCK_BYTES / (int64_t)z->row));
    return on_host((size_t)g->train_rows * sizeof(int64_t) + PLAN_BLOCK_BYTES);
}

/* With given centroids and no codes there is nothing left to learn. */
static int learns(const struct sizes *z)
{
    return !z->p->centroids.nlist || z->f->m;
}

/* The rows as they came, then: what reads them, what learns a transform, what learns the lists. */
static struct footprint training(const struct sizes *z, const struct group *g)
{
    size_t rows = (size_t)z->train_rows;
    struct footprint lists, learning;

    if (!learns(z)) return always(z);
    lists = either(kmeans_bytes(z), books_bytes(z));
    if (z->f->transform != TRANSFORM_NONE)
        lists = both(lists, on_device(z, rows * z->d * sizeof(float)));
    learning = both(either(lists, transform_bytes(z)), on_device(z, train_step_bytes(z)));
    return both(both(always(z), on_device(z, rows * z->row)),
                either(reading_bytes(z, g), learning));
}

/* ---- filling and searching ---- */

/* Brute force: queries and answers of its own; how the answers begin. */
static struct footprint brute_bytes(const struct sizes *z)
{
    if (z->p->data.truth_k) return on_host(0); /* a few queries check it */
    return both(on_device(z, z->q + z->truth), on_host(z->truth));
}

static struct footprint index_bytes(const struct sizes *z)
{
    return both(always(z), on_device(z, z->ops->lists_bytes(&z->lists)));
}

/*
 * What steps took for themselves and a device keeps for the next ones, whatever they are. On the
 * host they have given it back.
 */
static struct footprint kept(const struct sizes *z)
{
    if (!z->ops->host_bytes) return on_host(0);
    return on_device(z, larger(learns(z) ? train_step_bytes(z) : 0, knn_step_bytes(z)));
}

/* What fills the lists and what finds the truth: at once on the host, on a device in turns. */
static struct footprint filling_steps(const struct sizes *z)
{
    struct footprint fill = on_device(z, z->ops->fill_bytes(&z->lists)), brute = brute_bytes(z);

    if (!z->ops->host_bytes) return both(both(fill, brute), on_host(knn_step_bytes(z)));
    return either(fill, both(kept(z), brute));
}

static struct footprint filling(const struct sizes *z)
{
    size_t stream = stream_bytes(z, plan_block_rows(z->p));

    return both(both(index_bytes(z), filling_steps(z)), on_host(z->truth + stream));
}

/* What the searches of the group that are like s take: run.c makes room for the largest. */
static size_t search_bytes(const struct sizes *z, const struct group *g, struct search_desc s)
{
    for (int i = 0; i < g->ntrials; i++) {
        struct search_desc other = plan_search(z->p, &g->trials[i]);

        if (!g->trials[i].skip) plan_search_widen(&s, &other);
    }
    return z->ops->search_bytes(&z->lists, &s, z->threads);
}

/* The most of those with different options, of which run.c holds one at a time. */
static size_t search_step_bytes(const struct sizes *z, const struct group *g)
{
    struct search_desc last = {0};
    size_t most = 0;

    for (int i = 0; i < g->ntrials; i++) {
        struct search_desc s = plan_search(z->p, &g->trials[i]);

        if (g->trials[i].skip || (last.k && plan_search_alike(&s, &last))) continue;
        most = larger(most, search_bytes(z, g, s));
        last = s;
    }
    return most;
}

/* The lists, a search as large as any of the group's, answers twice and what judges them. */
static struct footprint searching(const struct sizes *z, const struct group *g)
{
    size_t nq = (size_t)z->p->data.nq, answers, evaluation;
    int k = 1;

    for (int i = 0; i < g->ntrials; i++)
        if (!g->trials[i].skip && g->trials[i].k > k) k = g->trials[i].k;
    answers = nq * (size_t)k * (NEIGHBOUR + sizeof(vid));
    evaluation = nq * (3 * sizeof(uint16_t) + (1 + TIE_RANK) * sizeof(float));
    return both(both(index_bytes(z), kept(z)),
                both(on_device(z, g->search_step), on_host(z->truth + answers + evaluation)));
}

void plan_estimate(const struct plan *p, struct group *g)
{
    struct sizes z = sizes_of(p, g);

    g->train = g->fill = g->search = (struct footprint){0};
    g->search_step = 0;
    if (!p->data.d || !p->data.n || kernels_find(&z.ops, p->backend) < 0) return;
    if (z.f->transform != TRANSFORM_NONE) z.lists.transform = &z.transform;
    g->train = training(&z, g);
    g->fill = filling(&z);
    g->search_step = search_step_bytes(&z, g);
    g->search = searching(&z, g);
}

static size_t peak(size_t train, size_t fill, size_t search, const char **phase)
{
    size_t held = larger(fill, search);

    *phase = fill < search ? "searching" : "the index";
    if (train > held) *phase = "training";
    return larger(train, held);
}

size_t plan_peak_host(const struct group *g, const char **phase)
{
    return peak(g->train.host, g->fill.host, g->search.host, phase);
}

size_t plan_peak_device(const struct group *g, const char **phase)
{
    return peak(g->train.device, g->fill.device, g->search.device, phase);
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
