/*
 * The same inverted lists twice, on the CPU and on a device, and searches of the device that must
 * give the CPU's answers to the bit: tests of a backend's search at sizes that ref.c is too slow
 * for. The device is the first of the backend that $IVFBENCH_TEST_BACKEND names, or "cuda"; where
 * it is "cpu", a CPU backend of one thread stands in its place. Failures end the test and name the
 * shape, the seed and the path.
 */
#ifndef IVF_RIG_H
#define IVF_RIG_H

#include "tests/made.h"

/* Kinds of data beside made.h's. */
enum {
    KIND_SIFT = MADE_KINDS, /* engine/synthetic.h's rows: whole numbers */
    KIND_SCALED             /* the same times 0.37: almost all of their ties are near ties */
};

struct rig;

/* Lists to build and to search. */
struct rig_shape {
    int kind;
    enum elem elem, storage; /* of the rows as they come; of Flat rows as they are kept */
    int d_in, d, m;          /* d_in: 0 without a transform */
    int64_t n, nlist, nq;
    void (*twist)(struct rig *r); /* NULL, or changes x, q and c before anything is made of them */
};

struct rig {
    struct rig_shape s;
    struct transform t;
    float *x, *q;             /* [n][d_in], [nq][d_in]; x until the lists are filled */
    float *c, *books;         /* [nlist][d], [m][KSUB][dsub] */
    struct lists *want, *got; /* the CPU's; the device's */
    int k, nprobe;            /* of what is expected, the CPU's answers: */
    float *dist;              /* [nq][k] */
    vid *ids;                 /* [nq][k] */
    char text[200];
};

/* Opens both backends; 77, and says so, where there is no such device. */
int rig_backends(void);
void rig_backends_close(void);
struct backend *rig_device(void);

/* main of a program of such tests. */
#define RIG_MAIN(tests)                                                                            \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        int failed;                                                                                \
                                                                                                   \
        if (testing_options(argc, argv) < 0) return 2;                                             \
        if ((failed = rig_backends()) > 0) return failed;                                          \
        failed = cmocka_run_group_tests(tests, NULL, NULL);                                        \
        rig_backends_close();                                                                      \
        return failed;                                                                             \
    }

/* 256 lists, 2,000 queries and as many rows as make 12 M values (6 M as codes), 200,000 at most. */
enum { RIG_NLIST = 256, RIG_NQ = 2000, RIG_SOME = 500 };
struct rig_shape rig_shape_of(int kind, enum elem elem, int d, int m);

/* For twists: row i of r's x, q or c where no transform comes first. */
float *rig_row(float *x, int64_t i, const struct rig *r);
void rig_copy_row(float *dst, const float *src, const struct rig *r);

/* Twists. Seven points are all there is: */
void rig_few_points(struct rig *r);
/* Every seventh query is not finite, or so large that its distances are not, or far from everything: */
void rig_awkward_queries(struct rig *r);

struct lists_desc rig_desc(const struct rig *r);

void rig_open(struct rig *r, const struct rig_shape *s);
void rig_clear(struct rig *r);

/*
 * How searches go from here on, rig_reserve included. path: -1 as the backend likes, 0 plain, 1 query
 * by query, 2 list by list; cap: candidates kept for a query, 0 as the backend likes. Where a device
 * has no such choice nothing changes, and 0 comes back.
 */
int rig_force(int path, int cap);

/* Scratch on the device; what the search is to be like comes from s. */
void rig_reserve(struct rig *r, const struct search_desc *s);

/* The CPU answers all queries; answers of fewer k or to some of the queries are part of these. */
void rig_expect(struct rig *r, int k, int nprobe);

/* The device's answers to queries from ... to - 1, in one call, are the first k of those expected. */
void rig_check(struct rig *r, int64_t from, int64_t to, int k);

/* The same in batches, and after rig_reserve for all of it: every query, then the first few. */
void rig_check_batches(struct rig *r, int64_t nq, int64_t batch, int k);
void rig_check_paths(struct rig *r, int k, int nprobe);

/* A case from its opening to its end, unless it is left out: few and many lists, by every path. */
void rig_check_shape(const struct rig_shape *s, int k);

/* The same as rows of whole numbers and of others, and as codes of m bytes; RIG_SOME queries where they are twisted. */
void rig_check_kinds(void (*twist)(struct rig *r), struct rig_shape s, int m, int k);

#endif
