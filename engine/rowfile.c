#include "engine/rowfile.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/format.h"

enum { SAMPLES = 64, SAMPLE_BYTES = 4096 };

/* Which format a name means; the cell is a guess where the file itself says it. */
static const struct {
    const char *suffix;
    const struct rowformat *format;
    enum cell cell;
} names[] = {
    {".fvecs",  &rowformat_vecs, CELL_F32},
    {".bvecs",  &rowformat_vecs, CELL_U8 },
    {".ivecs",  &rowformat_vecs, CELL_I32},
    {".fbin",   &rowformat_bin,  CELL_F32},
    {".f16bin", &rowformat_bin,  CELL_F16},
    {".u8bin",  &rowformat_bin,  CELL_U8 },
    {".i8bin",  &rowformat_bin,  CELL_I8 },
    {".ibin",   &rowformat_bin,  CELL_U32},
    {".bin",    &rowformat_bin,  CELL_U32},
    {".npy",    &rowformat_npy,  CELL_F32},
    {".hdf5",   &rowformat_hdf5, CELL_F32},
    {".h5",     &rowformat_hdf5, CELL_F32},
};

/* ---- cells ---- */

size_t cell_bytes(enum cell cell)
{
    static const size_t bytes[] = {4, 2, 1, 1, 4, 4, 8};

    return bytes[cell];
}

const char *cell_name(enum cell cell)
{
    static const char *const words[] = {"f32", "f16", "u8", "i8", "i32", "u32", "i64"};

    return words[cell];
}

int cell_is_id(enum cell cell)
{
    return cell >= CELL_I32;
}

vid cell_id(enum cell cell, const void *ptr, int64_t i)
{
    if (cell == CELL_I32) return ((const int32_t *)ptr)[i];
    if (cell == CELL_U32) return ((const uint32_t *)ptr)[i];
    assert(cell == CELL_I64);
    return ((const int64_t *)ptr)[i];
}

/* ---- names ---- */

/* Where ".crop_nb_<n>" begins, if that is how the n bytes end; else n. */
static size_t without_crop(const char *path, size_t n)
{
    static const char crop[] = ".crop_nb_";
    size_t end = n, k = sizeof crop - 1;

    while (end > 0 && isdigit((unsigned char)path[end - 1]))
        end--;
    if (end == n || end < k || memcmp(path + end - k, crop, k) != 0) return n;
    return end - k;
}

struct suffix rowformat_suffix(const char *path)
{
    size_t n = without_crop(path, strlen(path)), dot = n;
    struct suffix out = {{0}};

    while (dot > 0 && path[dot - 1] != '.' && path[dot - 1] != '/')
        dot--;
    if (dot > 0 && path[--dot] == '.')
        snprintf(out.s, sizeof out.s, "%.*s", (int)(n - dot), path + dot);
    return out;
}

int rowformat_find(const struct rowformat **out, enum cell *cell, const char *path)
{
    struct suffix suffix = rowformat_suffix(path);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(suffix.s, names[i].suffix) != 0) continue;
        *out = names[i].format;
        *cell = names[i].cell;
        return 0;
    }
    return fail(ERR_INVALID,
                "%s: its name must end in .fvecs, .bvecs, .ivecs, .fbin, .f16bin, .u8bin, .i8bin, "
                ".ibin, .npy or .hdf5, which says what is in it",
                path);
}

int rowfile_holds_all(const char *path)
{
    const struct rowformat *format = NULL;
    enum cell cell;

    return rowformat_find(&format, &cell, path) == 0 && format->holds_all;
}

const char *rowfile_format(const struct rowfile *f)
{
    return f->format->name;
}

/* ---- reading ---- */

int rowfile_pread(const struct rowfile *f, void *dst, int64_t n, int64_t at, int64_t row)
{
    char *to = dst;

    while (n > 0) {
        ssize_t got = pread(f->fd, to, (size_t)n, at);

        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(ERR_IO, errno, "%s: row %lld", f->path, (long long)row);
        if (got == 0)
            return fail(ERR_FORMAT,
                        "%s: ends at byte %lld, near row %lld, but had %lld bytes when it was "
                        "opened: is somebody writing it?",
                        f->path, (long long)at, (long long)row, (long long)f->bytes);
        to += got;
        n -= got;
        at += got;
    }
    return 0;
}

int rowfile_body(int64_t *out, const struct rowfile *f, int64_t rows, int64_t d)
{
    int64_t cells;

    if (!__builtin_mul_overflow(rows, d, &cells) &&
        !__builtin_mul_overflow(cells, (int64_t)cell_bytes(f->cell), out) && *out < INT64_MAX / 4)
        return 0;
    return fail(ERR_FORMAT, "%s: its header says %lld rows of d = %lld, more than any file holds",
                f->path, (long long)rows, (long long)d);
}

int rowfile_check_shape(const struct rowfile *f, int64_t rows, int64_t d)
{
    if (rows < 1)
        return fail(ERR_FORMAT, "%s: its header says n = %lld: there must be a row", f->path,
                    (long long)rows);
    if (d >= 1 && d <= D_MAX) return 0;
    return fail(ERR_FORMAT, "%s: its header says d = %lld, not 1 ... %d: is it a %s file?", f->path,
                (long long)d, D_MAX, rowformat_suffix(f->path).s);
}

int64_t rowfile_scratch(const struct rowfile *f, int64_t rows)
{
    return f->format->scratch ? f->format->scratch(f, rows) : 0;
}

int rowfile_read(const struct rowfile *f, int64_t first, int64_t rows, void *dst, char *scratch)
{
    assert(first >= 0 && rows >= 0 && first + rows <= f->rows);
    if (f->format->read) return f->format->read(f, first, rows, dst, scratch);
    return rowfile_pread(f, dst, rows * f->stride, f->offset + first * f->stride, first);
}

int rowfile_hash(const struct rowfile *f, struct hasher *h)
{
    int64_t facts[] = {f->bytes, f->mtime_ns};
    int64_t n = f->bytes < SAMPLE_BYTES ? f->bytes : SAMPLE_BYTES;
    char sample[SAMPLE_BYTES];
    int rc;

    hasher_add(h, facts, sizeof facts);
    for (int i = 0; i < SAMPLES; i++) {
        int64_t at = (int64_t)((__int128)i * (f->bytes - n) / (SAMPLES - 1));

        if ((rc = rowfile_pread(f, sample, n, at, at / f->stride)) < 0) return rc;
        hasher_add(h, sample, (size_t)n);
    }
    return 0;
}

/* ---- opening ---- */

/* Seconds since 1970 fit 34 bits, so nanoseconds fit 64 until the year 2262. */
static int64_t mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static int open_fd(struct rowfile *f)
{
    struct stat st;

    /* without O_NONBLOCK, the opening of a pipe would wait for somebody to write */
    if ((f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0 || fstat(f->fd, &st))
        return fail_errno(errno == ENOENT || errno == ENOTDIR ? ERR_IO : ERR_FORMAT, errno, "%s",
                          f->path); /* what is there but cannot be read is faulty, not missing */
    if (!S_ISREG(st.st_mode)) return fail(ERR_IO, "%s: not a regular file", f->path);
    f->bytes = st.st_size;
    f->mtime_ns = mtime_of(&st);
    if (f->bytes == 0) return fail(ERR_FORMAT, "%s: the file is empty", f->path);
    return 0;
}

int rowfile_unchanged(const struct rowfile *f)
{
    struct stat st;

    if (fstat(f->fd, &st) < 0) return fail_errno(ERR_IO, errno, "%s", f->path);
    if (st.st_size != f->bytes || mtime_of(&st) != f->mtime_ns)
        return fail(ERR_FORMAT, "%s: was written to while it was in use", f->path);
    return 0;
}

int rowfile_open(struct rowfile **out, const char *path, enum role role)
{
    struct rowfile *f = NULL;
    int rc = ERR_NOMEM;

    if (!(f = mem_new(1, sizeof *f))) goto out;
    f->fd = -1;
    if (!(f->path = mem_string(path))) goto out;
    if ((rc = rowformat_find(&f->format, &f->cell, path)) < 0) goto out;
    if ((rc = open_fd(f)) < 0) goto out;
    if ((rc = f->format->measure(f, role)) < 0) goto out;
    posix_fadvise(f->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* a hint: its failure is no matter */
    *out = f;
    f = NULL;
out:
    rowfile_close(f);
    return rc;
}

void rowfile_close(struct rowfile *f)
{
    if (!f) return;
    if (f->own) f->format->close(f);
    if (f->fd >= 0) close(f->fd);
    mem_free(f->path);
    mem_free(f);
}
