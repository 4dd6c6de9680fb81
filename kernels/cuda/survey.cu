#include "kernels/cuda/survey.h"

#include <cmath>

#include "kernels/cuda/exact.cuh"

enum { THREADS = 256 };

/* What a storage type can hold. */
struct holding {
    float min, max;
    int whole;
    const char *words;
};

static const struct holding holdings[] = {
    {-INFINITY, INFINITY, 0, ""                              },
    {-65504,    65504,    0, "values from -65504 to 65504"   },
    {0,         255,      1, "whole numbers from 0 to 255"   },
    {-128,      127,      1, "whole numbers from -128 to 127"},
};

/*
 * A warp per row, whose lanes stride over its elements: reads each once. A row that is not finite
 * counts as that alone; misfits are so few that the atomic is nobody's bottleneck.
 */
static __global__ void find_misfits(enum elem elem, const void *x, int64_t rows, int d, float min,
                                    float max, bool whole, vid first, misfit *out)
{
    int lane = (int)(threadIdx.x % 32);
    int64_t warps = (int64_t)gridDim.x * blockDim.x / 32;
    int64_t row = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / 32;

    for (; row < rows; row += warps) {
        bool finite = true, held = true;

        for (int j = lane; j < d; j += 32) {
            float v = exact_elem(elem, x, row * d + j);

            finite = finite && isfinite(v);
            held = held && v >= min && v <= max && (!whole || v == truncf(v));
        }
        finite = __all_sync(WARP_ALL, finite);
        held = __all_sync(WARP_ALL, held);
        if (lane == 0 && !(finite && held))
            atomicMin(out, (misfit)(first + row) * 2 + (finite ? 1 : 0));
    }
}

/* Whether every element of that type is finite and held as it is, so that nobody need look. */
static bool always_fits(enum elem elem, int kept, enum elem storage)
{
    if (elem == ELEM_F32 || elem == ELEM_F16) return false;
    return !kept || storage == elem || storage == ELEM_F32 || storage == ELEM_F16;
}

int survey_rows(struct cuda *cuda, const struct mat *x, int kept, enum elem storage, vid first,
                misfit *d_first)
{
    const struct holding *h = holdings + (kept && storage != x->elem ? storage : ELEM_F32);

    if (always_fits(x->elem, kept, storage)) return 0;
    find_misfits<<<cuda_grid(cuda, x->rows * 32, THREADS), THREADS, 0, cuda->stream>>>(
        x->elem, x->data.ptr, x->rows, x->d, h->min, h->max, h->whole, first, d_first);
    return cuda_launched(cuda, "find_misfits");
}

int survey_verdict(misfit first, enum elem storage)
{
    long long id = (long long)(first / 2);

    if (first == NO_MISFIT) return 0;
    if (first % 2 == 0) return fail(ERR_FORMAT, "base vector %lld holds a NaN or an infinity", id);
    return fail(ERR_FORMAT, "storage %s cannot hold base vector %lld: it is for %s; use f32",
                elem_name(storage), id, holdings[storage].words);
}

/* A thread per element. */
static __global__ void store(enum elem elem, const void *x, int64_t n, enum elem storage, void *out)
{
    int64_t step = (int64_t)gridDim.x * blockDim.x;

    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        float v = exact_elem(elem, x, i);

        switch (storage) {
        case ELEM_F32:
            ((float *)out)[i] = v;
            break;
        case ELEM_F16:
            ((__half *)out)[i] = __float2half_rn(v);
            break;
        case ELEM_U8:
            ((uint8_t *)out)[i] = (uint8_t)(int32_t)v;
            break;
        case ELEM_I8:
            ((int8_t *)out)[i] = (int8_t)(int32_t)v;
            break;
        }
    }
}

int survey_store(struct cuda *cuda, const struct mat *x, enum elem storage, void *d_out)
{
    int64_t n = x->rows * x->d;

    store<<<cuda_grid(cuda, n, THREADS), THREADS, 0, cuda->stream>>>(x->elem, x->data.ptr, n,
                                                                     storage, d_out);
    return cuda_launched(cuda, "store");
}
