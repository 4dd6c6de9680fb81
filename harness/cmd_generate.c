/* generate: the synthetic data set as files, for other programs or to try a format. */
#include <stdio.h>
#include <string.h>

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/base/thread.h"
#include "engine/rowwriter.h"
#include "engine/synthetic.h"
#include "harness/datawork.h"
#include "harness/device.h"
#include "harness/maker.h"

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
    "  --backend WHAT  who makes them: cuda, cpu or auto (default); the bytes are the same\n"
    "  --quiet         no bar\n"
    "\n"
    "Exit codes: 0 done, 2 command line, 5 no device, or a file cannot be written.\n"
    "\n"
    "Example: ivfbench generate --n 1000000 --d 128 --format u8bin -o made\n";

struct job {
    int64_t n, nq, nt, d, seed;
    const char *folder, *format, *backend;
};

/* A part of the set on its way into a file. */
struct making {
    const struct synthetic *s;
    struct maker *maker;
    enum part part;
    int64_t step, rows; /* of a block; of the part */
    int d;
    int64_t first; /* of the block being made */
    uint8_t *next; /* where it goes: [step][d] */
};

static int64_t block_rows(const struct making *m, int64_t first)
{
    return m->rows - first < m->step ? m->rows - first : m->step;
}

static int make_block(void *arg)
{
    struct making *m = arg;

    return maker_rows(m->maker, m->s, m->part, m->first, block_rows(m, m->first), m->next);
}

/* rc, or what the thread failed with; the text of the one that came first stays. */
static int join_after(struct thread *thread, int rc)
{
    char why[1024];
    int made;

    snprintf(why, sizeof why, "%s", fail_text());
    made = thread_join(thread);
    return rc < 0 ? fail(rc, "%s", why) : made;
}

/* One block is written while the next is being made; x: two of them. */
static int write_blocks(struct datawork *w, struct making *m, struct rowwriter *out, enum cell cell,
                        uint8_t *const x[2], void *converted)
{
    struct thread *thread = NULL;
    int rc = 0;

    m->next = x[0];
    if ((rc = make_block(m)) < 0) return rc;
    for (int64_t row = 0, i = 0; row < m->rows && rc == 0; row += m->step, i++) {
        int64_t rows = block_rows(m, row);

        m->first = row + rows;
        m->next = x[(i + 1) % 2];
        if (m->first < m->rows && (rc = thread_start(&thread, make_block, m)) < 0) break;
        if ((rc = cell_convert(cell, converted, CELL_U8, x[i % 2], rows * m->d)) == 0 &&
            (rc = rowwriter_add(out, converted, rows)) == 0)
            rc = datawork_tell(w, "generate", row + rows, m->rows);
        rc = join_after(thread, rc);
        thread = NULL;
    }
    return rc;
}

static int write_part(struct datawork *w, struct making *m, const char *path)
{
    uint8_t *x[2] = {mem_new(m->step * m->d, 1), mem_new(m->step * m->d, 1)};
    void *converted = mem_new(m->step * m->d, sizeof(float));
    struct rowwriter *out = NULL;
    enum cell cell;
    int rc = ERR_NOMEM;

    if (!x[0] || !x[1] || !converted) goto out;
    w->label = path;
    if ((rc = rowwriter_cell(&cell, path, CELL_U8)) < 0) goto out;
    if ((rc = rowwriter_create(&out, path, cell, m->rows, m->d)) < 0) goto out;
    if ((rc = write_blocks(w, m, out, cell, x, converted)) < 0) goto out;
    rc = rowwriter_commit(out);
    out = NULL;
out:
    rowwriter_discard(out);
    mem_free(converted);
    mem_free(x[0]);
    mem_free(x[1]);
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
    struct maker *maker = NULL;
    struct text path = {0};
    int64_t step = datawork_rows(job->d, job->n);
    int rc;

    if ((rc = synthetic_create(&s, job->seed, (int)job->d)) < 0) goto out;
    rc = maker_open(&maker, job->backend, device_choose(job->backend), step, (int)job->d);
    w->no_backend = rc < 0;
    if (rc < 0) goto out;
    w->writing = 1;
    if ((rc = file_mkdirs(job->folder)) < 0) goto out;
    for (int i = 0; i < 3; i++) {
        struct making m;

        text_reset(&path);
        text_addf(&path, "%s/%s.%s", job->folder, parts[i].name, job->format);
        if ((rc = text_failed(&path)) < 0) goto out;
        m = (struct making){.s = s,
                            .maker = maker,
                            .part = parts[i].part,
                            .step = parts[i].rows < step ? parts[i].rows : step,
                            .rows = parts[i].rows,
                            .d = (int)job->d};
        if ((rc = write_part(w, &m, text_get(&path))) < 0) goto out;
    }
    printf("dataset: {name: made, base: %s/base.%s, query: %s/query.%s, learn: %s/learn.%s}\n",
           job->folder, job->format, job->folder, job->format, job->folder, job->format);
out:
    w->label = "";
    text_clear(&path);
    maker_close(maker);
    synthetic_free(s);
    return rc;
}

static int check(struct job *job)
{
    static const char *const formats[] = {"bvecs", "u8bin", "npy", "fvecs", "fbin"};
    const int64_t most = (int64_t)1 << 40;
    enum { FORMATS = sizeof formats / sizeof *formats };
    int format = 0;

    while (format < FORMATS && strcmp(job->format, formats[format]) != 0)
        format++;
    if (format == FORMATS)
        return fail(ERR_INVALID, "generate: --format %s is not bvecs, u8bin, npy, fvecs or fbin",
                    job->format);
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
    struct job job = {.nq = 1000, .seed = 1};
    struct datawork w;
    int quiet = 0, rc;
    const struct cli_option options[] = {
        {"--n",      CLI_INT, &job.n},
        {"--d",    CLI_INT, &job.d},
        {"--nq",      CLI_INT, &job.nq},
        {"--nt",    CLI_INT, &job.nt},
        {"--seed",     CLI_INT, &job.seed},
        {"--format",   CLI_STRING, &job.format},
        {"-o",     CLI_STRING, &job.folder},
        {"--backend",   CLI_STRING, &job.backend},
        {"--quiet",   CLI_FLAG, &quiet},
        {0}
    };

    rc = cli_parse(options, argc, argv, NULL);
    if (!job.backend) job.backend = "auto";
    if (!job.format) job.format = "u8bin";
    if (rc == 0) rc = device_word(job.backend);
    if (rc == 0) rc = check(&job);
    datawork_begin(&w, quiet);
    if (rc == 0) rc = generate(&w, &job);
    return (int)datawork_end(&w, rc);
}

const struct verb verb_generate = {
    .name = "generate", .summary = "synthetic vectors as files", .help = help, .run = run};
