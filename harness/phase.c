#include "harness/phase.h"

#include "engine/base/clock.h"
#include "harness/machine.h"

/* Device time and memory since the last call; -1 where the backend does not count them. */
static void read_device(struct backend *b, int64_t *ns, int64_t *peak)
{
    size_t bytes;

    *ns = *peak = -1;
    if (!b) return;
    if (b->ops->device_ns && b->ops->device_ns(b, ns) < 0) *ns = -1;
    if (b->ops->peak_bytes && b->ops->peak_bytes(b, &bytes) == 0) *peak = (int64_t)bytes;
}

void phase_begin(struct phase *p, const char *name, struct backend *b)
{
    *p = (struct phase){.name = name};
    machine_peak_reset();
    read_device(b, &p->device_ns, &p->peak_device);
    p->wall_ns = clock_ns();
}

void phase_end(struct phase *p, struct backend *b)
{
    p->wall_ns = clock_ns() - p->wall_ns;
    p->peak_host = machine_peak_bytes();
    read_device(b, &p->device_ns, &p->peak_device);
}
