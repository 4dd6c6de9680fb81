#include "kernels/cuda/ring.h"

#include "engine/base/mem.h"
#include "kernels/cuda/copy.h"

struct slot {
    char *host, *d_stage;
    cudaEvent_t sent, read; /* the copy ended; what reads it ended */
};

struct ring {
    struct slot slot[RING_SLOTS];
    int at; /* the slot of the latest send */
};

void ring_free(struct cuda *cuda)
{
    struct ring *ring = cuda->ring;

    if (!ring) return;
    cudaStreamSynchronize(cuda->copy);
    for (struct slot &s : ring->slot) {
        if (s.host) cudaFreeHost(s.host);
        if (s.sent) cudaEventDestroy(s.sent);
        if (s.read) cudaEventDestroy(s.read);
        cuda_free(cuda, s.d_stage, RING_SLOT_BYTES);
    }
    mem_free(ring);
    cuda->ring = NULL;
}

static int make_slot(struct cuda *cuda, struct slot *s)
{
    void *ptr;
    int rc;

    if ((rc = CU(cudaMallocHost(&ptr, RING_SLOT_BYTES))) < 0)
        return rc == ERR_NOMEM ? fail(rc, "the host has no %.0f MiB left that can be pinned",
                                      (double)RING_SLOT_BYTES / (1 << 20))
                               : rc;
    s->host = (char *)ptr;
    if ((rc = cuda_malloc(cuda, &ptr, RING_SLOT_BYTES)) < 0) return rc;
    s->d_stage = (char *)ptr;
    if ((rc = CU(cudaEventCreateWithFlags(&s->sent, cudaEventDisableTiming))) < 0) return rc;
    return CU(cudaEventCreateWithFlags(&s->read, cudaEventDisableTiming));
}

static int make_ring(struct cuda *cuda)
{
    int rc = 0;

    if (!(cuda->ring = (struct ring *)mem_new(1, sizeof *cuda->ring))) return ERR_NOMEM;
    for (int i = 0; i < RING_SLOTS && rc == 0; i++)
        rc = make_slot(cuda, cuda->ring->slot + i);
    if (rc < 0) ring_free(cuda);
    return rc;
}

int ring_send(struct cuda *cuda, const void *src, size_t bytes, const void **d_out)
{
    struct slot *s;
    int rc;

    if (!cuda->ring && (rc = make_ring(cuda)) < 0) return rc;
    cuda->ring->at = (cuda->ring->at + 1) % RING_SLOTS;
    s = cuda->ring->slot + cuda->ring->at;
    if ((rc = CU(cudaEventSynchronize(s->sent))) < 0) return rc; /* the host side is free */
    copy_bytes(s->host, src, bytes, cuda->threads);
    if ((rc = CU(cudaStreamWaitEvent(cuda->copy, s->read, 0))) < 0) return rc;
    if ((rc = CU(cudaMemcpyAsync(s->d_stage, s->host, bytes, cudaMemcpyHostToDevice, cuda->copy))) <
        0)
        return rc;
    if ((rc = CU(cudaEventRecord(s->sent, cuda->copy))) < 0) return rc;
    if ((rc = CU(cudaStreamWaitEvent(cuda->stream, s->sent, 0))) < 0) return rc;
    *d_out = s->d_stage;
    return 0;
}

int ring_done(struct cuda *cuda)
{
    return CU(cudaEventRecord(cuda->ring->slot[cuda->ring->at].read, cuda->stream));
}
