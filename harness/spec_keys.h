/* The table of keys: what spec.c, spec_value.c and spec_schema.c know about each. */
#ifndef IVF_SPEC_KEYS_H
#define IVF_SPEC_KEYS_H

#include "harness/spec.h"

#ifdef __cplusplus
extern "C" {
#endif

enum spec_type {
    KEY_INT,     /* a whole number, int64_t */
    KEY_BOOL,    /* true or false, int */
    KEY_WORD,    /* one of words, int: its place among them; see words */
    KEY_SIZE,    /* bytes: 1000, 512MiB, 1.5GiB; int64_t */
    KEY_TEXT,    /* char * */
    KEY_NAME,    /* letters, digits and . _ -; char * */
    KEY_PATH,    /* ${VAR} expanded, relative to the spec's folder; char * */
    KEY_FACTORY, /* a factory key; char * */
    KEY_EXCLUDE  /* struct spec_exclude[] */
};

enum {
    KEY_LIST = 1,     /* a plain list; struct spec_ints */
    KEY_AUTO = 2,     /* `auto` is allowed: SPEC_AUTO */
    KEY_NONE = 4,     /* `none` is allowed: SPEC_AUTO */
    KEY_REQUIRED = 8, /* must stand in every spec */
    KEY_LATER = 16    /* other than by its default it comes with a later version */
};

struct spec_key {
    const char *name; /* with its sections: "search.k" */
    enum spec_type type;
    unsigned flags;
    enum spec_axis axis; /* AXIS_NONE, or which: then a list means one trial each */
    size_t at;           /* of its member in struct spec */
    int64_t min, max;    /* of a number; max: bytes of a text, 0: any */
    const char *initial; /* the default, as it would stand in a spec; NULL: none */
    const char
        *words; /* of KEY_WORD, counted from 0: "*auto|cuda|cpu"; from SPEC_AUTO: "auto|f32" */
    const char *help; /* for people, and the schema's description */
};

/* The ith row, NULL past the last. Rows of a section stand together. */
const struct spec_key *spec_key(int i);
int spec_key_count(void);
int spec_key_row(const struct spec_key *key);

const struct spec_key *spec_key_find(const char *name); /* by whole name; NULL: none */
const struct spec_key *spec_key_axis(const char *name); /* "nprobe" or "search.nprobe" */
const struct spec_key *spec_key_of(enum spec_axis axis);

/* The last part of a key's name: "k" of "search.k". */
const char *spec_key_leaf(const struct spec_key *key);

/* Whether a list may be its value. */
int spec_key_is_list(const struct spec_key *key);

/* Whether some key begins with "name.": then name is a section. */
int spec_key_section(const char *name);

/*
 * What an unknown key of a section ("" or "search") was probably meant to be, as a hint to end
 * the message with: "; did you mean \"nprobe\"?", or where nothing is near who lists them.
 */
struct shown spec_key_hint(const char *section, const char *name);

/* The value of a word (see KEY_WORD); INT_MIN where it is none of the words. */
int spec_key_word(const struct spec_key *key, const char *word);

/* The words of a key in a form to read: "auto, cuda or cpu". */
struct shown spec_key_words(const struct spec_key *key);

#ifdef __cplusplus
}
#endif
#endif
