/*
 * Block   THREADS threads, a query; where queries are few, several blocks a query, which take its
 *         chunks in turns. Shared memory holds the query, or its table of products with all
 *         codewords, and the best so far in a store, which is sorted when it is full.
 * Rows    Eight lanes a row, 16 bytes each at a time; squared differences in fp32.
 * Codes   A thread a code: m look-ups in the table, whose banks conflict as codes have it. With halves
 *         kept, one table serves all lists.
 * Reads   Each visited list once a query, out of the L2 where several do.
 * Time    With a query at a time a block has a chunk or two, and what counts is what it waits for: loads are
 *         asked for together, loops are short (code that was never run comes from the L2, too: a table was
 *         filled in 80 KB of it), and the best are found by bisection, a barrier a round, not by sorting.
 */
#include "kernels/cuda/walk.h"

#include <cmath>

#include "kernels/cuda/chain.cuh"
#include "kernels/cuda/elem.cuh"
#include "kernels/cuda/keys.cuh"

enum { THREADS = KSUB, WARPS = THREADS / 32, LANES = 8 };
enum { RESIDENT = 4 };                   /* blocks that registers leave room for on a processor */
enum { CHUNK = 256, LINE = 128 };        /* vectors between two looks at the store; bytes */
enum { RANKS = 128, EACH = RANKS / 32 }; /* of a query's lists whose places are held at once */
enum { WORDS = 8 };                      /* codewords of a thread that are on their way at once */
enum { STATIC_BYTES = 8192 };            /* more than a block has besides its table and its store */
static const float FP16_UNIT =
    1.0f / 1024; /* of tables in fp16: what is past even that is past e */

struct walk_task {
    struct stored lists;
    int64_t n;
    int depth, nprobe, shares;
    int room;  /* of the store */
    int fresh; /* there is no bound yet */
    const float *d_q;
    struct rows rows;
    const float *centre;
    const struct product_facts *space;
    const struct scan_facts *facts;
    const float *half;
    const int32_t *d_probe;
    const float *d_near;
    struct candidates c;
    struct undone only;
};

/* ---- the store ---- */

struct store {
    uint64_t *key; /* [room] */
    int *count;
    float *bound; /* e at most */
    struct e_margins *margins;
};

__device__ __forceinline__ void store_add(const struct store &s, float e, int64_t pos)
{
    e = fmaxf(e, 0);
    if (e <= *s.bound) s.key[atomicAdd(s.count, 1)] = key_of(e, (uint32_t)pos);
}

/*
 * An e that k at least of the store's `count` are at or below, and a quarter more where equal ones allow that: by
 * bisection on its bits, a barrier a round, which ends as soon as that is so. By the whole block; count >= k.
 */
__device__ static float store_kth(const struct store &s, int count, int k)
{
    __shared__ int below[3]; /* of the last round, which some still read, of this and of the next */
    uint32_t least = UINT32_MAX, most = 0, reach;
    int enough = k + (k + 3) / 4, within = count, turn = 0;

#pragma unroll 1
    for (int i = (int)threadIdx.x; i < count; i += THREADS) {
        least = min(least, (uint32_t)(s.key[i] >> 32));
        most = max(most, (uint32_t)(s.key[i] >> 32));
    }
    if (threadIdx.x < 3) below[threadIdx.x] = 0;
    keys_range(&least, &most);
    reach = most == least ? 0 : UINT32_MAX >> __clz((int)(most - least));
    for (uint32_t bit = reach / 2 + 1; reach && bit && within > enough; bit /= 2) {
        int mine = 0;

#pragma unroll 1
        for (int i = (int)threadIdx.x; i < count; i += THREADS)
            mine += (uint32_t)(s.key[i] >> 32) - least <= reach - bit;
        mine = __reduce_add_sync(WARP_ALL, mine);
        if (threadIdx.x % 32 == 0 && mine) atomicAdd(below + turn, mine);
        if (threadIdx.x == 0) below[(turn + 1) % 3] = 0;
        __syncthreads();
        if (below[turn] >= k) {
            within = below[turn];
            reach -= bit;
        }
        turn = (turn + 1) % 3;
    }
    return __uint_as_float(least + min(reach, most - least));
}

/* Drops what is past `last` of `count` keys, by the whole block. What is kept moves to where all have read. */
__device__ static void store_keep(const struct store &s, int count, float last)
{
    if (threadIdx.x == 0) *s.count = 0;
#pragma unroll 1
    for (int from = 0; from < count; from += THREADS) {
        int i = from + (int)threadIdx.x;
        uint64_t key = i < count ? s.key[i] : NO_KEY;

        __syncthreads();
        if (i < count && key_value(key) <= last) s.key[atomicAdd(s.count, 1)] = key;
    }
    __syncthreads();
}

/* Drops what the margin rules out; whether all that is left may stay. By the whole block. */
__device__ static bool store_tighten(const struct store &s, int k, int most)
{
    int count;

    __syncthreads();
    count = *s.count;
    if (count < k) return true;
    float last = e_within(*s.margins, store_kth(s, count, k));

    __syncthreads(); /* all know the count */
    if (threadIdx.x == 0) *s.bound = fminf(*s.bound, last);
    store_keep(s, count, last);
    return *s.count <= most;
}

/* ---- e of one vector ---- */

/* A scorer's begin, by the whole block, says of some threads' share of the query whether e cannot express it. */

/* Rows: the query scaled, zeros past d; squares are taken of what is scaled, which underflows last. */
template <enum elem E> struct scorer_rows {
    static constexpr bool by_lanes = true, fp16 = false;
    const float *q; /* shared */
    float scale;

    static __host__ __device__ size_t bytes(const struct stored &lists)
    {
        return (size_t)(lists.stride / (int64_t)elem_size()) * sizeof(float);
    }

    static __host__ __device__ int elem_size()
    {
        return E == ELEM_F32 ? 4 : E == ELEM_F16 ? 2 : 1;
    }

    /* What is large before it is centred may be so large that it cannot be scaled. */
    __device__ bool begin(const struct walk_task &t, int64_t query, char *shared)
    {
        float *to = (float *)shared;
        bool past = false;

        for (int j = (int)threadIdx.x; j < (int)t.lists.stride / elem_size(); j += THREADS) {
            float scaled = j < t.lists.d ? t.d_q[query * t.lists.d + j] * t.space->scale : 0;

            to[j] = scaled;
            past |= !(fabsf(scaled) < INFINITY);
        }
        q = to;
        scale = t.space->scale;
        return past;
    }

    __device__ void enter(const struct walk_task &, int64_t, float)
    {
    }

    /* By eight lanes, the result in each. */
    __device__ __forceinline__ float e(const struct walk_task &t, int64_t pos) const
    {
        constexpr int N = 16 / (E == ELEM_F32 ? 4 : E == ELEM_F16 ? 2 : 1);
        const uint4 *row = (const uint4 *)(t.lists.rows + pos * t.lists.stride);
        int pieces = (int)(t.lists.stride / 16);
        float sum = 0;

#pragma unroll 4
        for (int p = (int)(threadIdx.x % LANES); p < pieces; p += LANES) {
            uint4 piece = __ldg(row + p);
            const float4 *mine = (const float4 *)(q + p * N);

#pragma unroll
            for (int i = 0; i < N; i += 4) {
                float4 a = mine[i / 4];
                float x = fmaf(-exact_elem(E, &piece, i), scale, a.x);
                float y = fmaf(-exact_elem(E, &piece, i + 1), scale, a.y);
                float z = fmaf(-exact_elem(E, &piece, i + 2), scale, a.z);
                float w = fmaf(-exact_elem(E, &piece, i + 3), scale, a.w);

                sum = fmaf(x, x, fmaf(y, y, fmaf(z, z, fmaf(w, w, sum))));
            }
        }
        for (int lanes = 1; lanes < LANES; lanes *= 2)
            sum += __shfl_xor_sync(WARP_ALL, sum, lanes);
        return 0.5f * sum;
    }
};

/*
 * Codes: table[s][code] = what a codeword takes off or adds to e. With halves kept: -<q', b>, of the
 * query alone. Else |b|^2 / 2 - <q' - c', b>, made anew for each list.
 */
template <class T> struct scorer_codes {
    static constexpr bool by_lanes = false, fp16 = sizeof(T) == 2;
    T *table;
    float *y;       /* [d]: what codewords are multiplied by, scaled */
    const float *x; /* the query */
    float near, scale;

    static __host__ __device__ size_t bytes(const struct stored &lists)
    {
        return (size_t)lists.m * KSUB * sizeof(T) + (size_t)lists.d * sizeof(float);
    }

    __device__ static T made(float v)
    {
        if constexpr (sizeof(T) == 2)
            return __float2half_rn(v * FP16_UNIT);
        else
            return v;
    }

    __device__ static float value(T v)
    {
        if constexpr (sizeof(T) == 2)
            return __half2float(v) * (1 / FP16_UNIT);
        else
            return v;
    }

    /* c: NULL, or the list's centroid. */
    __device__ void fill(const struct walk_task &t, const float *c)
    {
#pragma unroll 1
        for (int j = (int)threadIdx.x; j < t.lists.d; j += THREADS)
            y[j] = (x[j] - (c ? c[j] : t.centre[j])) * scale;
        __syncthreads();
        if (t.lists.dsub % 4 == 0)
            fill_by<4>(t, c ? 0.5f : 0);
        else
            fill_by<1>(t, c ? 0.5f : 0);
        __syncthreads();
    }

    /*
     * A thread has its codeword of each sub-quantizer, WORDS of them at a time and W dimensions of each: what takes
     * time is how often it waits for the L2, and the first time for instructions, so that the loop is short, too.
     */
    template <int W>
    __device__ __forceinline__ void fill_by(const struct walk_task &t, float square)
    {
        typedef typename elem_raw<ELEM_F32, W>::type raw;
        int m = t.lists.m, dsub = t.lists.dsub;
        const float *word = t.lists.books + (int)threadIdx.x * dsub;

#pragma unroll 1
        for (int s = 0; s < m; s += WORDS) {
            float sum[WORDS] = {};

#pragma unroll 1
            for (int j = 0; j < dsub; j += W) {
                raw some[WORDS];

#pragma unroll
                for (int i = 0; i < WORDS; i++)
                    some[i] = __ldg((const raw *)(word + min(s + i, m - 1) * KSUB * dsub + j));
#pragma unroll
                for (int i = 0; i < WORDS; i++)
                    sum[i] = part<W>(some[i], *(const raw *)(y + min(s + i, m - 1) * dsub + j),
                                     square, sum[i]);
            }
#pragma unroll
            for (int i = 0; i < WORDS; i++)
                if (s + i < m) table[(s + i) * KSUB + threadIdx.x] = made(sum[i]);
        }
    }

    template <int W, class Raw>
    __device__ __forceinline__ float part(Raw word, Raw at, float square, float sum) const
    {
        float v[W], x[W];

        elem_floats(word, v);
        elem_floats(at, x);
#pragma unroll
        for (int i = 0; i < W; i++)
            sum = fmaf(v[i] * scale, fmaf(square, v[i] * scale, -x[i]), sum);
        return sum;
    }

    __device__ bool begin(const struct walk_task &t, int64_t query, char *shared)
    {
        table = (T *)shared;
        y = (float *)(table + t.lists.m * KSUB);
        x = t.d_q + query * t.lists.d;
        scale = t.space->scale;
        if (t.half) fill(t, NULL);
        return false;
    }

    __device__ void enter(const struct walk_task &t, int64_t list, float list_near)
    {
        near = list_near;
        if (t.half) return;
        __syncthreads(); /* the list before is done with the table */
        fill(t, t.lists.coarse + list * t.lists.d);
    }

    __device__ __forceinline__ void add(float &sum, uint32_t word, int s, int m) const
    {
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (s + i < m) sum += value(table[(s + i) * KSUB + (word >> 8 * i & 255)]);
    }

    __device__ __forceinline__ float e(const struct walk_task &t, int64_t pos) const
    {
        const uint8_t *code = t.lists.rows + pos * t.lists.stride;
        float half = t.half ? t.half[pos] : 0,
              sum = near; /* half comes last: no load waits for it */
        int m = t.lists.m;

        if (t.lists.stride % 16 == 0) {
            uint4 words = __ldg((const uint4 *)code);
            uint4 next = m > 16 ? __ldg((const uint4 *)(code + 16)) : words;

#pragma unroll 1
            for (int s = 0; s < m; s += 16) {
                add(sum, words.x, s, m);
                add(sum, words.y, s + 4, m);
                add(sum, words.z, s + 8, m);
                add(sum, words.w, s + 12, m);
                words = next;
                if (s + 32 < m) next = __ldg((const uint4 *)(code + s + 32));
            }
        } else {
            for (int s = 0; s < m; s += 4)
                add(sum, __ldg((const uint32_t *)(code + s)), s, m);
        }
        return sum + half;
    }
};

/*
 * What has no room in shared memory, whatever it is: eight lanes a vector, element by element. Differences
 * in fp64: a decoded vector that is not centred has more digits than fp32, and e_margin knows nothing of those.
 */
struct scorer_elements {
    static constexpr bool by_lanes = true, fp16 = false;
    const float *q, *c;
    float scale;

    static __host__ __device__ size_t bytes(const struct stored &)
    {
        return 0;
    }

    __device__ bool begin(const struct walk_task &t, int64_t query, char *)
    {
        q = t.d_q + query * t.lists.d;
        scale = t.space->scale;
        return false;
    }

    __device__ void enter(const struct walk_task &t, int64_t list, float)
    {
        c = t.lists.coarse + list * t.lists.d;
    }

    __device__ __forceinline__ float e(const struct walk_task &t, int64_t pos) const
    {
        const uint8_t *row = t.lists.rows + pos * t.lists.stride;
        float sum = 0;

        for (int j = (int)(threadIdx.x % LANES); j < t.lists.d; j += LANES) {
            double x = t.lists.m ? stored_code_at(t.lists, row, c, j)
                                 : exact_elem(t.lists.storage, row, j);
            float diff = (float)((q[j] - x) * scale);

            sum = fmaf(diff, diff, sum);
        }
        for (int lanes = 1; lanes < LANES; lanes *= 2)
            sum += __shfl_xor_sync(WARP_ALL, sum, lanes);
        return 0.5f * sum;
    }
};

/* ---- walking ---- */

/* Vectors from ... from + n - 1, at most CHUNK, into the store, which has room. */
template <class Scorer>
__device__ __forceinline__ void take_chunk(const struct walk_task &t, const Scorer &scorer,
                                           const struct store &s, int64_t from, int n)
{
    if constexpr (Scorer::by_lanes) {
#pragma unroll 2
        for (int at = (int)threadIdx.x / 32 * (32 / LANES); at < n; at += THREADS / LANES) {
            int i = at + (int)threadIdx.x % 32 / LANES;
            float e = scorer.e(t, from + min(i, n - 1));

            if (threadIdx.x % LANES == 0 && i < n) store_add(s, e, from + i);
        }
    } else {
#pragma unroll 1
        for (int i = (int)threadIdx.x; i < n; i += THREADS)
            store_add(s, scorer.e(t, from + i), from + i);
    }
}

/* Some of a query's lists: where they are. */
struct ranks {
    int64_t row[RANKS];
    int64_t rows[RANKS];
    int32_t list[RANKS];
    float near[RANKS];
};

/* From the query's rank `first` on; past its last they are empty. */
__device__ static void load_ranks(const struct walk_task &t, int64_t query, int first,
                                  struct ranks *r)
{
    int i = (int)threadIdx.x;

    __syncthreads(); /* those before are done with */
    if (i < RANKS) {
        bool there = first + i < t.nprobe;
        int32_t list = there ? t.d_probe[query * t.nprobe + first + i] : -1;

        r->list[i] = list;
        r->near[i] = there ? t.d_near[query * t.nprobe + first + i] : INFINITY;
        r->row[i] = list < 0 ? 0 : t.lists.offset[list];
        r->rows[i] = list < 0 ? 0 : t.lists.offset[list + 1] - r->row[i];
    }
    __syncthreads();
}

/* The chunks of those lists, numbered through: a lane knows the numbers at which EACH of them end. */
struct chunks {
    int end[EACH];
    int all;
};

__device__ static struct chunks count_chunks(const struct ranks *r)
{
    int lane = (int)(threadIdx.x % 32), sum = 0, before;
    struct chunks c;

#pragma unroll
    for (int i = 0; i < EACH; i++)
        c.end[i] = sum += (int)((r->rows[EACH * lane + i] + CHUNK - 1) / CHUNK);
    before = sum;
    for (int lanes = 1; lanes < 32; lanes *= 2) {
        int other = __shfl_up_sync(WARP_ALL, before, lanes);

        if (lane >= lanes) before += other;
    }
    c.all = __shfl_sync(WARP_ALL, before, 31);
#pragma unroll
    for (int i = 0; i < EACH; i++)
        c.end[i] += before - sum;
    return c;
}

/* Which of the lists a chunk is in, and its number there. */
__device__ static int find_chunk(const struct chunks &c, int chunk, int *within)
{
    int rank = 0, before = 0;

#pragma unroll
    for (int i = 0; i < EACH; i++) {
        rank += __popc(__ballot_sync(WARP_ALL, c.end[i] <= chunk));
        before = max(before, c.end[i] <= chunk ? c.end[i] : 0);
    }
    *within = chunk - (int)__reduce_max_sync(WARP_ALL, (uint32_t)before);
    return rank;
}

/* Where a share has hardly more than a chunk, nothing else hides what its vectors' way here takes. */
__device__ static void ask_for_chunk(const struct walk_task &t, int64_t from, int n)
{
    const uint8_t *rows = t.lists.rows + from * t.lists.stride;

#pragma unroll 1
    for (int64_t at = LINE * (int)threadIdx.x; at < n * t.lists.stride; at += LINE * THREADS)
        asm volatile("prefetch.global.L2 [%0];" ::"l"(rows + at));
}

/* All chunks that are this share's; false where more has to be kept than fits. */
template <class Scorer>
__device__ bool walk_query(const struct walk_task &t, Scorer &scorer, const struct store &s,
                           int64_t query, int share, struct ranks *r)
{
    int next = share; /* its next chunk, from the first of these ranks on */

    for (int first = 0; first < t.nprobe; first += RANKS) {
        load_ranks(t, query, first, r);
        struct chunks chunks = count_chunks(r);

        for (int entered = -1; next < chunks.all; next += t.shares) {
            int within, rank = find_chunk(chunks, next, &within);
            int64_t from = r->row[rank] + (int64_t)within * CHUNK;
            int n = (int)min((int64_t)CHUNK, r->rows[rank] - (int64_t)within * CHUNK);

            if (t.shares > 1) ask_for_chunk(t, from, n);
            if (rank != entered) scorer.enter(t, r->list[rank], r->near[rank]);
            entered = rank;
            __syncthreads(); /* the last chunk is counted */
            if (*s.count + n > t.room && !store_tighten(s, t.c.k, t.room - CHUNK)) return false;
            __syncthreads();
            take_chunk(t, scorer, s, from, n);
        }
        next -= chunks.all;
    }
    return true;
}

/* Whether e cannot express what this query is at: itself, a margin or bounds that are no numbers, a list, a table. */
template <class Scorer>
__device__ static bool is_past_e(const struct walk_task &t, int64_t query, bool unscalable,
                                 float margin, float unbounded)
{
    float reach = t.rows.d_length[query] + t.space->col_max + t.facts->y_max;
    int past = unscalable || !(margin < INFINITY) || !(unbounded < INFINITY) ||
               (Scorer::fp16 && !(reach * t.facts->y_max * FP16_UNIT < 60000));

#pragma unroll 1
    for (int i = (int)threadIdx.x; t.lists.m && i < t.nprobe; i += THREADS)
        past |= e_is_past(t.d_probe[query * t.nprobe + i], t.d_near[query * t.nprobe + i]);
    return __syncthreads_or(past);
}

/* The best of this share, beside those of others. */
__device__ static void end_share(const struct walk_task &t, const struct store &s, int64_t query)
{
    __shared__ int base;

    if (threadIdx.x == 0) base = atomicAdd(t.c.d_count + query, *s.count);
    __syncthreads();
#pragma unroll 1
    for (int i = (int)threadIdx.x; i < *s.count; i += THREADS)
        if (base + i < t.c.cap) t.c.d_found[query * t.c.cap + base + i] = s.key[i];
}

/* Shared memory: the scorer's, then the store. A fresh walk has a query for each block, so that all of them wait. */
template <class Scorer>
__global__ static void __launch_bounds__(THREADS, RESIDENT)
    walk_queries(__grid_constant__ const struct walk_task t)
{
    extern __shared__ __align__(16) char region[];
    __shared__ struct ranks ranks;
    __shared__ int count;
    __shared__ float bound;
    __shared__ struct e_margins margins;
    struct store s = {.key = (uint64_t *)(region + (Scorer::bytes(t.lists) + 15) / 16 * 16),
                      .count = &count,
                      .bound = &bound,
                      .margins = &margins};
    int64_t n = t.n;

    if (t.only.d_n) {
        chain_wait();
        n = *t.only.d_n;
    }
    for (int64_t u = blockIdx.x / t.shares; u < n; u += gridDim.x / t.shares) {
        int64_t query = t.only.d_n ? t.only.d_query[u] : u;
        Scorer scorer;

        __syncthreads(); /* the query before is done with all of this */
        bool past = scorer.begin(t, query, region);

        chain_wait(); /* queries were there before any kernel of this chain, lists and lengths were not */
        chain_next();
        float length = t.rows.d_length[query];
        struct e_margins m = e_margins_of(t.space, t.facts, t.depth, length, t.rows.d_err[query],
                                          t.lists.m > 0, Scorer::fp16);
        float unbounded = e_unbounded(t.space, t.facts, length, t.lists.m > 0);

        if (threadIdx.x == 0) {
            count = 0;
            margins = m;
            /* what bounds e of whole numbers has no margin in it */
            bound = t.fresh ? unbounded : e_within(m, t.c.d_tau[query]);
            t.c.d_tau[query] = 0;
            if (t.only.d_n) t.c.d_count[query] = 0;
        }
        if (is_past_e<Scorer>(t, query, past, m.near, unbounded)) { /* and all know the above */
            if (threadIdx.x == 0) {
                t.c.d_tau[query] = -INFINITY;
                t.c.d_count[query] = t.c.cap + 1; /* whichever share writes */
            }
            continue;
        }
        bool fits = walk_query(t, scorer, s, query, (int)(blockIdx.x % t.shares), &ranks) &&
                    store_tighten(s, t.c.k, t.room);

        __syncthreads();
        if (fits)
            end_share(t, s, query);
        else if (threadIdx.x == 0)
            atomicAdd(t.c.d_count + query, t.c.cap + 1);
    }
}

/* ---- launching ---- */

template <class Scorer>
static int launch(struct cuda *cuda, const struct walk_task &t, int64_t blocks)
{
    size_t bytes = (Scorer::bytes(t.lists) + 15) / 16 * 16 + (size_t)t.room * sizeof(uint64_t);
    auto kernel = walk_queries<Scorer>;
    int rc;

    if ((rc = CU(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      (int)bytes))) < 0)
        return rc;
    return chain_launch(cuda, "walk_queries", kernel, (unsigned)blocks, THREADS, bytes, t);
}

static int run(struct cuda *cuda, const struct scanned *s, const struct walk_task &t,
               int64_t blocks)
{
    size_t store = (size_t)t.room * sizeof(uint64_t) + STATIC_BYTES, shared = 0;

    if (t.lists.m)
        shared =
            s->float16 ? scorer_codes<__half>::bytes(t.lists) : scorer_codes<float>::bytes(t.lists);
    else
        shared = (size_t)t.lists.stride / elem_bytes(t.lists.storage) * sizeof(float);
    if (shared + store > (size_t)cuda->shared_max) return launch<scorer_elements>(cuda, t, blocks);
    if (t.lists.m && s->float16) return launch<scorer_codes<__half>>(cuda, t, blocks);
    if (t.lists.m) return launch<scorer_codes<float>>(cuda, t, blocks);
    switch (t.lists.storage) {
    case ELEM_F32:
        return launch<scorer_rows<ELEM_F32>>(cuda, t, blocks);
    case ELEM_F16:
        return launch<scorer_rows<ELEM_F16>>(cuda, t, blocks);
    case ELEM_U8:
        return launch<scorer_rows<ELEM_U8>>(cuda, t, blocks);
    default:
        return launch<scorer_rows<ELEM_I8>>(cuda, t, blocks);
    }
}

static struct walk_task task_of(const struct scanned *s, const struct queries *q,
                                const struct walk *w, const struct candidates *c)
{
    return {.lists = s->lists,
            .n = q->n,
            .depth = s->space->depth,
            .nprobe = w->nprobe,
            .shares = 1,
            .room = 0,
            .fresh = 0,
            .d_q = q->d_q,
            .rows = q->rows,
            .centre = s->space->d_centre,
            .space = s->space->d_facts,
            .facts = s->d_facts,
            .half = s->d_half,
            .d_probe = w->d_probe,
            .d_near = w->d_near,
            .c = *c,
            .only = {}};
}

/* Blocks a query: as many as keep the device busy, have a chunk each, and whose candidates have room. */
static int shares_of(const struct cuda *cuda, int64_t n, const struct walk *w,
                     const struct candidates *c)
{
    int64_t want = (4 * (int64_t)cuda->sms + n - 1) / n, room = c->cap / (2 * c->k);
    int64_t chunks = w->expected / CHUNK + w->nprobe;

    if (want > room) want = room;
    if (want > chunks) want = chunks;
    return want < 1 ? 1 : (int)want;
}

int walk_lists(struct cuda *cuda, const struct scanned *s, const struct queries *q,
               const struct walk *w, const struct candidates *c, struct undone only)
{
    struct walk_task t = task_of(s, q, w, c);
    int64_t blocks;

    t.only = only;
    t.fresh = !only.d_n;
    t.room = keys_room(2 * c->k + CHUNK);
    t.shares = only.d_n ? 1 : shares_of(cuda, q->n, w, c);
    blocks = only.d_n && q->n > 2 * cuda->sms ? 2 * cuda->sms : q->n;
    return run(cuda, s, t, blocks * t.shares);
}
