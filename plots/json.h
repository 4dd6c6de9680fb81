/* Members of a JSON text of ours, one level deep: facts about a machine, the words of a command. */
#ifndef IVF_JSON_H
#define IVF_JSON_H

#include "engine/base/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Hands each member of an object, or element of an array (key ""), to see: a string without its
 * quotes and escapes, anything else as it is written. Stops at a negative return, and gives it.
 * ERR_FORMAT: neither an object nor an array, or cut off.
 */
int json_each(const char *json, int (*see)(void *arg, const char *key, const char *value),
              void *arg);

#ifdef __cplusplus
}
#endif
#endif
