/*
 * A "cuda" backend without a device: the CPU's steps, behind memory that is counted as if it were
 * a device's own, and with faults on demand. fake_cuda.c defines what kernels.c does, so whoever
 * links it has the table {this, cpu}; its program is ivfbench_fake_cuda. From the environment:
 *
 *   FAKE_CUDA_GPUS    devices that the driver shows (1)
 *   FAKE_CUDA_CC      their compute capability's first number (9)
 *   FAKE_CUDA_MEMORY  bytes of their memory (16 GiB)
 *   FAKE_CUDA_FAIL    "search 4 nomem, open 0 device": a step, the nprobe at which it fails (0: at
 *                     any), and how. Steps: open, train, add, reserve, search, exit (hang)
 *   FAKE_CUDA_LOG     a file: "open PID", "close PID", "synthesize PID" are appended, and "reserve
 *                     nq N k K nprobe P tables 0|1 float16 0|1 temp BYTES PID" on one line
 */
#ifndef IVF_FAKE_CUDA_H
#define IVF_FAKE_CUDA_H

#include "engine/backend.h"

extern const struct backend_ops fake_cuda;

enum { FAKE_CUDA_HOST_BYTES = 1 << 20 };

#endif
