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

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "kernels/cuda/keys.cuh"
#include "kernels/cuda/scan_deep.h"
#include "kernels/cuda/scan_whole.cuh"

enum { UNITS_HELD = 64 }; /* units known ahead; half of them are renewed at a time */

/* ---- what is past its limit ---- */

/* Eight numbers of a thread, one of them past its limit at least: of four rows times two queries. */
template <class Rows> struct patch {
    typename Rows::number sum[8]; /* [row][query] */
    int at;                       /* first row | first slot << 8 | odd rows << 16 */
};

/* Those of a unit, as a block's shared memory has them. */
template <class Rows> struct patches {
    uint4 sum[2][Rows::patches];
    int at[Rows::patches];
};

/* A block's shared memory, besides the source's. */
template <class Rows> struct scan_board {
    uint4 queries[2][UNIT_QUERIES * Rows::pieces]; /* as lanes want them: see bring_queries */
    struct pair pairs[4][UNIT_QUERIES];
    float half[2][UNIT_ROWS]; /* of a unit's rows, +inf past the last */
    patches<Rows> past[2];
    struct unit units[UNITS_HELD];
    int n_past[3]; /* of a unit, of the one before, and 0 for the next */
};

/*
 * A patch on its way to its queries' candidates: places are asked for first, and written to when they have
 * come. Where a query has several hits in it they are asked for at once.
 */
template <class Rows> struct sending {
    uint32_t hits; /* a bit for each number */
    int place[2];
    typename Rows::number asked[2];

    /* pairs: the unit's */
    __device__ __forceinline__ void ask(const struct scan_task &t, const struct pair *pairs,
                                        const patch<Rows> &p)
    {
        const struct pair *pair = pairs + (p.at >> 8 & 255);

        hits = 0;
#pragma unroll
        for (int i = 0; i < 8; i++)
            hits |= p.sum[i] > Rows::limit(pair[i % 2].limit) ? 1u << i : 0;
#pragma unroll
        for (int c = 0; c < 2; c++) {
            int n = __popc(hits & 0x55u << c), query = pair[c].query;

            if (!n) continue;
            place[c] = atomicAdd(t.c.d_count + query, n);
            asked[c] = Rows::asked(t, query);
        }
    }

    /* row: the unit's first. Counts may pass 2^31. */
    __device__ __forceinline__ void write(const struct scan_task &t, const struct pair *pairs,
                                          const patch<Rows> &p, uint32_t row) const
    {
        const struct pair *pair = pairs + (p.at >> 8 & 255);

#pragma unroll
        for (int c = 0; c < 2; c++) {
            uint64_t *to = t.c.d_found + (int64_t)pair[c].query * t.c.cap;
            int at = place[c];

#pragma unroll
            for (int i = c; i < 8; i += 2) {
                if (!(hits >> i & 1)) continue;
                if ((uint32_t)at < (uint32_t)t.c.cap)
                    to[at] = key_of(Rows::e(t, asked[c], Rows::limit(pair[c].limit), p.sum[i],
                                            p.at >> (16 + i / 2) & 1),
                                    row + (uint32_t)(p.at & 255) + 8 * (i / 2));
                at++;
            }
        }
    }
};

/* Into the unit's patches, or, where they are full, to the candidates: that takes long. */
template <class Rows>
__device__ __forceinline__ void note_patch(const struct scan_task &t, scan_board<Rows> *board,
                                           int step, const patch<Rows> &p)
{
    patches<Rows> *past = board->past + step % 2;
    int i = atomicAdd(board->n_past + step % 3, 1);

    if (i < Rows::patches) {
        past->sum[0][i] = *(const uint4 *)p.sum;
        past->sum[1][i] = *(const uint4 *)(p.sum + 4);
        past->at[i] = p.at;
        return;
    }
    sending<Rows> now;

    now.ask(t, board->pairs[step % 4], p);
    now.write(t, board->pairs[step % 4], p, board->units[step % UNITS_HELD].row);
}

/* A unit's patches, a thread each, while the next unit is multiplied. */
template <class Rows> struct flush {
    static constexpr int each = (Rows::patches + THREADS - 1) / THREADS;
    sending<Rows> on_way[each];

    static __device__ __forceinline__ patch<Rows> taken(const scan_board<Rows> *board, int step,
                                                        int i)
    {
        const patches<Rows> *past = board->past + step % 2;
        patch<Rows> p;

        *(uint4 *)p.sum = past->sum[0][i];
        *(uint4 *)(p.sum + 4) = past->sum[1][i];
        p.at = past->at[i];
        return p;
    }

    __device__ __forceinline__ void ask(const struct scan_task &t, const scan_board<Rows> *board,
                                        int step)
    {
        int n = min(board->n_past[step % 3], Rows::patches);

#pragma unroll
        for (int f = 0; f < each; f++) {
            int i = f * THREADS + (int)threadIdx.x;

            on_way[f].hits = 0;
            if (i < n) on_way[f].ask(t, board->pairs[step % 4], taken(board, step, i));
        }
    }

    __device__ __forceinline__ void write(const struct scan_task &t, const scan_board<Rows> *board,
                                          int step) const
    {
#pragma unroll
        for (int f = 0; f < each; f++)
            if (on_way[f].hits)
                on_way[f].write(t, board->pairs[step % 4],
                                taken(board, step, f * THREADS + (int)threadIdx.x),
                                board->units[step % UNITS_HELD].row);
    }
};

/* ---- the kernel ---- */

/* Pairs of a unit, the places past the last with a limit that nothing passes. */
template <class Rows>
__device__ __forceinline__ void bring_pairs(const struct scan_task &t, scan_board<Rows> *board,
                                            int step)
{
    const struct unit &u = board->units[step % UNITS_HELD];
    int i = (int)threadIdx.x;

    if (i >= UNIT_QUERIES) return;
    if (i < unit_queries(u.counts))
        copy_8(&board->pairs[step % 4][i], t.pair + u.pair + i);
    else
        board->pairs[step % 4][i] = {0, NOTHING};
}

/* What a unit's rows have for themselves. Where nothing is kept of codes, sources make it up. */
template <class Rows>
__device__ __forceinline__ void bring_halves(const struct scan_task &t, scan_board<Rows> *board,
                                             int step)
{
    const struct unit &u = board->units[step % UNITS_HELD];
    float *to = board->half[step % 2] + threadIdx.x;

    if (!Rows::halves || !t.half) return;
    if ((int)threadIdx.x < unit_rows(u.counts))
        copy_4(to, t.half + u.row + threadIdx.x);
    else
        *to = INFINITY;
}

/*
 * Queries of a unit: for each eight of them and block of dimensions, the 16 bytes of each of 32 lanes. Threads
 * side by side copy what is side by side in a query.
 */
template <class Rows>
__device__ __forceinline__ void bring_queries(const struct scan_task &t, scan_board<Rows> *board,
                                              int step)
{
    constexpr unsigned pieces = Rows::pieces, lanes = pieces == 12 ? 16 : pieces;
    constexpr unsigned at_once = THREADS / lanes;
    unsigned piece = threadIdx.x % lanes, slot = threadIdx.x / lanes;
    unsigned queries = (unsigned)unit_queries(board->units[step % UNITS_HELD].counts);
    uint2 place = Rows::place(piece);
    const struct pair *pair = board->pairs[step % 4] + slot;
    uint4 *to = board->queries[step % 2] +
                ((slot / 8 * (pieces / 4) + place.x) * 8 + slot % 8) * 4 + place.y;

    if (piece >= pieces) return;
    for (; slot < queries; slot += at_once, pair += at_once, to += at_once * pieces)
        copy_16(to, (const uint4 *)Rows::query(t, pair->query) + piece);
}

/* A warp's rows times all queries of the unit, and what is past the limits of it. */
template <class Rows>
__device__ __forceinline__ void find_hits(const struct scan_task &t, scan_board<Rows> *board,
                                          int step, int queries, const Rows &x)
{
    int lane = (int)(threadIdx.x % 32), at = first_row() | lane % 4 * 2 << 8 | x.odd() << 16;
    const uint4 *from = board->queries[step % 2] + lane;
    const struct pair *pairs = board->pairs[step % 4] + lane % 4 * 2;

    for (int first = 0; first < queries; first += 8, from += 8 * Rows::pieces, pairs += 8) {
        typename Rows::number acc[2][4], top[2];

        x.multiply(from, acc);
        int4 two = *(const int4 *)pairs; /* this lane's two queries */

#pragma unroll
        for (int c = 0; c < 2; c++)
            top[c] = max(max(acc[0][c], acc[0][2 + c]), max(acc[1][c], acc[1][2 + c]));
        if (top[0] > Rows::limit(two.y) || top[1] > Rows::limit(two.w)) {
            patch<Rows> p;

#pragma unroll
            for (int i = 0; i < 8; i++)
                p.sum[i] = acc[i / 4][i % 4];
            p.at = at + (first << 8);
            note_patch<Rows>(t, board, step, p);
        }
        __syncwarp(); /* products are whole warps' instructions */
    }
}

/* e of a warp's rows and the unit's one query, which the lanes that begin a quad have. */
template <class Rows>
__device__ __forceinline__ void write_sample(const struct scan_task &t,
                                             const scan_board<Rows> *board, int step, bool rows,
                                             int32_t unit, const Rows &x)
{
    typename Rows::number acc[2][4], near = Rows::limit(board->pairs[step % 4][0].limit);

    if (rows) x.multiply(board->queries[step % 2] + threadIdx.x % 32, acc);
    if (threadIdx.x % 4) return;
#pragma unroll
    for (int i = 0; i < 4; i++)
        t.sample[(int64_t)unit * UNIT_ROWS + first_row() + 8 * i] =
            rows ? Rows::sample_e(t, near, acc[i / 2][i % 2 * 2], x.odd() >> i & 1) : INFINITY;
}

/* The places of units `from` ... of the share, one by each thread that is below n. */
template <class Rows>
__device__ __forceinline__ void hold_units(const struct scan_task &t, scan_board<Rows> *board,
                                           const struct share &share, int from, int n)
{
    int i = from + (int)threadIdx.x;

    if ((int)threadIdx.x < n && i < share.count)
        board->units[i % UNITS_HELD] = unit_at(t, share.first + i);
}

/* The board lies behind what the source has. */
template <class Source> static constexpr __host__ __device__ int source_bytes_of(void)
{
    return (Source::bytes + 127) / 128 * 128;
}

/* Samples may have a chunk in part, and then more of it. */
__device__ __forceinline__ bool same_rows(const struct unit &u, const struct unit &v)
{
    return u.row == v.row && unit_rows(u.counts) == unit_rows(v.counts);
}

/*
 * A step is a unit. At its top all copies for it have come; then those for the next one are started, which
 * go into the other stage, and the patches of the one before are sent off.
 */
template <class Source, bool SAMPLE>
__device__ __forceinline__ void scan_share(const struct scan_task &t, char *shared)
{
    typedef typename Source::operands Rows;
    scan_board<Rows> *board = (scan_board<Rows> *)(shared + source_bytes_of<Source>());
    struct share share = share_of(t);
    Rows x;
    bool fresh = true; /* the unit's rows are not those of the one before */
    Source source;

    if (!share.count) return;
    hold_units(t, board, share, 0, UNITS_HELD);
    if (threadIdx.x < 3) board->n_past[threadIdx.x] = 0;
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
        flush<Rows> sent;
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
        if (!SAMPLE && step > 0) sent.ask(t, board, step - 1);
        if (step == share.count) {
            if (!SAMPLE) sent.write(t, board, step - 1);
            return;
        }
        u = board->units[step % UNITS_HELD];
        rows = (int)threadIdx.x / 32 * 32 < unit_rows(u.counts);
        if (threadIdx.x == 0) board->n_past[(step + 1) % 3] = 0;
        /* all but those of the unit before: places step - 33 ... step - 2 are free */
        if (step > 0 && step % (UNITS_HELD / 2) == 0)
            hold_units(t, board, share, step + UNITS_HELD / 2 - 1, UNITS_HELD / 2);
        if (rows && fresh) {
            if constexpr (Rows::halves)
                if (t.half) x.begin(board->half[step % 2]);
            source.load(t, u, step % 2, x);
        }
        if (is_next && !again) source.fetch(t, next);
        fresh = !again;
        if (SAMPLE) {
            write_sample<Rows>(t, board, step, rows, u.pair, x);
        } else {
            if (rows) find_hits<Rows>(t, board, step, unit_queries(u.counts), x);
            if (step > 0) sent.write(t, board, step - 1);
        }
    }
}

/* Two blocks a multiprocessor. Whole: the source for batches of whole numbers, or again the one for all. */
template <class Source, class Whole, bool SAMPLE>
__global__ static void __launch_bounds__(THREADS, 2)
    scan_units(__grid_constant__ const struct scan_task t)
{
    extern __shared__ __align__(128) char shared[];

    if constexpr (!std::is_same_v<Source, Whole>)
        if (t.whole.d_is && *t.whole.d_is) return scan_share<Whole, SAMPLE>(t, shared);
    scan_share<Source, SAMPLE>(t, shared);
}

/* ---- launching ---- */

template <class Source> static constexpr int shared_bytes(void)
{
    return source_bytes_of<Source>() + (int)sizeof(scan_board<typename Source::operands>);
}

template <class Source, class Whole>
static int launch_either(struct cuda *cuda, const struct scan_task &t)
{
    auto kernel = t.given ? scan_units<Source, Whole, true> : scan_units<Source, Whole, false>;
    constexpr int bytes = std::max(shared_bytes<Source>(), shared_bytes<Whole>());
    int rc;

    static_assert(bytes <= SCAN_BYTES, "two blocks have no room");
    if ((rc = CU(
             cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes))) < 0)
        return rc;
    kernel<<<2 * cuda->sms, THREADS, bytes, cuda->stream>>>(t);
    return cuda_launched(cuda, "scan_units");
}

template <class Source> static int launch(struct cuda *cuda, const struct scan_task &t)
{
    return launch_either<Source, Source>(cuda, t);
}

template <enum elem E, int BLOCKS>
static int launch_bytes(struct cuda *cuda, const struct scan_task &t)
{
    return launch_either<source_bytes<E, BLOCKS>, source_whole<E, (BLOCKS + 1) / 2>>(cuda, t);
}

template <int BLOCKS> static int launch_codes(struct cuda *cuda, const struct scan_task &t)
{
    int dsub = t.lists.dsub;

    if (dsub == 4) return launch<source_codes<4, true, BLOCKS>>(cuda, t);
    if (dsub % 4 == 0) return launch<source_codes<4, false, BLOCKS>>(cuda, t);
    if (dsub % 2 == 0) return launch<source_codes<2, false, BLOCKS>>(cuda, t);
    return launch<source_codes<1, false, BLOCKS>>(cuda, t);
}

template <int BLOCKS> static int launch_blocks(struct cuda *cuda, const struct scan_task &t)
{
    if (t.lists.m) return launch_codes<BLOCKS>(cuda, t);
    switch (t.lists.storage) {
    case ELEM_F32:
        return launch<source_floats<ELEM_F32, BLOCKS>>(cuda, t);
    case ELEM_F16:
        return launch<source_floats<ELEM_F16, BLOCKS>>(cuda, t);
    case ELEM_U8:
        return launch_bytes<ELEM_U8, BLOCKS>(cuda, t);
    default:
        return launch_bytes<ELEM_I8, BLOCKS>(cuda, t);
    }
}

static struct scan_task task_of(const struct scanned *s, const struct queries *q)
{
    struct scan_task t = {};

    t.lists = s->lists;
    t.depth = s->space->depth;
    t.pitch = s->pitch;
    t.d_x = q->rows.d_x;
    t.whole = q->whole;
    t.centre = s->space->d_centre;
    t.space = s->space->d_facts;
    t.half = s->d_half;
    t.books = s->d_books;
    t.slice = s->d_slice;
    return t;
}

static int run(struct cuda *cuda, const struct scan_task &t)
{
    if (cuda->shared_max < SCAN_BYTES) return scan_deep(cuda, t);
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
