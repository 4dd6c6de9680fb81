/* The backends of this build, best first. The only file that knows which exist is kernels.c. */
#ifndef IVF_KERNELS_H
#define IVF_KERNELS_H

#include "engine/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The ith backend's table, NULL past the last. */
const struct backend_ops *kernels_backend(int i);

/* By name ("cpu", "cuda"); ERR_UNSUPPORTED says what this build has instead. */
int kernels_find(const struct backend_ops **out, const char *name);

/*
 * What OPENBLAS_CORETYPE a process that is to compute should be started with; NULL: leave it as
 * it is (kernels/cpu/product.h says why).
 */
const char *kernels_blas_coretype(void);

/* Facts of a CUDA device of this machine. */
struct kernels_gpu {
    char name[96];
    char uuid[48]; /* "GPU-8c2e...", as NVML has it */
    char pci[24];  /* "00000000:3B:00.0", the board it is on */
    int cc_major, cc_minor, sms;
    size_t memory_bytes;
};

/*
 * How many CUDA devices the driver shows; out gets the first cap of them. 0 with why[] filled
 * (no driver, no device, a build without CUDA) is no failure: it is the answer. Opens none of
 * them: a process that asks holds no memory on a device.
 */
int kernels_gpus(struct kernels_gpu *out, int cap, char why[160]);

#ifdef __cplusplus
}
#endif
#endif
