/* A transform (terms.h) as the CPU applies it, to rows as they come. */
#ifndef IVF_CPU_TRANSFORM_H
#define IVF_CPU_TRANSFORM_H

#include "engine/terms.h"

struct cpu;
struct applier; /* a transform, laid out for speed */

int applier_create(struct applier **out, const struct transform *t);
void applier_free(struct applier *ap); /* NULL is allowed */
size_t applier_bytes(int d_in, int d_out);

/* Of a thread's region (cpu_scratch) that applier_rows needs. */
size_t applier_region(int d_in);

/* out[rows][d_out] = the transform of x[rows][d_in]; the region is there already. */
void applier_rows(const struct applier *ap, const struct cpu *cpu, enum elem elem, const void *x,
                  int64_t rows, float *out);

#endif
