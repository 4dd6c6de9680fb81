/*
 * From candidates to answers. What is within the margin of the k-th e is decided by exact distances, a
 * few more than k.
 */
#include "kernels/cuda/candidates.h"

#include <cmath>

#include "kernels/cuda/best.cuh"
#include "kernels/cuda/keys.cuh"

enum { THREADS = 128, WARPS = THREADS / 32, LANES = 8 };

/* The list of place pos, by bisection: lists may be empty, so the last that begins at or before it. */
__device__ static int64_t list_of(const int64_t *offset, int64_t nlist, int64_t pos)
{
    int64_t lo = 0, hi = nlist;

    while (hi - lo > 1) {
        int64_t mid = lo + (hi - lo) / 2;

        if (offset[mid] <= pos)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* The exact distance from q to the vector at pos, by eight lanes; all lanes of the warp call this. */
__device__ static float distance_at(const struct stored &lists, const float *q, int64_t list,
                                    int64_t pos)
{
    const uint8_t *row = lists.rows + pos * lists.stride;
    const float *c = lists.coarse + list * lists.d;
    double sum = 0;
    float out;

    if (!lists.m) return exact_by_lanes<LANES>(lists.storage, row, 0, q, lists.d);
    for (int j = (int)(threadIdx.x % LANES); j < lists.d; j += LANES)
        sum += exact_term(q[j], stored_code_at(lists, row, c, j));
    for (int lanes = 1; lanes < LANES; lanes *= 2)
        sum += __shfl_xor_sync(WARP_ALL, sum, lanes);
    if (exact_settled(sum, lists.d, &out)) return out;
    sum = 0;
    for (int j = 0; j < lists.d; j++)
        sum += exact_term(q[j], stored_code_at(lists, row, c, j));
    return (float)sum;
}

struct answer_task {
    struct stored lists;
    int64_t n, nlist;
    int depth, d, float16;
    const float *d_q;
    struct rows rows;
    const struct product_facts *space;
    const struct scan_facts *facts;
    struct candidates c;
    struct undone only, undone;
    struct answers out;
};

/* How many of the sorted keys are within the margin of the kth; all where there are no more than k. */
__device__ static int count_close(const uint64_t *key, int count, int k, float margin)
{
    __shared__ int close;

    if (count <= k) return count;
    float last = key_value(key[k - 1]) + margin;

    if (threadIdx.x == 0) close = count;
    __syncthreads();
    for (int i = k + (int)threadIdx.x; i < count; i += THREADS)
        if (key_value(key[i]) > last && key_value(key[i - 1]) <= last) close = i;
    __syncthreads();
    return close;
}

/* A block a query at a time. Shared memory: keys and answers, cap of each. */
__global__ static void __launch_bounds__(THREADS)
    answer_queries(__grid_constant__ const struct answer_task t)
{
    extern __shared__ uint64_t keys[]; /* [cap] */
    vid *ids = (vid *)(keys + t.c.cap);
    float *dist = (float *)(ids + t.c.cap);
    int64_t n = t.only.d_n ? *t.only.d_n : t.n;
    int k = t.c.k, lane = (int)(threadIdx.x % LANES);

    for (int64_t u = blockIdx.x; u < n; u += gridDim.x) {
        int64_t query = t.only.d_n ? t.only.d_query[u] : u;
        int count = t.c.d_count[query], close;
        float margin = e_margin(t.space, t.facts, t.depth, t.rows.d_length[query],
                                t.rows.d_err[query], t.lists.m > 0, t.float16);

        if (count > t.c.cap) {
            if (threadIdx.x == 0) t.undone.d_query[atomicAdd(t.undone.d_n, 1)] = (int32_t)query;
            continue;
        }
        __syncthreads();
        for (int i = (int)threadIdx.x; i < count; i += THREADS)
            keys[i] = t.c.d_found[query * t.c.cap + i];
        keys_sort(keys, count);
        close = count_close(keys, count, k, margin);
        for (int at = 0; at < close; at += THREADS / LANES) {
            int i = min(at + (int)threadIdx.x / LANES, close - 1);
            int64_t pos = key_number(keys[i]);
            int64_t list = t.lists.m ? list_of(t.lists.offset, t.nlist, pos) : 0;
            float exact = distance_at(t.lists, t.d_q + query * t.d, list, pos);

            if (lane) continue;
            dist[i] = exact;
            ids[i] = stored_id(t.lists, pos);
        }
        best_sort(dist, ids, close);
        for (int i = (int)threadIdx.x; i < k; i += THREADS) {
            bool there = i < close && dist[i] < INFINITY;

            t.out.d_dist[query * k + i] = there ? dist[i] : INFINITY;
            t.out.d_ids[query * k + i] = there ? ids[i] : -1;
        }
        __syncthreads();
    }
}

int candidates_answer(struct cuda *cuda, const struct scanned *s, const struct queries *q,
                      const struct candidates *c, struct undone only, int64_t nlist,
                      const struct answers *out, struct undone undone)
{
    struct answer_task t = {.lists = s->lists,
                            .n = q->n,
                            .nlist = nlist,
                            .depth = s->space->depth,
                            .d = q->d,
                            .float16 = s->float16,
                            .d_q = q->d_q,
                            .rows = q->rows,
                            .space = s->space->d_facts,
                            .facts = s->d_facts,
                            .c = *c,
                            .only = only,
                            .undone = undone,
                            .out = *out};
    size_t bytes = (size_t)c->cap * (2 * sizeof(uint64_t) + sizeof(float));
    int64_t most = only.d_n ? cuda->sms * 4 : q->n;
    int rc;

    if ((rc = CU(cudaFuncSetAttribute(answer_queries, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      (int)bytes))) < 0)
        return rc;
    if ((rc = CU(cudaMemsetAsync(undone.d_n, 0, sizeof(int32_t), cuda->stream))) < 0) return rc;
    answer_queries<<<(unsigned)(most < q->n ? most : q->n), THREADS, bytes, cuda->stream>>>(t);
    return cuda_launched(cuda, "answer_queries");
}
