/*
 * What training does row by row. All of it moves memory and hardly computes, so a thread takes four
 * elements in one load wherever rows allow it, and consecutive threads consecutive elements.
 */
#include "kernels/cuda/rows.h"

#include "kernels/cuda/elem.cuh"

enum { BLOCK = 256 };

/* ---- conversion ---- */

/* W elements a thread, count a multiple of W; one load and one store each. */
template <enum elem E, int W>
static __global__ void elements_to_f32(const void *x, int64_t count, float *out)
{
    typedef typename elem_raw<E, W>::type raw;
    typedef typename elem_raw<ELEM_F32, W>::type store;
    int64_t stride = (int64_t)gridDim.x * BLOCK;

    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < count / W; i += stride) {
        alignas(16) float v[W];

        elem_floats(((const raw *)x)[i], v);
        ((store *)out)[i] = *(const store *)v;
    }
}

int rows_to_f32(struct cuda *cuda, enum elem elem, const void *d_x, int64_t count, float *d_out)
{
    bool four = elem_by_four(elem, d_x, count) && elem_by_four(ELEM_F32, d_out, count);
    unsigned grid = cuda_grid(cuda, four ? count / 4 : count, BLOCK);

    if (count == 0 || (elem == ELEM_F32 && d_x == d_out)) return 0;
    if (elem == ELEM_F32)
        return CU(cudaMemcpyAsync(d_out, d_x, (size_t)count * sizeof *d_out,
                                  cudaMemcpyDeviceToDevice, cuda->stream));
#define LAUNCH(E)                                                                                  \
    if (four)                                                                                      \
        elements_to_f32<E, 4><<<grid, BLOCK, 0, cuda->stream>>>(d_x, count, d_out);                \
    else                                                                                           \
        elements_to_f32<E, 1><<<grid, BLOCK, 0, cuda->stream>>>(d_x, count, d_out)
    ELEM_SWITCH(elem, LAUNCH);
#undef LAUNCH
    return cuda_launched(cuda, "elements_to_f32");
}

/* ---- finite ---- */

/*
 * *first = the lowest row with an element whose exponent is all ones. A thread an element. Rows
 * are told only where they are below what is known, so that bad data does not queue up.
 */
template <class Bits, Bits EXPONENT>
static __global__ void first_not_finite(const Bits *x, int64_t count, int d,
                                        volatile unsigned long long *first)
{
    int64_t stride = (int64_t)gridDim.x * BLOCK;

    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < count; i += stride) {
        if ((x[i] & EXPONENT) != EXPONENT) continue;
        if ((unsigned long long)(i / d) < *first)
            atomicMin((unsigned long long *)first, (unsigned long long)(i / d));
    }
}

/* *row: -1 becomes the largest number there is without a sign, which is what a minimum begins with. */
static int enqueue_finite(struct cuda *cuda, const struct mat *x, int64_t *row)
{
    int64_t count = x->rows * x->d;
    unsigned grid = cuda_grid(cuda, count, BLOCK);
    unsigned long long *first;
    char *d_region;
    int rc;

    if ((rc = cuda_scratch(cuda, sizeof *first, &d_region)) < 0) return rc;
    first = (unsigned long long *)d_region;
    if ((rc = CU(cudaMemsetAsync(first, 0xff, sizeof *first, cuda->stream))) < 0) return rc;
    if (x->elem == ELEM_F32)
        first_not_finite<uint32_t, 0x7f800000u>
            <<<grid, BLOCK, 0, cuda->stream>>>((const uint32_t *)x->data.ptr, count, x->d, first);
    else
        first_not_finite<uint16_t, 0x7c00>
            <<<grid, BLOCK, 0, cuda->stream>>>((const uint16_t *)x->data.ptr, count, x->d, first);
    if ((rc = cuda_launched(cuda, "first_not_finite")) < 0) return rc;
    return CU(cudaMemcpyAsync(row, first, sizeof *row, cudaMemcpyDeviceToHost, cuda->stream));
}

int cuda_finite(struct backend *b, const struct mat *x, int64_t *row)
{
    struct cuda *cuda = cuda_of(b);
    int rc;

    *row = -1;
    if (x->elem == ELEM_U8 || x->elem == ELEM_I8 || x->rows == 0) return 0;
    if ((rc = cuda_start(cuda)) < 0) return rc;
    return cuda_finish(cuda, enqueue_finite(cuda, x, row));
}

/* ---- gather ---- */

/* out[j] = row rows[j] of x: a warp a row, its lanes W elements each. */
template <enum elem E, int W>
static __global__ void gather_rows(const void *x, const int64_t *rows, int64_t n, int d, float *out)
{
    typedef typename elem_raw<E, W>::type raw;
    typedef typename elem_raw<ELEM_F32, W>::type store;
    int64_t warps = (int64_t)gridDim.x * (BLOCK / 32);
    int per_row = d / W, lane = (int)threadIdx.x % 32;

    for (int64_t j = ((int64_t)blockIdx.x * BLOCK + threadIdx.x) / 32; j < n; j += warps) {
        const raw *from = (const raw *)x + rows[j] * per_row;
        store *to = (store *)out + j * per_row;

        for (int i = lane; i < per_row; i += 32) {
            alignas(16) float v[W];

            elem_floats(from[i], v);
            to[i] = *(const store *)v;
        }
    }
}

static int enqueue_gather(struct cuda *cuda, const struct mat *x, const int64_t *rows,
                          struct mat *out)
{
    unsigned grid = cuda_grid(cuda, out->rows * 32, BLOCK);
    float *d_out = (float *)out->data.ptr;
    size_t bytes = (size_t)out->rows * sizeof *rows;
    const int64_t *d_rows;
    char *d_region;
    int rc;

    if ((rc = cuda_scratch(cuda, bytes, &d_region)) < 0) return rc;
    if ((rc = CU(cudaMemcpyAsync(d_region, rows, bytes, cudaMemcpyHostToDevice, cuda->stream))) < 0)
        return rc;
    d_rows = (const int64_t *)d_region;
#define LAUNCH(E)                                                                                  \
    if (elem_by_four(E, x->data.ptr, x->d) && elem_by_four(ELEM_F32, d_out, x->d))                 \
        gather_rows<E, 4>                                                                          \
            <<<grid, BLOCK, 0, cuda->stream>>>(x->data.ptr, d_rows, out->rows, x->d, d_out);       \
    else                                                                                           \
        gather_rows<E, 1>                                                                          \
            <<<grid, BLOCK, 0, cuda->stream>>>(x->data.ptr, d_rows, out->rows, x->d, d_out)
    ELEM_SWITCH(x->elem, LAUNCH);
#undef LAUNCH
    return cuda_launched(cuda, "gather_rows");
}

int cuda_gather(struct backend *b, const struct mat *x, const int64_t *rows, struct mat *out)
{
    struct cuda *cuda = cuda_of(b);
    int rc;

    if (out->rows == 0) return 0;
    if ((rc = cuda_start(cuda)) < 0) return rc;
    return cuda_finish(cuda, enqueue_gather(cuda, x, rows, out));
}

/* ---- residuals ---- */

/*
 * r[i] = x[i] - c[list[i]] in fp32: a warp a row, its lanes W elements each, so that r may be x.
 * Centroids come from the second-level cache.
 */
template <enum elem E, int W>
static __global__ void subtract_centroids(const void *x, const int32_t *list, const float *c,
                                          int64_t n, int d, float *r)
{
    typedef typename elem_raw<E, W>::type raw;
    typedef typename elem_raw<ELEM_F32, W>::type four;
    int64_t warps = (int64_t)gridDim.x * (BLOCK / 32);
    int per_row = d / W, lane = (int)threadIdx.x % 32;

    for (int64_t i = ((int64_t)blockIdx.x * BLOCK + threadIdx.x) / 32; i < n; i += warps) {
        const raw *row = (const raw *)x + i * per_row;
        const four *centroid = (const four *)c + (int64_t)list[i] * per_row;
        four *to = (four *)r + i * per_row;

        for (int j = lane; j < per_row; j += 32) {
            alignas(16) float v[W];
            float of[W];

            elem_floats(row[j], v);
            elem_floats(centroid[j], of);
            for (int k = 0; k < W; k++)
                v[k] -= of[k];
            to[j] = *(const four *)v;
        }
    }
}

int rows_residuals(struct cuda *cuda, const struct mat *x, const int32_t *d_list, const float *d_c,
                   float *d_r)
{
    unsigned grid = cuda_grid(cuda, x->rows * 32, BLOCK);
    const void *d_x = x->data.ptr;
    bool four = elem_by_four(x->elem, d_x, x->d) && elem_by_four(ELEM_F32, d_c, x->d) &&
                elem_by_four(ELEM_F32, d_r, x->d);

    if (x->rows == 0) return 0;
#define LAUNCH(E)                                                                                  \
    if (four)                                                                                      \
        subtract_centroids<E, 4>                                                                   \
            <<<grid, BLOCK, 0, cuda->stream>>>(d_x, d_list, d_c, x->rows, x->d, d_r);              \
    else                                                                                           \
        subtract_centroids<E, 1>                                                                   \
            <<<grid, BLOCK, 0, cuda->stream>>>(d_x, d_list, d_c, x->rows, x->d, d_r)
    ELEM_SWITCH(x->elem, LAUNCH);
#undef LAUNCH
    return cuda_launched(cuda, "subtract_centroids");
}

int cuda_residuals(struct backend *b, const struct mat *x, struct buf list, const struct mat *c,
                   struct mat *r)
{
    struct cuda *cuda = cuda_of(b);
    int rc;

    if ((rc = cuda_start(cuda)) < 0) return rc;
    return cuda_finish(cuda, rows_residuals(cuda, x, (const int32_t *)list.ptr,
                                            (const float *)c->data.ptr, (float *)r->data.ptr));
}
