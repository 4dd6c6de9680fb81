#include "tests/made.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/rand.h"
#include "kernels/cuda/search.h"
#include "kernels/kernels.h"
#include "tests/testing.h"

/*
 * In the library only where the build has CUDA and its search has paths to choose from; there it has
 * to be beside something that is linked anyhow: a weak name fetches nothing.
 */
#pragma weak cuda_search_force
#pragma weak cuda_search_left

const char *made_name(enum made_kind kind)
{
    static const char *const names[] = {"gauss", "clusters", "ties",   "equal", "huge",
                                        "tiny",  "offset",   "grains", "strays"};

    return names[kind];
}

/* Of about a normal distribution: mean 0, variance 1, never beyond 3.5. */
static double normal(uint64_t seed, uint64_t at)
{
    uint64_t bits = rand_hash(seed, at);
    int64_t sum = 0;

    for (int part = 0; part < 4; part++, bits >>= 16)
        sum += (int64_t)(bits & 0xffff);
    return ((double)sum / 65536 - 2) * 1.7320508;
}

/* A number whose exponent is spread evenly over lo ... hi, of either sign. */
static double spread(uint64_t seed, uint64_t at, double lo, double hi)
{
    uint64_t bits = rand_hash(seed, at);
    double e = lo + (hi - lo) * ((double)(bits >> 40) / (1 << 24));

    return (bits & 1 ? -1 : 1) * pow(10, e);
}

static double value(enum made_kind kind, uint64_t seed, uint64_t row, uint64_t j, uint64_t d)
{
    uint64_t at = row * d + j, heap = rand_hash(seed + 1, row) % 16;

    switch (kind) {
    case MADE_GAUSS:
        break;
    case MADE_CLUSTERS:
        return 10 * normal(77, (heap < 8 ? 0 : heap - 8) * d + j) + 0.1 * normal(seed, at);
    case MADE_TIES:
        return (double)(rand_hash(seed, at) % 4);
    case MADE_EQUAL:
        return (double)j + 0.25;
    case MADE_HUGE:
        return spread(seed, at, 18, 20);
    case MADE_TINY:
        return spread(seed, at, -24, -20);
    case MADE_OFFSET:
        return 1000 + 0.01 * normal(seed, at);
    case MADE_GRAINS:
        return spread(seed, at, -10.2, -9.6);
    case MADE_STRAYS:
        return normal(seed, at) * (row % 9 == 8 ? pow(10, (double)(5 + row / 9 % 4 * 7)) : 1);
    case MADE_KINDS:
        break;
    }
    return normal(seed, at);
}

void made_rows(enum made_kind kind, uint32_t seed, int64_t n, int d, float *x)
{
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < d; j++)
            x[i * d + j] = (float)value(kind, seed, (uint64_t)i, (uint64_t)j, (uint64_t)d);
}

/* IEEE 754 half, nearest even; *x becomes its value. What is out of range becomes the largest. */
static uint16_t half_of(float *x)
{
    int exponent, sign = signbit(*x) != 0, bits;
    float size = fabsf(*x), mantissa = frexpf(size, &exponent); /* 0.5 ... 1 */

    if (isnan(*x)) return 0x7e00;
    if (isinf(*x)) return (uint16_t)(sign << 15 | 0x7c00);
    if (size >= 65504) {
        size = 65504;
        bits = 0x7bff;
    } else if (exponent < -13 || size == 0) { /* subnormal, in units of 2^-24 */
        bits = (int)rintf(ldexpf(size, 24));
        size = ldexpf((float)bits, -24);
    } else {
        bits = (int)rintf(mantissa * 2048);
        size = ldexpf((float)bits, exponent - 11);
        bits += ((exponent + 14) << 10) - 1024;
    }
    *x = sign ? -size : size;
    return (uint16_t)(sign << 15 | bits);
}

static float clamp(float x, float lo, float hi)
{
    return !(x > lo) ? lo : x > hi ? hi : rintf(x);
}

void made_as(enum elem elem, float *x, int64_t n, void *out)
{
    uint8_t *u8 = out;
    int8_t *i8 = out;
    uint16_t *f16 = out;

    for (int64_t i = 0; i < n; i++) {
        switch (elem) {
        case ELEM_F32:
            ((float *)out)[i] = x[i];
            break;
        case ELEM_F16:
            f16[i] = half_of(x + i);
            break;
        case ELEM_U8:
            x[i] = u8[i] = (uint8_t)clamp(x[i], 0, 255);
            break;
        case ELEM_I8:
            x[i] = i8[i] = (int8_t)clamp(x[i], -128, 127);
            break;
        }
    }
}

/* ---- arrays of a backend ---- */

static struct backend *opened[5]; /* by threads; a device's is the first of them */

static const char *backend_name(void)
{
    const char *name = getenv("IVFBENCH_TEST_BACKEND");

    return name && *name ? name : "cpu";
}

int made_on_cpu(void)
{
    return strcmp(backend_name(), "cpu") == 0;
}

static void close_backends(void)
{
    for (int threads = 1; threads <= 4; threads++)
        if (opened[threads]) opened[threads]->ops->close(opened[threads]);
}

/* *out = the object for threads, opened if it is not yet. */
static int open_backend(struct backend **out, int threads)
{
    const struct backend_ops *ops = NULL;
    static int registered;
    int at = made_on_cpu() ? threads : 1, rc;

    if (!registered++) atexit(close_backends);
    if (!opened[at]) {
        if ((rc = kernels_find(&ops, backend_name())) < 0) return rc;
        if ((rc = ops->open(opened + at, 0, threads)) < 0) return rc;
    }
    *out = opened[at];
    return 0;
}

struct backend *made_backend(int threads)
{
    struct backend *b = NULL;

    CHECK_OK(open_backend(&b, threads));
    return b;
}

int made_search_path(struct backend *b, int path, int cap)
{
    if (!cuda_search_force || strcmp(b->ops->name, "cuda") != 0) return 0;
    cuda_search_force(b, path, cap);
    return 1;
}

int made_search_left(struct backend *b, struct lists *l, int32_t *walked, int32_t *plain)
{
    return cuda_search_left(b, l, walked, plain);
}

int made_missing(void)
{
    struct backend *b;

    if (made_on_cpu() || open_backend(&b, 1) != ERR_UNSUPPORTED) return 0;
    print_message("skipped: %s\n", fail_text());
    return 1;
}

struct buf made_buf(struct backend *b, const void *src, size_t bytes)
{
    struct buf buf = {0};

    CHECK_OK(b->ops->alloc(b, &buf, bytes));
    if (src) CHECK_OK(b->ops->upload(b, buf, 0, src, bytes));
    return buf;
}

struct mat made_mat(struct backend *b, enum elem elem, const void *src, int64_t rows, int d)
{
    size_t bytes = (size_t)(rows * d) * elem_bytes(elem);

    return (struct mat){made_buf(b, src, bytes), elem, rows, d};
}

void made_release(struct backend *b, struct buf *buf)
{
    b->ops->release(b, buf);
}

void made_get(struct backend *b, void *dst, struct buf buf)
{
    CHECK_OK(b->ops->download(b, dst, buf, 0, buf.bytes));
}
