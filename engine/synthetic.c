/*
 * The synthetic generator, version 1. Exact integers throughout (>> is the arithmetic shift, a
 * floor), so that another backend can give the same bytes; H(seed, counter) is rand_hash.
 *
 *   tables     S_t = H(seed, t) for a tag t of enum tag below
 *              w1[HIDDEN][LATENT]  weight(c) = H(S_W1, c) mod 255 - 127, c row-major
 *              w2[d][HIDDEN]       the same of S_W2
 *              centre[CLUSTERS][LATENT] = gauss(H(S_CENTRE, c)), c row-major
 *   gauss(w)   the sum of the four low bytes of w, less 510: mean 0, deviation 148
 *   row i      draws word(j) = H(S_part, i * 2^16 + j)
 *     cluster  u = low 16 bits, v = next 16 bits of word(0); cluster = (u * v >> 16) * CLUSTERS >> 16:
 *              a product of two uniforms, so low clusters are the dense ones
 *     latent   z[l] = (CENTRE_GAIN * centre[cluster][l] + SPREAD_GAIN * g) >> 6, g = gauss of the
 *              low (l even) or high (l odd) half of word(1 + l / 2)
 *     hidden   h[j] = max(0, sum over l of w1[j][l] * z[l] >> 7)
 *     noise    e[t] = (byte t mod 8 of word(1 + LATENT / 2 + t / 8) - 128) * NOISE >> 7
 *     output   x[t] = clamp(0, 255, ((sum over j of w2[t][j] * h[j] >> 8) * GAIN >> 12) + BIAS + e[t])
 *
 * Sums stay within 32 bits and z, h within 16: |z| <= 1084, h <= 23,700, |sum| < 1.93e8, and that
 * >> 8 times GAIN < 1.5e8.
 */
#include "engine/synthetic.h"

#include <assert.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/base/rand.h"

enum { LATENT = 22, HIDDEN = 64, CLUSTERS = 256 };
enum { PADDED = 24 }; /* LATENT in whole vector registers; what is added is 0 */
enum { CENTRE_GAIN = 66, SPREAD_GAIN = 70, GAIN = 186, BIAS = 21, NOISE = 18 };
enum { FIRST_NOISE = 1 + LATENT / 2 }; /* word of a row where the noise begins */

/* Random streams; the first three are those of the parts. */
enum tag { TAG_BASE, TAG_QUERY, TAG_LEARN, TAG_W1, TAG_W2, TAG_CENTRE };

struct synthetic {
    int d;
    uint64_t stream[3]; /* of each part */
    int16_t w1[HIDDEN][PADDED];
    int16_t centre[CLUSTERS][LATENT];
    int16_t (*w2)[HIDDEN]; /* [d] */
};

static int gauss(uint64_t word)
{
    return (int)((word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24 & 255)) - 510;
}

static int16_t weight(uint64_t stream, int64_t c)
{
    return (int16_t)((int)(rand_hash(stream, (uint64_t)c) % 255) - 127);
}

static void fill_tables(struct synthetic *s, uint64_t seed)
{
    uint64_t w1 = rand_hash(seed, TAG_W1), w2 = rand_hash(seed, TAG_W2);
    uint64_t centre = rand_hash(seed, TAG_CENTRE);

    for (int j = 0; j < HIDDEN; j++)
        for (int l = 0; l < LATENT; l++)
            s->w1[j][l] = weight(w1, j * LATENT + l);
    for (int64_t t = 0; t < s->d; t++)
        for (int j = 0; j < HIDDEN; j++)
            s->w2[t][j] = weight(w2, t * HIDDEN + j);
    for (int c = 0; c < CLUSTERS; c++)
        for (int l = 0; l < LATENT; l++)
            s->centre[c][l] = (int16_t)gauss(rand_hash(centre, (uint64_t)(c * LATENT + l)));
}

int synthetic_create(struct synthetic **out, int64_t seed, int d)
{
    struct synthetic *s = NULL;
    uint64_t bits = (uint64_t)seed;
    int rc = ERR_NOMEM;

    if (d < 1 || d > D_MAX)
        return fail(ERR_INVALID, "synthetic: d = %d is not in 1 ... %d", d, D_MAX);
    if (!(s = mem_new(1, sizeof *s))) goto out;
    if (!(s->w2 = mem_new(d, sizeof *s->w2))) goto out;
    s->d = d;
    s->stream[PART_BASE] = rand_hash(bits, TAG_BASE);
    s->stream[PART_QUERY] = rand_hash(bits, TAG_QUERY);
    s->stream[PART_LEARN] = rand_hash(bits, TAG_LEARN);
    fill_tables(s, bits);
    *out = s;
    s = NULL;
    rc = 0;
out:
    synthetic_free(s);
    return rc;
}

void synthetic_free(struct synthetic *s)
{
    if (!s) return;
    mem_free(s->w2);
    mem_free(s);
}

/* z[LATENT]: a point near the centre of the row's cluster. */
static void draw_latent(const struct synthetic *s, uint64_t stream, uint64_t counter, int16_t *z)
{
    uint64_t word = rand_hash(stream, counter);
    uint64_t cluster = ((word & 0xffff) * (word >> 16 & 0xffff) >> 16) * CLUSTERS >> 16;
    const int16_t *centre = s->centre[cluster];

    for (int l = 0; l < LATENT; l += 2) {
        word = rand_hash(stream, counter + 1 + (uint64_t)l / 2);
        z[l] = (int16_t)((CENTRE_GAIN * centre[l] + SPREAD_GAIN * gauss(word)) >> 6);
        z[l + 1] = (int16_t)((CENTRE_GAIN * centre[l + 1] + SPREAD_GAIN * gauss(word >> 32)) >> 6);
    }
}

/* The sum of 16-bit products: a form that compilers turn into multiply-add instructions. */
static inline int32_t dot(const int16_t *a, const int16_t *b, int n)
{
    int32_t sum = 0;

    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void draw_hidden(const struct synthetic *s, const int16_t *z, int16_t *h)
{
    for (int j = 0; j < HIDDEN; j++) {
        int32_t sum = dot(s->w1[j], z, PADDED) >> 7;

        h[j] = (int16_t)(sum < 0 ? 0 : sum);
    }
}

/* Clamped by masks: a third of all values is below 0, and no predictor guesses which. */
static inline uint8_t clamp(int32_t value)
{
    value &= ~(value >> 31);
    return (uint8_t)(value | (255 - value) >> 31);
}

static void make_row(const struct synthetic *s, uint64_t stream, uint64_t counter, uint8_t *x)
{
    int16_t z[PADDED] = {0}, h[HIDDEN];
    uint64_t noise = 0;

    draw_latent(s, stream, counter, z);
    draw_hidden(s, z, h);
    for (int t = 0; t < s->d; t++) {
        int32_t value = ((dot(s->w2[t], h, HIDDEN) >> 8) * GAIN >> 12) + BIAS;

        noise = t % 8 ? noise >> 8 : rand_hash(stream, counter + FIRST_NOISE + (uint64_t)t / 8);
        x[t] = clamp(value + (((int)(noise & 255) - 128) * NOISE >> 7));
    }
}

void synthetic_rows(const struct synthetic *s, enum part part, int64_t first, int64_t rows,
                    uint8_t *dst)
{
    assert(first >= 0 && rows >= 0 && first + rows <= (int64_t)1 << 47);
    for (int64_t i = 0; i < rows; i++)
        make_row(s, s->stream[part], (uint64_t)(first + i) << 16, dst + i * s->d);
}
