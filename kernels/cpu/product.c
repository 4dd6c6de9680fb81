#include "kernels/cpu/product.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/base/rand.h"

void product(const float *a, int64_t rows, const float *b, int64_t n, int d, float *out)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows, (blasint)n, d, 1, a, d, b,
                d, 0, out, (blasint)n);
}

float product_margin(double q_norm, double x_norm, int d, int whole)
{
    double u = ldexp(1, -24), all = (q_norm + x_norm) * (q_norm + x_norm);

    if (whole && all < ldexp(1, 24)) return 0;
    if (!(all < 1e37)) return INFINITY; /* fp32 overflows: scores mean nothing */
    /* d + 8: the sum's length and the roundings around it; 1.01: second-order terms; the last term:
       products below fp32's smallest lose bits that no relative bound covers */
    return (float)(1.01 * u * (d + 8.0) * all + ldexp(4 * (d + 8.0), -149));
}

const char *product_coretype(void)
{
#ifdef __x86_64__
    static const char *const old[] = {"Prescott", "Core2",   "Penryn",      "Dunnington",
                                      "Nehalem",  "Generic", "Sandybridge", "Atom"};
    const char *core = openblas_get_corename();

    if (getenv("OPENBLAS_CORETYPE")) return NULL;
    for (size_t i = 0; i < sizeof old / sizeof *old; i++) {
        if (strcasecmp(core, old[i])) continue;
        if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
            return "SkylakeX";
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
    }
#endif
    return NULL;
}

/* The largest error of one small product, in units of the bound it must keep. */
static double worst_error(const float *a, const float *b, int rows, int n, int d, const float *out)
{
    double worst = 0;

    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < n; j++) {
            double sum = 0, size = 0;

            for (int t = 0; t < d; t++) {
                double term = (double)a[i * d + t] * b[j * d + t];
                sum += term;
                size += fabs(term);
            }
            worst = fmax(worst, fabs(out[i * n + j] - sum) / (d * ldexp(size, -24) + 1e-30));
        }
    }
    return worst;
}

/* Some releases of OpenBLAS pick kernels that are wrong on newer processors: seen, so checked. */
static int check_blas(void)
{
    enum { ROWS = 67, N = 131, D = 97 };
    float *a = mem_new(ROWS * D, sizeof *a);
    float *b = mem_new(N * D, sizeof *b);
    float *out = mem_new(ROWS * N, sizeof *out);
    int rc = ERR_NOMEM;

    if (!a || !b || !out) goto out;
    for (int i = 0; i < ROWS * D; i++)
        a[i] = (float)(rand_hash(1, (uint64_t)i) % 2001) - 1000;
    for (int i = 0; i < N * D; i++)
        b[i] = (float)(rand_hash(2, (uint64_t)i) % 2001) - 1000;
    product(a, ROWS, b, N, D, out);
    rc = 0;
    if (!(worst_error(a, b, ROWS, N, D, out) <= 1))
        rc = fail(ERR_DEVICE,
                  "OpenBLAS (%s) multiplies wrongly on this processor: set OPENBLAS_CORETYPE to an "
                  "older one (Haswell), or install a newer OpenBLAS",
                  openblas_get_corename());
out:
    mem_free(a);
    mem_free(b);
    mem_free(out);
    return rc;
}

int product_open(void)
{
    openblas_set_num_threads(1); /* the threads are ours, each with tiles of its own */
    return check_blas();
}
