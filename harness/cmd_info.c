/* info: what is in a file of vectors or of true neighbours. */
#include <math.h>
#include <stdio.h>

#include "engine/base/mem.h"
#include "engine/rowfile.h"
#include "harness/cli.h"

static const char help[] =
    "Usage: ivfbench info FILE...\n"
    "\n"
    "Opens each file with every check that a run makes and prints a line: format, rows,\n"
    "dimensions, element type; of vectors the least, mean and largest norm of rows sampled over "
    "the\n"
    "file, and how many hold a NaN or an infinity; of true neighbours k and the largest id "
    "sampled.\n"
    "An .hdf5 file of ann-benchmarks gives a line for each of its sets.\n"
    "\n"
    "Exit codes: 0 done, 1 a file is faulty, 2 command line, no such file, or not a format of "
    "ours.\n"
    "\n"
    "Example: ivfbench info base.u8bin query.u8bin gt10M.ibin\n";

enum { SAMPLES = 1000 };

/* Of sampled rows. */
struct look {
    double least, most, sum; /* norms */
    int64_t rows, faulty;    /* looked at; of them with a NaN or an infinity */
    vid largest;             /* id */
    int64_t holes;           /* ids below 0 */
};

static void look_at_vector(struct look *l, const float *x, int d)
{
    double square = 0, norm;

    for (int t = 0; t < d; t++)
        square += (double)x[t] * x[t];
    norm = sqrt(square);
    if (!isfinite(norm)) {
        l->faulty++;
        return;
    }
    if (l->rows == l->faulty || norm < l->least) l->least = norm;
    if (l->rows == l->faulty || norm > l->most) l->most = norm;
    l->sum += norm;
}

static void look_at_ids(struct look *l, enum cell cell, const void *row, int k)
{
    for (int j = 0; j < k; j++) {
        vid id = cell_id(cell, row, j);

        if (id > l->largest) l->largest = id;
        l->holes += id < 0;
    }
}

static int look_over(struct look *l, const struct rowfile *f)
{
    int64_t count = f->rows < SAMPLES ? f->rows : SAMPLES;
    void *row = mem_new(f->d, cell_bytes(f->cell));
    float *x = mem_new(f->d, sizeof *x);
    char *scratch = mem_new(rowfile_scratch(f, 1), 1);
    int rc = row && x && scratch ? 0 : ERR_NOMEM;

    *l = (struct look){.largest = -1};
    for (; l->rows < count && rc == 0; l->rows++) {
        int64_t at = count < 2 ? 0 : (int64_t)((__int128)l->rows * (f->rows - 1) / (count - 1));

        if ((rc = rowfile_read(f, at, 1, row, scratch)) < 0) break;
        if (cell_is_id(f->cell)) {
            look_at_ids(l, f->cell, row, f->d);
            continue;
        }
        elem_to_floats((enum elem)f->cell, row, f->d, x);
        look_at_vector(l, x, f->d);
    }
    mem_free(scratch);
    mem_free(x);
    mem_free(row);
    return rc;
}

/* what: which set of the file; "" where it holds one. */
static void print_line(const struct rowfile *f, const char *what, const struct look *l)
{
    double mean = l->rows > l->faulty ? l->sum / (double)(l->rows - l->faulty) : 0;

    printf("%s%s: %s, ", f->path, what, rowfile_format(f));
    if (cell_is_id(f->cell)) {
        printf("true neighbours of %lld queries, k %d, %s%s; largest id %lld", (long long)f->rows,
               f->d, cell_name(f->cell), f->has_distances ? ", with distances" : "",
               (long long)l->largest);
        if (l->holes) printf("; %lld ids are below 0", (long long)l->holes);
    } else {
        printf("n %lld, d %d, %s; norm %.4g ... %.4g, mean %.4g", (long long)f->rows, f->d,
               cell_name(f->cell), l->least, l->most, mean);
        if (l->faulty) printf("; %lld rows hold a NaN or an infinity", (long long)l->faulty);
    }
    if (l->rows < f->rows) printf(" (%lld rows sampled)", (long long)l->rows);
    puts("");
}

static int show(const char *path, enum role role, const char *what)
{
    struct rowfile *f = NULL;
    struct look look;
    int rc = rowfile_open(&f, path, role);

    if (rc == 0 && (rc = look_over(&look, f)) == 0) print_line(f, what, &look);
    rowfile_close(f);
    return rc;
}

static int show_all(const char *path)
{
    int rc;

    if (!rowfile_holds_all(path)) return show(path, ROLE_TRUTH, "");
    if ((rc = show(path, ROLE_BASE, " train")) < 0) return rc;
    if ((rc = show(path, ROLE_QUERY, " test")) < 0) return rc;
    return show(path, ROLE_TRUTH, " neighbors");
}

static int run(int argc, char **argv)
{
    struct cli_list words = {0};
    const struct cli_option options[] = {{0}};
    int code = EXIT_DONE, rc = cli_parse(options, argc, argv, &words);

    if (rc == 0 && words.count == 0) rc = fail(ERR_INVALID, "info wants a FILE");
    if (rc < 0) code = cli_error(EXIT_USAGE);
    for (int i = 0; i < words.count && rc == 0; i++) {
        int bad = show_all(words.v[i]);

        if (bad < 0)
            code = cli_error(bad == ERR_FORMAT || bad == ERR_NOMEM ? EXIT_TRIAL : EXIT_USAGE);
    }
    cli_list_clear(&words);
    return code;
}

const struct verb verb_info = {
    .name = "info", .summary = "what is in a file of vectors", .help = help, .run = run};
