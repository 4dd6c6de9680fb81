#include "harness/maker.h"

#include <pthread.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/synthetic.h"
#include "harness/device.h"

enum { FEW = 256 }; /* rows that the host has made before a device has begun */

struct maker {
    struct backend *b;
    struct mat x; /* [rows][d] on the device */
    pthread_mutex_t turn;
};

int maker_open(struct maker **out, const char *wanted, const char *name, int64_t rows, int d)
{
    const struct backend_ops *ops;
    struct maker *m = NULL;
    size_t bytes;
    int rc;

    *out = NULL;
    if ((rc = device_check(name)) < 0 || (rc = kernels_find(&ops, name)) < 0) return rc;
    if (!ops->synthesize) return 0;
    if ((rc = mem_bytes(&bytes, rows, (size_t)d)) < 0) return rc;
    if (!(m = mem_new(1, sizeof *m))) return ERR_NOMEM;
    pthread_mutex_init(&m->turn, NULL);
    m->x = (struct mat){.elem = ELEM_U8, .rows = rows, .d = d};
    if ((rc = device_open(&m->b, wanted, name, 0)) < 0) goto out;
    if ((rc = ops->alloc(m->b, &m->x.data, bytes)) < 0) goto out;
    *out = m;
    m = NULL;
out:
    maker_close(m);
    return rc;
}

void maker_close(struct maker *m)
{
    if (!m) return;
    if (m->b) {
        m->b->ops->release(m->b, &m->x.data);
        m->b->ops->close(m->b);
    }
    pthread_mutex_destroy(&m->turn);
    mem_free(m);
}

static int make_on_device(struct maker *m, const struct synthetic *s, enum part part, int64_t first,
                          int64_t rows, void *dst)
{
    const struct backend_ops *ops = m->b->ops;
    struct mat x = m->x;
    int rc;

    x.rows = rows;
    if ((rc = ops->synthesize(m->b, s, part, first, &x)) < 0) return rc;
    return ops->download(m->b, dst, x.data, 0, (size_t)rows * (size_t)x.d);
}

int maker_rows(struct maker *m, const struct synthetic *s, enum part part, int64_t first,
               int64_t rows, void *dst)
{
    int rc;

    if (!m || rows < FEW || rows > m->x.rows) {
        synthetic_rows(s, part, first, rows, dst);
        return 0;
    }
    pthread_mutex_lock(&m->turn);
    rc = make_on_device(m, s, part, first, rows, dst);
    pthread_mutex_unlock(&m->turn);
    return rc;
}
