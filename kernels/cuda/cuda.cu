/*
 * The CUDA backend: its device, memory and time. Steps are files of their own.
 *
 * All kernels go to one stream and all host-to-device copies of base vectors to another, so that
 * order needs no thought within a step, and copies hide behind work. A step of the contract waits
 * at its end, lists_add alone does not.
 */
#include "kernels/cuda/cuda.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "engine/base/mem.h"
#include "engine/base/thread.h"
#include "kernels/cuda/assign.h"
#include "kernels/cuda/codes.h"
#include "kernels/cuda/means.h"
#include "kernels/cuda/ring.h"

extern "C" const struct backend_ops backend_cuda;

int cuda_check(cudaError_t err, const char *call)
{
    if (err == cudaSuccess) return 0;
    if (err == cudaErrorMemoryAllocation) {
        cudaGetLastError(); /* it is not sticky: the context is whole */
        return fail(ERR_NOMEM, "the GPU has no room left: %.60s", call);
    }
    return fail(ERR_DEVICE, "CUDA: %s (%s) at %.60s", cudaGetErrorString(err),
                cudaGetErrorName(err), call);
}

int cuda_launched(struct cuda *cuda, const char *kernel)
{
    static const char *sync = getenv("KERNELS_SYNC");
    cudaError_t err = cudaGetLastError();

    if (err == cudaSuccess && sync) err = cudaStreamSynchronize(cuda->stream);
    return cuda_check(err, kernel);
}

/* ---- memory ---- */

int cuda_malloc(struct cuda *cuda, void **out, size_t bytes)
{
    int rc;

    if ((rc = CU(cudaMalloc(out, bytes ? bytes : 1))) < 0)
        return rc == ERR_NOMEM
                   ? fail(rc, "the GPU has no room for %.1f MiB more beside the %.1f MiB held",
                          (double)bytes / (1 << 20), (double)cuda->held / (1 << 20))
                   : rc;
    cuda->held += bytes;
    if (cuda->held > cuda->peak) cuda->peak = cuda->held;
    return 0;
}

void cuda_free(struct cuda *cuda, void *d_ptr, size_t bytes)
{
    if (!d_ptr) return;
    cudaFree(d_ptr);
    cuda->held -= bytes;
}

int cuda_scratch(struct cuda *cuda, size_t bytes, char **d_out)
{
    void *d_new;
    int rc;

    if (bytes > cuda->scratch_bytes) {
        cuda_free(cuda, cuda->d_scratch, cuda->scratch_bytes); /* waits for the device */
        cuda->d_scratch = NULL;
        cuda->scratch_bytes = 0;
        if ((rc = cuda_malloc(cuda, &d_new, bytes)) < 0) return rc;
        cuda->d_scratch = (char *)d_new;
        cuda->scratch_bytes = bytes;
    }
    *d_out = cuda->d_scratch;
    return 0;
}

static int cuda_alloc(struct backend *b, struct buf *out, size_t bytes)
{
    struct cuda *cuda = cuda_of(b);
    int rc;

    if ((rc = cuda_malloc(cuda, &out->ptr, bytes)) < 0) return rc;
    out->bytes = bytes;
    return CU(cudaMemsetAsync(out->ptr, 0, bytes, cuda->stream));
}

static void cuda_release(struct backend *b, struct buf *buf)
{
    cuda_free(cuda_of(b), buf->ptr, buf->bytes);
    *buf = {};
}

/* Through the ring: pageable memory copied by the runtime alone moves at a fraction of the bus. */
static int cuda_upload(struct backend *b, struct buf dst, size_t at, const void *src, size_t bytes)
{
    struct cuda *cuda = cuda_of(b);
    const void *d_slot;
    int rc;

    for (size_t done = 0, part; done < bytes; done += part) {
        part = bytes - done < RING_SLOT_BYTES ? bytes - done : RING_SLOT_BYTES;
        if ((rc = ring_send(cuda, (const char *)src + done, part, &d_slot)) < 0) return rc;
        if ((rc = CU(cudaMemcpyAsync((char *)dst.ptr + at + done, d_slot, part,
                                     cudaMemcpyDeviceToDevice, cuda->stream))) < 0)
            return rc;
        if ((rc = ring_done(cuda)) < 0) return rc;
    }
    return 0; /* what is in the ring arrives before any step looks at it: one stream */
}

static int cuda_download(struct backend *b, void *dst, struct buf src, size_t at, size_t bytes)
{
    struct cuda *cuda = cuda_of(b);
    int rc;

    if ((rc = CU(cudaMemcpyAsync(dst, (const char *)src.ptr + at, bytes, cudaMemcpyDeviceToHost,
                                 cuda->stream))) < 0)
        return rc;
    return CU(cudaStreamSynchronize(cuda->stream));
}

static int cuda_peak_bytes(struct backend *b, size_t *bytes)
{
    struct cuda *cuda = cuda_of(b);

    *bytes = cuda->peak;
    cuda->peak = cuda->held;
    return 0;
}

static size_t cuda_host_bytes(void)
{
    return RING_BYTES;
}

/* The scratch of whichever step needs most, and the ring, through which the rows come. */
size_t cuda_train_bytes(int d, int64_t nlist, int m, int64_t rows, int threads)
{
    size_t most = assign_once_scratch(nlist, d, rows), means = means_scratch(rows, nlist);
    size_t codes = m ? codes_scratch(rows, m) : 0;

    (void)threads;
    if (means > most) most = means;
    if (codes > most) most = codes;
    return most + RING_BYTES;
}

/* ---- time ---- */

int cuda_start(struct cuda *cuda)
{
    return CU(cudaEventRecord(cuda->begin, cuda->stream));
}

int cuda_finish(struct cuda *cuda, int rc)
{
    float ms = 0;
    int after;

    if (rc == ERR_DEVICE) return rc;
    /* after another failure too: nothing may be left running on what the caller will free */
    if ((after = CU(cudaEventRecord(cuda->end, cuda->stream))) < 0) return after;
    if ((after = CU(cudaEventSynchronize(cuda->end))) < 0) return after;
    if ((after = CU(cudaEventElapsedTime(&ms, cuda->begin, cuda->end))) < 0) return after;
    cuda->device_ns += (int64_t)(ms * 1e6);
    return rc;
}

static int cuda_device_ns(struct backend *b, int64_t *ns)
{
    struct cuda *cuda = cuda_of(b);

    *ns = cuda->device_ns;
    cuda->device_ns = 0;
    return 0;
}

/* ---- the device ---- */

struct code {
    int wgmma, chains;
};

__global__ static void tell_code(struct code *out)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    out->wgmma = 1;
#else
    out->wgmma = 0;
#endif
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    out->chains = 1;
#else
    out->chains = 0;
#endif
}

/* Which of the binary's code the driver loaded: the device alone does not say what was compiled for it. */
static int ask_code(struct cuda *cuda)
{
    struct code code;
    char *d_out;
    int rc;

    if ((rc = cuda_scratch(cuda, 256, &d_out)) < 0) return rc;
    tell_code<<<1, 1, 0, cuda->stream>>>((struct code *)d_out);
    if ((rc = cuda_launched(cuda, "tell_code")) < 0) return rc;
    if ((rc = CU(
             cudaMemcpyAsync(&code, d_out, sizeof code, cudaMemcpyDeviceToHost, cuda->stream))) < 0)
        return rc;
    if ((rc = CU(cudaStreamSynchronize(cuda->stream))) < 0) return rc;
    cuda->wgmma = code.wgmma;
    cuda->chains = code.chains;
    return 0;
}

static void cuda_close(struct backend *b)
{
    struct cuda *cuda = cuda_of(b);

    if (!b) return;
    ring_free(cuda);
    cuda_free(cuda, cuda->d_scratch, cuda->scratch_bytes);
    if (cuda->begin) cudaEventDestroy(cuda->begin);
    if (cuda->end) cudaEventDestroy(cuda->end);
    if (cuda->copy) cudaStreamDestroy(cuda->copy);
    if (cuda->stream) cudaStreamDestroy(cuda->stream);
    mem_free(cuda);
}

static int open_device(struct cuda *cuda)
{
    int rc;

    if ((rc = CU(cudaSetDevice(cuda->device))) < 0) return rc;
    if ((rc = CU(
             cudaDeviceGetAttribute(&cuda->sms, cudaDevAttrMultiProcessorCount, cuda->device))) < 0)
        return rc;
    if ((rc = CU(cudaDeviceGetAttribute(&cuda->shared_max, cudaDevAttrMaxSharedMemoryPerBlockOptin,
                                        cuda->device))) < 0)
        return rc;
    if ((rc = CU(cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking))) < 0) return rc;
    if ((rc = CU(cudaStreamCreateWithFlags(&cuda->copy, cudaStreamNonBlocking))) < 0) return rc;
    if ((rc = CU(cudaEventCreate(&cuda->begin))) < 0) return rc;
    if ((rc = CU(cudaEventCreate(&cuda->end))) < 0) return rc;
    return ask_code(cuda);
}

static int cuda_open(struct backend **out, int device, int threads)
{
    struct cuda *cuda;
    int count = 0, rc;
    cudaError_t err = cudaGetDeviceCount(&count);

    if (err != cudaSuccess)
        return fail(ERR_UNSUPPORTED, "backend cuda: %s", cudaGetErrorString(err));
    if (device < 0 || device >= count)
        return fail(ERR_UNSUPPORTED, "backend cuda: there is no device %d, the driver shows %d",
                    device, count);
    if (!(cuda = (struct cuda *)mem_new(1, sizeof *cuda))) return ERR_NOMEM;
    cuda->base.ops = &backend_cuda;
    cuda->device = device;
    cuda->threads = threads > 0 ? threads : thread_count();
    if ((rc = open_device(cuda)) < 0) {
        cuda_close(&cuda->base);
        return rc;
    }
    *out = &cuda->base;
    return 0;
}

static void cuda_info(struct backend *b, struct backend_info *out)
{
    cudaDeviceProp prop;

    *out = (struct backend_info){"CUDA device", cuda_of(b)->threads, 0};
    if (cudaGetDeviceProperties(&prop, cuda_of(b)->device) != cudaSuccess) return;
    snprintf(out->name, sizeof out->name, "%.95s", prop.name);
    out->memory_bytes = prop.totalGlobalMem;
}

const struct backend_ops backend_cuda = {
    .name = "cuda",
    .open = cuda_open,
    .close = cuda_close,
    .info = cuda_info,
    .alloc = cuda_alloc,
    .release = cuda_release,
    .upload = cuda_upload,
    .download = cuda_download,
    .device_ns = cuda_device_ns,
    .peak_bytes = cuda_peak_bytes,
    .synthesize = cuda_synthesize,
    .finite = cuda_finite,
    .gather = cuda_gather,
    .transform = cuda_transform,
    .assign = cuda_assign,
    .means = cuda_means,
    .residuals = cuda_residuals,
    .encode = cuda_encode,
    .code_means = cuda_code_means,
    .knn = cuda_knn,
    .lists_create = cuda_lists_create,
    .lists_free = cuda_lists_free,
    .lists_passes = cuda_lists_passes,
    .lists_add = cuda_lists_add,
    .lists_end_pass = cuda_lists_end_pass,
    .lists_sizes = cuda_lists_sizes,
    .lists_reserve = cuda_lists_reserve,
    .lists_search = cuda_lists_search,
    .lists_bytes = cuda_lists_bytes,
    .fill_bytes = cuda_fill_bytes,
    .train_bytes = cuda_train_bytes,
    .knn_bytes = cuda_knn_bytes,
    .search_bytes = cuda_search_bytes,
    .host_bytes = cuda_host_bytes,
};
