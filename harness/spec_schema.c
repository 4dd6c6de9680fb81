/* The table of keys in two other languages: JSON Schema for editors, plain text for people. */
#include <string.h>

#include "harness/spec_keys.h"

static const char FACTORY_PATTERN[] =
    "^((OPQ[1-9][0-9]*(_[1-9][0-9]*)?|PCAR[1-9][0-9]*),)?IVF[1-9][0-9]*,(Flat|PQ[1-9][0-9]*)$";
static const char SIZE_PATTERN[] = "^[0-9]+([.][0-9]+)?[KMGT]iB$";
static const char NAME_PATTERN[] = "^[A-Za-z0-9._-]+$";

/* ---- one value ---- */

static void add_words(struct text *t, const struct spec_key *key)
{
    const char *w = key->words + (*key->words == '*');

    text_add(t, "\"enum\": [");
    while (*w) {
        size_t n = strcspn(w, "|");

        text_add(t, "\"");
        text_add_bytes(t, w, (int64_t)n);
        w += n + (w[n] == '|');
        text_add(t, *w ? "\", " : "\"");
    }
    text_add(t, "]");
}

static void add_pattern(struct text *t, const char *pattern)
{
    text_add(t, "\"type\": \"string\", \"pattern\": ");
    text_add_json(t, pattern);
}

/* The members of a schema for one value of the key, without braces. */
static void add_plain(struct text *t, const struct spec_key *key)
{
    switch (key->type) {
    case KEY_INT:
        text_addf(t, "\"type\": \"integer\", \"minimum\": %lld, \"maximum\": %lld",
                  (long long)key->min, (long long)key->max);
        break;
    case KEY_BOOL:
        text_add(t, "\"type\": \"boolean\"");
        break;
    case KEY_WORD:
        add_words(t, key);
        break;
    case KEY_SIZE:
        text_addf(t, "\"anyOf\": [{\"type\": \"integer\", \"minimum\": %lld}, {",
                  (long long)key->min);
        add_pattern(t, SIZE_PATTERN);
        text_add(t, "}]");
        break;
    case KEY_NAME:
        add_pattern(t, NAME_PATTERN);
        break;
    case KEY_FACTORY:
        add_pattern(t, FACTORY_PATTERN);
        break;
    case KEY_TEXT:
    case KEY_PATH:
    case KEY_EXCLUDE:
        text_add(t, "\"type\": \"string\"");
    }
}

/* The same, with `auto` or `none` where the key allows it. */
static void add_value(struct text *t, const struct spec_key *key)
{
    const char *word = key->flags & KEY_NONE ? "none" : "auto";

    if (key->type == KEY_WORD || !(key->flags & (KEY_AUTO | KEY_NONE))) {
        add_plain(t, key);
        return;
    }
    text_add(t, "\"anyOf\": [{");
    add_plain(t, key);
    text_addf(t, "}, {\"const\": \"%s\"}]", word);
}

static void add_range(struct text *t)
{
    text_add(t, "{\"type\": \"object\", \"additionalProperties\": false, "
                "\"required\": [\"from\", \"to\"], \"properties\": {"
                "\"from\": {\"type\": \"integer\"}, \"to\": {\"type\": \"integer\"}, "
                "\"mul\": {\"type\": \"integer\", \"minimum\": 2}, "
                "\"add\": {\"type\": \"integer\", \"minimum\": 1}}, "
                "\"oneOf\": [{\"required\": [\"mul\"]}, {\"required\": [\"add\"]}]}");
}

/* A value, a list of values or, of numbers on an axis, a range. */
static void add_values(struct text *t, const struct spec_key *key)
{
    text_add(t, "\"anyOf\": [{");
    add_value(t, key);
    text_add(t, "}, {\"type\": \"array\", \"minItems\": 1, \"uniqueItems\": true, \"items\": {");
    add_value(t, key);
    text_add(t, "}}");
    if (key->type == KEY_INT && key->axis != AXIS_NONE) {
        text_add(t, ", ");
        add_range(t);
    }
    text_add(t, "]");
}

static void add_exclude(struct text *t)
{
    const char *comma = "";

    text_add(t, "\"type\": \"array\", \"items\": {\"type\": \"object\", \"minProperties\": 1, "
                "\"additionalProperties\": false, \"properties\": {");
    for (int axis = 0; axis < AXES; axis++) {
        static const struct spec_key pattern = {.type = KEY_TEXT, .axis = AXIS_INDEX};
        const struct spec_key *key = spec_key_of((enum spec_axis)axis);

        text_addf(t, "%s\"%s\": {", comma, spec_key_leaf(key));
        add_values(t, axis == AXIS_INDEX ? &pattern : key);
        text_add(t, "}");
        comma = ", ";
    }
    text_add(t, "}}");
}

/* ---- a key, a section, the whole ---- */

/* A default is YAML; JSON wants its words in quotes. */
static void add_default(struct text *t, const char *initial)
{
    int json =
        strchr("0123456789-[{", *initial) || !strcmp(initial, "true") || !strcmp(initial, "false");

    text_add(t, ", \"default\": ");
    if (json)
        text_add(t, initial);
    else
        text_add_json(t, initial);
}

static void add_key(struct text *t, const struct spec_key *key, const char *indent)
{
    text_addf(t, "%s\"%s\": {", indent, spec_key_leaf(key));
    if (key->type == KEY_EXCLUDE)
        add_exclude(t);
    else if (spec_key_is_list(key))
        add_values(t, key);
    else
        add_value(t, key);
    text_add(t, ",\n");
    text_addf(t, "%s  \"description\": ", indent);
    text_add_json(t, key->help);
    if (key->initial) add_default(t, key->initial);
    text_add(t, "}");
}

static int same_section(const struct spec_key *a, const struct spec_key *b)
{
    size_t n = strcspn(a->name, ".");

    return b && a->name[n] && !strncmp(a->name, b->name, n + 1);
}

/* The rows of the section that row i begins; returns the row after them. */
static int add_section(struct text *t, int i)
{
    const struct spec_key *first = spec_key(i), *key;
    const char *comma = "";

    text_addf(t, "    \"%.*s\": {\"type\": \"object\", \"additionalProperties\": false,",
              (int)strcspn(first->name, "."), first->name);
    for (int j = i; same_section(first, key = spec_key(j)); j++)
        if (key->flags & KEY_REQUIRED) text_addf(t, " \"required\": [\"%s\"],", spec_key_leaf(key));
    text_add(t, " \"properties\": {\n");
    for (; same_section(first, key = spec_key(i)); i++) {
        text_add(t, comma);
        add_key(t, key, "      ");
        comma = ",\n";
    }
    text_add(t, "\n    }}");
    return i;
}

void spec_schema(struct text *out)
{
    const struct spec_key *key;
    const char *comma = "";

    text_add(out, "{\n"
                  "  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n"
                  "  \"title\": \"ivfbench spec\",\n"
                  "  \"type\": \"object\",\n"
                  "  \"additionalProperties\": false,\n"
                  "  \"required\": [\"version\", \"dataset\", \"index\"],\n"
                  "  \"properties\": {\n");
    for (int i = 0; (key = spec_key(i));) {
        text_add(out, comma);
        comma = ",\n";
        if (strchr(key->name, '.')) {
            i = add_section(out, i);
        } else {
            add_key(out, key, "    ");
            i++;
        }
    }
    text_add(out, "\n  }\n}\n");
}

static void add_type(struct text *t, const struct spec_key *key)
{
    static const char *const names[] = {
        [KEY_INT] = "whole number", [KEY_BOOL] = "true | false", [KEY_WORD] = "",
        [KEY_SIZE] = "size",        [KEY_TEXT] = "text",         [KEY_NAME] = "name",
        [KEY_PATH] = "path",        [KEY_FACTORY] = "key",       [KEY_EXCLUDE] = "list",
    };

    if (key->type == KEY_WORD)
        text_add(t, key->words + (*key->words == '*'));
    else
        text_add(t, names[key->type]);
    if (key->type == KEY_INT) text_addf(t, " %lld..%lld", (long long)key->min, (long long)key->max);
    if (key->type != KEY_WORD && key->flags & KEY_AUTO) text_add(t, " | auto");
    if (key->flags & KEY_NONE) text_add(t, " | none");
    if (key->axis != AXIS_NONE) text_add(t, "; axis");
    if (key->flags & KEY_LIST) text_add(t, "; list");
    if (key->initial) text_addf(t, "; default %s", key->initial);
    if (key->flags & KEY_REQUIRED) text_add(t, "; required");
}

int spec_help(struct text *out, const char *name)
{
    size_t len = name ? strlen(name) : 0;
    const struct spec_key *key;
    int count = 0;

    for (int i = 0; (key = spec_key(i)); i++) {
        if (name && (strncmp(key->name, name, len) || (key->name[len] && key->name[len] != '.')))
            continue;
        count++;
        text_addf(out, "%-26s ", key->name);
        add_type(out, key);
        text_addf(out, "\n    %s\n", key->help);
    }
    return count;
}
