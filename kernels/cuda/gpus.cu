/*
 * What CUDA devices this machine shows. cudart is linked statically and finds the driver at run
 * time, so that one binary runs with and without a GPU.
 */
#include <cstdio>
#include <cuda_runtime.h>

#include "kernels/kernels.h"

extern "C" int kernels_cuda_gpus(struct kernels_gpu *out, int cap, char why[160])
{
    int count = 0;
    cudaError_t err = cudaGetDeviceCount(&count);

    why[0] = '\0';
    if (err != cudaSuccess || count == 0) {
        snprintf(why, 160, "%s",
                 err == cudaSuccess ? "the driver shows no device" : cudaGetErrorString(err));
        return 0;
    }
    for (int i = 0; i < count && i < cap; i++) {
        cudaDeviceProp prop;

        if (cudaGetDeviceProperties(&prop, i) != cudaSuccess) return i;
        snprintf(out[i].name, sizeof out[i].name, "%.95s", prop.name);
        out[i].cc_major = prop.major;
        out[i].cc_minor = prop.minor;
        out[i].sms = prop.multiProcessorCount;
        out[i].memory_bytes = prop.totalGlobalMem;
    }
    return count;
}
