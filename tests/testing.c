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
static const char *seed_option;

int testing_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed_option = argv[++i];
        } else if (argv[i][0] != '-') {
            cmocka_set_test_filter(argv[i]);
        } else {
            fprintf(stderr, "%s: unknown option %s (there are --seed N and a pattern)\n", argv[0],
                    argv[i]);
            return ERR_INVALID;
        }
    }
    return 0;
}

uint32_t testing_seed(void)
{
    static int said;
    const char *text = seed_option ? seed_option : getenv("IVFBENCH_TEST_SEED");
    uint32_t seed = text && *text ? (uint32_t)strtoul(text, NULL, 0) : 20240229;

    if (!said++) print_message("random cases: --seed %u\n", seed);
    return seed;
}

int testing_left_out(void)
{
    static unsigned asked;
    const char *text = getenv("IVFBENCH_TEST_SHARE");
    char *end = NULL;
    unsigned long at = asked++, first = 0, every;

    if (!text || !*text) return 0;
    every = strtoul(text, &end, 10);
    if (*end == '+') {
        first = every;
        every = strtoul(end + 1, NULL, 10);
    }
    return every > 1 && at >= first && (at - first) % every != 0;
}

int64_t testing_every_failed_alloc(int (*call)(void *arg), void *arg)
{
    for (int64_t nth = 1;; nth++) {
        int64_t before = mem_count();
        int rc;

        mem_fail_at(nth);
        fail(0, "%s", "");
        rc = call(arg);
        mem_fail_at(0);
        if (mem_count() - before < nth) {
            if (rc < 0) fail_msg("failed with memory enough: %s", fail_text());
            return nth - 1;
        }
        if (rc != ERR_NOMEM)
            fail_msg("allocation %lld failed, but the call gave %d", (long long)nth, rc);
        if (!*fail_text()) fail_msg("allocation %lld failed, and no text", (long long)nth);
    }
}

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

void *testing_array(int64_t n, size_t size)
{
    void *p = calloc((size_t)n + 1, size);

    assert_non_null(p);
    return p;
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
