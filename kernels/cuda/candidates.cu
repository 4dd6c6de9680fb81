/*
 * From candidates to answers. What is within the margin of the k-th e is decided by exact distances, a
 * few more than k. The k-th is found by bisection on its bits, so that nothing but those few is sorted.
 *
 * All of it waits for memory and for other threads, hardly for arithmetic. So a warp takes a query, without
 * barriers, where its registers can sort the answers; else a block does, and a large one where queries are few.
 */
#include "kernels/cuda/candidates.h"

#include <cmath>

#include "kernels/cuda/best.cuh"
#include "kernels/cuda/chain.cuh"
#include "kernels/cuda/distances.cuh"
#include "kernels/cuda/keys.cuh"

enum { WARPS = 4 }; /* of a block whose warps take a query each */
/* A warp's: the most answers, the room these take, and keys that a lane holds to find them. */
enum { FEW = 32, FEW_ROOM = 128, FEW_HELD = 8 };
enum { MANY = 128, MANY_ROOM = 256, MANY_HELD = 32 };
enum { BLOCK = 128, ALONE = 1024 }; /* threads of a query: of many queries, or of a few */
enum { EACH = 4 };                  /* queries of a warp that looks for those that overflowed */
static const uint32_t FARTHEST = NO_BOUND - 1; /* no key's e is past that */

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
    int room; /* for what is within the margin: a power of two */
    int32_t *again, *any;
};

/*
 * A scan takes e from its bound, and rounds them as that is large: to nothing, where the bound comes from far rows or
 * is past everything. `all` is wide enough for that.
 */
__device__ static struct e_margins margins_of(const struct answer_task &t, int64_t query)
{
    struct e_margins m;

    if (whole_is(t.c.whole)) return {0, 0, INFINITY};
    m = e_margins_of(t.space, t.facts, t.depth, t.rows.d_length[query], t.rows.d_err[query],
                     t.lists.m > 0, t.float16);
    if (m.near < m.all) m.near += 0x1p-21f * t.c.d_tau[query];
    return m;
}

/* ---- what is near enough ---- */

/*
 * Calls use(key) with all keys of a query, in all TEAM threads at once, several loads ahead of it; NO_KEY where
 * a thread has no more.
 */
template <int TEAM, class Use>
__device__ __forceinline__ void each_key(const uint64_t *found, int count, Use use)
{
    enum { LOADS = 8 };
    int rank = (int)(threadIdx.x % TEAM);

    for (int at = 0; at < count; at += TEAM * LOADS) {
        uint64_t key[LOADS];

#pragma unroll
        for (int i = 0; i < LOADS; i++)
            key[i] = at + TEAM * i + rank < count ? found[at + TEAM * i + rank] : NO_KEY;
#pragma unroll
        for (int i = 0; i < LOADS; i++)
            use(key[i]);
    }
}

/*
 * The e's of a query's keys, or, where these are more than the team's registers hold, the least of every few:
 * the k-th of those is no nearer than the k-th of all, and hardly farther where k is much less than their number.
 */
template <int TEAM, int K>
__device__ __forceinline__ void least_es(const uint64_t *found, int count, uint32_t (&e)[K])
{
    const uint32_t *high = (const uint32_t *)found + 1;
    int rank = (int)(threadIdx.x % TEAM);

#pragma unroll
    for (int i = 0; i < K; i++)
        e[i] = NO_BOUND;
    for (int at = 0; at < count; at += TEAM * K)
#pragma unroll
        for (int i = 0; i < K; i++) {
            int j = at + TEAM * i + rank;

            e[i] = min(e[i], j < count ? high[2 * (int64_t)j] : NO_BOUND);
        }
}

/* Of the k-th e, how far more may be taken than k: a few distances cost less than a round of bisection. */
__device__ __forceinline__ uint32_t enough_of(int k)
{
    return (uint32_t)(k + k / 8);
}

/* The bits of the last e that may be an answer's; FARTHEST where the margin is no number, too. */
__device__ __forceinline__ uint32_t last_of(uint32_t kth, const struct e_margins &margins)
{
    float last = e_within(margins, __uint_as_float(kth));

    return last < INFINITY ? __float_as_uint(last) : FARTHEST;
}

/* By a warp: the places of a query's candidates up to `last` and their e, as far as there is room; how many. */
__device__ static int gather_by_warp(const uint64_t *found, int count, uint32_t last, int room,
                                     uint32_t *place, float *e)
{
    unsigned before = (1u << threadIdx.x % 32) - 1;
    int close = 0;

    each_key<32>(found, count, [&](uint64_t key) {
        bool near = (uint32_t)(key >> 32) <= last;
        unsigned all = __ballot_sync(WARP_ALL, near);
        int at = close + __popc(all & before);

        if (near && at < room) {
            place[at] = key_number(key);
            e[at] = key_value(key);
        }
        close += __popc(all);
    });
    __syncwarp();
    return close;
}

/* Those within the margin of the k-th; past `room` where not all candidates were kept, too. By a warp. */
template <int K>
__device__ static int close_by_warp(const struct answer_task &t, int64_t query, uint32_t *place,
                                    float *close_e)
{
    const uint64_t *found = t.c.d_found + query * t.c.cap;
    int count = t.c.d_count[query], k = t.c.k;
    uint32_t last = FARTHEST;
    struct e_margins margins = margins_of(t, query);

    if ((uint32_t)count > (uint32_t)t.c.cap) return t.room + 1;
    if (count > k) {
        struct keys_warp team;
        uint32_t e[K];

        least_es<32>(found, count, e);
        last = last_of(keys_bound(e, (uint32_t)k, enough_of(k), team), margins);
    }
    return gather_by_warp(found, count, last, t.room, place, close_e);
}

/* As gather_by_warp, by the whole block. */
template <int THREADS>
__device__ static int gather_by_block(const uint64_t *found, int count, uint32_t last, int room,
                                      uint32_t *place)
{
    __shared__ int close;

    __syncthreads(); /* the query before has read it */
    if (threadIdx.x == 0) close = 0;
    __syncthreads();
    each_key<THREADS>(found, count, [&](uint64_t key) {
        if ((uint32_t)(key >> 32) > last) return;
        int at = atomicAdd(&close, 1);

        if (at < room) place[at] = key_number(key);
    });
    __syncthreads();
    return close;
}

/*
 * An e that k of a query's candidates are at most at, by the whole block, of which a thread has the least of
 * its own: a round of bisection is one barrier, which counts. k is much less than THREADS.
 */
template <int THREADS>
__device__ static uint32_t kth_of_least(const uint64_t *found, int count, int k)
{
    enum { LOADS = 16 };
    struct keys_block team;
    uint32_t e[LOADS], least[1] = {NO_BOUND};

    least_es<THREADS>(found, count, e);
#pragma unroll
    for (int i = 0; i < LOADS; i++)
        least[0] = min(least[0], e[i]);
    return keys_bound(least, (uint32_t)k, enough_of(k), team);
}

/* The e that the kth of a query's candidates is at most at. By the whole block. */
__device__ static uint32_t kth_of_all(const uint64_t *found, int count, int k)
{
    return keys_kth_at_most(count, k, [=](int i) { return (uint32_t)(found[i] >> 32); });
}

/* As close_by_warp, by the whole block; where the least of a thread's say too little, all are looked at. */
template <int THREADS>
__device__ static int close_by_block(const struct answer_task &t, int64_t query, uint32_t *place)
{
    const uint64_t *found = t.c.d_found + query * t.c.cap;
    int count = t.c.d_count[query], k = t.c.k, close = t.room + 1;
    struct e_margins margins = margins_of(t, query);

    if ((uint32_t)count > (uint32_t)t.c.cap) return close;
    if (count <= k) return gather_by_block<THREADS>(found, count, FARTHEST, t.room, place);
    if (k <= THREADS / 4) {
        uint32_t last = last_of(kth_of_least<THREADS>(found, count, k), margins);

        close = gather_by_block<THREADS>(found, count, last, t.room, place);
    }
    if (close <= t.room) return close;
    return gather_by_block<THREADS>(found, count, last_of(kth_of_all(found, count, k), margins),
                                    t.room, place);
}

/* ---- how far it is ---- */

/*
 * The list of place pos: lists may be empty, so the last that begins at or before it. Eight parts at a time,
 * whose loads do not wait for each other.
 */
__device__ static int32_t list_of(const int64_t *offset, int64_t nlist, uint32_t pos)
{
    enum { PARTS = 8 };
    int64_t lo = 0, hi = nlist;

    while (hi - lo > 1) {
        int64_t step = (hi - lo + PARTS - 1) / PARTS;
        int before = 0;

#pragma unroll
        for (int i = 1; i < PARTS; i++)
            before += lo + i * step < hi && __ldg(offset + lo + i * step) <= pos;
        lo += before * step;
        hi = min(hi, lo + step);
    }
    return (int32_t)lo;
}

/* Calls use(i, distance, id) for each of the close ones, in one of TEAM threads: each warp has some. */
template <int TEAM, class Source, class Use>
__device__ __forceinline__ void each_distance(const struct answer_task &t, const Source &source,
                                              const uint32_t *place, const int32_t *list, int close,
                                              Use use)
{
    int lane = (int)(threadIdx.x % 32);

    for (int at = (int)(threadIdx.x % TEAM / 32) * TOGETHER; at < close;
         at += TEAM / 32 * TOGETHER) {
        int n = min(close - at, (int)TOGETHER);
        vid id = lane < n ? stored_id(t.lists, place[at + lane]) : -1;
        float exact = distance_of(t.lists, source, place + at, list + at, n);

        if (lane < n) use(at + lane, exact, id);
    }
}

/* ---- answers ---- */

/* A warp a query at a time, K keys a lane. Shared memory: `room` keys, places and lists for each warp. */
template <class Source, int K, int ROOM>
__global__ static void __launch_bounds__(WARPS * 32, Source::codes || ROOM > FEW_ROOM ? 6 : 8)
    answer_by_warp(__grid_constant__ const struct answer_task t)
{
    chain_begin();
    extern __shared__ uint64_t keys[];
    int warp = (int)(threadIdx.x / 32), lane = (int)(threadIdx.x % 32), k = t.c.k;
    uint64_t *key = keys + 2 * warp * t.room; /* (distance, id) */
    uint32_t *place = (uint32_t *)(key + t.room);
    int32_t *list = (int32_t *)(place + t.room);
    float *e = (float *)list; /* lists are looked up when these have been looked at */
    int64_t n = t.only.d_n ? *t.only.d_n : t.n;

    for (int64_t u = (int64_t)blockIdx.x * WARPS + warp; u < n; u += (int64_t)gridDim.x * WARPS) {
        int64_t query = t.only.d_n ? t.only.d_query[u] : u;
        int close = close_by_warp<K>(t, query, place, e);
        Source source;

        if (close > t.room) {
            if (lane == 0) t.undone.d_query[atomicAdd(t.undone.d_n, 1)] = (int32_t)query;
            continue;
        }
        if (whole_is(t.c.whole)) {
            for (int i = lane; i < close; i += 32)
                key[i] = key_of(whole_distance(e[i], t.space->scale),
                                (uint32_t)stored_id(t.lists, place[i]));
        } else {
            for (int i = lane; Source::codes && i < close; i += 32)
                list[i] = list_of(t.lists.offset, t.nlist, place[i]);
            __syncwarp();
            source.begin(t.lists, t.d_q + query * t.d);
            each_distance<32>(t, source, place, list, close, [=](int i, float exact, vid id) {
                key[i] = key_of(exact, (uint32_t)id);
            });
        }
        keys_sort_warp<ROOM / 32>(key, close);
        for (int i = lane; i < k; i += 32) {
            bool there = i < close && key_value(key[i]) < INFINITY;

            t.out.d_dist[query * k + i] = there ? key_value(key[i]) : INFINITY;
            t.out.d_ids[query * k + i] = there ? (vid)key_number(key[i]) : -1;
        }
        __syncwarp(); /* all is read before the next query writes */
    }
}

/* A block a query at a time. Shared memory: `room` answers, places and lists. */
template <class Source, int THREADS>
__global__ static void __launch_bounds__(THREADS)
    answer_by_block(__grid_constant__ const struct answer_task t)
{
    chain_begin();
    extern __shared__ vid ids[];
    float *dist = (float *)(ids + t.room);
    uint32_t *place = (uint32_t *)(dist + t.room);
    int32_t *list = (int32_t *)(place + t.room);
    int64_t n = t.only.d_n ? *t.only.d_n : t.n;
    int k = t.c.k;

    for (int64_t u = blockIdx.x; u < n; u += gridDim.x) {
        int64_t query = t.only.d_n ? t.only.d_query[u] : u;
        int close = close_by_block<THREADS>(t, query, place);
        Source source;

        if (close > t.room) {
            if (threadIdx.x == 0) t.undone.d_query[atomicAdd(t.undone.d_n, 1)] = (int32_t)query;
            continue;
        }
        for (int i = (int)threadIdx.x; Source::codes && i < close; i += THREADS)
            list[i] = list_of(t.lists.offset, t.nlist, place[i]);
        __syncthreads();
        source.begin(t.lists, t.d_q + query * t.d);
        each_distance<THREADS>(t, source, place, list, close, [=](int i, float exact, vid id) {
            dist[i] = exact;
            ids[i] = id;
        });
        best_sort(dist, ids, close);
        for (int i = (int)threadIdx.x; i < k; i += THREADS) {
            bool there = i < close && dist[i] < INFINITY;

            t.out.d_dist[query * k + i] = there ? dist[i] : INFINITY;
            t.out.d_ids[query * k + i] = there ? ids[i] : -1;
        }
    }
}

/* ---- launching ---- */

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

/* teams: queries that a block takes at once, each of which needs `bytes` for each candidate of its room. */
static int launch(struct cuda *cuda, void (*kernel)(struct answer_task),
                  const struct answer_task &t, int threads, int teams, size_t bytes)
{
    int64_t blocks = (t.n + teams - 1) / teams, most = cuda->sms * 4;
    int rc;

    if (t.only.d_n && blocks > most) blocks = most; /* mostly there are none */
    bytes *= (size_t)t.room * (size_t)teams;
    if ((rc = CU(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      (int)bytes))) < 0)
        return rc;
    return chain_launch(cuda, "answer_queries", kernel, (unsigned)blocks, (unsigned)threads, bytes,
                        t);
}

template <class Source> static int run(struct cuda *cuda, const struct answer_task &t)
{
    const size_t by_warp = sizeof(uint64_t) + sizeof(uint32_t) + sizeof(int32_t);
    const size_t by_block = sizeof(vid) + sizeof(float) + sizeof(uint32_t) + sizeof(int32_t);

    if (!t.only.d_n && t.n <= cuda->sms)
        return launch(cuda, answer_by_block<Source, ALONE>, t, ALONE, 1, by_block);
    if (t.c.k > MANY || !t.lists.ids32) /* a warp's keys have 32 bits for an id */
        return launch(cuda, answer_by_block<Source, BLOCK>, t, BLOCK, 1, by_block);
    if (t.c.k > FEW)
        return launch(cuda, answer_by_warp<Source, MANY_HELD, MANY_ROOM>, t, WARPS * 32, WARPS,
                      by_warp);
    return launch(cuda, answer_by_warp<Source, FEW_HELD, FEW_ROOM>, t, WARPS * 32, WARPS, by_warp);
}

int candidates_answer(struct cuda *cuda, const struct scanned *s, const struct queries *q,
                      const struct candidates *c, struct undone only, int64_t nlist,
                      const struct answers *out, struct undone undone)
{
    struct answer_task t = task_of(s, q, c);

    t.nlist = nlist;
    t.only = only;
    t.undone = undone;
    t.out = *out;
    t.room = keys_room(c->k + c->k / 4 + 64);
    return distance_for(t.lists, [&](auto source) { return run<decltype(source)>(cuda, t); });
}

/* ---- more than fit ---- */

/* Whether a query is to be scanned once more. At -inf its numbers are past e, and that would not help. */
__device__ static bool overflowed(const struct answer_task &t, int64_t query)
{
    return (uint32_t)t.c.d_count[query] > (uint32_t)t.c.cap && t.c.d_tau[query] > -INFINITY;
}

/* By one thread: the bound that the candidates kept give, whose k-th e is at most kth. */
__device__ static void renew_query(const struct answer_task &t, int64_t query, uint32_t kth)
{
    float last = t.c.cap < t.c.k ? INFINITY : e_within(margins_of(t, query), __uint_as_float(kth));

    t.c.d_tau[query] = fminf(t.c.d_tau[query], last);
    t.c.d_count[query] = 0;
    *t.any = 1; /* whoever writes */
}

/* A warp looks after a few queries, one after the other; k up to MANY. */
__global__ static void __launch_bounds__(WARPS * 32)
    tighten_by_warps(__grid_constant__ const struct answer_task t)
{
    chain_begin();
    int lane = (int)threadIdx.x % 32;
    int64_t first = ((int64_t)blockIdx.x * WARPS + threadIdx.x / 32) * EACH;

    for (int64_t query = first; query < first + EACH && query < t.n; query++) {
        bool over = overflowed(t, query);
        struct keys_warp team;
        uint32_t e[MANY_HELD];

        if (lane == 0) t.again[query] = over;
        if (!over) continue;
        least_es<32>(t.c.d_found + query * t.c.cap, t.c.cap, e);
        uint32_t kth = keys_bound(e, (uint32_t)t.c.k, enough_of(t.c.k), team);

        if (lane == 0) renew_query(t, query, kth);
    }
}

/* A thread a query looks whether it is one of the few; those are the block's. */
__global__ static void __launch_bounds__(BLOCK)
    tighten_by_blocks(__grid_constant__ const struct answer_task t)
{
    chain_begin();
    __shared__ int over[BLOCK], n;
    int64_t first = (int64_t)blockIdx.x * BLOCK, query = first + threadIdx.x;
    bool mine = query < t.n && overflowed(t, query);

    if (threadIdx.x == 0) n = 0;
    __syncthreads();
    if (mine) over[atomicAdd(&n, 1)] = (int)threadIdx.x;
    if (query < t.n) t.again[query] = mine;
    __syncthreads();
    for (int i = 0; i < n; i++) {
        const uint64_t *found = t.c.d_found + (first + over[i]) * t.c.cap;
        uint32_t kth = t.c.cap < t.c.k ? 0 : kth_of_all(found, t.c.cap, t.c.k);

        if (threadIdx.x == 0) renew_query(t, first + over[i], kth);
    }
}

int candidates_tighten(struct cuda *cuda, const struct scanned *s, const struct queries *q,
                       const struct candidates *c, int32_t *d_again, int32_t *d_any)
{
    struct answer_task t = task_of(s, q, c);

    t.again = d_again;
    t.any = d_any;
    if (c->k <= MANY)
        return chain_launch(cuda, "tighten_by_warps", tighten_by_warps,
                            (unsigned)((q->n + WARPS * EACH - 1) / (WARPS * EACH)), WARPS * 32, 0,
                            t);
    return chain_launch(cuda, "tighten_by_blocks", tighten_by_blocks,
                        (unsigned)((q->n + BLOCK - 1) / BLOCK), BLOCK, 0, t);
}
