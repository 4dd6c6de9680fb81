#include "harness/timing.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int64_t SECOND = 1000000000;

static int64_t sum(const int64_t *ns, int n)
{
    int64_t total = 0;

    for (int i = 0; i < n; i++)
        total += ns[i];
    return total;
}

int timing_warming(const int64_t *ns, int n, int64_t fixed)
{
    assert(n >= 1);
    if (n >= TIMING_PASSES) return 0;
    if (fixed != TIMING_AUTO) return n - 1 < fixed;
    if (n >= 3 || sum(ns, n) >= 2 * SECOND) return 0;
    return n < 2 || llabs(ns[n - 1] - ns[n - 2]) * 20 > ns[n - 2];
}

int timing_more(const int64_t *ns, int n, int64_t fixed)
{
    int least;

    if (n >= TIMING_PASSES) return 0;
    if (fixed != TIMING_AUTO) return n < fixed;
    if (n == 0) return 1;
    least = timing_quantile(ns, n, 0.5) > 2.0 * (double)SECOND ? 3 : 5;
    if (n < least) return 1;
    if (n >= 100 || sum(ns, n) >= SECOND) return 0;
    return timing_spread(ns, n) / sqrt(n) >= 0.01;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

double timing_quantile(const int64_t *ns, int n, double q)
{
    int64_t sorted[TIMING_PASSES];
    double at = q * (n - 1);
    int lo = (int)at, hi = lo + 1 < n ? lo + 1 : lo;

    assert(n >= 1 && n <= TIMING_PASSES);
    memcpy(sorted, ns, (size_t)n * sizeof *ns);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    return (double)sorted[lo] + (at - lo) * (double)(sorted[hi] - sorted[lo]);
}

double timing_spread(const int64_t *ns, int n)
{
    double median = timing_quantile(ns, n, 0.5);

    return median > 0 ? (timing_quantile(ns, n, 0.75) - timing_quantile(ns, n, 0.25)) / median : 0;
}
