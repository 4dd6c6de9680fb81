/*
 * Identity of content: 128 bits of XXH3 (Collet, xxhash.com), written as 32 hex digits. Not
 * against an attacker: against chance, stale caches and torn files. The same bytes give the
 * same digest on every machine.
 */
#ifndef IVF_HASH_H
#define IVF_HASH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hash {
    char hex[33]; /* 32 digits and a NUL */
};

struct hasher; /* a digest in the making */

struct hash hash_bytes(const void *bytes, size_t n);
struct hash hash_string(const char *s);

int hasher_create(struct hasher **out);
void hasher_free(struct hasher *h);
void hasher_add(struct hasher *h, const void *bytes, size_t n);
void hasher_add_string(struct hasher *h,
                       const char *s); /* with its NUL, so that parts stay apart */
struct hash hasher_end(const struct hasher *h);

/* The digest of a whole file's bytes. */
int hash_file(struct hash *out, const char *path);

#ifdef __cplusplus
}
#endif
#endif
