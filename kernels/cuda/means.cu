/*
 * Means by list: sort (list, row) pairs, which is stable, then walk each list's rows in order. A
 * sum has one thread and one order, so that it has the CPU's bits, and no atomics.
 *
 * A list of n rows takes n dependent additions however fast rows come, so long lists get blocks of
 * their own, whose other warps fetch ahead of the one that adds.
 */
#include "kernels/cuda/means.h"

#include "kernels/cuda/elem.cuh"
#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/sort.h"

enum { BLOCK = 256, WARPS = BLOCK / 32 };
enum { AHEAD = 8 };    /* rows that a thread has on their way */
enum { LONG = 2048 };  /* rows of a list with blocks of its own */
enum { FETCHED = 16 }; /* rows a warp fetches at a time, of such a list */
enum { STAGE = (WARPS - 1) * FETCHED };

/* Rows by list: those of list j are order[start[j]] ... order[start[j + 1] - 1], ascending. */
struct by_list {
    int64_t rows, nlist;
    uint32_t *list[2], *order[2]; /* [rows]: sorted to and fro */
    int at;                       /* which of the two has them sorted */
    uint32_t *start;              /* [nlist + 1] */
    uint32_t *longs, *nlongs;     /* the lists of LONG rows or more, in any order; how many */
    char *temp;
    size_t temp_bytes;
};

static void lay_out(struct room *r, struct by_list *by)
{
    for (int i = 0; i < 2; i++) {
        by->list[i] = room_take<uint32_t>(r, by->rows);
        by->order[i] = room_take<uint32_t>(r, by->rows);
    }
    by->start = room_take<uint32_t>(r, by->nlist + 1);
    by->longs = room_take<uint32_t>(r, by->rows / LONG + 1);
    by->nlongs = room_take<uint32_t>(r, 1);
    by->temp = room_take<char>(r, (int64_t)by->temp_bytes);
}

size_t means_scratch(int64_t rows, int64_t nlist)
{
    struct by_list by = {};
    struct room r = {};

    by.rows = rows;
    by.nlist = nlist;
    by.temp_bytes = sort_temp_bytes(rows);
    lay_out(&r, &by);
    return r.at;
}

/* ---- sorting ---- */

/* What is to be sorted: row i by list[i] or, of slices, by the codeword that code[i] is in its book. */
static __global__ void fill_pairs(const int32_t *list, const uint8_t *code, int m, int64_t rows,
                                  uint32_t *key, uint32_t *order)
{
    int64_t stride = (int64_t)gridDim.x * BLOCK;

    for (int64_t i = (int64_t)blockIdx.x * BLOCK + threadIdx.x; i < rows; i += stride) {
        key[i] = list ? (uint32_t)list[i] : (uint32_t)(i % m) * KSUB + code[i];
        order[i] = (uint32_t)i;
    }
}

/* start[j] = the first place of sorted[rows] that is not below j, by bisection: a thread a list. */
static __global__ void find_starts(const uint32_t *sorted, int64_t rows, int64_t nlist,
                                   uint32_t *start)
{
    int64_t stride = (int64_t)gridDim.x * BLOCK;

    for (int64_t j = (int64_t)blockIdx.x * BLOCK + threadIdx.x; j <= nlist; j += stride) {
        int64_t low = 0, high = rows;

        while (low < high) {
            int64_t middle = (low + high) / 2;

            if (sorted[middle] < j)
                low = middle + 1;
            else
                high = middle;
        }
        start[j] = (uint32_t)low;
    }
}

static __global__ void pick_long(const uint32_t *start, int64_t nlist, uint32_t *longs,
                                 uint32_t *nlongs)
{
    int64_t stride = (int64_t)gridDim.x * BLOCK;

    for (int64_t j = (int64_t)blockIdx.x * BLOCK + threadIdx.x; j < nlist; j += stride)
        if (start[j + 1] - start[j] >= LONG) longs[atomicAdd(nlongs, 1u)] = (uint32_t)j;
}

/* Bits that the numbers below n take. */
static int bits_of(int64_t n)
{
    int bits = 1;

    while (((int64_t)1 << bits) < n)
        bits++;
    return bits;
}

/* Takes the scratch region and enqueues all up to lists of rows in by->order[by->at]. */
static int sort_rows(struct cuda *cuda, struct by_list *by, const int32_t *d_list,
                     const uint8_t *d_code, int m)
{
    unsigned grid = cuda_grid(cuda, by->rows, BLOCK), lists = cuda_grid(cuda, by->nlist + 1, BLOCK);
    struct room r = {};
    int rc;

    by->temp_bytes = sort_temp_bytes(by->rows);
    lay_out(&r, by);
    if ((rc = cuda_scratch(cuda, r.at, &r.base)) < 0) return rc;
    r.at = 0;
    lay_out(&r, by);
    fill_pairs<<<grid, BLOCK, 0, cuda->stream>>>(d_list, d_code, m, by->rows, by->list[0],
                                                 by->order[0]);
    if ((rc = cuda_launched(cuda, "fill_pairs")) < 0) return rc;
    if ((rc = CU(sort_pairs(by->temp, &by->temp_bytes, by->list, by->order, by->rows,
                            bits_of(by->nlist), &by->at, cuda->stream))) < 0)
        return rc;
    find_starts<<<lists, BLOCK, 0, cuda->stream>>>(by->list[by->at], by->rows, by->nlist,
                                                   by->start);
    return cuda_launched(cuda, "find_starts");
}

/* ---- sums ---- */

/*
 * Lists below LONG rows. A thread has W dimensions of a list and its sums of them; consecutive
 * threads the next dimensions, then the next list: rows of any d are read in one piece by
 * neighbours. AHEAD rows are on their way before the first is added; those past the list's end
 * are zeros, which change no sum (none is -0). count has one writer a list.
 * Bound    memory: each row is read once, and 4 bytes of order.
 */
template <enum elem E, int W>
static __global__ void __launch_bounds__(BLOCK)
    mean_lists(const void *x, const uint32_t *order, const uint32_t *start, int64_t nlist, int d,
               float *c, int64_t *count)
{
    typedef typename elem_raw<E, W>::type raw;
    int64_t stride = (int64_t)gridDim.x * BLOCK;
    int width = d / W;

    for (int64_t t = (int64_t)blockIdx.x * BLOCK + threadIdx.x; t < nlist * width; t += stride) {
        int64_t list = t / width;
        int at = (int)(t % width);
        uint32_t begin = start[list], n = start[list + 1] - begin;
        double sum[W] = {};

        if (at == 0) count[list] = n;
        if (n == 0 || n >= LONG) continue;
        for (uint32_t i = 0; i < n; i += AHEAD) {
            raw row[AHEAD] = {};

#pragma unroll
            for (int k = 0; k < AHEAD; k++)
                if (i + k < n)
                    row[k] = ((const raw *)x)[(int64_t)order[begin + i + k] * width + at];
#pragma unroll
            for (int k = 0; k < AHEAD; k++) {
                float v[W];

                elem_floats(row[k], v);
                for (int w = 0; w < W; w++)
                    sum[w] += v[w];
            }
        }
        for (int w = 0; w < W; w++)
            c[list * d + at * W + w] = (float)(sum[w] / (double)n);
    }
}

/* Warp fetcher of WARPS - 1 brings its part of STAGE rows, 32 dimensions; past n zeros. */
template <enum elem E>
__device__ static void fetch_rows(const void *x, const uint32_t *order, uint32_t n, int d, int dim,
                                  int fetcher, float (*stage)[32])
{
    int lane = (int)threadIdx.x % 32, first = fetcher * FETCHED;
    uint32_t mine = lane < FETCHED && first + lane < n ? order[first + lane] : 0;

#pragma unroll
    for (int k = 0; k < FETCHED; k++) {
        int64_t row = __shfl_sync(WARP_ALL, mine, k);

        stage[first + k][lane] = first + k < n && dim < d ? exact_elem(E, x, row * d + dim) : 0;
    }
}

/*
 * Lists of LONG rows and more: a block has 32 dimensions of one (blockIdx.y counts them), a lane of
 * its first warp one. That warp adds a stage while the others fetch the next; so the list takes
 * what its chain of additions takes. Blocks stride over the long lists.
 */
template <enum elem E>
static __global__ void __launch_bounds__(BLOCK)
    mean_long_lists(const void *x, const uint32_t *order, const uint32_t *start,
                    const uint32_t *longs, const uint32_t *nlongs, int d, float *c)
{
    __shared__ float stage[2][STAGE][32];
    int warp = (int)threadIdx.x / 32, dim = (int)(blockIdx.y * 32 + threadIdx.x % 32);

    for (uint32_t at = blockIdx.x; at < *nlongs; at += gridDim.x) {
        int64_t list = longs[at];
        uint32_t begin = start[list], n = start[list + 1] - begin;
        double sum = 0;

        for (int64_t i = 0; i < (int64_t)n + STAGE;
             i += STAGE) { /* one round more, to add the last */
            int turn = (int)(i / STAGE % 2);

            if (warp > 0 && i < n)
                fetch_rows<E>(x, order + begin + i, n - (uint32_t)i, d, dim, warp - 1, stage[turn]);
            if (warp == 0 && i > 0) {
#pragma unroll 16
                for (int k = 0; k < STAGE; k++)
                    sum += stage[1 - turn][k][threadIdx.x];
            }
            __syncthreads();
        }
        if (warp == 0 && dim < d) c[list * d + dim] = (float)(sum / (double)n);
    }
}

template <enum elem E>
static int enqueue_sums(struct cuda *cuda, const struct by_list *by, const struct mat *x,
                        float *d_c, int64_t *d_count)
{
    const void *d_x = x->data.ptr;
    bool four = elem_by_four(E, d_x, x->d);
    unsigned grid = cuda_grid(cuda, by->nlist * (four ? x->d / 4 : x->d), BLOCK);

    if (four)
        mean_lists<E, 4><<<grid, BLOCK, 0, cuda->stream>>>(d_x, by->order[by->at], by->start,
                                                           by->nlist, x->d, d_c, d_count);
    else
        mean_lists<E, 1><<<grid, BLOCK, 0, cuda->stream>>>(d_x, by->order[by->at], by->start,
                                                           by->nlist, x->d, d_c, d_count);
    return cuda_launched(cuda, "mean_lists");
}

template <enum elem E>
static int enqueue_long_sums(struct cuda *cuda, const struct by_list *by, const struct mat *x,
                             float *d_c)
{
    dim3 grid(cuda_grid(cuda, by->rows / LONG, 1), (unsigned)(x->d + 31) / 32);
    int rc;

    if ((rc = CU(cudaMemsetAsync(by->nlongs, 0, sizeof *by->nlongs, cuda->stream))) < 0) return rc;
    pick_long<<<cuda_grid(cuda, by->nlist, BLOCK), BLOCK, 0, cuda->stream>>>(by->start, by->nlist,
                                                                             by->longs, by->nlongs);
    if ((rc = cuda_launched(cuda, "pick_long")) < 0) return rc;
    mean_long_lists<E><<<grid, BLOCK, 0, cuda->stream>>>(x->data.ptr, by->order[by->at], by->start,
                                                         by->longs, by->nlongs, x->d, d_c);
    return cuda_launched(cuda, "mean_long_lists");
}

static int enqueue_means(struct cuda *cuda, const struct mat *x, const int32_t *d_list,
                         const uint8_t *d_code, int m, int64_t nlist, float *d_c, int64_t *d_count)
{
    struct by_list by = {};
    int rc = 0;

    by.rows = x->rows;
    by.nlist = nlist;
    if (x->rows > UINT32_MAX)
        return fail(ERR_UNSUPPORTED, "CUDA: means of %lld rows, of which 2^32 - 1 can be sorted",
                    (long long)x->rows);
    if (x->rows == 0)
        return CU(cudaMemsetAsync(d_count, 0, (size_t)nlist * sizeof *d_count, cuda->stream));
    if ((rc = sort_rows(cuda, &by, d_list, d_code, m)) < 0) return rc;
#define SUMS(E)                                                                                    \
    rc = enqueue_sums<E>(cuda, &by, x, d_c, d_count);                                              \
    if (rc == 0 && by.rows >= LONG) rc = enqueue_long_sums<E>(cuda, &by, x, d_c)
    ELEM_SWITCH(x->elem, SUMS);
#undef SUMS
    return rc;
}

int means_by_list(struct cuda *cuda, const struct mat *x, const int32_t *d_list, int64_t nlist,
                  float *d_c, int64_t *d_count)
{
    return enqueue_means(cuda, x, d_list, NULL, 1, nlist, d_c, d_count);
}

int means_by_code(struct cuda *cuda, const struct mat *x, const uint8_t *d_code, int m, float *d_c,
                  int64_t *d_count)
{
    return enqueue_means(cuda, x, NULL, d_code, m, (int64_t)m * KSUB, d_c, d_count);
}

int cuda_means(struct backend *b, const struct mat *x, struct buf list, struct mat *c,
               struct buf count)
{
    struct cuda *cuda = cuda_of(b);
    int rc;

    if ((rc = cuda_start(cuda)) < 0) return rc;
    return cuda_finish(cuda, means_by_list(cuda, x, (const int32_t *)list.ptr, c->rows,
                                           (float *)c->data.ptr, (int64_t *)count.ptr));
}
