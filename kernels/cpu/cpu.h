/* What the files of the CPU backend share. */
#ifndef IVF_CPU_H
#define IVF_CPU_H

#include "engine/backend.h"

struct cpu {
    struct backend base;
    int threads;
    char *scratch; /* threads regions of scratch_each bytes */
    size_t scratch_each;
};

static inline struct cpu *cpu_of(struct backend *b)
{
    return (struct cpu *)b;
}

/*
 * Makes each thread's region at least bytes long, with its own cache lines; kept from step to
 * step, so that a repeated step allocates nothing.
 */
int cpu_scratch(struct cpu *cpu, size_t bytes);

/* The calling OpenMP thread's region. */
void *cpu_region(const struct cpu *cpu);

/* The steps, a file each. */
int cpu_finite(struct backend *b, const struct mat *x, int64_t *row);
int cpu_gather(struct backend *b, const struct mat *x, const int64_t *rows, struct mat *out);
int cpu_transform(struct backend *b, const struct mat *x, const struct transform *t,
                  struct mat *out);
int cpu_assign(struct backend *b, const struct mat *x, const struct mat *c, struct buf list,
               double *total);
int cpu_means(struct backend *b, const struct mat *x, struct buf list, struct mat *c,
              struct buf count);
int cpu_residuals(struct backend *b, const struct mat *x, struct buf list, const struct mat *c,
                  struct mat *r);
int cpu_encode(struct backend *b, const struct mat *r, int m, struct buf books, struct buf code,
               struct buf err);
int cpu_code_means(struct backend *b, const struct mat *r, int m, struct buf code, struct buf books,
                   struct buf count);
size_t cpu_train_bytes(int d, int64_t nlist, int m, int64_t rows, int threads);
int cpu_knn(struct backend *b, const struct block *x, const struct mat *q, int k, struct buf dist,
            struct buf ids);
size_t cpu_knn_bytes(int d, int k, int threads);
int cpu_lists_create(struct backend *b, struct lists **out, const struct lists_desc *desc,
                     const float *coarse, const float *books);
void cpu_lists_free(struct backend *b, struct lists *l);
int cpu_lists_passes(const struct lists *l);
int cpu_lists_add(struct backend *b, struct lists *l, const struct block *x);
int cpu_lists_end_pass(struct backend *b, struct lists *l);
int cpu_lists_sizes(struct backend *b, const struct lists *l, int64_t *size);
size_t cpu_lists_bytes(const struct lists_desc *desc);
size_t cpu_fill_bytes(const struct lists_desc *desc);
int cpu_lists_reserve(struct backend *b, struct lists *l, const struct search_desc *want);
int cpu_lists_search(struct backend *b, struct lists *l, const float *q, int64_t nq, int k,
                     int nprobe, float *dist, vid *ids);
size_t cpu_search_bytes(const struct lists_desc *desc, const struct search_desc *s, int threads);

#endif
