/* Some of the rows of a training set, drawn as Faiss does (fvecs_maybe_subsample). */
#ifndef IVF_SAMPLE_H
#define IVF_SAMPLE_H

#include "engine/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Which of the first `rows` rows: all in order where they are at most `most`, else the first
 * `most` of a permutation. *picked (of mem_new, *count long) is the caller's.
 */
int sample_pick(int64_t **picked, int64_t *count, int64_t rows, int64_t most, uint32_t seed);

/* Those rows of x as f32 in *out, whose data is the caller's to release, even after a failure. */
int sample_rows(struct backend *b, const struct mat *x, int64_t rows, int64_t most, uint32_t seed,
                struct mat *out);

#ifdef __cplusplus
}
#endif
#endif
