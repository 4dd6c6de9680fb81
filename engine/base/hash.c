#include "engine/base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"

struct hasher {
    XXH3_state_t state;
};

static struct hash to_hex(XXH128_hash_t h)
{
    struct hash out;

    snprintf(out.hex, sizeof out.hex, "%016llx%016llx", (unsigned long long)h.high64,
             (unsigned long long)h.low64);
    return out;
}

struct hash hash_bytes(const void *bytes, size_t n)
{
    return to_hex(XXH3_128bits(bytes, n));
}

struct hash hash_string(const char *s)
{
    return hash_bytes(s, strlen(s));
}

int hasher_create(struct hasher **out)
{
    struct hasher *h = mem_new(1, sizeof *h);

    if (!h) return ERR_NOMEM;
    XXH3_128bits_reset(&h->state);
    *out = h;
    return 0;
}

void hasher_free(struct hasher *h)
{
    mem_free(h);
}

void hasher_add(struct hasher *h, const void *bytes, size_t n)
{
    XXH3_128bits_update(&h->state, bytes, n);
}

void hasher_add_string(struct hasher *h, const char *s)
{
    hasher_add(h, s, strlen(s) + 1);
}

struct hash hasher_end(const struct hasher *h)
{
    return to_hex(XXH3_128bits_digest(&h->state));
}

int hash_file(struct hash *out, const char *path)
{
    enum { CHUNK = 1 << 16 };
    struct hasher *h = NULL;
    char *chunk = NULL;
    FILE *f = NULL;
    size_t n;
    int rc;

    if ((rc = hasher_create(&h)) < 0) goto out;
    rc = ERR_NOMEM;
    if (!(chunk = mem_new(CHUNK, 1))) goto out;
    if (!(f = fopen(path, "rb"))) {
        rc = fail_errno(ERR_IO, errno, "%s", path);
        goto out;
    }
    while ((n = fread(chunk, 1, CHUNK, f)) > 0)
        hasher_add(h, chunk, n);
    if (ferror(f)) {
        rc = fail_errno(ERR_IO, errno, "%s", path);
        goto out;
    }
    *out = hasher_end(h);
    rc = 0;
out:
    if (f) fclose(f);
    mem_free(chunk);
    hasher_free(h);
    return rc;
}
