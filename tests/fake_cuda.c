#include "tests/fake_cuda.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "engine/base/fail.h"
#include "engine/synthetic.h"
#include "kernels/kernels.h"

extern const struct backend_ops backend_cpu;

/* ---- what the environment asks for ---- */

static long long number(const char *variable, long long otherwise)
{
    const char *value = getenv(variable);

    return value ? strtoll(value, NULL, 10) : otherwise;
}

static PRINTF_LIKE(1, 2) void note(const char *what, ...)
{
    const char *path = getenv("FAKE_CUDA_LOG");
    FILE *f = path ? fopen(path, "a") : NULL;
    va_list args;

    if (!f) return;
    va_start(args, what);
    vfprintf(f, what, args);
    va_end(args);
    fprintf(f, " %ld\n", (long)getpid());
    fclose(f);
}

/* 0, or what FAKE_CUDA_FAIL wants of a step at nprobe. */
static int fault(const char *step, int nprobe)
{
    const char *at = getenv("FAKE_CUDA_FAIL");

    for (; at && *at; at = strchr(at, ','), at = at ? at + 1 : NULL) {
        char word[16], how[16];
        int when;

        if (sscanf(at, " %15s %d %15[a-z]", word, &when, how) != 3 || strcmp(word, step) != 0)
            continue;
        if (when && when != nprobe) continue;
        if (strcmp(how, "nomem") == 0) return fail(ERR_NOMEM, "the GPU has no room left: fake");
        return fail(ERR_DEVICE, "CUDA: an illegal memory access was encountered: fake");
    }
    return 0;
}

/* ---- memory and time, as if of a device ---- */

static size_t held, peak, lists_held, reserve_held;
static struct lists_desc made; /* the lists', without their transform */
static int64_t device_ns;

static void hold(size_t *what, size_t bytes)
{
    held = held - *what + bytes;
    *what = bytes;
    if (held > peak) peak = held;
}

static int fake_alloc(struct backend *b, struct buf *out, size_t bytes)
{
    size_t before = 0;
    int rc = backend_cpu.alloc(b, out, bytes);

    if (rc == 0) hold(&before, bytes);
    return rc;
}

static void fake_release(struct backend *b, struct buf *buf)
{
    held -= buf->bytes;
    backend_cpu.release(b, buf);
}

static int fake_device_ns(struct backend *b, int64_t *ns)
{
    (void)b;
    *ns = device_ns;
    device_ns = 0;
    return 0;
}

static int fake_peak_bytes(struct backend *b, size_t *bytes)
{
    (void)b;
    *bytes = peak;
    peak = held;
    return 0;
}

static size_t fake_host_bytes(void)
{
    return FAKE_CUDA_HOST_BYTES;
}

/* ---- the device ---- */

static void hang(void)
{
    for (;;)
        pause();
}

static int fake_open(struct backend **out, int device, int threads)
{
    int rc;

    if ((rc = fault("open", 0)) < 0) return rc;
    if ((rc = backend_cpu.open(out, device, threads)) < 0) return rc;
    (*out)->ops = &fake_cuda;
    note("open");
    if (getenv("FAKE_CUDA_FAIL") && strstr(getenv("FAKE_CUDA_FAIL"), "exit")) atexit(hang);
    return 0;
}

static void fake_close(struct backend *b)
{
    if (b) note("close");
    backend_cpu.close(b);
}

static void fake_info(struct backend *b, struct backend_info *out)
{
    (void)b;
    *out = (struct backend_info){.name = "Fake H200", .memory_bytes = 1};
}

/* ---- steps ---- */

static int fake_synthesize(struct backend *b, const struct synthetic *s, enum part part,
                           int64_t first, struct mat *out)
{
    (void)b;
    note("synthesize");
    synthetic_rows(s, part, first, out->rows, out->data.ptr);
    return 0;
}

static int timed(int64_t began, int rc)
{
    device_ns += clock_ns() - began + 1;
    return rc;
}

static int fake_means(struct backend *b, const struct mat *x, struct buf list, struct mat *c,
                      struct buf count)
{
    int64_t began = clock_ns();
    int rc;

    if ((rc = fault("train", 0)) < 0) return rc;
    return timed(began, backend_cpu.means(b, x, list, c, count));
}

static int fake_knn(struct backend *b, const struct block *x, const struct mat *q, int k,
                    struct buf dist, struct buf ids)
{
    int64_t began = clock_ns();

    return timed(began, backend_cpu.knn(b, x, q, k, dist, ids));
}

static int fake_lists_create(struct backend *b, struct lists **out, const struct lists_desc *desc,
                             const float *coarse, const float *books)
{
    int rc = backend_cpu.lists_create(b, out, desc, coarse, books);

    if (rc == 0) hold(&lists_held, backend_cpu.lists_bytes(desc));
    made = *desc;
    made.transform = NULL;
    return rc;
}

static void fake_lists_free(struct backend *b, struct lists *l)
{
    hold(&lists_held, 0);
    hold(&reserve_held, 0);
    backend_cpu.lists_free(b, l);
}

static int fake_lists_add(struct backend *b, struct lists *l, const struct block *x)
{
    int64_t began = clock_ns();
    int rc;

    if ((rc = fault("add", 0)) < 0) return rc;
    return timed(began, backend_cpu.lists_add(b, l, x));
}

/* Answers of a group of queries, smaller ones as fp16, and a float a vector. */
static size_t fake_search_bytes(const struct lists_desc *desc, const struct search_desc *s,
                                int threads)
{
    int64_t query = s->k * (s->float16 ? 10 : 12), fit = (int64_t)s->temp_bytes / query;
    int64_t group = s->temp_bytes && fit < s->nq ? fit : s->nq;

    (void)threads;
    return (size_t)((group < 1 ? 1 : group) * query) +
           (s->precomputed_tables ? (size_t)desc->n * sizeof(float) : 0);
}

static int fake_lists_reserve(struct backend *b, struct lists *l, const struct search_desc *s)
{
    int rc;

    note("reserve nq %lld k %d nprobe %d tables %d float16 %d temp %zu", (long long)s->nq, s->k,
         s->nprobe, s->precomputed_tables, s->float16, s->temp_bytes);
    if ((rc = fault("reserve", s->nprobe)) < 0) return rc;
    hold(&reserve_held, fake_search_bytes(&made, s, 0));
    return backend_cpu.lists_reserve(b, l, s);
}

static int fake_lists_search(struct backend *b, struct lists *l, const float *q, int64_t nq, int k,
                             int nprobe, float *dist, vid *ids)
{
    int64_t began = clock_ns();
    int rc;

    if ((rc = fault("search", nprobe)) < 0) return rc;
    return timed(began, backend_cpu.lists_search(b, l, q, nq, k, nprobe, dist, ids));
}

/* ---- steps that are the CPU's own ---- */

static int same_finite(struct backend *b, const struct mat *x, int64_t *row)
{
    return backend_cpu.finite(b, x, row);
}

static int same_gather(struct backend *b, const struct mat *x, const int64_t *rows, struct mat *out)
{
    return backend_cpu.gather(b, x, rows, out);
}

static int same_transform(struct backend *b, const struct mat *x, const struct transform *t,
                          struct mat *out)
{
    return backend_cpu.transform(b, x, t, out);
}

static int same_assign(struct backend *b, const struct mat *x, const struct mat *c, struct buf list,
                       double *total)
{
    return backend_cpu.assign(b, x, c, list, total);
}

static int same_residuals(struct backend *b, const struct mat *x, struct buf list,
                          const struct mat *c, struct mat *r)
{
    return backend_cpu.residuals(b, x, list, c, r);
}

static int same_encode(struct backend *b, const struct mat *r, int m, struct buf books,
                       struct buf code, struct buf err)
{
    return backend_cpu.encode(b, r, m, books, code, err);
}

static int same_code_means(struct backend *b, const struct mat *r, int m, struct buf code,
                           struct buf books, struct buf count)
{
    return backend_cpu.code_means(b, r, m, code, books, count);
}

static int same_upload(struct backend *b, struct buf dst, size_t at, const void *src, size_t bytes)
{
    return backend_cpu.upload(b, dst, at, src, bytes);
}

static int same_download(struct backend *b, void *dst, struct buf src, size_t at, size_t bytes)
{
    return backend_cpu.download(b, dst, src, at, bytes);
}

static int same_lists_passes(const struct lists *l)
{
    return backend_cpu.lists_passes(l);
}

static int same_lists_end_pass(struct backend *b, struct lists *l)
{
    return backend_cpu.lists_end_pass(b, l);
}

static int same_lists_sizes(struct backend *b, const struct lists *l, int64_t *size)
{
    return backend_cpu.lists_sizes(b, l, size);
}

static size_t same_lists_bytes(const struct lists_desc *desc)
{
    return backend_cpu.lists_bytes(desc);
}

/* ---- bytes: what is counted above, no more: the steps' own memory is not ---- */

static size_t fake_fill_bytes(const struct lists_desc *desc)
{
    (void)desc;
    return 0;
}

static size_t fake_train_bytes(int d, int64_t nlist, int m, int64_t rows, int threads)
{
    (void)d, (void)nlist, (void)m, (void)rows, (void)threads;
    return 0;
}

static size_t fake_knn_bytes(int d, int k, int threads)
{
    (void)d, (void)k, (void)threads;
    return 0;
}

const struct backend_ops fake_cuda = {
    .name = "cuda",
    .open = fake_open,
    .close = fake_close,
    .info = fake_info,
    .alloc = fake_alloc,
    .release = fake_release,
    .upload = same_upload,
    .download = same_download,
    .device_ns = fake_device_ns,
    .peak_bytes = fake_peak_bytes,
    .synthesize = fake_synthesize,
    .finite = same_finite,
    .gather = same_gather,
    .transform = same_transform,
    .assign = same_assign,
    .means = fake_means,
    .residuals = same_residuals,
    .encode = same_encode,
    .code_means = same_code_means,
    .knn = fake_knn,
    .lists_create = fake_lists_create,
    .lists_free = fake_lists_free,
    .lists_passes = same_lists_passes,
    .lists_add = fake_lists_add,
    .lists_end_pass = same_lists_end_pass,
    .lists_sizes = same_lists_sizes,
    .lists_reserve = fake_lists_reserve,
    .lists_search = fake_lists_search,
    .lists_bytes = same_lists_bytes,
    .fill_bytes = fake_fill_bytes,
    .train_bytes = fake_train_bytes,
    .knn_bytes = fake_knn_bytes,
    .search_bytes = fake_search_bytes,
    .host_bytes = fake_host_bytes,
};

/* ---- in place of kernels.c ---- */

const struct backend_ops *kernels_backend(int i)
{
    static const struct backend_ops *const backends[] = {&fake_cuda, &backend_cpu};

    return i < 2 ? backends[i] : NULL;
}

int kernels_find(const struct backend_ops **out, const char *name)
{
    for (int i = 0; (*out = kernels_backend(i)); i++)
        if (strcmp((*out)->name, name) == 0) return 0;
    return fail(ERR_UNSUPPORTED, "backend %s: not in this build", name);
}

const char *kernels_blas_coretype(void)
{
    return NULL;
}

int kernels_gpus(struct kernels_gpu *out, int cap, char why[160])
{
    int count = (int)number("FAKE_CUDA_GPUS", 1);

    snprintf(why, 160, "%s", count ? "" : "the driver shows no device (fake)");
    for (int i = 0; i < count && i < cap; i++) {
        out[i] = (struct kernels_gpu){.uuid = "GPU-fake",
                                      .pci = "00000000:00:00.0",
                                      .cc_major = (int)number("FAKE_CUDA_CC", 9),
                                      .sms = 132};
        snprintf(out[i].name, sizeof out[i].name, "Fake H200");
        out[i].memory_bytes = (size_t)number("FAKE_CUDA_MEMORY", (long long)16 << 30);
    }
    return count;
}
