#include "harness/timing.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "engine/base/stats.h"

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

double timing_quantile(const int64_t *ns, int n, double q)
{
    double x[TIMING_PASSES];

    assert(n >= 1 && n <= TIMING_PASSES);
    for (int i = 0; i < n; i++)
        x[i] = (double)ns[i];
    return stats_quantile(x, n, q);
}

double timing_spread(const int64_t *ns, int n)
{
    double median = timing_quantile(ns, n, 0.5);

    return median > 0 ? (timing_quantile(ns, n, 0.75) - timing_quantile(ns, n, 0.25)) / median : 0;
}
