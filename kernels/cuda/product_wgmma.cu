/*
 * The product on Hopper, for depths up to 128.
 *
 * Block   3 warpgroups, one block a multiprocessor. The first brings tiles of columns into shared
 *         memory, 6 to 8 ahead; each of the others has 128 rows in registers, as fp16 operands, and
 *         multiplies them by each tile as two sets of 64 rows: while the tensor cores do one set,
 *         the other is reduced.
 *         What the stages leave of shared memory is the reducers', some 3.8 KB a warp.
 * Bytes   A tile is depth * 256 bytes out of the L2 for 2 * 256 * 128 * depth operations; rows once.
 * Bound   The tensor cores: 4096 operations a clock and multiprocessor. The reduction takes a
 *         quarter of the issue slots beside them at depth 128, half of them at 64.
 * Tried   (in the prototype) clusters with multicast: slower, 655 against 733 TFLOP/s; A operands
 *         out of shared memory; four warpgroups with 64 rows each: faster at depth <= 64 only.
 *
 * Norms are read by ordinary loads from what a bulk copy, which is of another proxy, will overwrite,
 * and the machine code gives a stage back while the last of them are on their way: so a warp fences
 * first. Without that some ten rows in a million, at nlist 4096 and depth 128, came out with the score
 * of another tile's norm.
 *
 * ptxas serialises the products where a group of them is in flight across the back edge of a loop,
 * and says so (C7510): hence TILE_STEP tiles a turn, after which the pipeline runs empty.
 */
#include "kernels/cuda/product.cuh"
#include "kernels/cuda/wgmma.cuh"

enum { THREADS = 384, REDUCERS = 8 }; /* REDUCERS: warps */
enum { SHARED_BYTES = 227 * 1024, BARRIER_BYTES = 1024, MAX_STAGES = 8 };

/* The pipeline of tiles: norms follow a tile's image. */
template <int STEPS> struct pipeline {
    static constexpr int image_bytes = STEPS * 16 * TILE_COLS * 2;
    static constexpr int stage_bytes = image_bytes + TILE_COLS * 4;
    static constexpr int fit = (SHARED_BYTES - BARRIER_BYTES) / stage_bytes;
    static constexpr int stages = fit < MAX_STAGES ? fit : MAX_STAGES;
    static constexpr int bytes = stages * stage_bytes;
};

/* A place in the ring of stages; the phase of its barriers turns with each round. */
template <int STAGES> struct place {
    int stage, phase;

    __device__ __forceinline__ void next()
    {
        if (++stage == STAGES) {
            stage = 0;
            phase ^= 1;
        }
    }
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

template <int STEPS>
__device__ __forceinline__ void bring_tiles(const struct task &t, uint32_t smem, uint32_t full,
                                            uint32_t empty)
{
    using P = pipeline<STEPS>;
    struct work w(t);
    place<P::stages> at = {0, 1};

    for (int64_t unit = blockIdx.x; unit < w.units; unit += gridDim.x) {
        for (int tile = w.first_tile(unit, t.tiles); tile < w.end_tile(unit, t.tiles); tile++) {
            uint32_t to = smem + at.stage * P::stage_bytes;

            barrier_wait(empty + 8 * at.stage, at.phase);
            barrier_expect(full + 8 * at.stage, P::stage_bytes);
            bulk_copy(to, t.d_image + (int64_t)tile * (P::image_bytes / 2), P::image_bytes,
                      full + 8 * at.stage);
            bulk_copy(to + P::image_bytes, t.d_norm + (int64_t)tile * TILE_COLS, TILE_COLS * 4,
                      full + 8 * at.stage);
            at.next();
        }
    }
}

/* Operands of two sets of 64 rows: a thread has rows row, row + 8 of each. */
template <int STEPS>
__device__ __forceinline__ void load_rows(const struct task &t, const struct work &w, int64_t row,
                                          uint32_t (&a)[2][STEPS][4])
{
#pragma unroll
    for (int set = 0; set < 2; set++) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const uint4 *x =
                (const uint4 *)task_row(t, w, row + 64 * set + 8 * r) + threadIdx.x % 4;

#pragma unroll
            for (int s = 0; s < STEPS; s += 2) {
                uint4 v = __ldg(x + 2 * s);

                a[set][s][r] = v.x;
                a[set][s][2 + r] = v.y;
                a[set][s + 1][r] = v.z;
                a[set][s + 1][2 + r] = v.w;
            }
        }
    }
}

/* The products of one set with the tile in a stage, as one group. */
template <int STEPS>
__device__ __forceinline__ void multiply(float (&acc)[64], const uint32_t (&a)[STEPS][4],
                                         uint32_t stage)
{
    /* no swizzle; 2048 bytes from one 8 of depth to the next, 128 from 8 columns to the next */
    uint64_t desc = (uint64_t)((stage >> 4 & 0x3fff) | 2048 >> 4 << 16) | (uint64_t)(128 >> 4)
                                                                              << 32;

    wgmma_fence();
#pragma unroll
    for (int s = 0; s < STEPS; s++)
        wgmma_n128(acc, a[s], desc + (uint64_t)(s * 2 * 2048 >> 4), s == 0);
    wgmma_commit();
}

template <int STEPS, class Reduce>
__device__ __forceinline__ void reduce_rows(const struct task &t, const Reduce &reduce,
                                            char *stages, uint32_t full, uint32_t empty)
{
    using P = pipeline<STEPS>;
    struct work w(t);
    place<P::stages> at = {0, 0};
    uint32_t smem = shared_address(stages);
    int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32 - 4);
    int in_tile = warp / 4 * 128 + warp % 4 * 16 + lane / 4;
    char *room = stages + P::bytes + warp * Reduce::shared_bytes;
    float acc0[64], acc1[64];

    if constexpr (Reduce::shared_bytes > 0) reduce.start(room);
    for (int64_t unit = blockIdx.x; unit < w.units; unit += gridDim.x) {
        int64_t row = w.first_row(unit) + in_tile;
        uint32_t a[2][STEPS][4];
        typename Reduce::state state0, state1;

        load_rows<STEPS>(t, w, row, a);
        reduce.begin(state0, row, w.n, 0, room);
        reduce.begin(state1, row + 64, w.n, 1, room);
        for (int tile0 = w.first_tile(unit, t.tiles); tile0 < w.end_tile(unit, t.tiles);
             tile0 += TILE_STEP) {
            barrier_wait(full + 8 * at.stage, at.phase);
            multiply<STEPS>(acc0, a[0], smem + at.stage * P::stage_bytes);
            multiply<STEPS>(acc1, a[1], smem + at.stage * P::stage_bytes);
#pragma unroll
            for (int u = 0; u < TILE_STEP; u++) {
                const char *stage = stages + at.stage * P::stage_bytes;
                const float2 *norm = (const float2 *)(stage + P::image_bytes) + lane % 4;
                place<P::stages> after = at;

                after.next();
                wgmma_wait<1>();
                wgmma_landed(acc0);
                reduce.tile(state0, acc0, norm, tile0 + u);
                __syncwarp(); /* products are whole warps' instructions, reducers may branch */
                if (u + 1 < TILE_STEP) {
                    barrier_wait(full + 8 * after.stage, after.phase);
                    multiply<STEPS>(acc0, a[0], smem + after.stage * P::stage_bytes);
                    wgmma_wait<1>();
                } else {
                    wgmma_wait<0>();
                }
                wgmma_landed(acc1);
                reduce.tile(state1, acc1, norm, tile0 + u);
                async_fence();
                __syncwarp();
                if (lane == 0) barrier_arrive(empty + 8 * at.stage);
                if (u + 1 < TILE_STEP)
                    multiply<STEPS>(acc1, a[1], smem + after.stage * P::stage_bytes);
                at = after;
            }
        }
        reduce.end(state0, row, w.n, w.split(unit));
        reduce.end(state1, row + 64, w.n, w.split(unit));
        __syncwarp();
    }
    if constexpr (Reduce::shared_bytes > 0) reduce.finish(room);
}

#endif

template <int STEPS, class Reduce>
__global__ static void __launch_bounds__(THREADS, 1)
    product_wgmma(__grid_constant__ const struct task t, __grid_constant__ const Reduce reduce)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(1024) char stages[];
    __shared__ __align__(8) uint64_t full[MAX_STAGES], empty[MAX_STAGES];

    if (threadIdx.x == 0) {
        for (int i = 0; i < pipeline<STEPS>::stages; i++) {
            barrier_init(shared_address(full + i), 1);
            barrier_init(shared_address(empty + i), REDUCERS);
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    if (threadIdx.x < 128) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
        if (threadIdx.x == 0)
            bring_tiles<STEPS>(t, shared_address(stages), shared_address(full),
                               shared_address(empty));
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
        reduce_rows<STEPS>(t, reduce, stages, shared_address(full), shared_address(empty));
    }
#else
    (void)t, (void)reduce; /* cuda->wgmma is 0: nobody calls this */
#endif
}

template <int STEPS, class Reduce>
static int launch(struct cuda *cuda, const struct task &task, const Reduce &reduce)
{
    auto kernel = product_wgmma<STEPS, Reduce>;
    constexpr int bytes = pipeline<STEPS>::bytes + REDUCERS * Reduce::shared_bytes;
    int rc;

    static_assert(bytes + BARRIER_BYTES <= SHARED_BYTES, "the tiles leave the reducers no room");
    if ((rc = CU(
             cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes))) < 0)
        return rc;
    kernel<<<cuda->sms, THREADS, bytes, cuda->stream>>>(task, reduce);
    return cuda_launched(cuda, "product_wgmma");
}

template <class Reduce>
int product_on_wgmma(struct cuda *cuda, const struct task &task, const Reduce &reduce)
{
    switch (task.depth) {
    case 32:
        return launch<2>(cuda, task, reduce);
    case 64:
        return launch<4>(cuda, task, reduce);
    case 96:
        return launch<6>(cuda, task, reduce);
    default:
        return launch<8>(cuda, task, reduce);
    }
}

template int product_on_wgmma(struct cuda *, const struct task &, const struct reduce_best_two &);
template int product_on_wgmma(struct cuda *, const struct task &, const struct reduce_collect &);
template int product_on_wgmma(struct cuda *, const struct task &,
                              const reduce_groups<true, false> &);
template int product_on_wgmma(struct cuda *, const struct task &,
                              const reduce_groups<false, true> &);
template int product_on_wgmma(struct cuda *, const struct task &,
                              const reduce_groups<true, true> &);
