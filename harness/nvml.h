/*
 * What the driver's management library (NVML) says of a GPU beside what we measure: clocks and why
 * they are held back, power, temperature, free memory. The library is looked for when the program
 * runs; where it, or a figure of it, is missing, that is "unknown" and no failure. It opens no
 * device: nothing here takes memory of one.
 */
#ifndef IVF_NVML_H
#define IVF_NVML_H

#include "engine/base/text.h"
#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nvml; /* the library and one GPU of it */

/*
 * The GPU is found by its UUID, or by the board it is on. ERR_UNSUPPORTED says what is missing. In
 * place of libnvidia-ml.so.1 the library that $IVFBENCH_NVML names is taken; "none" for none.
 */
int nvml_open(struct nvml **out, const struct kernels_gpu *gpu);
void nvml_close(struct nvml *n); /* NULL is allowed */

/* -1: unknown. */
struct nvml_state {
    int sm_mhz, memory_mhz;
    int power_mw, temperature_c;
    int64_t events; /* a bit for each thing that holds the clocks back: nvml_add_events */
};

/* As it is now; n NULL: all unknown. */
struct nvml_state nvml_read(const struct nvml *n);

/* The worse of two: lower clocks, more power and heat, the events of both. */
struct nvml_state nvml_worse(struct nvml_state a, struct nvml_state b);

/* Whether anything but having nothing to do held the clocks back. */
int nvml_throttled(const struct nvml_state *s);

/* "power_cap,hw_thermal", or "none"; having nothing to do is not told. Nothing where unknown. */
void nvml_add_events(struct text *out, const struct nvml_state *s);

/* Bytes that nobody uses, of all; -1: unknown. */
void nvml_memory(const struct nvml *n, int64_t *free_bytes, int64_t *total_bytes);

/* "580.159.03"; "" where unknown. */
void nvml_driver(const struct nvml *n, char version[80]);

#ifdef __cplusplus
}
#endif
#endif
