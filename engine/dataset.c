/*
 * A data set is either a generator or up to four files of rows, named one by one or by a layout.
 * Everything is checked at opening, in an order that lets the first message be the useful one:
 * the name, then each file, then the files against each other.
 */
#include "engine/dataset.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/text.h"
#include "engine/dataset_internal.h"
#include "engine/rowfile.h"
#include "engine/synthetic.h"

enum { DEFAULT_NQ = 1000, DEFAULT_NT = 50000 };

struct dataset {
    struct dataset_info info;
    struct synthetic *synthetic; /* or the files, further down */
    dataset_maker make;          /* of its rows; NULL: it makes them itself */
    void *make_arg;
    struct rowfile *base, *query, *learn, *truth; /* learn and truth may be NULL */
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
static int open_vectors(struct rowfile **out, const char *path, enum role role)
{
    struct rowfile *f = NULL;
    int rc;

    if ((rc = rowfile_open(&f, path, role)) < 0) return rc;
    if (cell_is_id(f->cell)) {
        rc = fail(ERR_INVALID, "%s: holds %s, ids of true neighbours, not vectors", path,
                  cell_name(f->cell));
        rowfile_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

static int check_shapes(const struct dataset *ds)
{
    const struct rowfile *base = ds->base;

    if (ds->query->d != base->d)
        return fail(ERR_FORMAT, "%s: d = %d, but %s has d = %d", ds->query->path, ds->query->d,
                    base->path, base->d);
    if (!ds->learn) return 0;
    if (ds->learn->d != base->d)
        return fail(ERR_FORMAT, "%s: d = %d, but %s has d = %d", ds->learn->path, ds->learn->d,
                    base->path, base->d);
    if (ds->learn->cell != base->cell)
        return fail(
            ERR_FORMAT,
            "%s holds %s and %s %s: they must be of one type; `ivfbench convert` makes u8 of "
            "no f32, but f32 of u8",
            ds->learn->path, cell_name(ds->learn->cell), base->path, cell_name(base->cell));
    return 0;
}

/* 1: all ids of the truth are among the n base rows in use; 0: it was made for more; or a code. */
static int truth_fits(const struct dataset *ds)
{
    const struct rowfile *truth = ds->truth;
    char *scratch = mem_new(rowfile_scratch(truth, 1), 1), *row = mem_new(truth->stride, 1);
    int rc = 1;

    if (!scratch || !row) rc = ERR_NOMEM;
    for (int64_t i = 0; i < truth->rows && rc == 1; i++) {
        if ((rc = rowfile_read(truth, i, 1, row, scratch)) < 0) break;
        rc = 1;
        for (int j = 0; j < truth->d && rc == 1; j++)
            rc = cell_id(truth->cell, row, j) < ds->info.n;
    }
    mem_free(scratch);
    mem_free(row);
    return rc;
}

/* all: the base is used to its end, so that a truth whose ids pass n is a fault. */
static int open_truth(struct dataset *ds, const char *path, int all)
{
    int rc;

    if ((rc = rowfile_open(&ds->truth, path, ROLE_TRUTH)) < 0) return rc;
    if (!cell_is_id(ds->truth->cell))
        return fail(ERR_INVALID,
                    "%s: holds %s, vectors; truth is a file of ids (.ivecs, .ibin, .npy)", path,
                    cell_name(ds->truth->cell));
    if (ds->truth->rows != ds->query->rows)
        return fail(ERR_FORMAT, "%s: %lld rows for the %lld queries of %s", path,
                    (long long)ds->truth->rows, (long long)ds->query->rows, ds->query->path);
    if (!all && (rc = truth_fits(ds)) < 0) return rc;
    if (!all && rc == 0) {
        rowfile_close(ds->truth);
        ds->truth = NULL;
        return 0;
    }
    ds->info.truth_k = ds->truth->d;
    return 0;
}

/* Contents, in an order that tells a query file from a learn file; the paths stay out. */
static int identify(struct dataset *ds)
{
    const struct {
        const char *role;
        const struct rowfile *file;
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
        /* u8bin and i8bin differ in their name alone; other types in content or size */
        if (parts[i].file->cell == CELL_I8) hasher_add_string(h, "i8");
        if ((rc = rowfile_hash(parts[i].file, h)) < 0) goto out;
    }
    ds->info.identity = hasher_end(h);
    rc = 0;
out:
    hasher_free(h);
    return rc;
}

int dataset_unchanged(const struct dataset *ds)
{
    const struct rowfile *files[] = {ds->base, ds->query, ds->learn, ds->truth};
    int rc = 0;

    for (size_t i = 0; i < sizeof files / sizeof *files && rc == 0; i++)
        if (files[i]) rc = rowfile_unchanged(files[i]);
    return rc;
}

int dataset_spares(const struct dataset *ds, const char *path)
{
    const struct rowfile *files[] = {ds->base, ds->query, ds->learn, ds->truth};

    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i] && file_same(files[i]->path, path))
            return fail(ERR_INVALID, "%s: is read here; write to a file of another name", path);
    return 0;
}

/* Compares base with what was promised, sets how many of its rows are used and whether these are
   all that truth may have been made for. */
static int check_base(struct dataset *ds, const struct dataset_files *f, int64_t limit,
                      int *all_used)
{
    const struct rowfile *base = ds->base;
    int64_t all = f->promised ? f->promised : base->rows;

    if (f->d && base->d != f->d)
        return fail(ERR_FORMAT, "%s: d = %d, but data set %s has d = %d", base->path, base->d,
                    ds->info.name, f->d);
    if (base->rows < all)
        return fail(ERR_FORMAT, "%s: holds %lld rows, but data set %s needs %lld", base->path,
                    (long long)base->rows, ds->info.name, (long long)all);
    if (limit < 0 || limit > all)
        return fail(ERR_INVALID, "limit %lld is not in 1 ... %lld, the rows of %s",
                    (long long)limit, (long long)all, base->path);
    ds->info.n = limit ? limit : all;
    *all_used = ds->info.n == all;
    return 0;
}

static int open_files(struct dataset *ds, const struct dataset_files *f, int64_t limit)
{
    struct dataset_info *info = &ds->info;
    int rc, all_used = 0;

    if ((rc = open_vectors(&ds->base, f->base.s, ROLE_BASE)) < 0) return rc;
    if ((rc = check_base(ds, f, limit, &all_used)) < 0) return rc;
    if ((rc = open_vectors(&ds->query, f->query.s, ROLE_QUERY)) < 0) return rc;
    if (f->learn.len && (rc = open_vectors(&ds->learn, f->learn.s, ROLE_LEARN)) < 0) return rc;
    if ((rc = check_shapes(ds)) < 0) return rc;
    if (f->truth.len && (rc = open_truth(ds, f->truth.s, all_used)) < 0) return rc;
    info->elem = (enum elem)ds->base->cell;
    info->d = ds->base->d;
    info->nq = ds->query->rows;
    info->nt = ds->learn ? ds->learn->rows : info->n;
    if (f->learn_rows && info->nt > f->learn_rows) info->nt = f->learn_rows;
    return identify(ds);
}

static int open_custom(struct dataset *ds, const struct dataset_desc *desc)
{
    int all = dataset_file_holds_all(desc->base), rc;
    const char *query = desc->query || !all ? desc->query : desc->base;
    const char *truth = desc->truth || !all || desc->query ? desc->truth : desc->base;
    struct dataset_files f = {0};

    if (!query)
        return fail(ERR_INVALID, "data set \"%s\" has a base file but no query file", desc->name);
    text_add(&f.base, desc->base);
    text_add(&f.query, query);
    if (desc->learn) text_add(&f.learn, desc->learn);
    if (truth) text_add(&f.truth, truth);
    rc = f.base.failed || f.query.failed || f.learn.failed || f.truth.failed ? ERR_NOMEM : 0;
    if (rc == 0) rc = open_files(ds, &f, desc->limit);
    dataset_files_clear(&f);
    return rc;
}

static int open_layout(struct dataset *ds, const struct dataset_desc *desc,
                       const struct dataset_layout *layout)
{
    struct dataset_files f = {0};
    int rc = dataset_find(&f, layout, desc->name, desc->root);

    if (rc == 0) rc = open_files(ds, &f, desc->limit);
    dataset_files_clear(&f);
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
    if (layout.kind != LAYOUT_FILES) return open_layout(ds, desc, &layout);
    return fail(ERR_INVALID,
                "data set \"%s\" is none of SIFT1M ... SIFT1000M, Deep1M ... Deep1B, TEXMEX-SIFT1M "
                "and synthetic: give its base and query files",
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
    rowfile_close(ds->base);
    rowfile_close(ds->query);
    rowfile_close(ds->learn);
    rowfile_close(ds->truth);
    mem_free(ds);
}

const struct dataset_info *dataset_info(const struct dataset *ds)
{
    return &ds->info;
}

static const struct rowfile *file_of(const struct dataset *ds, enum part part)
{
    if (part == PART_QUERY) return ds->query;
    return part == PART_LEARN && ds->learn ? ds->learn : ds->base;
}

int64_t dataset_scratch(const struct dataset *ds, enum part part, int64_t rows)
{
    return ds->synthetic ? 0 : rowfile_scratch(file_of(ds, part), rows);
}

void dataset_make_with(struct dataset *ds, dataset_maker make, void *arg)
{
    ds->make = make;
    ds->make_arg = arg;
}

int dataset_read_with(const struct dataset *ds, enum part part, int64_t first, int64_t rows,
                      void *dst, char *scratch)
{
    if (!ds->synthetic) return rowfile_read(file_of(ds, part), first, rows, dst, scratch);
    if (ds->make) return ds->make(ds->make_arg, ds->synthetic, part, first, rows, dst);
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
    enum elem elem = ds->query ? (enum elem)ds->query->cell : ELEM_U8;
    int64_t count = ds->info.nq * ds->info.d;
    void *raw = NULL;
    int rc = ERR_NOMEM;

    if (elem == ELEM_F32) {
        rc = read_rows(ds, PART_QUERY, 0, ds->info.nq, q);
        return rc < 0 ? rc : check_finite(ds, q);
    }
    if (!(raw = mem_new(count, elem_bytes(elem)))) goto out;
    if ((rc = read_rows(ds, PART_QUERY, 0, ds->info.nq, raw)) < 0) goto out;
    elem_to_floats(elem, raw, count, q);
    if (elem == ELEM_F16) rc = check_finite(ds, q);
out:
    mem_free(raw);
    return rc;
}

/* ids[k] = the first k of one query's row on file. */
static int copy_truth(const struct dataset *ds, int64_t query, const void *row, int k, vid *ids)
{
    for (int j = 0; j < k; j++) {
        ids[j] = cell_id(ds->truth->cell, row, j);
        if (ids[j] < 0 || ids[j] >= ds->info.n)
            return fail(
                ERR_FORMAT,
                "%s: query %lld: neighbour %d is id %lld, not in 0 ... %lld: was it made for "
                "another base?",
                ds->truth->path, (long long)query, j, (long long)ids[j], (long long)ds->info.n - 1);
    }
    return 0;
}

int dataset_truth(struct dataset *ds, int k, vid *ids)
{
    const struct rowfile *truth = ds->truth;
    char *scratch = NULL, *row = NULL;
    int rc = ERR_NOMEM;

    if (!truth) return fail(ERR_INVALID, "data set %s has no true neighbours", ds->info.name);
    assert(k >= 1 && k <= ds->info.truth_k);
    if (!(scratch = mem_new(rowfile_scratch(truth, 1), 1))) goto out;
    if (!(row = mem_new(truth->d, cell_bytes(truth->cell)))) goto out;
    for (int64_t i = 0; i < truth->rows; i++) {
        if ((rc = rowfile_read(truth, i, 1, row, scratch)) < 0) goto out;
        if ((rc = copy_truth(ds, i, row, k, ids + i * k)) < 0) goto out;
    }
    rc = 0;
out:
    mem_free(scratch);
    mem_free(row);
    return rc;
}

int dataset_file_holds_all(const char *base)
{
    return rowfile_holds_all(base);
}
