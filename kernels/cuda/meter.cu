#include "kernels/cuda/meter.h"

int meter_create(struct meter *m)
{
    int rc;

    for (int i = 0; i < METER_SPANS; i++) {
        if ((rc = CU(cudaEventCreate(&m->begin[i]))) < 0) return rc;
        if ((rc = CU(cudaEventCreate(&m->end[i]))) < 0) return rc;
    }
    return 0;
}

void meter_clear(struct meter *m)
{
    for (int i = 0; i < METER_SPANS; i++) {
        if (m->begin[i]) cudaEventDestroy(m->begin[i]);
        if (m->end[i]) cudaEventDestroy(m->end[i]);
    }
    *m = {};
}

static int add_span(struct meter *m, int i)
{
    float ms = 0;
    int rc;

    if ((rc = CU(cudaEventSynchronize(m->end[i]))) < 0) return rc;
    if ((rc = CU(cudaEventElapsedTime(&ms, m->begin[i], m->end[i]))) < 0) return rc;
    m->ns += (int64_t)(ms * 1e6);
    return 0;
}

int meter_begin(struct meter *m, struct cuda *cuda)
{
    int i = (int)(m->spans % METER_SPANS), rc;

    if (m->spans >= METER_SPANS && (rc = add_span(m, i)) < 0) return rc;
    return CU(cudaEventRecord(m->begin[i], cuda->stream));
}

int meter_end(struct meter *m, struct cuda *cuda)
{
    int rc = CU(cudaEventRecord(m->end[m->spans % METER_SPANS], cuda->stream));

    if (rc == 0) m->spans++;
    return rc;
}

int meter_take(struct meter *m, struct cuda *cuda)
{
    int rc;

    for (int i = 0; i < METER_SPANS && i < m->spans; i++)
        if ((rc = add_span(m, i)) < 0) return rc;
    cuda->device_ns += m->ns;
    m->spans = m->ns = 0;
    return 0;
}
