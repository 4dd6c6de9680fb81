/* A store filled with made-up but plausible trials, for tests of what reads one. */
#ifndef IVF_FAKE_H
#define IVF_FAKE_H

#include "results/store.h"

/* A run of the spec "fake" on the machine "m1" with software identity "s1". */
int64_t fake_run(struct store *db);

/* The same with other words; NULL: as fake_run's. */
int64_t fake_run_as(struct store *db, const char *spec, const char *machine, const char *software);

/* A trial of IVF1024,<PQ16|Flat> on "toys", its identity made of what follows. */
struct store_trial fake_trial(int64_t run, const char *index, int64_t seed, int nprobe);

enum { FAKE_REPEATS = 5, FAKE_METRICS = 6 };

/* Begins, fills and ends it: recalls rise with nprobe, PQ's stay below, times too. */
int fake_store(struct store *db, const struct store_trial *t, enum store_status status);

/* A sweep: two indexes x 3 seeds x nprobe 1, 2, 4, ... 256, one trial failed, one skipped. */
int64_t fake_sweep(struct store *db);

#endif
