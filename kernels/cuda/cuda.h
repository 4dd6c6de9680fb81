/* What the files of the CUDA backend share: the device, its memory, and how calls to it fail. */
#ifndef IVF_CUDA_H
#define IVF_CUDA_H

#include <cuda_runtime.h>

#include "engine/backend.h"
#include "engine/base/fail.h"

struct ring;

struct cuda {
    struct backend base;
    int device, sms;
    int shared_max;      /* bytes of shared memory that a block can ask for */
    int wgmma;           /* the code loaded is sm_90a's: it has warpgroup products */
    int chains;          /* the code loaded is of 9.0 or later: chain.cuh */
    int threads;         /* of the host, that copy into pinned memory */
    cudaStream_t stream; /* every kernel, in order */
    cudaStream_t copy;   /* host to device, beside them */
    cudaEvent_t begin, end;
    char *d_scratch; /* one region for whatever step runs: cuda_scratch */
    size_t scratch_bytes;
    size_t held, peak;           /* bytes of device memory; the most since cuda_peak_bytes */
    int64_t device_ns;           /* since cuda_device_ns */
    struct ring *ring;           /* NULL until something is copied through it */
    int search_path, search_cap; /* search.h: 0 but in tests */
};

static inline struct cuda *cuda_of(struct backend *b)
{
    return (struct cuda *)b;
}

/*
 * A call of the runtime as an expression: 0, ERR_NOMEM where memory ran out (nothing is lost), or
 * ERR_DEVICE, after which the context is gone. CU(kernel) follows each launch.
 */
#define CU(call) cuda_check((call), #call)
int cuda_check(cudaError_t err, const char *call);

/* After a launch: was it accepted? With KERNELS_SYNC=1 in the environment, did it end well? */
int cuda_launched(struct cuda *cuda, const char *kernel);

/* Device memory that counts as held; *out is not cleared. cuda_free takes NULL. */
int cuda_malloc(struct cuda *cuda, void **out, size_t bytes);
void cuda_free(struct cuda *cuda, void *d_ptr, size_t bytes);

/*
 * The scratch region, at least bytes long, kept from step to step. Only a step that calls no other
 * may use it, and what it holds is gone with the next step. All work is on one stream, so the next
 * step may be enqueued before this one ended.
 */
int cuda_scratch(struct cuda *cuda, size_t bytes, char **d_out);

/*
 * Cuts a region into arrays. A function that takes all its arrays from a room is run twice: on a
 * zeroed room, to learn the bytes (room.at), and on one at the region.
 */
struct room {
    char *base;
    size_t at;
};

template <class T> static inline T *room_take(struct room *r, int64_t n)
{
    size_t at = r->at;

    r->at = (at + (size_t)n * sizeof(T) + 255) / 256 * 256;
    return r->base ? (T *)(r->base + at) : (T *)0;
}

/*
 * A step of the contract: begins, enqueues on cuda->stream, ends with cuda_finish, which waits,
 * adds the device's time and gives rc, or what the device says where rc is 0.
 */
int cuda_start(struct cuda *cuda);
int cuda_finish(struct cuda *cuda, int rc);

/* Blocks of `threads` for n items, at most a few waves: kernels stride over the grid. */
static inline unsigned cuda_grid(const struct cuda *cuda, int64_t n, int threads)
{
    int64_t blocks = (n + threads - 1) / threads, most = (int64_t)cuda->sms * 32;

    return (unsigned)(blocks < 1 ? 1 : blocks < most ? blocks : most);
}

/* The steps, a file each. */
int cuda_finite(struct backend *b, const struct mat *x, int64_t *row);
int cuda_gather(struct backend *b, const struct mat *x, const int64_t *rows, struct mat *out);
int cuda_transform(struct backend *b, const struct mat *x, const struct transform *t,
                   struct mat *out);
int cuda_assign(struct backend *b, const struct mat *x, const struct mat *c, struct buf list,
                double *total);
int cuda_means(struct backend *b, const struct mat *x, struct buf list, struct mat *c,
               struct buf count);
int cuda_residuals(struct backend *b, const struct mat *x, struct buf list, const struct mat *c,
                   struct mat *r);
int cuda_encode(struct backend *b, const struct mat *r, int m, struct buf books, struct buf code,
                struct buf err);
int cuda_code_means(struct backend *b, const struct mat *r, int m, struct buf code,
                    struct buf books, struct buf count);
int cuda_knn(struct backend *b, const struct block *x, const struct mat *q, int k, struct buf dist,
             struct buf ids);
size_t cuda_knn_bytes(int d, int k, int threads);
int cuda_synthesize(struct backend *b, const struct synthetic *s, enum part part, int64_t first,
                    struct mat *out);
int cuda_lists_create(struct backend *b, struct lists **out, const struct lists_desc *desc,
                      const float *coarse, const float *books);
void cuda_lists_free(struct backend *b, struct lists *l);
int cuda_lists_passes(const struct lists *l);
int cuda_lists_add(struct backend *b, struct lists *l, const struct block *x);
int cuda_lists_end_pass(struct backend *b, struct lists *l);
int cuda_lists_sizes(struct backend *b, const struct lists *l, int64_t *size);
size_t cuda_lists_bytes(const struct lists_desc *desc);
size_t cuda_fill_bytes(const struct lists_desc *desc);
int cuda_lists_reserve(struct backend *b, struct lists *l, const struct search_desc *want);
int cuda_lists_search(struct backend *b, struct lists *l, const float *q, int64_t nq, int k,
                      int nprobe, float *dist, vid *ids);
size_t cuda_search_bytes(const struct lists_desc *desc, const struct search_desc *want,
                         int threads);
size_t cuda_train_bytes(int d, int64_t nlist, int m, int64_t rows, int threads);

#endif
