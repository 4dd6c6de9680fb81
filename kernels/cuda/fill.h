/* What filling lists needs besides them, from their creation to the end of the last pass. */
#ifndef IVF_CUDA_FILL_H
#define IVF_CUDA_FILL_H

#include "kernels/cuda/lists.h"

/* The coarse centroids of l are on the device, or on their way. */
int fill_create(struct fill **out, struct cuda *cuda, const struct lists *l);
void fill_free(struct fill *f, struct cuda *cuda); /* NULL is allowed; waits for the device */

/* The most bytes that filling in so many passes holds at once besides the lists it leaves. */
size_t fill_peak(const struct lists_desc *desc, int passes);

#endif
