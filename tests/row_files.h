/*
 * Files of rows put together byte by byte, for the tests of each format: static, because each test
 * program uses some of these.
 */
#ifndef IVF_ROW_FILES_H
#define IVF_ROW_FILES_H

#include "tests/vecs_files.h"

#include "engine/rowfile.h"

/* A file of these parts, one behind the other; valid as at() is. */
struct part_bytes {
    const void *ptr;
    size_t n;
};
static inline const char *put_parts(const char *name, const struct part_bytes *parts, int count)
{
    const char *path = at(name);
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    for (int i = 0; i < count; i++)
        if (parts[i].n) assert_int_equal(fwrite(parts[i].ptr, parts[i].n, 1, f), 1);
    assert_int_equal(fclose(f), 0);
    return path;
}

static inline const char *put_two(const char *name, const void *head, size_t nhead,
                                  const void *body, size_t nbody)
{
    return put_parts(name,
                     (struct part_bytes[]){
                         {head, nhead},
                         {body, nbody}
    },
                     2);
}

/* The code of an opening that must fail. */
static inline int try_rows(const char *path, enum role role)
{
    struct rowfile *f = NULL;
    int rc = rowfile_open(&f, path, role);

    assert_null(f);
    return rc;
}

/* Opens, checks the shape, reads all in two pieces between guard words: the bytes must be body. */
static inline void check_file(const char *path, enum role role, enum cell cell, int64_t rows, int d,
                              const void *body)
{
    int64_t stride = d * (int64_t)cell_bytes(cell), head = rows / 3;
    char *got = testing_guarded(rows * stride, 1), *scratch;
    struct rowfile *f = NULL;

    CHECK_OK(rowfile_open(&f, path, role));
    assert_int_equal(f->cell, cell);
    assert_int_equal(f->rows, rows);
    assert_int_equal(f->d, d);
    scratch = testing_guarded(rowfile_scratch(f, rows), 1);
    CHECK_OK(rowfile_read(f, 0, head, got, scratch));
    CHECK_OK(rowfile_read(f, head, rows - head, got + head * stride, scratch));
    assert_memory_equal(got, body, (size_t)(rows * stride));
    testing_guarded_free(got);
    testing_guarded_free(scratch);
    rowfile_close(f);
}

/* rows * d * 8 bytes that differ from place to place; a NaN in none of the types. */
static inline const void *some_bytes(void)
{
    static uint8_t bytes[1 << 16];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 % 61);
    return bytes;
}

#endif
