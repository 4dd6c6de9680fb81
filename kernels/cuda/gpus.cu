/*
 * What CUDA devices this machine shows. cudart is linked statically and finds the driver at run
 * time, so that one binary runs with and without a GPU.
 */
#include <cstdio>
#include <cuda_runtime.h>

#include "kernels/kernels.h"

/* As nvidia-smi writes it. */
static void write_uuid(const cudaUUID_t *uuid, char out[48])
{
    int at = snprintf(out, 48, "GPU");

    for (int i = 0; i < 16; i++)
        at += snprintf(out + at, (size_t)(48 - at), "%s%02x",
                       i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                       (unsigned)(unsigned char)uuid->bytes[i]);
}

extern "C" int kernels_cuda_gpus(struct kernels_gpu *out, int cap, char why[160])
{
    int count = 0, version = 0;
    cudaError_t err = cudaGetDeviceCount(&count);

    why[0] = '\0';
    if (cudaDriverGetVersion(&version) == cudaSuccess && version == 0) {
        snprintf(why, 160, "there is no driver");
        return 0;
    }
    if (err != cudaSuccess || count == 0) {
        snprintf(why, 160, "%s",
                 err == cudaSuccess ? "the driver shows no device" : cudaGetErrorString(err));
        return 0;
    }
    for (int i = 0; i < count && i < cap; i++) {
        cudaDeviceProp prop;

        if ((err = cudaGetDeviceProperties(&prop, i)) != cudaSuccess) {
            snprintf(why, 160, "device %d: %s", i, cudaGetErrorString(err));
            return i;
        }
        snprintf(out[i].name, sizeof out[i].name, "%.95s", prop.name);
        write_uuid(&prop.uuid, out[i].uuid);
        snprintf(out[i].pci, sizeof out[i].pci, "%08X:%02X:%02X.0", (unsigned)prop.pciDomainID,
                 (unsigned)prop.pciBusID, (unsigned)prop.pciDeviceID);
        out[i].cc_major = prop.major;
        out[i].cc_minor = prop.minor;
        out[i].sms = prop.multiProcessorCount;
        out[i].memory_bytes = prop.totalGlobalMem;
    }
    return count;
}
