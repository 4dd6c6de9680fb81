/* The tensor cores' product of a warp, which any have since sm_80. */
#ifndef IVF_MMA_CUH
#define IVF_MMA_CUH

#include <stdint.h>

/*
 * d[16][8] += a[16][16] * b[16][8], a and b in fp16. Of a lane, g = lane / 4 and t = lane % 4: a's rows g
 * and g + 8 (a[0] and a[1]; a[2] and a[3] for the second 8 of depth), b's column g (b0 and b1), depth
 * 2 t and 2 t + 1 of each 8; d's rows g (d[0], d[1]) and g + 8 (d[2], d[3]), columns 2 t and 2 t + 1.
 */
__device__ __forceinline__ void mma(float *d, const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#endif
