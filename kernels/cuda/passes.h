/*
 * How often lists read what they are filled with: once where the codes fit on the device twice, as
 * they came and in list order, else twice. C, so that a test can ask and choose.
 */
#ifndef IVF_CUDA_PASSES_H
#define IVF_CUDA_PASSES_H

#include "engine/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 1 or 2, on a device of that much memory; 0 bytes: unknown. */
int passes_for(const struct lists_desc *desc, size_t memory_bytes);

/* What lists_create does, but in as many passes as said, whatever the device's memory. */
int passes_create(struct backend *b, struct lists **out, const struct lists_desc *desc,
                  const float *coarse, const float *books, int passes);

#ifdef __cplusplus
}
#endif
#endif
