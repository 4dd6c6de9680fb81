/*
 * Applying a transform. An output is one sum in fp64, in order of j, so this is a matrix product on
 * the CUDA cores' fp64 units: the tensor cores' order of summation is not told. A product of two
 * fp32 is exact in fp64, so a fused multiply-add rounds as product and sum do.
 */
#include "kernels/cuda/transform.h"

#include "engine/base/mem.h"
#include "kernels/cuda/elem.cuh"
#include "kernels/cuda/exact.cuh"

enum { SIDE = 16, BLOCK = SIDE * SIDE }; /* threads: 16 by 16 */
enum { ROWS = 4, TILE_ROWS = SIDE * ROWS };
enum { DEPTH = 16 };      /* dimensions in shared memory at a time */
enum { OUTS_MOST = 128 }; /* outputs of a tile, at most: what the matrix is padded to */

struct applier {
    struct cuda *cuda;
    int d_in, d_out;
    double *d_a; /* [d_in][padded(d_out)], zeros past d_out */
    double *d_b; /* [padded(d_out)], behind d_a */
};

static int64_t padded(int d_out)
{
    return ((int64_t)d_out + OUTS_MOST - 1) / OUTS_MOST * OUTS_MOST;
}

size_t applier_bytes(int d_in, int d_out)
{
    return (size_t)padded(d_out) * ((size_t)d_in + 1) * sizeof(double);
}

/* The matrix lies transposed and widened: what a tile needs of it is contiguous. */
static double *lay_out(const struct transform *t)
{
    int64_t outs = padded(t->d_out);
    double *a = (double *)mem_new(outs * (t->d_in + 1), sizeof *a), *b;

    if (!a) return NULL;
    b = a + outs * t->d_in;
    for (int64_t i = 0; i < t->d_out; i++) {
        for (int j = 0; j < t->d_in; j++)
            a[j * outs + i] = t->a[i * t->d_in + j];
        b[i] = t->b ? t->b[i] : 0;
    }
    return a;
}

int applier_create(struct applier **out, struct cuda *cuda, const struct transform *t)
{
    size_t bytes = applier_bytes(t->d_in, t->d_out);
    struct applier *ap = NULL;
    double *a = NULL;
    void *d_a;
    int rc = ERR_NOMEM;

    if (!(ap = (struct applier *)mem_new(1, sizeof *ap))) goto out;
    ap->cuda = cuda;
    ap->d_in = t->d_in;
    ap->d_out = t->d_out;
    if (!(a = lay_out(t))) goto out;
    if ((rc = cuda_malloc(cuda, &d_a, bytes)) < 0) goto out;
    ap->d_a = (double *)d_a;
    ap->d_b = ap->d_a + padded(t->d_out) * t->d_in;
    if ((rc = CU(cudaMemcpyAsync(d_a, a, bytes, cudaMemcpyHostToDevice, cuda->stream))) < 0)
        goto out;
    if ((rc = CU(cudaStreamSynchronize(cuda->stream))) < 0) goto out; /* a is about to go */
    *out = ap;
    ap = NULL;
out:
    mem_free(a);
    applier_free(ap);
    return rc;
}

void applier_free(struct applier *ap)
{
    if (!ap) return;
    cuda_free(ap->cuda, ap->d_a, applier_bytes(ap->d_in, ap->d_out));
    mem_free(ap);
}

/*
 * out[i] = fp32 of (the sum over j of a[.][j] x[i][j]) + b. A tile is 64 rows and 16 * OUTS outputs;
 * a thread has 4 rows and OUTS outputs, a pair every 32, so that a warp's 16-byte loads of the
 * matrix meet no bank twice. Both operands lie in shared memory as fp64: they are widened once,
 * not at each use. Blocks stride over tiles, those of the same rows being neighbours.
 * Order    one sum an output, j ascending. What pads a tile is 0 on both sides and adds nothing.
 * Bound    fp64 units: rows * d_in * d_out FMAs; a warp's step of 32 takes 6 loads.
 */
template <enum elem E, int OUTS>
static __global__ void __launch_bounds__(BLOCK, 2)
    apply_rows(const void *x, const double *a, const double *b, int64_t rows, int d_in, int d_out,
               int64_t a_width, float *out)
{
    constexpr int TILE_OUTS = SIDE * OUTS;
    __shared__ __align__(16) double xs[DEPTH][TILE_ROWS + 2]; /* stored by columns */
    __shared__ __align__(16) double as[DEPTH][TILE_OUTS];
    int across = (int)threadIdx.x % SIDE, down = (int)threadIdx.x / SIDE;
    int64_t columns = (d_out + TILE_OUTS - 1) / TILE_OUTS;
    int64_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS * columns;

    for (int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        int64_t row = tile / columns * TILE_ROWS;
        int column = (int)(tile % columns) * TILE_OUTS;
        double sum[ROWS][OUTS] = {};

        for (int from = 0; from < d_in; from += DEPTH) {
            __syncthreads(); /* the tile before this one was read */
            for (int i = (int)threadIdx.x; i < DEPTH * TILE_ROWS; i += BLOCK) {
                int j = i % DEPTH, r = i / DEPTH;
                bool in = from + j < d_in && row + r < rows;

                xs[j][r] = in ? exact_elem(E, x, (row + r) * d_in + from + j) : 0;
            }
            for (int i = (int)threadIdx.x; i < DEPTH * TILE_OUTS; i += BLOCK) {
                int j = i / TILE_OUTS, o = i % TILE_OUTS;

                as[j][o] = from + j < d_in ? a[(from + j) * a_width + column + o] : 0;
            }
            __syncthreads();
#pragma unroll 2
            for (int j = 0; j < DEPTH; j++) {
                double v[ROWS], w[OUTS];

                for (int r = 0; r < ROWS; r += 2)
                    *(double2 *)(v + r) = *(const double2 *)&xs[j][down * ROWS + r];
                for (int o = 0; o < OUTS; o += 2)
                    *(double2 *)(w + o) = *(const double2 *)&as[j][o * SIDE + across * 2];
                for (int r = 0; r < ROWS; r++)
                    for (int o = 0; o < OUTS; o++)
                        sum[r][o] = fma(w[o], v[r], sum[r][o]);
            }
        }
        for (int r = 0; r < ROWS; r++) {
            int64_t i = row + down * ROWS + r;

            for (int o = 0; o < OUTS; o++) {
                int at = column + o / 2 * 2 * SIDE + across * 2 + o % 2;

                if (i < rows && at < d_out) out[i * d_out + at] = (float)(sum[r][o] + b[at]);
            }
        }
    }
}

int applier_run(struct applier *ap, enum elem elem, const void *d_x, int64_t rows, float *d_out)
{
    struct cuda *cuda = ap->cuda;
    int64_t width = padded(ap->d_out), tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    bool narrow =
        (ap->d_out - 1) % OUTS_MOST < OUTS_MOST / 2; /* half of the last tile is padding */
    unsigned grid =
        cuda_grid(cuda, tiles * (narrow ? (ap->d_out + 63) / 64 : width / OUTS_MOST), 1);

    if (rows == 0) return 0;
#define LAUNCH(E)                                                                                  \
    if (narrow)                                                                                    \
        apply_rows<E, 4><<<grid, BLOCK, 0, cuda->stream>>>(d_x, ap->d_a, ap->d_b, rows, ap->d_in,  \
                                                           ap->d_out, width, d_out);               \
    else                                                                                           \
        apply_rows<E, 8><<<grid, BLOCK, 0, cuda->stream>>>(d_x, ap->d_a, ap->d_b, rows, ap->d_in,  \
                                                           ap->d_out, width, d_out)
    ELEM_SWITCH(elem, LAUNCH);
#undef LAUNCH
    return cuda_launched(cuda, "apply_rows");
}

int cuda_transform(struct backend *b, const struct mat *x, const struct transform *t,
                   struct mat *out)
{
    struct cuda *cuda = cuda_of(b);
    struct applier *ap = NULL;
    int rc;

    if ((rc = cuda_start(cuda)) < 0) return rc;
    if ((rc = applier_create(&ap, cuda, t)) == 0)
        rc = applier_run(ap, x->elem, x->data.ptr, x->rows, (float *)out->data.ptr);
    rc = cuda_finish(cuda, rc);
    applier_free(ap);
    return rc;
}
