/*
 * What the verbs over files of vectors share (gt, generate, convert): a bar on a terminal, an end
 * when the user wants one, an exit code for what failed.
 */
#ifndef IVF_DATAWORK_H
#define IVF_DATAWORK_H

#include "engine/backend.h"
#include "harness/cli.h"
#include "harness/progress.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { DATAWORK_BLOCK_BYTES = 8 << 20 }; /* of a file, read or written at once */

struct datawork {
    struct progress progress;
    const char *label; /* the file being made */
    int writing;       /* the inputs are open: from here on a refusal of the system is its own */
    int no_backend;    /* what failed is opening one */
};

/* Catches SIGINT, SIGTERM and SIGHUP from here on. */
void datawork_begin(struct datawork *w, int quiet);

/* Opens the backend that --backend asks for, one of device_word's; threads: 0 for all. */
int datawork_backend(struct datawork *w, struct backend **out, const char *wanted, int threads);

/* Rows of row_bytes to take at once, of so many. */
int64_t datawork_rows(int64_t row_bytes, int64_t rows);

/* done of total rows: 0, or ERR_INVALID after a signal. */
int datawork_tell(struct datawork *w, const char *stage, int64_t done, int64_t total);

/* The exit code for rc; what failed is said on stderr. */
enum exit_code datawork_end(struct datawork *w, int rc);

#ifdef __cplusplus
}
#endif
#endif
