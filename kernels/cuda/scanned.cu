/*
 * What searching knows about stored vectors beforehand: a float each, and bounds of what fp16 does to
 * them. Taken once for full lists, by one pass over them.
 */
#include "kernels/cuda/scanned.h"

#include "kernels/cuda/operand.cuh"

enum { THREADS = 256, WARPS = THREADS / 32 };

void scanned_room(struct scanned *s, struct room *r)
{
    int depth = product_depth(s->lists.d);

    s->d_facts = room_take<struct scan_facts>(r, 1);
    s->pitch = books_pitch(depth);
    s->d_books = s->lists.m ? room_take<__half>(r, (int64_t)KSUB * s->pitch) : NULL;
    s->d_slice = s->lists.m ? room_take<int32_t>(r, depth) : NULL;
}

__device__ static void raise(float *fact, float value)
{
    if (value > *fact) atomicMax((int *)fact, __float_as_int(value)); /* neither is negative */
}

/* ---- rows ---- */

/* NaN stays, as an infinity. */
__device__ __forceinline__ float larger(float most, float v)
{
    return v <= most ? most : isnan(v) ? INFINITY : v;
}

/* A warp a row, a lane eight dimensions at a time. Reads the row, writes a float. */
template <enum elem E>
__global__ static void measure_rows(struct stored lists, int64_t n, int depth, const float *centre,
                                    const struct product_facts *space, float *half,
                                    struct scan_facts *facts)
{
    int lane = (int)(threadIdx.x % 32), warps = (int)(gridDim.x * WARPS);
    /* bytes past fp16 are no longer than themselves, but infinite: none of them is far */
    float scale = space->scale, far = E == ELEM_U8 || E == ELEM_I8 ? INFINITY : e_far(space);
    float y_max = 0, y_err = 0, near_max = 0, near_err = 0;

    for (int64_t i = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32; i < n; i += warps) {
        const uint8_t *row = lists.rows + i * lists.stride;
        float square = 0, dropped = 0;

        for (int j = 8 * lane; j < depth; j += 256) {
            uint32_t out[4];

            operand_at<E>(row, j, centre, scale, out);
            for (int t = 0; t < 8 && j + t < lists.d; t++) {
                float y = (exact_elem(E, row, j + t) - centre[j + t]) * scale;
                float rest = y - __half2float(((const __half *)out)[t]);

                square = fmaf(y, y, square);
                dropped = fmaf(rest, rest, dropped);
            }
        }
        for (int lanes = 16; lanes; lanes /= 2) {
            square += __shfl_xor_sync(WARP_ALL, square, lanes);
            dropped += __shfl_xor_sync(WARP_ALL, dropped, lanes);
        }
        if (lane == 0) half[i] = 0.5f * square;
        /* rounded up, with the subtraction's own error */
        float length = sqrtf(square) * 1.001f, err = sqrtf(dropped) * 1.001f + 0x1p-23f * length;

        y_max = larger(y_max, length);
        y_err = larger(y_err, err);
        if (length > far) continue;
        near_max = larger(near_max, length);
        near_err = larger(near_err, err);
    }
    if (lane == 0) {
        raise(&facts->y_max, y_max);
        raise(&facts->y_err, y_err);
        raise(&facts->near_max, near_max);
        raise(&facts->near_err, near_err);
    }
}

static int measure_stored_rows(struct cuda *cuda, struct scanned *s, int64_t n)
{
    typedef void (*measurer)(struct stored, int64_t, int, const float *,
                             const struct product_facts *, float *, struct scan_facts *);
    measurer run = NULL;

    switch (s->lists.storage) {
    case ELEM_F32:
        run = measure_rows<ELEM_F32>;
        break;
    case ELEM_F16:
        run = measure_rows<ELEM_F16>;
        break;
    case ELEM_U8:
        run = measure_rows<ELEM_U8>;
        break;
    case ELEM_I8:
        run = measure_rows<ELEM_I8>;
        break;
    }
    run<<<cuda_grid(cuda, n * 32, THREADS), THREADS, 0, cuda->stream>>>(
        s->lists, n, s->space->depth, s->space->d_centre, s->space->d_facts, s->d_half, s->d_facts);
    return cuda_launched(cuda, "measure_rows");
}

/* ---- codes ---- */

/*
 * A block a sub-quantizer, a thread a codeword: scaled, in fp16, to where dimension and code say. The
 * squares of the longest and of the worst rounded one are added up: no vector has more.
 */
__global__ static void pack_books(struct stored lists, const struct product_facts *space, int pitch,
                                  __half *out, int32_t *slice, int depth, struct scan_facts *facts)
{
    int s = (int)blockIdx.x, code = (int)threadIdx.x;
    const float *word = lists.books + ((int64_t)s * KSUB + code) * lists.dsub;
    float scale = space->scale, square = 0, dropped = 0;
    __shared__ int tops[2];

    if (code < 2) tops[code] = 0;
    __syncthreads();
    for (int j = 0; j < lists.dsub; j++) {
        float y = word[j] * scale;
        __half h = __float2half_rn(fminf(fmaxf(y, -65504.0f), 65504.0f));
        float rest = y - __half2float(h);

        out[(int64_t)code * pitch + s * lists.dsub + j] = h;
        square = fmaf(y, y, square);
        dropped = fmaf(rest, rest, dropped);
    }
    atomicMax(tops, __float_as_int(square));
    atomicMax(tops + 1, __float_as_int(dropped));
    for (int j = code; j < depth; j += KSUB)
        if (s == 0) slice[j] = min(j, lists.d - 1) / lists.dsub;
    __syncthreads();
    if (code) return;
    atomicAdd(&facts->y_max, __int_as_float(tops[0]));
    atomicAdd(&facts->y_err, __int_as_float(tops[1]));
}

/*
 * Lengths of the sums. A distance is that of the fp64 sum of centroid and codeword, which drops digits of
 * the codeword that half and products have; the farther the centroids are from zero, the more.
 */
__global__ static void finish_books(const float *centre, int depth,
                                    const struct product_facts *space, struct scan_facts *facts)
{
    __shared__ float square; /* of the centre, scaled */

    if (threadIdx.x == 0) square = 0;
    __syncthreads();
    for (int j = (int)threadIdx.x; j < depth; j += THREADS) {
        float at = centre[j] * space->scale;

        atomicAdd(&square, at * at);
    }
    __syncthreads();
    if (threadIdx.x) return;
    float y_max = sqrtf(facts->y_max) * 1.001f, c_max = sqrtf(square) * 1.001f + space->col_max;

    facts->y_max = y_max;
    facts->y_err = sqrtf(facts->y_err) * 1.001f + 0x1p-23f * y_max + 0x1p-52f * (c_max + y_max);
}

/* |b|^2 / 2 + <c', b> of codeword b, scaled: its part of half. */
__device__ static float half_part(const struct stored &lists, const float *c, const float *centre,
                                  float scale, int s, int code)
{
    const float *word = lists.books + ((int64_t)s * KSUB + code) * lists.dsub;
    float sum = 0;

    for (int j = 0; j < lists.dsub; j++) {
        float y = word[j] * scale,
              at = (c[s * lists.dsub + j] - centre[s * lists.dsub + j]) * scale;

        sum = fmaf(y, fmaf(0.5f, y, at), sum);
    }
    return sum;
}

/*
 * half of each code, a block a list at a time: with a table of all parts in shared memory where it fits
 * and the list is long enough to be worth one, else part by part.
 */
__global__ static void add_halves(struct stored lists, int64_t nlist, const float *centre,
                                  const struct product_facts *space, int fits, float *half)
{
    extern __shared__ float table[]; /* [m][KSUB] */
    float scale = space->scale;

    for (int64_t list = blockIdx.x; list < nlist; list += gridDim.x) {
        const float *c = lists.coarse + list * lists.d;
        int64_t first = lists.offset[list], end = lists.offset[list + 1];
        bool use = fits && end - first >= KSUB;

        __syncthreads(); /* the list before is done with the table */
        for (int i = (int)threadIdx.x; use && i < lists.m * KSUB; i += THREADS)
            table[i] = half_part(lists, c, centre, scale, i / KSUB, i % KSUB);
        __syncthreads();
        for (int64_t i = first + threadIdx.x; i < end; i += THREADS) {
            const uint8_t *code = lists.rows + i * lists.stride;
            float sum = 0;

            for (int s = 0; s < lists.m; s++)
                sum += use ? table[s * KSUB + code[s]]
                           : half_part(lists, c, centre, scale, s, code[s]);
            half[i] = sum;
        }
    }
}

static int measure_codes(struct cuda *cuda, struct scanned *s, int64_t nlist)
{
    size_t table = (size_t)s->lists.m * KSUB * sizeof(float),
           bytes = table + 1024 <= (size_t)cuda->shared_max ? table : 0;
    unsigned grid = (unsigned)(nlist < 8 * cuda->sms ? nlist : 8 * cuda->sms);
    int rc;

    if ((rc = CU(cudaMemsetAsync(s->d_books, 0, (size_t)KSUB * s->pitch * sizeof(__half),
                                 cuda->stream))) < 0)
        return rc;
    pack_books<<<(unsigned)s->lists.m, KSUB, 0, cuda->stream>>>(
        s->lists, s->space->d_facts, s->pitch, s->d_books, s->d_slice, s->space->depth, s->d_facts);
    if ((rc = cuda_launched(cuda, "pack_books")) < 0) return rc;
    finish_books<<<1, THREADS, 0, cuda->stream>>>(s->space->d_centre, s->space->depth,
                                                  s->space->d_facts, s->d_facts);
    if ((rc = cuda_launched(cuda, "finish_books")) < 0 || !s->d_half) return rc;
    if ((rc = CU(cudaFuncSetAttribute(add_halves, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      (int)bytes))) < 0)
        return rc;
    add_halves<<<grid, THREADS, bytes, cuda->stream>>>(s->lists, nlist, s->space->d_centre,
                                                       s->space->d_facts, bytes > 0, s->d_half);
    return cuda_launched(cuda, "add_halves");
}

int scanned_make(struct cuda *cuda, struct scanned *s, int64_t n, int64_t nlist)
{
    int rc = CU(cudaMemsetAsync(s->d_facts, 0, sizeof *s->d_facts, cuda->stream));

    if (rc < 0) return rc;
    return s->lists.m ? measure_codes(cuda, s, nlist) : measure_stored_rows(cuda, s, n);
}
