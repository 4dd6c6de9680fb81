#include "engine/base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/fail.h"

enum { ALIGN = 64 }; /* a cache line, and the widest vector register */

static _Atomic int64_t count;
static _Atomic int64_t fail_at; /* tests only: count at which to fail; 0: never */

int mem_bytes(size_t *bytes, int64_t n, size_t size)
{
    if (n < 0 || (size && (uint64_t)n > (uint64_t)(PTRDIFF_MAX - ALIGN) / size))
        return fail(ERR_NOMEM, "%lld elements of %zu bytes are more than memory can hold",
                    (long long)n, size);
    *bytes = (size_t)n * size;
    return 0;
}

void *mem_new(int64_t n, size_t size)
{
    size_t bytes = 0;
    char *raw;

    if (mem_bytes(&bytes, n, size) < 0) return NULL;
    if (atomic_fetch_add(&count, 1) + 1 == atomic_load(&fail_at)) {
        fail(ERR_NOMEM, "out of memory: %zu bytes (a test's doing)", bytes);
        return NULL;
    }
    /* calloc: zero pages cost nothing until touched. The word before ptr is what to free. */
    if ((raw = calloc(1, bytes + 2 * ALIGN))) {
        char *ptr = raw + 2 * ALIGN - (uintptr_t)raw % ALIGN;

        ((void **)(void *)ptr)[-1] = raw;
        return ptr;
    }
    fail(ERR_NOMEM, "out of memory: %zu bytes", bytes);
    return NULL;
}

void *mem_resize(void *ptr, int64_t n_old, int64_t n, size_t size)
{
    void *grown = mem_new(n, size);

    if (!grown) return NULL;
    if (ptr) memcpy(grown, ptr, (size_t)(n_old < n ? n_old : n) * size);
    mem_free(ptr);
    return grown;
}

char *mem_string(const char *s)
{
    size_t bytes = strlen(s) + 1;
    char *copy = mem_new((int64_t)bytes, 1);

    return copy ? memcpy(copy, s, bytes) : NULL;
}

void mem_free(void *ptr)
{
    if (ptr) free(((void **)ptr)[-1]);
}

int64_t mem_count(void)
{
    return atomic_load(&count);
}

void mem_fail_at(int64_t nth)
{
    atomic_store(&fail_at, nth ? atomic_load(&count) + nth : 0);
}
