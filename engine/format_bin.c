/*
 * The bin files of big-ann-benchmarks, DiskANN and cuVS: uint32 n, uint32 d, then the rows. cuVS
 * writes uint64 n, uint64 d where 32 bits do not hold n. Which of the two a header is, the size of
 * the file tells: both at once would take a file of more than 2^32 rows whose first eight bytes of
 * vectors happen to be d. Files of true neighbours hold n, k, the ids and, mostly, the distances.
 */
#include <stdint.h>

#include "engine/base/fail.h"
#include "engine/format.h"

struct head {
    int64_t n, d, bytes; /* bytes: of the header */
};

/* 1 where rows of this shape, with or without distances behind them, fill the file; else 0. */
static int fills(struct rowfile *f, const struct head *head)
{
    int64_t body;

    if (head->n < 1 || head->d < 1 || head->d > D_MAX) return 0;
    if (rowfile_body(&body, f, head->n, head->d) < 0) return 0;
    f->has_distances = cell_is_id(f->cell) && f->bytes == head->bytes + 2 * body;
    return f->has_distances || f->bytes == head->bytes + body;
}

static int refuse(const struct rowfile *f, const struct head *head)
{
    int64_t body;
    int rc;

    if ((rc = rowfile_check_shape(f, head->n, head->d)) < 0) return rc;
    if ((rc = rowfile_body(&body, f, head->n, head->d)) < 0) return rc;
    return fail(
        ERR_FORMAT,
        "%s: its header says n = %lld, d = %lld, which makes %lld bytes, but it has %lld: %s",
        f->path, (long long)head->n, (long long)head->d, (long long)(head->bytes + body),
        (long long)f->bytes,
        f->bytes < head->bytes + body ? "cut off?" : "is its type the one its name says?");
}

static int measure(struct rowfile *f, enum role role)
{
    uint64_t wide[2] = {0};
    uint32_t narrow[2];
    struct head head, head64;
    int rc;

    if (rowformat_suffix(f->path).s[1] == 'b' && role != ROLE_TRUTH)
        return fail(ERR_INVALID,
                    "%s: .bin does not say what is in it: name it .fbin, .f16bin, .u8bin or .i8bin",
                    f->path);
    if (f->bytes < (int64_t)sizeof narrow)
        return fail(ERR_FORMAT, "%s: %lld bytes are too few for a header", f->path,
                    (long long)f->bytes);
    if ((rc = rowfile_pread(f, narrow, sizeof narrow, 0, 0)) < 0) return rc;
    if (f->bytes >= (int64_t)sizeof wide && (rc = rowfile_pread(f, wide, sizeof wide, 0, 0)) < 0)
        return rc;
    head = (struct head){narrow[0], narrow[1], sizeof narrow};
    head64 = (struct head){(int64_t)wide[0], (int64_t)wide[1], sizeof wide};
    if (!fills(f, &head)) {
        if (!fills(f, &head64)) return refuse(f, &head);
        head = head64;
    }
    f->rows = head.n;
    f->d = (int)head.d;
    f->offset = head.bytes;
    f->stride = head.d * (int64_t)cell_bytes(f->cell);
    return 0;
}

static int write_head(struct file *to, enum cell cell, int64_t rows, int d)
{
    const uint64_t wide[2] = {(uint64_t)rows, (uint64_t)d};
    const uint32_t narrow[2] = {(uint32_t)rows, (uint32_t)d};

    (void)cell;
    if (rows > UINT32_MAX) return file_write(to, wide, sizeof wide);
    return file_write(to, narrow, sizeof narrow);
}

const struct rowformat rowformat_bin = {
    .name = "bin", .measure = measure, .write_head = write_head};
