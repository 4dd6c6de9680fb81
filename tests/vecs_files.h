/*
 * Small vecs files for tests of data sets, their rows known: static, because each test program
 * uses some of these.
 */
#ifndef IVF_VECS_FILES_H
#define IVF_VECS_FILES_H

#include "tests/testing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/dataset.h"

/* Path of a file in the tests' folder; valid for the next seven calls. */
static inline const char *at(const char *name)
{
    static char paths[8][1200];
    static int next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", testing_tmpdir(), name);
    return path;
}

static inline int elements_are_bytes(const char *path)
{
    return strstr(path, ".bvecs") != NULL;
}

/* What element t of row i is in a file made here; a prime modulus, so that rows differ. */
static inline int value(int64_t i, int t)
{
    return (int)((i * 7 + t * 3) % 251);
}

/* A file of the format its name says, with value() in it (ids: below rows of truth's base). */
static inline const char *make_file(const char *name, int64_t rows, int32_t d)
{
    const char *path = at(name);
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    for (int64_t i = 0; i < rows; i++) {
        fwrite(&d, sizeof d, 1, f);
        for (int t = 0; t < d; t++) {
            uint8_t byte = (uint8_t)value(i, t);
            int32_t whole = value(i, t);
            float real = (float)value(i, t) + 0.5f;

            if (elements_are_bytes(path)) fwrite(&byte, 1, 1, f);
            if (strstr(path, ".ivecs")) fwrite(&whole, sizeof whole, 1, f);
            if (strstr(path, ".fvecs")) fwrite(&real, sizeof real, 1, f);
        }
    }
    assert_int_equal(fclose(f), 0);
    return path;
}

static inline void overwrite(const char *path, int64_t offset, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, offset), n);
    close(fd);
}

static inline void overwrite_i32(const char *path, int64_t offset, int32_t v)
{
    overwrite(path, offset, &v, sizeof v);
}

static inline void set_mtime(const char *path, int64_t sec, int64_t nsec)
{
    const struct timespec times[2] = {
        {sec, nsec},
        {sec, nsec}
    };

    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static inline struct dataset *open_set(const struct dataset_desc *desc)
{
    struct dataset *ds = NULL;

    CHECK_OK(dataset_open(&ds, desc));
    return ds;
}

/* dataset_open of a faulty set; nothing must come out. */
static inline int try_open(const struct dataset_desc *desc)
{
    struct dataset *ds = NULL;
    int rc = dataset_open(&ds, desc);

    assert_null(ds);
    return rc;
}

/* A set of one small file that is both base and queries. */
static inline struct dataset *open_one(const char *name, int64_t rows, int d)
{
    const char *path = make_file(name, rows, d);

    return open_set(&(struct dataset_desc){.name = "t", .base = path, .query = path});
}

static inline void check_rows(const void *x, enum elem elem, int64_t first, int64_t rows, int d)
{
    for (int64_t i = 0; i < rows; i++)
        for (int t = 0; t < d; t++) {
            int v = value(first + i, t);

            if (elem == ELEM_U8)
                assert_int_equal(((const uint8_t *)x)[i * d + t], v);
            else
                assert_true(((const float *)x)[i * d + t] == (float)v + 0.5f);
        }
}

#endif
