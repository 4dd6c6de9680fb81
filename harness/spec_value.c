/*
 * A value, from the text that stood in the YAML to a member of struct spec. YAML's own ideas of
 * types are not used: `010`, `1_000`, `1e3`, `on` mean different things to different readers of
 * YAML, so here they mean nothing, and the message says what to write.
 */
#include "harness/spec_read.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/factory.h"

enum { VALUES_MAX = 4096 }; /* of a list, or those a range stands for */

#define WRONG(...) (diag_error(&r->diag, n->at, __VA_ARGS__), 0)

void *spec_alloc(struct reading *r, int64_t n, size_t size)
{
    void *p = r->failed ? NULL : arena_new(&r->spec->arena, n, size);

    if (!p) r->failed = ERR_NOMEM;
    return p;
}

static char *keep(struct reading *r, const char *s)
{
    char *copy = spec_alloc(r, (int64_t)strlen(s) + 1, 1);

    return copy ? strcpy(copy, s) : NULL;
}

/* ---- numbers and words; each returns whether the value was right ---- */

/* Why a word is no whole number, as the rest of a message. */
static struct shown number_hint(const char *s)
{
    struct shown hint = {{0}};
    char digits[64];
    size_t n = 0, zeros = strspn(s, "0");
    char *end;
    double x = strtod(s, &end);

    for (const char *c = s; *c && n < sizeof digits - 1; c++)
        if (*c != '_') digits[n++] = *c;
    digits[n] = '\0';
    if (zeros && s[zeros] && strspn(s, "0123456789") == strlen(s))
        snprintf(hint.s, sizeof hint.s, "; a leading zero looks octal: write %.40s", s + zeros);
    else if (strchr(s, '_') && n && strspn(digits, "0123456789") == n)
        snprintf(hint.s, sizeof hint.s, "; write %.40s, without underscores", digits);
    else if (strpbrk(s, "eE") && !*end && x >= 0 && x < 1e18 && x == (double)(int64_t)x)
        snprintf(hint.s, sizeof hint.s, "; write it out: %lld", (long long)x);
    else if (*s == '+' && strspn(s + 1, "0123456789") == strlen(s + 1))
        snprintf(hint.s, sizeof hint.s, "; write %.40s, without the sign", s + 1);
    return hint;
}

static int one_value_wanted(struct reading *r, const struct spec_key *key, const struct node *n)
{
    if (n->kind == NODE_LIST && !spec_key_is_list(key))
        return WRONG("%s takes one value, not a list", key->name);
    if (n->kind == NODE_LIST) return WRONG("%s: a list inside a list", key->name);
    if (n->kind == NODE_MAP) return WRONG("%s takes a value, not a mapping", key->name);
    if (!*n->value && !n->quoted) return WRONG("%s: the value is missing", key->name);
    return 1;
}

static int read_whole(struct reading *r, const struct spec_key *key, const struct node *n,
                      int64_t *out)
{
    const char *s = n->value, *digits = s + (*s == '-');
    size_t len = strlen(digits);

    if (n->quoted)
        return WRONG("%s: \"%s\" is in quotes, a whole number is wanted: write it without",
                     key->name, diag_show(s).s);
    if (key->axis != AXIS_NONE && strspn(s, "0123456789, ") == strlen(s) && strchr(s, ','))
        return WRONG("%s: a list needs brackets: [%s]", key->name, diag_show(s).s);
    if (!len || strspn(digits, "0123456789") != len || (*digits == '0' && len > 1))
        return WRONG("%s: \"%s\" is not a whole number%s", key->name, diag_show(s).s,
                     number_hint(s).s);
    if (len > 18) return WRONG("%s: %s is too large", key->name, diag_show(s).s);
    *out = strtoll(s, NULL, 10);
    return 1;
}

static int in_range(struct reading *r, const struct spec_key *key, const struct node *n, int64_t v)
{
    if (v >= key->min && v <= key->max) return 1;
    if (key->type == KEY_INT && key->min == key->max)
        return WRONG("%s %lld is not one this build reads: it reads %s %lld", key->name,
                     (long long)v, key->name, (long long)key->min);
    if (v < key->min)
        return WRONG("%s: %lld is too small: at least %lld", key->name, (long long)v,
                     (long long)key->min);
    return WRONG("%s: %lld is too large: at most %lld", key->name, (long long)v,
                 (long long)key->max);
}

static int read_bool(struct reading *r, const struct spec_key *key, const struct node *n,
                     int64_t *out)
{
    static const char *const yes[] = {"yes", "on", "y", "true", "1"};
    static const char *const no[] = {"no", "off", "n", "false", "0"};
    const char *hint = "";

    if (!n->quoted && (!strcmp(n->value, "true") || !strcmp(n->value, "false"))) {
        *out = *n->value == 't';
        return 1;
    }
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (!strcasecmp(n->value, yes[i])) hint = "; write true";
        if (!strcasecmp(n->value, no[i])) hint = "; write false";
    }
    return WRONG("%s: \"%s\" is neither true nor false%s", key->name, diag_show(n->value).s, hint);
}

static int read_word(struct reading *r, const struct spec_key *key, const struct node *n,
                     int64_t *out)
{
    int value = spec_key_word(key, n->value);

    if (value == INT_MIN)
        return WRONG("%s: \"%s\" is none of %s", key->name, diag_show(n->value).s,
                     spec_key_words(key).s);
    *out = value;
    return 1;
}

static int read_size(struct reading *r, const struct spec_key *key, const struct node *n,
                     int64_t *out)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    const char *s = n->value;
    size_t whole = strspn(s, "0123456789"), len = whole;

    if (s[len] == '.' && isdigit((unsigned char)s[len + 1]))
        len += 1 + strspn(s + len + 1, "0123456789");
    for (int i = 0; whole && len < 16 && i < 5; i++) {
        if (strcmp(s + len, units[i]) || (i == 0 && len != whole)) continue;
        *out = (int64_t)fmin(strtod(s, NULL) * (double)(INT64_C(1) << 10 * i), 9e18);
        return 1;
    }
    return WRONG("%s: \"%s\" is not a size: write bytes, or KiB, MiB, GiB as in 512MiB or 1.5GiB",
                 key->name, diag_show(s).s);
}

/* One number of any type that has numbers. */
static int read_number(struct reading *r, const struct spec_key *key, const struct node *n,
                       int64_t *out)
{
    if (!one_value_wanted(r, key, n)) return 0;
    if (key->type == KEY_BOOL) return read_bool(r, key, n, out);
    if (key->type == KEY_WORD) return read_word(r, key, n, out);
    if ((key->flags & KEY_AUTO && !strcmp(n->value, "auto")) ||
        (key->flags & KEY_NONE && !strcmp(n->value, "none"))) {
        *out = SPEC_AUTO;
        return 1;
    }
    if (!(key->type == KEY_SIZE ? read_size(r, key, n, out) : read_whole(r, key, n, out))) return 0;
    return in_range(r, key, n, *out);
}

/* ---- strings ---- */

/* Appends s with each ${VAR} replaced; "$${" stands for "${". */
static int expand(struct reading *r, const struct node *n, const char *s, struct text *out)
{
    while (*s) {
        size_t len = strcspn(s, "$");
        const char *value, *end;
        char var[128];

        text_add_bytes(out, s, (int64_t)len);
        s += len;
        if (!strncmp(s, "$${", 3)) {
            text_add(out, "${");
            s += 3;
        } else if (!strncmp(s, "${", 2)) {
            if (!(end = strchr(s, '}'))) return WRONG("\"${\" without a \"}\"");
            snprintf(var, sizeof var, "%.*s", (int)(end - s - 2), s + 2);
            if (!(value = getenv(var)))
                return WRONG("${%s} is not set: export %s=... before you run this",
                             diag_show(var).s, diag_show(var).s);
            text_add(out, value);
            s = end + 1;
        } else if (*s) {
            text_add(out, "$");
            s++;
        }
    }
    return 1;
}

static char *read_path(struct reading *r, const struct spec_key *key, const struct node *n)
{
    struct text path = {0}, whole = {0};
    char *out = NULL;

    if (!strncmp(n->value, "~/", 2) || !strcmp(n->value, "~")) {
        diag_error(&r->diag, n->at, "%s: ~ is not expanded: write ${HOME}%s", key->name,
                   diag_show(n->value + 1).s);
    } else if (!*n->value) {
        diag_error(&r->diag, n->at, "%s: an empty path", key->name);
    } else if (expand(r, n, n->value, &path)) {
        if (*text_get(&path) != '/') text_add(&whole, r->folder);
        text_add(&whole, text_get(&path));
        if (text_failed(&path) || text_failed(&whole))
            r->failed = ERR_NOMEM;
        else
            out = keep(r, text_get(&whole));
    }
    text_clear(&path);
    text_clear(&whole);
    return out;
}

static char *read_name(struct reading *r, const struct spec_key *key, const struct node *n)
{
    for (const char *c = n->value; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr("._-", *c)) continue;
        diag_error(&r->diag, n->at, "%s: \"%s\": only letters, digits, and . _ - are allowed",
                   key->name, diag_show(n->value).s);
        return NULL;
    }
    return keep(r, n->value);
}

/* NULL where it is not right (and said), or memory is short. */
static char *read_string(struct reading *r, const struct spec_key *key, const struct node *n)
{
    struct factory unused;

    if (!one_value_wanted(r, key, n)) return NULL;
    if (key->type == KEY_PATH) return read_path(r, key, n);
    if (key->max && (int64_t)strlen(n->value) > key->max) {
        diag_error(&r->diag, n->at, "%s: longer than %lld bytes", key->name, (long long)key->max);
        return NULL;
    }
    if (key->type == KEY_NAME) return read_name(r, key, n);
    if (key->type == KEY_FACTORY && factory_parse(&unused, n->value) < 0) {
        diag_error(&r->diag, n->at, "%s", fail_text());
        return NULL;
    }
    return keep(r, n->value);
}

/* ---- lists ---- */

static int too_many(struct reading *r, const struct spec_key *key, const struct node *n)
{
    if (n->kind != NODE_LIST || n->count <= VALUES_MAX) return 0;
    diag_error(&r->diag, n->at, "%s: more than %d values", key->name, VALUES_MAX);
    return 1;
}

/* Whether a word is a piece of a factory key rather than a whole one. */
static int is_fragment(const struct node *n)
{
    static const char *const starts[] = {"OPQ", "PCAR", "IVF", "PQ"};

    if (n->kind != NODE_SCALAR || n->quoted || strchr(n->value, ',')) return 0;
    if (!strcmp(n->value, "Flat")) return 1;
    for (int i = 0; i < 4; i++)
        if (!strncmp(n->value, starts[i], strlen(starts[i]))) return 1;
    return 0;
}

/*
 * [OPQ20_80,IVF262144,PQ20] is a list of three to YAML. Says so, with the pieces up to the one
 * that ends the key put together again; returns the item after them, NULL where it is no such.
 */
static const struct item *report_fragments(struct reading *r, const struct item *first)
{
    struct text whole = {0};
    const struct item *i = first;
    int ended = 0;

    if (!is_fragment(first->value) || !first->next || !is_fragment(first->next->value)) return NULL;
    for (; i && is_fragment(i->value) && !ended; i = i->next) {
        const char *s = i->value->value;

        ended = !strcmp(s, "Flat") || !strncmp(s, "PQ", 2);
        text_addf(&whole, "%s%s", i == first ? "" : ",", s);
    }
    diag_error(&r->diag, first->value->at, "factory keys contain commas; quote it: \"%s\"",
               diag_show(text_get(&whole)).s);
    if (text_failed(&whole)) r->failed = ERR_NOMEM;
    text_clear(&whole);
    return i ? i : first; /* first: that was all of the list */
}

static void read_strings(struct reading *r, const struct spec_key *key, const struct node *n,
                         struct spec_strings *out, struct mark *at)
{
    struct item single = {NULL, (struct node *)(uintptr_t)n, NULL};
    const struct item *i = n->kind == NODE_LIST ? n->items : &single, *after;

    if (too_many(r, key, n)) return;
    for (; i && !r->failed; i = i->next) {
        char *s;

        if (n->kind == NODE_LIST && n->flow && (after = report_fragments(r, i))) {
            while (i->next && i->next != after)
                i = i->next;
            continue;
        }
        if (!(s = read_string(r, key, i->value))) continue;
        for (int j = 0; j < out->count; j++)
            if (!strcmp(out->v[j], s))
                diag_error(&r->diag, i->value->at, "%s: \"%s\" stands twice", key->name,
                           diag_show(s).s);
        if (at) at[out->count] = i->value->at;
        out->v[out->count++] = s;
    }
}

/* The bounds and the step of {from: 1, to: 256, mul: 2}. */
struct range {
    int64_t from, to, step;
    int mul;
};

static int read_range_keys(struct reading *r, const struct spec_key *key, const struct node *n,
                           struct range *out)
{
    static const char *const names[] = {"from", "to", "mul", "add"};
    static const struct spec_key step = {.name = "mul", .type = KEY_INT, .axis = AXIS_NONE};
    const struct node *found[4] = {0};
    int fine = 1;

    for (const struct item *i = n->items; i; i = i->next) {
        int j = 0;

        while (j < 4 && strcmp(i->key->value, names[j]))
            j++;
        if (j < 4) {
            found[j] = i->value;
            continue;
        }
        diag_error(&r->diag, i->key->at,
                   "unknown key \"%s\": a range is {from:, to:, mul: or add:}",
                   diag_show(i->key->value).s);
        fine = 0;
    }
    if (!fine) return 0;
    if (!found[0] || !found[1] || !found[2] == !found[3])
        return WRONG("%s: a range is {from: 1, to: 256, mul: 2}, or add: instead of mul:",
                     key->name);
    out->mul = found[2] != NULL;
    fine = read_number(r, key, found[0], &out->from) & read_number(r, key, found[1], &out->to);
    n = found[2] ? found[2] : found[3];
    if (!one_value_wanted(r, &step, n) || !read_whole(r, &step, n, &out->step)) return 0;
    if (out->step < (out->mul ? 2 : 1))
        return WRONG("%s: %lld is too small: at least %d", out->mul ? "mul" : "add",
                     (long long)out->step, out->mul ? 2 : 1);
    return fine;
}

static void read_range(struct reading *r, const struct spec_key *key, const struct node *n,
                       struct spec_ints *out)
{
    struct range g = {0};
    int count = 0;

    if (!read_range_keys(r, key, n, &g)) return;
    if (g.from > g.to || g.from < 0 || (g.from == 0 && g.mul)) {
        diag_error(&r->diag, n->at, "%s: a range goes up, from %s to something not below it",
                   key->name, g.mul ? "at least 1" : "at least 0");
        return;
    }
    if (!(out->v = spec_alloc(r, VALUES_MAX, sizeof *out->v))) return;
    for (int64_t v = g.from; v <= g.to; v = g.mul ? v * g.step : v + g.step) {
        if (count == VALUES_MAX) {
            diag_error(&r->diag, n->at, "%s: more than %d values", key->name, VALUES_MAX);
            return;
        }
        out->v[count++] = v;
        if (v > (g.mul ? g.to / g.step : g.to - g.step)) break; /* the next could pass 2^63 */
    }
    out->count = count;
}

static void read_ints(struct reading *r, const struct spec_key *key, const struct node *n,
                      struct spec_ints *out)
{
    struct item single = {NULL, (struct node *)(uintptr_t)n, NULL};
    const struct item *i = n->kind == NODE_LIST ? n->items : &single;

    *out = (struct spec_ints){0};
    if (too_many(r, key, n)) return;
    if (n->kind == NODE_MAP && key->type == KEY_INT && key->axis != AXIS_NONE) {
        read_range(r, key, n, out);
        return;
    }
    if (!(out->v = spec_alloc(r, n->kind == NODE_LIST ? n->count : 1, sizeof *out->v))) return;
    for (; i; i = i->next) {
        int64_t v;

        if (!read_number(r, key, i->value, &v)) continue;
        for (int j = 0; j < out->count; j++)
            if (out->v[j] == v)
                diag_error(&r->diag, i->value->at, "%s: %s stands twice", key->name,
                           diag_show(i->value->value).s);
        out->v[out->count++] = v;
    }
}

/* ---- exclude ---- */

static void read_exclude_term(struct reading *r, const struct item *term, struct spec_exclude *out)
{
    const struct spec_key *key = spec_key_axis(term->key->value);
    const struct node *n = term->value;

    if (!key) {
        diag_error(&r->diag, term->key->at,
                   "exclude: \"%s\" is no axis: index, gpus, replicas, storage, threads, seed, "
                   "float16, precomputed_tables, k, batch, nprobe",
                   diag_show(term->key->value).s);
    } else if (key->axis != AXIS_INDEX) {
        read_ints(r, key, n, &out->values[key->axis]);
    } else if ((out->index.v =
                    spec_alloc(r, n->kind == NODE_LIST ? n->count : 1, sizeof *out->index.v))) {
        static const struct spec_key pattern = {
            .name = "index", .type = KEY_TEXT, .axis = AXIS_INDEX};

        read_strings(r, &pattern, n, &out->index, NULL);
    }
}

static void read_exclude(struct reading *r, const struct spec_key *key, const struct node *n)
{
    struct spec *s = r->spec;

    if (n->kind != NODE_LIST) {
        diag_error(&r->diag, n->at, "%s is a list: [{gpus: 2, replicas: 2}]", key->name);
        return;
    }
    if (!(s->exclude = spec_alloc(r, n->count, sizeof *s->exclude))) return;
    for (const struct item *i = n->items; i; i = i->next) {
        struct spec_exclude *e = &s->exclude[s->nexclude++];

        if (i->value->kind != NODE_MAP || !i->value->count) {
            diag_error(&r->diag, i->value->at,
                       "%s: an entry is a mapping of axes to values: {gpus: 2, replicas: 2}",
                       key->name);
            continue;
        }
        e->line = i->value->at.source->unnumbered ? 0 : i->value->at.line + 1;
        for (const struct item *term = i->value->items; term; term = term->next)
            read_exclude_term(r, term, e);
    }
}

/* ---- a key ---- */

static void read_many(struct reading *r, const struct spec_key *key, const struct node *n)
{
    char *member = (char *)r->spec + key->at;
    struct spec_strings *strings = (struct spec_strings *)(void *)member;
    int count = n->kind == NODE_LIST ? n->count : 1;
    struct mark *at = NULL;

    if (!count) {
        diag_error(&r->diag, n->at, "%s: an empty list; leave the key out, or give a value",
                   key->name);
    } else if (key->type != KEY_FACTORY) {
        read_ints(r, key, n, (struct spec_ints *)(void *)member);
    } else if ((at = spec_alloc(r, count, sizeof *at)) &&
               (strings->v = spec_alloc(r, count, sizeof *strings->v))) {
        read_strings(r, key, n, strings, at);
        r->spec->index_at = at;
    }
}

void spec_read_value(struct reading *r, const struct spec_key *key, const struct node *n)
{
    void *member = (char *)r->spec + key->at;
    int64_t v = 0;

    if (key->type == KEY_EXCLUDE) {
        read_exclude(r, key, n);
    } else if (spec_key_is_list(key)) {
        read_many(r, key, n);
    } else if (key->type >= KEY_TEXT) {
        *(char **)member = read_string(r, key, n);
    } else if (read_number(r, key, n, &v)) {
        if (key->type == KEY_BOOL || key->type == KEY_WORD)
            *(int *)member = (int)v;
        else
            *(int64_t *)member = v;
    }
}
