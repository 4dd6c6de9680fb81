/*
 * Columns past each row's threshold, scored anew where the best of their groups says that there may
 * be some: instead of a product with all columns, where the groups are few.
 */
#ifndef IVF_CUDA_RESCORE_H
#define IVF_CUDA_RESCORE_H

#include "kernels/cuda/product.h"

/*
 * Enqueues what product_collect does, for all rows of x. best: both kinds, from product_groups. plain: the
 * columns again, packed as rows. out->d_score is not NULL. A score is off by at most product_margin, as the
 * product's is, but differs from it within that: so what passes may.
 */
int rescore_groups(struct cuda *cuda, const struct rows *x, const struct columns *c,
                   const struct rows *plain, const struct group_best *best,
                   const struct collected *out);

#endif
