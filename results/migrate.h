/* From whatever version a database file has to the newest one. */
#ifndef IVF_MIGRATE_H
#define IVF_MIGRATE_H

#include "results/sql.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { STORE_APPLICATION_ID = 0x69766662 }; /* "ivfb", in the file's header */

/* How many "-- migration <number>" sections script has: the newest version. */
int migrate_newest(const char *script);

/*
 * The version of the file behind c: 0 for an empty one. ERR_FORMAT: not a database, or somebody
 * else's; ERR_UNSUPPORTED: newer than script knows.
 */
int migrate_version(struct sql *c, const char *script);

/*
 * Runs the sections that c's file lacks, each in a transaction of its own. A file that holds
 * something is copied to <path>.v<version>.bak before. Safe against another process doing the
 * same. Errors as migrate_version, or ERR_IO.
 */
int migrate(struct sql *c, const char *script);

#ifdef __cplusplus
}
#endif
#endif
