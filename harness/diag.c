#include "harness/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/mem.h"

enum {
    WINDOW = 120,
    BEFORE = 80
}; /* characters of a source line shown; of them before the caret */

struct diag_entry {
    struct mark at;
    struct text text;
};

/* ---- characters and lines, as libyaml counts them ---- */

/* Bytes of the line break at s, 0 where there is none. */
static int break_bytes(const char *s)
{
    if (*s == '\r') return s[1] == '\n' ? 2 : 1;
    if (*s == '\n') return 1;
    if (!strncmp(s, "\xC2\x85", 2)) return 2;
    return !strncmp(s, "\xE2\x80\xA8", 3) || !strncmp(s, "\xE2\x80\xA9", 3) ? 3 : 0;
}

/* Bytes of the UTF-8 character at s; 1 for a byte that begins none. */
static int char_bytes(const char *s)
{
    unsigned char c = (unsigned char)*s;
    int n = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 1;

    if (c > 0xF4) return 1;
    for (int i = 1; i < n; i++)
        if (((unsigned char)s[i] & 0xC0) != 0x80) return 1;
    return n;
}

/* Whether the character of n bytes at s is one to print as it is. */
static int printable(const char *s, int n)
{
    unsigned char c = (unsigned char)*s;

    if (n == 1) return c == '\t' || (c >= 0x20 && c < 0x7F);
    return n > 2 || c != 0xC2 || (unsigned char)s[1] >= 0xA0; /* C1 controls are C2 80 ... 9F */
}

const char *diag_line(struct mark at)
{
    const char *s = at.source->text;

    for (int line = at.line; line > 0 && *s;) {
        int n = break_bytes(s);

        line -= n > 0;
        s += n ? n : 1;
    }
    return s;
}

struct mark diag_mark(const struct source *s, int64_t offset)
{
    struct mark at = {s, 0, 0};
    const char *c = s->text;

    while (*c && c < s->text + offset) {
        int n = break_bytes(c);

        at.line += n > 0;
        at.column = n ? 0 : at.column + 1;
        c += n ? n : char_bytes(c);
    }
    return at;
}

struct shown diag_show(const char *value)
{
    struct shown out = {{0}};
    size_t at = 0, room = sizeof out.s - 4;

    for (const char *c = value; *c; c += char_bytes(c)) {
        int n = char_bytes(c);

        if (at + (size_t)n > room) {
            memcpy(out.s + at, "...", 3);
            break;
        }
        if (printable(c, n) && *c != '\t') {
            memcpy(out.s + at, c, (size_t)n);
            at += (size_t)n;
        } else {
            out.s[at++] = '?';
        }
    }
    return out;
}

/* ---- rendering ---- */

/* The source line around at, and under it a caret; tabs stay tabs in both. */
static void add_excerpt(struct text *t, struct mark at)
{
    const char *s = diag_line(at);
    int from = at.column > BEFORE ? at.column - BEFORE : 0;
    struct text caret = {0};
    int column = 0;

    if (at.source->unnumbered)
        text_add(t, "      | ");
    else
        text_addf(t, "%5d | ", at.line + 1);
    text_add(&caret, "      | ");
    if (from) {
        text_add(t, "...");
        text_add(&caret, "   ");
    }
    for (; *s && !break_bytes(s) && column < from + WINDOW; column++) {
        int n = char_bytes(s);

        if (column >= from) text_add_bytes(t, printable(s, n) ? s : "?", printable(s, n) ? n : 1);
        if (column >= from && column < at.column) text_add(&caret, *s == '\t' ? "\t" : " ");
        s += n;
    }
    text_addf(t, "\n%s^\n", text_get(&caret));
    if (text_failed(&caret)) t->failed = ERR_NOMEM;
    text_clear(&caret);
}

static void add_message(struct text *t, struct mark at, const char *kind, const char *fmt,
                        va_list args)
{
    char words[512];

    vsnprintf(words, sizeof words, fmt, args);
    if (at.source && at.source->unnumbered)
        text_addf(t, "%s: ", at.source->name);
    else if (at.source)
        text_addf(t, "%s:%d:%d: ", at.source->name, at.line + 1, at.column + 1);
    text_addf(t, "%s: %s\n", kind, words);
    if (at.source) add_excerpt(t, at);
}

static int comes_before(struct mark a, struct mark b)
{
    int a_order = a.source ? a.source->order : -1, b_order = b.source ? b.source->order : -1;

    if (a_order != b_order) return a_order < b_order;
    return a.line != b.line ? a.line < b.line : a.column < b.column;
}

/* ---- collecting ---- */

void diag_error(struct diag *d, struct mark at, const char *fmt, ...)
{
    struct diag_entry *e;
    va_list args;
    int place;

    if (d->failed) return;
    if (!d->entries && !(d->entries = mem_new(DIAG_MAX, sizeof *d->entries))) {
        d->failed = ERR_NOMEM;
        return;
    }
    d->last = -1;
    if (d->count == DIAG_MAX) {
        d->more++;
        return;
    }
    for (place = d->count; place > 0 && comes_before(at, d->entries[place - 1].at); place--)
        d->entries[place] = d->entries[place - 1];
    e = &d->entries[place];
    *e = (struct diag_entry){.at = at};
    d->count++;
    d->last = place;
    va_start(args, fmt);
    add_message(&e->text, at, "error", fmt, args);
    va_end(args);
    d->failed = text_failed(&e->text);
}

void diag_note(struct diag *d, struct mark at, const char *fmt, ...)
{
    va_list args;

    if (d->failed || !d->count || d->last < 0) return;
    va_start(args, fmt);
    add_message(&d->entries[d->last].text, at, "note", fmt, args);
    va_end(args);
    d->failed = text_failed(&d->entries[d->last].text);
}

int diag_errors(const struct diag *d)
{
    return d->count + d->more;
}

void diag_clear(struct diag *d)
{
    for (int i = 0; i < d->count; i++)
        text_clear(&d->entries[i].text);
    mem_free(d->entries);
    *d = (struct diag){0};
}

int diag_end(struct diag *d, struct text *out, const char *what)
{
    int errors = diag_errors(d), rc = d->failed;

    for (int i = 0; i < d->count; i++)
        text_add(out, text_get(&d->entries[i].text));
    if (d->more) text_addf(out, "%s: and %d more errors\n", what, d->more);
    if (rc == 0) rc = text_failed(out);
    diag_clear(d);
    if (rc < 0) return fail(ERR_NOMEM, "%s: out of memory", what);
    if (errors) return fail(ERR_INVALID, "%s: %d error%s", what, errors, errors == 1 ? "" : "s");
    return 0;
}
