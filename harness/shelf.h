/* What the verbs that read the store have in common: its options, and opening it. */
#ifndef IVF_SHELF_H
#define IVF_SHELF_H

#include "harness/cli.h"
#include "results/export.h"

#ifdef __cplusplus
extern "C" {
#endif

struct shelf {
    struct store *db;
    struct export_filter filter;
    const char *db_option;
    int64_t run; /* --run: 0 for all */
};

/* --db, --spec, --dataset, --index, --run: write into s. */
#define SHELF_OPTIONS(s)                                                                           \
    {"--db", CLI_STRING, &(s).db_option}, {"--spec", CLI_STRING, &(s).filter.spec},                \
        {"--dataset", CLI_STRING, &(s).filter.dataset},                                            \
        {"--index", CLI_STRING, &(s).filter.index},                                                \
    {                                                                                              \
        "--run", CLI_INT, &(s).run                                                                 \
    }

/* Opens the store for reading. Returns EXIT_DONE, or
   another exit_code with the error said. s->db is closed by the caller in any case. */
int shelf_open(struct shelf *s);

/* ERR_INVALID where writing to path (NULL: nowhere) would be writing over the database. */
int shelf_spares(const struct shelf *s, const char *path);

/* The exit code for a failure of the store, which it says. */
int shelf_error(int rc);

/* "no trial matches ..." as an error; EXIT_NOTHING. */
int shelf_nothing(const struct shelf *s);

#ifdef __cplusplus
}
#endif
#endif
