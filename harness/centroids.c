#include "harness/centroids.h"

#include <math.h>
#include <string.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/rowwriter.h"

static int open_f32(struct rowfile **out, const char *path)
{
    struct rowfile *f = NULL;
    int rc = rowfile_open(&f, path, ROLE_BASE);

    if (rc < 0) return rc;
    if (f->cell != CELL_F32) {
        rc = fail(ERR_FORMAT, "%s: holds %s, but centroids are f32", path, cell_name(f->cell));
        rowfile_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

int centroids_look(struct centroids *out, const char *path)
{
    struct rowfile *f = NULL;
    int rc = open_f32(&f, path);

    if (rc < 0) return rc;
    *out = (struct centroids){.nlist = f->rows, .d = f->d};
    rowfile_close(f);
    return hash_file(&out->content, path);
}

static int check_finite(const char *path, const float *c, int64_t nlist, int d)
{
    for (int64_t i = 0; i < nlist * d; i++)
        if (!isfinite(c[i]))
            return fail(ERR_FORMAT, "%s: centroid %lld holds a NaN or an infinity", path,
                        (long long)(i / d));
    return 0;
}

int centroids_read(float **c, const char *path, int64_t nlist, int d)
{
    struct rowfile *f = NULL;
    char *scratch = NULL;
    float *x = NULL;
    int rc;

    if ((rc = open_f32(&f, path)) < 0) goto out;
    if (f->rows != nlist || f->d != d) {
        rc = fail(ERR_FORMAT, "%s: holds %lld centroids of d = %d, not %lld of %d", path,
                  (long long)f->rows, f->d, (long long)nlist, d);
        goto out;
    }
    rc = ERR_NOMEM;
    if (!(x = mem_new(nlist * d, sizeof *x))) goto out;
    if (!(scratch = mem_new(rowfile_scratch(f, nlist), 1))) goto out;
    if ((rc = rowfile_read(f, 0, nlist, x, scratch)) < 0) goto out;
    if ((rc = check_finite(path, x, nlist, d)) < 0) goto out;
    *c = x;
    x = NULL;
out:
    mem_free(scratch);
    mem_free(x);
    rowfile_close(f);
    return rc;
}

void centroids_path(struct text *out, const char *pattern, const char *index, int64_t seed)
{
    for (const char *p = pattern; *p;) {
        size_t plain = strcspn(p, "{");

        text_add_bytes(out, p, (int64_t)plain);
        p += plain;
        if (!strncmp(p, "{index}", 7)) {
            text_add(out, index);
            p += 7;
        } else if (!strncmp(p, "{seed}", 6)) {
            text_addf(out, "%lld", (long long)seed);
            p += 6;
        } else if (*p) {
            text_add_bytes(out, p++, 1);
        }
    }
}

int centroids_can_be(const char *pattern)
{
    enum cell cell;

    return rowwriter_cell(&cell, pattern, CELL_F32);
}

int centroids_write(const char *path, const float *c, int64_t nlist, int d)
{
    struct rowwriter *w = NULL;
    enum cell cell;
    int rc;

    if ((rc = rowwriter_cell(&cell, path, CELL_F32)) < 0) return rc;
    if ((rc = file_mkdirs_above(path)) < 0) return rc;
    if ((rc = rowwriter_create(&w, path, cell, nlist, d)) < 0) return rc;
    if ((rc = rowwriter_add(w, c, nlist)) == 0) return rowwriter_commit(w);
    rowwriter_discard(w);
    return rc;
}
