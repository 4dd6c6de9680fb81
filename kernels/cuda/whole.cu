#include "kernels/cuda/whole.h"

#include "kernels/cuda/chain.cuh"

enum { THREADS = 256, WARPS = THREADS / 32 };

void whole_room(struct whole *w, int64_t n, int d, struct room *r)
{
    w->d_square = room_take<int32_t>(r, n);
    w->d_x = room_take<uint8_t>(r, n * whole_pitch(d));
}

/* A warp a query, four dimensions a lane. least: of what a byte holds. */
__global__ static void pack_whole(const float *q, int64_t n, int d, int pitch, int least,
                                  const struct product_facts *space, struct whole w)
{
    chain_begin();
    int64_t query = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
    int lane = (int)(threadIdx.x % 32);
    /* where scaling is by more than this, e might lose bits to underflow */
    int is = space->scale >= 0x1p-40f && space->scale <= 0x1p40f;
    uint32_t word = 0, square = 0;

    if (query >= n) return;
    for (int i = 0; i < 4; i++) {
        float x = 4 * lane + i < d ? q[query * d + 4 * lane + i] : 0;
        int number = (int)x;

        is &= (float)number == x && number >= least && number <= least + 255;
        square += (unsigned)number * (unsigned)number;
        word |= (uint32_t)(number & 255) << 8 * i;
    }
    if (4 * lane < pitch) ((uint32_t *)(w.d_x + query * pitch))[lane] = word;
    square = __reduce_add_sync(0xffffffffu, square);
    if (!__all_sync(0xffffffffu, is)) *w.d_not = 1; /* whoever writes */
    if (lane == 0) w.d_square[query] = (int32_t)square;
}

int whole_make(struct cuda *cuda, const struct space *space, enum elem storage, const float *d_q,
               int64_t n, const struct whole *w)
{
    int least = storage == ELEM_I8 ? -128 : 0;
    unsigned blocks = (unsigned)((n + WARPS - 1) / WARPS);

    return chain_launch(cuda, "pack_whole", pack_whole, blocks, THREADS, 0, d_q, n, space->d,
                        whole_pitch(space->d), least, space->d_facts, *w);
}
