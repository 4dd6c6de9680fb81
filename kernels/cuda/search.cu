/*
 * Search by the simplest path: for a group of queries every centroid's distance, the nearest lists,
 * and a block per query that walks them. Every distance is exact, so that what is kept is what is
 * answered; nothing depends on the order in which warps get there.
 */
#include <assert.h>

#include "engine/base/mem.h"
#include "kernels/cuda/coarse.h"
#include "kernels/cuda/lists.h"
#include "kernels/cuda/stored.cuh"

enum { THREADS = 256, WARPS = THREADS / 32 };
enum { ROUND = 256 }; /* vectors of a list that a block takes between two looks at its store */

static const size_t GROUP_BYTES = (size_t)256 << 20; /* of the queries taken at once, or of one */

/* What a search needs, in one region; of the reserved sizes. */
struct scratch {
    int64_t nq, group; /* reserved; taken at once */
    int k, nprobe;
    struct buf region;
    float *d_given;   /* [group][d_in] */
    float *d_q;       /* [group][d]: d_given itself where there is no transform */
    float *d_coarse;  /* [group][nlist] */
    int32_t *d_probe; /* [group][nprobe] */
    float *d_dist;    /* [group][k] */
    vid *d_ids;       /* [group][k] */
};

/* ---- room ---- */

static int64_t group_size(const struct lists_desc *desc, int d_in, int64_t nq, int k, int nprobe)
{
    size_t each = ((size_t)desc->nlist + (size_t)nprobe + (size_t)d_in + (size_t)desc->d) * 4 +
                  (size_t)k * (sizeof(float) + sizeof(vid));
    int64_t fit = (int64_t)(GROUP_BYTES / each);

    return nq < 1 ? 1 : fit < 1 ? 1 : fit < nq ? fit : nq;
}

static void scratch_room(struct scratch *s, const struct lists_desc *desc, int d_in,
                         int transformed, struct room *r)
{
    s->d_given = room_take<float>(r, s->group * d_in);
    s->d_q = transformed ? room_take<float>(r, s->group * desc->d) : s->d_given;
    s->d_coarse = room_take<float>(r, s->group * desc->nlist);
    s->d_probe = room_take<int32_t>(r, s->group * s->nprobe);
    s->d_dist = room_take<float>(r, s->group * s->k);
    s->d_ids = room_take<vid>(r, s->group * s->k);
}

size_t cuda_search_bytes(const struct lists_desc *desc, const struct search_desc *want, int threads)
{
    int d_in = desc->transform ? desc->transform->d_in : desc->d;
    struct scratch s = {.nq = want->nq,
                        .group = group_size(desc, d_in, want->nq, want->k, want->nprobe),
                        .k = want->k,
                        .nprobe = want->nprobe,
                        .region = {},
                        .d_given = NULL,
                        .d_q = NULL,
                        .d_coarse = NULL,
                        .d_probe = NULL,
                        .d_dist = NULL,
                        .d_ids = NULL};
    struct room r = {};

    (void)threads;
    scratch_room(&s, desc, d_in, desc->transform != NULL, &r);
    return r.at;
}

void scratch_free(struct scratch *s, struct cuda *cuda)
{
    if (!s) return;
    array_free(cuda, &s->region);
    mem_free(s);
}

/* Bytes of shared memory for so many candidates. */
static int store_bytes(int cap)
{
    return cap * (int)(sizeof(float) + sizeof(vid));
}

/* Candidates a block has room for, a power of two: what is kept, and rounds between two sorts. */
static int store_cap(int k)
{
    int cap = 512;

    while (cap < 2 * k || cap < k + ROUND)
        cap *= 2;
    return cap;
}

/* ---- the store of a block ---- */

/* Candidates in shared memory, in any order up to count; after keep_best the best ones in order. */
struct store {
    int cap, k;
    vid *ids;    /* [cap] */
    float *dist; /* [cap] */
    int *count;
};

static __device__ bool is_before(float dist, vid id, float other, vid other_id)
{
    return dist < other || (dist == other && id < other_id);
}

/* Puts places i < j into order, ascending or descending. */
static __device__ void order_two(const struct store &s, int i, int j, bool ascending)
{
    float dist = s.dist[i], other = s.dist[j];
    vid id = s.ids[i], other_id = s.ids[j];

    if (is_before(other, other_id, dist, id) != ascending) return;
    s.dist[i] = other;
    s.ids[i] = other_id;
    s.dist[j] = dist;
    s.ids[j] = id;
}

/*
 * Sorts the store by (distance, id) and drops all but the k best: a bitonic network, by the whole
 * block. No two are equal but the padding, (+inf, the largest id), which is dropped.
 */
static __device__ void keep_best(const struct store &s)
{
    int kept;

    __syncthreads();
    for (int i = *s.count + (int)threadIdx.x; i < s.cap; i += THREADS) {
        s.dist[i] = INFINITY;
        s.ids[i] = INT64_MAX;
    }
    for (int size = 2; size <= s.cap; size *= 2)
        for (int step = size / 2; step > 0; step /= 2) {
            __syncthreads();
            for (int pair = (int)threadIdx.x; pair < s.cap / 2; pair += THREADS) {
                int i = pair / step * 2 * step + pair % step;

                order_two(s, i, i + step, (i & size) == 0);
            }
        }
    __syncthreads();
    kept = min(*s.count, s.k);
    __syncthreads(); /* all have read it */
    if (threadIdx.x == 0) *s.count = kept;
    __syncthreads();
}

/* ---- scan ---- */

/*
 * Vectors from ... to - 1 of a list, at most ROUND: a warp each in turn. What is before the bound,
 * (dist, id), goes to the store, which has room; NaN and +inf never are.
 */
static __device__ void scan_round(const struct stored &lists, const float *q, int64_t list,
                                  int64_t from, int64_t to, float bound, vid bound_id,
                                  const struct store &s)
{
    for (int64_t pos = from + threadIdx.x / 32; pos < to; pos += WARPS) {
        float dist = stored_distance(lists, q, list, pos);
        vid id = stored_id(lists, pos);

        if (threadIdx.x % 32 == 0 && is_before(dist, id, bound, bound_id)) {
            int at = atomicAdd(s.count, 1);

            s.dist[at] = dist;
            s.ids[at] = id;
        }
    }
}

/*
 * A block per query: all vectors of its lists, the k best into dist[.][k] and ids[.][k]. Every
 * vector costs a warp its row and d terms in fp64. Shared memory: store_bytes(cap), at most 48 KiB.
 * The bound is the k-th of what was kept at the last sort, (+inf, 0) until there are k: no id is
 * below 0, so nothing at +inf gets in.
 */
static __global__ void __launch_bounds__(THREADS)
    scan_queries(struct stored lists, const float *q, const int32_t *probe, int nprobe, int k,
                 int cap, float *dist, vid *ids)
{
    extern __shared__ __align__(16) char region[];
    __shared__ int count;
    struct store s = {.cap = cap,
                      .k = k,
                      .ids = (vid *)region,
                      .dist = (float *)(region + 8 * cap),
                      .count = &count};
    float bound = INFINITY;
    vid bound_id = 0;

    q += (int64_t)blockIdx.x * lists.d;
    probe += (int64_t)blockIdx.x * nprobe;
    dist += (int64_t)blockIdx.x * k;
    ids += (int64_t)blockIdx.x * k;
    if (threadIdx.x == 0) count = 0;
    for (int p = 0; p < nprobe; p++) {
        int64_t list = probe[p], end = lists.offset[list + 1];

        for (int64_t pos = lists.offset[list]; pos < end; pos += ROUND) {
            __syncthreads(); /* the last round has counted all of its own */
            int full = count > cap - ROUND;

            __syncthreads(); /* and nobody counts on before all have looked */
            if (full) {
                keep_best(s);
                bound = count < k ? INFINITY : s.dist[k - 1];
                bound_id = count < k ? 0 : s.ids[k - 1];
                __syncthreads(); /* all have read the k-th; nothing overwrites it before */
            }
            scan_round(lists, q, list, pos, end - pos < ROUND ? end : pos + ROUND, bound, bound_id,
                       s);
        }
    }
    keep_best(s);
    for (int i = (int)threadIdx.x; i < k; i += THREADS) {
        dist[i] = i < count ? s.dist[i] : INFINITY;
        ids[i] = i < count ? s.ids[i] : -1;
    }
}

/* ---- the steps ---- */

int cuda_lists_reserve(struct backend *b, struct lists *l, const struct search_desc *want)
{
    struct cuda *cuda = cuda_of(b);
    const struct lists_desc *desc = &l->desc;
    struct scratch *s;
    struct room r = {};
    int rc;

    if (!(s = (struct scratch *)mem_new(1, sizeof *s))) return ERR_NOMEM;
    s->nq = want->nq;
    s->k = want->k;
    s->nprobe = want->nprobe;
    s->group = group_size(desc, l->d_in, s->nq, s->k, s->nprobe);
    scratch_room(s, desc, l->d_in, l->applier != NULL, &r);
    if ((rc = CU(cudaFuncSetAttribute(scan_queries, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      store_bytes(store_cap(K_MAX))))) < 0)
        goto out;
    if ((rc = array_new(cuda, &s->region, r.at)) < 0) goto out;
    r = {.base = (char *)s->region.ptr, .at = 0};
    scratch_room(s, desc, l->d_in, l->applier != NULL, &r);
    scratch_free(l->scratch, cuda);
    l->scratch = s;
    s = NULL;
out:
    scratch_free(s, cuda);
    return rc;
}

/* Enqueues all for a group of queries, answers to the host among it. */
static int search_group(struct cuda *cuda, struct lists *l, const float *q, int64_t nq, int k,
                        int nprobe, float *dist, vid *ids)
{
    const struct scratch *s = l->scratch;
    int cap = store_cap(k), rc;

    if ((rc = CU(cudaMemcpyAsync(s->d_given, q, (size_t)(nq * l->d_in) * sizeof *q,
                                 cudaMemcpyHostToDevice, cuda->stream))) < 0)
        return rc;
    if (l->applier && (rc = applier_run(l->applier, ELEM_F32, s->d_given, nq, s->d_q)) < 0)
        return rc;
    if ((rc = coarse_search(cuda, (const float *)l->coarse.ptr, l->desc.nlist, l->desc.d, s->d_q,
                            nq, nprobe, s->d_coarse, s->d_probe)) < 0)
        return rc;
    scan_queries<<<(unsigned)nq, THREADS, (size_t)store_bytes(cap), cuda->stream>>>(
        stored_of(l), s->d_q, s->d_probe, nprobe, k, cap, s->d_dist, s->d_ids);
    if ((rc = cuda_launched(cuda, "scan_queries")) < 0) return rc;
    if ((rc = CU(cudaMemcpyAsync(dist, s->d_dist, (size_t)(nq * k) * sizeof *dist,
                                 cudaMemcpyDeviceToHost, cuda->stream))) < 0)
        return rc;
    return CU(cudaMemcpyAsync(ids, s->d_ids, (size_t)(nq * k) * sizeof *ids, cudaMemcpyDeviceToHost,
                              cuda->stream));
}

int cuda_lists_search(struct backend *b, struct lists *l, const float *q, int64_t nq, int k,
                      int nprobe, float *dist, vid *ids)
{
    struct cuda *cuda = cuda_of(b);
    const struct scratch *s = l->scratch;
    int rc;

    assert(l->pass == l->passes && s && nq <= s->nq && k <= s->k && nprobe <= s->nprobe);
    assert(k > 0 && k <= K_MAX && nprobe > 0 && nprobe <= l->desc.nlist);
    if ((rc = cuda_start(cuda)) < 0) return rc;
    for (int64_t i = 0; i < nq && rc == 0; i += s->group) {
        int64_t some = nq - i < s->group ? nq - i : s->group;

        rc = search_group(cuda, l, q + i * l->d_in, some, k, nprobe, dist + i * k, ids + i * k);
    }
    return cuda_finish(cuda, rc);
}
