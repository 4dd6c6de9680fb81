/*
 * The nearest centroid of each row: tiles of a matrix product, the best two scores kept in
 * registers as they pass. Where the second comes within the product's margin of the best (ties,
 * near ties: some rows in a thousand), the row goes through the product once more and exact
 * distances decide among those within the margin.
 */
#include <math.h>
#include <omp.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/simd.h"

enum { TILE_ROWS = 128, TILE_COLS = 512 }; /* the tile of products: 256 KiB, in L2 */

/* The centroids of one call, and what is known about all of them. */
struct centroids {
    const float *c; /* [nlist][d] */
    float *norm;    /* [nlist] */
    int64_t nlist;
    int d;
    double max_norm; /* the largest |c| */
    int whole;
};

/* A thread's tile of rows. */
struct tile {
    int64_t rows;
    float *x;     /* [TILE_ROWS][d] */
    float *again; /* [TILE_ROWS][d]: undecided rows, packed */
    float *norm, *dot, *best, *second;
    int32_t *index, *undecided;
};

static size_t tile_bytes(int d)
{
    return sizeof(float) * TILE_ROWS * (2 * (size_t)d + TILE_COLS + 5);
}

static struct tile tile_at(float *region, int d)
{
    struct tile t;

    t.x = region;
    t.again = t.x + TILE_ROWS * (int64_t)d;
    t.dot = t.again + TILE_ROWS * (int64_t)d;
    t.norm = t.dot + TILE_ROWS * TILE_COLS;
    t.best = t.norm + TILE_ROWS;
    t.second = t.best + TILE_ROWS;
    t.index = (int32_t *)(t.second + TILE_ROWS);
    t.undecided = t.index + TILE_ROWS;
    t.rows = 0;
    return t;
}

/* Merges scores norm[i] - 2 dot[i], i < n, of centroids first ... into a row's best two. */
SIMD_CLONES static void best_two(const float *norm, const float *dot, int64_t n, int32_t first,
                                 float *best, float *second, int32_t *index)
{
    vf b = vf_set(INFINITY), s = b;
    vi at = {0}, lane, here;
    int64_t i = 0;

    for (int l = 0; l < LANES; l++)
        lane[l] = l;
    for (here = lane + first; i + LANES <= n; i += LANES, here += LANES) {
        vf score = vf_load(norm + i) - 2 * vf_load(dot + i);
        vi better = score < b;
        vf loser = vf_select(better, b, score);

        s = vf_select(loser < s, loser, s);
        at = vi_select(better, here, at);
        b = vf_select(better, score, b);
    }
    for (int l = 0; l < LANES; l++) {
        if (s[l] < *second) *second = s[l];
        if (b[l] < *best) {
            *second = *best < *second ? *best : *second;
            *best = b[l];
            *index = at[l];
        } else if (b[l] < *second) {
            *second = b[l];
        }
    }
    for (; i < n; i++) {
        float score = norm[i] - 2 * dot[i];

        if (score < *best) {
            *second = *best;
            *best = score;
            *index = first + (int32_t)i;
        } else if (score < *second) {
            *second = score;
        }
    }
}

/* Best two scores of each row of the tile over all centroids. */
static void score_tile(struct tile *t, const struct centroids *c)
{
    for (int64_t i = 0; i < t->rows; i++) {
        t->best[i] = t->second[i] = INFINITY;
        t->index[i] = 0;
    }
    for (int64_t j = 0; j < c->nlist; j += TILE_COLS) {
        int64_t cols = c->nlist - j < TILE_COLS ? c->nlist - j : TILE_COLS;

        product(t->x, t->rows, c->c + j * c->d, cols, c->d, t->dot);
        for (int64_t i = 0; i < t->rows; i++)
            best_two(c->norm + j, t->dot + i * cols, cols, (int32_t)j, t->best + i, t->second + i,
                     t->index + i);
    }
}

/* Decides row i of the tile among the centroids whose score is at most limit. */
static void decide(const struct tile *t, const struct centroids *c, int64_t i, const float *dot,
                   int64_t first, int64_t cols, float limit, float *dist)
{
    for (int64_t j = 0; j < cols; j++) {
        const void *row = c->c + (first + j) * c->d;
        float exact;

        if (c->norm[first + j] - 2 * dot[j] > limit) continue;
        rows_distances(ELEM_F32, t->x + i * c->d, &row, 1, c->d, &exact);
        if (exact < *dist) { /* centroids come in order: a tie stays with the lower */
            *dist = exact;
            t->index[i] = (int32_t)(first + j);
        }
    }
}

/* A second product for the rows that the scores could not decide. */
static void decide_rows(struct tile *t, const struct centroids *c, const float *margin)
{
    float *dist = t->second; /* no longer needed */
    int64_t n = 0;

    for (int64_t i = 0; i < t->rows; i++) {
        if (t->second[i] - t->best[i] > 2 * margin[i]) continue;
        memcpy(t->again + n * c->d, t->x + i * c->d, (size_t)c->d * sizeof(float));
        t->undecided[n++] = (int32_t)i;
        t->index[i] = 0; /* the lowest, where every distance passes fp32 */
        dist[i] = INFINITY;
    }
    if (!n) return;
    for (int64_t j = 0; j < c->nlist; j += TILE_COLS) {
        int64_t cols = c->nlist - j < TILE_COLS ? c->nlist - j : TILE_COLS;

        product(t->again, n, c->c + j * c->d, cols, c->d, t->dot);
        for (int64_t u = 0; u < n; u++) {
            int64_t i = t->undecided[u];

            decide(t, c, i, t->dot + u * cols, j, cols, t->best[i] + 2 * margin[i], dist + i);
        }
    }
}

/* The sum of the rows' exact distances: scores of rows far from the origin say nothing of it. */
static double sum_distances(const struct tile *t, const struct centroids *c)
{
    double total = 0;

    for (int64_t i = 0; i < t->rows; i++) {
        const void *row = c->c + t->index[i] * (int64_t)c->d;
        float exact;

        rows_distances(ELEM_F32, t->x + i * c->d, &row, 1, c->d, &exact);
        total += exact;
    }
    return total;
}

/* One tile from start to end; *total (NULL is allowed) = the sum of its distances. */
static void assign_tile(struct tile *t, const struct mat *x, int64_t first,
                        const struct centroids *c, int32_t *list, double *total)
{
    float margin[TILE_ROWS];
    int whole;

    rows_to_f32(x->elem, (const char *)x->data.ptr + (size_t)(first * x->d) * elem_bytes(x->elem),
                t->rows * x->d, t->x);
    rows_norms(t->x, t->rows, x->d, t->norm);
    score_tile(t, c);
    whole = c->whole && rows_whole(t->x, t->rows * x->d);
    for (int64_t i = 0; i < t->rows; i++)
        margin[i] = product_margin(sqrt(t->norm[i]), c->max_norm, c->d, whole);
    decide_rows(t, c, margin);
    for (int64_t i = 0; i < t->rows; i++)
        list[first + i] = t->index[i];
    if (total) *total = sum_distances(t, c);
}

static int centroids_start(struct centroids *c, const struct mat *m)
{
    float max = 0;

    *c = (struct centroids){.c = m->data.ptr, .nlist = m->rows, .d = m->d};
    if (!(c->norm = mem_new(m->rows, sizeof *c->norm))) return ERR_NOMEM;
    rows_norms(c->c, c->nlist, c->d, c->norm);
    for (int64_t j = 0; j < c->nlist; j++)
        max = c->norm[j] > max ? c->norm[j] : max;
    c->max_norm = sqrt(max);
    c->whole = rows_whole(c->c, c->nlist * c->d);
    return 0;
}

/* The threads' regions, which stay, and the largest that a step has beside them: the means'. */
size_t cpu_train_bytes(int d, int64_t nlist, int m, int64_t rows, int threads)
{
    size_t order = (size_t)(nlist + 1 + rows) * sizeof(int64_t);
    size_t books = m ? (size_t)(KSUB * d) * sizeof(float) : 0;

    return (size_t)threads * tile_bytes(d) + (order > books ? order : books);
}

int cpu_assign(struct backend *b, const struct mat *x, const struct mat *c, struct buf list,
               double *total)
{
    struct cpu *cpu = cpu_of(b);
    struct centroids cents = {0};
    int64_t tiles = (x->rows + TILE_ROWS - 1) / TILE_ROWS;
    double *tile_total = NULL;
    int rc;

    if ((rc = centroids_start(&cents, c)) < 0) goto out;
    if ((rc = cpu_scratch(cpu, tile_bytes(x->d))) < 0) goto out;
    rc = ERR_NOMEM;
    if (!(tile_total = mem_new(tiles, sizeof *tile_total))) goto out;
#pragma omp parallel for schedule(dynamic) num_threads(cpu->threads)
    for (int64_t i = 0; i < tiles; i++) {
        struct tile t = tile_at(cpu_region(cpu), x->d);
        int64_t left = x->rows - i * TILE_ROWS;

        t.rows = left < TILE_ROWS ? left : TILE_ROWS;
        assign_tile(&t, x, i * TILE_ROWS, &cents, list.ptr, total ? tile_total + i : NULL);
    }
    if (total) *total = 0;
    for (int64_t i = 0; total && i < tiles; i++)
        *total += tile_total[i];
    rc = 0;
out:
    mem_free(tile_total);
    mem_free(cents.norm);
    return rc;
}
