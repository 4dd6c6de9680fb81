#include "harness/device.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"

int device_word(const char *wanted)
{
    static const char *const words[] = {"auto", "cpu", "cuda"};

    for (int i = 0; i < 3; i++)
        if (strcmp(words[i], wanted) == 0) return 0;
    return fail(ERR_INVALID, "--backend is auto, cpu or cuda, not %s", wanted);
}

/* Why the first device cannot be used; "" where it can. */
static void lacks(char *out, size_t cap)
{
    struct kernels_gpu gpu;
    char why[160];

    *out = '\0';
    if (kernels_gpus(&gpu, 1, why) == 0)
        snprintf(out, cap, "no device: %s", why);
    else if (gpu.cc_major < DEVICE_CC_MAJOR)
        snprintf(out, cap, "%s has compute capability %d.%d, and at least %d.0 is needed", gpu.name,
                 gpu.cc_major, gpu.cc_minor, DEVICE_CC_MAJOR);
}

int device_check(const char *name)
{
    const struct backend_ops *ops;
    char why[320];
    int rc = kernels_find(&ops, name);

    if (strcmp(name, "cuda") != 0) return rc;
    lacks(why, sizeof why);
    if (rc < 0) return fail(rc, "%s%s%s", fail_text(), *why ? "; " : "", why);
    return *why ? fail(ERR_UNSUPPORTED, "backend cuda: %s", why) : 0;
}

const char *device_choose(const char *wanted)
{
    if (strcmp(wanted, "auto") != 0) return wanted;
    return device_check("cuda") == 0 ? "cuda" : "cpu";
}

int device_look(struct kernels_gpu *out, const char *name)
{
    const struct backend_ops *ops;
    char why[160];

    if (kernels_find(&ops, name) < 0 || !ops->host_bytes) return 0;
    return kernels_gpus(out, 1, why) > 0;
}

int device_open(struct backend **out, const char *wanted, const char *name, int threads)
{
    const struct backend_ops *ops;
    int rc;

    if ((rc = device_check(name)) == 0 && (rc = kernels_find(&ops, name)) == 0)
        rc = ops->open(out, 0, threads);
    if (rc == 0 || strcmp(wanted, "auto") != 0 || strcmp(name, "cuda") != 0) return rc;
    return fail_in(rc, "backend auto took cuda, since the driver showed a device, but it does not "
                       "open (backend: cpu runs without it)");
}
