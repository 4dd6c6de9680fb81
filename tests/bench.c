#include "tests/bench.h"

#include <stdarg.h>

#include "engine/base/clock.h"
#include "engine/base/stats.h"

/* Seconds of each timed run. */
struct times {
    int count;
    double host[BENCH_REPEATS_MAX], device[BENCH_REPEATS_MAX];
};

int64_t bench_scaled(const struct bench *t, int64_t n, int64_t least)
{
    int64_t scaled = (int64_t)((double)n * t->scale);

    return scaled < least ? least : scaled;
}

void bench_say(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

void bench_caption(void)
{
    bench_say("%-66s %10s %10s   %10s %10s %10s   %10s %10s %-8s %6s", "work; times in ms",
              "median", "least", "most", "device", "least", "most", "floor", "is", "share");
}

static double largest(double a, double b)
{
    return a > b ? a : b;
}

/* Device seconds since the last call; 0 where host = device. */
static int device_seconds(struct backend *b, double *out)
{
    int64_t ns = 0;
    int rc;

    if (b->ops->device_ns && (rc = b->ops->device_ns(b, &ns)) < 0) return rc;
    *out = (double)ns * 1e-9;
    return 0;
}

static int run_once(const struct bench *t, const struct bench_job *job, struct times *times)
{
    double host, device, count = job->times ? (double)job->times : 1;
    int64_t start;
    int rc;

    if ((rc = device_seconds(t->b, &device)) < 0) return rc; /* what preparing took */
    start = clock_ns();
    rc = job->run(job->arg);
    host = (double)(clock_ns() - start) * 1e-9;
    if (rc < 0 || (rc = device_seconds(t->b, &device)) < 0) return rc;
    times->host[times->count] = host / count;
    times->device[times->count] = device / count;
    return job->clear ? job->clear(job->arg) : 0;
}

static void print_csv(const struct bench *t, const struct bench_job *job, const struct times *times,
                      double median, double device, const double floors[3])
{
    if (!t->csv) return;
    fprintf(t->csv, "%s,%s,\"%s\",%d,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,\"%s\"\n",
            t->csv_about, t->section, job->name, times->count, median, times->host[0],
            times->host[times->count - 1], device, times->device[0],
            times->device[times->count - 1], floors[0], floors[1], floors[2],
            job->note ? job->note : "");
    fflush(t->csv);
}

static void print_line(const struct bench *t, const struct bench_job *job, struct times *times)
{
    static const char *const kinds[] = {"products", "memory", "bus"};
    const double floors[] = {job->work.products / BENCH_PRODUCTS, job->work.memory / BENCH_MEMORY,
                             job->work.bus / BENCH_BUS};
    double least = largest(floors[0], largest(floors[1], floors[2]));
    double median = stats_median(times->host, times->count); /* sorts */
    double device = stats_median(times->device, times->count);
    int kind = floors[1] == least ? 1 : 0;

    if (floors[2] == least) kind = 2;
    bench_say("%-66s %10.3f %10.3f ... %8.3f %10.3f %10.3f ... %8.3f %10.4f %-8s %5.1f%%",
              job->name, 1e3 * median, 1e3 * times->host[0], 1e3 * times->host[times->count - 1],
              1e3 * device, 1e3 * times->device[0], 1e3 * times->device[times->count - 1],
              1e3 * least, kinds[kind], 100 * least / median);
    if (job->note && *job->note) bench_say("    %s", job->note);
    print_csv(t, job, times, median, device, floors);
}

int bench_run(const struct bench *t, const struct bench_job *job)
{
    struct times times = {0};
    int repeats = t->repeats ? t->repeats : job->repeats, rc;

    for (int i = -job->warm; i < repeats; i++) {
        if ((rc = run_once(t, job, &times)) < 0) return fail_in(rc, "%s", job->name);
        if (i >= 0) times.count++;
    }
    print_line(t, job, &times);
    return 0;
}
