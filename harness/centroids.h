/*
 * Coarse centroids as a file, f32 [nlist][d]: a .npy that NumPy and Faiss take and give, so that two
 * engines can have the same lists. Any format of vectors is read.
 */
#ifndef IVF_CENTROIDS_H
#define IVF_CENTROIDS_H

#include "engine/base/hash.h"
#include "engine/base/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a plan must know; a zeroed one: none given. */
struct centroids {
    int64_t nlist;
    int d;
    struct hash content; /* of the whole file */
};

/* ERR_FORMAT where they are not f32; else as rowfile_open. */
int centroids_look(struct centroids *out, const char *path);

/* *c = [nlist][d], which the file must have (ERR_FORMAT), all finite (ERR_FORMAT names the row);
   mem_free it. */
int centroids_read(float **c, const char *path, int64_t nlist, int d);

/* ERR_INVALID where no centroids can go to a file that pattern names. */
int centroids_can_be(const char *pattern);

/* Appends pattern with {index} and {seed} filled in. */
void centroids_path(struct text *out, const char *pattern, const char *index, int64_t seed);

/* c[nlist][d] to path, whole or not at all, with the folders above it. */
int centroids_write(const char *path, const float *c, int64_t nlist, int d);

#ifdef __cplusplus
}
#endif
#endif
