/*
 * A block a query walks its lists; each warp takes vectors as many at a time as distances.cuh has on their way. What
 * is kept is what is answered, and nothing depends on the order in which warps get there.
 */
#include "kernels/cuda/plain.h"

#include <cmath>

#include "kernels/cuda/best.cuh"
#include "kernels/cuda/chain.cuh"
#include "kernels/cuda/distances.cuh"

enum { THREADS = 256, WARPS = THREADS / 32 };
enum { ROUND = 256 }; /* vectors of a list that a block takes between two looks at its store */

/* Candidates in shared memory, in any order up to count; after keep_best the best ones in order. */
struct plain_store {
    int cap, k;
    vid *ids;    /* [cap] */
    float *dist; /* [cap] */
    int *count;
};

/* Sorts the store and drops all but the k best; by the whole block. */
static __device__ void keep_best(const struct plain_store &s)
{
    int count;

    __syncthreads();
    count = *s.count;
    best_sort(s.dist, s.ids, count);
    if (threadIdx.x == 0) *s.count = min(count, s.k);
    __syncthreads();
}

/*
 * Vectors from ... to - 1 of a list, at most ROUND: some to each warp in turn. What is before the bound,
 * (dist, id), goes to the store, which has room; NaN and +inf never are.
 */
template <class Source>
static __device__ void scan_round(const struct stored &lists, const Source &source, int32_t list,
                                  int64_t from, int64_t to, float bound, vid bound_id,
                                  const struct plain_store &s)
{
    int lane = (int)(threadIdx.x % 32);

    for (int64_t pos = from + threadIdx.x / 32 * TOGETHER; pos < to; pos += WARPS * TOGETHER) {
        int n = (int)min((int64_t)TOGETHER, to - pos);
        vid id = lane < n ? stored_id(lists, pos + lane) : -1;
        float dist = distance_of(lists, source, places_from{pos}, list_of_all{list}, n);

        if (lane < n && best_before(dist, id, bound, bound_id)) {
            int at = atomicAdd(s.count, 1);

            s.dist[at] = dist;
            s.ids[at] = id;
        }
    }
}

/*
 * All vectors of a query's lists. The bound is the k-th of what was kept at the last sort, (+inf, 0) until
 * there are k: no id is below 0, so nothing at +inf gets in.
 */
template <class Source>
static __device__ void scan_query(const struct stored &lists, const Source &source,
                                  const int32_t *probe, int nprobe, const struct plain_store &s)
{
    float bound = INFINITY;
    vid bound_id = 0;

    for (int p = 0; p < nprobe; p++) {
        int32_t list = probe[p];
        int64_t end = list < 0 ? 0 : lists.offset[list + 1];

        for (int64_t pos = list < 0 ? 0 : lists.offset[list]; pos < end; pos += ROUND) {
            __syncthreads(); /* the last round has counted all of its own */
            int full = *s.count > s.cap - ROUND;

            __syncthreads(); /* and nobody counts on before all have looked */
            if (full) {
                keep_best(s);
                bound = *s.count < s.k ? INFINITY : s.dist[s.k - 1];
                bound_id = *s.count < s.k ? 0 : s.ids[s.k - 1];
                __syncthreads(); /* all have read the k-th; nothing overwrites it before */
            }
            scan_round(lists, source, list, pos, end - pos < ROUND ? end : pos + ROUND, bound,
                       bound_id, s);
        }
    }
    keep_best(s);
}

template <class Source>
static __global__ void __launch_bounds__(THREADS)
    search_plainly(struct stored lists, const float *q, int64_t n, struct undone only,
                   const int32_t *probe, int nprobe, int k, int cap, struct answers out)
{
    extern __shared__ __align__(16) char region[];
    __shared__ int count;
    struct plain_store s = {.cap = cap,
                            .k = k,
                            .ids = (vid *)region,
                            .dist = (float *)(region + sizeof(vid) * cap),
                            .count = &count};

    chain_wait();
    if (only.d_n) n = *only.d_n;
    for (int64_t u = blockIdx.x; u < n; u += gridDim.x) {
        int64_t query = only.d_n ? only.d_query[u] : u;
        Source source;

        if (threadIdx.x == 0) count = 0;
        source.begin(lists, q + query * lists.d);
        scan_query(lists, source, probe + query * nprobe, nprobe, s);
        for (int i = (int)threadIdx.x; i < k; i += THREADS) {
            out.d_dist[query * k + i] = i < count ? s.dist[i] : INFINITY;
            out.d_ids[query * k + i] = i < count ? s.ids[i] : -1;
        }
        __syncthreads();
    }
}

/* Candidates a block has room for, a power of two: what is kept, and rounds between two sorts. */
static int store_cap(int k)
{
    int cap = 512;

    while (cap < 2 * k || cap < k + ROUND)
        cap *= 2;
    return cap;
}

int plain_search(struct cuda *cuda, const struct stored *lists, const float *d_q, int64_t n,
                 struct undone only, const int32_t *d_probe, int nprobe, int k,
                 const struct answers *out)
{
    int cap = store_cap(k);
    int64_t blocks = cuda->sms * 4;
    size_t bytes = (size_t)cap * (sizeof(vid) + sizeof(float));

    if (blocks > n) blocks = n;
    return distance_for(*lists, [&](auto source) {
        auto kernel = search_plainly<decltype(source)>;
        int rc = CU(
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes));

        if (rc < 0) return rc;
        return chain_launch(cuda, "search_plainly", kernel, (unsigned)blocks, THREADS, bytes,
                            *lists, d_q, n, only, d_probe, nprobe, k, cap, *out);
    });
}
