#include "engine/format_vecs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"

enum { SAMPLES = 64, SAMPLE_BYTES = 4096 };
enum { COUNT = sizeof(int32_t) }; /* before each row */

/* Seconds since 1970 fit 34 bits, so nanoseconds fit 64 until the year 2262. */
static int64_t mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static const char *extension(const char *path)
{
    const char *dot = strrchr(path, '.');

    return dot && !strchr(dot, '/') ? dot : "";
}

int vecs_kind_of(enum vecs_kind *out, const char *path)
{
    static const char *const known[] = {".fvecs", ".bvecs", ".ivecs"}; /* as enum vecs_kind */
    static const char *const later[] = {".fbin", ".u8bin", ".i8bin", ".ibin",
                                        ".npy",  ".hdf5",  ".h5"};
    const char *ext = extension(path);

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcasecmp(ext, known[i])) {
            *out = (enum vecs_kind)i;
            return 0;
        }
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        if (!strcasecmp(ext, later[i]))
            return fail(ERR_UNSUPPORTED,
                        "%s: %s files come with a later version; use .fvecs or .bvecs", path, ext);
    return fail(ERR_INVALID, "%s: its name must end in .fvecs, .bvecs or .ivecs", path);
}

/* All n bytes at offset `at`; row names where, if the file ends before. */
static int read_at(const struct vecs *v, void *dst, int64_t n, int64_t at, int64_t row)
{
    char *to = dst;

    while (n > 0) {
        ssize_t got = pread(v->fd, to, (size_t)n, at);

        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(ERR_IO, errno, "%s: row %lld", v->path, (long long)row);
        if (got == 0)
            return fail(ERR_FORMAT,
                        "%s: ends at byte %lld, near row %lld, but had %lld bytes when it was "
                        "opened: is somebody writing it?",
                        v->path, (long long)at, (long long)row, (long long)v->bytes);
        to += got;
        n -= got;
        at += got;
    }
    return 0;
}

static int check_count(const struct vecs *v, int64_t row, const char *at)
{
    int32_t d;

    memcpy(&d, at, sizeof d);
    if (d == v->d) return 0;
    return fail(ERR_FORMAT, "%s: row %lld says d = %d, row 0 said %d", v->path, (long long)row, d,
                v->d);
}

/* d of row 0, and how many rows that makes. */
static int measure(struct vecs *v)
{
    int64_t left;
    int32_t d;
    int rc;

    if (v->bytes == 0) return fail(ERR_FORMAT, "%s: the file is empty", v->path);
    if (v->bytes < COUNT)
        return fail(ERR_FORMAT, "%s: %lld bytes are too few for one row", v->path,
                    (long long)v->bytes);
    if ((rc = read_at(v, &d, sizeof d, 0, 0)) < 0) return rc;
    if (d < 1 || d > D_MAX)
        return fail(ERR_FORMAT, "%s: row 0 says d = %d, not 1 ... %d: is it a %s file?", v->path, d,
                    D_MAX, extension(v->path));
    v->d = d;
    v->row_bytes = COUNT + (int64_t)d * (v->kind == VECS_U8 ? 1 : 4);
    v->rows = v->bytes / v->row_bytes;
    if ((left = v->bytes % v->row_bytes))
        return fail(ERR_FORMAT,
                    "%s: %lld bytes left over after row %lld (d = %d, %lld bytes a row): cut off?",
                    v->path, (long long)left, (long long)v->rows, d, (long long)v->row_bytes);
    return 0;
}

static int check_samples(const struct vecs *v)
{
    int samples = v->rows < SAMPLES ? (int)v->rows : SAMPLES, rc;
    char count[COUNT];

    for (int i = 1; i < samples; i++) {
        int64_t row = (int64_t)((__int128)i * (v->rows - 1) / (samples - 1));

        if ((rc = read_at(v, count, COUNT, row * v->row_bytes, row)) < 0) return rc;
        if ((rc = check_count(v, row, count)) < 0) return rc;
    }
    return 0;
}

int vecs_open(struct vecs **out, const char *path)
{
    struct vecs *v = NULL;
    struct stat st;
    int rc = ERR_NOMEM;

    if (!(v = mem_new(1, sizeof *v))) goto out;
    v->fd = -1;
    if (!(v->path = mem_string(path))) goto out;
    if ((rc = vecs_kind_of(&v->kind, path)) < 0) goto out;
    /* without O_NONBLOCK, the opening of a pipe would wait for somebody to write */
    if ((v->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0 || fstat(v->fd, &st)) {
        rc = fail_errno(ERR_IO, errno, "%s", path);
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = fail(ERR_IO, "%s: not a regular file", path);
        goto out;
    }
    v->bytes = st.st_size;
    v->mtime_ns = mtime_of(&st);
    if ((rc = measure(v)) < 0) goto out;
    if ((rc = check_samples(v)) < 0) goto out;
    posix_fadvise(v->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* a hint: its failure is no matter */
    *out = v;
    v = NULL;
out:
    vecs_close(v);
    return rc;
}

void vecs_close(struct vecs *v)
{
    if (!v) return;
    if (v->fd >= 0) close(v->fd);
    mem_free(v->path);
    mem_free(v);
}

static int64_t chunk_rows(const struct vecs *v, int64_t rows)
{
    int64_t most = VECS_CHUNK / v->row_bytes;

    if (most < 1) most = 1;
    return rows < most ? rows : most;
}

int64_t vecs_scratch(const struct vecs *v, int64_t rows)
{
    return chunk_rows(v, rows) * v->row_bytes;
}

int vecs_read(const struct vecs *v, int64_t first, int64_t rows, void *dst, char *scratch)
{
    int64_t step = chunk_rows(v, rows), body = v->row_bytes - COUNT;
    char *to = dst;
    int rc;

    assert(first >= 0 && rows >= 0 && first + rows <= v->rows);
    for (int64_t row = first, end = first + rows; row < end; row += step) {
        if (step > end - row) step = end - row;
        if ((rc = read_at(v, scratch, step * v->row_bytes, row * v->row_bytes, row)) < 0) return rc;
        for (int64_t i = 0; i < step; i++, to += body) {
            const char *from = scratch + i * v->row_bytes;

            if ((rc = check_count(v, row + i, from)) < 0) return rc;
            memcpy(to, from + COUNT, (size_t)body);
        }
    }
    return 0;
}

int vecs_hash(const struct vecs *v, struct hasher *h)
{
    int64_t facts[] = {v->bytes, v->mtime_ns};
    int64_t n = v->bytes < SAMPLE_BYTES ? v->bytes : SAMPLE_BYTES;
    char sample[SAMPLE_BYTES];
    int rc;

    hasher_add(h, facts, sizeof facts);
    for (int i = 0; i < SAMPLES; i++) {
        int64_t at = (int64_t)((__int128)i * (v->bytes - n) / (SAMPLES - 1));

        if ((rc = read_at(v, sample, n, at, at / v->row_bytes)) < 0) return rc;
        hasher_add(h, sample, (size_t)n);
    }
    return 0;
}
