#include "harness/node.h"

#include <string.h>
#include <yaml.h>

struct anchor {
    const char *name;
    struct node *node;
    struct anchor *before;
};

struct build {
    yaml_parser_t parser;
    struct arena *arena;
    const struct source *source;
    int64_t offset; /* of the parsed text in source's: one line of --set begins after its key */
    int column;     /* the same in characters */
    struct diag *diag;
    struct anchor *anchors; /* the latest first: a name may be used again */
    int nanchors;
    int stopped; /* nothing that follows can be made sense of */
    int nomem;
};

static struct mark mark_of(const struct build *b, yaml_mark_t m)
{
    int column = (int)m.column + (m.line == 0 ? b->column : 0);

    return (struct mark){b->source, (int)m.line, column};
}

static void *stop(struct build *b)
{
    b->stopped = 1;
    return NULL;
}

static void *out_of_memory(struct build *b)
{
    b->nomem = 1;
    return stop(b);
}

static const char TAB_HINT[] = ": a tab; YAML is indented with spaces";

/* Whether at is in the white space that begins a line, and a tab is part of that. */
static int indented_by_tab(struct mark at)
{
    const char *line = diag_line(at);
    size_t blank = strspn(line, " \t");

    return at.column <= (int)blank && memchr(line, '\t', blank) != NULL;
}

/* libyaml knows two places: where it noticed, and what it was in the middle of. */
static void report_syntax(struct build *b)
{
    const yaml_parser_t *p = &b->parser;

    b->stopped = 1;
    if (p->error == YAML_MEMORY_ERROR) {
        b->nomem = 1;
    } else if (p->error == YAML_READER_ERROR) {
        struct mark at = diag_mark(b->source, b->offset + (int64_t)p->problem_offset);

        diag_error(b->diag, at, "%s: the text must be UTF-8 without control characters",
                   p->problem);
    } else {
        struct mark at = mark_of(b, p->problem_mark), context = mark_of(b, p->context_mark);

        diag_error(b->diag, at, "%s%s", p->problem, indented_by_tab(at) ? TAB_HINT : "");
        if (p->context && (context.line != at.line || context.column != at.column))
            diag_note(b->diag, context, "%s that begins here", p->context);
    }
}

static int next_event(struct build *b, yaml_event_t *event)
{
    if (b->stopped) return 0;
    if (yaml_parser_parse(&b->parser, event)) return 1;
    report_syntax(b);
    return 0;
}

static struct node *build_node(struct build *b, const yaml_event_t *event, int depth);

/* ---- anchors and aliases ---- */

static void remember(struct build *b, const yaml_char_t *name, struct node *node)
{
    struct anchor *anchor;

    if (!name || b->stopped) return;
    if (++b->nanchors > NODE_ANCHORS) {
        diag_error(b->diag, node->at, "more than %d anchors", NODE_ANCHORS);
        b->stopped = 1;
        return;
    }
    anchor = arena_new(b->arena, 1, sizeof *anchor);
    if (!anchor || !(anchor->name = arena_string(b->arena, (const char *)name))) {
        out_of_memory(b);
        return;
    }
    anchor->node = node;
    anchor->before = b->anchors;
    b->anchors = anchor;
}

static struct node *follow_alias(struct build *b, const yaml_event_t *event, int depth)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct mark at = mark_of(b, event->start_mark);
    const struct anchor *a = b->anchors;

    while (a && strcmp(a->name, name))
        a = a->before;
    if (!a) {
        diag_error(b->diag, at, "alias *%s: no anchor &%s stands before it", diag_show(name).s,
                   diag_show(name).s);
        return NULL;
    }
    if (a->node->open) {
        diag_error(b->diag, at, "cyclic alias: *%s stands inside what it names", diag_show(name).s);
        return NULL;
    }
    if (depth + a->node->height > NODE_DEPTH) {
        diag_error(b->diag, at, "nested deeper than %d levels", NODE_DEPTH);
        return stop(b);
    }
    return a->node;
}

/* ---- the tree ---- */

static struct node *new_node(struct build *b, enum node_kind kind, const yaml_event_t *event,
                             const yaml_char_t *tag)
{
    struct node *n = arena_new(b->arena, 1, sizeof *n);

    if (!n) return out_of_memory(b);
    n->kind = kind;
    n->at = mark_of(b, event->start_mark);
    n->weight = 1;
    n->height = 1;
    if (tag)
        diag_error(b->diag, n->at, "tag %s: a value's type is given by its key; leave the tag out",
                   diag_show((const char *)tag).s);
    return n;
}

static struct node *build_scalar(struct build *b, const yaml_event_t *event)
{
    const char *value = (const char *)event->data.scalar.value;
    struct node *n = new_node(b, NODE_SCALAR, event, event->data.scalar.tag);

    if (!n) return NULL;
    if (strlen(value) != event->data.scalar.length)
        diag_error(b->diag, n->at, "a NUL character inside a value");
    n->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (!(n->value = arena_string(b->arena, value))) return out_of_memory(b);
    remember(b, event->data.scalar.anchor, n);
    return n;
}

/* Hangs an item on n, after last; sums what it weighs. */
static struct item *append(struct build *b, struct node *n, struct item *last, struct node *key,
                           struct node *value)
{
    struct item *item = arena_new(b->arena, 1, sizeof *item);

    if (!item) return out_of_memory(b);
    item->key = key;
    item->value = value;
    if (last)
        last->next = item;
    else
        n->items = item;
    n->count++;
    n->weight += value->weight + (key ? 1 : 0);
    if (value->height + 1 > n->height) n->height = value->height + 1;
    if (n->weight > NODE_MAX) {
        diag_error(b->diag, n->at, "more than %d values, aliases expanded", NODE_MAX);
        return stop(b);
    }
    return item;
}

/* A key that may be used: a scalar that did not stand in this map before. */
static int accept_key(struct build *b, const struct node *map, const struct node *key)
{
    if (!key) return 0;
    if (key->kind != NODE_SCALAR) {
        diag_error(b->diag, key->at, "a key must be a word, not a list or a mapping");
        return 0;
    }
    if (!strcmp(key->value, "<<")) {
        diag_error(b->diag, key->at, "merge keys (<<) are not supported: write the keys out");
        return 0;
    }
    for (const struct item *i = map->items; i; i = i->next) {
        if (strcmp(i->key->value, key->value)) continue;
        diag_error(b->diag, key->at, "duplicate key \"%s\"", diag_show(key->value).s);
        diag_note(b->diag, i->key->at, "it stands here already");
        return 0;
    }
    if (map->count < NODE_KEYS) return 1;
    diag_error(b->diag, key->at, "more than %d keys in one mapping", NODE_KEYS);
    b->stopped = 1;
    return 0;
}

/* Items up to the event that ends the list or map. */
static struct node *build_items(struct build *b, struct node *n, int depth)
{
    struct item *last = NULL, *item;
    yaml_event_t event;

    n->open = 1;
    while (next_event(b, &event)) {
        int end = event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
        struct node *key = NULL, *value = NULL;
        int wanted = 1;

        if (!end && n->kind == NODE_MAP) {
            wanted = accept_key(b, n, key = build_node(b, &event, depth + 1));
            yaml_event_delete(&event);
            if (!next_event(b, &event)) break;
        }
        if (!end) value = build_node(b, &event, depth + 1);
        yaml_event_delete(&event);
        if (end) break;
        if (wanted && value && !b->stopped && (item = append(b, n, last, key, value))) last = item;
    }
    n->open = 0;
    return b->stopped ? NULL : n;
}

static struct node *build_node(struct build *b, const yaml_event_t *event, int depth)
{
    const int list = event->type == YAML_SEQUENCE_START_EVENT;
    struct node *n;

    if (event->type == YAML_ALIAS_EVENT) return follow_alias(b, event, depth);
    if (event->type == YAML_SCALAR_EVENT) return build_scalar(b, event);
    if (depth > NODE_DEPTH) {
        diag_error(b->diag, mark_of(b, event->start_mark), "nested deeper than %d levels",
                   NODE_DEPTH);
        return stop(b);
    }
    n = list ? new_node(b, NODE_LIST, event, event->data.sequence_start.tag)
             : new_node(b, NODE_MAP, event, event->data.mapping_start.tag);
    if (!n) return NULL;
    n->flow = list ? event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE
                   : event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
    remember(b, list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor, n);
    return b->stopped ? NULL : build_items(b, n, depth);
}

/* One event of the stream around the document; returns whether more are to come. */
static int build_outside(struct build *b, const yaml_event_t *event, struct node **root, int *seen)
{
    struct mark at = mark_of(b, event->start_mark);

    switch (event->type) {
    case YAML_STREAM_END_EVENT:
        if (!*seen) diag_error(b->diag, at, "nothing here: the text is empty");
        return 0;
    case YAML_DOCUMENT_START_EVENT:
        if (!(*seen)++) return 1;
        diag_error(b->diag, at, "a second document: one file is one spec");
        return 0;
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 1;
    default:
        *root = build_node(b, event, 1);
        return !b->stopped;
    }
}

static int characters(const char *s, int64_t bytes)
{
    int n = 0;

    for (int64_t i = 0; i < bytes; i++)
        n += ((unsigned char)s[i] & 0xC0) != 0x80;
    return n;
}

int node_parse(struct node **out, struct arena *a, const struct source *source, int64_t offset,
               struct diag *d)
{
    struct build b = {.arena = a, .source = source, .offset = offset, .diag = d};
    const char *text = source->text + offset;
    struct node *root = NULL;
    int more = 1, seen = 0;
    yaml_event_t event;

    b.column = characters(source->text, offset);
    if (!yaml_parser_initialize(&b.parser)) return fail(ERR_NOMEM, "out of memory: YAML parser");
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, strlen(text));
    while (more && next_event(&b, &event)) {
        more = build_outside(&b, &event, &root, &seen);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&b.parser);
    if (b.nomem) return fail(ERR_NOMEM, "out of memory: %s", source->name);
    *out = b.stopped ? NULL : root;
    return 0;
}

struct node *node_get(const struct node *map, const char *key)
{
    for (const struct item *i = map->items; i; i = i->next)
        if (!strcmp(i->key->value, key)) return i->value;
    return NULL;
}

int node_put(struct node *map, struct arena *a, struct node *key, struct node *value)
{
    struct item **end = &map->items;

    while (*end && strcmp((*end)->key->value, key->value))
        end = &(*end)->next;
    if (!*end) {
        if (!(*end = arena_new(a, 1, sizeof **end))) return ERR_NOMEM;
        map->count++;
    }
    (*end)->key = key;
    (*end)->value = value;
    return 0;
}
