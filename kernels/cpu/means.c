/*
 * Means of rows by list, and what else training does row by row. Rows are first put in list
 * order by a counting sort, so that each list is one thread's, and its sum has one order.
 */
#include <omp.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/simd.h"

static const void *row_at(const struct mat *x, int64_t i)
{
    return (const char *)x->data.ptr + (size_t)(i * x->d) * elem_bytes(x->elem);
}

int cpu_finite(struct backend *b, const struct mat *x, int64_t *row)
{
    struct cpu *cpu = cpu_of(b);
    int64_t first = INT64_MAX;
    int rc;

    *row = -1;
    if (x->elem == ELEM_U8 || x->elem == ELEM_I8) return 0;
    if ((rc = cpu_scratch(cpu, (size_t)x->d * sizeof(float))) < 0) return rc;
#pragma omp parallel for num_threads(cpu->threads) reduction(min : first)
    for (int64_t i = 0; i < x->rows; i++) {
        float *v = cpu_region(cpu);

        if (i >= first) continue;
        rows_to_f32(x->elem, row_at(x, i), x->d, v);
        if (rows_not_finite(v, 1, x->d) >= 0) first = i;
    }
    if (first < INT64_MAX) *row = first;
    return 0;
}

int cpu_gather(struct backend *b, const struct mat *x, const int64_t *rows, struct mat *out)
{
    struct cpu *cpu = cpu_of(b);
    float *dst = out->data.ptr;

#pragma omp parallel for num_threads(cpu->threads)
    for (int64_t j = 0; j < out->rows; j++)
        rows_to_f32(x->elem, row_at(x, rows[j]), x->d, dst + j * x->d);
    return 0;
}

int cpu_residuals(struct backend *b, const struct mat *x, struct buf list, const struct mat *c,
                  struct mat *r)
{
    struct cpu *cpu = cpu_of(b);
    const int32_t *of = list.ptr;
    const float *cents = c->data.ptr;
    float *out = r->data.ptr;
    int rc;

    if ((rc = cpu_scratch(cpu, (size_t)x->d * sizeof(float))) < 0) return rc;
#pragma omp parallel for num_threads(cpu->threads)
    for (int64_t i = 0; i < x->rows; i++) {
        float *v = cpu_region(cpu);

        rows_to_f32(x->elem, row_at(x, i), x->d, v);
        for (int j = 0; j < x->d; j++)
            out[i * x->d + j] = v[j] - cents[of[i] * (int64_t)x->d + j];
    }
    return 0;
}

/* order[offset[j]] ... order[offset[j + 1] - 1] = the rows of list j, ascending. */
static void sort_by_list(const int32_t *list, int64_t n, int64_t nlist, int64_t *offset,
                         int64_t *order)
{
    for (int64_t i = 0; i < n; i++)
        offset[list[i] + 1]++;
    for (int64_t j = 0; j < nlist; j++)
        offset[j + 1] += offset[j];
    for (int64_t i = 0; i < n; i++)
        order[offset[list[i]]++] = i;
    for (int64_t j = nlist; j > 0; j--)
        offset[j] = offset[j - 1];
    offset[0] = 0;
}

SIMD_CLONES static void add_row(double *sum, const float *v, int d)
{
    for (int j = 0; j < d; j++)
        sum[j] += v[j];
}

/* The mean of rows order[0 ... count - 1] into c[d]. */
static void mean_of(const struct mat *x, const int64_t *order, int64_t count, double *sum, float *v,
                    float *c)
{
    for (int j = 0; j < x->d; j++)
        sum[j] = 0;
    for (int64_t i = 0; i < count; i++) {
        rows_to_f32(x->elem, row_at(x, order[i]), x->d, v);
        add_row(sum, v, x->d);
    }
    for (int j = 0; j < x->d; j++)
        c[j] = (float)(sum[j] / (double)count);
}

int cpu_means(struct backend *b, const struct mat *x, struct buf list, struct mat *c,
              struct buf count)
{
    struct cpu *cpu = cpu_of(b);
    int64_t *offset = NULL, *order = NULL, *counts = count.ptr;
    float *cents = c->data.ptr;
    int rc;

    if ((rc = cpu_scratch(cpu, (size_t)x->d * (sizeof(double) + sizeof(float)))) < 0) goto out;
    rc = ERR_NOMEM;
    if (!(offset = mem_new(c->rows + 1, sizeof *offset))) goto out;
    if (!(order = mem_new(x->rows, sizeof *order))) goto out;
    sort_by_list(list.ptr, x->rows, c->rows, offset, order);
#pragma omp parallel for schedule(dynamic, 16) num_threads(cpu->threads)
    for (int64_t j = 0; j < c->rows; j++) {
        double *sum = cpu_region(cpu);

        counts[j] = offset[j + 1] - offset[j];
        if (counts[j])
            mean_of(x, order + offset[j], counts[j], sum, (float *)(sum + x->d), cents + j * x->d);
    }
    rc = 0;
out:
    mem_free(offset);
    mem_free(order);
    return rc;
}
