/*
 * The fvecs, bvecs and ivecs files of the TEXMEX corpora: per row an int32 d, then d elements
 * (float32, uint8, int32); no header, no padding.
 */
#include <string.h>

#include "engine/base/fail.h"
#include "engine/format.h"

enum { SAMPLES = 64 };            /* rows whose d is looked at on opening */
enum { CHUNK = 4 << 20 };         /* bytes asked of the system at once, about */
enum { COUNT = sizeof(int32_t) }; /* before each row */

static int check_count(const struct rowfile *f, int64_t row, const char *at)
{
    int32_t d;

    memcpy(&d, at, sizeof d);
    if (d == f->d) return 0;
    return fail(ERR_FORMAT, "%s: row %lld says d = %d, row 0 said %d", f->path, (long long)row, d,
                f->d);
}

static int check_samples(const struct rowfile *f)
{
    int samples = f->rows < SAMPLES ? (int)f->rows : SAMPLES, rc;
    char count[COUNT];

    for (int i = 1; i < samples; i++) {
        int64_t row = (int64_t)((__int128)i * (f->rows - 1) / (samples - 1));

        if ((rc = rowfile_pread(f, count, COUNT, row * f->stride, row)) < 0) return rc;
        if ((rc = check_count(f, row, count)) < 0) return rc;
    }
    return 0;
}

/* d of row 0, and how many rows that makes. */
static int measure(struct rowfile *f, enum role role)
{
    int64_t left;
    int32_t d;
    int rc;

    (void)role;
    if (f->bytes < COUNT)
        return fail(ERR_FORMAT, "%s: %lld bytes are too few for one row", f->path,
                    (long long)f->bytes);
    if ((rc = rowfile_pread(f, &d, sizeof d, 0, 0)) < 0) return rc;
    if (d < 1 || d > D_MAX)
        return fail(ERR_FORMAT, "%s: row 0 says d = %d, not 1 ... %d: is it a %s file?", f->path, d,
                    D_MAX, rowformat_suffix(f->path).s);
    f->d = d;
    f->stride = COUNT + (int64_t)d * (int64_t)cell_bytes(f->cell);
    f->rows = f->bytes / f->stride;
    if ((left = f->bytes % f->stride))
        return fail(ERR_FORMAT,
                    "%s: %lld bytes left over after row %lld (d = %d, %lld bytes a row): cut off?",
                    f->path, (long long)left, (long long)f->rows, d, (long long)f->stride);
    return check_samples(f);
}

static int64_t chunk_rows(const struct rowfile *f, int64_t rows)
{
    int64_t most = CHUNK / f->stride;

    if (most < 1) most = 1;
    return rows < most ? rows : most;
}

static int64_t scratch_bytes(const struct rowfile *f, int64_t rows)
{
    return chunk_rows(f, rows) * f->stride;
}

static int read_rows(const struct rowfile *f, int64_t first, int64_t rows, void *dst, char *scratch)
{
    int64_t step = chunk_rows(f, rows), body = f->stride - COUNT;
    char *to = dst;
    int rc;

    for (int64_t row = first, end = first + rows; row < end; row += step) {
        if (step > end - row) step = end - row;
        if ((rc = rowfile_pread(f, scratch, step * f->stride, row * f->stride, row)) < 0) return rc;
        for (int64_t i = 0; i < step; i++, to += body) {
            const char *from = scratch + i * f->stride;

            if ((rc = check_count(f, row + i, from)) < 0) return rc;
            memcpy(to, from + COUNT, (size_t)body);
        }
    }
    return 0;
}

static int write_prefix(struct file *to, int d)
{
    int32_t count = d;

    return file_write(to, &count, sizeof count);
}

const struct rowformat rowformat_vecs = {.name = "vecs",
                                         .measure = measure,
                                         .scratch = scratch_bytes,
                                         .read = read_rows,
                                         .write_prefix = write_prefix};
