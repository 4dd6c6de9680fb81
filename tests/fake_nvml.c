/* A management library for tests: one GPU, known by the UUID of tests/fake_cuda.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlSystemGetDriverVersion(char *version, unsigned cap);
int nvmlDeviceGetHandleByUUID(const char *uuid, void **out);
int nvmlDeviceGetClockInfo(void *d, int type, unsigned *mhz);
int nvmlDeviceGetPowerUsage(void *d, unsigned *mw);
int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *degrees);
int nvmlDeviceGetCurrentClocksThrottleReasons(void *d, unsigned long long *bits);
int nvmlDeviceGetMemoryInfo(void *d, unsigned long long info[3]);

static int reads; /* clocks fall from reading to reading */

int nvmlInit_v2(void)
{
    return getenv("FAKE_NVML_BROKEN") ? 9 : 0;
}

int nvmlShutdown(void)
{
    return 0;
}

int nvmlSystemGetDriverVersion(char *version, unsigned cap)
{
    snprintf(version, cap, "580.1.2");
    return 0;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **out)
{
    *out = &reads;
    return strcmp(uuid, "GPU-fake") ? 6 : 0;
}

int nvmlDeviceGetClockInfo(void *d, int type, unsigned *mhz)
{
    (void)d;
    *mhz = type == 1 ? 1980 - 15 * (unsigned)reads++ : 2619;
    return 0;
}

int nvmlDeviceGetPowerUsage(void *d, unsigned *mw)
{
    (void)d;
    *mw = 500000 + 1000 * (unsigned)reads;
    return 0;
}

int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *degrees)
{
    (void)d, (void)sensor, (void)degrees;
    return 3; /* not supported */
}

/* FAKE_NVML_EVENTS at the first reading of two, idle at the second. */
int nvmlDeviceGetCurrentClocksThrottleReasons(void *d, unsigned long long *bits)
{
    const char *events = getenv("FAKE_NVML_EVENTS");

    (void)d;
    *bits = reads % 2 && events ? strtoull(events, NULL, 0) : 1;
    return 0;
}

int nvmlDeviceGetMemoryInfo(void *d, unsigned long long info[3])
{
    (void)d;
    info[0] = 1000ull << 20;
    info[1] = 600ull << 20;
    info[2] = 400ull << 20;
    return 0;
}
