/*
 * Filling the lists takes two passes over the data: the first assigns and counts, so that the
 * arena can be taken once and at its exact size; the second encodes and puts each row at its
 * place. A second read of the data costs less than twice the memory, or than lists that grow.
 */
#include "kernels/cpu/lists.h"

#include <assert.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "kernels/cpu/codes.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/rows.h"

enum { TILE = 64 };             /* rows a thread takes at a time */
enum { TRANSFORMED = 8 << 20 }; /* bytes of transformed rows held at once, or one row */

/* Rows of a block that are transformed at once. */
static int64_t transformed_rows(int d)
{
    int64_t rows = TRANSFORMED / ((int64_t)d * (int64_t)sizeof(float));

    return rows < 1 ? 1 : rows;
}

static int row_bytes_of(const struct lists_desc *desc)
{
    return desc->m ? desc->m : desc->d * (int)elem_bytes(desc->storage);
}

static int ids_fit_32(vid max_id)
{
    return max_id <= (vid)UINT32_MAX;
}

size_t cpu_lists_bytes(const struct lists_desc *desc)
{
    size_t n = (size_t)desc->n, model = (size_t)desc->nlist * ((size_t)desc->d + 1) * 4;

    if (desc->m) model += 2 * (size_t)KSUB * (size_t)desc->d * 4;
    if (desc->transform) model += applier_bytes(desc->transform->d_in, desc->d);
    /* besides the row: its id, its norm and a share of `nearby` */
    return model + n * ((size_t)row_bytes_of(desc) + (ids_fit_32(desc->n - 1) ? 4 : 8)) + n * 4 +
           n * 4 / LISTS_STRIDE + (size_t)desc->nlist * sizeof(int64_t);
}

/* The list of every vector is not among it: norms, of the same size, take its place. */
size_t cpu_fill_bytes(const struct lists_desc *desc)
{
    size_t transformed = (size_t)transformed_rows(desc->d) * (size_t)desc->d * sizeof(float);

    return (size_t)desc->nlist * sizeof(int64_t) + (desc->transform ? transformed : 0);
}

void cpu_lists_free(struct backend *b, struct lists *l)
{
    (void)b;
    if (!l) return;
    applier_free(l->applier);
    mem_free(l->coarse);
    mem_free(l->coarse_norm);
    mem_free(l->books);
    mem_free(l->books_t);
    mem_free(l->list_of);
    mem_free(l->offset);
    mem_free(l->cursor);
    mem_free(l->rows);
    mem_free(l->ids32);
    mem_free(l->ids64);
    mem_free(l->norm);
    mem_free(l->nearby);
    scratch_free(l->scratch);
    mem_free(l);
}

/* The longest a residual can be as its code has it: per slice, the longest codeword. */
static double longest_code(const struct lists *l)
{
    double total = 0;

    for (int s = 0; s < l->desc.m; s++) {
        double longest = 0;

        for (int c = 0; c < KSUB; c++) {
            const float *w = l->books + ((int64_t)s * KSUB + c) * l->dsub;
            double sum = 0;

            for (int j = 0; j < l->dsub; j++)
                sum += (double)w[j] * w[j];
            longest = fmax(longest, sum);
        }
        total += longest;
    }
    return sqrt(total);
}

static int copy_coarse(struct lists *l, const float *coarse)
{
    int64_t n = l->desc.nlist * l->desc.d;
    float max = 0;

    if (!(l->coarse = mem_new(n, sizeof(float)))) return ERR_NOMEM;
    if (!(l->coarse_norm = mem_new(l->desc.nlist, sizeof(float)))) return ERR_NOMEM;
    memcpy(l->coarse, coarse, (size_t)n * sizeof(float));
    rows_norms(l->coarse, l->desc.nlist, l->desc.d, l->coarse_norm);
    for (int64_t j = 0; j < l->desc.nlist; j++)
        max = l->coarse_norm[j] > max ? l->coarse_norm[j] : max;
    l->coarse_max = sqrt(max) * (1 + 1e-3); /* the norm's own rounding, at any d */
    l->coarse_whole = rows_whole(l->coarse, n);
    return 0;
}

static int copy_books(struct lists *l, const float *books)
{
    int64_t n = (int64_t)KSUB * l->desc.d;

    if (!l->desc.m) return 0;
    if (!(l->books = mem_new(n, sizeof(float)))) return ERR_NOMEM;
    if (!(l->books_t = mem_new(n, sizeof(float)))) return ERR_NOMEM;
    memcpy(l->books, books, (size_t)n * sizeof(float));
    codes_transpose(books, l->desc.m, l->dsub, l->books_t);
    l->max_norm = l->coarse_max + longest_code(l);
    return 0;
}

int cpu_lists_create(struct backend *b, struct lists **out, const struct lists_desc *desc,
                     const float *coarse, const float *books)
{
    struct lists *l = NULL;
    int rc = ERR_NOMEM;

    assert(desc->nlist > 0 && desc->nlist < INT32_MAX && (!desc->m || books));
    if (!(l = mem_new(1, sizeof *l))) goto out;
    l->desc = *desc;
    l->desc.transform = NULL;
    l->d_in = desc->transform ? desc->transform->d_in : desc->d;
    l->row_bytes = row_bytes_of(desc);
    l->dsub = desc->m ? desc->d / desc->m : 0;
    l->whole = desc->m == 0;
    if (desc->transform && (rc = applier_create(&l->applier, desc->transform)) < 0) goto out;
    if ((rc = copy_coarse(l, coarse)) < 0) goto out;
    if ((rc = copy_books(l, books)) < 0) goto out;
    rc = ERR_NOMEM;
    if (!(l->offset = mem_new(desc->nlist + 1, sizeof *l->offset))) goto out;
    if (!(l->cursor = mem_new(desc->nlist, sizeof *l->cursor))) goto out;
    if (!(l->list_of = mem_new(desc->n, sizeof *l->list_of))) goto out;
    *out = l;
    l = NULL;
    rc = 0;
out:
    cpu_lists_free(b, l);
    return rc;
}

int cpu_lists_passes(const struct lists *l)
{
    (void)l;
    return 2;
}

/* ---- the first pass: which list, and how long they get ---- */

/* A row as it came, as fp32, and as the lists will keep it. */
struct row_space {
    float *v;     /* [d] */
    void *stored; /* [d] of the storage's type */
};

static size_t row_region(int d)
{
    return 2 * (size_t)d * sizeof(float);
}

static struct row_space row_space_at(char *region, int d)
{
    return (struct row_space){.v = (float *)region, .stored = region + (size_t)d * sizeof(float)};
}

/* What a row cannot be: the first such row of a block. */
struct misfit {
    int64_t not_finite, not_held;
};

static int fail_misfit(const struct lists *l, const struct block *x, const struct misfit *m)
{
    static const char *const holds[] = {"", "values from -65504 to 65504",
                                        "whole numbers from 0 to 255",
                                        "whole numbers from -128 to 127"};

    if (m->not_finite <= m->not_held)
        return fail(ERR_FORMAT, "base vector %lld holds a NaN or an infinity",
                    (long long)(x->first + m->not_finite));
    return fail(ERR_FORMAT, "storage %s cannot hold base vector %lld: it is for %s; use f32",
                elem_name(l->desc.storage), (long long)(x->first + m->not_held),
                holds[l->desc.storage]);
}

/* Looks at rows once: are they finite, can they be kept, how long are they then, are they whole? */
static int survey(struct cpu *cpu, struct lists *l, const struct block *x)
{
    size_t row_bytes = (size_t)x->d * elem_bytes(x->elem);
    int64_t bad = INT64_MAX, beyond = INT64_MAX;
    int whole = l->whole, convert = !l->desc.m && l->desc.storage != x->elem, rc;
    float max = 0;

    if ((rc = cpu_scratch(cpu, row_region(x->d))) < 0) return rc;
#pragma omp parallel for num_threads(cpu->threads) reduction(min : bad, beyond)                    \
    reduction(max : max) reduction(&& : whole)
    for (int64_t i = 0; i < x->rows; i++) {
        struct row_space row = row_space_at(cpu_region(cpu), x->d);
        float norm;

        rows_to_f32(x->elem, (const char *)x->ptr + (size_t)i * row_bytes, x->d, row.v);
        if (rows_not_finite(row.v, 1, x->d) >= 0 && i < bad) bad = i;
        if (convert && rows_from_f32(l->desc.storage, row.v, x->d, row.stored) >= 0 && i < beyond)
            beyond = i;
        if (convert) rows_to_f32(l->desc.storage, row.stored, x->d, row.v);
        rows_norms(row.v, 1, x->d, &norm);
        max = norm > max ? norm : max;
        whole = whole && rows_whole(row.v, x->d);
    }
    if (bad < INT64_MAX || beyond < INT64_MAX)
        return fail_misfit(l, x, &(struct misfit){bad, beyond});
    l->whole = whole;
    if (!l->desc.m) l->max_norm = fmax(l->max_norm, sqrt(max) * (1 + 1e-3));
    return 0;
}

static int assign_block(struct backend *b, struct lists *l, const struct block *x)
{
    int32_t *list = l->list_of + l->at;
    struct mat rows = {.elem = x->elem, .rows = x->rows, .d = x->d};
    struct mat c = {.elem = ELEM_F32, .rows = l->desc.nlist, .d = x->d};
    int rc;

    rows.data.ptr = (void *)(uintptr_t)x->ptr; /* read only */
    c.data.ptr = l->coarse;
    if ((rc = survey(cpu_of(b), l, x)) < 0) return rc;
    if ((rc = cpu_assign(b, &rows, &c, (struct buf){list, 0}, NULL)) < 0) return rc;
    for (int64_t i = 0; i < x->rows; i++)
        l->offset[list[i] + 1]++;
    if (x->first + x->rows - 1 > l->max_id) l->max_id = x->first + x->rows - 1;
    return 0;
}

/* Counts become offsets, and the arena is taken at its exact size. */
static int take_arena(struct lists *l)
{
    size_t bytes = 0;
    int rc;

    for (int64_t j = 0; j < l->desc.nlist; j++) {
        l->offset[j + 1] += l->offset[j];
        l->cursor[j] = l->offset[j];
    }
    l->n = l->at;
    if ((rc = mem_bytes(&bytes, l->n, (size_t)l->row_bytes)) < 0) return rc;
    if (!(l->rows = mem_new((int64_t)bytes, 1))) return ERR_NOMEM;
    if (ids_fit_32(l->max_id))
        l->ids32 = mem_new(l->n, sizeof *l->ids32);
    else
        l->ids64 = mem_new(l->n, sizeof *l->ids64);
    return l->ids32 || l->ids64 ? 0 : ERR_NOMEM;
}

/* ---- the second pass: every row to its place ---- */

static void put_id(struct lists *l, int64_t pos, vid id)
{
    if (l->ids32)
        l->ids32[pos] = (uint32_t)id;
    else
        l->ids64[pos] = id;
}

/* A row as the lists store it; v: d floats of room, twice. */
static void store_row(const struct lists *l, const struct block *x, int64_t i, int32_t list,
                      float *v, uint8_t *out)
{
    size_t elems = elem_bytes(x->elem);
    const char *row = (const char *)x->ptr + (size_t)i * (size_t)x->d * elems;
    const float *c = l->coarse + (int64_t)list * x->d;

    if (!l->desc.m && l->desc.storage == x->elem) {
        memcpy(out, row, (size_t)l->row_bytes);
        return;
    }
    rows_to_f32(x->elem, row, x->d, v);
    if (!l->desc.m) {
        rows_from_f32(l->desc.storage, v, x->d, out); /* the first pass saw that all fit */
        return;
    }
    for (int j = 0; j < x->d; j++)
        v[j] -= c[j];
    codes_encode(v, l->desc.m, l->dsub, l->books_t, out, NULL);
}

static int place_block(struct cpu *cpu, struct lists *l, const struct block *x)
{
    const int32_t *list = l->list_of + l->at;
    int64_t *pos;
    int rc;

    if ((rc = cpu_scratch(cpu, (size_t)x->d * sizeof(float))) < 0) return rc;
    if (!(pos = mem_new(x->rows, sizeof *pos))) return ERR_NOMEM;
    for (int64_t i = 0; i < x->rows; i++)
        pos[i] = l->cursor[list[i]]++; /* in arrival order */
#pragma omp parallel for schedule(dynamic, TILE) num_threads(cpu->threads)
    for (int64_t i = 0; i < x->rows; i++) {
        store_row(l, x, i, list[i], cpu_region(cpu), l->rows + pos[i] * l->row_bytes);
        put_id(l, pos[i], x->first + i);
    }
    mem_free(pos);
    return 0;
}

/* Rows in the lists' own space. */
static int add_rows(struct backend *b, struct lists *l, const struct block *x)
{
    int rc = l->pass == 0 ? assign_block(b, l, x) : place_block(cpu_of(b), l, x);

    if (rc == 0) l->at += x->rows;
    return rc;
}

static int add_transformed(struct backend *b, struct lists *l, const struct block *x)
{
    size_t row_bytes = (size_t)x->d * elem_bytes(x->elem);
    int64_t step = transformed_rows(l->desc.d);
    float *y = NULL;
    int rc;

    if ((rc = cpu_scratch(cpu_of(b), applier_region(x->d))) < 0) goto out;
    rc = ERR_NOMEM;
    if (!(y = mem_new(step < x->rows ? step * l->desc.d : x->rows * l->desc.d, sizeof *y)))
        goto out;
    rc = 0;
    for (int64_t i = 0; i < x->rows && rc == 0; i += step) {
        struct block some = {.elem = ELEM_F32, .d = l->desc.d, .ptr = y, .first = x->first + i};

        some.rows = x->rows - i < step ? x->rows - i : step;
        applier_rows(l->applier, cpu_of(b), x->elem, (const char *)x->ptr + (size_t)i * row_bytes,
                     some.rows, y);
        rc = add_rows(b, l, &some);
    }
out:
    mem_free(y);
    return rc;
}

int cpu_lists_add(struct backend *b, struct lists *l, const struct block *x)
{
    assert(l->pass < 2 && x->d == l->d_in && l->at + x->rows <= l->desc.n);
    return l->applier ? add_transformed(b, l, x) : add_rows(b, l, x);
}

const float *lists_unpack(const struct lists *l, int64_t list, int64_t pos, int64_t n, float *rows)
{
    const uint8_t *packed = l->rows + pos * l->row_bytes;
    int d = l->desc.d;

    if (l->desc.m) {
        for (int64_t i = 0; i < n; i++)
            codes_decode(packed + i * l->row_bytes, l->coarse + list * d, l->books, l->desc.m,
                         l->dsub, rows + i * d);
        return rows;
    }
    if (l->desc.storage == ELEM_F32) return (const float *)(const void *)packed;
    rows_to_f32(l->desc.storage, packed, n * d, rows);
    return rows;
}

/* What the second pass leaves to do once every row is in place: norms, and the way back to a list. */
static int finish_arena(struct cpu *cpu, struct lists *l)
{
    int64_t strides = l->n / LISTS_STRIDE + 1;
    int d = l->desc.d, rc;

    if ((rc = cpu_scratch(cpu, TILE * (size_t)d * sizeof(float))) < 0) return rc;
    if (!(l->norm = mem_new(l->n, sizeof *l->norm))) return ERR_NOMEM;
    if (!(l->nearby = mem_new(strides, sizeof *l->nearby))) return ERR_NOMEM;
#pragma omp parallel for schedule(dynamic, 16) num_threads(cpu->threads)
    for (int64_t j = 0; j < l->desc.nlist; j++) {
        for (int64_t pos = l->offset[j], end = l->offset[j + 1]; pos < end; pos += TILE) {
            int64_t n = end - pos < TILE ? end - pos : TILE;

            rows_norms(lists_unpack(l, j, pos, n, cpu_region(cpu)), n, d, l->norm + pos);
        }
        for (int64_t i = (l->offset[j] + LISTS_STRIDE - 1) / LISTS_STRIDE;
             i * LISTS_STRIDE < l->offset[j + 1]; i++)
            l->nearby[i] = (int32_t)j;
    }
    return 0;
}

int cpu_lists_end_pass(struct backend *b, struct lists *l)
{
    int rc;

    if (l->pass == 0 && (rc = take_arena(l)) < 0) return rc;
    if (l->pass == 1) {
        mem_free(l->list_of);
        mem_free(l->cursor);
        l->list_of = NULL;
        l->cursor = NULL;
        if ((rc = finish_arena(cpu_of(b), l)) < 0) return rc;
    }
    l->pass++;
    l->at = 0;
    return 0;
}

int cpu_lists_sizes(struct backend *b, const struct lists *l, int64_t *size)
{
    (void)b;
    for (int64_t j = 0; j < l->desc.nlist; j++)
        size[j] = l->offset[j + 1] - l->offset[j];
    return 0;
}
