/*
 * The scan for up to 128 dimensions.
 *
 * Block   16 warps, one block a multiprocessor, units out of a ring (scan_ring.cuh): a unit is a part of a list
 *         times a tile of queries. A warp has a group of 32 rows as operands in registers, and
 *         multiplies them by the unit's queries out of shared memory, eight at a time, by mma.sync. Sums
 *         begin at -half, so that a hit is one comparison with the pair's limit.
 * Waits   The next group is taken before this one is multiplied: its rows come meanwhile, codes of dsub 4 and
 *         whole numbers into registers, others into the L2. Codes are decoded out of codebooks in shared memory.
 * Hits    go to a queue of the warp's own, eight numbers of a lane at once, and from there to their queries'
 *         candidates, 32 of those together.
 * Bytes   Each visited row once for each tile of queries (that is from the L2 after the first), a query
 *         (bytes of whole numbers, else fp16) for each part of a list that it visits.
 * Tried   Barriers of a block for each 256 rows, two blocks a multiprocessor: a third of the time was waiting at
 *         them, for those who decoded or sent hits.
 */
#include "kernels/cuda/scan.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "kernels/cuda/chain.cuh"
#include "kernels/cuda/keys.cuh"
#include "kernels/cuda/scan_codes.cuh"
#include "kernels/cuda/scan_deep.h"
#include "kernels/cuda/scan_ring.cuh"
#include "kernels/cuda/scan_whole.cuh"

/* ---- what is past its limit ---- */

enum { STATIC_BYTES = 1024 }; /* of shared memory, more than is not dynamic */
enum { FILL_EACH = 4 };       /* groups of a unit, one of which sees to the ring */

/*
 * Of a warp: eight numbers of a lane, one of them past its limit at least, of four rows times two queries; what
 * is not past it is Rows::none. Up to 32 are sent when there is no room for 32 more.
 */
template <class Rows, int ROOM> struct past_queue {
    uint4 noted[2][ROOM]; /* [row][query] */
    uint32_t row[ROOM];   /* the first; the others are 8, 16, 24 further */
    int32_t pair[ROOM];   /* of the first query; the other's is the next */
};

/* A query with hits on their way. */
template <class Rows> struct asked {
    uint64_t *found;
    uint32_t place;
    typename Rows::maker make; /* of e */

    __device__ __forceinline__ void ask(const struct scan_task &t, int32_t query, int hits)
    {
        found = t.c.d_found + (int64_t)query * t.c.cap;
        place = (uint32_t)atomicAdd(t.c.d_count + query, hits);
        make = Rows::maker_of(t, query);
    }

    /* Counts may pass 2^31. */
    __device__ __forceinline__ void answer(const struct scan_task &t, typename Rows::number noted,
                                           uint32_t row)
    {
        if (place < (uint32_t)t.c.cap) found[place] = key_of(make.e(noted), row);
        place++;
    }
};

/*
 * The last of `count`, 32 at most, to their queries' candidates: a lane has eight numbers, asks for the places of
 * all hits of a query at once, and goes through the hits. How many are left.
 */
template <class Rows, int ROOM>
__device__ __noinline__ int send_past(const struct scan_task &t,
                                      const past_queue<Rows, ROOM> *queue, int count)
{
    typedef typename Rows::number number;
    int left = max(count - 32, 0), at = left + (int)threadIdx.x % 32;

    __syncwarp();
    if (at < count) {
        const struct pair *pair = t.pair + queue->pair[at];
        uint32_t row = queue->row[at], hits = 0;
        struct asked<Rows> asked[2];

#pragma unroll
        for (int i = 0; i < 8; i++)
            hits |= ((const number *)&queue->noted[i / 4][at])[i % 4] > Rows::none ? 1u << i : 0;
#pragma unroll
        for (int c = 0; c < 2; c++)
            if (hits & 0x55u << c) asked[c].ask(t, pair[c].query, __popc(hits & 0x55u << c));
        for (; hits; hits &= hits - 1) {
            int i = __ffs((int)hits) - 1;
            number noted = ((const number *)&queue->noted[i / 4][at])[i % 4];

            if (i % 2)
                asked[1].answer(t, noted, row + 8 * (uint32_t)(i / 2));
            else
                asked[0].answer(t, noted, row + 8 * (uint32_t)(i / 2));
        }
    }
    __syncwarp(); /* all is read before it is overwritten */
    return left;
}

/* What lanes have that is past its limit, into the queue; count: of what is in it. */
template <class Rows, int ROOM>
__device__ __forceinline__ void
note_past(const struct scan_task &t, past_queue<Rows, ROOM> *queue, int *count, const Rows &x,
          const typename Rows::number (&acc)[2][4], const typename Rows::number (&limit)[2],
          bool past, uint32_t row, int32_t pair)
{
    unsigned all = __ballot_sync(0xffffffffu, past), before = (1u << threadIdx.x % 32) - 1;

    if (!all) return;
    if (past) {
        __align__(16) typename Rows::number noted[8];
        int at = *count + __popc(all & before);

#pragma unroll
        for (int i = 0; i < 8; i++) {
            auto sum = acc[i / 4][i % 4];

            noted[i] = sum > limit[i % 2] ? x.noted(sum, limit[i % 2], i / 2) : Rows::none;
        }
        queue->noted[0][at] = *(const uint4 *)noted;
        queue->noted[1][at] = *(const uint4 *)(noted + 4);
        queue->row[at] = row;
        queue->pair[at] = pair;
    }
    *count += __popc(all);
    if (*count > ROOM - 32) *count = send_past(t, queue, *count);
}

/* ---- a group ---- */

/* A group's rows times all queries of its unit, and what is past the limits of it. */
template <class Rows, int ROOM>
__device__ __forceinline__ void
find_past(const struct scan_task &t, const struct scan_ring &ring, const struct scan_stage *stage,
          past_queue<Rows, ROOM> *queue, int *count, const Rows &x, uint32_t first_row)
{
    int lane = (int)(threadIdx.x % 32), queries = unit_queries(stage->unit.counts);
    uint32_t row = first_row + (uint32_t)lane / 4;
    int32_t pair = stage->unit.pair + lane % 4 * 2;
    const uint4 *from = ring.queries(stage) + lane;
    const struct pair *pairs = stage->pairs + lane % 4 * 2;

    for (int first = 0; first < queries; first += 8, from += 32 * Rows::blocks, pairs += 8) {
        typename Rows::number acc[2][4], top[2];

        x.multiply(from, acc);
        int4 two = *(const int4 *)pairs; /* this lane's two queries */
        typename Rows::number limit[2] = {Rows::limit(two.y), Rows::limit(two.w)};

#pragma unroll
        for (int c = 0; c < 2; c++)
            top[c] = max(max(acc[0][c], acc[0][2 + c]), max(acc[1][c], acc[1][2 + c]));
        note_past(t, queue, count, x, acc, limit, top[0] > limit[0] || top[1] > limit[1], row,
                  pair + first);
    }
}

/* e of a group's rows and the unit's one query, which the lanes that begin a quad have. */
template <class Rows>
__device__ __forceinline__ void
write_sample(const struct scan_task &t, const struct scan_ring &ring,
             const struct scan_stage *stage, int group, const struct group &g, const Rows &x)
{
    int lane = (int)threadIdx.x % 32;
    typename Rows::number acc[2][4], near = Rows::limit(stage->pairs[0].limit);
    float *out = t.sample + (int64_t)stage->unit.pair * UNIT_ROWS + group * GROUP_ROWS + lane / 4;

    if (g.rows > 0) x.multiply(ring.queries(stage) + lane, acc);
    if (lane % 4) return;
#pragma unroll
    for (int i = 0; i < 4; i++)
        out[8 * i] = g.rows > 0 ? x.sample_e(t, near, acc[i / 2][i % 2 * 2], i) : INFINITY;
}

/* ---- the kernel ---- */

/* Two images of codebooks past 64 dimensions leave less room. */
template <class Source> static constexpr int queue_room(void)
{
    return Source::bytes < 100 * 1024 ? 64 : 48;
}

template <class Source>
using queue_of = past_queue<typename Source::operands, queue_room<Source>()>;

/* Shared memory: what the source has, the warps' queues, the ring's stages. */
template <class Source> static constexpr __host__ __device__ int queues_at(void)
{
    return (Source::bytes + 127) / 128 * 128;
}

template <class Source> static constexpr __host__ __device__ int stages_at(void)
{
    return queues_at<Source>() + WARPS * (int)sizeof(queue_of<Source>);
}

/* The group that a warp comes to next, of those that it has taken, and what of it is on its way. */
template <class Source, bool SAMPLE> struct ahead {
    typedef typename Source::operands Rows;
    enum taken taken;
    int group, end; /* taken are group ... end - 1 */
    Source source;

    __device__ __forceinline__ void take(const struct scan_task &t, const struct scan_ring &ring,
                                         struct way *way)
    {
        if (++group >= end) taken = take_group<SAMPLE>(ring, way, &group, &end);
        if (taken != TAKEN) return;
        struct group g = group_of(ring.at(way->at), group);

        if (g.rows > 0) source.fetch(t, g);
    }
};

/* A warp's way through the ring. */
template <class Source, bool SAMPLE>
__device__ __forceinline__ void scan_groups(const struct scan_task &t, ahead<Source, SAMPLE> &next,
                                            const struct scan_ring &ring, queue_of<Source> *queue)
{
    struct way way = {};
    typename Source::operands x;
    int count = 0;

    for (;;) {
        if (next.taken != TAKEN || next.group % FILL_EACH == 0)
            try_to_fill<typename Source::operands>(t, ring);
        if (next.taken == NOT_YET) {
            next.take(t, ring, &way);
            leave_units(ring, &way);
        }
        if (next.taken == ENDED) break;
        if (next.taken == NOT_YET) {
            __nanosleep(20);
            continue;
        }
        const struct scan_stage *stage = ring.at(way.at);
        int group = next.group;
        struct group g = group_of(stage, group);

        if (g.rows > 0) next.source.load(t, g, x);
        next.take(t, ring, &way);
        if constexpr (SAMPLE)
            write_sample(t, ring, stage, group, g, x);
        else
            find_past(t, ring, stage, queue, &count, x, g.row);
        leave_units(ring, &way);
    }
    while (count > 0)
        count = send_past(t, queue, count);
}

template <class Source, bool SAMPLE>
__device__ __forceinline__ void scan_block(const struct scan_task &t, int stages, char *shared)
{
    typedef typename Source::operands Rows;
    __shared__ struct ring_state state;
    int warp = (int)threadIdx.x / 32;
    queue_of<Source> *queues = (queue_of<Source> *)(shared + queues_at<Source>());
    struct scan_ring ring = {
        shared + stages_at<Source>(), stage_bytes<Rows>(t.tile),  stages, t.tile, &state,
        shared_address(state.full),   shared_address(state.empty)};
    ahead<Source, SAMPLE> next;

    if (threadIdx.x == 0) ring_init(&state);
    next.taken = NOT_YET;
    next.group = next.end = 0;
    next.source.begin(t, shared); /* of what was there before all of this search */
    chain_begin();
    __syncthreads();
    scan_groups(t, next, ring, queues + warp);
}

/* Whole: the source for batches of whole numbers, or again the one for all. */
template <class Source, class Whole, bool SAMPLE>
__global__ static void __launch_bounds__(THREADS, 1)
    scan_units(__grid_constant__ const struct scan_task t)
{
    extern __shared__ __align__(128) char shared[];

    if constexpr (!std::is_same_v<Source, Whole>) {
        chain_wait();
        if (whole_is(t.whole)) return scan_block<Whole, SAMPLE>(t, t.whole_stages, shared);
    }
    scan_block<Source, SAMPLE>(t, t.stages, shared);
}

/* ---- launching ---- */

template <class Source> static constexpr int shared_bytes(int stages, int tile)
{
    return stages_at<Source>() + stages * stage_bytes<typename Source::operands>(tile);
}

template <class Source> static bool fits(const struct cuda *cuda, int stages, int tile)
{
    return shared_bytes<Source>(stages, tile) + STATIC_BYTES <= cuda->shared_max;
}

/* As many stages as there is room for. */
template <class Source> static int stages_of(const struct cuda *cuda, int tile)
{
    int stages = STAGES_MAX;

    while (!fits<Source>(cuda, stages, tile))
        stages--;
    return stages;
}

template <class Source, class Whole> static int launch_either(struct cuda *cuda, struct scan_task t)
{
    auto kernel = t.given ? scan_units<Source, Whole, true> : scan_units<Source, Whole, false>;
    int bytes, rc;

    t.stages = stages_of<Source>(cuda, t.tile);
    t.whole_stages = stages_of<Whole>(cuda, t.tile);
    bytes = std::max(shared_bytes<Source>(t.stages, t.tile),
                     shared_bytes<Whole>(t.whole_stages, t.tile));
    if ((rc = CU(
             cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes))) < 0)
        return rc;
    return chain_launch(cuda, "scan_units", kernel, (unsigned)cuda->sms, THREADS, (size_t)bytes, t);
}

/* On any device that the scan is for, and for all tiles that there may be on it. */
template <class Source> static constexpr bool has_room(void)
{
    return shared_bytes<Source>(STAGES_MIN, TILE_SMALL) + STATIC_BYTES <= SCAN_BYTES &&
           shared_bytes<Source>(STAGES_MIN, TILE_LARGE) + STATIC_BYTES <= LARGE_BYTES;
}

template <class Source> static int launch(struct cuda *cuda, const struct scan_task &t)
{
    static_assert(has_room<Source>(), "stages do not fit");
    return launch_either<Source, Source>(cuda, t);
}

template <enum elem E, int BLOCKS>
static int launch_bytes(struct cuda *cuda, const struct scan_task &t)
{
    typedef source_bytes<E, BLOCKS> bytes;
    typedef source_whole<E, (BLOCKS + 1) / 2> whole;

    static_assert(has_room<bytes>() && has_room<whole>(), "stages do not fit");
    return launch_either<bytes, whole>(cuda, t);
}

/* With two images of the codebooks where there is room. */
template <int BLOCKS> static int launch_words(struct cuda *cuda, const struct scan_task &t)
{
    typedef source_words<BLOCKS, 1> once;
    typedef source_words<BLOCKS, 2> twice;

    if constexpr (twice::bytes > once::bytes) {
        if (!fits<twice>(cuda, STAGES_MIN, t.tile)) return launch<once>(cuda, t);
    } else {
        static_assert(has_room<twice>(), "stages do not fit");
    }
    return launch_either<twice, twice>(cuda, t);
}

template <int BLOCKS> static int launch_codes(struct cuda *cuda, const struct scan_task &t)
{
    int dsub = t.lists.dsub;

    if (dsub == 4) return launch_words<BLOCKS>(cuda, t);
    if (dsub % 4 == 0) return launch<source_pieces<4, BLOCKS>>(cuda, t);
    if (dsub % 2 == 0) return launch<source_pieces<2, BLOCKS>>(cuda, t);
    return launch<source_pieces<1, BLOCKS>>(cuda, t);
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

    t.tile = v->tile;
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

    t.tile = 8; /* what a product takes at once */
    t.pair = d_pair;
    t.given = d_unit;
    t.n_given = n;
    t.sample = d_e;
    return run(cuda, t);
}
