/* The training vectors of a group, on its device. */
#ifndef IVF_BUILD_TRAINING_H
#define IVF_BUILD_TRAINING_H

#include "harness/build.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * x = the group's train_rows training vectors, of the type they have on disk: the first, or (with
 * train.sample: random) rows drawn by the trial's seed, each set of so many as likely as any other,
 * in the order of the file. The caller releases x, also after a failure.
 */
int build_training(struct build *b, struct mat *x);

/*
 * *rows = the numbers of `count` of n rows, ascending, drawn by seed (selection sampling: Knuth,
 * TAOCP 2, 3.4.2, algorithm S). The same on every machine; mem_free it.
 */
int build_sample(int64_t **rows, int64_t count, int64_t n, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif
