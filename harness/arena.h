/* Memory of what dies together (a spec, a plan): many small pieces, one clear. */
#ifndef IVF_ARENA_H
#define IVF_ARENA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct arena_chunk;

/* A zeroed struct is a valid empty arena. One thread at a time. */
struct arena {
    struct arena_chunk *last;
};

/* n zeroed elements of the given size, valid until arena_clear; NULL as mem_new gives it. */
void *arena_new(struct arena *a, int64_t n, size_t size);

/* A copy of the first n bytes of s, and a NUL. */
char *arena_copy(struct arena *a, const char *s, int64_t n);
char *arena_string(struct arena *a, const char *s);

void arena_clear(struct arena *a);

#ifdef __cplusplus
}
#endif
#endif
