/* devices: what this machine could compute on, and what this version of the program uses. */
#include <stdio.h>

#include "engine/base/thread.h"
#include "harness/cli.h"
#include "harness/device.h"
#include "harness/machine.h"
#include "harness/nvml.h"

static const double GIB = 1 << 30;

static void print_cpu(void)
{
    char model[96];

    machine_cpu(model);
    printf("cpu:  %s, %d threads, %s, %.1f GiB\n", model, thread_count(), machine_simd(),
           (double)machine_memory_bytes() / GIB);
}

/* What the driver shows of one, and what its management library adds. */
static void print_gpu(int i, const struct kernels_gpu *gpu)
{
    struct nvml *nvml = NULL;
    int64_t left, total;
    char driver[80];
    int known = nvml_open(&nvml, gpu) == 0;

    printf("cuda: %s (device %d, compute %d.%d, %d multiprocessors, %.1f GiB", gpu->name, i,
           gpu->cc_major, gpu->cc_minor, gpu->sms, (double)gpu->memory_bytes / GIB);
    nvml_memory(nvml, &left, &total);
    if (left >= 0) printf(", %.1f free", (double)left / GIB);
    nvml_driver(nvml, driver);
    printf(")%s%s\n", *driver ? ", driver " : "", driver);
    if (gpu->cc_major < DEVICE_CC_MAJOR)
        printf("      too old: at least compute %d.0 is needed\n", DEVICE_CC_MAJOR);
    if (!known) printf("      %s: its clocks, power and free memory are unknown\n", fail_text());
    nvml_close(nvml);
}

static void print_cuda(void)
{
    enum { MOST = 16 };
    struct kernels_gpu gpus[MOST];
    const struct backend_ops *ops;
    char why[160];
    int count = kernels_gpus(gpus, MOST, why);

    for (int i = 0; i < count && i < MOST; i++)
        print_gpu(i, &gpus[i]);
    if (count == 0) printf("cuda: none: %s\n", why);
    if (count > 1) puts("      this version uses device 0; CUDA_VISIBLE_DEVICES chooses another");
    if (kernels_find(&ops, "cuda") < 0) puts("      this build has no CUDA backend");
    if (device_check("cuda") == 0)
        puts("backend auto: cuda");
    else
        printf("backend auto: cpu (%s)\n", fail_text());
}

static int devices(int argc, char **argv)
{
    if (cli_parse((const struct cli_option[]){{0}}, argc, argv, NULL) < 0)
        return cli_error(EXIT_USAGE);
    print_cpu();
    print_cuda();
    return EXIT_DONE;
}

const struct verb verb_devices = {
    .name = "devices",
    .summary = "what this machine can compute on",
    .help = "Usage: ivfbench devices\n"
            "\n"
            "Lists the processor (model, threads that may be used, SIMD, memory) and every CUDA\n"
            "device that the driver shows, with what it lacks, and says which backend `auto` is\n"
            "here and why. Opens none of them.\n"
            "\n"
            "Example: ivfbench devices\n",
    .run = devices,
};
