/*
 * The product on any tensor cores since sm_80, and on Hopper for depths past 128.
 *
 * Block   8 warps, one block a multiprocessor; each warp has 32 rows x TILE_COLS columns in
 *         registers, as two sets of 16 rows. Columns pass through shared memory, 32 of depth (8 KB)
 *         at a time, STAGES deep; a warp's rows come from the L1 or L2 each time.
 * Bytes   As product_wgmma; besides, rows once a tile: 64 bytes of L1 a row and 32 of depth.
 * Bound   Shared memory: each warp reads all columns, 8 KB for 32 x 128 x 32 products, which is
 *         as long as mma.sync takes for them. Half the speed of product_wgmma, by the prototype.
 */
#include "kernels/cuda/mma.cuh"
#include "kernels/cuda/product.cuh"

enum { THREADS = 256, STEP_DEPTH = 32, STAGES = 4 };
enum { STAGE_BYTES = 32 * TILE_COLS * 2 };
enum { COPIES = 2 }; /* of 16 bytes, by each thread: a stage */

/* Four blocks of 8 columns x 8 of depth, one a lane's address each 8 lanes. */
__device__ __forceinline__ void load_blocks(uint32_t (&b)[4], uint32_t address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(b[0]), "=r"(b[1]), "=r"(b[2]), "=r"(b[3])
                 : "r"(address)
                 : "memory");
}

/* The pieces of a unit, tile by tile, 32 of depth at a time. */
struct pieces {
    int steps, count; /* of a tile; of the unit */
    const char *first;

    __device__ __forceinline__ pieces(const struct task &t, int first_tile, int end_tile)
    {
        steps = t.depth / STEP_DEPTH;
        count = (end_tile - first_tile) * steps;
        first = (const char *)t.d_image + (int64_t)first_tile * steps * STAGE_BYTES;
    }

    /* Always one group, empty past the end, so that waiting can count. */
    __device__ __forceinline__ void bring(int piece, char *stages) const
    {
        if (piece < count) {
            const char *from = first + (int64_t)piece * STAGE_BYTES + threadIdx.x * 16;
            uint32_t to = (uint32_t)__cvta_generic_to_shared(stages + piece % STAGES * STAGE_BYTES +
                                                             threadIdx.x * 16);

            for (int i = 0; i < COPIES; i++)
                asm volatile(
                    "cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to + i * THREADS * 16),
                    "l"(from + i * THREADS * 16)
                    : "memory");
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
};

/* The warp's operands for 32 of depth: [set][step of 16]. */
__device__ __forceinline__ void load_rows(const __half *const (&x)[2][2], int depth,
                                          uint32_t (&a)[2][2][4])
{
#pragma unroll
    for (int set = 0; set < 2; set++) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            uint4 v = __ldg((const uint4 *)(x[set][r] + depth));

            a[set][0][r] = v.x;
            a[set][0][2 + r] = v.y;
            a[set][1][r] = v.z;
            a[set][1][2 + r] = v.w;
        }
    }
}

/* Both sets times one piece. */
__device__ __forceinline__ void multiply(float (&acc0)[64], float (&acc1)[64],
                                         const uint32_t (&a)[2][2][4], uint32_t stage)
{
    uint32_t lane = threadIdx.x % 32;
    /* of each four blocks: two of depth, then the next 8 columns */
    uint32_t mine = (lane / 8 % 2 * 16 + lane / 16) * 128 + lane % 8 * 16;

#pragma unroll
    for (int step = 0; step < 2; step++) {
#pragma unroll
        for (int j = 0; j < 16; j += 2) {
            uint32_t b[4];

            load_blocks(b, stage + mine + (step * 32 + j) * 128);
            mma(acc0 + 4 * j, a[0][step], b[0], b[1]);
            mma(acc0 + 4 * j + 4, a[0][step], b[2], b[3]);
            mma(acc1 + 4 * j, a[1][step], b[0], b[1]);
            mma(acc1 + 4 * j + 4, a[1][step], b[2], b[3]);
        }
    }
}

template <class Reduce>
__global__ static void __launch_bounds__(THREADS, 1)
    product_mma(__grid_constant__ const struct task t, __grid_constant__ const Reduce reduce)
{
    __shared__ __align__(128) char stages[STAGES * STAGE_BYTES];
    extern __shared__ __align__(16) char rooms[]; /* of the reducers */
    struct work w(t);
    int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32);
    char *room = rooms + warp * Reduce::shared_bytes;
    float acc[2][64];

    if constexpr (Reduce::shared_bytes > 0) reduce.start(room);
    for (int64_t unit = blockIdx.x; unit < w.units; unit += gridDim.x) {
        int64_t row = w.first_row(unit) + warp * 32 + lane / 4;
        int first_tile = w.first_tile(unit, t.tiles);
        struct pieces pieces(t, first_tile, w.end_tile(unit, t.tiles));
        const __half *x[2][2];
        typename Reduce::state state[2];

#pragma unroll
        for (int set = 0; set < 2; set++) {
            for (int r = 0; r < 2; r++)
                x[set][r] = task_row(t, w, row + 16 * set + 8 * r) + 8 * (lane % 4);
            reduce.begin(state[set], row + 16 * set, w.n, set, room);
        }
        for (int i = 0; i < STAGES - 1; i++)
            pieces.bring(i, stages);
        for (int piece = 0; piece < pieces.count; piece++) {
            int step = piece % pieces.steps, tile = first_tile + piece / pieces.steps;
            uint32_t a[2][2][4];

            load_rows(x, step * STEP_DEPTH, a);
            asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
            __syncthreads(); /* the piece is there, and the one before it is read */
            pieces.bring(piece + STAGES - 1, stages);
            if (step == 0)
                for (int i = 0; i < 64; i++)
                    acc[0][i] = acc[1][i] = 0;
            multiply(acc[0], acc[1], a,
                     (uint32_t)__cvta_generic_to_shared(stages + piece % STAGES * STAGE_BYTES));
            if (step + 1 < pieces.steps) continue;
            const float2 *norm = (const float2 *)(t.d_norm + (int64_t)tile * TILE_COLS) + lane % 4;

            reduce.tile(state[0], acc[0], norm, tile);
            reduce.tile(state[1], acc[1], norm, tile);
            __syncwarp();
        }
#pragma unroll
        for (int set = 0; set < 2; set++)
            reduce.end(state[set], row + 16 * set, w.n, w.split(unit));
        __syncthreads(); /* the last pieces are read before the next unit's come */
    }
    if constexpr (Reduce::shared_bytes > 0) reduce.finish(room);
}

template <class Reduce>
int product_on_mma(struct cuda *cuda, const struct task &task, const Reduce &reduce)
{
    constexpr int bytes = THREADS / 32 * Reduce::shared_bytes;
    int rc;

    if (bytes &&
        (rc = CU(cudaFuncSetAttribute(product_mma<Reduce>,
                                      cudaFuncAttributeMaxDynamicSharedMemorySize, bytes))) < 0)
        return rc;
    product_mma<<<cuda->sms, THREADS, bytes, cuda->stream>>>(task, reduce);
    return cuda_launched(cuda, "product_mma");
}

template int product_on_mma(struct cuda *, const struct task &, const struct reduce_best_two &);
template int product_on_mma(struct cuda *, const struct task &, const struct reduce_collect &);
template int product_on_mma(struct cuda *, const struct task &, const reduce_groups<true, false> &);
template int product_on_mma(struct cuda *, const struct task &, const reduce_groups<false, true> &);
template int product_on_mma(struct cuda *, const struct task &, const reduce_groups<true, true> &);
