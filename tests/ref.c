#include "tests/ref.h"

#include <math.h>
#include <stdlib.h>

struct answer {
    float dist;
    vid id;
};

float ref_distance(const float *a, const float *b, int d)
{
    double sum = 0;

    for (int j = 0; j < d; j++) {
        double diff = (double)a[j] - b[j];
        sum += diff * diff;
    }
    return (float)sum;
}

static int nearer(const void *a, const void *b)
{
    const struct answer *x = a, *y = b;

    if (x->dist != y->dist) return x->dist < y->dist ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Sorts all[n] without the NaN; returns how many that leaves. */
static int64_t sort_answers(struct answer *all, int64_t n)
{
    int64_t kept = 0;

    for (int64_t i = 0; i < n; i++)
        if (!isnan(all[i].dist)) all[kept++] = all[i];
    qsort(all, (size_t)kept, sizeof *all, nearer);
    return kept;
}

/* The k first of all[n], padded; a distance that is not finite is no answer. */
static void first_k(struct answer *all, int64_t n, int k, float *dist, vid *ids)
{
    int64_t kept = sort_answers(all, n);

    for (int i = 0; i < k; i++) {
        int is = i < kept && all[i].dist < INFINITY;

        dist[i] = is ? all[i].dist : INFINITY;
        ids[i] = is ? all[i].id : -1;
    }
}

void ref_knn(const float *x, int64_t n, const float *q, int64_t nq, int d, int k, float *dist,
             vid *ids)
{
    struct answer *all = malloc(((size_t)n + 1) * sizeof *all);

    for (int64_t i = 0; i < nq; i++) {
        for (int64_t j = 0; j < n; j++)
            all[j] = (struct answer){ref_distance(q + i * d, x + j * d, d), j};
        first_k(all, n, k, dist + i * k, ids + i * k);
    }
    free(all);
}

void ref_assign(const float *x, int64_t n, const float *c, int64_t nlist, int d, int32_t *list)
{
    for (int64_t i = 0; i < n; i++) {
        float best = INFINITY;

        list[i] = -1;
        for (int64_t j = 0; j < nlist; j++) {
            float dist = ref_distance(x + i * d, c + j * d, d);

            if (dist < best || (list[i] < 0 && !isnan(dist))) {
                best = dist;
                list[i] = (int32_t)j;
            }
        }
    }
}

void ref_means(const float *x, int64_t n, int d, const int32_t *list, int64_t nlist, float *c,
               int64_t *count)
{
    double *sum = calloc((size_t)nlist * (size_t)d + 1, sizeof *sum);

    for (int64_t j = 0; j < nlist; j++)
        count[j] = 0;
    for (int64_t i = 0; i < n; i++) {
        count[list[i]]++;
        for (int t = 0; t < d; t++)
            sum[list[i] * (int64_t)d + t] += x[i * d + t];
    }
    for (int64_t j = 0; j < nlist * d; j++)
        if (count[j / d]) c[j] = (float)(sum[j] / (double)count[j / d]);
    free(sum);
}

void ref_transform(const struct transform *t, const float *x, int64_t n, float *out)
{
    for (int64_t r = 0; r < n * t->d_out; r++) {
        const float *row = x + r / t->d_out * t->d_in;
        int64_t i = r % t->d_out;
        double sum = 0;

        for (int j = 0; j < t->d_in; j++)
            sum += (double)t->a[i * t->d_in + j] * row[j];
        out[r] = (float)(sum + (t->b ? t->b[i] : 0));
    }
}

void ref_encode(const float *r, int64_t n, int d, int m, const float *books, uint8_t *code,
                double *err)
{
    int dsub = d / m;

    for (int s = 0; s < m; s++)
        err[s] = 0;
    for (int64_t i = 0; i < n * m; i++) {
        const float *slice = r + i * dsub, *book = books + i % m * KSUB * dsub;
        float best = INFINITY;

        code[i] = 0;
        for (int w = 0; w < KSUB; w++) {
            float sum = 0;

            for (int t = 0; t < dsub; t++) {
                float diff = slice[t] - book[w * dsub + t];
                sum += diff * diff;
            }
            if (sum < best) {
                best = sum;
                code[i] = (uint8_t)w;
            }
        }
        err[i % m] += best;
    }
}

void ref_decode(const uint8_t *code, int64_t n, int d, int m, const float *books, const float *c,
                const int32_t *list, double *y)
{
    int dsub = d / m;

    for (int64_t i = 0; i < n; i++) {
        for (int t = 0; t < d; t++) {
            int s = t / dsub;
            float word = books[(s * KSUB + code[i * m + s]) * dsub + t % dsub];

            y[i * d + t] = (double)c[list[i] * (int64_t)d + t] + (double)word;
        }
    }
}

/* visit[j] = whether list j is among the nprobe nearest to q. */
static void nearest_lists(const float *q, const float *c, int64_t nlist, int d, int nprobe,
                          char *visit)
{
    struct answer *all = malloc((size_t)nlist * sizeof *all);
    int64_t kept;

    for (int64_t j = 0; j < nlist; j++) {
        all[j] = (struct answer){ref_distance(q, c + j * d, d), j};
        visit[j] = 0;
    }
    kept = sort_answers(all, nlist);
    for (int64_t p = 0; p < nprobe && p < kept; p++)
        visit[all[p].id] = 1;
    free(all);
}

void ref_search(const float *q, int64_t nq, const double *y, const int32_t *list, int64_t n,
                const float *c, int64_t nlist, int d, int k, int nprobe, float *dist, vid *ids)
{
    struct answer *all = malloc(((size_t)n + 1) * sizeof *all);
    char *visit = malloc((size_t)nlist);

    for (int64_t i = 0; i < nq; i++) {
        int64_t found = 0;

        nearest_lists(q + i * d, c, nlist, d, nprobe, visit);
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;

            if (!visit[list[j]]) continue;
            for (int t = 0; t < d; t++) {
                double diff = q[i * d + t] - y[j * d + t];
                sum += diff * diff;
            }
            all[found++] = (struct answer){(float)sum, j};
        }
        first_k(all, found, k, dist + i * k, ids + i * k);
    }
    free(all);
    free(visit);
}
