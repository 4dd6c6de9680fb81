#include "harness/spec.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/spec_read.h"

enum { SPEC_BYTES_MAX = 1 << 20 };

/* ---- the tree: the file, and over it what --set says ---- */

/* `train:` with nothing behind it, or with all its keys commented out. */
static int is_empty(const struct node *n)
{
    return n->kind == NODE_SCALAR && !n->quoted && !*n->value;
}

/* The section at the end of a dotted name's all parts but the last, made where it is missing. */
static struct node *open_section(struct reading *r, struct node *map, const char **name,
                                 struct mark at)
{
    const char *dot;

    while (map && map->kind == NODE_MAP && (dot = strchr(*name, '.'))) {
        char *part = arena_copy(&r->spec->arena, *name, dot - *name);
        struct node *section = part ? node_get(map, part) : NULL;

        if (part && (!section || is_empty(section))) {
            struct node *key = spec_alloc(r, 1, sizeof *key);

            section = spec_alloc(r, 1, sizeof *section);
            if (key && section) {
                *key = (struct node){.kind = NODE_SCALAR, .at = at, .value = part};
                *section = (struct node){.kind = NODE_MAP, .at = at};
                if (node_put(map, &r->spec->arena, key, section) < 0) r->failed = ERR_NOMEM;
            }
        }
        if (!part) r->failed = ERR_NOMEM;
        if (r->failed) return NULL;
        map = section;
        *name = dot + 1;
    }
    return map && map->kind == NODE_MAP ? map : NULL;
}

/* Where a --set argument's message points: the argument itself, as a text of one line. */
static struct source *set_source(struct reading *r, const char *set, int order)
{
    struct source *source = spec_alloc(r, 1, sizeof *source);
    int64_t bytes = (int64_t)strlen(set) + 7;
    char *name = spec_alloc(r, bytes, 1);
    char *text = spec_alloc(r, bytes, 1);

    if (!source || !name || !text) return NULL;
    snprintf(name, (size_t)bytes, "--set %s", set);
    strcpy(text, set);
    *source = (struct source){.name = name, .text = text, .unnumbered = 1, .order = order};
    return source;
}

/* One key=value of --set into the tree. */
static void put_set(struct reading *r, struct node *root, const char *set, int order)
{
    struct source *source = set_source(r, set, order);
    struct mark at = {source, 0, 0};
    const char *equals = strchr(set, '='), *name;
    struct node *value = NULL, *key, *section;

    if (!source) return;
    if (!equals || equals == set) {
        diag_error(&r->diag, at, "--set wants key=value, as in --set search.nprobe=[1,16]");
        return;
    }
    if (!equals[1]) {
        diag_error(&r->diag, at, "the value is missing");
        return;
    }
    if (node_parse(&value, &r->spec->arena, source, equals - set + 1, &r->diag) < 0)
        r->failed = ERR_NOMEM;
    if (!value || !(name = arena_copy(&r->spec->arena, set, equals - set))) return;
    if (!spec_key_find(name) && !spec_key_section(name)) {
        diag_error(&r->diag, at, "unknown key \"%s\"%s", diag_show(name).s,
                   spec_key_hint("", strrchr(name, '.') ? strrchr(name, '.') + 1 : name).s);
        return;
    }
    /* a section that is no mapping in the file is the file's error, reported there */
    if (!(section = open_section(r, root, &name, at))) return;
    if (!(key = spec_alloc(r, 1, sizeof *key))) return;
    *key = (struct node){.kind = NODE_SCALAR, .at = at, .value = name};
    if (node_put(section, &r->spec->arena, key, value) < 0) r->failed = ERR_NOMEM;
}

/* ---- from the tree to the spec ---- */

static const char *first_leaf(const char *section)
{
    size_t n = strlen(section);
    const struct spec_key *key = NULL;

    for (int i = 0; (key = spec_key(i)); i++)
        if (!strncmp(key->name, section, n) && key->name[n] == '.') break;
    return spec_key_leaf(key);
}

/* In {nprobe: 1,2,4} the comma ends the value, and 2 and 4 are keys without one. */
static int report_cut_off(struct reading *r, const struct item *i, const struct item *before)
{
    if (!before || !is_empty(i->value) || !*i->key->value) return 0;
    if (before->value->at.line != i->key->at.line) return 0;
    diag_error(&r->diag, i->key->at,
               "\"%s\" is cut off from \"%s\" by the comma: a list needs brackets [ ], a text "
               "with commas needs quotes",
               diag_show(i->key->value).s, diag_show(before->key->value).s);
    return 1;
}

static void read_map(struct reading *r, const struct node *map, const char *section)
{
    const struct item *before = NULL; /* the last that was a key of ours */

    for (const struct item *i = map->items; i && !r->failed; i = i->next) {
        const struct spec_key *key;
        char name[160];

        snprintf(name, sizeof name, "%s%s%.80s", section, *section ? "." : "", i->key->value);
        if ((key = spec_key_find(name))) {
            r->given[spec_key_row(key)] = i->value;
            spec_read_value(r, key, i->value);
            before = i;
        } else if (!spec_key_section(name)) {
            if (map->flow && report_cut_off(r, i, before)) continue;
            diag_error(&r->diag, i->key->at, "unknown key \"%s\"%s", diag_show(i->key->value).s,
                       spec_key_hint(section, i->key->value).s);
        } else if (i->value->kind == NODE_MAP) {
            read_map(r, i->value, name);
        } else if (!is_empty(i->value)) {
            diag_error(&r->diag, i->value->at, "%s is a section: {%s: ...}", name,
                       first_leaf(name));
        }
    }
}

/* What the file leaves out gets its default, read as if it had stood there. */
static void read_default(struct reading *r, const struct spec_key *key)
{
    struct source *source = spec_alloc(r, 1, sizeof *source);
    struct node *value = NULL;

    if (!source) return;
    *source = (struct source){.name = key->name, .text = key->initial, .unnumbered = 1};
    if (node_parse(&value, &r->spec->arena, source, 0, &r->diag) < 0)
        r->failed = ERR_NOMEM;
    else if (value)
        spec_read_value(r, key, value);
}

/* Whether a key is missing because its section is none, which has been said. */
static int lost_with_section(const struct node *root, const struct spec_key *key)
{
    for (const struct item *i = root->items; i; i = i->next) {
        size_t n = strlen(i->key->value);

        if (!strncmp(key->name, i->key->value, n) && key->name[n] == '.')
            return i->value->kind != NODE_MAP && !is_empty(i->value);
    }
    return 0;
}

static void read_defaults(struct reading *r, const struct node *root)
{
    const struct spec_key *key;

    for (int i = 0; (key = spec_key(i)) && !r->failed; i++) {
        if (r->given[i] || lost_with_section(root, key)) continue;
        if (key->flags & KEY_REQUIRED)
            diag_error(&r->diag, root->at, "%s is missing: %s", key->name, key->help);
        else if (key->initial)
            read_default(r, key);
    }
}

static void read_tree(struct reading *r, const struct node *root)
{
    if (root->kind != NODE_MAP) {
        diag_error(&r->diag, root->at, "a spec is a mapping of keys to values: \"version: 1\" ...");
        return;
    }
    read_map(r, root, "");
    read_defaults(r, root);
}

/* ---- what follows from the values ---- */

/* The file's name without folder and .yaml, in the letters that a name may have. */
static char *default_name(struct reading *r)
{
    const char *slash = strrchr(r->spec->path, '/'), *base = slash ? slash + 1 : r->spec->path;
    const char *dot = strrchr(base, '.');
    char *name =
        arena_copy(&r->spec->arena, base, dot && dot != base ? dot - base : (int64_t)strlen(base));

    if (!name) r->failed = ERR_NOMEM;
    for (char *c = name; c && *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("._-", *c)) *c = '_';
    return name;
}

static void complete_dataset(struct spec *s)
{
    struct dataset_desc *d = &s->dataset;

    d->name = s->dataset_name;
    d->root = s->root;
    d->base = s->base;
    d->query = s->query;
    d->learn = s->learn;
    d->truth = s->truth;
    d->d = (int)s->dataset_d;
    if (!s->dataset_name || strcmp(s->dataset_name, "synthetic")) return;
    if (!d->nq) d->nq = 1000;
    if (!d->nt) d->nt = d->n < 50000 ? d->n : 50000;
    if (!s->at[spec_key_row(spec_key_find("dataset.seed"))].source) d->seed = 1;
}

/* Whether a key that comes later asks for more than its default. */
static int asks_for_later(const struct reading *r, const struct spec_key *key)
{
    const struct node *n = r->given[spec_key_row(key)];

    if (!(key->flags & KEY_LATER) || !n) return 0;
    return n->kind != NODE_SCALAR || !key->initial || strcmp(n->value, key->initial) != 0;
}

static void complete(struct reading *r)
{
    struct spec *s = r->spec;
    const struct spec_key *key;
    struct mark *at = spec_alloc(r, spec_key_count(), sizeof *at);
    struct text later = {0};

    if (!s->name) s->name = default_name(r);
    if (!at || !s->name) return;
    for (int i = 0; (key = spec_key(i)); i++) {
        if (r->given[i]) at[i] = r->given[i]->at;
        if (asks_for_later(r, key)) text_addf(&later, "%s%s", later.len ? ", " : "", key->name);
    }
    s->at = at;
    if (later.len && !(s->later = arena_string(&s->arena, text_get(&later)))) r->failed = ERR_NOMEM;
    if (text_failed(&later)) r->failed = ERR_NOMEM;
    text_clear(&later);
    complete_dataset(s);
    for (int i = 0; i < s->measure.count; i++) {
        s->measure_recall |= s->measure.v[i] == MEASURE_RECALL;
        s->measure_intersection |= s->measure.v[i] == MEASURE_INTERSECTION;
    }
}

/* ---- from a text to a spec ---- */

static void read_all(struct reading *r, const struct source *source, const char *const *set,
                     int nset)
{
    struct node *root = NULL;

    if (node_parse(&root, &r->spec->arena, source, 0, &r->diag) < 0) r->failed = ERR_NOMEM;
    for (int i = 0; i < nset && !r->failed; i++)
        if (root && root->kind == NODE_MAP) put_set(r, root, set[i], i + 1);
    if (root && !r->failed) read_tree(r, root);
    if (root && !r->failed) complete(r);
    if (root && !r->failed) spec_check(r);
}

static int begin(struct reading *r, struct source **out, const char *path, const char *text)
{
    const char *slash = strrchr(path, '/');
    struct source *source;
    struct arena *arena;

    if (!(r->spec = mem_new(1, sizeof *r->spec))) return ERR_NOMEM;
    arena = &r->spec->arena;
    if (!strncmp(text, "\xEF\xBB\xBF", 3)) text += 3; /* a byte-order mark says nothing in UTF-8 */
    if (!(r->given = spec_alloc(r, spec_key_count(), sizeof *r->given))) return ERR_NOMEM;
    if (!(r->spec->path = arena_string(arena, path))) return ERR_NOMEM;
    if (!(r->spec->text = arena_string(arena, text))) return ERR_NOMEM;
    if (!(r->folder = arena_copy(arena, path, slash ? slash - path + 1 : 0))) return ERR_NOMEM;
    if (!(source = spec_alloc(r, 1, sizeof *source))) return ERR_NOMEM;
    *source = (struct source){.name = r->spec->path, .text = r->spec->text};
    *out = source;
    return 0;
}

int spec_parse(struct spec **out, const char *path, const char *text, const char *const *set,
               int nset, struct text *errors)
{
    struct reading r = {0};
    struct source *source = NULL;
    int rc;

    if ((rc = begin(&r, &source, path, text)) < 0) goto out;
    read_all(&r, source, set, nset);
    if ((rc = r.failed) < 0) goto out;
    if ((rc = diag_end(&r.diag, errors, path)) < 0) goto out;
    *out = r.spec;
    r.spec = NULL; /* now the caller's */
out:
    diag_clear(&r.diag);
    spec_free(r.spec);
    return rc;
}

int spec_load(struct spec **out, const char *path, const char *const *set, int nset,
              struct text *errors)
{
    char *text = NULL;
    int64_t n = 0;
    int rc;

    if ((rc = file_read_all(&text, &n, path, SPEC_BYTES_MAX)) < 0) goto out;
    if ((int64_t)strlen(text) != n) {
        text_addf(errors, "%s: error: a NUL byte at offset %zu: this is no text\n", path,
                  strlen(text));
        rc = fail(ERR_INVALID, "%s: not a text", path);
        goto out;
    }
    rc = spec_parse(out, path, text, set, nset, errors);
out:
    mem_free(text);
    return rc;
}

void spec_free(struct spec *s)
{
    if (!s) return;
    arena_clear(&s->arena);
    mem_free(s);
}

/* ---- axes ---- */

static const struct spec_ints *axis_ints(const struct spec *s, const struct spec_key *key)
{
    return (const struct spec_ints *)(const void *)((const char *)s + key->at);
}

int spec_axis_count(const struct spec *s, enum spec_axis axis)
{
    return axis == AXIS_INDEX ? s->index.count : axis_ints(s, spec_key_of(axis))->count;
}

const char *spec_axis_text(const struct spec *s, enum spec_axis axis, int i, char room[24])
{
    const struct spec_key *key = spec_key_of(axis);
    int64_t v;

    if (axis == AXIS_INDEX) return s->index.v[i];
    v = axis_ints(s, key)->v[i];
    if (key->type == KEY_BOOL) return v ? "true" : "false";
    if (key->flags & KEY_AUTO && v == SPEC_AUTO) return "auto";
    if (axis == AXIS_STORAGE) return elem_name((enum elem)v);
    snprintf(room, 24, "%lld", (long long)v);
    return room;
}
