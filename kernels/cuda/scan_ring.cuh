/*
 * A block's ring of units: stages in shared memory, of which all warps take groups of rows, and which are filled again
 * when all have left them. No barrier is of the whole block, and there is no warp for filling: whoever passes by
 * while the next stage to be filled is empty fills it. A warp waits only where there is no group, and holds none then.
 */
#ifndef IVF_CUDA_SCAN_RING_CUH
#define IVF_CUDA_SCAN_RING_CUH

#include <cstddef>

#include "kernels/cuda/scan_source.cuh"

enum { STAGES_MAX = 8, STAGES_MIN = 3 };
enum { BLOCK_BYTES = 64 }; /* of a query, that a quad has at once */

/* A unit in shared memory. Behind the pairs are the queries, as lanes want them: see bring_queries. */
struct scan_stage {
    struct unit unit; /* of no queries: there are no more units */
    int next;         /* group to be taken */
    int unused[3];
    struct pair pairs[1]; /* [tile]: past the last with limits that nothing passes */
};

static constexpr __host__ __device__ int queries_at(int tile)
{
    return (int)offsetof(struct scan_stage, pairs) + tile * (int)sizeof(struct pair);
}

template <class Rows> static constexpr __host__ __device__ int stage_bytes(int tile)
{
    return queries_at(tile) + tile * Rows::blocks * BLOCK_BYTES;
}

/* A place in the ring, in a round: two rounds are told apart, no warp is further from another. */
struct turn {
    int stage, odd;

    __device__ __forceinline__ void next(int stages)
    {
        if (++stage < stages) return;
        stage = 0;
        odd ^= 1;
    }

    __device__ __forceinline__ bool is(const struct turn &other) const
    {
        return stage == other.stage && odd == other.odd;
    }
};

/* A warp's way: where it takes groups, and up to where it has left units. */
struct way {
    struct turn at, left, end;
    bool ends; /* at `end`: a stage of no queries was met */
};

/* What a block's warps share about the ring. */
struct ring_state {
    uint64_t full[STAGES_MAX], empty[STAGES_MAX]; /* barriers */
    int taken;                                    /* units that the block has had of a sample */
    int fill; /* the turn that is to be filled: stage << 1 | odd */
};

struct scan_ring {
    char *first; /* stage */
    int bytes;   /* of each */
    int stages, tile;
    struct ring_state *state;
    uint32_t full, empty; /* its barriers, one a stage */

    __device__ __forceinline__ struct scan_stage *at(const struct turn &turn) const
    {
        return (struct scan_stage *)(first + turn.stage * bytes);
    }

    __device__ __forceinline__ uint4 *queries(const struct scan_stage *stage) const
    {
        return (uint4 *)((char *)stage + queries_at(tile));
    }
};

/* At `full` arrive the filling warp's lanes, with their copies, and one of them when the rest is written; at `empty`
   all threads. */
__device__ __forceinline__ void ring_init(struct ring_state *state)
{
    for (int i = 0; i < STAGES_MAX; i++) {
        barrier_init(shared_address(state->full + i), 32 + 1);
        barrier_init(shared_address(state->empty + i), THREADS);
    }
    state->taken = 0;
    state->fill = 0;
}

/* Whether a barrier's phase of that turn is over, in all lanes. */
__device__ __forceinline__ bool phase_is_over(uint32_t barriers, const struct turn &at)
{
    uint32_t is;

    asm volatile("{\n.reg .pred is;\n"
                 "mbarrier.test_wait.parity.shared::cta.b64 is, [%1], %2;\n"
                 "selp.u32 %0, 1, 0, is;\n}"
                 : "=r"(is)
                 : "r"(barriers + 8 * at.stage), "r"(at.odd)
                 : "memory");
    return __all_sync(0xffffffffu, is);
}

/* ---- filling ---- */

/* The unit's queries that a warp copies: threads side by side copy what is side by side in a query. */
template <class Rows>
__device__ __forceinline__ void bring_queries(const struct scan_task &t,
                                              const struct scan_ring &ring,
                                              const struct scan_stage *stage, int queries)
{
    constexpr int pieces = Rows::blocks * BLOCK_BYTES / Rows::piece_bytes;
    constexpr int lanes = pieces == 12 ? 16 : pieces == 24 ? 32 : pieces, at_once = 32 / lanes;
    int lane = (int)threadIdx.x % 32, piece = lane % lanes;
    struct piece_place place = Rows::place(piece);
    char *to = (char *)ring.queries(stage) + place.block * 8 * BLOCK_BYTES + place.bytes;

    if (piece >= pieces) return;
#pragma unroll 4
    for (int slot = lane / lanes; slot < queries; slot += at_once)
        copy_async<Rows::piece_bytes>(to + (slot / 8 * Rows::blocks * 8 + slot % 8) * BLOCK_BYTES,
                                      (const char *)Rows::query(t, stage->pairs[slot].query) +
                                          piece * Rows::piece_bytes);
}

/* Which of all units this block comes to next: samples' are dealt out in turns, lists' go to who asks first. */
__device__ __forceinline__ int64_t next_unit(const struct scan_task &t,
                                             const struct scan_ring &ring)
{
    int64_t unit = 0;

    if (threadIdx.x % 32 == 0)
        unit = t.given ? (int64_t)atomicAdd(&ring.state->taken, 1) * gridDim.x + blockIdx.x
                       : (int64_t)atomicAdd(&t.total->next, 1ull);
    return __shfl_sync(0xffffffffu, unit, 0);
}

/* By a warp. */
template <class Rows>
__device__ static void fill_stage(const struct scan_task &t, const struct scan_ring &ring,
                                  const struct turn &at)
{
    struct scan_stage *stage = ring.at(at);
    int lane = (int)threadIdx.x % 32;
    int64_t i = next_unit(t, ring), all = t.given ? t.n_given : visits_units(t.total);
    struct unit u = {};
    uint32_t full = ring.full + 8 * at.stage;

    if (i < all) u = unit_at(t, i);
    for (int slot = lane; slot < t.tile; slot += 32)
        stage->pairs[slot] =
            slot < unit_queries(u.counts) ? t.pair[u.pair + slot] : (struct pair){0, NOTHING};
    if (lane == 0) {
        stage->unit = u;
        stage->next = 0;
    }
    __syncwarp();
    bring_queries<Rows>(t, ring, stage, unit_queries(u.counts));
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(full) : "memory");
    if (lane == 0) barrier_arrive(full);
}

/* The next stage, if it is empty and no other warp is at it. By a warp: at once, or not at all. */
template <class Rows>
__device__ __forceinline__ void try_to_fill(const struct scan_task &t, const struct scan_ring &ring)
{
    int fill = __shfl_sync(0xffffffffu, *(volatile int *)&ring.state->fill, 0), mine = 0;
    struct turn at = {fill >> 1, fill & 1}, after = at;

    if (!phase_is_over(ring.empty, {at.stage, at.odd ^ 1})) return; /* the round before */
    after.next(ring.stages);
    if (threadIdx.x % 32 == 0)
        mine = atomicCAS(&ring.state->fill, fill, after.stage << 1 | after.odd) == fill;
    if (__shfl_sync(0xffffffffu, mine, 0)) fill_stage<Rows>(t, ring, at);
}

/* ---- taking ---- */

/* A warp is done with all units before the one that it takes groups of. */
__device__ __forceinline__ void leave_units(const struct scan_ring &ring, struct way *way)
{
    __syncwarp();
    for (; !way->left.is(way->at); way->left.next(ring.stages))
        barrier_arrive(ring.empty + 8 * way->left.stage);
}

enum taken { TAKEN, NOT_YET, ENDED };

enum { AT_ONCE = 2 }; /* groups that a warp takes, so that the ring is not asked for each */

template <bool SAMPLE> __device__ __forceinline__ int groups_of(const struct unit &u)
{
    return SAMPLE ? UNIT_ROWS / GROUP_ROWS : (unit_rows(u.counts) + GROUP_ROWS - 1) / GROUP_ROWS;
}

/* What *p was before, in shared memory. By one lane: the compiler would have all lanes vote on who it is. */
__device__ __forceinline__ int shared_add(int *p, int n)
{
    int before;

    asm volatile("atom.shared::cta.add.s32 %0, [%1], %2;"
                 : "=r"(before)
                 : "r"(shared_address(p)), "r"(n)
                 : "memory");
    return before;
}

/*
 * The next groups there are, if any: the first, and the one past the last. By a warp. Stages are filled by several
 * warps at once, so behind the first that has no unit there may be some that have: once around the ring. Past that
 * stages are filled when all have left this one, and units are handed out in order: there are none for them.
 */
template <bool SAMPLE>
__device__ __forceinline__ enum taken take_group(const struct scan_ring &ring, struct way *way,
                                                 int *group, int *end)
{
    for (;; way->at.next(ring.stages)) {
        struct scan_stage *stage = ring.at(way->at);
        int groups, mine = 0;

        if (way->ends && way->at.is(way->end)) return ENDED;
        if (!phase_is_over(ring.full, way->at)) return NOT_YET;
        if (!unit_queries(stage->unit.counts)) {
            if (!way->ends) way->end = {way->at.stage, way->at.odd ^ 1};
            way->ends = true;
            continue;
        }
        groups = groups_of<SAMPLE>(stage->unit);
        if (threadIdx.x % 32 == 0) mine = shared_add(&stage->next, AT_ONCE);
        *group = __shfl_sync(0xffffffffu, mine, 0);
        *end = min(*group + AT_ONCE, groups);
        if (*group < groups) return TAKEN;
    }
}

__device__ __forceinline__ struct group group_of(const struct scan_stage *stage, int group)
{
    const struct unit &u = stage->unit;

    return {u.row + (uint32_t)group * GROUP_ROWS, unit_rows(u.counts) - group * GROUP_ROWS, u.list};
}

#endif
