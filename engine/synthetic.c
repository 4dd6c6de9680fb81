/*
 * The synthetic generator, version 1. Exact integers throughout (>> is the arithmetic shift, a
 * floor; / drops the fraction), so that another backend can give the same bytes; H(seed, counter)
 * is rand_hash. Sizes are synthetic_tables.h's, there named SYN_<name>. Hidden structure as in SIFT,
 * where few things about a patch decide all of its values: a latent point, through a network of one
 * hidden layer, plus noise.
 *
 *   tables     S_t = H(seed, t) for a tag t of enum tag below
 *              w1[HIDDEN][LATENT]  weight c (row-major) = H(S_W1, c) mod 255 - 127
 *              w2[d][HIDDEN]       the same of S_W2
 *              centre[CLUSTERS][LATENT]  number c (row-major) = gauss(H(S_CENTRE, c))
 *   gauss(w)   the sum of the four low bytes of w, less 510: mean 0, deviation 148
 *   row i      draws word(j) = H(S_part, i * 2^16 + j)
 *     cluster  u, v = the lowest 16 bits of word(0), the next 16; (u * v >> 16) * CLUSTERS >> 16:
 *              a product of two uniforms, so that clusters are unequal and their lists too
 *     latent   z[l] = (CENTRE_SHARE * centre[cluster][l] + SPREAD * g) >> 6, g = gauss of the low
 *              (l even) or high (l odd) half of word(1 + l / 2)
 *     hidden   h[j] = max(0, (sum over l of w1[j][l] * z[l]) >> 7)
 *     noise    e[t] = (byte t mod 8, from the lowest, of word(1 + LATENT / 2 + t / 8) - 128)
 *              * NOISE >> 7
 *     output   x[t] = ((sum over j of w2[t][j] * h[j]) >> 8) * gain >> 12, plus BIAS + e[t],
 *              clamped to 0 ... 255
 *   gain       makes the mean square of a value 2112, so that the mean norm is SIFT's 512 at d 128
 *              and grows with the root of d: with squares 1 + the sum of x[t]^2 over rows
 *              0 ... TRIALS - 1 of a part with the stream S_GAIN, made with gain = GAIN, it is the
 *              whole root of GAIN^2 * 2112 * TRIALS * d / squares, kept in GAIN / 2 ... 2 * GAIN
 *
 * Sums stay within 32 bits and z, h within 16: |z| <= 1084, h <= 23,700, |sum| < 1.93e8, and
 * that >> 8 times gain < 2.9e8.
 *
 * Beside real SIFT (200,000 base, 2,000 queries; lid: intrinsic dimension by Levina and Bickel's
 * MLE at k 20 over the queries; share: of the variance in the first 8 and 32 principal axes; R@1
 * of faiss-cpu 1.15.1, IVF1024,Flat trained on 50,000 learn rows in 25 iterations):
 *
 *                     norm   lid   share 8, 32   R@1 at nprobe 1     4      16     64
 *   photosift200k     512.0  23.2  0.456  0.787           .3605  .6720  .8955  .9875
 *   seed 1            511.5  23.4  0.480  0.829           .3490  .6665  .9255  .9940
 *   seed 2            520.1  23.3  0.467  0.831           .3395  .6680  .9090  .9920
 *   seed 3            506.4  22.2  0.500  0.838           .3685  .7010  .9395  .9985
 *
 * Over seeds 1 ... 8 lid is 21.9 ... 23.4; over seeds 1 ... 60 the norm is 490 ... 531. Unlike
 * SIFT the norms of rows differ (deviation 77) and a third of all values is 0 (SIFT: a seventh).
 * What governs what: LATENT and NOISE the dimension (24 with noise 30 gave 28), CENTRE_SHARE
 * against SPREAD the recall at few probes (0 against 64: 0.27 at nprobe 1). 1.4 M rows/s a core.
 */
#include "engine/synthetic.h"

#include <assert.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/base/rand.h"
#include "engine/synthetic_tables.h"

enum { GAIN = 190 };
enum { TRIALS = 256, MEAN_SQUARE = 2112 };

/* Random streams; the first three are those of the parts. */
enum tag { TAG_BASE, TAG_QUERY, TAG_LEARN, TAG_W1, TAG_W2, TAG_CENTRE, TAG_GAIN };

static int16_t weight(uint64_t stream, int64_t c)
{
    return (int16_t)((int)(rand_hash(stream, (uint64_t)c) % 255) - 127);
}

static void fill_tables(struct synthetic *s, uint64_t seed)
{
    uint64_t w1 = rand_hash(seed, TAG_W1), w2 = rand_hash(seed, TAG_W2);
    uint64_t centre = rand_hash(seed, TAG_CENTRE);

    for (int j = 0; j < SYN_HIDDEN; j++)
        for (int l = 0; l < SYN_LATENT; l++)
            s->w1[j][l] = weight(w1, j * SYN_LATENT + l);
    for (int64_t t = 0; t < s->d; t++)
        for (int j = 0; j < SYN_HIDDEN; j++)
            s->w2[t][j] = weight(w2, t * SYN_HIDDEN + j);
    for (int c = 0; c < SYN_CLUSTERS; c++)
        for (int l = 0; l < SYN_LATENT; l++)
            s->centre[c][l] =
                (int16_t)synthetic_gauss(rand_hash(centre, (uint64_t)c * SYN_LATENT + (uint64_t)l));
}

void synthetic_free(struct synthetic *s)
{
    if (!s) return;
    mem_free(s->w2);
    mem_free(s);
}

/* z: a point near the centre of the row's cluster. */
static void draw_latent(const struct synthetic *s, uint64_t stream, uint64_t counter, int16_t *z)
{
    const int16_t *centre = s->centre[synthetic_cluster(rand_hash(stream, counter))];

    for (int l = 0; l < SYN_LATENT; l += 2) {
        uint64_t word = rand_hash(stream, counter + 1 + (uint64_t)l / 2);

        z[l] = synthetic_latent(centre[l], word);
        z[l + 1] = synthetic_latent(centre[l + 1], word >> 32);
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
    for (int j = 0; j < SYN_HIDDEN; j++) {
        int32_t sum = dot(s->w1[j], z, SYN_PADDED) >> 7;

        h[j] = (int16_t)(sum < 0 ? 0 : sum);
    }
}

static void make_row(const struct synthetic *s, uint64_t stream, uint64_t counter, uint8_t *x)
{
    int16_t z[SYN_PADDED] = {0}, h[SYN_HIDDEN];
    uint64_t noise = 0;

    draw_latent(s, stream, counter, z);
    draw_hidden(s, z, h);
    for (int t = 0; t < s->d; t++) {
        noise = t % 8 ? noise >> 8 : rand_hash(stream, counter + SYN_FIRST_NOISE + (uint64_t)t / 8);
        x[t] = synthetic_value(dot(s->w2[t], h, SYN_HIDDEN), s->gain, (int)(noise & 255));
    }
}

/* The largest whole number below 2^15 whose square is not above x. */
static int root(int64_t x)
{
    int64_t r = 0;

    for (int64_t bit = 1 << 14; bit; bit >>= 1)
        if ((r + bit) * (r + bit) <= x) r += bit;
    return (int)r;
}

static int choose_gain(struct synthetic *s, uint64_t stream)
{
    uint8_t *x = mem_new(s->d, 1);
    int64_t squares = 1; /* where all values are 0 there is nothing to divide by */
    int gain;

    if (!x) return ERR_NOMEM;
    s->gain = GAIN;
    for (uint64_t i = 0; i < TRIALS; i++) {
        make_row(s, stream, i << SYN_ROW_BITS, x);
        for (int t = 0; t < s->d; t++)
            squares += x[t] * x[t];
    }
    mem_free(x);
    gain = root((int64_t)GAIN * GAIN * MEAN_SQUARE * TRIALS * s->d / squares);
    s->gain = gain < GAIN / 2 ? GAIN / 2 : gain > 2 * GAIN ? 2 * GAIN : gain;
    return 0;
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
    if ((rc = choose_gain(s, rand_hash(bits, TAG_GAIN))) < 0) goto out;
    *out = s;
    s = NULL;
out:
    synthetic_free(s);
    return rc;
}

void synthetic_rows(const struct synthetic *s, enum part part, int64_t first, int64_t rows,
                    uint8_t *dst)
{
    assert(first >= 0 && rows >= 0 && first + rows <= (int64_t)1 << 47);
    for (int64_t i = 0; i < rows; i++)
        make_row(s, s->stream[part], (uint64_t)(first + i) << SYN_ROW_BITS, dst + i * s->d);
}
