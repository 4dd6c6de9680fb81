/*
 * Kernels of the stream that start before the one ahead of them has ended, on devices that can do that (9.0 and
 * later): what starting a kernel takes, and what it does before it waits, hides behind the other's work.
 *
 * Every block of such a kernel calls chain_wait() before it reads what kernels before it write, and before it writes
 * what they read; so one that has ended has all before it behind itself, and no kernel started as usual need know
 * of this. chain_next(), called by all blocks, lets the next one start if it is of the chain; without it that is when
 * they have ended. What a kernel does before chain_wait() may run beside those ahead as far back as each lets its
 * next one start before its own wait. Both do nothing where the device or the launch has no use for them.
 */
#ifndef IVF_CUDA_CHAIN_CUH
#define IVF_CUDA_CHAIN_CUH

#include "kernels/cuda/cuda.h"

/* For cudaLaunchKernelEx; *early must live until that. */
static inline cudaLaunchConfig_t chain_config(const struct cuda *cuda, dim3 grid, unsigned threads,
                                              size_t shared_bytes, cudaLaunchAttribute *early)
{
    cudaLaunchConfig_t config = {};

    *early = {};
    early->id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early->val.programmaticStreamSerializationAllowed = 1;
    config.gridDim = grid;
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared_bytes;
    config.stream = cuda->stream;
    config.attrs = early;
    config.numAttrs = cuda->chains ? 1 : 0;
    return config;
}

/* Starts a kernel of the chain; as `<<<grid, threads, shared_bytes>>>` otherwise. */
template <class... Params, class... Args>
static inline int chain_launch(struct cuda *cuda, const char *name, void (*kernel)(Params...),
                               dim3 grid, unsigned threads, size_t shared_bytes,
                               const Args &...args)
{
    cudaLaunchAttribute early;
    cudaLaunchConfig_t config = chain_config(cuda, grid, threads, shared_bytes, &early);
    int rc = CU(cudaLaunchKernelEx(&config, kernel, Params(args)...));

    return rc < 0 ? rc : cuda_launched(cuda, name);
}

__device__ __forceinline__ void chain_wait(void)
{
#if __CUDA_ARCH__ >= 900
    cudaGridDependencySynchronize();
#endif
}

__device__ __forceinline__ void chain_next(void)
{
#if __CUDA_ARCH__ >= 900
    cudaTriggerProgrammaticLaunchCompletion();
#endif
}

/* Of a kernel that does nothing before it waits. */
__device__ __forceinline__ void chain_begin(void)
{
    chain_wait();
    chain_next();
}

#endif
