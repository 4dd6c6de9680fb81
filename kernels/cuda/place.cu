#include "kernels/cuda/place.h"

#include "kernels/cuda/array.h"
#include "kernels/cuda/sort.h"

enum { THREADS = 256 };

static __device__ int64_t thread_number(void)
{
    return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

static __device__ int64_t thread_count(void)
{
    return (int64_t)gridDim.x * blockDim.x;
}

/* ---- the order ---- */

/* row[i] = i: what the sort carries along. A thread per row, 4 bytes written. */
static __global__ void number_rows(int64_t n, uint32_t *row)
{
    for (int64_t i = thread_number(); i < n; i += thread_count())
        row[i] = (uint32_t)i;
}

static int new_arrays(struct order *o, struct cuda *cuda)
{
    size_t bytes = (size_t)o->n * sizeof(uint32_t);
    int rc;

    if ((rc = array_new(cuda, &o->row, bytes)) < 0) return rc;
    if ((rc = array_new(cuda, &o->spare_list, bytes)) < 0) return rc;
    return array_new(cuda, &o->spare_row, bytes);
}

/* Bits of a list number, at least one. */
static int list_bits(int64_t nlist)
{
    int bits = 1;

    while ((int64_t)1 << bits < nlist)
        bits++;
    return bits;
}

static void swap(struct buf *a, struct buf *b)
{
    struct buf was = *a;

    *a = *b;
    *b = was;
}

static int sort(struct order *o, struct cuda *cuda, int64_t nlist)
{
    uint32_t *const list[] = {(uint32_t *)o->list.ptr, (uint32_t *)o->spare_list.ptr};
    uint32_t *const row[] = {(uint32_t *)o->row.ptr, (uint32_t *)o->spare_row.ptr};
    int bits = list_bits(nlist), at = 0, rc;
    size_t bytes = 0;
    char *d_temp;

    if ((rc = CU(sort_pairs(NULL, &bytes, list, row, o->n, bits, &at, cuda->stream))) < 0)
        return rc;
    if ((rc = cuda_scratch(cuda, bytes, &d_temp)) < 0) return rc;
    if ((rc = CU(sort_pairs(d_temp, &bytes, list, row, o->n, bits, &at, cuda->stream))) < 0)
        return rc;
    if (at) {
        swap(&o->list, &o->spare_list);
        swap(&o->row, &o->spare_row);
    }
    return 0;
}

int order_make(struct order *o, struct cuda *cuda, struct buf *list, int64_t n, int64_t nlist)
{
    int rc;

    *o = {.n = n, .list = *list, .row = {}, .spare_list = {}, .spare_row = {}};
    *list = {};
    if ((rc = new_arrays(o, cuda)) < 0) return rc;
    number_rows<<<cuda_grid(cuda, n, THREADS), THREADS, 0, cuda->stream>>>(n,
                                                                           (uint32_t *)o->row.ptr);
    if ((rc = cuda_launched(cuda, "number_rows")) < 0) return rc;
    return n ? sort(o, cuda, nlist) : 0;
}

void order_clear(struct order *o, struct cuda *cuda)
{
    array_free(cuda, &o->list);
    array_free(cuda, &o->row);
    array_free(cuda, &o->spare_list);
    array_free(cuda, &o->spare_row);
}

size_t order_bytes(int64_t n)
{
    return 4 * (size_t)n * sizeof(uint32_t);
}

/*
 * offset[j] = the first place whose list is at least j, by bisection: a thread per list and one
 * more, some 30 reads each, most of them out of the L2 cache.
 */
static __global__ void find_offsets(const uint32_t *list, int64_t n, int64_t nlist, int64_t *offset)
{
    for (int64_t j = thread_number(); j <= nlist; j += thread_count()) {
        int64_t lo = 0, hi = n;

        while (lo < hi) {
            int64_t mid = lo + (hi - lo) / 2;

            if ((int64_t)list[mid] < j)
                lo = mid + 1;
            else
                hi = mid;
        }
        offset[j] = lo;
    }
}

int order_offsets(const struct order *o, struct cuda *cuda, int64_t nlist, int64_t *d_offset)
{
    find_offsets<<<cuda_grid(cuda, nlist + 1, THREADS), THREADS, 0, cuda->stream>>>(
        (const uint32_t *)o->list.ptr, o->n, nlist, d_offset);
    return cuda_launched(cuda, "find_offsets");
}

/* A thread per place: reads 8 bytes in order, writes 8 scattered. */
static __global__ void invert(const uint32_t *list, const uint32_t *row, int64_t n,
                              uint32_t *list_of, uint32_t *place_of)
{
    for (int64_t i = thread_number(); i < n; i += thread_count()) {
        list_of[row[i]] = list[i];
        place_of[row[i]] = (uint32_t)i;
    }
}

int order_invert(const struct order *o, struct cuda *cuda)
{
    invert<<<cuda_grid(cuda, o->n, THREADS), THREADS, 0, cuda->stream>>>(
        (const uint32_t *)o->list.ptr, (const uint32_t *)o->row.ptr, o->n,
        (uint32_t *)o->spare_list.ptr, (uint32_t *)o->spare_row.ptr);
    return cuda_launched(cuda, "invert");
}

/* ---- ids ---- */

/*
 * A thread per place: reads 4 bytes, bisects the runs (one, where the data set came in order),
 * writes 4 or 8 bytes.
 */
static __global__ void number_places(const struct run *runs, int64_t nruns, const uint32_t *row,
                                     int64_t n, uint32_t *ids32, int64_t *ids64)
{
    for (int64_t i = thread_number(); i < n; i += thread_count()) {
        int64_t lo = 0, hi = nruns; /* the run is in lo ... hi - 1 */
        vid id;

        while (hi - lo > 1) {
            int64_t mid = lo + (hi - lo) / 2;

            if (runs[mid].at <= (int64_t)row[i])
                lo = mid;
            else
                hi = mid;
        }
        id = runs[lo].first + ((int64_t)row[i] - runs[lo].at);
        if (ids32)
            ids32[i] = (uint32_t)id;
        else
            ids64[i] = id;
    }
}

int place_ids(struct cuda *cuda, const struct run *runs, int64_t nruns, const uint32_t *d_row,
              int64_t n, uint32_t *d_ids32, int64_t *d_ids64)
{
    size_t bytes = (size_t)nruns * sizeof *runs;
    char *d_runs;
    int rc;

    if (!n) return 0;
    if ((rc = cuda_scratch(cuda, bytes, &d_runs)) < 0) return rc;
    if ((rc = CU(cudaMemcpyAsync(d_runs, runs, bytes, cudaMemcpyHostToDevice, cuda->stream))) < 0)
        return rc;
    number_places<<<cuda_grid(cuda, n, THREADS), THREADS, 0, cuda->stream>>>(
        (const struct run *)d_runs, nruns, d_row, n, d_ids32, d_ids64);
    return cuda_launched(cuda, "number_places");
}

/* ---- rows ---- */

/*
 * A group of 2^lane_bits threads (at most a warp) per row: row to[i] of dst = row from[i] of src.
 * Reads and writes a row each and 4 bytes per index; rows out of order cost whole 32-byte sectors.
 * words: of V in a row, whose length V divides; in dst rows are `stride` V apart.
 */
template <class V>
static __global__ void move_rows(const V *src, const uint32_t *from, const uint32_t *to, int64_t n,
                                 int64_t words, int64_t stride, int lane_bits, V *dst)
{
    int lanes = 1 << lane_bits, lane = (int)(threadIdx.x % lanes);

    for (int64_t i = thread_number() >> lane_bits; i < n; i += thread_count() >> lane_bits) {
        const V *in = src + (from ? (int64_t)from[i] : i) * words;
        V *out = dst + (to ? (int64_t)to[i] : i) * stride;

        for (int64_t w = lane; w < words; w += lanes)
            out[w] = in[w];
    }
}

template <class V>
static int move_as(struct cuda *cuda, const void *d_src, const uint32_t *d_from,
                   const uint32_t *d_to, int64_t n, int64_t row_bytes, int64_t stride, void *d_dst)
{
    int64_t words = row_bytes / (int64_t)sizeof(V);
    int lane_bits = 0;

    while (lane_bits < 5 && (int64_t)1 << lane_bits < words)
        lane_bits++;
    move_rows<V><<<cuda_grid(cuda, n << lane_bits, THREADS), THREADS, 0, cuda->stream>>>(
        (const V *)d_src, d_from, d_to, n, words, stride / (int64_t)sizeof(V), lane_bits,
        (V *)d_dst);
    return cuda_launched(cuda, "move_rows");
}

int place_rows(struct cuda *cuda, const void *d_src, const uint32_t *d_from, const uint32_t *d_to,
               int64_t n, int64_t row_bytes, int64_t stride, void *d_dst)
{
    if (row_bytes % 16 == 0)
        return move_as<uint4>(cuda, d_src, d_from, d_to, n, row_bytes, stride, d_dst);
    if (row_bytes % 8 == 0)
        return move_as<uint2>(cuda, d_src, d_from, d_to, n, row_bytes, stride, d_dst);
    if (row_bytes % 4 == 0)
        return move_as<uint32_t>(cuda, d_src, d_from, d_to, n, row_bytes, stride, d_dst);
    if (row_bytes % 2 == 0)
        return move_as<uint16_t>(cuda, d_src, d_from, d_to, n, row_bytes, stride, d_dst);
    return move_as<uint8_t>(cuda, d_src, d_from, d_to, n, row_bytes, stride, d_dst);
}
