/* Claims of engine/transform.h. */
#include "engine/transform.h"

#include <math.h>
#include <stdlib.h>

#include "engine/base/rand.h"
#include "engine/pq.h"
#include "tests/made.h"
#include "tests/ref.h"
#include "tests/testing.h"

enum { N = 600, D_MOST = 40 };

static float x[N * D_MOST];
static double objective[OPQ_ITERATIONS];

/* n rows of d: a few directions, none along an axis, have most of the variance; far from 0. */
static void make_rows(int n, int d)
{
    struct rand rand;
    float mix[D_MOST][D_MOST];

    rand_seed(&rand, testing_seed());
    for (int j = 0; j < d; j++)
        for (int t = 0; t < d; t++)
            mix[j][t] = (float)(rand_normal(&rand) * pow(0.6, t));
    for (int i = 0; i < n; i++) {
        float latent[D_MOST];

        for (int t = 0; t < d; t++)
            latent[t] = (float)rand_normal(&rand);
        for (int j = 0; j < d; j++) {
            x[i * d + j] = 50;
            for (int t = 0; t < d; t++)
                x[i * d + j] += mix[j][t] * latent[t];
        }
    }
}

/* iteration == *stop_at (NULL: never) ends the training. */
static int note(void *stop_at, int iteration, double error)
{
    objective[iteration] = error;
    return stop_at && iteration == *(int *)stop_at ? ERR_IO : 0;
}

static int train(struct transform *t, enum transform_kind kind, int m, int threads, int n, int rows)
{
    struct backend *b = made_backend(threads);
    struct mat mat = made_mat(b, ELEM_F32, x, n, t->d_in);
    struct transform_desc desc = {.kind = kind, .opq_m = m, .seed = 1234, .step = note};
    int rc = transform_train(t, b, &mat, rows, &desc);

    made_release(b, &mat.data);
    return rc;
}

static struct transform trained(enum transform_kind kind, int m, int d_in, int d_out, int threads,
                                int n, int rows)
{
    struct transform t;

    CHECK_OK(transform_alloc(&t, kind, d_in, d_out));
    CHECK_OK(train(&t, kind, m, threads, n, rows));
    return t;
}

/* The dot product of two rows of a, or of two columns. */
static double dot(const struct transform *t, int i, int j, int columns)
{
    int n = columns ? t->d_out : t->d_in;
    double sum = 0;

    for (int k = 0; k < n; k++)
        sum += columns ? (double)t->a[k * t->d_in + i] * t->a[k * t->d_in + j]
                       : (double)t->a[i * t->d_in + k] * t->a[j * t->d_in + k];
    return sum;
}

static void check_orthonormal(const struct transform *t)
{
    int columns = t->d_out > t->d_in, n = columns ? t->d_in : t->d_out;

    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++)
            if (!(fabs(dot(t, i, j, columns) - (i == j)) <= 1e-5))
                fail_msg("%d to %d: %d times %d is %g", t->d_in, t->d_out, i, j,
                         dot(t, i, j, columns));
}

static void test_transform__is_orthonormal_whatever_the_shape(void **state)
{
    static const int shapes[][3] = {
        {12, 8,  4 },
        {7,  12, 3 },
        {33, 33, 11},
        {1,  1,  1 },
        {40, 1,  1 },
        {1,  5,  5 }
    };

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int d = shapes[i][0], d_out = shapes[i][1];
        struct transform t;

        make_rows(300, d);
        t = trained(TRANSFORM_OPQ, shapes[i][2], d, d_out, 1, 300, 300);
        assert_null(t.b);
        check_orthonormal(&t);
        transform_clear(&t);
        if (d_out > d) continue;
        t = trained(TRANSFORM_PCAR, 0, d, d_out, 1, 300, 300);
        check_orthonormal(&t);
        transform_clear(&t);
    }
}

/* ---- PCAR ---- */

/* Eigenvalues of the symmetric a[d][d] by Jacobi's rotations, into its diagonal. */
static void jacobi(double *a, int d)
{
    for (int sweep = 0; sweep < 50; sweep++)
        for (int p = 0; p < d; p++)
            for (int q = p + 1; q < d; q++) {
                double angle = 0.5 * atan2(2 * a[p * d + q], a[q * d + q] - a[p * d + p]);
                double c = cos(angle), s = sin(angle);

                for (int k = 0; k < d; k++) {
                    double u = a[k * d + p], v = a[k * d + q];

                    a[k * d + p] = c * u - s * v;
                    a[k * d + q] = s * u + c * v;
                }
                for (int k = 0; k < d; k++) {
                    double u = a[p * d + k], v = a[q * d + k];

                    a[p * d + k] = c * u - s * v;
                    a[q * d + k] = s * u + c * v;
                }
            }
}

/* cov[d][d] of v[n][d]; returns the largest |mean|. */
static double covariance(const float *v, int n, int d, double *cov)
{
    double mean[D_MOST] = {0}, largest = 0;

    for (int i = 0; i < n * d; i++)
        mean[i % d] += v[i] / n;
    for (int j = 0; j < d; j++)
        largest = fmax(largest, fabs(mean[j]));
    for (int j = 0; j < d * d; j++)
        cov[j] = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < d; j++)
            for (int k = 0; k < d; k++)
                cov[j * d + k] += (v[i * d + j] - mean[j]) * (v[i * d + k] - mean[k]) / n;
    return largest;
}

static int descending(const void *a, const void *b)
{
    return (*(const double *)a < *(const double *)b) - (*(const double *)a > *(const double *)b);
}

static void test_transform__pcar_keeps_the_most_variance_there_is(void **state)
{
    enum { D = 17, D_OUT = 5 };
    double cov[D * D], of_y[D_OUT * D_OUT], value[D], best = 0, kept = 0;
    float y[N * D_OUT];
    struct transform t;

    (void)state;
    make_rows(N, D);
    t = trained(TRANSFORM_PCAR, 0, D, D_OUT, 2, N, N);
    ref_transform(&t, x, N, y);
    covariance(x, N, D, cov);
    jacobi(cov, D);
    for (int j = 0; j < D; j++)
        value[j] = cov[j * D + j];
    qsort(value, D, sizeof *value, descending);
    assert_true(covariance(y, N, D_OUT, of_y) < 1e-3); /* b takes the mean away */
    for (int j = 0; j < D_OUT; j++) {
        best += value[j];
        kept += of_y[j * D_OUT + j];
    }
    if (!(fabs(kept - best) <= 1e-5 * best)) fail_msg("kept %.9g of %.9g", kept, best);
    transform_clear(&t);
}

static void test_transform__pcar_rotates_so_that_no_direction_has_it_all(void **state)
{
    enum { D = 17, D_OUT = 8 };
    double of_y[D_OUT * D_OUT], total = 0;
    float y[N * D_OUT];
    struct transform t;

    (void)state;
    make_rows(N, D);
    t = trained(TRANSFORM_PCAR, 0, D, D_OUT, 1, N, N);
    ref_transform(&t, x, N, y);
    covariance(y, N, D_OUT, of_y);
    for (int j = 0; j < D_OUT; j++)
        total += of_y[j * D_OUT + j];
    for (int j = 0; j < D_OUT; j++)
        assert_true(of_y[j * D_OUT + j] < 0.6 * total); /* unrotated, the first has 0.64 */
    transform_clear(&t);
}

static void test_transform__pcar_of_fewer_rows_than_dimensions_is_a_rotation(void **state)
{
    struct transform t;

    (void)state;
    make_rows(5, 33);
    t = trained(TRANSFORM_PCAR, 0, 33, 20, 1, 5, 5);
    check_orthonormal(&t);
    transform_clear(&t);
}

/* ---- OPQ ---- */

/* The error of a PQ of x[n][d] as it is, after as many iterations as OPQ has at first. */
static double plain_error(int n, int d, int m)
{
    struct backend *b = made_backend(1);
    struct mat r = made_mat(b, ELEM_F32, x, n, d);
    float *host = calloc((size_t)(KSUB * d), sizeof *host);
    struct pq_desc desc = {.m = m, .seed = 1234, .iterations = 40};
    struct buf books, code = made_buf(b, NULL, (size_t)(n * m)), err;
    double each[D_MOST] = {0}, total = 0;

    CHECK_OK(pq_train(b, &r, &desc, host));
    books = made_buf(b, host, sizeof *host * KSUB * (size_t)d);
    err = made_buf(b, NULL, sizeof *each * (size_t)m);
    CHECK_OK(b->ops->encode(b, &r, m, books, code, err));
    b->ops->download(b, each, err, 0, sizeof *each * (size_t)m);
    for (int s = 0; s < m; s++)
        total += each[s];
    made_release(b, &r.data), made_release(b, &books), made_release(b, &code);
    made_release(b, &err);
    free(host);
    return total;
}

static void test_transform__opq_makes_the_error_of_codes_smaller(void **state)
{
    enum { D = 12, M = 3 };
    struct transform t;
    double plain;

    (void)state;
    make_rows(N, D);
    t = trained(TRANSFORM_OPQ, M, D, D, 1, N, N);
    plain = plain_error(N, D, M);
    if (!(objective[OPQ_ITERATIONS - 1] < plain))
        fail_msg("%g, %g without", objective[OPQ_ITERATIONS - 1], plain);
    transform_clear(&t);
}

static void test_transform__no_turn_of_opq_makes_the_error_larger(void **state)
{
    struct transform t;

    (void)state;
    make_rows(N, 12);
    t = trained(TRANSFORM_OPQ, 3, 12, 12, 1, N, N);
    for (int i = 1; i < OPQ_ITERATIONS; i++)
        if (!(objective[i] <= objective[i - 1] * (1 + 1e-4)))
            fail_msg("turn %d: %g after %g", i, objective[i], objective[i - 1]);
    assert_true(objective[OPQ_ITERATIONS - 1] < 0.99 * objective[0]);
    transform_clear(&t);
}

/* ---- either ---- */

static void test_transform__same_seed_same_bits_on_any_threads(void **state)
{
    (void)state;
    make_rows(N, 21);
    for (int kind = TRANSFORM_OPQ; kind <= TRANSFORM_PCAR; kind++) {
        struct transform one = trained((enum transform_kind)kind, 4, 21, 8, 1, N, N);
        struct transform three = trained((enum transform_kind)kind, 4, 21, 8, 3, N, N);

        assert_memory_equal(one.a, three.a, sizeof(float) * 21 * 8);
        if (kind == TRANSFORM_PCAR) assert_memory_equal(one.b, three.b, sizeof(float) * 8);
        transform_clear(&one);
        transform_clear(&three);
    }
}

static void test_transform__only_the_first_rows_are_learnt_from(void **state)
{
    (void)state;
    for (int kind = TRANSFORM_OPQ; kind <= TRANSFORM_PCAR; kind++) {
        struct transform before, after;

        make_rows(N, 8);
        before = trained((enum transform_kind)kind, 2, 8, 4, 1, N, N - 1);
        x[N * 8 - 1] = 1e6f;
        after = trained((enum transform_kind)kind, 2, 8, 4, 1, N, N - 1);
        assert_memory_equal(before.a, after.a, sizeof(float) * 8 * 4);
        transform_clear(&before);
        transform_clear(&after);
    }
}

static void test_transform__what_cannot_be_learnt_is_refused(void **state)
{
    struct transform t;

    (void)state;
    make_rows(N, 8);
    CHECK_OK(transform_alloc(&t, TRANSFORM_OPQ, 8, 8));
    CHECK_FAILS(ERR_INVALID, "OPQ3: m does not divide d 8", train(&t, TRANSFORM_OPQ, 3, 1, N, N));
    CHECK_FAILS(ERR_INVALID, "255 training vectors", train(&t, TRANSFORM_OPQ, 2, 1, N, 255));
    transform_clear(&t);
    CHECK_OK(transform_alloc(&t, TRANSFORM_PCAR, 8, 9));
    CHECK_FAILS(ERR_INVALID, "PCAR9: more than the data's 8",
                train(&t, TRANSFORM_PCAR, 0, 1, N, N));
    transform_clear(&t);
}

/* OPQ ends with its second turn, whose word it passes on; PCAR goes to its end. */
static int train_on_new(void *kind)
{
    int stop_at = 1, rc;
    struct backend *b = NULL;
    struct transform_desc desc = {
        .kind = *(enum transform_kind *)kind, .opq_m = 2, .seed = 1, .step = note, .arg = &stop_at};
    struct mat mat = {.elem = ELEM_F32, .rows = KSUB, .d = 4};
    struct transform t = {0};

    if ((rc = made_backend(1)->ops->open(&b, 0, 1)) < 0) return rc;
    if ((rc = b->ops->alloc(b, &mat.data, sizeof(float) * KSUB * 4)) < 0) goto out;
    if ((rc = b->ops->upload(b, mat.data, 0, x, mat.data.bytes)) < 0) goto out;
    if ((rc = transform_alloc(&t, desc.kind, 4, 2)) < 0) goto out;
    rc = transform_train(&t, b, &mat, KSUB, &desc);
    if (desc.kind == TRANSFORM_OPQ) {
        assert_int_not_equal(rc, 0);
        rc = rc == ERR_IO ? 0 : rc;
    }
out:
    transform_clear(&t);
    b->ops->release(b, &mat.data);
    b->ops->close(b);
    return rc;
}

static void test_transform__training_survives_every_failed_allocation(void **state)
{
    (void)state;
    made_backend(1); /* opened before anything fails */
    make_rows(KSUB, 4);
    for (int kind = TRANSFORM_OPQ; kind <= TRANSFORM_PCAR; kind++)
        assert_true(testing_every_failed_alloc(train_on_new, &kind) > (made_on_cpu() ? 10 : 1));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_transform__is_orthonormal_whatever_the_shape),
    cmocka_unit_test(test_transform__pcar_keeps_the_most_variance_there_is),
    cmocka_unit_test(test_transform__pcar_rotates_so_that_no_direction_has_it_all),
    cmocka_unit_test(test_transform__pcar_of_fewer_rows_than_dimensions_is_a_rotation),
    cmocka_unit_test(test_transform__opq_makes_the_error_of_codes_smaller),
    cmocka_unit_test(test_transform__no_turn_of_opq_makes_the_error_larger),
    cmocka_unit_test(test_transform__same_seed_same_bits_on_any_threads),
    cmocka_unit_test(test_transform__only_the_first_rows_are_learnt_from),
    cmocka_unit_test(test_transform__what_cannot_be_learnt_is_refused),
    cmocka_unit_test(test_transform__training_survives_every_failed_allocation),
};

MADE_MAIN(tests)
