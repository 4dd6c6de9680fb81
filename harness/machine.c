#include "harness/machine.h"

#include <fcntl.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <yaml.h>

#include "engine/base/thread.h"
#include "harness/nvml.h"
#include "kernels/kernels.h"
#include "version.h"

enum { GPUS = 16 };
static const int64_t GIB = (int64_t)1 << 30;

extern char *openblas_get_config(void); /* cblas.h, which the backend alone has on its path */

/* The first line of a small file of the kernel's, without its newline; "" where there is none. */
static const char *first_line(const char *path, char *line, int cap)
{
    FILE *f = fopen(path, "r");

    line[0] = '\0';
    if (f && fgets(line, cap, f)) line[strcspn(line, "\n")] = '\0';
    if (f) fclose(f);
    return line;
}

/* The value beside key in a file of "key : value" lines; "" where it is not. */
static void field(const char *path, const char *key, char *value, size_t cap)
{
    FILE *f = fopen(path, "r");
    char line[512];

    value[0] = '\0';
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');

        if (!colon || strncmp(line, key, strlen(key)) != 0) continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(value, cap, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    if (f) fclose(f);
}

void machine_cpu(char model[96])
{
    struct utsname name;

    field("/proc/cpuinfo", "model name", model, 96);
    if (!*model && uname(&name) == 0) snprintf(model, 96, "%.90s", name.machine);
}

const char *machine_simd(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return "AVX-512";
    if (__builtin_cpu_supports("avx2")) return "AVX2";
    return "SSE2";
#elif defined(__aarch64__)
    return "NEON";
#else
    return "unknown SIMD";
#endif
}

static int64_t number_in(const char *path)
{
    char line[64];

    return strtoll(first_line(path, line, sizeof line), NULL, 10); /* "max" gives 0 */
}

/* The smallest limit of the group at root/path and of those it lies in; path is cut short. */
static int64_t group_limit(const char *root, char *path, const char *limit_file)
{
    int64_t least = INT64_MAX;
    char file[1024], *slash;

    for (path[strcspn(path, "\n")] = '\0';; *slash = '\0') {
        int64_t limit;

        snprintf(file, sizeof file, "%s%s/%s", root, path, limit_file);
        limit = number_in(file);
        if (limit > 0 && limit < least) least = limit;
        if (!(slash = strrchr(path, '/'))) return least;
    }
}

/* Lines of /proc/self/cgroup are 0::<path>, or <number>:memory:<path> of the old kind. */
static int64_t memory_limit(void)
{
    FILE *f = fopen("/proc/self/cgroup", "r");
    int64_t least = INT64_MAX;
    char line[512];

    while (f && fgets(line, sizeof line, f)) {
        char *path = strchr(line, '/');
        int64_t limit = INT64_MAX;

        if (path && strncmp(line, "0::", 3) == 0)
            limit = group_limit("/sys/fs/cgroup", path, "memory.max");
        else if (path && strstr(line, ":memory:"))
            limit = group_limit("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes");
        if (limit < least) least = limit;
    }
    if (f) fclose(f);
    return least;
}

int64_t machine_memory_bytes(void)
{
    int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    int64_t limit = memory_limit();

    if (limit < bytes) bytes = limit;
    return bytes > 0 ? bytes : 0;
}

int64_t machine_round_gib(int64_t bytes)
{
    int64_t gib = (bytes + GIB - 1) / GIB, step = 1;

    while (step * 32 <= gib)
        step *= 2;
    return (gib + step - 1) / step * step;
}

static void add_gpus(struct text *json)
{
    struct kernels_gpu gpus[GPUS];
    char why[160];
    int count = kernels_gpus(gpus, GPUS, why);

    text_add(json, "\"gpus\": [");
    for (int i = 0; i < count && i < GPUS; i++) {
        text_add(json, i ? ", {\"name\": " : "{\"name\": ");
        text_add_json(json, gpus[i].name);
        text_addf(json, ", \"memory_gib\": %lld}",
                  (long long)machine_round_gib((int64_t)gpus[i].memory_bytes));
    }
    text_add(json, "]");
}

static void add_pair(struct text *json, const char *key, const char *value)
{
    if (json->len > 1) text_add(json, ", ");
    text_add_json(json, key);
    text_add(json, ": ");
    text_add_json(json, value);
}

static void read_facts(struct text *json)
{
    char cpu[96];

    machine_cpu(cpu);
    text_add(json, "{");
    add_pair(json, "cpu", cpu);
    add_pair(json, "simd", machine_simd());
    text_addf(
        json, ", \"processors\": %ld, \"memory_gib\": %lld, ", sysconf(_SC_NPROCESSORS_ONLN),
        (long long)machine_round_gib((int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE)));
    add_gpus(json);
    text_add(json, "}");
}

static int in_container(void)
{
    return access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0 ||
           getenv("KUBERNETES_SERVICE_HOST") || getenv("container");
}

/* The module's own file is not there in a container. */
static void add_driver(struct text *json, const struct nvml *nvml)
{
    char line[128];

    first_line("/sys/module/nvidia/version", line, sizeof line);
    if (!*line) nvml_driver(nvml, line);
    add_pair(json, "driver", line);
}

/* Which boards they are: no stable fact, one like them gives the same numbers. */
static void add_boards(struct text *json)
{
    struct kernels_gpu gpus[GPUS];
    struct nvml *nvml = NULL;
    char why[160];
    int count = kernels_gpus(gpus, GPUS, why);

    if (count > 0) nvml_open(&nvml, &gpus[0]); /* without it a line says less */
    add_driver(json, nvml);
    nvml_close(nvml);
    for (int i = 0; i < count && i < GPUS; i++) {
        char key[16], value[192];

        snprintf(key, sizeof key, "gpu %d", i);
        snprintf(value, sizeof value, "%.95s, %.47s, %lld MiB, compute %d.%d", gpus[i].name,
                 gpus[i].uuid, (long long)(gpus[i].memory_bytes >> 20), gpus[i].cc_major,
                 gpus[i].cc_minor);
        add_pair(json, key, value);
    }
}

static void read_environment(struct text *json)
{
    static const char *const variables[] = {"OMP_NUM_THREADS", "OMP_PROC_BIND",
                                            "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES"};
    struct utsname name;
    char line[128];

    text_add(json, "{");
    if (uname(&name) == 0) add_pair(json, "kernel", name.release);
    add_boards(json);
    add_pair(
        json, "governor",
        first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", line, sizeof line));
    add_pair(json, "load", first_line("/proc/loadavg", line, sizeof line));
    text_addf(json, ", \"container\": %s, \"processors_usable\": %d, \"memory_usable_gib\": %lld",
              in_container() ? "true" : "false", thread_count(),
              (long long)(machine_memory_bytes() / GIB));
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (getenv(variables[i])) add_pair(json, variables[i], getenv(variables[i]));
    text_add(json, "}");
}

static void read_software(struct text *json)
{
    text_add(json, "{");
    add_pair(json, "version", VERSION_NUMBER);
    add_pair(json, "commit", VERSION_COMMIT);
    text_addf(json, ", \"dirty\": %s", VERSION_DIRTY ? "true" : "false");
    add_pair(json, "build", VERSION_BUILD);
    add_pair(json, "compiler", "gcc " __VERSION__);
    add_pair(json, "openblas", openblas_get_config());
    add_pair(json, "sqlite", sqlite3_libversion());
    add_pair(json, "libyaml", yaml_get_version_string());
    add_pair(json, "cuda", *VERSION_CUDA ? VERSION_CUDA : "not in this build");
    text_add(json, "}");
}

static int hash_binary(struct hash *out)
{
    return hash_file(out, "/proc/self/exe");
}

int machine_identity(struct hash *out)
{
    struct text facts = {0};
    int rc;

    if (VERSION_DIRTY) return hash_binary(out);
    read_software(&facts);
    if ((rc = text_failed(&facts)) == 0) *out = hash_string(text_get(&facts));
    text_clear(&facts);
    return rc;
}

int machine_read(struct machine *out)
{
    int rc;

    read_facts(&out->facts);
    read_environment(&out->environment);
    read_software(&out->software);
    out->fingerprint = hash_string(text_get(&out->facts));
    if ((rc = text_failed(&out->facts)) < 0) return rc;
    if ((rc = text_failed(&out->environment)) < 0) return rc;
    if ((rc = text_failed(&out->software)) < 0) return rc;
    if ((rc = hash_binary(&out->binary)) < 0) return rc;
    return machine_identity(&out->identity);
}

void machine_clear(struct machine *m)
{
    text_clear(&m->facts);
    text_clear(&m->environment);
    text_clear(&m->software);
}

struct store_machine machine_row(const struct machine *m)
{
    return (struct store_machine){.fingerprint = m->fingerprint.hex, .facts = text_get(&m->facts)};
}

struct store_software machine_software_row(const struct machine *m)
{
    return (struct store_software){.version = VERSION_NUMBER,
                                   .commit = VERSION_COMMIT,
                                   .dirty = VERSION_DIRTY,
                                   .binary_hash = m->binary.hex,
                                   .identity = m->identity.hex,
                                   .facts = text_get(&m->software)};
}

/* A line of /proc/self/status in bytes; 0 where the kernel does not have it. */
static int64_t status_bytes(const char *key)
{
    char value[64];

    field("/proc/self/status", key, value, sizeof value);
    return strtoll(value, NULL, 10) * 1024;
}

static int64_t peak_before; /* a peak that could not be reset; 0: it was */

void machine_peak_reset(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

    malloc_trim(0); /* what was freed but kept by the allocator is not held */
    peak_before = fd >= 0 && write(fd, "5", 1) == 1 ? 0 : status_bytes("VmHWM");
    if (fd >= 0) close(fd);
}

int64_t machine_peak_bytes(void)
{
    int64_t peak = status_bytes("VmHWM");

    /* The mark counts file pages too. Those of now are those of then: data is read, not mapped. */
    return peak <= peak_before ? -1 : peak - status_bytes("RssFile") - status_bytes("RssShmem");
}
