/*
 * A sample is the first rows of a query's nearest lists, in units as the scan takes them; the scan computes its
 * e as it does all others. The k-th smallest of them and the margin are the bound. Any k vectors would do:
 * the nearer they are, the fewer candidates the scan finds, and a few hundred of the nearest list cost a tenth of it.
 */
#include "kernels/cuda/bound.h"

#include <cmath>

#include "kernels/cuda/chain.cuh"
#include "kernels/cuda/keys.cuh"

enum { THREADS = 256, WARPS = THREADS / 32 };
enum { SAMPLE_ANSWERS = 4 }; /* times k: rows of a sample, at least */
enum { SAMPLE_MOST = 1024 }; /* rows that are taken so that hits are fewer */
enum { HITS_MANY = 4096 };   /* of a query, if its lists were as near as the sample */
enum { LONG_ROW = 256 };     /* bytes */

/* The sample's arrays. They fit where candidates will be, which have 8 bytes for each of 16 k places, 2,048 at least;
   these take 4.1 for each of 4 k rows, or of SAMPLE_MOST. */
struct sample {
    int rows, units;     /* of a query */
    struct unit *d_unit; /* [n][units] */
    struct pair *d_pair; /* [n][units] */
    float *d_e;          /* [n][units][UNIT_ROWS] */
};

/*
 * More where more lists are to be kept out; of long rows few, which take longer to read than the candidates they
 * spare. Twice as many where candidates would be too many for their room otherwise.
 */
static int sample_rows(int64_t stride, const struct walk *w, int k)
{
    int rows = w->nprobe < 4 || stride > LONG_ROW ? 128 : w->nprobe < 16 ? 256 : 512;

    if (rows < SAMPLE_ANSWERS * k) rows = SAMPLE_ANSWERS * k;
    return rows <= SAMPLE_MOST / 2 && k * w->expected / rows > HITS_MANY ? 2 * rows : rows;
}

static void sample_room(struct sample *s, int64_t n, int64_t stride, const struct walk *w, int k,
                        struct room *r)
{
    s->rows = sample_rows(stride, w, k);
    s->units = (s->rows + UNIT_ROWS - 1) / UNIT_ROWS;
    s->d_unit = room_take<struct unit>(r, n * s->units);
    s->d_pair = room_take<struct pair>(r, n * s->units);
    s->d_e = room_take<float>(r, n * s->units * UNIT_ROWS);
}

/*
 * A thread a query: chunks of its lists, the nearest first, until there are enough. Unused units are empty.
 */
__global__ static void choose_sample(const int64_t *offset, const int32_t *probe, const float *near,
                                     int nprobe, const float *square, struct whole w, int64_t n,
                                     struct sample s)
{
    chain_begin();
    int64_t query = (int64_t)blockIdx.x * THREADS + threadIdx.x, at = query * s.units;
    bool whole = whole_is(w);
    int unit = 0, left = s.rows;

    if (query >= n) return;
    for (int rank = 0; rank < nprobe && unit < s.units; rank++) {
        int32_t list = probe[query * nprobe + rank];
        int64_t row = list < 0 ? 0 : offset[list], end = list < 0 ? 0 : offset[list + 1];

        for (; row < end && unit < s.units && left > 0; row += UNIT_ROWS, unit++) {
            int rows = (int)min((int64_t)min(UNIT_ROWS, left), end - row);

            s.d_unit[at + unit] = {(uint32_t)row, rows | 1 << 16, (int32_t)(at + unit), list};
            left -= rows;
            float of_list = near ? near[query * nprobe + rank] : 0.5f * square[query];

            s.d_pair[at + unit] = {(int32_t)query,
                                   whole ? w.d_square[query] : __float_as_int(of_list)};
        }
    }
    for (; unit < s.units; unit++) {
        s.d_unit[at + unit] = {UINT32_MAX, 1 << 16, (int32_t)(at + unit), 0};
        s.d_pair[at + unit] = {(int32_t)query, 0};
    }
}

struct bound_task {
    int64_t n;
    int depth, nprobe, codes, float16;
    struct rows rows;
    struct whole whole;
    const struct product_facts *space;
    const struct scan_facts *facts;
    const int32_t *probe;
    const float *near;
    struct candidates c;
    struct sample sample;
};

/*
 * At least the kth smallest of count values, by a warp: bisection on their bits, as far as 14 of those in which
 * they differ; +inf where fewer than k are finite. HELD: that many are held by each lane; 0: more, which are
 * read again.
 */
template <int HELD> __device__ static float kth_at_most(const float *value, int count, int k)
{
    const uint32_t infinite = 0x7f800000;
    int lane = (int)(threadIdx.x % 32), top, stop;
    uint32_t found, held[HELD ? HELD : 1], least = infinite, most = 0, finite = 0;

#pragma unroll
    for (int i = 0; i < HELD; i++)
        held[i] = lane + 32 * i < count ? __float_as_uint(value[lane + 32 * i]) : UINT32_MAX;
    auto each = [&](auto use) {
#pragma unroll
        for (int i = 0; i < HELD; i++)
            use(held[i]);
        for (int i = lane; !HELD && i < count; i += 32)
            use(__float_as_uint(value[i]));
    };

    each([&](uint32_t v) {
        if (v >= infinite) return;
        least = min(least, v);
        most = max(most, v);
        finite++;
    });
    if ((int)__reduce_add_sync(WARP_ALL, finite) < k) return INFINITY;
    least = __reduce_min_sync(WARP_ALL, least);
    most = __reduce_max_sync(WARP_ALL, most);
    top = 32 - __clz((int)(least ^ most));
    stop = top > 14 ? top - 14 : 0;
    found = least >> top << top;
    for (int bit = top - 1; bit >= stop; bit--) {
        uint32_t edge = found | ((1u << bit) - 1), below = 0;

        each([&](uint32_t v) { below += v <= edge; });
        if ((int)__reduce_add_sync(WARP_ALL, below) < k) found |= 1u << bit;
    }
    return __uint_as_float(found | ((1u << stop) - 1));
}

/* A warp a query. */
__global__ static void set_bounds(__grid_constant__ const struct bound_task t)
{
    chain_begin();
    int64_t query = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
    int rows = t.sample.units * UNIT_ROWS, past = 0;

    if (query >= t.n) return;
    float length = t.rows.d_length[query];
    struct e_margins m =
        e_margins_of(t.space, t.facts, t.depth, length, t.rows.d_err[query], t.codes, t.float16);
    const float *e = t.sample.d_e + query * rows;
    float last = rows <= 512    ? kth_at_most<16>(e, rows, t.c.k)
                 : rows <= 1024 ? kth_at_most<32>(e, rows, t.c.k)
                                : kth_at_most<0>(e, rows, t.c.k);

    float most = e_unbounded(t.space, t.facts, length, t.codes);

    for (int i = (int)(threadIdx.x % 32); t.codes && i < t.nprobe; i += 32)
        past |= e_is_past(t.probe[query * t.nprobe + i], t.near[query * t.nprobe + i]);
    if (last < INFINITY) most = fminf(whole_is(t.whole) ? last : e_within(m, last), most);
    past = __any_sync(WARP_ALL, past) || !(m.near < INFINITY) || !(most < INFINITY);
    if (threadIdx.x % 32) return;
    t.c.d_count[query] = past ? t.c.cap + 1 : 0;
    t.c.d_tau[query] = past ? -INFINITY : most;
}

int bound_queries(struct cuda *cuda, const struct scanned *s, const struct queries *q,
                  const struct walk *w, const struct candidates *c)
{
    struct bound_task t = {.n = q->n,
                           .depth = s->space->depth,
                           .nprobe = w->nprobe,
                           .codes = s->lists.m > 0,
                           .float16 = s->float16,
                           .rows = q->rows,
                           .whole = q->whole,
                           .space = s->space->d_facts,
                           .facts = s->d_facts,
                           .probe = w->d_probe,
                           .near = w->d_near,
                           .c = *c,
                           .sample = {}};
    struct room r = {(char *)c->d_found, 0};
    int rc;

    sample_room(&t.sample, q->n, s->lists.stride, w, c->k, &r);
    if ((rc = chain_launch(cuda, "choose_sample", choose_sample,
                           (unsigned)((q->n + THREADS - 1) / THREADS), THREADS, 0, s->lists.offset,
                           w->d_probe, t.codes ? w->d_near : NULL, w->nprobe, q->rows.d_square,
                           q->whole, q->n, t.sample)) < 0)
        return rc;
    if ((rc = scan_sample(cuda, s, q, t.sample.d_unit, q->n * t.sample.units, t.sample.d_pair,
                          t.sample.d_e)) < 0)
        return rc;
    return chain_launch(cuda, "set_bounds", set_bounds, (unsigned)((q->n + WARPS - 1) / WARPS),
                        THREADS, 0, t);
}
