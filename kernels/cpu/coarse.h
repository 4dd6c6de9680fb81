/* The coarse step: which lists each query visits. */
#ifndef IVF_COARSE_H
#define IVF_COARSE_H

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/lists.h"

/* Bytes that coarse_search needs of each thread's region, for probes up to nprobe. */
size_t coarse_region(int d, int nprobe);

/*
 * probe[i][0 ... nprobes[i] - 1] (rows of nprobe) = the nprobe nearest lists of q[i][d] by
 * (distance, list), the one that seems nearest first, the others in any order; nprobes[i] is 0
 * for a query that is not finite. q_norm[i] = |q|^2. reserved: what coarse_region was asked for.
 */
void coarse_search(const struct cpu *cpu, const struct lists *l, const float *q,
                   const float *q_norm, int64_t nq, int nprobe, int reserved, int32_t *probe,
                   int32_t *nprobes);

#endif
