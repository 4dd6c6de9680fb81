/* What the spec's three readers share: spec.c (the tree), spec_value.c (a value), spec_check.c
   (values against each other). For them alone. */
#ifndef IVF_SPEC_READ_H
#define IVF_SPEC_READ_H

#include "harness/node.h"
#include "harness/spec_keys.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A spec in the making. */
struct reading {
    struct spec *spec; /* its arena holds everything */
    struct diag diag;
    const char *folder;        /* where relative paths start */
    const struct node **given; /* [spec_key_count()] the value of each key, NULL: the default */
    int failed;                /* 0 or ERR_NOMEM, recorded */
};

/* Value of a key's row into its member; errors go to diag, where the value stood. */
void spec_read_value(struct reading *r, const struct spec_key *key, const struct node *n);

/* What no single value can tell; after all values were read without an error. */
void spec_check(struct reading *r);

/* arena_new in the spec's arena that also sets failed. */
void *spec_alloc(struct reading *r, int64_t n, size_t size);

#ifdef __cplusplus
}
#endif
#endif
