/*
 * Vectors made up to be awkward, each kind in its own way, and the arrays of a backend that tests
 * of its steps need. A row is a pure function of (kind, seed, row, d).
 */
#ifndef IVF_MADE_H
#define IVF_MADE_H

#include "engine/backend.h"

enum made_kind {
    MADE_GAUSS,    /* nothing special */
    MADE_CLUSTERS, /* eight heaps, one of which has half of all */
    MADE_TIES,     /* whole numbers 0 ... 3: hardly two distances differ */
    MADE_EQUAL,    /* the same vector throughout */
    MADE_HUGE,     /* 1e18 ... 1e20: products, and some distances, pass fp32 */
    MADE_TINY,     /* 1e-20 ... 1e-24: products fall below fp32 */
    MADE_OFFSET,   /* 1000 +- 0.01: an fp32 product says nothing about a distance */
    MADE_GRAINS,   /* some 1e-10, of either sign: of one centroid fp16 has a unit or two for them */
    MADE_STRAYS,   /* gauss, but rows 8, 17, 26, ... are 1e5, 1e12, 1e19 or 1e26 times as far out */
    MADE_KINDS
};

const char *made_name(enum made_kind kind);

/* x[n][d], rows 0 ... n - 1. */
void made_rows(enum made_kind kind, uint32_t seed, int64_t n, int d, float *x);

/*
 * What elem can hold of x[n], rounded and clamped: the elements into out and, so that a
 * reference sees the same, their values back into x.
 */
void made_as(enum elem elem, float *x, int64_t n, void *out);

/*
 * The backend that $IVFBENCH_TEST_BACKEND names, or "cpu", on 1 ... 4 threads: opened at the first
 * call, closed when the process ends, one for all tests. Any but the CPU's has one object, whatever
 * threads says. Failures of these end the test.
 */
struct backend *made_backend(int threads);
int made_on_cpu(void); /* whether it is the CPU's */

/*
 * Searches of b go by path (enum search_path of kernels/cuda/search.h) from here on, and keep cap candidates of a
 * query at most, 0: as many as they like. Where b has no such choice nothing changes, and 0 comes back.
 */
int made_search_path(struct backend *b, int path, int cap);

/* cuda_search_left of kernels/cuda/search.h, where made_search_path has a choice. */
int made_search_left(struct backend *b, struct lists *l, int32_t *walked, int32_t *plain);

/*
 * The program's main where tests use made_backend: as TESTING_MAIN but that, where this machine or
 * this build has no such backend, it says so and exits with 77, which ctest shows as skipped.
 */
#define MADE_MAIN(tests)                                                                           \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        if (testing_options(argc, argv) < 0) return 2;                                             \
        return made_missing() ? 77 : cmocka_run_group_tests(tests, NULL, NULL);                    \
    }
int made_missing(void);

/* A device array holding bytes of src (NULL: zeros), and a matrix; release with made_release. */
struct buf made_buf(struct backend *b, const void *src, size_t bytes);
struct mat made_mat(struct backend *b, enum elem elem, const void *src, int64_t rows, int d);
void made_release(struct backend *b, struct buf *buf);

/* All of a device array into dst. */
void made_get(struct backend *b, void *dst, struct buf buf);

#endif
