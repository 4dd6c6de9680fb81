#include "kernels/cuda/copy.h"

#include <stdint.h>
#include <string.h>

enum { COPIERS = 12 };    /* by then the memory is busy */
enum { PIECE = 1 << 20 }; /* smaller ones are not worth a second thread */

void copy_bytes(void *dst, const void *src, size_t bytes, int threads)
{
    int64_t pieces = (int64_t)((bytes + PIECE - 1) / PIECE);
    int team = threads < COPIERS ? threads : COPIERS;

#pragma omp parallel for schedule(static) num_threads(team) if (pieces > 1)
    for (int64_t i = 0; i < pieces; i++) {
        size_t from = (size_t)i * PIECE, left = bytes - from;

        memcpy((char *)dst + from, (const char *)src + from, left < PIECE ? left : PIECE);
    }
}
