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

/* The k first of all[n], padded; NaN distances are no answers. */
static void first_k(struct answer *all, int64_t n, int k, float *dist, vid *ids)
{
    int64_t kept = 0;

    for (int64_t i = 0; i < n; i++)
        if (!isnan(all[i].dist)) all[kept++] = all[i];
    qsort(all, (size_t)kept, sizeof *all, nearer);
    for (int i = 0; i < k; i++) {
        dist[i] = i < kept ? all[i].dist : INFINITY;
        ids[i] = i < kept ? all[i].id : -1;
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

void ref_search(const float *q, int64_t nq, const double *y, const int32_t *list, int64_t n,
                const float *c, int64_t nlist, int d, int k, int nprobe, float *dist, vid *ids)
{
    struct answer *all = malloc(((size_t)n + 1) * sizeof *all);
    float *probe_dist = malloc((size_t)nprobe * sizeof *probe_dist);
    vid *probe = malloc((size_t)nprobe * sizeof *probe);

    for (int64_t i = 0; i < nq; i++) {
        int64_t found = 0;

        ref_knn(c, nlist, q + i * d, 1, d, nprobe, probe_dist, probe);
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            int visited = 0;

            for (int p = 0; p < nprobe; p++)
                visited |= probe[p] == list[j];
            if (!visited) continue;
            for (int t = 0; t < d; t++) {
                double diff = q[i * d + t] - y[j * d + t];
                sum += diff * diff;
            }
            all[found++] = (struct answer){(float)sum, j};
        }
        first_k(all, found, k, dist + i * k, ids + i * k);
    }
    free(all);
    free(probe_dist);
    free(probe);
}
