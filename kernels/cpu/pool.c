#include "kernels/cpu/pool.h"

#include "kernels/cpu/simd.h"

/* ---- order ---- */

static inline int nearer(float da, vid a, float db, vid b)
{
    return da < db || (da == db && a < b);
}

/* Elements that move together; score and pos may be NULL. */
struct pairs {
    float *dist;
    vid *ids;
    float *score;
    int64_t *pos;
};

static inline void swap(const struct pairs *v, int64_t i, int64_t j)
{
    float dist = v->dist[i];
    vid id = v->ids[i];

    v->dist[i] = v->dist[j];
    v->dist[j] = dist;
    v->ids[i] = v->ids[j];
    v->ids[j] = id;
    if (v->pos) {
        float score = v->score[i];
        int64_t pos = v->pos[i];

        v->score[i] = v->score[j];
        v->score[j] = score;
        v->pos[i] = v->pos[j];
        v->pos[j] = pos;
    }
}

/* Hoare's partition of [lo, hi) around its middle element; both sides are not empty. */
static int64_t partition(const struct pairs *v, int64_t lo, int64_t hi)
{
    int64_t mid = lo + (hi - lo) / 2, i = lo - 1, j = hi;
    float dist = v->dist[mid];
    vid id = v->ids[mid];

    swap(v, lo, mid); /* the pivot first, so that neither side can end up empty */
    for (;;) {
        do
            i++;
        while (nearer(v->dist[i], v->ids[i], dist, id));
        do
            j--;
        while (nearer(dist, id, v->dist[j], v->ids[j]));
        if (i >= j) return j + 1;
        swap(v, i, j);
    }
}

/* Brings the k nearest of n to the front, in any order. */
static void select_nearest(const struct pairs *v, int64_t n, int64_t k)
{
    int64_t lo = 0, hi = n;

    while (hi - lo > 1 && k > lo && k < hi) {
        int64_t split = partition(v, lo, hi);

        if (k < split)
            hi = split;
        else
            lo = split;
    }
}

static void insertion_sort(float *dist, vid *ids, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        float d = dist[i];
        vid id = ids[i];
        int64_t j = i;

        for (; j > 0 && nearer(d, id, dist[j - 1], ids[j - 1]); j--) {
            dist[j] = dist[j - 1];
            ids[j] = ids[j - 1];
        }
        dist[j] = d;
        ids[j] = id;
    }
}

void pool_sort(float *dist, vid *ids, int64_t n)
{
    while (n > 16) {
        const struct pairs v = {.dist = dist, .ids = ids};
        int64_t split = partition(&v, 0, n);

        if (split < n - split) { /* the smaller side by recursion: the depth stays below log2 n */
            pool_sort(dist, ids, split);
            dist += split;
            ids += split;
            n -= split;
        } else {
            pool_sort(dist + split, ids + split, n - split);
            n = split;
        }
    }
    insertion_sort(dist, ids, n);
}

/* The kth smallest (1 is the smallest) of v[n], which is reordered. */
static float kth_smallest(float *v, int64_t n, int64_t k)
{
    int64_t lo = 0, hi = n;

    while (hi - lo > 1) {
        float pivot = v[lo + (hi - lo) / 2];
        int64_t i = lo, j = hi - 1;

        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                float t = v[i];

                v[i++] = v[j];
                v[j--] = t;
            }
        }
        if (k - 1 <= j)
            hi = j + 1;
        else if (k - 1 >= i)
            lo = i;
        else
            break; /* between the sides: equal to the pivot */
    }
    return v[k - 1];
}

/* ---- the pool ---- */

void pool_start(struct pool *p, int k, float q_norm, float margin, pool_exact exact,
                const void *ctx)
{
    p->k = k;
    p->cap = (int)pool_cap(k);
    p->count = 0;
    p->q_norm = q_norm;
    p->margin = margin;
    p->bound = INFINITY;
    p->exact = exact;
    p->ctx = ctx;
}

/* score + 2 margin, never rounded down: the true k-th is at most score + margin, and a vector
   that is nearer than it can score at most another margin more. */
static float bound_of(float score, float margin)
{
    return margin == 0 ? score : nextafterf((float)((double)score + 2.0 * margin), INFINITY);
}

/* A lower bound, and who is over it gone. */
static void tighten(struct pool *p, float kth)
{
    float bound = bound_of(kth, p->margin);
    int kept = 0;

    if (bound < p->bound) p->bound = bound;
    for (int i = 0; i < p->count; i++) {
        float score = p->score[i];
        int64_t pos = p->pos[i];

        p->score[kept] = score; /* no branch: nobody can foretell it */
        p->pos[kept] = pos;
        kept += score <= p->bound;
    }
    p->count = kept;
}

/* tmp_dist and tmp_ids of the whole pool; a NaN, which is no answer, becomes +inf. */
static void resolve(struct pool *p)
{
    p->exact(p->ctx, p->pos, p->count, p->margin == 0 ? NULL : p->tmp_dist, p->tmp_ids);
    for (int i = 0; i < p->count; i++) {
        if (p->margin == 0)
            p->tmp_dist[i] = p->q_norm + p->score[i];
        else if (isnan(p->tmp_dist[i]))
            p->tmp_dist[i] = INFINITY;
    }
}

/* Keeps the k nearest by exact distance and id. */
static void thin_exactly(struct pool *p)
{
    const struct pairs v = {p->tmp_dist, p->tmp_ids, p->score, p->pos};
    float worst = -INFINITY;

    resolve(p);
    select_nearest(&v, p->count, p->k);
    p->count = p->k;
    for (int i = 0; i < p->k; i++)
        worst = p->score[i] > worst ? p->score[i] : worst;
    tighten(p, worst);
}

/* How many of v[n] are at most limit. */
SIMD_CLONES static int count_within(const float *v, int n, float limit)
{
    vi hits = {0};
    int within = 0, i = 0;

    for (; i + LANES <= n; i += LANES)
        hits -= vf_load(v + i) <= limit;
    for (; i < n; i++)
        within += v[i] <= limit;
    for (int l = 0; l < LANES; l++)
        within += hits[l];
    return within;
}

/* The smallest and the largest of v[n], n > 0. */
SIMD_CLONES static void range(const float *v, int n, float *smallest, float *largest)
{
    vf lo = vf_set(v[0]), hi = lo;
    float least = v[0], most = v[0];
    int i = 0;

    for (; i + LANES <= n; i += LANES) {
        vf x = vf_load(v + i);

        lo = vf_select(x < lo, x, lo);
        hi = vf_select(x > hi, x, hi);
    }
    for (; i < n; i++) {
        least = v[i] < least ? v[i] : least;
        most = v[i] > most ? v[i] : most;
    }
    for (int l = 0; l < LANES; l++) {
        least = lo[l] < least ? lo[l] : least;
        most = hi[l] > most ? hi[l] : most;
    }
    *smallest = least;
    *largest = most;
}

/*
 * A value that at least k of v[n] are at most, and few more than k: halving the range and
 * counting, which has no branches to mispredict as a quickselect has.
 */
static float about_kth(const float *v, int n, int k)
{
    enum { HALVINGS = 24 };
    float lo, hi;

    range(v, n, &lo, &hi);
    for (int step = 0; step < HALVINGS; step++) {
        float mid = lo / 2 + hi / 2;
        int within;

        if (mid <= lo || mid >= hi) break;
        within = count_within(v, n, mid);
        if (within < k) {
            lo = mid;
            continue;
        }
        hi = mid;
        if (within <= k + k / 16 + 2) break;
    }
    return hi;
}

void pool_shrink(struct pool *p)
{
    tighten(p, about_kth(p->score, p->count, p->k));
    if (p->count > p->cap - p->cap / 4) thin_exactly(p);
}

static void push(struct pool *p, float score, int64_t pos)
{
    if (!(score <= p->bound)) {
        if (p->margin < INFINITY) return;
        score = 0;
    }
    p->score[p->count] = score;
    p->pos[p->count++] = pos;
}

/* Whether any of a block's scores is within the bound. */
SIMD_INLINE int any_within(const float *norm, const float *dot, float bound)
{
    vi hits = {0};
    int32_t any = 0;

    for (int j = 0; j < POOL_BLOCK; j += LANES)
        hits |= vf_load(norm + j) - 2 * vf_load(dot + j) <= bound;
    for (int l = 0; l < LANES; l++)
        any |= hits[l];
    return any;
}

/* push of a block, without a branch on what cannot be foretold. */
SIMD_INLINE void push_block(struct pool *p, const float *norm, const float *dot, int64_t pos)
{
    const float bound = p->bound;
    int count = p->count;

    for (int j = 0; j < POOL_BLOCK; j++) {
        float score = norm[j] - 2 * dot[j];

        p->score[count] = score;
        p->pos[count] = pos + j;
        count += score <= bound;
    }
    p->count = count;
}

SIMD_CLONES void pool_push_products(struct pool *p, const float *norm, const float *dot, int64_t n,
                                    int64_t pos)
{
    for (int64_t i = 0; i < n; i += POOL_BLOCK) {
        int whole = n - i >= POOL_BLOCK && p->margin < INFINITY;

        if (whole && !any_within(norm + i, dot + i, p->bound)) continue;
        if (p->count + POOL_BLOCK > p->cap) pool_shrink(p);
        if (whole) {
            push_block(p, norm + i, dot + i, pos + i);
            continue;
        }
        for (int64_t j = i; j < n && j < i + POOL_BLOCK; j++)
            push(p, norm[j] - 2 * dot[j], pos + j);
    }
}

void pool_push_rows(struct pool *p, const float *score, const int16_t *row, int n, int64_t pos)
{
    for (int i = 0; i < n; i += POOL_BLOCK) {
        int some = n - i < POOL_BLOCK ? n - i : POOL_BLOCK, count;

        if (p->count + some > p->cap) pool_shrink(p);
        count = p->count;
        for (int j = i; j < i + some; j++) {
            p->score[count] = score[j];
            p->pos[count] = pos + row[j];
            count += score[j] <= p->bound;
        }
        p->count = count;
    }
}

enum { RANKED = 256 };

/* order[rank] = key: each key's rank is how many are smaller. n^2 / 8 steps and no branch. */
SIMD_CLONES static void rank(const int64_t *key, int n, int64_t *order)
{
    for (int i = 0; i < n; i++) {
        int64_t smaller = 0;

        for (int j = 0; j < n; j++)
            smaller += key[j] < key[i];
        order[smaller] = key[i];
    }
}

/*
 * pool_sort, faster where there are few and ids fit 32 bits, as nearly always: a distance, which
 * is never negative, and an id are one whole number then.
 */
static void sort_answers(float *dist, vid *ids, int n)
{
    int64_t key[RANKED] = {0}, order[RANKED], bits = 0;

    for (int i = 0; i < n; i++)
        bits |= ids[i];
    if (n > RANKED || bits >> 32) {
        pool_sort(dist, ids, n);
        return;
    }
    for (int i = 0; i < n; i++) {
        uint32_t d;

        memcpy(&d, dist + i, sizeof d);
        key[i] = (int64_t)d << 32 | ids[i];
    }
    rank(key, n, order);
    for (int i = 0; i < n; i++) {
        uint32_t d = (uint32_t)(order[i] >> 32);

        memcpy(dist + i, &d, sizeof d);
        ids[i] = order[i] & UINT32_MAX;
    }
}

void pool_finish(struct pool *p, float *dist, vid *ids)
{
    int found = 0;

    if (p->count > p->k) pool_shrink(p);
    resolve(p);
    sort_answers(p->tmp_dist, p->tmp_ids, p->count);
    while (found < p->count && found < p->k && p->tmp_dist[found] < INFINITY)
        found++;
    for (int i = 0; i < p->k; i++) {
        dist[i] = i < found ? p->tmp_dist[i] : INFINITY;
        ids[i] = i < found ? p->tmp_ids[i] : -1;
    }
}

/*
 * Brings the k nearest to the front: first those whose score says so for certain, then, of the
 * others, by exact distance, as many as are wanted.
 */
static void settle(struct pool *p, float kth)
{
    struct pool doubtful = *p;
    double limit = (double)kth - 2.0 * p->margin;
    int certain = 0;

    for (int i = 0; i < p->count; i++) {
        float score = p->score[i];
        int64_t pos = p->pos[i];

        if (!(score < limit)) continue;
        p->score[i] = p->score[certain];
        p->pos[i] = p->pos[certain];
        p->score[certain] = score;
        p->pos[certain++] = pos;
    }
    if (p->count <= p->k) return;
    doubtful.score += certain;
    doubtful.pos += certain;
    doubtful.count = p->count - certain;
    resolve(&doubtful);
    select_nearest(
        &(struct pairs){doubtful.tmp_dist, doubtful.tmp_ids, doubtful.score, doubtful.pos},
        doubtful.count, p->k - certain);
    p->count = p->k;
}

int pool_members(struct pool *p, int32_t *pos)
{
    int best = 0;

    if (p->count > p->k) {
        float kth;

        memcpy(p->tmp_dist, p->score, (size_t)p->count * sizeof *p->score);
        kth = kth_smallest(p->tmp_dist, p->count, p->k);
        tighten(p, kth);
        settle(p, kth);
    }
    for (int i = 0; i < p->count; i++) {
        pos[i] = (int32_t)p->pos[i];
        if (p->score[i] < p->score[best]) best = i;
    }
    if (p->count) {
        int32_t first = pos[0];

        pos[0] = pos[best];
        pos[best] = first;
    }
    return p->count;
}
