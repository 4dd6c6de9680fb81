/*
 * Hostile files of vectors and ids. The first byte of the input chooses the format, the rest is the
 * file: as base and queries at once, or as the truth of a good set. Whatever it holds, opening and
 * reading end with an answer or with a code and a text; what is read is what the file holds. HDF5
 * is not among them: its parser is libhdf5's, not ours.
 */
#include "tests/vecs_files.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Not emptied first: file systems write a file that was emptied to disk as soon as it is closed. */
static const char *put_file(const char *name, const uint8_t *bytes, size_t n)
{
    const char *path = at(name);
    int fd = open(path, O_CREAT | O_WRONLY, 0666);

    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n || ftruncate(fd, (off_t)n) || close(fd))
        abort();
    return path;
}

static void check_text(int rc)
{
    if (rc < 0 && !*fail_text()) abort();
}

/* Every row of the base is in the file: behind its count, or (prefix 0) at the file's end. */
static void read_base(struct dataset *ds, const uint8_t *file, size_t n, size_t prefix)
{
    const struct dataset_info *info = dataset_info(ds);
    size_t body = (size_t)info->d * elem_bytes(info->elem), stride = prefix + body;
    const uint8_t *first = file + n - (size_t)info->n * stride;
    struct stream *s = NULL;
    struct block b;
    int rc;

    if (stream_open(&s, ds, PART_BASE, 0, info->n, 3) < 0) abort();
    while ((rc = stream_next(s, &b)) == 1)
        for (int64_t i = 0; i < b.rows; i++) {
            const uint8_t *row = first + (size_t)(b.first + i) * stride;

            if (memcmp(row, &info->d, prefix)) abort();
            if (memcmp(row + prefix, (const uint8_t *)b.ptr + (size_t)i * body, body)) abort();
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
    read_base(ds, bytes, n, strstr(name, "vecs") ? 4 : 0);
    read_queries(ds);
    dataset_close(ds);
}

static void read_ids(const char *name, const uint8_t *bytes, size_t n)
{
    static char good[1200]; /* made once: see put_file */
    const char *path = put_file(name, bytes, n);
    struct dataset *ds = NULL;
    int rc;

    if (!*good) snprintf(good, sizeof good, "%s", make_file("good.bvecs", 4, 2));
    rc = dataset_open(
        &ds, &(struct dataset_desc){.name = "fuzz", .base = good, .query = good, .truth = path});

    check_text(rc);
    if (rc < 0) return;
    read_truth(ds);
    dataset_close(ds);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char *const names[] = {"fuzz.fvecs", "fuzz.bvecs", "fuzz.ivecs",
                                        "fuzz.fbin",  "fuzz.i8bin", "fuzz.f16bin",
                                        "fuzz.npy",   "fuzz.ibin",  "truth.npy"};
    const char *name;

    if (n == 0) return 0;
    name = names[bytes[0] % (sizeof names / sizeof *names)];
    if (strstr(name, ".i") && !strstr(name, "i8"))
        read_ids(name, bytes + 1, n - 1);
    else if (strstr(name, "truth"))
        read_ids(name, bytes + 1, n - 1);
    else
        read_vectors(name, bytes + 1, n - 1);
    return 0;
}
