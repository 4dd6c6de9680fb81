#include "tests/rig.h"

#include <math.h>
#include <stdlib.h>

#include "engine/synthetic.h"
#include "kernels/kernels.h"
#include "tests/made.h"
#include "tests/ref.h"
#include "tests/testing.h"

enum { FEW = 33 };               /* queries of a small batch */
enum { BLOCK_BYTES = 64 << 20 }; /* of rows handed to lists_add at once */
enum { VALUES = 12000000, CODED = 6000000, MOST = 200000 }; /* of rig_shape_of */
static const float SCALED = 0.37f;                          /* of KIND_SCALED */
static const float LOWERED = 60;                            /* of whole numbers that are to be i8 */

static struct backend *cpu, *device;
static char path_text[64] = "path -1 cap 0";

/* ---- backends ---- */

int rig_backends(void)
{
    const struct backend_ops *ops = NULL, *host = NULL;
    const char *name = getenv("IVFBENCH_TEST_BACKEND");

    if (!name || !*name) name = "cuda";
    if (kernels_find(&ops, name) < 0 || ops->open(&device, 0, 1) < 0) {
        printf("skipped: %s\n", fail_text());
        return 77;
    }
    CHECK_OK(kernels_find(&host, "cpu"));
    CHECK_OK(host->open(&cpu, 0, 0));
    if (!rig_force(-1, 0)) print_message("%s has one path of search\n", name);
    return 0;
}

void rig_backends_close(void)
{
    cpu->ops->close(cpu);
    device->ops->close(device);
}

struct backend *rig_device(void)
{
    return device;
}

int rig_force(int path, int cap)
{
    if (!made_search_path(device, path + 1, cap)) return 0;
    snprintf(path_text, sizeof path_text, "path %d cap %d", path, cap);
    return 1;
}

/* ---- data ---- */

static int d_in(const struct rig_shape *s)
{
    return s->d_in ? s->d_in : s->d;
}

static float *synthetic(enum part part, int64_t n, int d)
{
    struct synthetic *s = NULL;
    uint8_t *u8 = testing_array(n * d, 1);
    float *x = testing_array(n * d, sizeof *x);

    CHECK_OK(synthetic_create(&s, testing_seed(), d));
    synthetic_rows(s, part, 0, n, u8);
    elem_to_floats(ELEM_U8, u8, n * d, x);
    synthetic_free(s);
    free(u8);
    return x;
}

static float *vectors(const struct rig_shape *s, enum part part, int64_t n)
{
    int64_t count = n * d_in(s);
    float *x;

    if (s->kind < MADE_KINDS) {
        x = testing_array(count, sizeof *x);
        made_rows((enum made_kind)s->kind, testing_seed() + 1 + (uint32_t)part, n, d_in(s), x);
        return x;
    }
    x = synthetic(part, n, d_in(s));
    for (int64_t i = 0; i < count; i++) {
        if (s->kind == KIND_SCALED) x[i] *= SCALED;
        if (s->elem == ELEM_I8) x[i] -= LOWERED;
    }
    return x;
}

/* What OPQ and PCA learn, in shape: rows of about unit length, an offset where d shrinks. */
static void make_transform(struct rig *r)
{
    const struct rig_shape *s = &r->s;
    int64_t count = (int64_t)s->d * s->d_in;

    r->t = (struct transform){.d_in = s->d_in, .d_out = s->d};
    r->t.a = testing_array(count, sizeof(float));
    made_rows(MADE_GAUSS, testing_seed() + 5, s->d, s->d_in, r->t.a);
    for (int64_t i = 0; i < count; i++)
        r->t.a[i] *= 0.1f;
    if (s->d == s->d_in) return;
    r->t.b = testing_array(s->d, sizeof(float));
    made_rows(MADE_GAUSS, testing_seed() + 6, 1, s->d, r->t.b);
}

/* The first rows of x as the lists see them. */
static float *head_of(const struct rig *r, int64_t rows)
{
    float *y = testing_array(rows * r->s.d, sizeof *y);

    if (r->s.d_in)
        ref_transform(&r->t, r->x, rows, y);
    else
        memcpy(y, r->x, (size_t)(rows * r->s.d) * sizeof *y);
    return y;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Centroids that are no rows: each the mean of two. */
static void make_centroids(struct rig *r)
{
    const struct rig_shape *s = &r->s;
    int64_t rows = least(s->n, 2 * s->nlist);
    float *y = head_of(r, rows);

    r->c = testing_array(s->nlist * s->d, sizeof *r->c);
    for (int64_t j = 0; j < s->nlist; j++)
        for (int i = 0; i < s->d; i++)
            r->c[j * s->d + i] =
                (y[2 * j % rows * s->d + i] + y[(2 * j + 1) % rows * s->d + i]) / 2;
    free(y);
}

/* Codewords as residuals are: half the difference of two rows. */
static void make_books(struct rig *r)
{
    const struct rig_shape *s = &r->s;
    int64_t rows = least(s->n, 2 * KSUB);
    int dsub = s->m ? s->d / s->m : 1;
    float *y = head_of(r, rows);

    if (s->m) r->books = testing_array((int64_t)KSUB * s->d, sizeof *r->books);
    for (int64_t at = 0; s->m && at < (int64_t)KSUB * s->d; at++) {
        int64_t part = at / (KSUB * dsub) * dsub + at % dsub, j = at / dsub % KSUB;

        r->books[at] = y[j % rows * s->d + part] / 2 - y[(j + KSUB) % rows * s->d + part] / 2;
    }
    free(y);
}

struct rig_shape rig_shape_of(int kind, enum elem elem, int d, int m)
{
    struct rig_shape s = {.kind = kind, .elem = elem, .storage = elem, .d = d, .m = m};

    s.n = least((m ? CODED : VALUES) / d, MOST);
    s.nlist = RIG_NLIST;
    s.nq = RIG_NQ;
    return s;
}

float *rig_row(float *x, int64_t i, const struct rig *r)
{
    return x + i * r->s.d;
}

void rig_copy_row(float *dst, const float *src, const struct rig *r)
{
    memcpy(dst, src, (size_t)r->s.d * sizeof *dst);
}

void rig_few_points(struct rig *r)
{
    for (int64_t i = 7; i < r->s.n; i++)
        rig_copy_row(rig_row(r->x, i, r), rig_row(r->x, i % 7, r), r);
    for (int64_t j = 0; j < r->s.nlist; j++)
        rig_copy_row(rig_row(r->c, j, r), rig_row(r->x, j % 7, r), r);
    for (int64_t i = 0; i < r->s.nq; i += 2)
        rig_copy_row(rig_row(r->q, i, r), rig_row(r->x, i % 7, r), r);
}

void rig_awkward_queries(struct rig *r)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f, 1e19f, -1e15f, 1e6f, 1e4f, 1e-30f};
    int d = r->s.d;

    for (int64_t i = 3; i < r->s.nq; i += 7) {
        float value = odd[i / 7 % LENGTH(odd)];

        rig_row(r->q, i, r)[i % d] = value;
        for (int j = 0; i % 2 && j < d; j++)
            rig_row(r->q, i, r)[j] = value;
    }
}

/* ---- lists ---- */

struct lists_desc rig_desc(const struct rig *r)
{
    const struct rig_shape *s = &r->s;

    return (struct lists_desc){.d = s->d,
                               .nlist = s->nlist,
                               .m = s->m,
                               .storage = s->storage,
                               .n = s->n,
                               .transform = s->d_in ? &r->t : NULL};
}

static struct lists *filled(struct backend *b, const struct rig *r, const void *rows)
{
    const struct rig_shape *s = &r->s;
    struct lists_desc desc = rig_desc(r);
    size_t row_bytes = (size_t)d_in(s) * elem_bytes(s->elem);
    int64_t some = BLOCK_BYTES / (int64_t)row_bytes;
    struct lists *l = NULL;

    CHECK_OK(b->ops->lists_create(b, &l, &desc, r->c, r->books));
    for (int pass = b->ops->lists_passes(l); pass > 0; pass--) {
        for (int64_t i = 0; i < s->n; i += some) {
            struct block x = {.elem = s->elem, .d = d_in(s), .rows = least(some, s->n - i)};

            x.ptr = (const char *)rows + (size_t)i * row_bytes;
            x.first = i;
            CHECK_OK(b->ops->lists_add(b, l, &x));
        }
        CHECK_OK(b->ops->lists_end_pass(b, l));
    }
    return l;
}

static const char *kind_name(int kind)
{
    return kind == KIND_SIFT ? "sift" : kind == KIND_SCALED ? "scaled" : made_name(kind);
}

void rig_open(struct rig *r, const struct rig_shape *s)
{
    void *rows = testing_array(s->n * d_in(s), sizeof(float));

    rig_force(-1, 0);
    *r = (struct rig){.s = *s};
    snprintf(r->text, sizeof r->text,
             "%s %s as %s n %lld nlist %lld nq %lld d_in %d d %d m %d seed %u", kind_name(s->kind),
             elem_name(s->elem), elem_name(s->storage), (long long)s->n, (long long)s->nlist,
             (long long)s->nq, s->d_in, s->d, s->m, testing_seed());
    r->x = vectors(s, PART_BASE, s->n);
    r->q = vectors(s, PART_QUERY, s->nq);
    if (s->d_in) make_transform(r);
    make_centroids(r);
    if (s->twist) s->twist(r);
    made_as(s->elem, r->x, s->n * d_in(s), rows);
    make_books(r);
    free(r->x);
    r->x = NULL;
    r->want = filled(cpu, r, rows);
    r->got = filled(device, r, rows);
    free(rows);
}

void rig_clear(struct rig *r)
{
    cpu->ops->lists_free(cpu, r->want);
    device->ops->lists_free(device, r->got);
    free(r->t.a);
    free(r->t.b);
    free(r->q);
    free(r->c);
    free(r->books);
    free(r->dist);
    free(r->ids);
    *r = (struct rig){0};
}

/* ---- searches ---- */

void rig_reserve(struct rig *r, const struct search_desc *s)
{
    CHECK_OK(device->ops->lists_reserve(device, r->got, s));
}

void rig_expect(struct rig *r, int k, int nprobe)
{
    int64_t nq = r->s.nq;
    struct search_desc s = {.nq = nq, .k = k, .nprobe = nprobe};

    free(r->dist);
    free(r->ids);
    r->k = k;
    r->nprobe = nprobe;
    r->dist = testing_array(nq * k, sizeof *r->dist);
    r->ids = testing_array(nq * k, sizeof *r->ids);
    CHECK_OK(cpu->ops->lists_reserve(cpu, r->want, &s));
    CHECK_OK(cpu->ops->lists_search(cpu, r->want, r->q, nq, k, nprobe, r->dist, r->ids));
}

/* The first answer that differs, in words. */
static void compare(const struct rig *r, int64_t from, int64_t to, int k, const float *dist,
                    const vid *ids)
{
    for (int64_t i = 0; i < (to - from) * k; i++) {
        int64_t at = (from + i / k) * r->k + i % k;

        if (ids[i] == r->ids[at] && memcmp(dist + i, r->dist + at, sizeof *dist) == 0) continue;
        fail_msg("%s, %s: k %d nprobe %d queries %lld ... %lld: answer %lld of query %lld is "
                 "(%.9g, %lld), not (%.9g, %lld)",
                 r->text, path_text, k, r->nprobe, (long long)from, (long long)to - 1,
                 (long long)(i % k), (long long)(from + i / k), dist[i], (long long)ids[i],
                 r->dist[at], (long long)r->ids[at]);
    }
}

void rig_check(struct rig *r, int64_t from, int64_t to, int k)
{
    int64_t nq = to - from;
    float *dist = testing_guarded(nq * k, sizeof *dist);
    vid *ids = testing_guarded(nq * k, sizeof *ids);

    CHECK_OK(device->ops->lists_search(device, r->got, r->q + from * d_in(&r->s), nq, k, r->nprobe,
                                       dist, ids));
    compare(r, from, to, k, dist, ids);
    testing_guarded_free(dist);
    testing_guarded_free(ids);
}

void rig_check_batches(struct rig *r, int64_t nq, int64_t batch, int k)
{
    for (int64_t from = 0; from < nq; from += batch)
        rig_check(r, from, least(from + batch, nq), k);
}

void rig_check_paths(struct rig *r, int k, int nprobe)
{
    struct search_desc s = {.nq = r->s.nq, .k = k, .nprobe = nprobe, .precomputed_tables = 1};

    rig_expect(r, k, nprobe);
    for (int path = -1; path <= 2; path++) {
        if (!rig_force(path, 0) && path >= 0) break;
        rig_reserve(r, &s);
        rig_check(r, 0, s.nq, k);
        rig_check(r, 0, least(s.nq, FEW), k < 10 ? k : 10);
    }
    rig_force(-1, 0);
}

void rig_check_shape(const struct rig_shape *s, int k)
{
    struct rig r;

    if (testing_left_out()) return;
    rig_open(&r, s);
    rig_check_paths(&r, k, s->nlist < 3 ? 1 : 3);
    if (s->nlist > 3) rig_check_paths(&r, k, s->nlist < 24 ? (int)s->nlist : 24);
    rig_clear(&r);
}

void rig_check_kinds(void (*twist)(struct rig *r), struct rig_shape s, int m, int k)
{
    s.twist = twist;
    if (twist && s.nq > RIG_SOME) s.nq = RIG_SOME; /* the CPU has to measure many of these */
    rig_check_shape(&s, k);
    s.kind = KIND_SCALED;
    s.elem = s.storage = ELEM_F32;
    rig_check_shape(&s, k);
    s.m = m;
    rig_check_shape(&s, k);
}
