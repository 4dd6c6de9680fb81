/*
 * Drawn rows are read in the order of the file, neighbours together: a run of them that is nearly
 * without gaps is one read, a row far from all others is a read of its own. So a dense sample costs
 * what reading the file costs, and one row in a thousand of a billion does not.
 */
#include "harness/build_training.h"

#include <string.h>

#include "engine/base/mem.h"
#include "engine/base/rand.h"

enum { GAP_BYTES = 64 << 10 }; /* read over rather than skipped */
enum { SAMPLE_STREAM = 0x5a }; /* so that sampling draws other numbers than the rest of training */

int build_sample(int64_t **rows, int64_t count, int64_t n, uint64_t seed)
{
    int64_t *out = mem_new(count, sizeof *out), taken = 0;
    uint64_t stream = rand_hash(seed, SAMPLE_STREAM);

    if (!out) return ERR_NOMEM;
    for (int64_t i = 0; taken < count; i++) {
        /* of the n - i rows left, count - taken are still wanted */
        unsigned __int128 draw =
            (unsigned __int128)rand_hash(stream, (uint64_t)i) * (uint64_t)(n - i);

        if ((int64_t)(draw >> 64) < count - taken) out[taken++] = i;
    }
    *rows = out;
    return 0;
}

/* Where rows are put on the device, one behind the other. */
struct upload {
    struct build *b;
    struct mat *x;
    size_t row_bytes, at;
};

static int put(struct upload *u, const void *rows, int64_t count)
{
    size_t bytes = (size_t)count * u->row_bytes;
    int rc = u->b->b->ops->upload(u->b->b, u->x->data, u->at, rows, bytes);

    if (rc < 0) return rc;
    u->at += bytes;
    return build_tell(u->b, "read", (int64_t)(u->at / u->row_bytes), u->x->rows);
}

static int64_t block_rows(const struct upload *u)
{
    int64_t most = PLAN_BLOCK_BYTES / (int64_t)u->row_bytes;

    return most < 1 ? 1 : most < u->x->rows ? most : u->x->rows;
}

static int put_first(struct upload *u)
{
    struct stream *s = NULL;
    struct block block;
    int rc, more = 0;

    if ((rc = stream_open(&s, u->b->ds, PART_LEARN, 0, u->x->rows, block_rows(u))) < 0) goto out;
    while ((more = stream_next(s, &block)) > 0)
        if ((rc = put(u, block.ptr, block.rows)) < 0) goto out;
    rc = more;
out:
    stream_close(s);
    return rc;
}

/* How many of row[0 ... count - 1] one read should bring. */
static int64_t run_length(const struct upload *u, const int64_t *row, int64_t count)
{
    int64_t gap = 1 + GAP_BYTES / (int64_t)u->row_bytes, most = block_rows(u), i = 1;

    while (i < count && row[i] - row[i - 1] <= gap && row[i] - row[0] < most)
        i++;
    return i;
}

/* Rows drawn, row[count] ascending: each run is read whole and closed up in place. */
static int put_drawn(struct upload *u, const int64_t *row, int64_t count)
{
    char *x = mem_new(block_rows(u), u->row_bytes);
    int rc = x ? 0 : ERR_NOMEM;

    for (int64_t run; count > 0 && rc == 0; row += run, count -= run) {
        run = run_length(u, row, count);
        if ((rc = dataset_read(u->b->ds, PART_LEARN, row[0], row[run - 1] - row[0] + 1, x)) < 0)
            break;
        for (int64_t i = 1; i < run; i++)
            memmove(x + (size_t)i * u->row_bytes, x + (size_t)(row[i] - row[0]) * u->row_bytes,
                    u->row_bytes);
        rc = put(u, x, run);
    }
    mem_free(x);
    return rc;
}

int build_training(struct build *b, struct mat *x)
{
    struct upload u = {.b = b, .x = x, .row_bytes = elem_bytes(b->data->elem) * (size_t)b->data->d};
    const struct group *g = b->group;
    int64_t *row = NULL;
    size_t bytes;
    int rc;

    *x = (struct mat){.elem = b->data->elem, .rows = g->train_rows, .d = b->data->d};
    if ((rc = mem_bytes(&bytes, x->rows, u.row_bytes)) < 0) return rc;
    if ((rc = b->b->ops->alloc(b->b, &x->data, bytes)) < 0) return rc;
    if (!g->train_sampled) return put_first(&u);
    if ((rc = build_sample(&row, x->rows, b->data->nt, (uint64_t)g->trials->seed)) < 0) return rc;
    rc = put_drawn(&u, row, x->rows);
    mem_free(row);
    return rc;
}
