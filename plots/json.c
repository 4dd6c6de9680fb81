#include "plots/json.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/fail.h"

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, " \t\r\n");
}

static void add_utf8(struct text *out, unsigned code)
{
    char bytes[] = {(char)(0xE0 | code >> 12), (char)(0x80 | (code >> 6 & 0x3F)),
                    (char)(0x80 | (code & 0x3F))};
    char two[] = {(char)(0xC0 | code >> 6), bytes[2]}, one = (char)code;

    if (code < 0x80)
        text_add_bytes(out, &one, 1);
    else if (code < 0x800)
        text_add_bytes(out, two, 2);
    else
        text_add_bytes(out, bytes, 3);
}

/* s is at the opening quote; returns what follows the closing one, NULL if there is none. */
static const char *take_string(const char *s, struct text *out)
{
    static const char names[] = "bfnrt", meant[] = "\b\f\n\r\t";

    for (s++; *s && *s != '"'; s++) {
        const char *name;
        char hex[5] = "";

        if (*s != '\\') {
            text_add_bytes(out, s, 1);
            continue;
        }
        if (!*++s) return NULL;
        if (*s == 'u') {
            if (strlen(s) < 5) return NULL;
            memcpy(hex, s + 1, 4);
            add_utf8(out, (unsigned)strtoul(hex, NULL, 16));
            s += 4;
        } else {
            name = strchr(names, *s);
            text_add_bytes(out, name ? &meant[name - names] : s, 1);
        }
    }
    return *s ? s + 1 : NULL;
}

/* A value that is not a string: up to the comma or bracket that ends it, nested ones and all. */
static const char *take_raw(const char *s, struct text *out)
{
    int depth = 0, quoted = 0;
    const char *from = s;

    for (; *s; s++) {
        if (*s == '"' && (s == from || s[-1] != '\\')) quoted = !quoted;
        if (quoted) continue;
        if (depth == 0 && strchr(",]}", *s)) break;
        depth += strchr("[{", *s) ? 1 : strchr("]}", *s) ? -1 : 0;
    }
    text_add_bytes(out, from, s - from);
    return *s ? s : NULL;
}

static const char *take_value(const char *s, struct text *out)
{
    s = skip_blanks(s);
    s = *s == '"' ? take_string(s, out) : take_raw(s, out);
    return s ? skip_blanks(s) : NULL;
}

int json_each(const char *json, int (*see)(void *arg, const char *key, const char *value),
              void *arg)
{
    const char *s = skip_blanks(json);
    struct text key = {0}, value = {0};
    int object = *s == '{', rc = 0;

    if (*s != '{' && *s != '[') return fail(ERR_FORMAT, "json: not an object nor an array");
    s = skip_blanks(s + 1);
    while (rc >= 0 && s && *s && *s != '}' && *s != ']') {
        text_reset(&key);
        text_reset(&value);
        if (object) s = take_value(s, &key);
        if (object && s) s = *s == ':' ? s + 1 : NULL;
        if (s) s = take_value(s, &value);
        if (!s) break;
        if ((rc = text_failed(&key)) == 0) rc = text_failed(&value);
        if (rc == 0) rc = see(arg, text_get(&key), text_get(&value));
        if (*s == ',') s = skip_blanks(s + 1);
    }
    if (rc >= 0) rc = s && *s ? 0 : fail(ERR_FORMAT, "json: cut off");
    text_clear(&key);
    text_clear(&value);
    return rc;
}
