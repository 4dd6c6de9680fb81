/* OPQ's part of engine/transform.h, as transform_train and transform_train_bytes say it. */
#ifndef IVF_OPQ_H
#define IVF_OPQ_H

#include "engine/transform.h"

#ifdef __cplusplus
extern "C" {
#endif

int opq_train(struct transform *t, struct backend *b, const struct mat *x, int64_t rows,
              const struct transform_desc *desc);

void opq_train_bytes(int opq_m, int d_in, int d_out, int64_t rows, size_t *host, size_t *device);

#ifdef __cplusplus
}
#endif
#endif
