#include "plots/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"

/*
 * Takes one field at *at, unquoting it in place; *at goes past it and its comma or line end.
 * Returns what ended it: ',' or '\n'.
 */
static int take_field(char **at, const char **field)
{
    char *from = *at, *to = *at;
    int quoted = *from == '"', ended;

    *field = to;
    if (quoted) from++;
    for (; *from; from++) {
        if (quoted && *from == '"') {
            if (from[1] != '"') {
                quoted = 0;
                continue;
            }
            from++;
        } else if (!quoted && (*from == ',' || *from == '\n')) {
            break;
        }
        *to++ = *from;
    }
    ended = *from == ',' ? ',' : '\n';
    *at = *from ? from + 1 : from;
    if (ended == '\n' && to > *field && to[-1] == '\r') to--;
    *to = '\0';
    return ended;
}

/* More than enough: a field follows each comma and each line end. */
static int count_fields(const char *s)
{
    int n = 1;

    for (; *s; s++)
        n += *s == ',' || *s == '\n';
    return n;
}

int csv_parse(struct csv *out, const char *text)
{
    struct csv csv = {0};
    const char **fields = NULL;
    char *at;
    int n = 0, line = 0, inline_fields = 0, rc = ERR_NOMEM;

    if (!(csv.memory = mem_string(text))) goto out;
    if (!(fields = mem_new(count_fields(text), sizeof *fields))) goto out;
    for (at = csv.memory; *at || inline_fields > 0;) {
        inline_fields++;
        if (take_field(&at, &fields[n++]) == ',') continue;
        if (line++ == 0) csv.columns = inline_fields;
        if (inline_fields != csv.columns) {
            rc = fail(ERR_FORMAT, "csv: line %d has %d fields, the first one %d", line,
                      inline_fields, csv.columns);
            goto out;
        }
        inline_fields = 0;
    }
    csv.rows = line > 0 ? line - 1 : 0;
    csv.names = fields;
    csv.cells = fields + csv.columns;
    *out = csv;
    csv = (struct csv){0};
    fields = NULL;
    rc = 0;
out:
    mem_free(fields);
    mem_free(csv.memory);
    return rc;
}

void csv_clear(struct csv *csv)
{
    mem_free(csv->names); /* the cells with it */
    mem_free(csv->memory);
    *csv = (struct csv){0};
}

const char *csv_get(const struct csv *csv, int row, const char *column)
{
    for (int i = 0; i < csv->columns; i++)
        if (!strcmp(csv->names[i], column)) return csv->cells[(size_t)row * csv->columns + i];
    return "";
}

double csv_number(const struct csv *csv, int row, const char *column)
{
    const char *s = csv_get(csv, row, column);
    char *end;
    double x = strtod(s, &end);

    return end == s || *end ? NAN : x;
}
