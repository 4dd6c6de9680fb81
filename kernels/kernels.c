#include "kernels/kernels.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"
#include "kernels/cpu/product.h"

extern const struct backend_ops backend_cpu;
#ifdef WITH_CUDA
extern const struct backend_ops backend_cuda;

static const struct backend_ops *const backends[] = {&backend_cuda, &backend_cpu};
#else
static const struct backend_ops *const backends[] = {&backend_cpu};
#endif

const struct backend_ops *kernels_backend(int i)
{
    return i < (int)(sizeof backends / sizeof *backends) ? backends[i] : NULL;
}

int kernels_find(const struct backend_ops **out, const char *name)
{
    for (int i = 0; (*out = kernels_backend(i)); i++)
        if (strcmp((*out)->name, name) == 0) return 0;
    return fail(ERR_UNSUPPORTED, "backend %s: not in this build, which has cpu%s", name,
                kernels_backend(1) ? " and cuda" : "");
}

const char *kernels_blas_coretype(void)
{
    return product_coretype();
}

#ifdef WITH_CUDA
extern int kernels_cuda_gpus(struct kernels_gpu *out, int cap, char why[160]);
#endif

int kernels_gpus(struct kernels_gpu *out, int cap, char why[160])
{
#ifdef WITH_CUDA
    return kernels_cuda_gpus(out, cap, why);
#else
    (void)out, (void)cap;
    snprintf(why, 160, "this build has no CUDA");
    return 0;
#endif
}
