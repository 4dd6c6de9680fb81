#include "engine/base/stats.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double stats_quantile(double *x, int64_t n, double p)
{
    double at = p * (double)(n - 1);
    int64_t below = (int64_t)floor(at);

    if (n == 0) return NAN;
    qsort(x, (size_t)n, sizeof *x, ascending);
    if (below + 1 >= n) return x[n - 1];
    return x[below] + (at - (double)below) * (x[below + 1] - x[below]);
}

double stats_median(double *x, int64_t n)
{
    return stats_quantile(x, n, 0.5);
}
