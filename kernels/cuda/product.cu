#include "kernels/cuda/product.h"

#include "kernels/cuda/product.cuh"

enum { WGMMA_DEPTH = 128 }; /* past it the rows' operands do not fit into registers */

template <class Reduce>
static int run(struct cuda *cuda, const struct task &task, const Reduce &reduce)
{
    if (task.n == 0 || task.tiles == 0) return 0;
    return cuda->wgmma && task.depth <= WGMMA_DEPTH ? product_on_wgmma(cuda, task, reduce)
                                                    : product_on_mma(cuda, task, reduce);
}

static struct task task_of(const struct rows *x, const struct columns *c)
{
    return (struct task){.d_x = x->d_x,
                         .d_row = NULL,
                         .d_n = NULL,
                         .n = x->n,
                         .d_image = c->d_image,
                         .d_norm = c->d_norm,
                         .depth = x->depth,
                         .tiles = (int)c->tiles,
                         .splits = 0};
}

int product_splits(const struct cuda *cuda, int64_t n, int64_t tiles)
{
    return work::choose_splits(cuda->sms, (n + TILE_ROWS - 1) / TILE_ROWS, (int)tiles);
}

int product_best_two(struct cuda *cuda, const struct rows *x, const struct columns *c,
                     const struct best_two *out)
{
    struct task task = task_of(x, c);
    struct reduce_best_two reduce = {*out};

    task.splits = out->splits;
    return run(cuda, task, reduce);
}

int product_collect(struct cuda *cuda, const struct rows *x, const int32_t *d_row,
                    const int32_t *d_n, const struct columns *c, const struct collected *out)
{
    struct task task = task_of(x, c);
    struct reduce_collect reduce = {*out, c->n};

    task.d_row = d_row;
    task.d_n = d_n;
    return run(cuda, task, reduce);
}

int product_groups(struct cuda *cuda, const struct rows *x, const struct columns *c,
                   const struct group_best *out)
{
    struct task task = task_of(x, c);
    int64_t bands = product_bands(c->tiles);

    if (!out->d_part) return run(cuda, task, reduce_groups<true, false>{*out, bands});
    if (!out->d_band) return run(cuda, task, reduce_groups<false, true>{*out, bands});
    return run(cuda, task, reduce_groups<true, true>{*out, bands});
}
