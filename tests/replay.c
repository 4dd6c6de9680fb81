/*
 * The main of a fuzzer where libFuzzer is not: fuzz_<reader> [--seed N] FOLDER. Feeds every file
 * of the folder to LLVMFuzzerTestOneInput, as it is and then spoilt in MUTATIONS random ways, so
 * that a plain build under ASan already digs around what once broke a reader. The input of the
 * moment lies in a file that survives a crash. It is linked from the archive only into programs
 * that have no main of their own.
 */
#include "tests/testing.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "engine/base/rand.h"

enum { MUTATIONS = 200, INPUT_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Over the same open file each time: creating one for each input would cost a disk's patience. */
static void write_input(FILE *record, const uint8_t *bytes, int64_t n)
{
    rewind(record);
    if (fwrite(bytes, 1, (size_t)n, record) != (size_t)n || fflush(record) ||
        ftruncate(fileno(record), n))
        abort();
}

/* The input has its exact size in memory of its own, so that ASan sees a read past its end. */
static void feed(FILE *record, const uint8_t *bytes, int64_t n)
{
    uint8_t *exact = malloc(n ? (size_t)n : 1);

    if (!exact) abort();
    memcpy(exact, bytes, (size_t)n);
    write_input(record, exact, n);
    LLVMFuzzerTestOneInput(exact, (size_t)n);
    free(exact);
}

/* One to four times: another byte, another bit, a byte from elsewhere, or a shorter input. */
static int64_t spoil(struct rand *r, uint8_t *bytes, int64_t n)
{
    for (int64_t times = 1 + rand_below(r, 4); times > 0 && n > 0; times--) {
        int64_t at = rand_below(r, n);

        switch (rand_below(r, 8)) {
        case 0:
            n = at;
            break;
        case 1:
        case 2:
            bytes[at] ^= (uint8_t)(1 << rand_below(r, 8));
            break;
        case 3:
        case 4:
            bytes[at] = bytes[rand_below(r, n)];
            break;
        default:
            bytes[at] = (uint8_t)rand_below(r, 256);
        }
    }
    return n;
}

static int replay_file(const char *path, FILE *record, struct rand *r)
{
    char *bytes = NULL;
    uint8_t *copy = NULL;
    int64_t n = 0;
    int rc;

    if ((rc = file_read_all(&bytes, &n, path, INPUT_MAX)) < 0) goto out;
    rc = ERR_NOMEM;
    if (!(copy = mem_new(n, 1))) goto out;
    feed(record, (const uint8_t *)bytes, n);
    for (int i = 0; i < MUTATIONS; i++) {
        memcpy(copy, bytes, (size_t)n);
        feed(record, copy, spoil(r, copy, n));
    }
    rc = 0;
out:
    mem_free(copy);
    mem_free(bytes);
    return rc;
}

/* The number of files replayed, or a code. */
static int replay_folder(const char *folder, FILE *record, struct rand *r)
{
    struct dirent **names = NULL;
    int count = scandir(folder, &names, NULL, alphasort), files = 0, rc = 0;

    if (count < 0) return fail(ERR_IO, "%s: no such corpus", folder);
    for (int i = 0; i < count; i++) {
        char path[4096];
        struct stat st;

        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (rc == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            rc = replay_file(path, record, r);
            files++;
        }
        free(names[i]);
    }
    free(names);
    if (rc < 0) return rc;
    return files ? files : fail(ERR_IO, "%s: an empty corpus", folder);
}

int main(int argc, char **argv)
{
    const char *folder = argv[argc - 1];
    char path[1024];
    FILE *record;
    struct rand r;
    int files;

    if (argc < 2 || testing_options(argc - 1, argv) < 0) {
        fprintf(stderr, "usage: %s [--seed N] FOLDER\n", argv[0]);
        return 2;
    }
    snprintf(path, sizeof path, "%s/input", testing_tmpdir());
    if (!(record = fopen(path, "wb"))) {
        perror(path);
        return 1;
    }
    printf("after a crash, the input is in %s\n", path);
    fflush(stdout);
    rand_seed(&r, testing_seed());
    if ((files = replay_folder(folder, record, &r)) < 0)
        fprintf(stderr, "%s\n", fail_text());
    else
        printf("%d files, each as it is and spoilt in %d ways\n", files, MUTATIONS);
    fclose(record);
    return files < 0;
}
