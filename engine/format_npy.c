/*
 * NumPy's .npy (numpy.lib.format): "\x93NUMPY", version, length of the header, then a Python
 * dictionary as text, padded with blanks to a newline, then the array. Versions 1 and 2 differ
 * in the width of the length, 3 allows UTF-8. C order, little endian, two dimensions.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/format.h"

enum { MAGIC = 6, HEADER_MAX = 1 << 16 };

static const char magic[] = "\x93NUMPY";

/* NumPy's names of cells. */
static const struct {
    const char *descr;
    enum cell cell;
} types[] = {
    {"<f4", CELL_F32},
    {"<f2", CELL_F16},
    {"|u1", CELL_U8 },
    {"|i1", CELL_I8 },
    {"<i4", CELL_I32},
    {"<u4", CELL_U32},
    {"<i8", CELL_I64}
};

/* The text of the dictionary's value for key, NULL where there is none. */
static const char *value_of(const char *dict, const char *key)
{
    char quoted[32];
    const char *at;

    snprintf(quoted, sizeof quoted, "'%s'", key);
    if (!(at = strstr(dict, quoted))) return NULL;
    at += strlen(quoted);
    at += strspn(at, " ");
    if (*at++ != ':') return NULL;
    return at + strspn(at, " ");
}

static int refuse_type(const struct rowfile *f, const char *descr, int n)
{
    const char *why = "vectors are f4, f2, u1 or i1, ids i4, u4 or i8; convert with x.astype()";

    if (*descr == '>' || *descr == '=')
        why = "big endian; in Python, x.astype(x.dtype.newbyteorder('<')) turns it";
    else if (n >= 3 && descr[1] == 'f' && descr[2] == '8')
        why = "64-bit floats; convert with x.astype('<f4')";
    else if (n >= 2 && descr[1] == 'O')
        why = "Python objects, not numbers: rows of different lengths?";
    return fail(ERR_FORMAT, "%s: dtype '%.*s': %s", f->path, n, descr, why);
}

static int take_type(struct rowfile *f, const char *dict)
{
    const char *at = value_of(dict, "descr");
    int n;

    if (!at) return fail(ERR_FORMAT, "%s: its header names no dtype", f->path);
    if (*at != '\'')
        return fail(ERR_FORMAT, "%s: a structured dtype, not an array of numbers", f->path);
    n = (int)strcspn(++at, "'");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (n != (int)strlen(types[i].descr) || memcmp(at, types[i].descr, (size_t)n)) continue;
        f->cell = types[i].cell;
        return 0;
    }
    return refuse_type(f, at, n);
}

static int take_order(const struct rowfile *f, const char *dict)
{
    const char *at = value_of(dict, "fortran_order");

    if (at && !strncmp(at, "False", 5)) return 0;
    if (at && !strncmp(at, "True", 4))
        return fail(ERR_FORMAT,
                    "%s: stored column by column (fortran_order); save numpy.ascontiguousarray(x)",
                    f->path);
    return fail(ERR_FORMAT, "%s: its header does not say fortran_order", f->path);
}

/* "(1000, 128)" */
static int take_shape(const struct rowfile *f, const char *dict, int64_t shape[2])
{
    const char *at = value_of(dict, "shape");
    int dims = 0;

    if (!at || *at++ != '(') return fail(ERR_FORMAT, "%s: its header has no shape", f->path);
    for (at += strspn(at, " "); *at && *at != ')'; dims++) {
        char *end;
        long long size;

        errno = 0;
        size = strtoll(at, &end, 10);
        if (end == at || errno || size < 0)
            return fail(ERR_FORMAT, "%s: its header has no sensible shape", f->path);
        if (dims < 2) shape[dims] = size;
        at = end + (*end == 'L'); /* Python 2's long */
        at += strspn(at, " ,");
    }
    if (dims == 2) return 0;
    return fail(ERR_FORMAT, "%s: an array of %d dimensions; rows by elements are 2", f->path, dims);
}

/* *at = where the dictionary begins, *n = its length. */
static int find_dict(const struct rowfile *f, int64_t *at, int64_t *n)
{
    unsigned char head[MAGIC + 6] = {0};
    int64_t have = f->bytes < (int64_t)sizeof head ? f->bytes : (int64_t)sizeof head;
    int rc, major;

    if ((rc = rowfile_pread(f, head, have, 0, 0)) < 0) return rc;
    if (have < (int64_t)sizeof head || memcmp(head, magic, MAGIC) != 0)
        return fail(ERR_FORMAT, "%s: does not begin as a .npy file does", f->path);
    major = head[MAGIC];
    if (major < 1 || major > 3)
        return fail(ERR_UNSUPPORTED, "%s: .npy version %d.%d; 1, 2 and 3 are read", f->path, major,
                    head[MAGIC + 1]);
    *n = head[8] | head[9] << 8;
    if (major > 1) *n |= (int64_t)head[10] << 16 | (int64_t)head[11] << 24;
    *at = major > 1 ? MAGIC + 6 : MAGIC + 4;
    if (*n <= HEADER_MAX && *at + *n <= f->bytes) return 0;
    return fail(ERR_FORMAT, "%s: its header says to be %lld bytes long: cut off, or no .npy file",
                f->path, (long long)*n);
}

static int check_size(const struct rowfile *f)
{
    int64_t body;
    int rc;

    if ((rc = rowfile_body(&body, f, f->rows, f->d)) < 0) return rc;
    if (f->offset + body == f->bytes) return 0;
    return fail(ERR_FORMAT,
                "%s: its header says (%lld, %d) of %s, which makes %lld bytes, but it has %lld: %s",
                f->path, (long long)f->rows, f->d, cell_name(f->cell),
                (long long)(f->offset + body), (long long)f->bytes,
                f->bytes < f->offset + body ? "cut off?" : "more than one array?");
}

static int measure(struct rowfile *f, enum role role)
{
    int64_t at = 0, n = 0, shape[2] = {0};
    char *dict = NULL;
    int rc;

    (void)role;
    if ((rc = find_dict(f, &at, &n)) < 0) return rc;
    if (!(dict = mem_new(n + 1, 1))) return ERR_NOMEM;
    if ((rc = rowfile_pread(f, dict, n, at, 0)) < 0) goto out;
    if ((rc = take_type(f, dict)) < 0) goto out;
    if ((rc = take_order(f, dict)) < 0) goto out;
    if ((rc = take_shape(f, dict, shape)) < 0) goto out;
    if ((rc = rowfile_check_shape(f, shape[0], shape[1])) < 0) goto out;
    f->rows = shape[0];
    f->d = (int)shape[1];
    f->offset = at + n;
    f->stride = f->d * (int64_t)cell_bytes(f->cell);
    rc = check_size(f);
out:
    mem_free(dict);
    return rc;
}

/* Version 1.0, padded so that the array begins at a multiple of 64 bytes, as NumPy's own. */
static int write_head(struct file *to, enum cell cell, int64_t rows, int d)
{
    char head[192];
    size_t n, i = 0;

    while (types[i].cell != cell)
        i++;
    memcpy(head, magic, MAGIC);
    head[MAGIC] = 1;
    head[MAGIC + 1] = 0;
    n = 10 + (size_t)snprintf(head + 10, sizeof head - 10,
                              "{'descr': '%s', 'fortran_order': False, 'shape': (%lld, %d), }",
                              types[i].descr, (long long)rows, d);
    while ((n + 1) % 64)
        head[n++] = ' ';
    head[n++] = '\n';
    head[8] = (char)((n - 10) & 255);
    head[9] = (char)((n - 10) >> 8);
    return file_write(to, head, (int64_t)n);
}

const struct rowformat rowformat_npy = {
    .name = "npy", .measure = measure, .write_head = write_head};
