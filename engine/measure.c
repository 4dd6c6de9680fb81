#include "engine/measure.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double mean_share(const uint16_t *hits, int64_t nq, int r)
{
    int64_t sum = 0;

    for (int64_t i = 0; i < nq; i++)
        sum += hits[i];
    return nq ? (double)sum / ((double)nq * r) : 0;
}

double measure_recall_1(const vid *ids, const vid *truth, int64_t nq, int k, int truth_k, int r,
                        uint16_t *hits)
{
    assert(r >= 1 && r <= k && truth_k >= 1);
    for (int64_t i = 0; i < nq; i++) {
        vid nearest = truth[i * truth_k];

        hits[i] = 0;
        for (int j = 0; j < r && nearest >= 0 && !hits[i]; j++)
            hits[i] = ids[i * k + j] == nearest;
    }
    return mean_share(hits, nq, 1);
}

static int by_id(const void *a, const void *b)
{
    vid x = *(const vid *)a, y = *(const vid *)b;

    return (x > y) - (x < y);
}

/* sorted[count] = the ids of row[r] that are not -1; with `once`, each once. Returns count. */
static int sort_ids(vid *sorted, const vid *row, int r, int once)
{
    int count = 0, kept = 0;

    for (int j = 0; j < r; j++)
        if (row[j] >= 0) sorted[count++] = row[j];
    qsort(sorted, (size_t)count, sizeof *sorted, by_id);
    if (!once) return count;
    for (int j = 0; j < count; j++)
        if (!kept || sorted[kept - 1] != sorted[j]) sorted[kept++] = sorted[j];
    return kept;
}

/* How many ids two ascending rows share. */
static int count_shared(const vid *a, int na, const vid *b, int nb)
{
    int shared = 0;

    for (int i = 0, j = 0; i < na && j < nb;) {
        vid x = a[i], y = b[j];

        shared += x == y;
        i += x <= y;
        j += y <= x;
    }
    return shared;
}

double measure_intersection(const vid *ids, const vid *truth, int64_t nq, int k, int truth_k, int r,
                            uint16_t *hits)
{
    vid found[K_MAX], known[K_MAX];

    assert(r >= 1 && r <= K_MAX && r <= k && r <= truth_k);
    for (int64_t i = 0; i < nq; i++) {
        int nfound = sort_ids(found, ids + i * k, r, 1);
        int nknown = sort_ids(known, truth + i * truth_k, r, 1);

        hits[i] = (uint16_t)count_shared(found, nfound, known, nknown);
    }
    return mean_share(hits, nq, r);
}

double measure_recall_tie(const float *dist, const float *kth, int64_t nq, int k, int r,
                          uint16_t *hits)
{
    assert(r >= 1 && r <= K_MAX && r <= k);
    for (int64_t i = 0; i < nq; i++) {
        hits[i] = 0;
        for (int j = 0; j < r; j++)
            hits[i] += isfinite(dist[i * k + j]) && dist[i * k + j] <= kth[i];
    }
    return mean_share(hits, nq, r);
}

int64_t measure_repeated_id(const vid *ids, int64_t nq, int k)
{
    vid sorted[K_MAX];

    assert(k >= 1 && k <= K_MAX);
    for (int64_t i = 0; i < nq; i++) {
        int count = sort_ids(sorted, ids + i * k, k, 0);

        for (int j = 1; j < count; j++)
            if (sorted[j] == sorted[j - 1]) return i;
    }
    return -1;
}

float measure_distance(const float *a, const float *b, int d)
{
    double sum = 0;

    for (int t = 0; t < d; t++) {
        double diff = (double)a[t] - (double)b[t];

        sum += diff * diff;
    }
    return (float)sum;
}
