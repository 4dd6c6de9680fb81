#include "tests/bench_data.h"

#include <math.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/base/rand.h"
#include "engine/base/text.h"
#include "engine/rowwriter.h"

enum { BLOCK = 1 << 20 };   /* rows made at once */
enum { STRETCH = 1 << 10 }; /* of them, by one thread */
enum { SEED = 1, FAR = 1 << 30 };

static const float JITTER = 2.0f;         /* deviation, of float rows before they are normalised */
static const float CENTROID_JITTER = .3f; /* the same of centroids */

int bench_set_open(struct bench_set *out, enum elem elem, int d)
{
    *out = (struct bench_set){.elem = elem, .d = d};
    return synthetic_create(&out->s, SEED, d);
}

void bench_set_close(struct bench_set *set)
{
    synthetic_free(set->s);
    mem_free(set->base);
    mem_free(set->q);
    *set = (struct bench_set){0};
}

/* ---- rows ---- */

/* Of about a normal distribution: mean 0, deviation 1. Two values a word of 64 bits. */
static float normal(uint64_t stream, int64_t row, int j)
{
    uint64_t word = rand_hash(stream, (uint64_t)row << 16 | (uint64_t)j / 2) >> (j % 2 ? 32 : 0);
    int sum = (int)((word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24 & 255));

    return (float)(sum - 510) / 148;
}

static void jitter_row(const uint8_t *u8, int d, uint64_t stream, int64_t row, float size, float *x)
{
    for (int j = 0; j < d; j++)
        x[j] = (float)u8[j] + size * normal(stream, row, j);
}

static void normalise_row(float *x, int d)
{
    double squares = 0;
    float scale;

    for (int j = 0; j < d; j++)
        squares += (double)x[j] * x[j];
    scale = squares > 0 ? (float)(1 / sqrt(squares)) : 0;
    for (int j = 0; j < d; j++)
        x[j] *= scale;
}

/* u8 rows by all threads of the host. */
static void host_rows(const struct bench_set *set, enum part part, int64_t first, int64_t rows,
                      uint8_t *dst)
{
#pragma omp parallel for schedule(dynamic)
    for (int64_t i = 0; i < rows; i += STRETCH)
        synthetic_rows(set->s, part, first + i, rows - i < STRETCH ? rows - i : STRETCH,
                       dst + i * set->d);
}

/* u8 rows by the device, which has a generator of its own. */
static int device_rows(const struct bench_set *set, struct backend *b, enum part part,
                       int64_t first, int64_t rows, uint8_t *dst)
{
    struct mat x = {.elem = ELEM_U8, .rows = rows, .d = set->d};
    size_t bytes = (size_t)(rows * set->d);
    int rc;

    if ((rc = b->ops->alloc(b, &x.data, bytes)) < 0) return rc;
    if ((rc = b->ops->synthesize(b, set->s, part, first, &x)) == 0)
        rc = b->ops->download(b, dst, x.data, 0, bytes);
    b->ops->release(b, &x.data);
    return rc;
}

static int u8_rows(const struct bench_set *set, const struct bench *t, enum part part,
                   int64_t first, int64_t rows, uint8_t *dst)
{
    if (t->b->ops->synthesize) return device_rows(set, t->b, part, first, rows, dst);
    host_rows(set, part, first, rows, dst);
    return 0;
}

static int f32_rows(const struct bench_set *set, const struct bench *t, enum part part,
                    int64_t first, int64_t rows, float *dst)
{
    uint64_t stream = rand_hash(SEED, 100 + (uint64_t)part);
    uint8_t *u8 = mem_new(rows * set->d, 1);
    int rc = ERR_NOMEM;

    if (!u8 || (rc = u8_rows(set, t, part, first, rows, u8)) < 0) goto out;
#pragma omp parallel for
    for (int64_t i = 0; i < rows; i++) {
        jitter_row(u8 + i * set->d, set->d, stream, first + i, JITTER, dst + i * set->d);
        normalise_row(dst + i * set->d, set->d);
    }
out:
    mem_free(u8);
    return rc;
}

int bench_rows(const struct bench_set *set, const struct bench *t, enum part part, int64_t first,
               int64_t rows, void *dst)
{
    int rc = 0;

    for (int64_t i = 0; i < rows && rc == 0; i += BLOCK) {
        int64_t some = rows - i < BLOCK ? rows - i : BLOCK;

        rc = set->elem == ELEM_U8
                 ? u8_rows(set, t, part, first + i, some, (uint8_t *)dst + i * set->d)
                 : f32_rows(set, t, part, first + i, some, (float *)dst + i * set->d);
    }
    return rc;
}

int bench_set_fill(struct bench_set *set, const struct bench *t, int64_t n, int64_t nq)
{
    uint8_t *q = NULL;
    int rc = ERR_NOMEM;

    if (set->n < n) {
        mem_free(set->base);
        set->n = 0;
        if (!(set->base = mem_new(n * set->d, elem_bytes(set->elem)))) return ERR_NOMEM;
        if ((rc = bench_rows(set, t, PART_BASE, 0, n, set->base)) < 0) return rc;
        set->n = n;
    }
    if (set->nq == nq) return 0;
    mem_free(set->q);
    set->nq = 0;
    if (!(set->q = mem_new(nq * set->d, sizeof *set->q))) goto out;
    if (!(q = mem_new(nq * set->d, elem_bytes(set->elem)))) goto out;
    if ((rc = bench_rows(set, t, PART_QUERY, 0, nq, q)) < 0) goto out;
    elem_to_floats(set->elem, q, nq * set->d, set->q);
    set->nq = nq;
out:
    mem_free(q);
    return rc;
}

/* ---- on the device ---- */

int bench_mat(const struct bench_set *set, const struct bench *t, int64_t rows, struct mat *out)
{
    const struct backend_ops *ops = t->b->ops;
    size_t row = (size_t)set->d * elem_bytes(set->elem);
    void *x = NULL;
    int rc;

    *out = (struct mat){.elem = set->elem, .rows = rows, .d = set->d};
    if ((rc = ops->alloc(t->b, &out->data, (size_t)rows * row)) < 0) return rc;
    if (set->elem == ELEM_U8 && ops->synthesize)
        return ops->synthesize(t->b, set->s, PART_LEARN, 0, out);
    if (!(x = mem_new(BLOCK, row))) return ERR_NOMEM;
    for (int64_t i = 0; i < rows && rc == 0; i += BLOCK) {
        int64_t some = rows - i < BLOCK ? rows - i : BLOCK;

        if ((rc = bench_rows(set, t, PART_LEARN, i, some, x)) < 0) break;
        rc = ops->upload(t->b, out->data, (size_t)i * row, x, (size_t)some * row);
    }
    mem_free(x);
    return rc;
}

int bench_centroids(const struct bench_set *set, const struct bench *t, int64_t nlist, float **out,
                    struct mat *on_device)
{
    const struct backend_ops *ops = t->b->ops;
    size_t bytes = (size_t)(nlist * set->d) * sizeof(float);
    uint8_t *u8 = NULL;
    float *c = mem_new(nlist * set->d, sizeof *c);
    int rc = ERR_NOMEM;

    *on_device = (struct mat){.elem = ELEM_F32, .rows = nlist, .d = set->d};
    if (!c || !(u8 = mem_new(nlist * set->d, 1))) goto out;
    if ((rc = u8_rows(set, t, PART_LEARN, FAR, nlist, u8)) < 0) goto out;
    for (int64_t j = 0; j < nlist; j++) {
        jitter_row(u8 + j * set->d, set->d, SEED, j, CENTROID_JITTER, c + j * set->d);
        if (set->elem == ELEM_F32) normalise_row(c + j * set->d, set->d);
    }
    if ((rc = ops->alloc(t->b, &on_device->data, bytes)) < 0) goto out;
    if ((rc = ops->upload(t->b, on_device->data, 0, c, bytes)) < 0) goto out;
    *out = c;
    c = NULL;
out:
    mem_free(u8);
    mem_free(c);
    return rc;
}

/* ---- files ---- */

static int write_cells(const struct bench_set *set, const struct bench *t, const char *name,
                       enum cell cell, const void *x, int64_t rows, int cells)
{
    struct rowwriter *w = NULL;
    struct text path = {0};
    int rc;

    text_addf(&path, "%s/%s_%d_%s.npy", t->folder, elem_name(set->elem), set->d, name);
    if ((rc = text_failed(&path)) < 0) goto out;
    if ((rc = rowwriter_create(&w, text_get(&path), cell, rows, cells)) < 0) goto out;
    if ((rc = rowwriter_add(w, x, rows)) < 0) {
        rowwriter_discard(w);
        goto out;
    }
    rc = rowwriter_commit(w);
out:
    text_clear(&path);
    return rc;
}

int bench_write(const struct bench_set *set, const struct bench *t, const char *name,
                enum elem elem, const void *x, int64_t rows)
{
    return write_cells(set, t, name, (enum cell)elem, x, rows, set->d);
}

int bench_write_ids(const struct bench_set *set, const struct bench *t, const char *name,
                    const vid *ids, int64_t rows, int k)
{
    return write_cells(set, t, name, CELL_I64, ids, rows, k);
}

int bench_write_base(struct bench_set *set, const struct bench *t, int64_t n)
{
    int rc = bench_write(set, t, "query", ELEM_F32, set->q, set->nq);

    if (rc < 0 || set->written >= n) return rc;
    if ((rc = bench_write(set, t, "base", set->elem, set->base, n)) == 0) set->written = n;
    return rc;
}
