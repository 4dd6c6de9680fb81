/*
 * The device's time over work that nobody waits for: the sum of spans, each from when its first
 * kernel could begin to when its last ended. What lies between spans (the device waiting for data)
 * is not counted; that allocations within a span hold it up is.
 */
#ifndef IVF_CUDA_METER_H
#define IVF_CUDA_METER_H

#include "kernels/cuda/cuda.h"

enum { METER_SPANS = 8 }; /* more than two rounds of the ring: what is taken again has ended */

struct meter {
    cudaEvent_t begin[METER_SPANS], end[METER_SPANS];
    int64_t spans; /* ended since meter_take */
    int64_t ns;    /* of those whose events were taken again */
};

int meter_create(struct meter *m); /* a zeroed one; meter_clear also after a failure */
void meter_clear(struct meter *m);

/* Around what is enqueued on cuda->stream. Waits only for a span METER_SPANS ago. */
int meter_begin(struct meter *m, struct cuda *cuda);
int meter_end(struct meter *m, struct cuda *cuda);

/* Waits for all spans and adds their time to cuda->device_ns. */
int meter_take(struct meter *m, struct cuda *cuda);

#endif
