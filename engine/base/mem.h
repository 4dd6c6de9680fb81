/*
 * Host memory. Every allocation of the project goes through here, so that sizes are checked
 * for overflow, a test can make the nth one fail, and a timed stage can be shown to make none.
 */
#ifndef IVF_MEM_H
#define IVF_MEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* *bytes = n * size; ERR_NOMEM where that passes what a size_t or an array can hold. */
int mem_bytes(size_t *bytes, int64_t n, size_t size);

/*
 * n zeroed elements of the given size, aligned to 64 bytes; NULL and ERR_NOMEM's text (which
 * names the bytes asked for) where there is no room. n == 0 gives a pointer that may be freed
 * but not followed. Free with mem_free. Threads: any.
 */
void *mem_new(int64_t n, size_t size);

/* Resizes to n elements as realloc does (new ones are not zeroed); on NULL the old one stands. */
void *mem_resize(void *ptr, int64_t n_old, int64_t n, size_t size);

/* A copy of s, of mem_new. */
char *mem_string(const char *s);

void mem_free(void *ptr); /* NULL is allowed */

/* Allocations made so far by all threads of the process. */
int64_t mem_count(void);

/* Tests: let the nth allocation from now (1: the next) fail, and those after it not; 0: none. */
void mem_fail_at(int64_t nth);

#ifdef __cplusplus
}
#endif
#endif
