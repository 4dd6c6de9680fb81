/*
 * A growing string, for what is composed piece by piece: JSON, SQL, messages, gnuplot scripts.
 * A zeroed struct is a valid empty text. After a failed append it stays as it was and keeps
 * refusing: compose freely and look at text_failed() once, at the end.
 */
#ifndef IVF_TEXT_H
#define IVF_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/fail.h"

#ifdef __cplusplus
extern "C" {
#endif

struct text {
    char *s; /* NUL-terminated; NULL while empty (text_get gives "" then) */
    int64_t len, cap;
    int failed; /* 0 or ERR_NOMEM */
};

void text_add(struct text *t, const char *s);
void text_add_bytes(struct text *t, const void *bytes, int64_t n);
void text_addf(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_add_json(struct text *t, const char *s); /* quoted and escaped; NULL gives null */
void text_add_csv(struct text *t, const char *s);  /* quoted where RFC 4180 wants it */
void text_add_html(struct text *t, const char *s); /* & < > " ' escaped */
const char *text_get(const struct text *t);        /* valid until the next change */
int text_failed(const struct text *t);
void text_reset(struct text *t); /* to empty, memory kept */
void text_clear(struct text *t); /* to empty, memory freed */

#ifdef __cplusplus
}
#endif
#endif
