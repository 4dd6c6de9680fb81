/*
 * LAPACK is called column-major and with workspace of ours: its row-major calls, and those that
 * take their own workspace, allocate behind our back. A row-major matrix is its transpose there,
 * which each function makes use of.
 */
#include "engine/dense.h"

#include <cblas.h>
#include <lapacke.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/base/rand.h"

static int lapack_failed(const char *what, lapack_int info)
{
    return fail(ERR_DEVICE, "LAPACK's %s gave up (info %d)", what, (int)info);
}

int dense_rotation(double *q, int n, uint32_t seed)
{
    double *tau = mem_new(n, sizeof *tau), *work = NULL, room = 0;
    struct rand rand;
    lapack_int info;
    int rc = ERR_NOMEM;

    if (!tau) goto out;
    rand_seed(&rand, seed);
    for (int64_t i = 0; i < (int64_t)n * n; i++)
        q[i] = rand_normal(&rand);
    LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, n, n, q, n, tau, &room, -1);
    if (!(work = mem_new((int64_t)room, sizeof *work))) goto out;
    if ((info = LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, n, n, q, n, tau, work, (lapack_int)room))) {
        rc = lapack_failed("dgeqrf", info);
        goto out;
    }
    info = LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, n, n, n, q, n, tau, work, (lapack_int)room);
    rc = info ? lapack_failed("dorgqr", info) : 0;
out:
    mem_free(tau);
    mem_free(work);
    return rc;
}

/* In LAPACK's eyes m is its transpose, cols x rows = u s vt, and r = u vt. */
int dense_procrustes(double *m, int rows, int cols, double *r)
{
    double *s = mem_new(cols, sizeof *s), *u = mem_new((int64_t)cols * cols, sizeof *u);
    double *vt = mem_new((int64_t)cols * rows, sizeof *vt), *work = NULL, room = 0;
    lapack_int *iwork = mem_new(8 * (int64_t)cols, sizeof *iwork), info;
    int rc = ERR_NOMEM;

    if (!s || !u || !vt || !iwork) goto out;
    LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'S', cols, rows, m, cols, s, u, cols, vt, cols, &room, -1,
                        iwork);
    if (!(work = mem_new((int64_t)room, sizeof *work))) goto out;
    info = LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'S', cols, rows, m, cols, s, u, cols, vt, cols,
                               work, (lapack_int)room, iwork);
    rc = info ? lapack_failed("dgesdd", info) : 0;
    if (rc == 0)
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasTrans, cols, rows, cols, 1, u, cols, vt, cols,
                    0, r, rows);
out:
    mem_free(s);
    mem_free(u);
    mem_free(vt);
    mem_free(work);
    mem_free(iwork);
    return rc;
}

int dense_eigen(double *a, int n, double *value)
{
    double *work = NULL, room = 0;
    lapack_int *iwork = NULL, iroom = 0, info;
    int rc = ERR_NOMEM;

    LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'V', 'L', n, a, n, value, &room, -1, &iroom, -1);
    if (!(work = mem_new((int64_t)room, sizeof *work))) goto out;
    if (!(iwork = mem_new(iroom, sizeof *iwork))) goto out;
    info = LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'V', 'L', n, a, n, value, work, (lapack_int)room,
                               iwork, iroom);
    rc = info ? lapack_failed("dsyevd", info) : 0;
out:
    mem_free(work);
    mem_free(iwork);
    return rc;
}

void dense_add_gram(double *c, const double *x, int64_t rows, int d)
{
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, d, (blasint)rows, 1, x, d, 1, c, d);
}

void dense_product(const double *a, const double *b, int rows, int n, int cols, double *out)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, cols, n, 1, a, n, b, cols, 0, out,
                cols);
}

int dense_cross(const float *x, int d, const float *y, int e, int64_t rows, double *out)
{
    int64_t n = (int64_t)d * e;
    float *sum = mem_new(n, sizeof *sum);

    if (!sum) return ERR_NOMEM;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, d, e, (blasint)rows, 1, x, d, y, e, 0, sum,
                e);
    for (int64_t i = 0; i < n; i++)
        out[i] = sum[i];
    mem_free(sum);
    return 0;
}
