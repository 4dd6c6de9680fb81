/*
 * Which backend is to run, decided without opening a device: the process that plans must not hold
 * one while its workers run. What the driver shows is looked at, no more.
 */
#ifndef IVF_DEVICE_H
#define IVF_DEVICE_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* CUDA code is compiled for devices from this compute capability on. */
enum { DEVICE_CC_MAJOR = 8 };

/* 0 where wanted is "auto", "cpu" or "cuda", else ERR_INVALID: the values of --backend. */
int device_word(const char *wanted);

/* What "auto", "cpu" or "cuda" becomes: auto is "cuda" where nothing that it needs is missing. */
const char *device_choose(const char *wanted);

/* 0, or ERR_UNSUPPORTED with all that backend name lacks here: code in this build, a device. */
int device_check(const char *name);

/* The device that backend name would open, whose memory is its own: 1, or 0 for none. */
int device_look(struct kernels_gpu *out, const char *name);

/*
 * Opens the backend that `wanted` becomes, name: its name. Where "auto" found a device that cannot
 * be opened after all the text says how to do without it.
 */
int device_open(struct backend **out, const char *wanted, const char *name, int threads);

#ifdef __cplusplus
}
#endif
#endif
