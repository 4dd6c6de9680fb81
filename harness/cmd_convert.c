/* convert: a file of vectors or of true neighbours in another format. */
#include <string.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/rowwriter.h"
#include "harness/datawork.h"

static const char help[] =
    "Usage: ivfbench convert IN OUT [OPTION...]\n"
    "\n"
    "Writes the rows of IN to OUT; the ends of their names say the formats: .fvecs .bvecs .ivecs\n"
    ".fbin .f16bin .u8bin .i8bin .ibin .npy .hdf5 (train or neighbors). Numbers stay what they\n"
    "are: u8, i8 and f16 may become f32, nothing becomes less. OUT appears whole or not at all.\n"
    "\n"
    "  --limit N       only so many rows\n"
    "  --first N       from row N (default: 0)\n"
    "  --part WHAT     of an .hdf5 file: base (train; default), query (test), truth (neighbors)\n"
    "  --quiet         no bar\n"
    "\n"
    "Exit codes: 0 done, 1 IN is faulty, 2 command line or no such file, 5 OUT cannot be written.\n"
    "\n"
    "Example: ivfbench convert bigann_base.bvecs sift10m.u8bin --limit 10000000\n";

struct job {
    const char *in, *out, *part;
    int64_t first, limit; /* limit -1: to the end */
};

static int find_role(enum role *out, const char *part)
{
    static const char *const words[] = {"base", "query", "learn", "truth"}; /* by enum role */

    *out = ROLE_BASE;
    for (int i = 0; part && i < 4; i++) {
        if (strcmp(words[i], part) != 0) continue;
        *out = (enum role)i;
        return 0;
    }
    return part ? fail(ERR_INVALID, "--part %s: it can be base, query or truth", part) : 0;
}

/* A .bin file is a truth, or it would say what is in it. */
static int open_in(struct rowfile **out, const struct job *job)
{
    size_t n = strlen(job->in);
    enum role role;
    int rc = find_role(&role, job->part);

    if (rc < 0) return rc;
    if (!job->part && n > 4 && strcmp(job->in + n - 4, ".bin") == 0) role = ROLE_TRUTH;
    return rowfile_open(out, job->in, role);
}

static int take_range(const struct job *job, const struct rowfile *in, int64_t *rows)
{
    int64_t left = in->rows - job->first;

    if (left < 1)
        return fail(ERR_INVALID, "--first %lld: %s has rows 0 ... %lld", (long long)job->first,
                    job->in, (long long)in->rows - 1);
    if (job->limit > left)
        return fail(ERR_INVALID, "--limit %lld: from row %lld on, %s has %lld rows",
                    (long long)job->limit, (long long)job->first, job->in, (long long)left);
    if (job->limit == 0) return fail(ERR_INVALID, "--limit is from 1");
    *rows = job->limit > 0 ? job->limit : left;
    return 0;
}

static int copy_rows(struct datawork *w, const struct rowfile *in, int64_t first, int64_t rows,
                     struct rowwriter *out, enum cell cell)
{
    int64_t step = datawork_rows(in->stride, rows), count = step * in->d;
    void *raw = mem_new(count, cell_bytes(in->cell)), *made = mem_new(count, cell_bytes(cell));
    char *scratch = mem_new(rowfile_scratch(in, step), 1);
    int rc = raw && made && scratch ? 0 : ERR_NOMEM;

    for (int64_t row = 0; row < rows && rc == 0; row += step) {
        if (step > rows - row) step = rows - row;
        if ((rc = rowfile_read(in, first + row, step, raw, scratch)) < 0) break;
        if ((rc = cell_convert(cell, made, in->cell, raw, step * in->d)) < 0) break;
        if ((rc = rowwriter_add(out, made, step)) < 0) break;
        rc = datawork_tell(w, "convert", row + step, rows);
    }
    mem_free(scratch);
    mem_free(made);
    mem_free(raw);
    return rc;
}

static int convert(struct datawork *w, const struct job *job)
{
    struct rowfile *in = NULL;
    struct rowwriter *out = NULL;
    enum cell cell;
    int64_t rows = 0;
    int rc;

    if ((rc = open_in(&in, job)) < 0) goto out;
    if ((rc = take_range(job, in, &rows)) < 0) goto out;
    if (file_same(job->in, job->out)) {
        rc = fail(ERR_INVALID, "%s: IN and OUT are one file", job->out);
        goto out;
    }
    if ((rc = rowwriter_cell(&cell, job->out, in->cell)) < 0) goto out;
    w->writing = 1;
    if ((rc = rowwriter_create(&out, job->out, cell, rows, in->d)) < 0) goto out;
    if ((rc = copy_rows(w, in, job->first, rows, out, cell)) < 0) goto out;
    rc = rowwriter_commit(out);
    out = NULL;
out:
    rowwriter_discard(out);
    rowfile_close(in);
    return rc;
}

static int run(int argc, char **argv)
{
    struct cli_list words = {0};
    struct job job = {.limit = -1};
    struct datawork w;
    int quiet = 0, rc;
    const struct cli_option options[] = {
        {"--limit",   CLI_INT, &job.limit},
        {"--first", CLI_INT, &job.first},
        {"--part",   CLI_STRING, &job.part},
        {"--quiet", CLI_FLAG, &quiet},
        {0   }
    };

    if ((rc = cli_parse(options, argc, argv, &words)) == 0 && words.count != 2)
        rc =
            fail(ERR_INVALID, "convert wants two files, IN and OUT; `ivfbench convert --help` says "
                              "more");
    datawork_begin(&w, quiet);
    if (rc == 0) {
        job.in = words.v[0];
        w.label = job.out = words.v[1];
        rc = convert(&w, &job);
    }
    cli_list_clear(&words);
    return (int)datawork_end(&w, rc);
}

const struct verb verb_convert = {
    .name = "convert", .summary = "vectors or truth in another format", .help = help, .run = run};
