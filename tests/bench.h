/*
 * What the measuring programs share: a piece of work is run several times and becomes a line that
 * sets its time beside its floor, the least time that any version of it could take.
 */
#ifndef IVF_BENCH_H
#define IVF_BENCH_H

#include <stdio.h>

#include "engine/backend.h"
#include "engine/base/fail.h"

/*
 * What an H200 does at most, measured on one by large copies and products (DESIGN, section 5): the
 * ceilings that every floor is taken from, whatever runs.
 */
static const double BENCH_PRODUCTS = 745e12; /* fp16 products, operations a second */
static const double BENCH_MEMORY = 4.1e12;   /* device memory, bytes read and written a second */
static const double BENCH_BUS = 50e9;        /* from host memory, bytes a second */

enum { BENCH_REPEATS_MAX = 100 };

struct bench {
    struct backend *b;
    double scale;          /* of rows, lists and queries */
    int repeats;           /* instead of a job's own; 0: the job's own */
    const char *folder;    /* where sets are written for other programs; NULL: nowhere */
    FILE *csv;             /* NULL: none */
    const char *csv_about; /* the first cells of its lines: date, commit, device */
    const char *section;
};

/* The least a piece of work can do: each input read once, each output written once. */
struct bench_work {
    double products; /* operations that have the form of a matrix product; two a multiply-add */
    double memory;   /* bytes of device memory */
    double bus;      /* bytes from host memory */
};

struct bench_job {
    char name[100];
    struct bench_work work;
    int repeats, warm; /* timed runs; runs before them */
    int64_t times;     /* what a run does so often that one is too short; 0: once. Times and work
                          are of one. */
    int (*run)(void *arg);
    int (*clear)(void *arg); /* after each run, not timed; NULL: nothing */
    void *arg;
    const char *note; /* printed after the runs, which may write it; NULL: none */
};

/* n scaled, at least `least`. */
int64_t bench_scaled(const struct bench *t, int64_t n, int64_t least);

/* The caption of the columns that bench_run prints. */
void bench_caption(void);

/*
 * Runs the job and prints its line: the host's time, from call to return, and beside it the device's.
 * The share is the floor's of the host's time.
 */
int bench_run(const struct bench *t, const struct bench_job *job);

/* A line of text between the others; not in the CSV. */
void bench_say(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
