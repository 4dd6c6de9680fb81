/*
 * Who produces numbers: the machine by its stable facts, the environment of today, and the
 * software by commit and build, or by the binary's own hash. Nothing here names a user or a host.
 */
#ifndef IVF_MACHINE_H
#define IVF_MACHINE_H

#include "engine/base/hash.h"
#include "engine/base/text.h"
#include "results/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A zeroed one is empty. */
struct machine {
    struct text facts; /* JSON: cpu, processors, memory_gib, gpus: all that fingerprint sees */
    struct hash fingerprint; /* of facts: the same after a reboot, a new kernel or driver */
    struct text environment; /* JSON: kernel, driver, GPU boards, governor, load, container, ... */
    struct text software;    /* JSON: compiler, build, libraries' versions */
    struct hash binary;      /* of the program's file */
    struct hash identity;    /* of what counts as one software: see machine_identity */
};

int machine_read(struct machine *out);
void machine_clear(struct machine *m);

/* The machine's and the software's rows; valid while m lives. */
struct store_machine machine_row(const struct machine *m);
struct store_software machine_software_row(const struct machine *m);

/*
 * What counts as one software: of a clean tree its commit, how it was built, and with which compiler and
 * libraries; else the program's file.
 */
int machine_identity(struct hash *out);

void machine_cpu(char model[96]); /* "AMD EPYC 9654 96-Core Processor" */
const char *machine_simd(void);   /* the widest this processor has: "AVX-512", "AVX2", ... */

/*
 * Memory of the machine or, if less, of the smallest of the control groups this process is in, as
 * far as they can be seen; 0: unknown. All of it, whoever uses it now: what others hold today says
 * nothing about the hour in which a run will need its most.
 */
int64_t machine_memory_bytes(void);

/* Rounds up to 1/16 of the power of two below: what is installed, not what the kernel left. */
int64_t machine_round_gib(int64_t bytes);

/*
 * The most anonymous memory this process has held since the last machine_peak_reset: pages of
 * programs and of mapped files do not count, the kernel may drop them. As resident, so memory taken
 * but never touched does not count either. -1: not known, because the kernel does not let us reset
 * its high-water mark and the process held more before. One thread at a time.
 */
void machine_peak_reset(void);
int64_t machine_peak_bytes(void);

#ifdef __cplusplus
}
#endif
#endif
