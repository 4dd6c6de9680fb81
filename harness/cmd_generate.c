/* generate: the synthetic data set as files, for other programs or to try a format. */
#include <stdio.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/rowwriter.h"
#include "engine/synthetic.h"
#include "harness/datawork.h"

static const char help[] =
    "Usage: ivfbench generate --n N --d D -o FOLDER [OPTION...]\n"
    "\n"
    "Writes base, query and learn files of vectors that look like SIFT to an index: those that a\n"
    "spec's `dataset: {name: synthetic, ...}` has without any file. Prints the section that a "
    "spec\n"
    "would name them by.\n"
    "\n"
    "  --n N           base vectors\n"
    "  --d D           dimensions\n"
    "  -o FOLDER       where to; made if it is not there\n"
    "  --format WHAT   bvecs, u8bin (default), npy; fvecs, fbin: the same values as f32\n"
    "  --seed S        which vectors (default: 1)\n"
    "  --nq N          queries (default: 1000)\n"
    "  --nt N          training vectors (default: N, at most 50000)\n"
    "  --quiet         no bar\n"
    "\n"
    "Exit codes: 0 done, 2 command line, 5 a file cannot be written.\n"
    "\n"
    "Example: ivfbench generate --n 1000000 --d 128 --format u8bin -o made\n";

struct job {
    int64_t n, nq, nt, d, seed;
    const char *folder, *format;
};

static int write_part(struct datawork *w, const struct synthetic *s, enum part part, int64_t rows,
                      int d, const char *path)
{
    int64_t step = datawork_rows(d, rows);
    uint8_t *x = mem_new(step * d, 1);
    void *made = mem_new(step * d, sizeof(float));
    struct rowwriter *out = NULL;
    enum cell cell;
    int rc = ERR_NOMEM;

    if (!x || !made) goto out;
    w->label = path;
    if ((rc = rowwriter_cell(&cell, path, CELL_U8)) < 0) goto out;
    if ((rc = rowwriter_create(&out, path, cell, rows, d)) < 0) goto out;
    for (int64_t row = 0; row < rows; row += step) {
        if (step > rows - row) step = rows - row;
        synthetic_rows(s, part, row, step, x);
        if ((rc = cell_convert(cell, made, CELL_U8, x, step * d)) < 0) goto out;
        if ((rc = rowwriter_add(out, made, step)) < 0) goto out;
        if ((rc = datawork_tell(w, "generate", row + step, rows)) < 0) goto out;
    }
    rc = rowwriter_commit(out);
    out = NULL;
out:
    rowwriter_discard(out);
    mem_free(made);
    mem_free(x);
    return rc;
}

static int generate(struct datawork *w, const struct job *job)
{
    const struct {
        const char *name;
        enum part part;
        int64_t rows;
    } parts[] = {
        {"base",  PART_BASE,  job->n },
        {"query", PART_QUERY, job->nq},
        {"learn", PART_LEARN, job->nt}
    };
    struct synthetic *s = NULL;
    struct text path = {0};
    int rc;

    if ((rc = synthetic_create(&s, job->seed, (int)job->d)) < 0) goto out;
    w->writing = 1;
    if ((rc = file_mkdirs(job->folder)) < 0) goto out;
    for (int i = 0; i < 3; i++) {
        text_reset(&path);
        text_addf(&path, "%s/%s.%s", job->folder, parts[i].name, job->format);
        if ((rc = text_failed(&path)) < 0) goto out;
        rc = write_part(w, s, parts[i].part, parts[i].rows, (int)job->d, text_get(&path));
        if (rc < 0) goto out;
    }
    printf("dataset: {name: made, base: %s/base.%s, query: %s/query.%s, learn: %s/learn.%s}\n",
           job->folder, job->format, job->folder, job->format, job->folder, job->format);
out:
    w->label = "";
    text_clear(&path);
    synthetic_free(s);
    return rc;
}

static int check(struct job *job)
{
    const int64_t most = (int64_t)1 << 40;

    if (!job->folder || !*job->folder) return fail(ERR_INVALID, "generate wants -o FOLDER");
    if (job->n < 1 || job->n > most) return fail(ERR_INVALID, "generate wants --n from 1 to 2^40");
    if (job->d < 1 || job->d > D_MAX)
        return fail(ERR_INVALID, "generate wants --d from 1 to %d", D_MAX);
    if (!job->nt) job->nt = job->n < 50000 ? job->n : 50000;
    if (job->nq < 1 || job->nq > most || job->nt > most)
        return fail(ERR_INVALID, "--nq and --nt must be from 1 to 2^40");
    return 0;
}

static int run(int argc, char **argv)
{
    struct cli_list words = {0};
    struct job job = {.nq = 1000, .seed = 1};
    struct datawork w;
    int quiet = 0, rc;
    const struct cli_option options[] = {
        {"--n",    CLI_INT, &job.n},
        {"--d",  CLI_INT, &job.d},
        {"--nq",    CLI_INT, &job.nq},
        {"--nt",  CLI_INT, &job.nt},
        {"--seed",   CLI_INT, &job.seed},
        {"--format", CLI_STRING, &job.format},
        {"-o",   CLI_STRING, &job.folder},
        {"--quiet", CLI_FLAG, &quiet},
        {0}
    };

    if ((rc = cli_parse(options, argc, argv, &words)) == 0 && words.count > 0)
        rc = fail(ERR_INVALID, "generate takes no %s; -o says where the files go", words.v[0]);
    if (rc == 0) rc = check(&job);
    if (!job.format) job.format = "u8bin";
    datawork_begin(&w, quiet);
    if (rc == 0) rc = generate(&w, &job);
    cli_list_clear(&words);
    return (int)datawork_end(&w, rc);
}

const struct verb verb_generate = {
    .name = "generate", .summary = "synthetic vectors as files", .help = help, .run = run};
