/*
 * A reader thread and a ring of blocks. The reader fills block i while the consumer holds one
 * of the two before it, so a disk and a device work at the same time and memory stays at
 * RING blocks. Counters only grow: made (by the reader), taken and freed (by the consumer).
 */
#include "engine/dataset_internal.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"
#include "engine/base/thread.h"

enum { RING = STREAM_BLOCKS };

struct stream {
    struct dataset *ds;
    enum part part;
    int64_t first, rows, block_rows, blocks;
    char *ring[RING];
    char *scratch;

    pthread_mutex_t lock; /* of what follows up to `reader` */
    pthread_cond_t moved; /* a counter or a flag has changed */
    int64_t made, freed;  /* blocks */
    int failed, stop;     /* the reader has ended early; the consumer wants it to */

    struct thread *reader; /* the consumer's alone: */
    int64_t taken;
    int rc; /* of the reader, once joined, with its text */
    char why[1024];
};

static int64_t rows_of(const struct stream *s, int64_t i)
{
    int64_t left = s->rows - i * s->block_rows;

    return left < s->block_rows ? left : s->block_rows;
}

/* Waits until the ring has a place; 0: the consumer wants no more. */
static int wait_for_place(struct stream *s, int64_t i)
{
    int go;

    pthread_mutex_lock(&s->lock);
    while (!s->stop && i - s->freed >= RING)
        pthread_cond_wait(&s->moved, &s->lock);
    go = !s->stop;
    pthread_mutex_unlock(&s->lock);
    return go;
}

static void report(struct stream *s, int rc)
{
    pthread_mutex_lock(&s->lock);
    if (rc < 0)
        s->failed = 1;
    else
        s->made++;
    pthread_cond_signal(&s->moved);
    pthread_mutex_unlock(&s->lock);
}

static int read_all(void *arg)
{
    struct stream *s = arg;
    int rc = 0;

    for (int64_t i = 0; rc == 0 && i < s->blocks && wait_for_place(s, i); i++) {
        rc = dataset_read_with(s->ds, s->part, s->first + i * s->block_rows, rows_of(s, i),
                               s->ring[i % RING], s->scratch);
        report(s, rc);
    }
    return rc;
}

static int alloc_ring(struct stream *s)
{
    const struct dataset_info *info = dataset_info(s->ds);
    int64_t most = rows_of(s, 0);

    for (int i = 0; i < RING && i < s->blocks; i++)
        if (!(s->ring[i] = mem_new(most * info->d, elem_bytes(info->elem)))) return ERR_NOMEM;
    s->scratch = mem_new(dataset_scratch(s->ds, s->part, most), 1);
    return s->scratch ? 0 : ERR_NOMEM;
}

int stream_open(struct stream **out, struct dataset *ds, enum part part, int64_t first,
                int64_t rows, int64_t block_rows)
{
    const struct dataset_info *info = dataset_info(ds);
    struct stream *s = NULL;
    int rc = ERR_NOMEM;

    assert(part != PART_QUERY && block_rows > 0 && first >= 0 && rows >= 0);
    assert(first + rows <= (part == PART_BASE ? info->n : info->nt));
    if (!(s = mem_new(1, sizeof *s))) goto out;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->moved, NULL);
    s->ds = ds;
    s->part = part;
    s->first = first;
    s->rows = rows;
    s->block_rows = block_rows;
    s->blocks = rows / block_rows + (rows % block_rows != 0);
    if ((rc = alloc_ring(s)) < 0) goto out;
    if ((rc = thread_start(&s->reader, read_all, s)) < 0) goto out;
    *out = s;
    s = NULL;
out:
    stream_close(s);
    return rc;
}

/* Gives back the block handed out last and waits for the next; 0: the reader failed before. */
static int wait_for_block(struct stream *s)
{
    int ready;

    pthread_mutex_lock(&s->lock);
    s->freed = s->taken;
    pthread_cond_signal(&s->moved);
    while (s->made == s->taken && !s->failed)
        pthread_cond_wait(&s->moved, &s->lock);
    ready = s->made > s->taken;
    pthread_mutex_unlock(&s->lock);
    return ready;
}

static int fail_as_reader(struct stream *s)
{
    if (!s->reader) return fail(s->rc, "%s", s->why);
    s->rc = thread_join(s->reader);
    s->reader = NULL;
    snprintf(s->why, sizeof s->why, "%s", fail_text());
    return s->rc;
}

int stream_next(struct stream *s, struct block *out)
{
    const struct dataset_info *info = dataset_info(s->ds);

    if (s->taken == s->blocks) return 0;
    if (!wait_for_block(s)) return fail_as_reader(s);
    out->elem = info->elem;
    out->d = info->d;
    out->rows = rows_of(s, s->taken);
    out->ptr = s->ring[s->taken % RING];
    out->first = s->first + s->taken * s->block_rows;
    s->taken++;
    return 1;
}

/* Ends the reader. A fault of its own that nobody asked for must not replace the caller's text. */
static void end_reader(struct stream *s)
{
    char why[sizeof s->why];

    snprintf(why, sizeof why, "%s", fail_text());
    pthread_mutex_lock(&s->lock);
    s->stop = 1;
    pthread_cond_signal(&s->moved);
    pthread_mutex_unlock(&s->lock);
    if (thread_join(s->reader) < 0) fail(ERR_IO, "%s", why);
    s->reader = NULL;
}

void stream_close(struct stream *s)
{
    if (!s) return;
    end_reader(s);
    pthread_cond_destroy(&s->moved);
    pthread_mutex_destroy(&s->lock);
    for (int i = 0; i < RING; i++)
        mem_free(s->ring[i]);
    mem_free(s->scratch);
    mem_free(s);
}
