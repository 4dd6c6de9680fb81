/* Answers in shared memory, sorted by (distance, id). */
#ifndef IVF_BEST_CUH
#define IVF_BEST_CUH

#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/keys.cuh"

__device__ __forceinline__ bool best_before(float dist, vid id, float other, vid other_id)
{
    return dist < other || (dist == other && id < other_id);
}

/*
 * Sorts the first n, by the whole block: a bitonic network. Past n there is room to the next power of
 * two, which is filled with (+inf, the largest id).
 */
__device__ static inline void best_sort(float *dist, vid *ids, int n)
{
    int room = keys_room(n);

    for (int i = n + (int)threadIdx.x; i < room; i += (int)blockDim.x) {
        dist[i] = INFINITY;
        ids[i] = INT64_MAX;
    }
    for (int size = 2; size <= room; size *= 2)
        for (int step = size / 2; step; step /= 2) {
            __syncthreads();
            for (int pair = (int)threadIdx.x; pair < room / 2; pair += (int)blockDim.x) {
                int i = 2 * pair - (pair & (step - 1)), j = i + step;
                float a = dist[i], b = dist[j];
                vid a_id = ids[i], b_id = ids[j];

                if (best_before(b, b_id, a, a_id) != ((i & size) == 0)) continue;
                dist[i] = b, dist[j] = a;
                ids[i] = b_id, ids[j] = a_id;
            }
        }
    __syncthreads();
}

#endif
