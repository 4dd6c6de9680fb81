#include "kernels/cpu/codes.h"

#include <math.h>
#include <omp.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/exact.h"
#include "kernels/cpu/simd.h"

void codes_transpose(const float *books, int m, int dsub, float *out)
{
    for (int s = 0; s < m; s++)
        for (int c = 0; c < KSUB; c++)
            for (int j = 0; j < dsub; j++)
                out[((int64_t)s * dsub + j) * KSUB + c] = books[((int64_t)s * KSUB + c) * dsub + j];
}

/* The nearest of 256 codewords of one slice; the lowest of equals. */
SIMD_INLINE int nearest_codeword(const float *r, int dsub, const float *book_t, float *dist)
{
    vf best = vf_set(INFINITY);
    vi at = {0}, none = INT32_MAX - (vi){0}, lane;

    for (int l = 0; l < LANES; l++)
        lane[l] = l;
    for (int c = 0; c < KSUB; c += LANES) {
        vf sum = {0};
        vi better;

        for (int j = 0; j < dsub; j++) {
            vf diff = r[j] - vf_load(book_t + j * KSUB + c);

            sum += diff * diff;
        }
        better = sum < best;
        best = vf_select(better, sum, best);
        at = vi_select(better, lane + c, at);
    }
    *dist = vf_min(best);
    return vi_min(vi_select(best == vf_set(*dist), at, none));
}

SIMD_INLINE void encode(const float *r, int m, int dsub, const float *books_t, uint8_t *code,
                        double *err)
{
    for (int s = 0; s < m; s++) {
        float dist;

        code[s] = (uint8_t)nearest_codeword(r + s * dsub, dsub, books_t + (int64_t)s * dsub * KSUB,
                                            &dist);
        if (err) err[s] += dist;
    }
}

/* The usual lengths of slices as constants, so that their loops unroll: half the time at 4. */
SIMD_CLONES void codes_encode(const float *r, int m, int dsub, const float *books_t, uint8_t *code,
                              double *err)
{
    if (dsub == 4)
        encode(r, m, 4, books_t, code, err);
    else if (dsub == 8)
        encode(r, m, 8, books_t, code, err);
    else
        encode(r, m, dsub, books_t, code, err);
}

/* WIDTH floats at a time: loops of a length known here, whatever dsub is. */
#define DECODE(WIDTH)                                                                              \
    for (int s = 0; s < m; s++) {                                                                  \
        const float *word = books + ((int64_t)s * KSUB + code[s]) * dsub,                          \
                    *c = centroid + s * dsub;                                                      \
                                                                                                   \
        for (int j = 0; j < dsub; j += WIDTH)                                                      \
            for (int l = 0; l < WIDTH; l++)                                                        \
                x[s * dsub + j + l] = c[j + l] + word[j + l];                                      \
    }

SIMD_CLONES void codes_decode(const uint8_t *restrict code, const float *restrict centroid,
                              const float *restrict books, int m, int dsub, float *restrict x)
{
    if (dsub % 8 == 0) {
        DECODE(8)
    } else if (dsub % 4 == 0) {
        DECODE(4)
    } else {
        DECODE(1)
    }
}

/* The codewords of dimensions from ... to - 1 of one code, end to end. */
SIMD_INLINE void gather_words(const uint8_t *code, const float *books, int dsub, int from, int to,
                              float *word)
{
    if (dsub == 8 && from % 8 == 0) { /* a stride known here: no call, no loop */
        for (int s = from / 8; s * 8 < to; s++)
            memcpy(word + s * 8 - from, books + ((int64_t)s * KSUB + code[s]) * 8,
                   8 * sizeof *word);
        return;
    }
    for (int j = from, s = from / dsub; j < to; s++) {
        const float *w = books + ((int64_t)s * KSUB + code[s]) * dsub - s * dsub;
        int end = (s + 1) * dsub < to ? (s + 1) * dsub : to;

        for (; j + 4 <= end; j += 4)
            memcpy(word + j - from, w + j, 4 * sizeof *word);
        for (; j < end; j++)
            word[j - from] = w[j];
    }
}

static float distance_in_order(const float *q, const uint8_t *code, const float *centroid,
                               const float *books, int m, int dsub)
{
    float word[EXACT_CHUNK];
    double sum = 0;

    for (int from = 0, d = m * dsub; from < d; from += EXACT_CHUNK) {
        int to = d - from < EXACT_CHUNK ? d : from + EXACT_CHUNK;

        gather_words(code, books, dsub, from, to, word);
        sum = exact_in_order(sum, q + from, centroid + from, word, to - from);
    }
    return (float)sum;
}

SIMD_CLONES void codes_distances(const float *q, const uint8_t *const *code,
                                 const float *const *centroid, int n, const float *books, int m,
                                 int dsub, float *out)
{
    int d = m * dsub;
    float word[EXACT_CHUNK];

    for (int i = 0; i < n; i++) {
        double sum = 0;

        for (int from = 0; from < d; from += EXACT_CHUNK) {
            int to = d - from < EXACT_CHUNK ? d : from + EXACT_CHUNK;

            gather_words(code[i], books, dsub, from, to, word);
            sum += exact_any_order(q + from, centroid[i] + from, word, to - from);
        }
        if (!exact_settled(sum, d, out + i))
            out[i] = distance_in_order(q, code[i], centroid[i], books, m, dsub);
    }
}

/* ---- products by look-up ---- */

SIMD_CLONES void codes_table(const float *q, const float *books_t, int m, int dsub, float *table)
{
    for (int s = 0; s < m; s++) {
        for (int c = 0; c < KSUB; c += LANES) {
            vf sum = {0};

            for (int j = 0; j < dsub; j++)
                sum += q[s * dsub + j] * vf_load(books_t + ((int64_t)s * dsub + j) * KSUB + c);
            vf_store(table + s * KSUB + c, sum);
        }
    }
}

void codes_dots(const uint8_t *codes, int64_t n, int m, const float *table, float base, float *dot)
{
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *code = codes + i * m;
        float even = base, odd = 0; /* two chains of additions */
        int s = 0;

        for (; s + 2 <= m; s += 2) {
            even += table[s * KSUB + code[s]];
            odd += table[(s + 1) * KSUB + code[s + 1]];
        }
        if (s < m) even += table[s * KSUB + code[s]];
        dot[i] = even + odd;
    }
}

/* ---- the steps of training ---- */

/* Rows of one partial sum of errors: the order of summation is theirs, not the threads'. */
enum { CHUNK = 256 };

int cpu_encode(struct backend *b, const struct mat *r, int m, struct buf books, struct buf code,
               struct buf err)
{
    struct cpu *cpu = cpu_of(b);
    int64_t chunks = (r->rows + CHUNK - 1) / CHUNK;
    float *books_t = mem_new((int64_t)KSUB * r->d, sizeof *books_t);
    double *partial = mem_new(chunks * m, sizeof *partial), *total = err.ptr;
    const float *rows = r->data.ptr;
    uint8_t *codes = code.ptr;
    int rc = ERR_NOMEM;

    if (!books_t || !partial) goto out;
    codes_transpose(books.ptr, m, r->d / m, books_t);
#pragma omp parallel for schedule(dynamic) num_threads(cpu->threads)
    for (int64_t c = 0; c < chunks; c++)
        for (int64_t i = c * CHUNK; i < r->rows && i < (c + 1) * CHUNK; i++)
            codes_encode(rows + i * r->d, m, r->d / m, books_t, codes + i * m, partial + c * m);
    for (int s = 0; total && s < m; s++) {
        total[s] = 0;
        for (int64_t c = 0; c < chunks; c++)
            total[s] += partial[c * m + s];
    }
    rc = 0;
out:
    mem_free(books_t);
    mem_free(partial);
    return rc;
}

/* Means of one slice: its codewords and counts. sum: [KSUB][dsub]. */
static void slice_means(const struct mat *r, const uint8_t *codes, int m, int s, double *sum,
                        float *book, int64_t *count)
{
    int dsub = r->d / m;
    const float *rows = r->data.ptr;

    memset(sum, 0, sizeof *sum * KSUB * (size_t)dsub);
    memset(count, 0, sizeof *count * KSUB);
    for (int64_t i = 0; i < r->rows; i++) {
        int c = codes[i * m + s];

        count[c]++;
        for (int j = 0; j < dsub; j++)
            sum[c * dsub + j] += rows[i * r->d + s * dsub + j];
    }
    for (int c = 0; c < KSUB; c++)
        for (int j = 0; count[c] && j < dsub; j++)
            book[c * dsub + j] = (float)(sum[c * dsub + j] / (double)count[c]);
}

int cpu_code_means(struct backend *b, const struct mat *r, int m, struct buf code, struct buf books,
                   struct buf count)
{
    struct cpu *cpu = cpu_of(b);
    int64_t words = (int64_t)KSUB * (r->d / m);
    float *book = books.ptr;
    int64_t *counts = count.ptr;
    int rc;

    if ((rc = cpu_scratch(cpu, (size_t)words * sizeof(double))) < 0) return rc;
#pragma omp parallel for schedule(dynamic) num_threads(cpu->threads)
    for (int s = 0; s < m; s++)
        slice_means(r, code.ptr, m, s, cpu_region(cpu), book + s * words,
                    counts + (int64_t)s * KSUB);
    return 0;
}
