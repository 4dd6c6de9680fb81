/*
 * Applying a transform: four rows at a time against 16 outputs, sums in fp64 held in registers.
 * The matrix lies transposed, so that the outputs are lanes and each has its sum in order of j;
 * it is widened to fp64 beforehand (64 KiB from 128 to 64 dimensions: the second-level cache).
 */
#include "kernels/cpu/transform.h"

#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/simd.h"

enum { ROWS = 4 };

struct applier {
    int d_in, d_out, tiles;
    double *a; /* [tiles][d_in][LANES], zeros past d_out */
    double *b; /* [tiles][LANES] */
};

enum { PER_TILE = LANES / VD };

/* Outputs of one tile for four rows of x[.][d]. */
SIMD_INLINE void tile_of_four(const double *a, const double *b, const float *x, int d,
                              float out[ROWS][LANES])
{
    vd sum[ROWS][PER_TILE] = {{{0}}};

    for (int j = 0; j < d; j++)
        for (int v = 0; v < PER_TILE; v++)
            for (int r = 0; r < ROWS; r++)
                sum[r][v] +=
                    vd_load(a + (int64_t)j * LANES + v * VD) * (double)x[(int64_t)r * d + j];
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < PER_TILE; v++)
            for (int l = 0; l < VD; l++)
                out[r][v * VD + l] = (float)(sum[r][v][l] + b[v * VD + l]);
}

/* Of the four rows of x the first `rows` are wanted. */
SIMD_CLONES static void apply_four(const struct applier *ap, const float *x, int rows, float *out)
{
    for (int t = 0; t < ap->tiles; t++) {
        int at = t * LANES, some = ap->d_out - at < LANES ? ap->d_out - at : LANES;
        float y[ROWS][LANES];

        tile_of_four(ap->a + (int64_t)at * ap->d_in, ap->b + at, x, ap->d_in, y);
        for (int r = 0; r < rows; r++)
            memcpy(out + (int64_t)r * ap->d_out + at, y[r], (size_t)some * sizeof(float));
    }
}

static int64_t padded(int d_out)
{
    return ((int64_t)d_out + LANES - 1) / LANES * LANES;
}

size_t applier_bytes(int d_in, int d_out)
{
    return (size_t)padded(d_out) * ((size_t)d_in + 1) * sizeof(double);
}

size_t applier_region(int d_in)
{
    return ROWS * (size_t)d_in * sizeof(float);
}

int applier_create(struct applier **out, const struct transform *t)
{
    struct applier *ap = NULL;
    int64_t outputs = padded(t->d_out);
    int rc = ERR_NOMEM;

    if (!(ap = mem_new(1, sizeof *ap))) goto out;
    ap->d_in = t->d_in;
    ap->d_out = t->d_out;
    ap->tiles = (int)(outputs / LANES);
    if (!(ap->a = mem_new(outputs * t->d_in, sizeof *ap->a))) goto out;
    if (!(ap->b = mem_new(outputs, sizeof *ap->b))) goto out;
    for (int64_t i = 0; i < t->d_out; i++) {
        double *column = ap->a + i / LANES * LANES * t->d_in + i % LANES;

        for (int j = 0; j < t->d_in; j++)
            column[(int64_t)j * LANES] = t->a[i * t->d_in + j];
        ap->b[i] = t->b ? t->b[i] : 0;
    }
    *out = ap;
    ap = NULL;
    rc = 0;
out:
    applier_free(ap);
    return rc;
}

void applier_free(struct applier *ap)
{
    if (!ap) return;
    mem_free(ap->a);
    mem_free(ap->b);
    mem_free(ap);
}

void applier_rows(const struct applier *ap, const struct cpu *cpu, enum elem elem, const void *x,
                  int64_t rows, float *out)
{
    size_t row_bytes = (size_t)ap->d_in * elem_bytes(elem);

#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int64_t i = 0; i < rows; i += ROWS) {
        int some = rows - i < ROWS ? (int)(rows - i) : ROWS;
        const void *from = (const char *)x + (size_t)i * row_bytes;
        float *four = cpu_region(cpu);

        rows_to_f32(elem, from, (int64_t)some * ap->d_in, four);
        apply_four(ap, four, some, out + i * ap->d_out);
    }
}

int cpu_transform(struct backend *b, const struct mat *x, const struct transform *t,
                  struct mat *out)
{
    struct cpu *cpu = cpu_of(b);
    struct applier *ap = NULL;
    int rc;

    if ((rc = applier_create(&ap, t)) < 0) goto out;
    if ((rc = cpu_scratch(cpu, applier_region(t->d_in))) < 0) goto out;
    applier_rows(ap, cpu, x->elem, x->data.ptr, x->rows, out->data.ptr);
out:
    applier_free(ap);
    return rc;
}
