/*
 * Hostile vecs files. The first byte of the input chooses the format, the rest is the file: as
 * base and queries at once, or as the truth of a good set. Whatever it holds, opening and
 * reading end with an answer or with a code and a text; what is read is what the file holds.
 */
#include "tests/vecs_files.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const char *put_file(const char *name, const uint8_t *bytes, size_t n)
{
    const char *path = at(name);
    FILE *f = fopen(path, "wb");

    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) abort();
    return path;
}

static void check_text(int rc)
{
    if (rc < 0 && !*fail_text()) abort();
}

/* Every row of the base, with the counts put back in, is the file again. */
static void read_base(struct dataset *ds, const uint8_t *file)
{
    const struct dataset_info *info = dataset_info(ds);
    size_t body = (size_t)info->d * elem_bytes(info->elem);
    struct stream *s = NULL;
    struct block b;
    int rc;

    if (stream_open(&s, ds, PART_BASE, 0, info->n, 3) < 0) abort();
    while ((rc = stream_next(s, &b)) == 1)
        for (int64_t i = 0; i < b.rows; i++) {
            const uint8_t *row = file + (size_t)(b.first + i) * (4 + body);

            if (memcmp(row, &info->d, 4)) abort();
            if (memcmp(row + 4, (const uint8_t *)b.ptr + (size_t)i * body, body)) abort();
        }
    check_text(rc);
    stream_close(s);
}

static void read_queries(struct dataset *ds)
{
    const struct dataset_info *info = dataset_info(ds);
    float *q = mem_new(info->nq * info->d, sizeof *q);

    if (!q) abort();
    check_text(dataset_queries(ds, q));
    mem_free(q);
}

static void read_truth(struct dataset *ds)
{
    const struct dataset_info *info = dataset_info(ds);
    vid *ids = mem_new(info->nq * info->truth_k, sizeof *ids);
    int rc;

    if (!ids) abort();
    check_text(rc = dataset_truth(ds, info->truth_k, ids));
    for (int64_t i = 0; rc == 0 && i < info->nq * info->truth_k; i++)
        if (ids[i] < 0 || ids[i] >= info->n) abort();
    mem_free(ids);
}

static void read_vectors(const char *name, const uint8_t *bytes, size_t n)
{
    const char *path = put_file(name, bytes, n);
    struct dataset *ds = NULL;
    int rc = dataset_open(&ds, &(struct dataset_desc){.name = "fuzz", .base = path, .query = path});

    check_text(rc);
    if (rc < 0) return;
    read_base(ds, bytes);
    read_queries(ds);
    dataset_close(ds);
}

static void read_ids(const uint8_t *bytes, size_t n)
{
    const char *good = make_file("good.bvecs", 4, 2), *path = put_file("fuzz.ivecs", bytes, n);
    struct dataset *ds = NULL;
    int rc = dataset_open(
        &ds, &(struct dataset_desc){.name = "fuzz", .base = good, .query = good, .truth = path});

    check_text(rc);
    if (rc < 0) return;
    read_truth(ds);
    dataset_close(ds);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0) return 0;
    if (bytes[0] % 3 == 0) read_vectors("fuzz.fvecs", bytes + 1, n - 1);
    if (bytes[0] % 3 == 1) read_vectors("fuzz.bvecs", bytes + 1, n - 1);
    if (bytes[0] % 3 == 2) read_ids(bytes + 1, n - 1);
    return 0;
}
