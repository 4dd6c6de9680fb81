/*
 * Block   THREADS threads, a query; where queries are few, several blocks a query, which take its
 *         chunks in turns. Shared memory holds the query, or its table of products with all
 *         codewords, and the best so far in a store, which is sorted when it is full.
 * Rows    Eight lanes a row, 16 bytes each at a time; squared differences in fp32.
 * Codes   A thread a code: m look-ups in the table, whose banks conflict as codes have it. With halves
 *         kept, one table serves all lists.
 * Reads   Each visited list once a query, out of the L2 where several do.
 */
#include "kernels/cuda/walk.h"

#include <cmath>

#include "kernels/cuda/keys.cuh"

enum { THREADS = KSUB, WARPS = THREADS / 32, LANES = 8 };
enum { CHUNK = 256 };         /* vectors between two looks at the store */
enum { RANKS = 128 };         /* of a query's lists whose places are held at once */
enum { STATIC_BYTES = 8192 }; /* more than a block has besides its table and its store */
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
};

__device__ __forceinline__ void store_add(const struct store &s, float e, int64_t pos)
{
    e = fmaxf(e, 0);
    if (e <= *s.bound) s.key[atomicAdd(s.count, 1)] = key_of(e, (uint32_t)pos);
}

/* Sorts, and drops what the margin rules out; whether all that is left may stay. By the whole block. */
__device__ static bool store_tighten(const struct store &s, int k, float margin, int most)
{
    int count, kept;

    __syncthreads();
    count = *s.count;
    keys_sort(s.key, count);
    if (count < k) return true;
    float last = key_value(s.key[k - 1]) + margin;

    __syncthreads();
    if (threadIdx.x == 0) *s.bound = fminf(*s.bound, last);
    for (int i = k - 1 + (int)threadIdx.x; i < count; i += THREADS)
        if (key_value(s.key[i]) <= last && (i + 1 == count || key_value(s.key[i + 1]) > last))
            *s.count = i + 1;
    __syncthreads();
    kept = *s.count;
    return kept <= most;
}

/* ---- e of one vector ---- */

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

    __device__ void begin(const struct walk_task &t, int64_t query, char *shared)
    {
        float *to = (float *)shared;

        for (int j = (int)threadIdx.x; j < (int)t.lists.stride / elem_size(); j += THREADS)
            to[j] = j < t.lists.d ? t.d_q[query * t.lists.d + j] * t.space->scale : 0;
        q = to;
        scale = t.space->scale;
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

    /* c: NULL, or the list's centroid. A thread has its codeword of each sub-quantizer in turn. */
    __device__ void fill(const struct walk_task &t, const float *c)
    {
        int dsub = t.lists.dsub;
        float square = c ? 0.5f : 0;

        for (int j = (int)threadIdx.x; j < t.lists.d; j += THREADS)
            y[j] = (x[j] - (c ? c[j] : t.centre[j])) * scale;
        __syncthreads();
#pragma unroll 16
        for (int s = 0; s < t.lists.m; s++) {
            const float *word = t.lists.books + ((int64_t)s * KSUB + threadIdx.x) * dsub;

            table[s * KSUB + threadIdx.x] =
                made(dsub == 4 ? part(*(const float4 *)word, y + 4 * s, square)
                               : part(word, dsub, y + dsub * s, square));
        }
        __syncthreads();
    }

    __device__ __forceinline__ float part(const float *word, int dsub, const float *at,
                                          float square) const
    {
        float sum = 0;

        for (int j = 0; j < dsub; j++)
            sum = fmaf(word[j] * scale, square * (word[j] * scale) - at[j], sum);
        return sum;
    }

    __device__ __forceinline__ float part(float4 word, const float *at, float square) const
    {
        const float four[4] = {word.x, word.y, word.z, word.w};

        return part(four, 4, at, square);
    }

    __device__ void begin(const struct walk_task &t, int64_t query, char *shared)
    {
        table = (T *)shared;
        y = (float *)(table + t.lists.m * KSUB);
        x = t.d_q + query * t.lists.d;
        scale = t.space->scale;
        if (t.half) fill(t, NULL);
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
        float sum = near + (t.half ? t.half[pos] : 0);
        int m = t.lists.m;

        if (t.lists.stride % 16 == 0) {
            for (int s = 0; s < m; s += 16) {
                uint4 words = __ldg((const uint4 *)(code + s));

                add(sum, words.x, s, m);
                add(sum, words.y, s + 4, m);
                add(sum, words.z, s + 8, m);
                add(sum, words.w, s + 12, m);
            }
        } else {
            for (int s = 0; s < m; s += 4)
                add(sum, __ldg((const uint32_t *)(code + s)), s, m);
        }
        return sum;
    }
};

/* What has no room in shared memory, whatever it is: eight lanes a vector, element by element. */
struct scorer_elements {
    static constexpr bool by_lanes = true, fp16 = false;
    const float *q, *c;
    float scale;

    static __host__ __device__ size_t bytes(const struct stored &)
    {
        return 0;
    }

    __device__ void begin(const struct walk_task &t, int64_t query, char *)
    {
        q = t.d_q + query * t.lists.d;
        scale = t.space->scale;
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
            float x = t.lists.m ? (float)stored_code_at(t.lists, row, c, j)
                                : exact_elem(t.lists.storage, row, j);

            float diff = (q[j] - x) * scale;

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

__device__ static void load_ranks(const struct walk_task &t, int64_t query, int first,
                                  struct ranks *r)
{
    __syncthreads(); /* those before are done with */
    for (int i = (int)threadIdx.x; i < RANKS && first + i < t.nprobe; i += THREADS) {
        int32_t list = t.d_probe[query * t.nprobe + first + i];

        r->list[i] = list;
        r->row[i] = list < 0 ? 0 : t.lists.offset[list];
        r->rows[i] = list < 0 ? 0 : t.lists.offset[list + 1] - r->row[i];
        r->near[i] = t.d_near[query * t.nprobe + first + i];
    }
    __syncthreads();
}

/* All chunks that are this share's; false where more has to be kept than fits. */
template <class Scorer>
__device__ bool walk_query(const struct walk_task &t, Scorer &scorer, const struct store &s,
                           int64_t query, int share, float margin, struct ranks *r)
{
    int64_t next = share; /* its next chunk, from the list's first on */

    for (int rank = 0; rank < t.nprobe; rank++) {
        int i = rank % RANKS;

        if (i == 0) load_ranks(t, query, rank, r);
        int64_t rows = r->rows[i], chunks = (rows + CHUNK - 1) / CHUNK, chunk = next;

        if (chunk < chunks) scorer.enter(t, r->list[i], r->near[i]);
        for (; chunk < chunks; chunk += t.shares) {
            int64_t left = rows - chunk * CHUNK;
            int n = (int)(left < CHUNK ? left : CHUNK);

            __syncthreads(); /* the last chunk is counted */
            if (*s.count + n > t.room && !store_tighten(s, t.c.k, margin, t.room - CHUNK))
                return false;
            __syncthreads();
            take_chunk(t, scorer, s, r->row[i] + chunk * CHUNK, n);
        }
        next = chunk - chunks;
    }
    return true;
}

/* Whether e cannot express what this query is at: a margin or bounds that are no numbers, a list, a table. */
template <class Scorer>
__device__ static bool is_past_e(const struct walk_task &t, int64_t query, float margin)
{
    float length = t.rows.d_length[query];
    float reach = length + t.space->col_max + t.facts->y_max;
    int past = !(margin < INFINITY) ||
               !(e_unbounded(t.space, t.facts, length, t.lists.m > 0) < INFINITY) ||
               (Scorer::fp16 && !(reach * t.facts->y_max * FP16_UNIT < 60000));

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
    for (int i = (int)threadIdx.x; i < *s.count; i += THREADS)
        if (base + i < t.c.cap) t.c.d_found[query * t.c.cap + base + i] = s.key[i];
}

/* Shared memory: the scorer's, then the store. */
template <class Scorer>
__global__ static void __launch_bounds__(THREADS)
    walk_queries(__grid_constant__ const struct walk_task t)
{
    extern __shared__ __align__(16) char region[];
    __shared__ struct ranks ranks;
    __shared__ int count;
    __shared__ float bound;
    struct store s = {.key = (uint64_t *)(region + (Scorer::bytes(t.lists) + 15) / 16 * 16),
                      .count = &count,
                      .bound = &bound};
    int64_t n = t.only.d_n ? *t.only.d_n : t.n;

    for (int64_t u = blockIdx.x / t.shares; u < n; u += gridDim.x / t.shares) {
        int64_t query = t.only.d_n ? t.only.d_query[u] : u;
        float length = t.rows.d_length[query];
        float margin = e_margin(t.space, t.facts, t.depth, length, t.rows.d_err[query],
                                t.lists.m > 0, Scorer::fp16);
        Scorer scorer;
        bool fits;

        __syncthreads(); /* the query before is done with all of this */
        if (threadIdx.x == 0) {
            count = 0;
            /* what bounds e of whole numbers has no margin in it */
            bound = t.fresh ? e_unbounded(t.space, t.facts, length, t.lists.m > 0)
                            : t.c.d_tau[query] + margin;
            if (t.only.d_n) t.c.d_count[query] = 0;
        }
        if (is_past_e<Scorer>(t, query, margin)) {
            if (threadIdx.x == 0) {
                t.c.d_tau[query] = -INFINITY;
                t.c.d_count[query] = t.c.cap + 1; /* whichever share writes */
            }
            continue;
        }
        scorer.begin(t, query, region);
        __syncthreads();
        fits = walk_query(t, scorer, s, query, (int)(blockIdx.x % t.shares), margin, &ranks) &&
               store_tighten(s, t.c.k, margin, t.room);
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
    kernel<<<(unsigned)blocks, THREADS, bytes, cuda->stream>>>(t);
    return cuda_launched(cuda, "walk_queries");
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
    int rc;

    t.only = only;
    t.fresh = !only.d_n;
    if (t.fresh && (rc = CU(cudaMemsetAsync(c->d_count, 0, (size_t)q->n * sizeof *c->d_count,
                                            cuda->stream))) < 0)
        return rc;
    t.room = keys_room(2 * c->k + CHUNK);
    t.shares = only.d_n ? 1 : shares_of(cuda, q->n, w, c);
    blocks = only.d_n && q->n > 2 * cuda->sms ? 2 * cuda->sms : q->n;
    return run(cuda, s, t, blocks * t.shares);
}
