#include "engine/rowwriter.h"

#include <assert.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/format.h"

struct rowwriter {
    const struct rowformat *format;
    struct file *file;
    enum cell cell;
    int d;
    int64_t rows, done;
};

/* ---- what a file can hold ---- */

static int check_written(const struct rowformat *format, const char *path)
{
    if (format->write_head || format->write_prefix) return 0;
    return fail(ERR_INVALID, "%s: %s files are only read; write .npy or .fbin", path, format->name);
}

int rowwriter_cell(enum cell *out, const char *path, enum cell from)
{
    static const char *const fitting[] = {".fbin", ".f16bin", ".u8bin", ".i8bin"}; /* enum elem */
    const struct rowformat *format = NULL;
    enum cell cell = from;
    int rc;

    if ((rc = rowformat_find(&format, &cell, path)) < 0) return rc;
    if ((rc = check_written(format, path)) < 0) return rc;
    if (format == &rowformat_npy || format == &rowformat_hdf5) cell = from;
    if (cell_is_id(cell) != cell_is_id(from))
        return fail(ERR_INVALID, "%s: holds %s, but what is to be written are %s", path,
                    cell_is_id(cell) ? "ids" : "vectors", cell_is_id(from) ? "ids" : "vectors");
    if (!cell_is_id(from) && cell != from && cell != CELL_F32)
        return fail(ERR_INVALID, "%s: %s does not hold every %s value; name it %s or .npy", path,
                    cell_name(cell), cell_name(from), fitting[from]);
    *out = cell;
    return 0;
}

static int put_id(enum cell to, void *dst, int64_t i, vid id)
{
    const int64_t most = to == CELL_I32 ? INT32_MAX : to == CELL_U32 ? UINT32_MAX : INT64_MAX;

    if (id < 0 || id > most)
        return fail(ERR_FORMAT, "id %lld is not in 0 ... %lld, what %s holds", (long long)id,
                    (long long)most, cell_name(to));
    if (to == CELL_I32) ((int32_t *)dst)[i] = (int32_t)id;
    if (to == CELL_U32) ((uint32_t *)dst)[i] = (uint32_t)id;
    if (to == CELL_I64) ((int64_t *)dst)[i] = id;
    return 0;
}

int cell_convert(enum cell to, void *dst, enum cell from, const void *src, int64_t count)
{
    int rc = 0;

    assert(cell_is_id(to) == cell_is_id(from) && (to == from || cell_is_id(to) || to == CELL_F32));
    if (to == from)
        memcpy(dst, src, (size_t)count * cell_bytes(to));
    else if (!cell_is_id(from))
        elem_to_floats((enum elem)from, src, count, dst);
    else
        for (int64_t i = 0; i < count && rc == 0; i++)
            rc = put_id(to, dst, i, cell_id(from, src, i));
    return rc;
}

/* ---- writing ---- */

int rowwriter_create(struct rowwriter **out, const char *path, enum cell cell, int64_t rows, int d)
{
    struct rowwriter *w = NULL;
    enum cell named;
    int rc = ERR_NOMEM;

    assert(rows >= 1 && d >= 1 && d <= D_MAX);
    if (!(w = mem_new(1, sizeof *w))) goto out;
    w->cell = cell;
    w->d = d;
    w->rows = rows;
    if ((rc = rowformat_find(&w->format, &named, path)) < 0) goto out;
    if ((rc = check_written(w->format, path)) < 0) goto out;
    if ((rc = file_create(&w->file, path)) < 0) goto out;
    if (w->format->write_head && (rc = w->format->write_head(w->file, cell, rows, d)) < 0) goto out;
    *out = w;
    w = NULL;
out:
    rowwriter_discard(w);
    return rc;
}

int rowwriter_add(struct rowwriter *w, const void *x, int64_t rows)
{
    int64_t stride = w->d * (int64_t)cell_bytes(w->cell);
    const char *from = x;
    int rc = 0;

    assert(w->done + rows <= w->rows);
    w->done += rows;
    if (!w->format->write_prefix) return file_write(w->file, x, rows * stride);
    for (int64_t i = 0; i < rows && rc == 0; i++, from += stride) {
        if ((rc = w->format->write_prefix(w->file, w->d)) < 0) break;
        rc = file_write(w->file, from, stride);
    }
    return rc;
}

int rowwriter_takes_distances(const char *path)
{
    const struct rowformat *format = NULL;
    enum cell cell = CELL_F32;

    return rowformat_find(&format, &cell, path) == 0 && format == &rowformat_bin &&
           cell_is_id(cell);
}

int rowwriter_add_distances(struct rowwriter *w, const float *dist)
{
    assert(w->done == w->rows && w->format == &rowformat_bin && cell_is_id(w->cell));
    return file_write(w->file, dist, w->rows * w->d * (int64_t)sizeof *dist);
}

int rowwriter_commit(struct rowwriter *w)
{
    int rc;

    assert(w->done == w->rows);
    rc = file_commit(w->file);
    mem_free(w);
    return rc;
}

void rowwriter_discard(struct rowwriter *w)
{
    if (!w) return;
    file_discard(w->file);
    mem_free(w);
}
