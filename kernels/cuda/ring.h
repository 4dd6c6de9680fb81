/*
 * Host memory on its way to the device: pinned slots that are filled (by several threads) while
 * earlier ones travel and the kernels work on what has arrived.
 */
#ifndef IVF_CUDA_RING_H
#define IVF_CUDA_RING_H

#include "kernels/cuda/cuda.h"

enum { RING_SLOTS = 3 };
static const size_t RING_SLOT_BYTES = (size_t)32 << 20;

/*
 * Copies bytes (at most RING_SLOT_BYTES) of src into a slot and sends it on; src is free on return.
 * *d_out: where it will be on the device, for kernels enqueued on cuda->stream from now on and
 * before ring_done; valid until ring_done. Waits while all slots are on their way.
 */
int ring_send(struct cuda *cuda, const void *src, size_t bytes, const void **d_out);

/* What was enqueued since ring_send is the last to read the slot. */
int ring_done(struct cuda *cuda);

void ring_free(struct cuda *cuda);

/* Bytes of device and of pinned host memory that the ring holds once it is used. */
static const size_t RING_BYTES = RING_SLOTS * RING_SLOT_BYTES;

#endif
