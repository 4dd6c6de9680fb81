/*
 * Product-quantizer codes. A distance is an fp32 sum of squared differences in dimension order,
 * products and sums rounded apart, so this is plain fp32 arithmetic: for d dimensions 3 * 256 * d
 * operations a row, and all else here keeps out of their way.
 *
 * A thread has some rows' slices in registers and goes over the 256 codewords, which lie in shared
 * memory and are read by all lanes at once. Codewords are looked at four at a time: one comparison
 * of the four's least with the best, and which of the four it was is found out at the end, by
 * computing those four again: 1.5 instructions a codeword instead of 3. Only a smaller one takes
 * over, and the first of the four that equals the best is it, so the lowest of equals wins; where
 * all distances are +inf it is codeword 0.
 */
#include "kernels/cuda/codes.h"

#include <cassert>
#include <cmath>

#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/means.h"

enum { BLOCK = 128, WARPS = BLOCK / 32 };
enum { SLICES = 8 }; /* that a block codes: codes are written 8 bytes at a time */
enum { MANY = 64 };  /* codewords at a time, where slices do not fit into registers */
enum { SLAB = 16 };  /* dimensions of them in shared memory */

/* Rows of m slices that are coded in tiles of TILE rows and SLICES slices. */
struct coding {
    const float *r;     /* [rows][m * dsub] */
    const float *books; /* [m][KSUB][dsub] */
    uint8_t *code;      /* [rows][m] */
    double *err;        /* [tiles][m] sums over each tile, or NULL */
    int64_t rows;
    int m, dsub;
};

/* ---- what both kernels do with what they found ---- */

/* The sum of v over the block in a fixed tree, in thread 0. warp: [WARPS], shared. */
__device__ static double block_sum(double v, double *warp)
{
    double sum = exact_warp_sum(v);

    __syncthreads(); /* what warp held before has been read */
    if (threadIdx.x % 32 == 0) warp[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0;
    for (int i = 0; i < WARPS; i++)
        sum += warp[i];
    return sum;
}

/* The codes of a tile from shared memory, [rows][SLICES], to their rows. */
__device__ static void write_codes(const struct coding &w, const uint8_t *found, int64_t row,
                                   int rows, int slice, int slices)
{
    __syncthreads();
    for (int i = (int)threadIdx.x; i < rows * SLICES; i += BLOCK)
        if (i % SLICES < slices && row + i / SLICES < w.rows)
            w.code[(row + i / SLICES) * w.m + slice + i % SLICES] = found[i];
    __syncthreads(); /* the next tile writes found anew */
}

/* ---- slices that fit into registers ---- */

/* A slice into registers: rows begin at a multiple of 16 bytes where DSUB is one of 4. */
template <int DSUB> __device__ static void load_slice(const float *from, float (&v)[DSUB])
{
    if constexpr (DSUB % 4 == 0) {
#pragma unroll
        for (int j = 0; j < DSUB; j += 4) {
            float4 four = *(const float4 *)(from + j);

            v[j] = four.x, v[j + 1] = four.y, v[j + 2] = four.z, v[j + 3] = four.w;
        }
    } else {
#pragma unroll
        for (int j = 0; j < DSUB; j++)
            v[j] = from[j];
    }
}

/* The squared distance of one slice from one codeword. */
template <int DSUB> __device__ static float distance(const float (&v)[DSUB], const float *word)
{
    float sum = 0;

#pragma unroll
    for (int j = 0; j < DSUB; j++) {
        float diff = v[j] - word[j];

        sum = j ? sum + diff * diff : diff * diff;
    }
    return sum;
}

/*
 * The nearest of the codewords in book for R slices: best[] and which of its four by four is first
 * to have it.
 */
template <int DSUB, int R>
__device__ static void search_book(const float (&v)[R][DSUB], const float *book, float (&best)[R],
                                   int (&at)[R])
{
    int four[R] = {};

#pragma unroll
    for (int i = 0; i < R; i++)
        best[i] = INFINITY;
#pragma unroll 1
    for (int c = 0; c < KSUB; c += 4) {
        alignas(16) float word[4 * DSUB];

#pragma unroll
        for (int j = 0; j < DSUB; j++)
            *(float4 *)(word + 4 * j) = ((const float4 *)(book + c * DSUB))[j];
#pragma unroll
        for (int i = 0; i < R; i++) {
            float least =
                fminf(fminf(distance<DSUB>(v[i], word), distance<DSUB>(v[i], word + DSUB)),
                      fminf(distance<DSUB>(v[i], word + 2 * DSUB),
                            distance<DSUB>(v[i], word + 3 * DSUB)));

            if (least < best[i]) {
                best[i] = least;
                four[i] = c;
            }
        }
    }
#pragma unroll
    for (int i = 0; i < R; i++) {
        at[i] = four[i];
        for (int k = 3; k >= 0; k--)
            if (distance<DSUB>(v[i], book + (four[i] + k) * DSUB) == best[i]) at[i] = four[i] + k;
    }
}

/*
 * Grid     blocks stride over (tile, eight slices), slices fastest: rows are read from memory once.
 * Block    128 threads, R rows each: lane after lane the next row, R of them 128 apart.
 * Reads    rows 4 * DSUB bytes at a time, which the caches put together; a book a slice and block.
 * Order    each distance in order of dimensions; err by threads, lanes, warps: always the same.
 * Bound    fp32 instructions: (3 DSUB - 1 + 1.5) * 256 a slice.
 */
template <int DSUB, int R>
static __global__ void __launch_bounds__(BLOCK, 4) encode_slices(struct coding w)
{
    constexpr int TILE = BLOCK * R;
    __shared__ __align__(16) float book[KSUB * DSUB];
    __shared__ uint8_t found[TILE * SLICES];
    __shared__ double warp[WARPS];
    int groups = (w.m + SLICES - 1) / SLICES;
    int64_t units = (w.rows + TILE - 1) / TILE * groups;

    for (int64_t unit = blockIdx.x; unit < units; unit += gridDim.x) {
        int64_t row = unit / groups * TILE;
        int slice = (int)(unit % groups) * SLICES;
        int slices = w.m - slice < SLICES ? w.m - slice : SLICES;

        for (int s = 0; s < slices; s++) {
            float v[R][DSUB], best[R];
            int at[R];
            double sum = 0;

#pragma unroll
            for (int i = 0; i < R; i++) {
                int64_t mine = row + i * BLOCK + threadIdx.x;
                const float *from =
                    w.r + ((mine < w.rows ? mine : w.rows - 1) * w.m + slice + s) * DSUB;

                load_slice<DSUB>(from, v[i]);
            }
            __syncthreads(); /* the book before this one was searched */
            for (int i = (int)threadIdx.x; i < KSUB * DSUB / 4; i += BLOCK)
                ((float4 *)book)[i] =
                    ((const float4 *)(w.books + (int64_t)(slice + s) * KSUB * DSUB))[i];
            __syncthreads();
            search_book<DSUB, R>(v, book, best, at);
            for (int i = 0; i < R; i++) {
                found[(i * BLOCK + (int)threadIdx.x) * SLICES + s] = (uint8_t)at[i];
                if (row + i * BLOCK + threadIdx.x < w.rows) sum += best[i];
            }
            if (w.err) {
                sum = block_sum(sum, warp);
                if (threadIdx.x == 0) w.err[unit / groups * w.m + slice + s] = sum;
            }
        }
        write_codes(w, found, row, TILE, slice, slices);
    }
}

/* ---- slices of any length ---- */

/* The book's codewords c ... c + MANY - 1, dimensions from ... from + SLAB - 1: [SLAB][MANY]. */
__device__ static void stage_slab(const float *book, int dsub, int c, int from, float (*slab)[MANY])
{
    for (int i = (int)threadIdx.x; i < SLAB * MANY; i += BLOCK) {
        int j = i / MANY, word = i % MANY;

        slab[j][word] = from + j < dsub ? book[(int64_t)(c + word) * dsub + from + j] : 0;
    }
}

/*
 * As encode_slices, a row a thread: sums to 64 codewords grow in registers, dimension by dimension.
 * Codewords are staged 16 dimensions at a time, the row's own come from the first-level cache, one
 * load to 192 operations.
 */
static __global__ void __launch_bounds__(BLOCK, 4) encode_long_slices(struct coding w)
{
    __shared__ __align__(16) float slab[SLAB][MANY];
    __shared__ uint8_t found[BLOCK * SLICES];
    __shared__ double warp[WARPS];
    int groups = (w.m + SLICES - 1) / SLICES;
    int64_t units = (w.rows + BLOCK - 1) / BLOCK * groups;

    for (int64_t unit = blockIdx.x; unit < units; unit += gridDim.x) {
        int64_t row = unit / groups * BLOCK, mine = row + threadIdx.x;
        int slice = (int)(unit % groups) * SLICES;
        int slices = w.m - slice < SLICES ? w.m - slice : SLICES;

        for (int s = 0; s < slices; s++) {
            const float *v = w.r + ((mine < w.rows ? mine : w.rows - 1) * w.m + slice + s) * w.dsub;
            float best = INFINITY;
            double total = 0;
            int at = 0;

#pragma unroll 1
            for (int c = 0; c < KSUB; c += MANY) {
                float sum[MANY] = {};

#pragma unroll 1
                for (int from = 0; from < w.dsub; from += SLAB) {
                    int dims = w.dsub - from < SLAB ? w.dsub - from : SLAB;

                    __syncthreads(); /* the slab before this one was read */
                    stage_slab(w.books + (int64_t)(slice + s) * KSUB * w.dsub, w.dsub, c, from,
                               slab);
                    __syncthreads();
#pragma unroll 1
                    for (int j = 0; j < dims; j++) {
                        float x = v[from + j];

#pragma unroll
                        for (int i = 0; i < MANY; i += 4) {
                            float4 word = *(const float4 *)&slab[j][i];

                            sum[i] += (x - word.x) * (x - word.x);
                            sum[i + 1] += (x - word.y) * (x - word.y);
                            sum[i + 2] += (x - word.z) * (x - word.z);
                            sum[i + 3] += (x - word.w) * (x - word.w);
                        }
                    }
                }
#pragma unroll
                for (int i = 0; i < MANY; i++) {
                    if (sum[i] < best) {
                        best = sum[i];
                        at = c + i;
                    }
                }
            }
            found[threadIdx.x * SLICES + s] = (uint8_t)at;
            if (w.err) {
                total = block_sum(mine < w.rows ? best : 0, warp);
                if (threadIdx.x == 0) w.err[unit / groups * w.m + slice + s] = total;
            }
        }
        write_codes(w, found, row, BLOCK, slice, slices);
    }
}

/* ---- launches ---- */

/* Rows of a tile: of a thread as many as registers allow. */
static constexpr int rows_of(int dsub)
{
    return dsub <= 8 ? 4 : 2;
}

/* A kernel for slices of dsub, and the rows of its tiles. */
struct encoder {
    void (*kernel)(struct coding w);
    int tile;
};

static struct encoder encoder_for(int dsub)
{
    switch (dsub) {
#define OF(DSUB)                                                                                   \
    case DSUB:                                                                                     \
        return {encode_slices<DSUB, rows_of(DSUB)>, BLOCK * rows_of(DSUB)};
        OF(1)
        OF(2)
        OF(3)
        OF(4)
        OF(6)
        OF(8)
        OF(12)
        OF(16)
#undef OF
    }
    return {encode_long_slices, BLOCK};
}

static int enqueue_encode(struct cuda *cuda, const struct coding *w)
{
    struct encoder e = encoder_for(w->dsub);
    int64_t tiles = (w->rows + e.tile - 1) / e.tile;

    assert((uintptr_t)w->r % 16 == 0 && (uintptr_t)w->books % 16 == 0);
    if (w->rows == 0) return 0;
    e.kernel<<<cuda_grid(cuda, tiles * ((w->m + SLICES - 1) / SLICES), 1), BLOCK, 0,
               cuda->stream>>>(*w);
    return cuda_launched(cuda, "encode_slices");
}

int codes_encode(struct cuda *cuda, const float *d_r, int64_t rows, int d, int m,
                 const float *d_books, uint8_t *d_code)
{
    struct coding w = {d_r, d_books, d_code, NULL, rows, m, d / m};

    return enqueue_encode(cuda, &w);
}

/* err[s] = the sum of tile[.][s], tiles of them: a block a slice, in a fixed order. */
static __global__ void add_tiles(const double *tile, int64_t tiles, int m, double *err)
{
    __shared__ double warp[WARPS];
    double sum = 0;

    for (int64_t i = threadIdx.x; i < tiles; i += BLOCK)
        sum += tile[i * m + blockIdx.x];
    sum = block_sum(sum, warp);
    if (threadIdx.x == 0) err[blockIdx.x] = sum;
}

/* Tiles of the shortest kind: what sums of errors take, at most. */
static size_t tile_sums_bytes(int64_t rows, int m)
{
    return (size_t)((rows + BLOCK - 1) / BLOCK) * (size_t)m * sizeof(double);
}

static int encode_with_errors(struct cuda *cuda, struct coding *w, double *d_err)
{
    int tile = encoder_for(w->dsub).tile, rc;
    char *d_region;

    if ((rc = cuda_scratch(cuda, tile_sums_bytes(w->rows, w->m), &d_region)) < 0) return rc;
    w->err = (double *)d_region;
    if ((rc = enqueue_encode(cuda, w)) < 0) return rc;
    add_tiles<<<(unsigned)w->m, BLOCK, 0, cuda->stream>>>(w->err, (w->rows + tile - 1) / tile, w->m,
                                                          d_err);
    return cuda_launched(cuda, "add_tiles");
}

int cuda_encode(struct backend *b, const struct mat *r, int m, struct buf books, struct buf code,
                struct buf err)
{
    struct cuda *cuda = cuda_of(b);
    struct coding w = {(const float *)r->data.ptr,
                       (const float *)books.ptr,
                       (uint8_t *)code.ptr,
                       NULL,
                       r->rows,
                       m,
                       r->d / m};
    int rc;

    if ((rc = cuda_start(cuda)) < 0) return rc;
    rc = err.ptr ? encode_with_errors(cuda, &w, (double *)err.ptr) : enqueue_encode(cuda, &w);
    return cuda_finish(cuda, rc);
}

/* Slices are rows of d / m, one after the other, and codewords their means: so is it computed. */
int cuda_code_means(struct backend *b, const struct mat *r, int m, struct buf code,
                    struct buf books, struct buf count)
{
    struct cuda *cuda = cuda_of(b);
    struct mat slices = {r->data, ELEM_F32, r->rows * m, r->d / m};
    int rc;

    if ((rc = cuda_start(cuda)) < 0) return rc;
    return cuda_finish(cuda, means_by_code(cuda, &slices, (const uint8_t *)code.ptr, m,
                                           (float *)books.ptr, (int64_t *)count.ptr));
}

size_t codes_scratch(int64_t rows, int m)
{
    size_t means = means_scratch(rows * m, (int64_t)m * KSUB), sums = tile_sums_bytes(rows, m);

    return means > sums ? means : sums;
}
