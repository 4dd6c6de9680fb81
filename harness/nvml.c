/* NVML's header is often missing where its library is not, so the few functions stand here. */
#include "harness/nvml.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"

enum { CLOCK_SM = 1, CLOCK_MEMORY = 2, SENSOR_GPU = 0 }; /* nvmlClockType_t, ..Sensors_t */

struct nvml_device; /* theirs */

struct memory_info { /* nvmlMemory_t */
    unsigned long long total, free, used;
};

struct nvml {
    void *library;
    struct nvml_device *device;
    int begun; /* shutdown is due */

    /* All return 0 for success. Any may be NULL. */
    int (*init)(void);
    int (*shutdown)(void);
    int (*by_uuid)(const char *uuid, struct nvml_device **out);
    int (*by_pci)(const char *pci, struct nvml_device **out);
    int (*clock)(struct nvml_device *d, int type, unsigned *mhz);
    int (*power)(struct nvml_device *d, unsigned *mw);
    int (*temperature)(struct nvml_device *d, int sensor, unsigned *degrees);
    int (*events)(struct nvml_device *d, unsigned long long *bits);
    int (*memory)(struct nvml_device *d, struct memory_info *out);
    int (*driver)(char *version, unsigned cap);
};

/* ISO C has no cast from dlsym's pointer to a function's; POSIX promises that they are alike. */
static void find(const struct nvml *n, const char *name, void *function)
{
    void *symbol = dlsym(n->library, name);

    if (symbol) memcpy(function, &symbol, sizeof symbol);
}

static void find_all(struct nvml *n)
{
    find(n, "nvmlInit_v2", &n->init);
    find(n, "nvmlShutdown", &n->shutdown);
    find(n, "nvmlDeviceGetHandleByUUID", &n->by_uuid);
    find(n, "nvmlDeviceGetHandleByPciBusId_v2", &n->by_pci);
    find(n, "nvmlDeviceGetClockInfo", &n->clock);
    find(n, "nvmlDeviceGetPowerUsage", &n->power);
    find(n, "nvmlDeviceGetTemperature", &n->temperature);
    find(n, "nvmlDeviceGetCurrentClocksThrottleReasons", &n->events);
    find(n, "nvmlDeviceGetCurrentClocksEventReasons", &n->events); /* its later name */
    find(n, "nvmlDeviceGetMemoryInfo", &n->memory);
    find(n, "nvmlSystemGetDriverVersion", &n->driver);
}

static int find_device(struct nvml *n, const struct kernels_gpu *gpu)
{
    if (n->by_uuid && n->by_uuid(gpu->uuid, &n->device) == 0) return 0;
    if (n->by_pci && n->by_pci(gpu->pci, &n->device) == 0) return 0;
    return fail(ERR_UNSUPPORTED, "NVML does not know %s (%s)", gpu->name, gpu->uuid);
}

int nvml_open(struct nvml **out, const struct kernels_gpu *gpu)
{
    const char *path = getenv("IVFBENCH_NVML");
    struct nvml *n = NULL;
    int rc = ERR_NOMEM;

    if (!path || !*path) path = "libnvidia-ml.so.1";
    if (!(n = mem_new(1, sizeof *n))) goto out;
    rc = ERR_UNSUPPORTED;
    if (strcmp(path, "none") == 0 || !(n->library = dlopen(path, RTLD_NOW | RTLD_LOCAL))) {
        fail(rc, "no NVML: %s is not there", path);
        goto out;
    }
    find_all(n);
    if (!n->init || n->init() != 0) {
        fail(rc, "NVML does not start");
        goto out;
    }
    n->begun = 1;
    if ((rc = find_device(n, gpu)) < 0) goto out;
    *out = n;
    n = NULL;
out:
    nvml_close(n);
    return rc;
}

void nvml_close(struct nvml *n)
{
    if (!n) return;
    if (n->begun && n->shutdown) n->shutdown();
    if (n->library) dlclose(n->library);
    mem_free(n);
}

/* ---- what it says ---- */

static int clock_of(const struct nvml *n, int type)
{
    unsigned mhz;

    return n->clock && n->clock(n->device, type, &mhz) == 0 ? (int)mhz : -1;
}

struct nvml_state nvml_read(const struct nvml *n)
{
    struct nvml_state s = {-1, -1, -1, -1, -1};
    unsigned long long bits;
    unsigned value;

    if (!n) return s;
    s.sm_mhz = clock_of(n, CLOCK_SM);
    s.memory_mhz = clock_of(n, CLOCK_MEMORY);
    if (n->power && n->power(n->device, &value) == 0) s.power_mw = (int)value;
    if (n->temperature && n->temperature(n->device, SENSOR_GPU, &value) == 0)
        s.temperature_c = (int)value;
    if (n->events && n->events(n->device, &bits) == 0) s.events = (int64_t)bits;
    return s;
}

static int lower(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int higher(int a, int b)
{
    return a > b ? a : b;
}

struct nvml_state nvml_worse(struct nvml_state a, struct nvml_state b)
{
    return (struct nvml_state){
        .sm_mhz = lower(a.sm_mhz, b.sm_mhz),
        .memory_mhz = lower(a.memory_mhz, b.memory_mhz),
        .power_mw = higher(a.power_mw, b.power_mw),
        .temperature_c = higher(a.temperature_c, b.temperature_c),
        .events = a.events < 0   ? b.events
                  : b.events < 0 ? a.events
                                 : a.events | b.events,
    };
}

enum { EVENT_IDLE = 1 };

int nvml_throttled(const struct nvml_state *s)
{
    return s->events > 0 && (s->events & ~(int64_t)EVENT_IDLE) != 0;
}

void nvml_add_events(struct text *out, const struct nvml_state *s)
{
    static const char *const names[] = {"idle",        "clocks_setting", "power_cap",
                                        "hw_slowdown", "sync_boost",     "thermal",
                                        "hw_thermal",  "hw_power_brake", "display_clocks"};
    const char *comma = "";

    if (s->events < 0) return;
    if (!nvml_throttled(s)) text_add(out, "none");
    for (int bit = 1; bit < 63; bit++) {
        if (!(s->events >> bit & 1)) continue;
        if (bit < (int)(sizeof names / sizeof *names))
            text_addf(out, "%s%s", comma, names[bit]);
        else
            text_addf(out, "%sreason_%d", comma, bit);
        comma = ",";
    }
}

void nvml_memory(const struct nvml *n, int64_t *free_bytes, int64_t *total_bytes)
{
    struct memory_info info;

    *free_bytes = *total_bytes = -1;
    if (!n || !n->memory || n->memory(n->device, &info) != 0) return;
    *free_bytes = (int64_t)info.free;
    *total_bytes = (int64_t)info.total;
}

void nvml_driver(const struct nvml *n, char version[80])
{
    if (!n || !n->driver || n->driver(version, 80) != 0) version[0] = '\0';
}
