/*
 * From candidates to answers. What is within the margin of the k-th e is decided by exact distances, a
 * few more than k. The k-th is found by bisection on its bits, so that nothing but those few is sorted.
 */
#include "kernels/cuda/candidates.h"

#include <cmath>

#include "kernels/cuda/best.cuh"
#include "kernels/cuda/keys.cuh"

enum { LANES = 8, FEW_ANSWERS = 32, WHOLE_D = 1024 };
enum {
    SMALL = 64,
    LARGE = 128,
    ALONE = 1024
}; /* threads of a query: of few answers, many, or a few queries */

/*
 * The list of place pos: lists may be empty, so the last that begins at or before it. By eight lanes, which
 * look at eight lists at a time; all lanes of the warp call this.
 */
__device__ static int64_t list_of(const int64_t *offset, int64_t nlist, int64_t pos)
{
    int64_t lo = 0, hi = nlist;

    while (__any_sync(WARP_ALL, hi - lo > 1)) {
        int64_t step = (hi - lo + LANES - 1) / LANES, at = lo + threadIdx.x % LANES * step;
        unsigned before = __ballot_sync(WARP_ALL, at < hi && offset[at] <= pos);

        before = before >> threadIdx.x % 32 / LANES * LANES & ((1u << LANES) - 1);
        lo += (__popc(before) - 1) * step;
        hi = min(hi, lo + step);
    }
    return lo;
}

/* Lane's terms of |q - (c + b)|^2, b being the code's: four dimensions at a time where slices are. */
__device__ static double code_terms(const struct stored &lists, const float *q, const float *c,
                                    const uint8_t *code)
{
    int lane = (int)(threadIdx.x % LANES);
    double sum = 0;

    if (lists.dsub % 4) {
        for (int j = lane; j < lists.d; j += LANES)
            sum += exact_term(q[j], stored_code_at(lists, code, c, j));
        return sum;
    }
    for (int j = 4 * lane; j < lists.d; j += 4 * LANES) {
        int slice = j / lists.dsub;
        const float *word = lists.books + ((int64_t)slice * KSUB + code[slice]) * lists.dsub;
        float4 b = __ldg((const float4 *)(word + (j - slice * lists.dsub)));
        float4 x = __ldg((const float4 *)(q + j)), mid = __ldg((const float4 *)(c + j));

        sum += exact_term(x.x, (double)mid.x + b.x) + exact_term(x.y, (double)mid.y + b.y) +
               exact_term(x.z, (double)mid.z + b.z) + exact_term(x.w, (double)mid.w + b.w);
    }
    return sum;
}

/* A query as a block has it: as it is and, where it and the rows are whole numbers, as those. */
struct asked {
    const float *q;
    int whole; /* sums of squares are exact integers, and fit */
    int number[WHOLE_D];
};

/* By the whole block. What 1,023 and a byte differ by, squared, 1,024 times, is less than 2^31. */
__device__ static void ask(const struct stored &lists, const float *q, struct asked *out)
{
    int whole =
        !lists.m && lists.d <= WHOLE_D && (lists.storage == ELEM_U8 || lists.storage == ELEM_I8);

    __syncthreads(); /* the query before is done with */
    for (int j = (int)threadIdx.x; whole && j < lists.d; j += (int)blockDim.x) {
        out->number[j] = (int)rintf(fminf(fmaxf(q[j], -2048), 2048));
        whole = fabsf(q[j]) < 1024 && (float)out->number[j] == q[j];
    }
    whole = __syncthreads_and(whole);
    if (threadIdx.x == 0) {
        out->q = q;
        out->whole = whole;
    }
    __syncthreads();
}

/* Lane's terms of the distance between whole numbers: integers, which cost no conversions. */
__device__ static int whole_terms(const struct stored &lists, const int *q, const uint8_t *row)
{
    int lane = (int)(threadIdx.x % LANES), sum = 0, flip = lists.storage == ELEM_I8 ? 128 : 0;

    for (int j = 4 * lane; j < lists.d; j += 4 * LANES) {
        uint32_t four = *(const uint32_t *)(row + j) ^ (flip ? 0x80808080u : 0);

#pragma unroll
        for (int i = 0; i < 4; i++) {
            int diff = j + i < lists.d ? q[j + i] + flip - (int)(four >> 8 * i & 255) : 0;

            sum += diff * diff;
        }
    }
    return sum;
}

/* The exact distance from q to the vector at pos, by eight lanes; all lanes of the warp call this. */
__device__ static float distance_at(const struct stored &lists, const struct asked *a, int64_t list,
                                    int64_t pos)
{
    const uint8_t *row = lists.rows + pos * lists.stride;
    const float *c = lists.coarse + list * lists.d;
    double sum;
    float out;

    if (a->whole) {
        int whole = whole_terms(lists, a->number, row);

        for (int lanes = 1; lanes < LANES; lanes *= 2)
            whole += __shfl_xor_sync(WARP_ALL, whole, lanes);
        return (float)whole;
    }
    if (!lists.m) return exact_by_lanes<LANES>(lists.storage, row, 0, a->q, lists.d);
    sum = code_terms(lists, a->q, c, row);
    for (int lanes = 1; lanes < LANES; lanes *= 2)
        sum += __shfl_xor_sync(WARP_ALL, sum, lanes);
    if (exact_settled(sum, lists.d, &out)) return out;
    sum = 0;
    for (int j = 0; j < lists.d; j++)
        sum += exact_term(a->q[j], stored_code_at(lists, row, c, j));
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
    int room;
    int32_t *again, *any;
};

/* e that the kth of a query's candidates is at most at. By the whole block. */
__device__ static float kth_e(const uint64_t *found, int count, int k)
{
    return __uint_as_float(
        keys_kth_at_most(count, k, [=](int i) { return (uint32_t)(found[i] >> 32); }));
}

/* Places of the candidates that are at e or nearer, as far as there is room; how many there are. */
__device__ static int gather_close(const uint64_t *found, int count, float e, int room,
                                   uint32_t *place)
{
    __shared__ int close;

    __syncthreads(); /* the query before has read it */
    if (threadIdx.x == 0) close = 0;
    __syncthreads();
    for (int i = (int)threadIdx.x; i < count; i += (int)blockDim.x) {
        if (key_value(found[i]) > e) continue;
        int at = atomicAdd(&close, 1);

        if (at < room) place[at] = key_number(found[i]);
    }
    __syncthreads();
    return close;
}

/* A block a query at a time. Shared memory: `room` answers, a power of two. */
template <int THREADS>
__global__ static void __launch_bounds__(THREADS)
    answer_queries(__grid_constant__ const struct answer_task t)
{
    extern __shared__ vid ids[]; /* [room] */
    __shared__ struct asked asked;
    float *dist = (float *)(ids + t.room);
    uint32_t *place = (uint32_t *)(dist + t.room);
    int64_t n = t.only.d_n ? *t.only.d_n : t.n;
    int k = t.c.k;

    for (int64_t u = blockIdx.x; u < n; u += gridDim.x) {
        int64_t query = t.only.d_n ? t.only.d_query[u] : u;
        const uint64_t *found = t.c.d_found + query * t.c.cap;
        int count = t.c.d_count[query], close = t.room + 1;
        float margin = e_margin(t.space, t.facts, t.depth, t.rows.d_length[query],
                                t.rows.d_err[query], t.lists.m > 0, t.float16);

        if (t.c.d_exact && *t.c.d_exact) margin = 0;
        if ((uint32_t)count <= (uint32_t)t.c.cap) {
            float last = count > k ? kth_e(found, count, k) + margin : INFINITY;

            close = gather_close(found, count, last, t.room, place);
        }
        if (close > t.room) {
            if (threadIdx.x == 0) t.undone.d_query[atomicAdd(t.undone.d_n, 1)] = (int32_t)query;
            continue;
        }
        ask(t.lists, t.d_q + query * t.d, &asked);
        for (int at = 0; at < close; at += THREADS / LANES) {
            int i = min(at + (int)threadIdx.x / LANES, close - 1);
            int64_t list = t.lists.m ? list_of(t.lists.offset, t.nlist, place[i]) : 0;
            float exact = distance_at(t.lists, &asked, list, place[i]);

            if (threadIdx.x % LANES) continue;
            dist[i] = exact;
            ids[i] = stored_id(t.lists, place[i]);
        }
        best_sort(dist, ids, close);
        for (int i = (int)threadIdx.x; i < k; i += THREADS) {
            bool there = i < close && dist[i] < INFINITY;

            t.out.d_dist[query * k + i] = there ? dist[i] : INFINITY;
            t.out.d_ids[query * k + i] = there ? ids[i] : -1;
        }
    }
}

static struct answer_task task_of(const struct scanned *s, const struct queries *q,
                                  const struct candidates *c)
{
    struct answer_task t = {};

    t.lists = s->lists;
    t.n = q->n;
    t.depth = s->space->depth;
    t.d = q->d;
    t.float16 = s->float16;
    t.d_q = q->d_q;
    t.rows = q->rows;
    t.space = s->space->d_facts;
    t.facts = s->d_facts;
    t.c = *c;
    return t;
}

int candidates_answer(struct cuda *cuda, const struct scanned *s, const struct queries *q,
                      const struct candidates *c, struct undone only, int64_t nlist,
                      const struct answers *out, struct undone undone)
{
    struct answer_task t = task_of(s, q, c);
    int64_t most = only.d_n ? cuda->sms * 4 : q->n;
    int few = !only.d_n && q->n <= cuda->sms, rc;
    int threads = few ? ALONE : c->k <= FEW_ANSWERS ? SMALL : LARGE;
    auto kernel = few                ? answer_queries<ALONE>
                  : threads == SMALL ? answer_queries<SMALL>
                                     : answer_queries<LARGE>;
    size_t bytes;

    t.nlist = nlist;
    t.only = only;
    t.undone = undone;
    t.out = *out;
    t.room = keys_room(c->k + c->k / 4 + 64);
    bytes = (size_t)t.room * (sizeof(vid) + sizeof(float) + sizeof(uint32_t));
    if ((rc = CU(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      (int)bytes))) < 0)
        return rc;
    if ((rc = CU(cudaMemsetAsync(undone.d_n, 0, sizeof(int32_t), cuda->stream))) < 0) return rc;
    kernel<<<(unsigned)(most < q->n ? most : q->n), (unsigned)threads, bytes, cuda->stream>>>(t);
    return cuda_launched(cuda, "answer_queries");
}

/* ---- more than fit ---- */

/* The bound of a query that overflowed, by the whole block. */
__device__ static void tighten_bound(const struct answer_task &t, int64_t query)
{
    float margin = e_margin(t.space, t.facts, t.depth, t.rows.d_length[query], t.rows.d_err[query],
                            t.lists.m > 0, t.float16);
    float last =
        t.c.cap < t.c.k ? INFINITY : kth_e(t.c.d_found + query * t.c.cap, t.c.cap, t.c.k) + margin;

    if (threadIdx.x) return;
    t.c.d_tau[query] = fminf(t.c.d_tau[query], last);
    t.c.d_count[query] = 0;
    *t.any = 1; /* whoever writes */
}

/* A thread a query looks whether it is one of the few; those are the block's. */
__global__ static void __launch_bounds__(LARGE)
    tighten_bounds(__grid_constant__ const struct answer_task t)
{
    __shared__ int over[LARGE], n;
    int64_t query = (int64_t)blockIdx.x * LARGE + threadIdx.x;
    /* at -inf its numbers are past e, and another scan would not help */
    int mine = query < t.n && (uint32_t)t.c.d_count[query] > (uint32_t)t.c.cap &&
               t.c.d_tau[query] > -INFINITY;

    if (threadIdx.x == 0) n = 0;
    __syncthreads();
    if (mine) over[atomicAdd(&n, 1)] = (int)threadIdx.x;
    if (query < t.n) t.again[query] = mine;
    __syncthreads();
    for (int i = 0; i < n; i++)
        tighten_bound(t, (int64_t)blockIdx.x * LARGE + over[i]);
}

int candidates_tighten(struct cuda *cuda, const struct scanned *s, const struct queries *q,
                       const struct candidates *c, int32_t *d_again, int32_t *d_any)
{
    struct answer_task t = task_of(s, q, c);
    int rc;

    t.again = d_again;
    t.any = d_any;
    if ((rc = CU(cudaMemsetAsync(d_any, 0, sizeof *d_any, cuda->stream))) < 0) return rc;
    tighten_bounds<<<(unsigned)((q->n + LARGE - 1) / LARGE), LARGE, 0, cuda->stream>>>(t);
    return cuda_launched(cuda, "tighten_bounds");
}
