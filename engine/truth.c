#include "engine/truth.h"

#include <math.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"

struct truth {
    struct backend *b;
    struct mat q;
    int k;
    struct buf dist, ids; /* [nq][k] on the device */
};

/* All places unfilled: what a knn step begins with. */
static int unfill(struct truth *t)
{
    int64_t places = t->q.rows * t->k;
    float *dist = mem_new(places, sizeof *dist);
    vid *ids = mem_new(places, sizeof *ids);
    int rc = ERR_NOMEM;

    if (!dist || !ids) goto out;
    for (int64_t i = 0; i < places; i++) {
        dist[i] = INFINITY;
        ids[i] = -1;
    }
    if ((rc = t->b->ops->upload(t->b, t->dist, 0, dist, t->dist.bytes)) < 0) goto out;
    rc = t->b->ops->upload(t->b, t->ids, 0, ids, t->ids.bytes);
out:
    mem_free(dist);
    mem_free(ids);
    return rc;
}

int truth_create(struct truth **out, struct backend *b, const float *q, int64_t nq, int d, int k)
{
    struct truth *t = NULL;
    size_t q_bytes = 0, dist_bytes = 0, ids_bytes = 0;
    int rc;

    if (k < 1 || k > K_MAX) return fail(ERR_INVALID, "truth: k %d is not in 1 ... %d", k, K_MAX);
    if ((rc = mem_bytes(&q_bytes, nq * d, sizeof *q)) < 0) goto out;
    if ((rc = mem_bytes(&dist_bytes, nq * k, sizeof(float))) < 0) goto out;
    if ((rc = mem_bytes(&ids_bytes, nq * k, sizeof(vid))) < 0) goto out;
    rc = ERR_NOMEM;
    if (!(t = mem_new(1, sizeof *t))) goto out;
    t->b = b;
    t->k = k;
    t->q = (struct mat){.elem = ELEM_F32, .rows = nq, .d = d};
    if ((rc = b->ops->alloc(b, &t->q.data, q_bytes)) < 0) goto out;
    if ((rc = b->ops->alloc(b, &t->dist, dist_bytes)) < 0) goto out;
    if ((rc = b->ops->alloc(b, &t->ids, ids_bytes)) < 0) goto out;
    if ((rc = b->ops->upload(b, t->q.data, 0, q, q_bytes)) < 0) goto out;
    if ((rc = unfill(t)) < 0) goto out;
    *out = t;
    t = NULL;
out:
    truth_free(t);
    return rc;
}

void truth_free(struct truth *t)
{
    if (!t) return;
    t->b->ops->release(t->b, &t->q.data);
    t->b->ops->release(t->b, &t->dist);
    t->b->ops->release(t->b, &t->ids);
    mem_free(t);
}

int truth_add(struct truth *t, const struct block *x)
{
    return t->b->ops->knn(t->b, x, &t->q, t->k, t->dist, t->ids);
}

int truth_get(struct truth *t, float *dist, vid *ids)
{
    int rc = 0;

    if (dist && (rc = t->b->ops->download(t->b, dist, t->dist, 0, t->dist.bytes)) < 0) return rc;
    if (ids) rc = t->b->ops->download(t->b, ids, t->ids, 0, t->ids.bytes);
    return rc;
}
