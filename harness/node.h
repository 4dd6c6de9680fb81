/*
 * A YAML text as a tree that remembers where each value stood. Scalars stay text: what they
 * mean is decided by the key they belong to, never by YAML. Refused here, whatever the keys:
 * duplicate keys, keys that are no words, tags, cyclic aliases, aliases that expand to more
 * than NODE_MAX values, nesting deeper than NODE_DEPTH, a second document.
 */
#ifndef IVF_NODE_H
#define IVF_NODE_H

#include "harness/arena.h"
#include "harness/diag.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { NODE_MAX = 100000, NODE_DEPTH = 64, NODE_KEYS = 1000, NODE_ANCHORS = 1000 };

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node;

/* An element of a list, or a key with its value. */
struct item {
    struct node *key; /* a scalar; NULL in a list */
    struct node *value;
    struct item *next;
};

struct node {
    enum node_kind kind;
    struct mark at;
    const char *value;  /* of a scalar */
    int quoted;         /* a scalar in quotes, or a block scalar */
    int flow;           /* a list in [ ] or a map in { } */
    struct item *items; /* of a list or a map, in the order of the text */
    int count;
    int64_t weight; /* values in it, aliases expanded */
    int height;     /* levels in it */
    int open;       /* still being read: an alias to it would be a cycle */
};

/*
 * The tree of source's text from byte offset on, in a; NULL (and an error in d) where there is
 * none to be had. Errors of content are recorded in d, and reading goes on where it can.
 * ERR_NOMEM is the only failure. Aliases share nodes, so a node may hang in several places.
 */
int node_parse(struct node **out, struct arena *a, const struct source *source, int64_t offset,
               struct diag *d);

/* The value of a key of a map; NULL where it has none. */
struct node *node_get(const struct node *map, const char *key);

/* Gives a key of a map a value, new or instead of the old one. ERR_NOMEM. */
int node_put(struct node *map, struct arena *a, struct node *key, struct node *value);

#ifdef __cplusplus
}
#endif
#endif
