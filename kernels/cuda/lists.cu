/*
 * The lists themselves: what they hold and how many bytes that is. How they are filled: fill.cu.
 */
#include "kernels/cuda/lists.h"

#include <assert.h>

#include "engine/base/mem.h"
#include "kernels/cuda/fill.h"
#include "kernels/cuda/passes.h"

/* ---- bytes ---- */

int64_t lists_row_bytes(const struct lists_desc *desc)
{
    return desc->m ? desc->m : desc->d * (int64_t)elem_bytes(desc->storage);
}

int64_t lists_stride(const struct lists_desc *desc)
{
    int64_t piece = desc->m ? 4 : 16;

    return (lists_row_bytes(desc) + piece - 1) / piece * piece;
}

size_t lists_arena_bytes(const struct lists_desc *desc)
{
    return (size_t)desc->n * ((size_t)lists_stride(desc) + sizeof(uint32_t)) + ARENA_PAD;
}

static size_t coarse_bytes(const struct lists_desc *desc)
{
    return (size_t)desc->nlist * (size_t)desc->d * sizeof(float);
}

static size_t books_bytes(const struct lists_desc *desc)
{
    return desc->m ? (size_t)KSUB * (size_t)desc->d * sizeof(float) : 0;
}

static size_t offset_bytes(const struct lists_desc *desc)
{
    return ((size_t)desc->nlist + 1) * sizeof(int64_t);
}

size_t cuda_lists_bytes(const struct lists_desc *desc)
{
    size_t transform = desc->transform ? applier_bytes(desc->transform->d_in, desc->d) : 0;

    return coarse_bytes(desc) + books_bytes(desc) + offset_bytes(desc) + lists_arena_bytes(desc) +
           transform;
}

/* Three quarters: the rest is for what else is held beside the lists, and for the driver. */
int passes_for(const struct lists_desc *desc, size_t memory_bytes)
{
    return memory_bytes && cuda_lists_bytes(desc) + fill_peak(desc, 1) > memory_bytes / 4 * 3 ? 2
                                                                                              : 1;
}

/* Told without a context; 0 where there is no such device. */
static size_t memory_of(int device)
{
    cudaDeviceProp prop;

    return cudaGetDeviceProperties(&prop, device) == cudaSuccess ? prop.totalGlobalMem : 0;
}

size_t cuda_fill_bytes(const struct lists_desc *desc)
{
    return fill_peak(desc, passes_for(desc, memory_of(0)));
}

/* ---- life ---- */

void cuda_lists_free(struct backend *b, struct lists *l)
{
    struct cuda *cuda = cuda_of(b);

    if (!l) return;
    fill_free(l->fill, cuda);
    scratch_free(l->scratch, cuda);
    applier_free(l->applier);
    array_free(cuda, &l->coarse);
    array_free(cuda, &l->books);
    array_free(cuda, &l->offset);
    array_free(cuda, &l->rows);
    array_free(cuda, &l->ids);
    array_free(cuda, &l->half);
    mem_free(l);
}

/* *out = a copy of bytes of src, which is free on return. */
static int copy_in(struct cuda *cuda, struct buf *out, const void *src, size_t bytes)
{
    int rc;

    if (!bytes) return 0;
    if ((rc = array_new(cuda, out, bytes)) < 0) return rc;
    return CU(cudaMemcpyAsync(out->ptr, src, bytes, cudaMemcpyHostToDevice, cuda->stream));
}

static int make_lists(struct lists *l, struct cuda *cuda, const struct lists_desc *desc,
                      const float *coarse, const float *books, int passes)
{
    int rc;

    l->desc = *desc;
    l->desc.transform = NULL;
    l->d_in = desc->transform ? desc->transform->d_in : desc->d;
    l->row_bytes = lists_row_bytes(desc);
    l->stride = lists_stride(desc);
    l->passes = passes;
    if (desc->transform && (rc = applier_create(&l->applier, cuda, desc->transform)) < 0) return rc;
    if ((rc = copy_in(cuda, &l->coarse, coarse, coarse_bytes(desc))) < 0) return rc;
    if ((rc = copy_in(cuda, &l->books, books, books_bytes(desc))) < 0) return rc;
    if ((rc = array_new(cuda, &l->offset, offset_bytes(desc))) < 0) return rc;
    return fill_create(&l->fill, cuda, l);
}

int passes_create(struct backend *b, struct lists **out, const struct lists_desc *desc,
                  const float *coarse, const float *books, int passes)
{
    struct lists *l;
    int rc;

    assert(desc->nlist > 0 && desc->nlist < INT32_MAX && (!desc->m || books));
    if (desc->n > (int64_t)UINT32_MAX)
        return fail(
            ERR_UNSUPPORTED,
            "backend cuda: %lld vectors are more than the %lld that one device's lists take",
            (long long)desc->n, (long long)UINT32_MAX);
    if (!(l = (struct lists *)mem_new(1, sizeof *l))) return ERR_NOMEM;
    if ((rc = make_lists(l, cuda_of(b), desc, coarse, books, passes)) < 0) {
        cuda_lists_free(b, l);
        return rc;
    }
    *out = l;
    return 0;
}

int cuda_lists_create(struct backend *b, struct lists **out, const struct lists_desc *desc,
                      const float *coarse, const float *books)
{
    int passes = passes_for(desc, memory_of(cuda_of(b)->device));

    return passes_create(b, out, desc, coarse, books, passes);
}

int cuda_lists_passes(const struct lists *l)
{
    return l->passes;
}

int cuda_lists_sizes(struct backend *b, const struct lists *l, int64_t *size)
{
    struct cuda *cuda = cuda_of(b);
    const int64_t *d_offset = (const int64_t *)l->offset.ptr;
    int rc;

    /* where each list ends, and from the last one down what that is without the one before */
    if ((rc = CU(cudaMemcpyAsync(size, d_offset + 1, (size_t)l->desc.nlist * sizeof *size,
                                 cudaMemcpyDeviceToHost, cuda->stream))) < 0)
        return rc;
    if ((rc = CU(cudaStreamSynchronize(cuda->stream))) < 0) return rc;
    for (int64_t j = l->desc.nlist - 1; j > 0; j--)
        size[j] -= size[j - 1];
    return 0;
}
