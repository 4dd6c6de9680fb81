/* devices: what this machine could compute on, and what this version of the program uses. */
#include <stdio.h>

#include "engine/base/thread.h"
#include "harness/cli.h"
#include "harness/machine.h"
#include "kernels/kernels.h"

static const double GIB = 1 << 30;

static void print_cpu(void)
{
    char model[96];

    machine_cpu(model);
    printf("cpu:  %s, %d threads, %s, %.1f GiB\n", model, thread_count(), machine_simd(),
           (double)machine_memory_bytes() / GIB);
}

static int has_backend(const char *name)
{
    const struct backend_ops *ops;

    return kernels_find(&ops, name) == 0;
}

static void print_cuda(void)
{
    enum { MOST = 16 };
    struct kernels_gpu gpus[MOST];
    char why[160];
    int count = kernels_gpus(gpus, MOST, why);

    for (int i = 0; i < count && i < MOST; i++)
        printf("cuda: %s (device %d, compute %d.%d, %d multiprocessors, %.1f GiB) present%s\n",
               gpus[i].name, i, gpus[i].cc_major, gpus[i].cc_minor, gpus[i].sms,
               (double)gpus[i].memory_bytes / GIB,
               has_backend("cuda") ? "" : "; the CUDA backend comes with a later version");
    if (count == 0) printf("cuda: none: %s\n", why);
    if (!has_backend("cuda")) puts("This version trains and searches on the CPU.");
}

static int devices(int argc, char **argv)
{
    struct cli_list words = {0};
    const struct cli_option options[] = {{0}};
    int rc = EXIT_DONE;

    if (cli_parse(options, argc, argv, &words) < 0) {
        rc = cli_error(EXIT_USAGE);
    } else {
        print_cpu();
        print_cuda();
    }
    cli_list_clear(&words);
    return rc;
}

const struct verb verb_devices = {
    .name = "devices",
    .summary = "what this machine can compute on",
    .help = "Usage: ivfbench devices\n"
            "\n"
            "Lists the processor (model, threads that may be used, SIMD, memory) and every CUDA\n"
            "device that the driver shows, and says which of them this version uses.\n"
            "\n"
            "Example: ivfbench devices\n",
    .run = devices,
};
