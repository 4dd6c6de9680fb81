/*
 * Synthetic rows (engine/synthetic.c has the rules): integers throughout, so the same bytes. Weights
 * fit into 8 bits and the hidden layer into 16, which one instruction multiplies and adds two by two.
 */
#include <cassert>

#include "engine/base/mem.h"
#include "engine/synthetic_tables.h"
#include "kernels/cuda/cuda.h"

enum { BLOCK = 256, TILE = 64 }; /* threads and rows of a block */
enum { ROWS = 4, DIMS = 8 };     /* of a thread: a word of noise has 8 dimensions' */
enum { QUADS = SYN_PADDED / 4, PAIRS = SYN_LATENT / 2 };
enum { STEPS = SYN_HIDDEN / 8 }; /* of 8 hidden values: 16 bytes */

/* The tables as the kernel reads them: neighbouring threads neighbouring words. */
struct tables {
    uint32_t w1[QUADS][SYN_HIDDEN]; /* four weights each */
    int16_t centre[SYN_CLUSTERS][SYN_LATENT];
    uint2 w2[]; /* [STEPS][DIMS][groups]: eight weights of dimension group * DIMS + (0 ... 7) */
};

static int64_t groups_of(int d)
{
    return (d + DIMS - 1) / DIMS;
}

static size_t tables_bytes(int d)
{
    return sizeof(struct tables) + (size_t)groups_of(d) * STEPS * DIMS * sizeof(uint2);
}

/* Of n (4 or 8) weights, the first in the lowest byte. */
static void pack(const int16_t *weight, int n, void *out)
{
    for (int i = 0; i < n; i++)
        ((int8_t *)out)[i] = (int8_t)weight[i];
}

static void fill_tables(struct tables *t, const struct synthetic *s)
{
    int64_t groups = groups_of(s->d);

    for (int j = 0; j < SYN_HIDDEN; j++)
        for (int q = 0; q < QUADS; q++)
            pack(s->w1[j] + 4 * q, 4, &t->w1[q][j]);
    for (int c = 0; c < SYN_CLUSTERS; c++)
        for (int l = 0; l < SYN_LATENT; l++)
            t->centre[c][l] = s->centre[c][l];
    for (int64_t i = 0; i < s->d; i++)
        for (int step = 0; step < STEPS; step++)
            pack(s->w2[i] + 8 * step, 8, &t->w2[(step * DIMS + i % DIMS) * groups + i / DIMS]);
}

/* What the rows of a tile have before their dimensions. */
struct hidden {
    int cluster[TILE];
    int16_t z[TILE][SYN_PADDED];
    __align__(16) int16_t h[TILE][SYN_HIDDEN];
};

/* sum + the products of four 16-bit numbers (a: two, b: two) and four 8-bit ones. */
__device__ static int dot_four(uint32_t a, uint32_t b, uint32_t weight, int sum)
{
    return __dp2a_hi((int)b, (int)weight, __dp2a_lo((int)a, (int)weight, sum));
}

/* The hidden layer of TILE rows, the first of which has this counter. */
__device__ static void draw_hidden(const struct tables *t, uint64_t stream, uint64_t counter,
                                   struct hidden *own)
{
    for (int r = (int)threadIdx.x; r < TILE; r += BLOCK) {
        own->cluster[r] =
            synthetic_cluster(rand_hash(stream, counter + ((uint64_t)r << SYN_ROW_BITS)));
        for (int l = SYN_LATENT; l < SYN_PADDED; l++)
            own->z[r][l] = 0;
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < TILE * PAIRS; i += BLOCK) {
        int r = i / PAIRS, pair = i % PAIRS;
        const int16_t *centre = t->centre[own->cluster[r]] + 2 * pair;
        uint64_t word =
            rand_hash(stream, counter + ((uint64_t)r << SYN_ROW_BITS) + 1 + (uint64_t)pair);

        own->z[r][2 * pair] = synthetic_latent(centre[0], word);
        own->z[r][2 * pair + 1] = synthetic_latent(centre[1], word >> 32);
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < TILE * SYN_HIDDEN; i += BLOCK) {
        int r = i / SYN_HIDDEN, j = i % SYN_HIDDEN, sum = 0;
        const uint32_t *z = (const uint32_t *)own->z[r];

        for (int q = 0; q < QUADS; q++)
            sum = dot_four(z[2 * q], z[2 * q + 1], t->w1[q][j], sum);
        own->h[r][j] = (int16_t)max(0, sum >> 7);
    }
    __syncthreads();
}

/* The eight values of a group from their sums and their word of noise, the first in the lowest byte. */
__device__ static uint64_t eight_values(const int (&sum)[DIMS], int gain, uint64_t noise)
{
    uint64_t eight = 0;

#pragma unroll
    for (int k = 0; k < DIMS; k++)
        eight |= (uint64_t)synthetic_value(sum[k], gain, (int)(noise >> 8 * k & 255)) << 8 * k;
    return eight;
}

/* The first `some` of them to x; in one store where eight are wanted and rows allow it. */
__device__ static void put_values(uint64_t eight, int some, bool aligned, uint8_t *x)
{
    if (some == DIMS && aligned) {
        *(uint64_t *)x = eight;
        return;
    }
    for (int k = 0; k < some; k++)
        x[k] = (uint8_t)(eight >> 8 * k);
}

/*
 * Rows first ... first + rows - 1 of a stream into x[rows][d]. A block makes 64 rows at a time:
 * their hidden layers in shared memory, then a thread 4 rows x 8 dimensions, neighbours the next
 * 8, so that rows are written in one piece. Weights come from the caches, 8 bytes for 16 products.
 * Bound    the two-way products: 32 d + 704 a row.
 */
static __global__ void __launch_bounds__(BLOCK, 3)
    make_rows(const struct tables *t, uint64_t stream, int gain, int64_t first, int64_t rows, int d,
              uint8_t *x)
{
    __shared__ struct hidden own;
    int groups = (d + DIMS - 1) / DIMS;
    bool aligned = d % DIMS == 0 && (uint64_t)x % DIMS == 0;

    for (int64_t row = (int64_t)blockIdx.x * TILE; row < rows; row += (int64_t)gridDim.x * TILE) {
        uint64_t counter = (uint64_t)(first + row) << SYN_ROW_BITS;

        draw_hidden(t, stream, counter, &own);
        for (int unit = (int)threadIdx.x; unit < TILE / ROWS * groups; unit += BLOCK) {
            int group = unit % groups, at = unit / groups * ROWS;
            int sum[ROWS][DIMS] = {};

#pragma unroll 2
            for (int step = 0; step < STEPS; step++) {
                uint4 h[ROWS];

#pragma unroll
                for (int r = 0; r < ROWS; r++)
                    h[r] = *(const uint4 *)&own.h[at + r][8 * step];
#pragma unroll
                for (int k = 0; k < DIMS; k++) {
                    uint2 w = t->w2[(int64_t)(step * DIMS + k) * groups + group];

#pragma unroll
                    for (int r = 0; r < ROWS; r++)
                        sum[r][k] =
                            dot_four(h[r].z, h[r].w, w.y, dot_four(h[r].x, h[r].y, w.x, sum[r][k]));
                }
            }
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                uint64_t noise = rand_hash(stream, counter + ((uint64_t)(at + r) << SYN_ROW_BITS) +
                                                       SYN_FIRST_NOISE + (uint64_t)group);
                int some = d - group * DIMS < DIMS ? d - group * DIMS : DIMS;

                if (row + at + r < rows)
                    put_values(eight_values(sum[r], gain, noise), some, aligned,
                               x + (row + at + r) * d + group * DIMS);
            }
        }
        __syncthreads(); /* the next tile's hidden layer takes this one's place */
    }
}

static int enqueue_rows(struct cuda *cuda, const struct synthetic *s, const struct tables *t,
                        enum part part, int64_t first, struct mat *out)
{
    char *d_tables;
    int rc;

    if ((rc = cuda_scratch(cuda, tables_bytes(s->d), &d_tables)) < 0) return rc;
    if ((rc = CU(cudaMemcpyAsync(d_tables, t, tables_bytes(s->d), cudaMemcpyHostToDevice,
                                 cuda->stream))) < 0)
        return rc;
    make_rows<<<cuda_grid(cuda, out->rows, TILE), BLOCK, 0, cuda->stream>>>(
        (const struct tables *)d_tables, s->stream[part], s->gain, first, out->rows, s->d,
        (uint8_t *)out->data.ptr);
    return cuda_launched(cuda, "make_rows");
}

int cuda_synthesize(struct backend *b, const struct synthetic *s, enum part part, int64_t first,
                    struct mat *out)
{
    struct cuda *cuda = cuda_of(b);
    struct tables *t;
    int rc;

    assert(first >= 0 && first + out->rows <= (int64_t)1 << 47);
    if (out->rows == 0) return 0;
    if (!(t = (struct tables *)mem_new((int64_t)tables_bytes(s->d), 1))) return ERR_NOMEM;
    fill_tables(t, s);
    if ((rc = cuda_start(cuda)) == 0)
        rc = cuda_finish(cuda, enqueue_rows(cuda, s, t, part, first, out));
    mem_free(t);
    return rc;
}
