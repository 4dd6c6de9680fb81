#include "engine/cache.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/file.h"

static const char MAGIC[8] = {'i', 'v', 'f', 'c', 'a', 'c', 'h', 'e'};
enum { FORMAT = 2, KIND = 16 };

/* Host byte order: a cache is not carried between machines of different ones, and a file that
   is fails the format number. */
struct header {
    char magic[8];
    int64_t format;
    char kind[KIND];
    char identity[40];
    int64_t ns;
    int64_t bytes[CACHE_PARTS];
    char checksum[40]; /* of the header, this field empty, and the parts */
};

int cache_path(struct text *out, const struct cache_artifact *a)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (xdg && *xdg)
        text_addf(out, "%s/ivfbench/", xdg);
    else if (home && *home)
        text_addf(out, "%s/.cache/ivfbench/", home);
    else
        return fail(ERR_INVALID, "no place for the cache: neither XDG_CACHE_HOME nor HOME is set");
    text_addf(out, "%s-%s", a->kind, a->identity.hex);
    return text_failed(out);
}

static struct header describe(const struct cache_artifact *a)
{
    struct header h = {.format = FORMAT, .ns = a->ns};

    assert(strlen(a->kind) < KIND);
    memcpy(h.magic, MAGIC, sizeof MAGIC);
    snprintf(h.kind, sizeof h.kind, "%s", a->kind);
    snprintf(h.identity, sizeof h.identity, "%s", a->identity.hex);
    for (int i = 0; i < CACHE_PARTS; i++)
        h.bytes[i] = a->part[i].bytes;
    return h;
}

/* Of h, whose checksum is empty, and the parts as they stand in memory. */
static int checksum(struct hash *out, const struct header *h, const struct cache_artifact *a)
{
    struct hasher *hasher;
    int rc;

    if ((rc = hasher_create(&hasher)) < 0) return rc;
    hasher_add(hasher, h, sizeof *h);
    for (int i = 0; i < CACHE_PARTS; i++)
        if (a->part[i].bytes) hasher_add(hasher, a->part[i].ptr, (size_t)a->part[i].bytes);
    *out = hasher_end(hasher);
    hasher_free(hasher);
    return 0;
}

int cache_save(const struct cache_artifact *a)
{
    struct header h = describe(a);
    struct text path = {0};
    struct file *f = NULL;
    struct hash sum;
    int rc;

    if ((rc = checksum(&sum, &h, a)) < 0) goto out;
    snprintf(h.checksum, sizeof h.checksum, "%s", sum.hex);
    if ((rc = cache_path(&path, a)) < 0) goto out;
    if ((rc = file_mkdirs_above(text_get(&path))) < 0) goto out;
    if ((rc = file_create(&f, text_get(&path))) < 0) goto out;
    if ((rc = file_write(f, &h, sizeof h)) < 0) goto out;
    for (int i = 0; i < CACHE_PARTS; i++)
        if (a->part[i].bytes && (rc = file_write(f, a->part[i].ptr, a->part[i].bytes)) < 0)
            goto out;
    rc = file_commit(f);
    f = NULL;
out:
    file_discard(f);
    text_clear(&path);
    return rc;
}

/* What is wrong with a header, NULL if nothing. */
static const char *misfit(const struct header *got, const struct header *want)
{
    if (memcmp(got->magic, want->magic, sizeof got->magic) != 0) return "not a cache file";
    if (got->format != want->format) return "of another version's format";
    if (memcmp(got->kind, want->kind, sizeof got->kind) != 0 ||
        memcmp(got->identity, want->identity, sizeof got->identity) != 0 ||
        memcmp(got->bytes, want->bytes, sizeof got->bytes) != 0)
        return "of something else";
    return NULL;
}

/* Fills a from f; *fault says what is wrong with the file, NULL if nothing. */
static int load(struct cache_artifact *a, FILE *f, const char **fault)
{
    struct header want = describe(a), got;
    char stored[sizeof got.checksum];
    struct hash sum;
    int rc;

    *fault = "shorter than it says";
    if (fread(&got, sizeof got, 1, f) != 1) return 0;
    if ((*fault = misfit(&got, &want))) return 0;
    *fault = "shorter than it says";
    for (int i = 0; i < CACHE_PARTS; i++)
        if (a->part[i].bytes && fread(a->part[i].ptr, (size_t)a->part[i].bytes, 1, f) != 1)
            return 0;
    *fault = "longer than it says";
    if (fgetc(f) != EOF) return 0;
    memcpy(stored, got.checksum, sizeof stored);
    memset(got.checksum, 0, sizeof got.checksum);
    if ((rc = checksum(&sum, &got, a)) < 0) return rc;
    *fault = memcmp(stored, sum.hex, sizeof sum.hex) == 0 ? NULL : "damaged: its checksum differs";
    a->ns = got.ns;
    return 0;
}

int cache_load(struct cache_artifact *a, struct text *warning)
{
    const char *fault = NULL;
    struct text path = {0};
    FILE *f = NULL;
    int rc = 0;

    if (cache_path(&path, a) < 0) {
        rc = text_failed(&path);
        goto out;
    }
    if (!(f = fopen(text_get(&path), "rb"))) {
        if (errno != ENOENT) fault = strerror(errno);
        goto out;
    }
    if ((rc = load(a, f, &fault)) < 0) goto out;
    rc = !fault;
out:
    if (fault) text_addf(warning, "cache: %s is %s; made again", text_get(&path), fault);
    if (f) fclose(f);
    text_clear(&path);
    return rc;
}
