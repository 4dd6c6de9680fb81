#include "kernels/cuda/sort.h"

#include <cub/device/device_radix_sort.cuh>

cudaError_t sort_pairs(void *d_temp, size_t *temp_bytes, uint32_t *const d_key[2],
                       uint32_t *const d_value[2], int64_t n, int bits, int *at,
                       cudaStream_t stream)
{
    cub::DoubleBuffer<uint32_t> key(d_key[0], d_key[1]), value(d_value[0], d_value[1]);
    cudaError_t err =
        cub::DeviceRadixSort::SortPairs(d_temp, *temp_bytes, key, value, n, 0, bits, stream);

    *at = key.selector; /* the values' is the same: both go through the same passes */
    return err;
}

/* 256 counts of 4 bytes a tile of the sort, which has 2,048 pairs or more; and what is fixed. */
size_t sort_temp_bytes(int64_t n)
{
    return ((size_t)n / 2048 + 256) * 1024;
}
