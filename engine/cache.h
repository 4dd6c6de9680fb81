/*
 * What took long to make, on disk: a file an artifact under $XDG_CACHE_HOME/ivfbench
 * (~/.cache/ivfbench), named by its kind and the hash of everything that shapes it. Files
 * appear whole or not at all and carry a checksum; one that is torn, corrupt or foreign is
 * passed over, to be made again. Losing the folder loses nothing but time.
 */
#ifndef IVF_CACHE_H
#define IVF_CACHE_H

#include "engine/base/hash.h"
#include "engine/base/text.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CACHE_PARTS = 4 };

/* An artifact: up to four arrays, and the nanoseconds it once took to make. */
struct cache_artifact {
    const char *kind; /* "model", "truth": at most 15 letters */
    struct hash identity;
    struct {
        void *ptr; /* the caller's; NULL beside 0 bytes */
        int64_t bytes;
    } part[CACHE_PARTS];
    int64_t ns;
};

/*
 * Fills the parts, whose sizes must be what the file holds, and ns. 1: found; 0: not there, or
 * not usable, and then warning says why and which file (it stays empty for a plain miss); the
 * parts' content is then undefined. ERR_NOMEM is the only failure.
 */
int cache_load(struct cache_artifact *a, struct text *warning);

/* Writes it, replacing what was there. ERR_IO where the folder cannot be written. */
int cache_save(const struct cache_artifact *a);

/* Appends the path of an artifact's file. ERR_INVALID where there is no place for a cache. */
int cache_path(struct text *out, const struct cache_artifact *a);

#ifdef __cplusplus
}
#endif
#endif
