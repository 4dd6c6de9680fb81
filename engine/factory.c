#include "engine/factory.h"

#include <ctype.h>
#include <string.h>

#include "engine/base/fail.h"

enum { NLIST_MAX = 1 << 30 }; /* list numbers are int32 on every backend */

/* What is being read: one token of a key, between commas. */
struct token {
    const char *key, *at, *end;
};

static int fail_token(const struct token *t, const char *expected)
{
    return fail(ERR_INVALID, "index \"%s\": \"%.*s\": expected %s", t->key, (int)(t->end - t->at),
                t->at, expected);
}

/* The token after t's, up to a comma or the end; 0: there is none. */
static int next_token(struct token *t)
{
    if (t->end && !*t->end) return 0;
    t->at = t->end ? t->end + 1 : t->key;
    t->end = t->at + strcspn(t->at, ",");
    return 1;
}

static int starts(const struct token *t, const char *word)
{
    return !strncmp(t->at, word, strlen(word));
}

/* A number from 1 to max at *p, which moves behind it; 0 where there is none such. */
static int64_t read_number(const char **p, int64_t max)
{
    int64_t n = 0;

    if (!isdigit((unsigned char)**p)) return 0;
    for (; isdigit((unsigned char)**p); (*p)++)
        if (n <= max) n = n * 10 + (**p - '0');
    return n <= max ? n : 0;
}

/* "<word><number>" to the end of t, or 0. */
static int64_t whole_number(const struct token *t, const char *word, int64_t max)
{
    const char *p = t->at + strlen(word);
    int64_t n = read_number(&p, max);

    return p == t->end ? n : 0;
}

static int parse_opq(struct factory *f, const struct token *t)
{
    const char *p = t->at + strlen("OPQ");

    f->transform = TRANSFORM_OPQ;
    f->opq_m = (int)read_number(&p, D_MAX);
    if (f->opq_m && p < t->end && *p == '_') {
        p++;
        if (!(f->d_out = (int)read_number(&p, D_MAX))) p = t->at;
    }
    return f->opq_m && p == t->end ? 0 : fail_token(t, "OPQm or OPQm_d, such as OPQ16_64");
}

static int parse_pcar(struct factory *f, const struct token *t)
{
    f->transform = TRANSFORM_PCAR;
    f->d_out = (int)whole_number(t, "PCAR", D_MAX);
    return f->d_out ? 0 : fail_token(t, "PCARd, such as PCAR64");
}

static int parse_ivf(struct factory *f, const struct token *t)
{
    if (!starts(t, "IVF"))
        return fail_token(t, f->transform ? "IVFn, such as IVF4096"
                                          : "OPQm_d, PCARd or IVFn, such as IVF4096");
    f->nlist = whole_number(t, "IVF", NLIST_MAX);
    return f->nlist ? 0 : fail_token(t, "IVFn with n in 1 ... 2^30, such as IVF4096");
}

static int parse_codes(struct factory *f, const struct token *t)
{
    if (t->end - t->at == 4 && starts(t, "Flat")) return 0;
    if (starts(t, "PQ")) f->m = (int)whole_number(t, "PQ", D_MAX);
    return f->m ? 0 : fail_token(t, "Flat or PQm, such as PQ16 (8 bits a code)");
}

int factory_parse(struct factory *out, const char *key)
{
    struct factory f = {0};
    struct token t = {.key = key};
    int rc;

    next_token(&t);
    if (starts(&t, "OPQ") || starts(&t, "PCAR")) {
        if ((rc = starts(&t, "OPQ") ? parse_opq(&f, &t) : parse_pcar(&f, &t)) < 0) return rc;
        if (!next_token(&t))
            return fail(ERR_INVALID, "index \"%s\" ends early: expected IVFn", key);
    }
    if ((rc = parse_ivf(&f, &t)) < 0) return rc;
    if (!next_token(&t))
        return fail(ERR_INVALID, "index \"%s\" ends early: expected Flat or PQm after IVFn", key);
    if ((rc = parse_codes(&f, &t)) < 0) return rc;
    if (next_token(&t)) return fail_token(&t, "the end of the key");
    *out = f;
    return 0;
}

int factory_check(const struct factory *f, const char *key, int d)
{
    int d_out = f->d_out ? f->d_out : d;

    if (f->transform == TRANSFORM_PCAR && d_out > d)
        return fail(ERR_INVALID, "index \"%s\": PCAR%d makes more of d = %d dimensions", key, d_out,
                    d);
    if (f->transform == TRANSFORM_OPQ && d_out % f->opq_m)
        return fail(ERR_INVALID, "index \"%s\": OPQ's m = %d does not divide d = %d", key, f->opq_m,
                    d_out);
    if (f->m && d_out % f->m)
        return fail(ERR_INVALID, "index \"%s\": PQ's m = %d does not divide d = %d", key, f->m,
                    d_out);
    return 0;
}
