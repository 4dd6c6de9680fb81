/*
 * A data set is either a generator or up to four vecs files, named one by one or by a layout.
 * Everything is checked at opening, in an order that lets the first message be the useful one:
 * the name, then each file, then the files against each other.
 */
#include "engine/dataset.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/base/text.h"
#include "engine/dataset_internal.h"
#include "engine/format_vecs.h"
#include "engine/synthetic.h"

enum { DEFAULT_NQ = 1000, DEFAULT_NT = 50000, MILLION = 1000000 };

struct dataset {
    struct dataset_info info;
    struct synthetic *synthetic;               /* or the files: */
    struct vecs *base, *query, *learn, *truth; /* learn and truth may be NULL */
};

/* Row numbers of a generated part must fit synthetic.h's range with room to spare. */
static int check_count(const char *key, int64_t count)
{
    if (count >= 1 && count <= (int64_t)1 << 40) return 0;
    return fail(ERR_INVALID, "data set synthetic: %s = %lld is not in 1 ... 2^40", key,
                (long long)count);
}

static int open_synthetic(struct dataset *ds, const struct dataset_desc *desc)
{
    struct dataset_info *info = &ds->info;
    int64_t facts[6];
    int rc;

    if (desc->base || desc->query || desc->learn || desc->truth || desc->limit)
        return fail(ERR_INVALID, "data set synthetic is generated: it takes n, d, nq, nt and seed, "
                                 "no files and no limit");
    info->elem = ELEM_U8;
    info->d = desc->d;
    info->n = desc->n;
    info->nq = desc->nq ? desc->nq : DEFAULT_NQ;
    info->nt = desc->nt ? desc->nt : desc->n < DEFAULT_NT ? desc->n : DEFAULT_NT;
    if ((rc = check_count("n", info->n)) < 0) return rc;
    if ((rc = check_count("nq", info->nq)) < 0) return rc;
    if ((rc = check_count("nt", info->nt)) < 0) return rc;
    if ((rc = synthetic_create(&ds->synthetic, desc->seed, desc->d)) < 0) return rc;
    memcpy(facts, (int64_t[]){SYNTHETIC_VERSION, info->d, info->n, info->nq, info->nt, desc->seed},
           sizeof facts);
    info->identity = hash_bytes(facts, sizeof facts);
    return 0;
}

/* A part's file: vectors of any size; d and type are compared later, with all files open. */
static int open_vectors(struct vecs **out, const char *path)
{
    struct vecs *v = NULL;
    int rc;

    if ((rc = vecs_open(&v, path)) < 0) return rc;
    if (v->kind == VECS_I32) {
        rc = fail(ERR_INVALID, "%s: ivecs holds true neighbours, not vectors", path);
        vecs_close(v);
        return rc;
    }
    *out = v;
    return 0;
}

static int check_shapes(const struct dataset *ds)
{
    const struct vecs *base = ds->base;

    if (ds->query->d != base->d)
        return fail(ERR_FORMAT, "%s: d = %d, but %s has d = %d", ds->query->path, ds->query->d,
                    base->path, base->d);
    if (!ds->learn) return 0;
    if (ds->learn->d != base->d)
        return fail(ERR_FORMAT, "%s: d = %d, but %s has d = %d", ds->learn->path, ds->learn->d,
                    base->path, base->d);
    if (ds->learn->kind != base->kind)
        return fail(ERR_FORMAT, "%s and %s must be of one type, both .fvecs or both .bvecs",
                    ds->learn->path, base->path);
    return 0;
}

static int open_truth(struct dataset *ds, const char *path)
{
    int rc;

    if ((rc = vecs_open(&ds->truth, path)) < 0) return rc;
    if (ds->truth->kind != VECS_I32)
        return fail(ERR_INVALID, "%s: truth is a file of ids, its name ends in .ivecs", path);
    if (ds->truth->rows != ds->query->rows)
        return fail(ERR_FORMAT, "%s: %lld rows for the %lld queries of %s", path,
                    (long long)ds->truth->rows, (long long)ds->query->rows, ds->query->path);
    ds->info.truth_k = ds->truth->d;
    return 0;
}

/* Contents, in an order that tells a query file from a learn file; the paths stay out. */
static int identify(struct dataset *ds)
{
    const struct {
        const char *role;
        const struct vecs *file;
    } parts[] = {
        {"base",  ds->base },
        {"query", ds->query},
        {"learn", ds->learn},
        {"truth", ds->truth}
    };
    struct hasher *h = NULL;
    int rc;

    if ((rc = hasher_create(&h)) < 0) return rc;
    hasher_add_string(h, "vecs 1");
    hasher_add(h, &ds->info.n, sizeof ds->info.n);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!parts[i].file) continue;
        hasher_add_string(h, parts[i].role);
        if ((rc = vecs_hash(parts[i].file, h)) < 0) goto out;
    }
    ds->info.identity = hasher_end(h);
    rc = 0;
out:
    hasher_free(h);
    return rc;
}

/* Where a set of files comes from, whichever way they were named. */
struct files {
    const char *base, *query, *learn, *truth; /* NULL: no such file */
    int d;                                    /* that a layout's name promises; 0: any */
    int64_t promised;                         /* base rows that it promises; 0: any */
    int64_t limit;                            /* as in the spec */
};

/* Compares base with what was promised, sets how many of its rows are used and whether the truth,
   which was made for all of them, still holds. */
static int check_base(struct dataset *ds, const struct files *f, int *truth_holds)
{
    const struct vecs *base = ds->base;
    int64_t all = f->promised ? f->promised : base->rows;

    if (f->d && base->d != f->d)
        return fail(ERR_FORMAT, "%s: d = %d, but data set %s has d = %d", base->path, base->d,
                    ds->info.name, f->d);
    if (base->rows < all)
        return fail(ERR_FORMAT, "%s: holds %lld rows, but data set %s needs %lld", base->path,
                    (long long)base->rows, ds->info.name, (long long)all);
    if (f->limit < 0 || f->limit > all)
        return fail(ERR_INVALID, "limit %lld is not in 1 ... %lld, the rows of %s",
                    (long long)f->limit, (long long)all, base->path);
    ds->info.n = f->limit ? f->limit : all;
    *truth_holds = ds->info.n == all;
    return 0;
}

static int open_files(struct dataset *ds, const struct files *f)
{
    struct dataset_info *info = &ds->info;
    int rc, truth_holds = 0;

    if ((rc = open_vectors(&ds->base, f->base)) < 0) return rc;
    if ((rc = check_base(ds, f, &truth_holds)) < 0) return rc;
    if ((rc = open_vectors(&ds->query, f->query)) < 0) return rc;
    if (f->learn && (rc = open_vectors(&ds->learn, f->learn)) < 0) return rc;
    if ((rc = check_shapes(ds)) < 0) return rc;
    if (f->truth && truth_holds && (rc = open_truth(ds, f->truth)) < 0) return rc;
    info->elem = ds->base->kind == VECS_U8 ? ELEM_U8 : ELEM_F32;
    info->d = ds->base->d;
    info->nq = ds->query->rows;
    info->nt = ds->learn ? ds->learn->rows : info->n;
    return identify(ds);
}

static int open_custom(struct dataset *ds, const struct dataset_desc *desc)
{
    const struct files f = {desc->base, desc->query, desc->learn, desc->truth, 0, 0, desc->limit};

    if (!desc->query)
        return fail(ERR_INVALID, "data set \"%s\" has a base file but no query file", desc->name);
    return open_files(ds, &f);
}

/* Of a file that is there but cannot be looked at, its opening will say why. */
static int exists(const char *path)
{
    return access(path, F_OK) == 0 || errno != ENOENT;
}

static int open_bigann(struct dataset *ds, const struct dataset_desc *desc,
                       const struct dataset_layout *layout)
{
    struct text base = {0}, query = {0}, learn = {0}, truth = {0};
    struct files f = {
        .d = layout->d, .promised = (int64_t)layout->millions * MILLION, .limit = desc->limit};
    const char *sub = "";
    int rc;

    if (!desc->root)
        return fail(ERR_INVALID, "data set %s needs root, the folder that holds bigann/",
                    desc->name);
    text_addf(&base, "%s/bigann_base.bvecs", desc->root);
    if (!exists(text_get(&base))) {
        sub = "/bigann";
        text_reset(&base);
        text_addf(&base, "%s%s/bigann_base.bvecs", desc->root, sub);
    }
    text_addf(&query, "%s%s/bigann_query.bvecs", desc->root, sub);
    text_addf(&learn, "%s%s/bigann_learn.bvecs", desc->root, sub);
    text_addf(&truth, "%s%s/gnd/idx_%dM.ivecs", desc->root, sub, layout->millions);
    if (base.failed || query.failed || learn.failed || truth.failed) {
        rc = ERR_NOMEM;
        goto out;
    }
    f.base = base.s;
    f.query = query.s;
    f.learn = learn.s;
    f.truth = exists(truth.s) ? truth.s : NULL;
    rc = open_files(ds, &f);
out:
    text_clear(&base);
    text_clear(&query);
    text_clear(&learn);
    text_clear(&truth);
    return rc;
}

static int open_named(struct dataset *ds, const struct dataset_desc *desc)
{
    struct dataset_layout layout = {0};
    int rc = dataset_layout_of(&layout, desc->name);

    if (rc == 0 && layout.kind == LAYOUT_SYNTHETIC) return open_synthetic(ds, desc);
    if (rc == 0 && layout.kind != LAYOUT_FILES && desc->base)
        return fail(ERR_INVALID,
                    "%s names a known layout below root: leave base out, or choose another name",
                    desc->name);
    if (desc->base) return open_custom(ds, desc);
    if (rc < 0) return rc;
    if (layout.kind == LAYOUT_BIGANN) return open_bigann(ds, desc, &layout);
    if (layout.kind == LAYOUT_DEEP1B)
        return fail(ERR_UNSUPPORTED, "data set Deep1B comes with a later version");
    return fail(ERR_INVALID,
                "data set \"%s\" is none of SIFT1M ... SIFT1000M, Deep1B and synthetic: give its "
                "base and query files",
                desc->name);
}

int dataset_open(struct dataset **out, const struct dataset_desc *desc)
{
    struct dataset *ds = NULL;
    int rc = ERR_NOMEM;

    if (!desc->name || !*desc->name) return fail(ERR_INVALID, "the data set has no name");
    if (!(ds = mem_new(1, sizeof *ds))) goto out;
    snprintf(ds->info.name, sizeof ds->info.name, "%s", desc->name);
    if ((rc = open_named(ds, desc)) < 0) goto out;
    *out = ds;
    ds = NULL;
out:
    dataset_close(ds);
    return rc;
}

void dataset_close(struct dataset *ds)
{
    if (!ds) return;
    synthetic_free(ds->synthetic);
    vecs_close(ds->base);
    vecs_close(ds->query);
    vecs_close(ds->learn);
    vecs_close(ds->truth);
    mem_free(ds);
}

const struct dataset_info *dataset_info(const struct dataset *ds)
{
    return &ds->info;
}

static const struct vecs *file_of(const struct dataset *ds, enum part part)
{
    if (part == PART_QUERY) return ds->query;
    return part == PART_LEARN && ds->learn ? ds->learn : ds->base;
}

int64_t dataset_scratch(const struct dataset *ds, enum part part, int64_t rows)
{
    return ds->synthetic ? 0 : vecs_scratch(file_of(ds, part), rows);
}

int dataset_read_with(const struct dataset *ds, enum part part, int64_t first, int64_t rows,
                      void *dst, char *scratch)
{
    if (!ds->synthetic) return vecs_read(file_of(ds, part), first, rows, dst, scratch);
    synthetic_rows(ds->synthetic, part, first, rows, dst);
    return 0;
}

/* Rows of any part in its own element type. */
static int read_rows(const struct dataset *ds, enum part part, int64_t first, int64_t rows,
                     void *dst)
{
    char *scratch = mem_new(dataset_scratch(ds, part, rows), 1);
    int rc = ERR_NOMEM;

    if (scratch) rc = dataset_read_with(ds, part, first, rows, dst, scratch);
    mem_free(scratch);
    return rc;
}

int dataset_read(struct dataset *ds, enum part part, int64_t first, int64_t rows, void *dst)
{
    assert(part != PART_QUERY && first >= 0 && rows >= 0);
    assert(first + rows <= (part == PART_BASE ? ds->info.n : ds->info.nt));
    return read_rows(ds, part, first, rows, dst);
}

static int check_finite(const struct dataset *ds, const float *q)
{
    for (int64_t i = 0; i < ds->info.nq; i++)
        for (int t = 0; t < ds->info.d; t++)
            if (!isfinite(q[i * ds->info.d + t]))
                return fail(ERR_FORMAT, "%s: query %lld holds %s at dimension %d", ds->query->path,
                            (long long)i, isnan(q[i * ds->info.d + t]) ? "a NaN" : "an infinity",
                            t);
    return 0;
}

int dataset_queries(struct dataset *ds, float *q)
{
    int64_t count = ds->info.nq * ds->info.d;
    uint8_t *bytes = NULL;
    int rc = ERR_NOMEM;

    if (ds->query && ds->query->kind == VECS_F32) {
        rc = read_rows(ds, PART_QUERY, 0, ds->info.nq, q);
        return rc < 0 ? rc : check_finite(ds, q);
    }
    if (!(bytes = mem_new(count, 1))) goto out;
    if ((rc = read_rows(ds, PART_QUERY, 0, ds->info.nq, bytes)) < 0) goto out;
    for (int64_t i = 0; i < count; i++)
        q[i] = bytes[i];
out:
    mem_free(bytes);
    return rc;
}

/* ids[k] = the first k of one query's row on file. */
static int copy_truth(const struct dataset *ds, int64_t query, const int32_t *row, int k, vid *ids)
{
    for (int j = 0; j < k; j++) {
        if (row[j] < 0 || row[j] >= ds->info.n)
            return fail(ERR_FORMAT, "%s: query %lld: neighbour %d is id %d, not in 0 ... %lld",
                        ds->truth->path, (long long)query, j, row[j], (long long)ds->info.n - 1);
        ids[j] = row[j];
    }
    return 0;
}

int dataset_truth(struct dataset *ds, int k, vid *ids)
{
    const struct vecs *truth = ds->truth;
    char *scratch = NULL;
    int32_t *row = NULL;
    int rc = ERR_NOMEM;

    if (!truth) return fail(ERR_INVALID, "data set %s has no true neighbours", ds->info.name);
    assert(k >= 1 && k <= ds->info.truth_k);
    if (!(scratch = mem_new(vecs_scratch(truth, 1), 1))) goto out;
    if (!(row = mem_new(truth->d, sizeof *row))) goto out;
    for (int64_t i = 0; i < truth->rows; i++) {
        if ((rc = vecs_read(truth, i, 1, row, scratch)) < 0) goto out;
        if ((rc = copy_truth(ds, i, row, k, ids + i * k)) < 0) goto out;
    }
    rc = 0;
out:
    mem_free(scratch);
    mem_free(row);
    return rc;
}
