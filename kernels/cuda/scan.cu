/*
 * The scan for up to 128 dimensions.
 *
 * Block   8 warps, two blocks a multiprocessor. A unit is a chunk of UNIT_ROWS rows of a list, 32 a warp
 *         as operands in registers, times up to UNIT_QUERIES queries out of shared memory, eight at a
 *         time by mma.sync. Accumulators begin at -half, so that a hit is one comparison with the pair's limit.
 * Stages  While a unit is multiplied the next one's queries come by cp.async, and its rows where they are
 *         bytes; rows of floats are converted as they come; codes are decoded in registers out of codebooks
 *         in shared memory. Consecutive units of one chunk keep the operands.
 * Hits    go to a queue in shared memory and to their queries' candidates while the next unit is
 *         multiplied, so that no warp waits for an atomic.
 * Bytes   Each visited chunk once for each UNIT_QUERIES queries (that is from the L2 after the first), 256
 *         bytes of a query for each list it visits and chunk there.
 */
#include "kernels/cuda/scan.h"

#include <cmath>

#include "kernels/cuda/keys.cuh"
#include "kernels/cuda/scan_deep.h"
#include "kernels/cuda/scan_source.cuh"

enum { HITS = 512 };       /* of a unit that are queued; others wait for their atomics */
enum { UNITS_HELD = 256 }; /* units known ahead; half of them are renewed at a time */

/* ---- the kernel ---- */

struct hit {
    float past;
    int at; /* row | slot << 16 */
};

/* A block's shared memory, besides the source's. */
template <int BLOCKS> struct scan_board {
    uint4 queries[2][UNIT_QUERIES * 4 * BLOCKS]; /* as lanes want them: see bring_queries */
    struct pair pairs[4][UNIT_QUERIES];
    float half[2][UNIT_ROWS]; /* of a unit's rows, +inf past the last */
    struct hit hits[2][HITS];
    struct unit units[UNITS_HELD];
    int n_hits[3]; /* of a unit, of the one before, and 0 for the next */
};

/* Pairs of a unit, the places past the last with a limit that nothing passes. */
template <int BLOCKS>
__device__ __forceinline__ void bring_pairs(const struct scan_task &t, scan_board<BLOCKS> *board,
                                            int step)
{
    const struct unit &u = board->units[step % UNITS_HELD];
    int i = (int)threadIdx.x;

    if (i >= UNIT_QUERIES) return;
    if (i < unit_queries(u.counts))
        copy_8(&board->pairs[step % 4][i], t.pair + u.pair + i);
    else
        board->pairs[step % 4][i] = {0, INFINITY};
}

/* What a unit's rows have for themselves. Where nothing is kept of codes, sources make it up. */
template <int BLOCKS>
__device__ __forceinline__ void bring_halves(const struct scan_task &t, scan_board<BLOCKS> *board,
                                             int step)
{
    const struct unit &u = board->units[step % UNITS_HELD];
    float *to = board->half[step % 2] + threadIdx.x;

    if (!t.half) return;
    if ((int)threadIdx.x < unit_rows(u.counts))
        copy_4(to, t.half + u.row + threadIdx.x);
    else
        *to = INFINITY;
}

/* -half is what a row's accumulators begin at: -inf where there is no row. */
template <int BLOCKS>
__device__ __forceinline__ void load_halves(const float *half, operands<BLOCKS> &x)
{
#pragma unroll
    for (int i = 0; i < 4; i++)
        x.half[i] = half[first_row() + 8 * i];
}

/*
 * Queries of a unit: for each eight of them and block of 32 dimensions, the 16 bytes of each of 32 lanes.
 * Threads side by side copy what is side by side in a query.
 */
template <int BLOCKS>
__device__ __forceinline__ void bring_queries(const struct scan_task &t, scan_board<BLOCKS> *board,
                                              int step)
{
    constexpr unsigned lanes = BLOCKS == 3 ? 16 : 4 * BLOCKS, at_once = THREADS / lanes;
    unsigned eighth = threadIdx.x % lanes, slot = threadIdx.x / lanes, group = eighth / 8;
    bool paired = 2 * group + 1 < BLOCKS;
    unsigned b = paired ? 2 * group + eighth % 2 : BLOCKS - 1;
    unsigned quad = paired ? eighth % 8 / 2 : eighth % 4;
    unsigned queries = (unsigned)unit_queries(board->units[step % UNITS_HELD].counts);
    const struct pair *pair = board->pairs[step % 4] + slot;
    uint4 *to = board->queries[step % 2] + ((slot / 8 * BLOCKS + b) * 8 + slot % 8) * 4 + quad;

    if (eighth >= 4 * BLOCKS) return;
    for (; slot < queries; slot += at_once, pair += at_once, to += at_once * BLOCKS * 4)
        copy_16(to, t.d_x + (int64_t)pair->query * (32 * BLOCKS) + 8 * eighth);
}

/*
 * Hits of a unit on their way to their queries, whose places are asked for at the top of a step and written to
 * at its end: in between, the hits stay in their queue, and registers are free.
 */
struct flush {
    int place[HITS / THREADS];
    float tau[HITS / THREADS];

    template <int BLOCKS>
    __device__ __forceinline__ void ask(const struct scan_task &t, const scan_board<BLOCKS> *board,
                                        int step)
    {
        int n = min(board->n_hits[step % 3], HITS);

#pragma unroll
        for (int f = 0; f < HITS / THREADS; f++) {
            int i = f * THREADS + (int)threadIdx.x, query;

            place[f] = INT_MAX;
            if (i >= n) continue;
            query = board->pairs[step % 4][board->hits[step % 2][i].at >> 16].query;
            place[f] = atomicAdd(t.c.d_count + query, 1);
            tau[f] = t.c.d_tau[query];
        }
    }

    template <int BLOCKS>
    __device__ __forceinline__ void write(const struct scan_task &t,
                                          const scan_board<BLOCKS> *board, int step) const
    {
#pragma unroll
        for (int f = 0; f < HITS / THREADS; f++) {
            if ((uint32_t)place[f] >= (uint32_t)t.c.cap) continue; /* counts may pass 2^31 */
            struct hit h = board->hits[step % 2][f * THREADS + (int)threadIdx.x];
            int64_t query = board->pairs[step % 4][h.at >> 16].query;

            t.c.d_found[query * t.c.cap + place[f]] =
                hit_key(tau[f], h.past, board->units[step % UNITS_HELD].row + (h.at & 0xffff));
        }
    }
};

/* A hit that the queue has no room for: its place is waited for. */
template <int BLOCKS>
__device__ static void send_hit(const struct scan_task &t, const scan_board<BLOCKS> *board,
                                int step, const struct hit &h)
{
    int query = board->pairs[step % 4][h.at >> 16].query;
    int place = atomicAdd(t.c.d_count + query, 1);

    if ((uint32_t)place < (uint32_t)t.c.cap)
        t.c.d_found[(int64_t)query * t.c.cap + place] = hit_key(
            t.c.d_tau[query], h.past, board->units[step % UNITS_HELD].row + (h.at & 0xffff));
}

/* What of a thread's eight products is past its limits, as hits; slot: of the first of its two queries. */
template <int BLOCKS>
__device__ __forceinline__ void note_hits(const struct scan_task &t, scan_board<BLOCKS> *board,
                                          int step, const float (&acc)[2][4],
                                          const float (&limit)[2], int slot)
{
    int hits = 0, at;

#pragma unroll
    for (int i = 0; i < 8; i++)
        hits += acc[i / 4][i % 4] > limit[i % 2];
    at = atomicAdd(board->n_hits + step % 3, hits);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        struct hit h = {acc[i / 4][i % 4] - limit[i % 2],
                        (first_row() + 8 * (i / 2)) | (slot + i % 2) << 16};

        if (!(acc[i / 4][i % 4] > limit[i % 2])) continue;
        if (at < HITS)
            board->hits[step % 2][at] = h;
        else
            send_hit(t, board, step, h);
        at++;
    }
}

/* A warp's rows times eight queries: what lanes have of them lies at from[0 ... 32 BLOCKS - 1]. */
template <int BLOCKS>
__device__ __forceinline__ void multiply(const operands<BLOCKS> &x, const uint4 *from,
                                         float (&acc)[2][4])
{
#pragma unroll
    for (int i = 0; i < 4; i++)
        acc[i / 2][i % 2 * 2] = acc[i / 2][i % 2 * 2 + 1] = -x.half[i];
#pragma unroll
    for (int b = 0; b < BLOCKS; b++) {
        uint4 q = from[b * 32];

        scan_mma(acc[0], x.a[0][2 * b], q.x, q.y);
        scan_mma(acc[1], x.a[1][2 * b], q.x, q.y);
        scan_mma(acc[0], x.a[0][2 * b + 1], q.z, q.w);
        scan_mma(acc[1], x.a[1][2 * b + 1], q.z, q.w);
    }
}

/* A warp's rows times all queries of the unit, and what is past the limits of it. */
template <int BLOCKS>
__device__ __forceinline__ void find_hits(const struct scan_task &t, scan_board<BLOCKS> *board,
                                          int step, int queries, const operands<BLOCKS> &x)
{
    int lane = (int)(threadIdx.x % 32);
    const uint4 *from = board->queries[step % 2] + lane;
    const struct pair *pairs = board->pairs[step % 4] + lane % 4 * 2;

    for (int first = 0; first < queries; first += 8, from += 32 * BLOCKS, pairs += 8) {
        float acc[2][4], top[2];

        multiply<BLOCKS>(x, from, acc);
        int4 two = *(const int4 *)pairs; /* this lane's two queries */
        float limit[2] = {__int_as_float(two.y), __int_as_float(two.w)};

#pragma unroll
        for (int c = 0; c < 2; c++)
            top[c] = fmaxf(fmaxf(acc[0][c], acc[0][2 + c]), fmaxf(acc[1][c], acc[1][2 + c]));
        if (top[0] > limit[0] || top[1] > limit[1])
            note_hits<BLOCKS>(t, board, step, acc, limit, first + lane % 4 * 2);
        __syncwarp(); /* products are whole warps' instructions */
    }
}

/* e of a warp's rows and the unit's one query, which the lanes that begin a quad have. */
template <int BLOCKS>
__device__ __forceinline__ void write_sample(const struct scan_task &t,
                                             const scan_board<BLOCKS> *board, int step, bool rows,
                                             int32_t unit, const operands<BLOCKS> &x)
{
    float acc[2][4], near = board->pairs[step % 4][0].limit;

    if (rows) multiply<BLOCKS>(x, board->queries[step % 2] + threadIdx.x % 32, acc);
    if (threadIdx.x % 4) return;
#pragma unroll
    for (int i = 0; i < 4; i++)
        t.sample[(int64_t)unit * UNIT_ROWS + first_row() + 8 * i] =
            rows ? fmaxf(near - acc[i / 2][i % 2 * 2], 0) : INFINITY;
}

/* The places of units `from` ... of the share, one by each thread that is below n. */
template <int BLOCKS>
__device__ __forceinline__ void hold_units(const struct scan_task &t, scan_board<BLOCKS> *board,
                                           const struct share &share, int from, int n)
{
    int i = from + (int)threadIdx.x;

    if ((int)threadIdx.x < n && i < share.count)
        board->units[i % UNITS_HELD] = unit_at(t, share.first + i);
}

/* Samples may have a chunk in part, and then more of it. */
__device__ __forceinline__ bool same_rows(const struct unit &u, const struct unit &v)
{
    return u.row == v.row && unit_rows(u.counts) == unit_rows(v.counts);
}

/*
 * A step is a unit. At its top all copies for it have come; then those for the next one are started, which
 * go into the other stage, and the hits of the one before are sent off.
 */
template <class Source, int BLOCKS, bool SAMPLE>
__global__ static void __launch_bounds__(THREADS, 2)
    scan_units(__grid_constant__ const struct scan_task t)
{
    extern __shared__ __align__(128) char shared[];
    scan_board<BLOCKS> *board = (scan_board<BLOCKS> *)(shared + (Source::bytes + 127) / 128 * 128);
    struct share share = share_of(t);
    operands<BLOCKS> x;
    bool fresh = true; /* the unit's rows are not those of the one before */
    Source source;

    if (!share.count) return;
    hold_units(t, board, share, 0, UNITS_HELD);
    if (threadIdx.x < 3) board->n_hits[threadIdx.x] = 0;
    source.begin(t, shared);
    __syncthreads();
    bring_pairs(t, board, 0);
    if (share.count > 1) bring_pairs(t, board, 1);
    copies_wait();
    __syncthreads();
    bring_queries(t, board, 0);
    bring_halves(t, board, 0);
    source.bring(t, board->units[0], 0);
    source.fetch(t, board->units[0]);
    for (int step = 0;; step++) {
        const struct unit &next = board->units[(step + 1) % UNITS_HELD];
        bool is_next = step + 1 < share.count, again = false, rows;
        struct flush flush;
        struct unit u;

        copies_wait();
        __syncthreads(); /* the unit is there, and the one before it is done with */
        if (is_next) {
            again = same_rows(board->units[step % UNITS_HELD], next);
            bring_queries(t, board, step + 1);
            if (!again) source.bring(t, next, (step + 1) % 2);
            bring_halves(t, board, step + 1);
            if (step + 2 < share.count) bring_pairs(t, board, step + 2);
        }
        if (!SAMPLE && step > 0) flush.ask(t, board, step - 1);
        if (step == share.count) {
            if (!SAMPLE) flush.write(t, board, step - 1);
            return;
        }
        u = board->units[step % UNITS_HELD];
        rows = (int)threadIdx.x / 32 * 32 < unit_rows(u.counts);
        if (threadIdx.x == 0) board->n_hits[(step + 1) % 3] = 0;
        /* all but those of the unit before: places step - 129 ... step - 2 are free */
        if (step > 0 && step % (UNITS_HELD / 2) == 0)
            hold_units(t, board, share, step + UNITS_HELD / 2 - 1, UNITS_HELD / 2);
        if (rows && fresh) {
            if (t.half) load_halves(board->half[step % 2], x);
            source.load(t, u, step % 2, x);
        }
        if (is_next && !again) source.fetch(t, next);
        fresh = !again;
        if (SAMPLE) {
            write_sample<BLOCKS>(t, board, step, rows, u.pair, x);
        } else {
            if (rows) find_hits<BLOCKS>(t, board, step, unit_queries(u.counts), x);
            if (step > 0) flush.write(t, board, step - 1);
        }
    }
}

/* ---- launching ---- */

/* Where a block's shared memory is too small for this form, the deep one does. */
template <class Source, int BLOCKS> static int launch(struct cuda *cuda, const struct scan_task &t)
{
    auto kernel = t.given ? scan_units<Source, BLOCKS, true> : scan_units<Source, BLOCKS, false>;
    int bytes = (Source::bytes + 127) / 128 * 128 + (int)sizeof(scan_board<BLOCKS>), rc;

    if (bytes > cuda->shared_max) return scan_deep(cuda, t);
    if ((rc = CU(
             cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes))) < 0)
        return rc;
    kernel<<<2 * cuda->sms, THREADS, bytes, cuda->stream>>>(t);
    return cuda_launched(cuda, "scan_units");
}

template <int BLOCKS> static int launch_codes(struct cuda *cuda, const struct scan_task &t)
{
    int dsub = t.lists.dsub;

    if (dsub == 4) return launch<source_codes<4, true, BLOCKS>, BLOCKS>(cuda, t);
    if (dsub % 4 == 0) return launch<source_codes<4, false, BLOCKS>, BLOCKS>(cuda, t);
    if (dsub % 2 == 0) return launch<source_codes<2, false, BLOCKS>, BLOCKS>(cuda, t);
    return launch<source_codes<1, false, BLOCKS>, BLOCKS>(cuda, t);
}

template <int BLOCKS> static int launch_blocks(struct cuda *cuda, const struct scan_task &t)
{
    if (t.lists.m) return launch_codes<BLOCKS>(cuda, t);
    switch (t.lists.storage) {
    case ELEM_F32:
        return launch<source_floats<ELEM_F32, BLOCKS>, BLOCKS>(cuda, t);
    case ELEM_F16:
        return launch<source_floats<ELEM_F16, BLOCKS>, BLOCKS>(cuda, t);
    case ELEM_U8:
        return launch<source_bytes<ELEM_U8, BLOCKS>, BLOCKS>(cuda, t);
    default:
        return launch<source_bytes<ELEM_I8, BLOCKS>, BLOCKS>(cuda, t);
    }
}

static struct scan_task task_of(const struct scanned *s, const struct queries *q)
{
    struct scan_task t = {};

    t.lists = s->lists;
    t.depth = s->space->depth;
    t.pitch = s->pitch;
    t.d_x = q->rows.d_x;
    t.centre = s->space->d_centre;
    t.space = s->space->d_facts;
    t.half = s->d_half;
    t.books = s->d_books;
    t.slice = s->d_slice;
    return t;
}

static int run(struct cuda *cuda, const struct scan_task &t)
{
    switch (t.depth) {
    case 32:
        return launch_blocks<1>(cuda, t);
    case 64:
        return launch_blocks<2>(cuda, t);
    case 96:
        return launch_blocks<3>(cuda, t);
    case 128:
        return launch_blocks<4>(cuda, t);
    default:
        return scan_deep(cuda, t);
    }
}

int scan_lists(struct cuda *cuda, const struct scanned *s, const struct queries *q,
               const struct visits *v, const struct candidates *c)
{
    struct scan_task t = task_of(s, q);

    t.visit = v->d_visit;
    t.pair = v->d_pair;
    t.total = v->d_total;
    t.c = *c;
    return run(cuda, t);
}

int scan_sample(struct cuda *cuda, const struct scanned *s, const struct queries *q,
                const struct unit *d_unit, int64_t n, const struct pair *d_pair, float *d_e)
{
    struct scan_task t = task_of(s, q);

    t.pair = d_pair;
    t.given = d_unit;
    t.n_given = n;
    t.sample = d_e;
    return run(cuda, t);
}
