/* memcpy by several threads: one alone is slower than the bus to the device, which takes 50 GB/s. */
#ifndef IVF_COPY_H
#define IVF_COPY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* threads: at most; a few suffice, and small copies are left to the caller's own. */
void copy_bytes(void *dst, const void *src, size_t bytes, int threads);

#ifdef __cplusplus
}
#endif
#endif
