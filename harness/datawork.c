#include "harness/datawork.h"

#include "engine/base/fail.h"
#include "harness/device.h"

void datawork_begin(struct datawork *w, int quiet)
{
    *w = (struct datawork){.label = ""};
    progress_begin(&w->progress, 1, quiet);
    cli_catch_signals();
}

int datawork_backend(struct datawork *w, struct backend **out, const char *wanted, int threads)
{
    int rc = device_open(out, wanted, device_choose(wanted), threads);

    w->no_backend = rc < 0;
    return rc;
}

int64_t datawork_rows(int64_t row_bytes, int64_t rows)
{
    int64_t most = DATAWORK_BLOCK_BYTES / row_bytes;

    if (most < 1) most = 1;
    return rows < most ? rows : most;
}

int datawork_tell(struct datawork *w, const char *stage, int64_t done, int64_t total)
{
    progress_stage(&w->progress, w->label, stage, done, total);
    return interrupted() ? fail(ERR_INVALID, "interrupted: %s was not written", w->label) : 0;
}

enum exit_code datawork_end(struct datawork *w, int rc)
{
    enum exit_code code = cli_code_of(rc);

    progress_clear(&w->progress);
    if (rc >= 0) return EXIT_DONE;
    if (rc == ERR_DEVICE || (w->no_backend && rc != ERR_NOMEM) || (rc == ERR_IO && w->writing))
        code = EXIT_ENVIRONMENT;
    if (interrupted()) code = (enum exit_code)(128 + interrupted());
    return cli_error(code);
}
