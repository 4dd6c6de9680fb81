#include "engine/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"

/* Room for extra bytes and a NUL. */
static int grow(struct text *t, int64_t extra)
{
    int64_t cap = t->cap ? t->cap : 256;
    char *s;

    if (t->failed) return t->failed;
    while (cap < t->len + extra + 1)
        cap *= 2;
    if (cap == t->cap) return 0;
    if (!(s = mem_resize(t->s, t->len, cap, 1))) return t->failed = ERR_NOMEM;
    t->s = s;
    t->cap = cap;
    return 0;
}

void text_add_bytes(struct text *t, const void *bytes, int64_t n)
{
    if (grow(t, n) < 0) return;
    memcpy(t->s + t->len, bytes, (size_t)n);
    t->s[t->len += n] = '\0';
}

void text_add(struct text *t, const char *s)
{
    text_add_bytes(t, s, (int64_t)strlen(s));
}

void text_addf(struct text *t, const char *fmt, ...)
{
    va_list args, again;
    int n;

    va_start(args, fmt);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, args);
    if (n >= 0 && grow(t, n) == 0) {
        vsnprintf(t->s + t->len, (size_t)n + 1, fmt, again);
        t->len += n;
    }
    va_end(again);
    va_end(args);
}

/* Bytes of the UTF-8 character at s; 0 where it is none. Overlong forms and surrogates pass. */
static int utf8_bytes(const char *s)
{
    const unsigned char *u = (const unsigned char *)s;
    int n = *u < 0x80 ? 1 : *u >> 5 == 6 ? 2 : *u >> 4 == 14 ? 3 : *u >> 3 == 30 ? 4 : 0;

    for (int i = 1; i < n; i++)
        if (u[i] >> 6 != 2) return 0;
    return n;
}

void text_add_json(struct text *t, const char *s)
{
    if (!s) {
        text_add(t, "null");
        return;
    }
    text_add(t, "\"");
    for (int n; *s; s += n ? n : 1) {
        n = utf8_bytes(s);
        if (*s == '"' || *s == '\\')
            text_addf(t, "\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            text_addf(t, "\\u%04x", *s);
        else if (n)
            text_add_bytes(t, s, n);
        else
            text_add(t, "\\ufffd"); /* a path may be any bytes, JSON may not */
    }
    text_add(t, "\"");
}

void text_add_csv(struct text *t, const char *s)
{
    if (!s[strcspn(s, ",\"\r\n")]) {
        text_add(t, s);
        return;
    }
    text_add(t, "\"");
    for (; *s; s++)
        text_add_bytes(t, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
    text_add(t, "\"");
}

void text_add_html(struct text *t, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '&':
            text_add(t, "&amp;");
            break;
        case '<':
            text_add(t, "&lt;");
            break;
        case '>':
            text_add(t, "&gt;");
            break;
        case '"':
            text_add(t, "&quot;");
            break;
        case '\'':
            text_add(t, "&#39;");
            break;
        default:
            text_add_bytes(t, s, 1);
        }
    }
}

const char *text_get(const struct text *t)
{
    return t->s ? t->s : "";
}

int text_failed(const struct text *t)
{
    return t->failed;
}

void text_reset(struct text *t)
{
    t->len = 0;
    t->failed = 0;
    if (t->s) t->s[0] = '\0';
}

void text_clear(struct text *t)
{
    mem_free(t->s);
    *t = (struct text){0};
}
