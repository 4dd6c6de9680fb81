/*
 * Filling the lists: a pipeline whose stages overlap. The caller reads blocks; the ring brings
 * them over chunk by chunk; the kernels look at a chunk's rows, transform, assign and store them in
 * the order they came. lists_add enqueues and goes on. When all are there, one sort of the list
 * numbers says where each row belongs, and each is moved there once.
 *
 * Where the rows do not fit twice (passes.h), the first pass keeps their list numbers alone; the
 * second, over the same data, stores each chunk at the places that the sort found.
 */
#include "kernels/cuda/fill.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "kernels/cuda/assign.h"
#include "kernels/cuda/codes.h"
#include "kernels/cuda/meter.h"
#include "kernels/cuda/place.h"
#include "kernels/cuda/ring.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/sort.h"
#include "kernels/cuda/survey.h"

struct fill {
    int64_t at;  /* rows seen in this pass */
    vid max_id;  /* of the first pass */
    int64_t cap; /* rows of a chunk, at most */

    struct assigner *assigner; /* in the first pass */
    struct buf list;           /* int32 [n] */
    struct buf place;          /* uint32 [n]: where each row goes; in a second pass */
    struct buf arrived;        /* [n][row_bytes] in arrival order; where there is one pass */
    struct buf staged;         /* [cap][row_bytes]: a chunk of it; where there are two */
    struct buf floats;         /* [cap][d]: a chunk transformed, or its residuals */

    struct buf first_bad;  /* misfit: the first one seen so far, and ... */
    volatile misfit *told; /* ... a copy in pinned memory, as of some earlier lists_add */

    struct run *runs; /* the ids of the first pass */
    int64_t nruns, runs_cap;
    struct meter meter;
};

/* ---- bytes ---- */

/* Rows of a chunk, at most: a slot of them at a byte an element, and what that is as fp32. */
static int64_t chunk_cap(const struct lists_desc *desc, int d_in)
{
    int64_t cap = (int64_t)RING_SLOT_BYTES / (desc->d > d_in ? desc->d : d_in);

    return cap < desc->n ? cap : desc->n < 1 ? 1 : desc->n;
}

static int input_d(const struct lists_desc *desc)
{
    return desc->transform ? desc->transform->d_in : desc->d;
}

static size_t floats_bytes(const struct lists_desc *desc, int transformed, int64_t cap)
{
    return desc->m || transformed ? (size_t)cap * (size_t)desc->d * sizeof(float) : 0;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t fill_peak(const struct lists_desc *desc, int passes)
{
    int64_t cap = chunk_cap(desc, input_d(desc));
    size_t list = (size_t)desc->n * sizeof(int32_t), rows = (size_t)desc->n, left, peak;
    size_t row = (size_t)lists_row_bytes(desc), arena = lists_arena_bytes(desc);
    size_t floats = floats_bytes(desc, desc->transform != NULL, cap);
    size_t arrived = passes == 1 ? rows * row : 0, staged = passes == 2 ? (size_t)cap * row : 0;
    size_t assigner = assigner_bytes(desc->nlist, desc->d), work = floats + staged;
    size_t scratch = larger(assigner_scratch(desc->d, cap), sort_temp_bytes(desc->n));

    left = passes == 1 ? list + arrived : list + (desc->m ? list : 0) + work;
    peak = larger(list + arrived + assigner + work, /* the first pass */
                  order_bytes(desc->n) + arrived + work);
    peak = larger(peak, arena + left); /* with the order, the rows to their places */
    return peak - arena + RING_BYTES + scratch + sizeof(misfit);
}

/* ---- life ---- */

void fill_free(struct fill *f, struct cuda *cuda)
{
    if (!f) return;
    cudaStreamSynchronize(cuda->stream); /* the last copy of the misfit may be on its way */
    assigner_free(f->assigner);
    array_free(cuda, &f->list);
    array_free(cuda, &f->place);
    array_free(cuda, &f->arrived);
    array_free(cuda, &f->staged);
    array_free(cuda, &f->floats);
    array_free(cuda, &f->first_bad);
    if (f->told) cudaFreeHost((void *)f->told);
    meter_clear(&f->meter);
    mem_free(f->runs);
    mem_free(f);
}

/* What each pass takes, and the scratch of all chunks: a larger one later would stall the device. */
static int take_arrays(struct fill *f, struct cuda *cuda, const struct lists *l)
{
    const struct lists_desc *desc = &l->desc;
    size_t arrived = (size_t)desc->n * (size_t)l->row_bytes;
    size_t staged = (size_t)f->cap * (size_t)l->row_bytes;
    size_t floats = floats_bytes(desc, l->applier != NULL, f->cap);
    char *d_scratch;
    int rc;

    if ((rc = array_new(cuda, &f->list, (size_t)desc->n * sizeof(int32_t))) < 0) return rc;
    if (l->passes == 1 && (rc = array_new(cuda, &f->arrived, arrived)) < 0) return rc;
    if (l->passes == 2 && (rc = array_new(cuda, &f->staged, staged)) < 0) return rc;
    if (floats && (rc = array_new(cuda, &f->floats, floats)) < 0) return rc;
    return cuda_scratch(cuda, assigner_scratch(desc->d, f->cap), &d_scratch);
}

static int take_misfit(struct fill *f, struct cuda *cuda)
{
    void *told;
    int rc;

    if ((rc = array_new(cuda, &f->first_bad, sizeof(misfit))) < 0) return rc;
    if ((rc = CU(cudaMemsetAsync(f->first_bad.ptr, 0xff, sizeof(misfit), cuda->stream))) < 0)
        return rc;
    if ((rc = CU(cudaMallocHost(&told, sizeof(misfit)))) < 0) return rc;
    f->told = (volatile misfit *)told;
    *f->told = NO_MISFIT;
    return 0;
}

int fill_create(struct fill **out, struct cuda *cuda, const struct lists *l)
{
    struct fill *f;
    int rc;

    if (!(f = (struct fill *)mem_new(1, sizeof *f))) return ERR_NOMEM;
    f->cap = chunk_cap(&l->desc, l->d_in);
    if ((rc = meter_create(&f->meter)) < 0) goto out;
    if ((rc = take_misfit(f, cuda)) < 0) goto out;
    if ((rc = assigner_create(&f->assigner, cuda, (const float *)l->coarse.ptr, l->desc.nlist,
                              l->desc.d)) < 0)
        goto out;
    if ((rc = take_arrays(f, cuda, l)) < 0) goto out;
    *out = f;
    f = NULL;
out:
    fill_free(f, cuda);
    return rc;
}

/* ---- a chunk ---- */

/*
 * Rows of a chunk: what a slot takes and, where that is more, whole waves of the assignment, whose
 * blocks take 128 or 256 rows each.
 */
static int64_t chunk_rows(const struct cuda *cuda, const struct fill *f, size_t row_bytes)
{
    int64_t rows = (int64_t)(RING_SLOT_BYTES / row_bytes), wave = (int64_t)cuda->sms * 256;

    if (rows > f->cap) rows = f->cap;
    return rows > wave ? rows - rows % wave : rows;
}

/*
 * Stores rows y, of known lists: in arrival order where the data comes once, else at their places.
 */
static int store_rows(struct cuda *cuda, struct lists *l, const struct mat *y)
{
    struct fill *f = l->fill;
    const int32_t *d_list = (const int32_t *)f->list.ptr + f->at;
    float *d_floats = (float *)f->floats.ptr;
    void *d_out = l->passes == 1 ? (char *)f->arrived.ptr + f->at * l->row_bytes : f->staged.ptr;
    int rc;

    if (l->desc.m) {
        if ((rc = rows_residuals(cuda, y, d_list, (const float *)l->coarse.ptr, d_floats)) < 0)
            return rc;
        rc = codes_encode(cuda, d_floats, y->rows, y->d, l->desc.m, (const float *)l->books.ptr,
                          (uint8_t *)d_out);
    } else if (l->desc.storage != y->elem) {
        rc = survey_store(cuda, y, l->desc.storage, d_out);
    } else if (l->passes == 1) {
        rc = CU(cudaMemcpyAsync(d_out, y->data.ptr, (size_t)(y->rows * l->row_bytes),
                                cudaMemcpyDeviceToDevice, cuda->stream));
    } else {
        d_out = y->data.ptr;
        rc = 0;
    }
    if (rc < 0 || l->passes == 1) return rc;
    return place_rows(cuda, d_out, NULL, (const uint32_t *)f->place.ptr + f->at, y->rows,
                      l->row_bytes, l->stride, l->rows.ptr);
}

/* Enqueues all that is done to rows x, whose row 0 has id first. */
static int take_rows(struct cuda *cuda, struct lists *l, const struct mat *x, vid first)
{
    struct fill *f = l->fill;
    int32_t *d_list = (int32_t *)f->list.ptr + f->at;
    struct mat y = *x;
    int rc;

    if (l->applier) {
        y = {.data = f->floats, .elem = ELEM_F32, .rows = x->rows, .d = l->desc.d};
        if ((rc = applier_run(l->applier, x->elem, x->data.ptr, x->rows, (float *)f->floats.ptr)) <
            0)
            return rc;
    }
    if (l->pass == 0) {
        if ((rc = survey_rows(cuda, &y, !l->desc.m, l->desc.storage, first,
                              (misfit *)f->first_bad.ptr)) < 0)
            return rc;
        if ((rc = assigner_run(f->assigner, &y, d_list, NULL)) < 0) return rc;
    }
    return l->pass == l->passes - 1 ? store_rows(cuda, l, &y) : 0;
}

static int add_chunk(struct cuda *cuda, struct lists *l, const struct block *x, int64_t from,
                     int64_t rows)
{
    size_t row_bytes = (size_t)x->d * elem_bytes(x->elem);
    size_t bytes = (size_t)rows * row_bytes;
    struct mat chunk = {.data = {}, .elem = x->elem, .rows = rows, .d = x->d};
    struct fill *f = l->fill;
    const void *d_x;
    int rc;

    if ((rc = ring_send(cuda, (const char *)x->ptr + (size_t)from * row_bytes, bytes, &d_x)) < 0)
        return rc;
    chunk.data = {const_cast<void *>(d_x), bytes}; /* read only */
    if ((rc = meter_begin(&f->meter, cuda)) < 0) return rc;
    if ((rc = take_rows(cuda, l, &chunk, x->first + from)) < 0) return rc;
    if ((rc = meter_end(&f->meter, cuda)) < 0) return rc;
    if ((rc = ring_done(cuda)) < 0) return rc;
    f->at += rows;
    return 0;
}

/* ---- a block ---- */

/* The ids of a block, as a run of their own where they do not go on from the last one. */
static int note_ids(struct fill *f, const struct block *x)
{
    const struct run *last = f->nruns ? f->runs + f->nruns - 1 : NULL;
    int64_t cap = f->runs_cap ? 2 * f->runs_cap : 64;
    struct run *more;

    if (x->first + x->rows - 1 > f->max_id) f->max_id = x->first + x->rows - 1;
    if (last && last->first + (f->at - last->at) == x->first) return 0;
    if (f->nruns == f->runs_cap) {
        if (!(more = (struct run *)mem_resize(f->runs, f->runs_cap, cap, sizeof *more)))
            return ERR_NOMEM;
        f->runs = more;
        f->runs_cap = cap;
    }
    f->runs[f->nruns++] = {f->at, x->first};
    return 0;
}

/* Enqueues a look at the first misfit, for a later lists_add. */
static int ask_misfit(struct fill *f, struct cuda *cuda)
{
    return CU(cudaMemcpyAsync((void *)f->told, f->first_bad.ptr, sizeof(misfit),
                              cudaMemcpyDeviceToHost, cuda->stream));
}

int cuda_lists_add(struct backend *b, struct lists *l, const struct block *x)
{
    struct cuda *cuda = cuda_of(b);
    struct fill *f = l->fill;
    int64_t step;
    int rc;

    assert(l->pass < l->passes && x->d == l->d_in && f->at + x->rows <= l->desc.n);
    if ((rc = survey_verdict(*f->told, l->desc.storage)) < 0) return rc;
    if (!x->rows) return 0;
    if (l->pass == 0 && (rc = note_ids(f, x)) < 0) return rc;
    step = chunk_rows(cuda, f, (size_t)x->d * elem_bytes(x->elem));
    for (int64_t i = 0; i < x->rows; i += step)
        if ((rc = add_chunk(cuda, l, x, i, x->rows - i < step ? x->rows - i : step)) < 0) return rc;
    return l->pass == 0 ? ask_misfit(f, cuda) : 0;
}

/* ---- the end of a pass ---- */

static int check_misfit(struct lists *l, struct cuda *cuda)
{
    int rc;

    if ((rc = ask_misfit(l->fill, cuda)) < 0) return rc;
    if ((rc = CU(cudaStreamSynchronize(cuda->stream))) < 0) return rc;
    return survey_verdict(*l->fill->told, l->desc.storage);
}

/* The ids in the order of the lists. */
static int make_ids(struct lists *l, struct cuda *cuda, const uint32_t *d_row)
{
    const struct fill *f = l->fill;
    size_t id = l->wide_ids ? sizeof(int64_t) : sizeof(uint32_t);
    int rc;

    if ((rc = array_new(cuda, &l->ids, (size_t)l->n * id)) < 0) return rc;
    return place_ids(cuda, f->runs, f->nruns, d_row, l->n,
                     l->wide_ids ? NULL : (uint32_t *)l->ids.ptr,
                     l->wide_ids ? (int64_t *)l->ids.ptr : NULL);
}

/* The rows' array at its exact size, with zeros past the last one and between rows. */
static int take_arena(struct lists *l, struct cuda *cuda)
{
    size_t rows = (size_t)l->n * (size_t)l->stride, from = l->stride == l->row_bytes ? rows : 0;
    int rc;

    if ((rc = array_new(cuda, &l->rows, rows + ARENA_PAD)) < 0) return rc;
    return CU(
        cudaMemsetAsync((char *)l->rows.ptr + from, 0, rows + ARENA_PAD - from, cuda->stream));
}

/*
 * What a second pass needs of the order is its other direction. The list numbers are sorted by
 * then; those of rows as they come are taken from there too, for the residuals of codes.
 */
static int turn_order(struct order *o, struct lists *l, struct cuda *cuda)
{
    struct fill *f = l->fill;
    int rc;

    if ((rc = order_invert(o, cuda)) < 0) return rc;
    f->place = o->spare_row;
    o->spare_row = {};
    if (!l->desc.m) return 0;
    f->list = o->spare_list;
    o->spare_list = {};
    return 0;
}

/* What is done with the order. Its arrays go as soon as they can: those of the lists come after. */
static int use_order(struct order *o, struct lists *l, struct cuda *cuda)
{
    const uint32_t *d_row = (const uint32_t *)o->row.ptr;
    int rc;

    if ((rc = order_offsets(o, cuda, l->desc.nlist, (int64_t *)l->offset.ptr)) < 0) return rc;
    if (l->passes == 2 && (rc = turn_order(o, l, cuda)) < 0) return rc;
    array_free(cuda, &o->list);
    array_free(cuda, &o->spare_list);
    array_free(cuda, &o->spare_row);
    if ((rc = make_ids(l, cuda, d_row)) < 0) return rc;
    if (l->passes == 2) array_free(cuda, &o->row);
    if ((rc = take_arena(l, cuda)) < 0) return rc;
    if (l->passes == 2) return 0;
    return place_rows(cuda, l->fill->arrived.ptr, d_row, NULL, l->n, l->row_bytes, l->stride,
                      l->rows.ptr);
}

/* All vectors are known: their order, and in one pass their places. */
static int end_first(struct lists *l, struct cuda *cuda)
{
    struct fill *f = l->fill;
    struct order o = {};
    int rc, after;

    if ((rc = check_misfit(l, cuda)) < 0) return rc;
    assigner_free(f->assigner);
    f->assigner = NULL;
    if (l->passes == 1) array_free(cuda, &f->floats);
    l->n = f->at;
    l->wide_ids = f->max_id > (vid)UINT32_MAX;
    if ((rc = meter_begin(&f->meter, cuda)) < 0) goto out;
    if ((rc = order_make(&o, cuda, &f->list, l->n, l->desc.nlist)) < 0) goto out;
    if ((rc = use_order(&o, l, cuda)) < 0) goto out;
    rc = meter_end(&f->meter, cuda);
out:
    after = CU(cudaStreamSynchronize(cuda->stream)); /* nothing is left reading the order */
    order_clear(&o, cuda);
    return rc < 0 ? rc : after;
}

int cuda_lists_end_pass(struct backend *b, struct lists *l)
{
    struct cuda *cuda = cuda_of(b);
    int rc;

    assert(l->pass < l->passes && (l->pass == 0 || l->fill->at == l->n));
    if (l->pass == 0 && (rc = end_first(l, cuda)) < 0) return rc;
    if ((rc = meter_take(&l->fill->meter, cuda)) < 0) return rc;
    l->fill->at = 0;
    if (++l->pass < l->passes) return 0;
    fill_free(l->fill, cuda);
    l->fill = NULL;
    return 0;
}
