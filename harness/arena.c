#include "harness/arena.h"

#include <string.h>

#include "engine/base/mem.h"

enum { CHUNK = 32 << 10, ALIGN = 16 };

struct arena_chunk {
    struct arena_chunk *before;
    size_t used, size;
    unsigned char *bytes;
};

static struct arena_chunk *chunk_new(struct arena *a, size_t bytes)
{
    size_t size = bytes > CHUNK ? bytes : CHUNK;
    struct arena_chunk *c = mem_new((int64_t)(sizeof *c + size), 1);

    if (!c) return NULL;
    c->before = a->last;
    c->size = size;
    c->bytes = (unsigned char *)(c + 1);
    return a->last = c;
}

void *arena_new(struct arena *a, int64_t n, size_t size)
{
    struct arena_chunk *c = a->last;
    size_t bytes = 0;
    void *piece;

    if (mem_bytes(&bytes, n, size) < 0) return NULL;
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if ((!c || c->size - c->used < bytes) && !(c = chunk_new(a, bytes))) return NULL;
    piece = c->bytes + c->used;
    c->used += bytes;
    return piece;
}

char *arena_copy(struct arena *a, const char *s, int64_t n)
{
    char *copy = arena_new(a, n + 1, 1);

    return copy ? memcpy(copy, s, (size_t)n) : NULL;
}

char *arena_string(struct arena *a, const char *s)
{
    return arena_copy(a, s, (int64_t)strlen(s));
}

void arena_clear(struct arena *a)
{
    struct arena_chunk *before;

    for (; a->last; a->last = before) {
        before = a->last->before;
        mem_free(a->last);
    }
}
