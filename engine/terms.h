/*
 * The glossary: a word means one thing, the same as YAML key, C argument, SQL column and axis.
 *
 *   n, nq, nt      vectors; queries; training vectors                int64_t
 *   d              dimensions                                        int
 *   k              answers per query                                 int
 *   nlist, nprobe  inverted lists; lists visited per query           int64_t, int
 *   m              PQ sub-quantizers (divides d); 0: no PQ, "Flat"   int
 *   ksub, dsub     codewords per sub-quantizer (256); d / m          int
 *   x, q, c        base vectors, queries, coarse centroids           [.][d]
 *   dist, ids      answers, ascending by (distance, id)              [nq][k] float, vid
 *
 * Distance is squared L2 throughout: squared differences summed in fp64 in dimension order,
 * rounded once to fp32. Rows are contiguous, row-major. Counts are int64_t, small parameters
 * int, bytes size_t, time int64_t nanoseconds.
 */
#ifndef IVF_TERMS_H
#define IVF_TERMS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int64_t vid; /* the id of a vector: its row in the base set; -1: none */

enum { KSUB = 256 };      /* codewords per sub-quantizer: 8 bits */
enum { K_MAX = 2048 };    /* answers per query, at most */
enum { D_MAX = 1 << 16 }; /* dimensions, at most */

enum part { PART_BASE, PART_QUERY, PART_LEARN };    /* of a data set */
enum elem { ELEM_F32, ELEM_F16, ELEM_U8, ELEM_I8 }; /* type of a vector's elements */

/* Rows of vectors in host memory; the memory is whoever's made the block. */
struct block {
    enum elem elem;
    int d;
    int64_t rows;
    const void *ptr; /* [rows][d] */
    vid first;       /* id of row 0 */
};

/*
 * What OPQ and PCA do to a vector before anything else sees it: y = a x + b. The same bits on
 * every backend: y[i] = fp32 of (the sum over j, in order, of a[i][j] x[j], then + b[i]), in fp64,
 * where a product of two fp32 has no rounding.
 */
struct transform {
    int d_in, d_out;
    float *a; /* [d_out][d_in] */
    float *b; /* [d_out]; NULL: zeros */
};

size_t elem_bytes(enum elem elem);
const char *elem_name(enum elem elem); /* "f32", "f16", "u8", "i8": as `storage` in the spec */

/* out[i] = element i of count at ptr. Exact for every type. */
void elem_to_floats(enum elem elem, const void *ptr, int64_t count, float *out);

#ifdef __cplusplus
}
#endif
#endif
