/*
 * The CPU backend: OpenMP threads over tiles, OpenBLAS for products, exact distances to decide.
 * It is the engine of a machine without a GPU, and the oracle of every CUDA step.
 */
#include "kernels/cpu/cpu.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/base/thread.h"
#include "kernels/cpu/product.h"

extern const struct backend_ops backend_cpu;

static void cpu_close(struct backend *b)
{
    if (!b) return;
    mem_free(cpu_of(b)->scratch);
    mem_free(b);
}

static int cpu_open(struct backend **out, int device, int threads)
{
    struct cpu *cpu;
    int rc;

    if (device != 0) return fail(ERR_UNSUPPORTED, "backend cpu: there is no device %d", device);
    if ((rc = product_open()) < 0) return rc;
    if (!(cpu = mem_new(1, sizeof *cpu))) return ERR_NOMEM;
    cpu->base.ops = &backend_cpu;
    cpu->threads = threads > 0 ? threads : thread_count();
    *out = &cpu->base;
    return 0;
}

static void cpu_info(struct backend *b, struct backend_info *out)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");

    *out = (struct backend_info){.name = "CPU", .threads = cpu_of(b)->threads};
    out->memory_bytes = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGE_SIZE);
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "model name : %95[^\n]", out->name) == 1) break;
    if (f) fclose(f);
}

int cpu_scratch(struct cpu *cpu, size_t bytes)
{
    size_t each = (bytes + 63) / 64 * 64;
    char *scratch;

    if (each <= cpu->scratch_each) return 0;
    /* the old one stands until there is a new one: lists reserved before count on it */
    if (!(scratch = mem_new(cpu->threads, each))) return ERR_NOMEM;
    mem_free(cpu->scratch);
    cpu->scratch = scratch;
    cpu->scratch_each = each;
    return 0;
}

void *cpu_region(const struct cpu *cpu)
{
    return cpu->scratch + (size_t)omp_get_thread_num() * cpu->scratch_each;
}

/* ---- memory: the device's is the host's ---- */

static int cpu_alloc(struct backend *b, struct buf *out, size_t bytes)
{
    (void)b;
    if (!(out->ptr = mem_new((int64_t)bytes, 1))) return ERR_NOMEM;
    out->bytes = bytes;
    return 0;
}

static void cpu_release(struct backend *b, struct buf *buf)
{
    (void)b;
    mem_free(buf->ptr);
    *buf = (struct buf){0};
}

static int cpu_upload(struct backend *b, struct buf dst, size_t at, const void *src, size_t bytes)
{
    (void)b;
    memcpy((char *)dst.ptr + at, src, bytes);
    return 0;
}

static int cpu_download(struct backend *b, void *dst, struct buf src, size_t at, size_t bytes)
{
    (void)b;
    memcpy(dst, (const char *)src.ptr + at, bytes);
    return 0;
}

const struct backend_ops backend_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .info = cpu_info,
    .alloc = cpu_alloc,
    .release = cpu_release,
    .upload = cpu_upload,
    .download = cpu_download,
    .finite = cpu_finite,
    .gather = cpu_gather,
    .transform = cpu_transform,
    .assign = cpu_assign,
    .means = cpu_means,
    .residuals = cpu_residuals,
    .encode = cpu_encode,
    .code_means = cpu_code_means,
    .knn = cpu_knn,
    .lists_create = cpu_lists_create,
    .lists_free = cpu_lists_free,
    .lists_passes = cpu_lists_passes,
    .lists_add = cpu_lists_add,
    .lists_end_pass = cpu_lists_end_pass,
    .lists_sizes = cpu_lists_sizes,
    .lists_bytes = cpu_lists_bytes,
    .fill_bytes = cpu_fill_bytes,
    .train_bytes = cpu_train_bytes,
    .knn_bytes = cpu_knn_bytes,
    .lists_reserve = cpu_lists_reserve,
    .lists_search = cpu_lists_search,
    .search_bytes = cpu_search_bytes,
};
