/*
 * Vectors made ready for the product: centred, scaled by a power of two, rounded to fp16, and the
 * rounding's length kept. What is left of the true vector is |x' - fp16| and 2^-24 |x'| for the
 * subtraction; both go into the margin.
 *
 * Vectors with a NaN or an infinity: a column is packed as if it were not there (its score is 0); a
 * row's length is NaN, and who uses it looks. One that is finite, but so far away that its scaled
 * square is not, has an infinite length: then margins are infinite, and nothing is ruled out.
 */
#include "kernels/cuda/chain.cuh"
#include "kernels/cuda/elem.cuh"
#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/product.h"

enum { THREADS = 256, SUM_BLOCKS = 256 };
enum { BLOCK_DEPTH = 32 }; /* dimensions that are permuted among themselves */

/* fp16 has 11 bits and this is the largest value's exponent: sums stay far from fp32's end, and what
   is a hundred times larger than anything the space was fitted to is still a half. */
enum { TOP_EXPONENT = 8 };
static const float HALF_MAX = 65504;

/* ---- rooms ---- */

void space_room(struct space *s, struct room *r)
{
    s->depth = product_depth(s->d);
    s->d_centre = room_take<float>(r, s->depth);
    s->d_facts = room_take<struct product_facts>(r, 1);
}

void columns_room(struct columns *c, struct room *r)
{
    c->tiles = columns_tiles(c->n);
    c->d_image = room_take<__half>(r, c->tiles * TILE_COLS * c->depth);
    c->d_half = room_take<float>(r, c->tiles * TILE_COLS);
    c->d_norm = room_take<float>(r, c->tiles * TILE_COLS);
}

void rows_room(struct rows *x, struct room *r)
{
    x->d_x = room_take<__half>(r, x->n * x->depth);
    x->d_square = room_take<float>(r, x->n);
    x->d_length = room_take<float>(r, x->n);
    x->d_err = room_take<float>(r, x->n);
    x->d_zero = NULL;
}

int64_t space_partials(int d)
{
    return (int64_t)SUM_BLOCKS * d;
}

/* ---- fitting a space ---- */

/* Sums of a share of the rows by dimension: partial[block][d]. What is not finite counts as 0. */
__global__ static void sum_dimensions(enum elem elem, const void *x, int64_t n, int d,
                                      double *partial)
{
    int64_t first = n * blockIdx.x / gridDim.x, end = n * (blockIdx.x + 1) / gridDim.x;

    for (int j = (int)threadIdx.x; j < d; j += THREADS) {
        double sum = 0;

        for (int64_t i = first; i < end; i++) {
            float v = exact_elem(elem, x, i * d + j);

            sum += isfinite(v) ? v : 0;
        }
        partial[(int64_t)blockIdx.x * d + j] = sum;
    }
}

__global__ static void mean_dimensions(const double *partial, int64_t n, int d, int depth,
                                       float *centre, struct product_facts *facts)
{
    for (int j = (int)threadIdx.x; j < depth; j += THREADS) {
        double sum = 0;

        for (int b = 0; b < SUM_BLOCKS && j < d; b++)
            sum += partial[(int64_t)b * d + j];
        centre[j] = j < d && n ? (float)(sum / (double)n) : 0;
    }
    if (threadIdx.x == 0) *facts = {};
}

/* facts->scale = the largest distance of an element from its centre, for now. */
__global__ static void find_range(enum elem elem, const void *x, int64_t n, int d,
                                  const float *centre, struct product_facts *facts)
{
    int64_t stride = (int64_t)gridDim.x * THREADS;
    float top = 0;

    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n * d; i += stride) {
        float v = fabsf(exact_elem(elem, x, i) - centre[i % d]);

        top = isfinite(v) ? fmaxf(top, v) : top;
    }
    for (int lanes = 16; lanes; lanes /= 2)
        top = fmaxf(top, __shfl_xor_sync(WARP_ALL, top, lanes));
    if (threadIdx.x % 32 == 0) atomicMax((int *)&facts->scale, __float_as_int(top));
}

/*
 * The scale from the range. The centre is rounded to a grid of some hundredth of the range, so
 * that whole numbers less it are few-digit numbers still, which fp16 holds exactly. Not where all are
 * at one point, as of one list: beside its distance from the grid all rows would be far (product_far).
 */
__global__ static void settle_space(int depth, float *centre, struct product_facts *facts)
{
    __shared__ int exponent; /* range < 2^exponent */
    __shared__ float range;

    if (threadIdx.x == 0) {
        exponent = 0;
        range = facts->scale;
        if (range > 0) frexpf(range, &exponent);
        exponent = max(-110, exponent);
        facts->scale = ldexpf(1, TOP_EXPONENT - exponent);
        /* the smallest fp32, in units of the scaled square */
        facts->resolution = ldexpf(1, 2 * (TOP_EXPONENT - exponent) - 149);
    }
    __syncthreads();
    for (int j = (int)threadIdx.x; range > 0 && j < depth; j += THREADS) {
        float grid = ldexpf(1, exponent - 8), at = rintf(centre[j] / grid) * grid;

        centre[j] = isfinite(at) ? at : centre[j];
    }
}

int space_fit(struct cuda *cuda, struct space *s, enum elem elem, const void *d_x, int64_t n,
              double *d_partial)
{
    int rc;

    sum_dimensions<<<SUM_BLOCKS, THREADS, 0, cuda->stream>>>(elem, d_x, n, s->d, d_partial);
    if ((rc = cuda_launched(cuda, "sum_dimensions")) < 0) return rc;
    mean_dimensions<<<1, THREADS, 0, cuda->stream>>>(d_partial, n, s->d, s->depth, s->d_centre,
                                                     s->d_facts);
    if ((rc = cuda_launched(cuda, "mean_dimensions")) < 0) return rc;
    find_range<<<cuda_grid(cuda, n * s->d, THREADS), THREADS, 0, cuda->stream>>>(
        elem, d_x, n, s->d, s->d_centre, s->d_facts);
    if ((rc = cuda_launched(cuda, "find_range")) < 0) return rc;
    settle_space<<<1, THREADS, 0, cuda->stream>>>(s->depth, s->d_centre, s->d_facts);
    return cuda_launched(cuda, "settle_space");
}

/* ---- packing ---- */

/* One element in the space; its square and that of what fp16 drops are added to the sums. A vector
   with a NaN or an infinity gets NaN for its square. */
__device__ __forceinline__ __half pack_elem(float v, float centre, float scale, float *square,
                                            float *dropped)
{
    float y = (v - centre) * scale, rounded, rest;
    __half h = __float2half_rn(fminf(fmaxf(y, -HALF_MAX), HALF_MAX));

    rounded = __half2float(h);
    rest = y - rounded;
    *square = isfinite(v) ? fmaf(y, y, *square) : NAN;
    *dropped = fmaf(rest, rest, *dropped);
    return h;
}

/* Lengths from sums of squares, rounded up: float sums of any order, and the subtraction's error. */
__device__ __forceinline__ float pack_length(float square)
{
    return sqrtf(square) * 1.001f;
}

__device__ __forceinline__ float pack_err(float dropped, float length)
{
    return sqrtf(dropped) * 1.001f + 0x1p-23f * length;
}

__device__ __forceinline__ void raise(float *fact, float value)
{
    if (value > *fact) atomicMax((int *)fact, __float_as_int(value)); /* neither is negative */
}

/* The fact from each warp's largest: a block alone sets it, several raise it from the 0 it is at. */
__device__ static void settle_row_max(float *fact, float top)
{
    __shared__ int most; /* of floats that are not negative: as integers they have the same order */

    if (gridDim.x > 1) {
        if (threadIdx.x % 32 == 0) raise(fact, top);
        return;
    }
    if (threadIdx.x == 0) most = 0;
    __syncthreads();
    if (threadIdx.x % 32 == 0) atomicMax(&most, __float_as_int(top));
    __syncthreads();
    if (threadIdx.x == 0) *fact = __int_as_float(most);
}

/*
 * Rows. A warp a row, each lane 4 dimensions at a time; W (1 or 4) divides d. Reads the row once,
 * writes 2 bytes a dimension.
 */
template <enum elem E, int W>
__global__ static void pack_rows(const void *p, int d, const float *centre,
                                 struct product_facts *facts, struct rows out)
{
    typedef typename elem_raw<E, W>::type raw;
    const typename elem_raw<E, 1>::type *x = (const typename elem_raw<E, 1>::type *)p;
    int lane = (int)(threadIdx.x % 32), warps = (int)(gridDim.x * (THREADS / 32));
    float scale = facts->scale, far_off = product_far(facts), top = 0;

    chain_next();
    for (int64_t i = (blockIdx.x * THREADS + threadIdx.x) / 32; i < out.n; i += warps) {
        float square = 0, dropped = 0, length;

        for (int j = 4 * lane; j < out.depth; j += 128) {
            __align__(8) __half h[4];

#pragma unroll
            for (int t = 0; t < 4; t += W) {
                float part[W] = {};

                if (j + t < d) elem_floats(__ldg((const raw *)(x + i * d + j + t)), part);
#pragma unroll
                for (int u = 0; u < W; u++)
                    h[t + u] = pack_elem(part[u], centre[j + t + u], scale, &square, &dropped);
            }
            *(uint2 *)(out.d_x + i * out.depth + j) = *(const uint2 *)h;
        }
        for (int lanes = 16; lanes; lanes /= 2) {
            square += __shfl_xor_sync(WARP_ALL, square, lanes);
            dropped += __shfl_xor_sync(WARP_ALL, dropped, lanes);
        }
        length = pack_length(square);
        if (lane == 0) {
            out.d_square[i] = square;
            out.d_length[i] = length;
            out.d_err[i] = pack_err(dropped, length);
            if (out.d_zero) out.d_zero[i] = 0;
        }
        if (length <= far_off) top = fmaxf(top, length); /* nor where it is NaN */
    }
    settle_row_max(&facts->row_max, top);
}

/* Dimensions 32 * block ... of a vector, with zeros past the end; W (1 or 4) divides d. */
template <enum elem E, int W>
__device__ __forceinline__ void load_block(const typename elem_raw<E, 1>::type *x, int64_t row,
                                           int block, int d, bool there, float (&v)[BLOCK_DEPTH])
{
    typedef typename elem_raw<E, W>::type raw;

#pragma unroll
    for (int t = 0; t < BLOCK_DEPTH; t += W) {
        int j = BLOCK_DEPTH * block + t;
        float part[W] = {};

        if (there && j < d) elem_floats(__ldg((const raw *)(x + row * d + j)), part);
#pragma unroll
        for (int i = 0; i < W; i++)
            v[t + i] = part[i];
    }
}

/*
 * Columns. A block a tile; a thread takes 32 dimensions of a column, which are four pieces of 16
 * bytes in the image: slot 8 * half + 2 * quad + i of step s is dimension 8 * quad + 4 * s + 2 *
 * half + i. Threads side by side have neighbouring columns, so writes are whole lines. 2 bytes a
 * dimension are written. The sums' order varies, and with it lengths by a rounding, which their
 * 1.001 covers.
 */
template <enum elem E, int W>
__global__ static void pack_columns(const void *x, int d, const float *centre,
                                    struct product_facts *facts, struct columns out)
{
    __shared__ float squares[TILE_COLS], drops[TILE_COLS];
    int64_t first = (int64_t)blockIdx.x * TILE_COLS;
    __half *image = out.d_image + first * out.depth;
    float scale = facts->scale;
    int t = (int)threadIdx.x;

    if (t < TILE_COLS) squares[t] = drops[t] = 0;
    __syncthreads();
    for (int e = t; e < TILE_COLS * (out.depth / BLOCK_DEPTH); e += THREADS) {
        int block = e / TILE_COLS, col = e % TILE_COLS;
        bool there = first + col < out.n;
        float v[BLOCK_DEPTH], square = 0, dropped = 0;
        __half *to = image + (int64_t)(block * 4 * (TILE_COLS / 8) + col / 8) * 64 + col % 8 * 8;

        load_block<E, W>((const typename elem_raw<E, 1>::type *)x, first + col, block, d, there, v);
#pragma unroll
        for (int piece = 0; piece < 4; piece++) {
            __align__(16) __half h[8];

#pragma unroll
            for (int p = 0; p < 8; p++) {
                int k = 8 * (p / 2) + 4 * (piece / 2) + 2 * (piece % 2) + p % 2;
                float middle = there ? centre[BLOCK_DEPTH * block + k] : 0; /* 0 past d */

                h[p] = pack_elem(v[k], middle, scale, &square, &dropped);
            }
            *(uint4 *)(to + piece * (TILE_COLS / 8) * 64) = *(const uint4 *)h;
        }
        atomicAdd(squares + col, square);
        atomicAdd(drops + col, dropped);
    }
    __syncthreads();
    if (t >= TILE_COLS) return;
    float length = pack_length(squares[t]);
    bool there = !isnan(squares[t]) && first + t < out.n;
    float err = there ? pack_err(drops[t], length) : 0;

    if (!there) length = 0;
    out.d_half[first + t] = there ? 0.5f * squares[t] : NAN;

    for (int lanes = 16; lanes; lanes /= 2) {
        length = fmaxf(length, __shfl_xor_sync(WARP_ALL, length, lanes));
        err = fmaxf(err, __shfl_xor_sync(WARP_ALL, err, lanes));
    }
    if (t % 32 == 0) {
        raise(&facts->col_max, length);
        raise(&facts->col_err, err);
    }
}

/* Images of columns that are not finite must not spoil sums: 0 * NaN is NaN. */
__global__ static void clear_columns(struct columns out)
{
    int64_t column = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    int64_t tile = column / TILE_COLS, col = column % TILE_COLS;

    if (column >= out.tiles * TILE_COLS || !isnan(out.d_half[column])) return;
    for (int piece = 0; piece < out.depth / 8; piece++)
        *(uint4 *)(out.d_image + tile * TILE_COLS * out.depth +
                   (int64_t)(piece * (TILE_COLS / 8) + col / 8) * 64 + col % 8 * 8) = {};
}

__global__ static void finish_norms(const struct product_facts *facts, struct columns c)
{
    int64_t column = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    float offset = product_offset(facts);

    if (column >= c.tiles * TILE_COLS) return;
    c.d_norm[column] = isnan(c.d_half[column]) ? 0 : offset - c.d_half[column];
}

__global__ static void forget(struct product_facts *facts, bool rows)
{
    if (rows)
        facts->row_max = 0;
    else
        facts->col_max = facts->col_err = 0;
}

typedef void (*rows_packer)(const void *, int, const float *, struct product_facts *, struct rows);
typedef void (*columns_packer)(const void *, int, const float *, struct product_facts *,
                               struct columns);

/* The packers of a type: four elements a load where rows begin at a multiple of four. */
template <enum elem E> static void packers_of(bool wide, rows_packer *rows, columns_packer *columns)
{
    *rows = wide ? pack_rows<E, 4> : pack_rows<E, 1>;
    *columns = wide ? pack_columns<E, 4> : pack_columns<E, 1>;
}

static void find_packers(enum elem elem, int d, rows_packer *rows, columns_packer *columns)
{
    switch (elem) {
    case ELEM_F32:
        return packers_of<ELEM_F32>(d % 4 == 0, rows, columns);
    case ELEM_F16:
        return packers_of<ELEM_F16>(d % 4 == 0, rows, columns);
    case ELEM_U8:
        return packers_of<ELEM_U8>(d % 4 == 0, rows, columns);
    case ELEM_I8:
        return packers_of<ELEM_I8>(d % 4 == 0, rows, columns);
    }
}

int rows_pack(struct cuda *cuda, const struct space *s, enum elem elem, const void *d_x,
              struct rows *x)
{
    columns_packer unused;
    rows_packer pack = NULL;
    unsigned blocks = cuda_grid(cuda, x->n * 32, THREADS);
    int rc;

    find_packers(elem, s->d, &pack, &unused);
    /* not of the chain: what comes before this has ended when kernels behind it start (exhaustive.cu, walk.cu) */
    if (blocks > 1) {
        forget<<<1, 1, 0, cuda->stream>>>(s->d_facts, true);
        if ((rc = cuda_launched(cuda, "forget")) < 0) return rc;
    }
    pack<<<blocks, THREADS, 0, cuda->stream>>>(d_x, s->d, s->d_centre, s->d_facts, *x);
    return cuda_launched(cuda, "pack_rows");
}

int columns_pack(struct cuda *cuda, const struct space *s, enum elem elem, const void *d_x,
                 struct columns *c)
{
    int64_t columns = c->tiles * TILE_COLS;
    columns_packer pack = NULL;
    rows_packer unused;
    int rc;

    find_packers(elem, s->d, &unused, &pack);
    forget<<<1, 1, 0, cuda->stream>>>(s->d_facts, false);
    if ((rc = cuda_launched(cuda, "forget")) < 0) return rc;
    if (!c->tiles) return 0;
    pack<<<(unsigned)c->tiles, THREADS, 0, cuda->stream>>>(d_x, s->d, s->d_centre, s->d_facts, *c);
    if ((rc = cuda_launched(cuda, "pack_columns")) < 0) return rc;
    clear_columns<<<(unsigned)((columns + THREADS - 1) / THREADS), THREADS, 0, cuda->stream>>>(*c);
    return cuda_launched(cuda, "clear_columns");
}

int columns_norms(struct cuda *cuda, const struct space *s, struct columns *c)
{
    int64_t columns = c->tiles * TILE_COLS;

    if (!columns) return 0;
    finish_norms<<<(unsigned)((columns + THREADS - 1) / THREADS), THREADS, 0, cuda->stream>>>(
        s->d_facts, *c);
    return cuda_launched(cuda, "finish_norms");
}
