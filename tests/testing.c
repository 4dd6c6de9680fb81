#include "tests/testing.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

enum { GUARD = 64 };
static const unsigned char PATTERN = 0xA7;

struct guarded {
    int64_t bytes;
    unsigned char front[GUARD - sizeof(int64_t)];
};

static char tmpdir[512];
static pid_t owner;

const char *testing_data(const char *file)
{
    static char path[1024];
    const char *root = getenv("IVFBENCH_DATA");

    if (!root || !*root) return NULL;
    snprintf(path, sizeof path, "%s/%s", root, file);
    return access(path, R_OK) == 0 ? path : NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_tmpdir(void)
{
    if (getpid() == owner) nftw(tmpdir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *testing_tmpdir(void)
{
    const char *root = getenv("TMPDIR");

    if (tmpdir[0]) return tmpdir;
    snprintf(tmpdir, sizeof tmpdir, "%s/ivfbench-test-XXXXXX", root && *root ? root : "/tmp");
    assert_non_null(mkdtemp(tmpdir));
    owner = getpid();
    atexit(remove_tmpdir);
    return tmpdir;
}

void *testing_guarded(int64_t n, size_t size)
{
    int64_t bytes = n * (int64_t)size;
    struct guarded *g = malloc(sizeof *g + (size_t)bytes + GUARD);

    assert_non_null(g);
    g->bytes = bytes;
    memset(g->front, PATTERN, sizeof g->front);
    memset(g + 1, 0x5C, (size_t)bytes);
    memset((char *)(g + 1) + bytes, PATTERN, GUARD);
    return g + 1;
}

void testing_guarded_free(void *ptr)
{
    struct guarded *g = (struct guarded *)ptr - 1;
    const unsigned char *back = (unsigned char *)ptr + g->bytes;

    for (size_t i = 0; i < sizeof g->front; i++)
        assert_int_equal(g->front[i], PATTERN);
    for (int i = 0; i < GUARD; i++)
        assert_int_equal(back[i], PATTERN);
    free(g);
}
