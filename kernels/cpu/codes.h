/* Product-quantizer codes: rows to codes, and back. */
#ifndef IVF_CODES_H
#define IVF_CODES_H

#include "engine/terms.h"

/* Codewords with the dimension outermost, so that 16 codewords are 16 lanes: [m][dsub][KSUB]. */
void codes_transpose(const float *books, int m, int dsub, float *out);

/*
 * The codeword nearest to each slice of r[d] (see `encode` in backend.h) into code[m]; err (NULL
 * is allowed) [m] has the squared distances added. books_t: as codes_transpose gives them.
 */
void codes_encode(const float *r, int m, int dsub, const float *books_t, uint8_t *code,
                  double *err);

/* x[d] = centroid + codewords in fp32, of one code. */
void codes_decode(const uint8_t *code, const float *centroid, const float *books, int m, int dsub,
                  float *x);

/*
 * out[i] = the distance of terms.h from q[d] to where code[i] with centroid[i] says its vector is,
 * i < n: centroid + codeword, added in fp64 (exact.h).
 */
void codes_distances(const float *q, const uint8_t *const *code, const float *const *centroid,
                     int n, const float *books, int m, int dsub, float *out);

/* table[s][c] = <slice s of q, codeword c of s> in fp32: [m][KSUB]. */
void codes_table(const float *q, const float *books_t, int m, int dsub, float *table);

/* dot[i] = base + the table's entries of code i, of n codes of m bytes, in fp32 (any order). */
void codes_dots(const uint8_t *codes, int64_t n, int m, const float *table, float base, float *dot);

#endif
