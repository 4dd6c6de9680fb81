#include "engine/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/fail.h"
#include "engine/base/mem.h"

enum { PATH_CAP = 4096 };

struct file {
    FILE *stream;
    char path[PATH_CAP], tmp[PATH_CAP + 32];
};

int file_create(struct file **out, const char *path)
{
    struct file *f = NULL;
    int fd = -1, rc = ERR_NOMEM;

    if (strlen(path) >= PATH_CAP) return fail(ERR_INVALID, "path too long: %.60s...", path);
    if (!(f = mem_new(1, sizeof *f))) goto out;
    snprintf(f->path, sizeof f->path, "%s", path);
    snprintf(f->tmp, sizeof f->tmp, "%s.tmp.%ld", path, (long)getpid());
    if ((fd = open(f->tmp, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666)) < 0 ||
        !(f->stream = fdopen(fd, "wb"))) {
        rc = fail_errno(ERR_IO, errno, "%s", f->path);
        goto out;
    }
    fd = -1;
    *out = f;
    f = NULL;
    rc = 0;
out:
    if (fd >= 0) close(fd);
    mem_free(f);
    return rc;
}

int file_write(struct file *f, const void *bytes, int64_t n)
{
    if (fwrite(bytes, 1, (size_t)n, f->stream) != (size_t)n)
        return fail_errno(ERR_IO, errno, "%s", f->path);
    return 0;
}

/* A rename is safe on disk only once its folder is. */
static void sync_folder(const char *path)
{
    char copy[PATH_CAP];
    int fd;

    snprintf(copy, sizeof copy, "%s", path);
    if ((fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) return;
    fsync(fd);
    close(fd);
}

int file_commit(struct file *f)
{
    int rc = 0;

    if (fflush(f->stream) || fsync(fileno(f->stream))) {
        rc = fail_errno(ERR_IO, errno, "%s", f->path);
        goto out;
    }
    if (rename(f->tmp, f->path)) {
        rc = fail_errno(ERR_IO, errno, "%s", f->path);
        goto out;
    }
    sync_folder(f->path);
out:
    if (rc < 0) unlink(f->tmp);
    fclose(f->stream);
    mem_free(f);
    return rc;
}

void file_discard(struct file *f)
{
    if (!f) return;
    unlink(f->tmp);
    fclose(f->stream);
    mem_free(f);
}

int file_read_all(char **out, int64_t *n, const char *path, int64_t max)
{
    FILE *f = fopen(path, "rb");
    char *s = NULL;
    struct stat st;
    size_t got;
    int rc = ERR_NOMEM;

    if (!f) return fail_errno(ERR_IO, errno, "%s", path);
    if (fstat(fileno(f), &st) < 0) {
        rc = fail_errno(ERR_IO, errno, "%s", path);
        goto out;
    }
    if (S_ISDIR(st.st_mode)) {
        rc = fail_errno(ERR_IO, EISDIR, "%s", path);
        goto out;
    }
    if (!(s = mem_new(max + 1, 1))) goto out;
    got = fread(s, 1, (size_t)max, f);
    if (ferror(f)) {
        rc = fail_errno(ERR_IO, errno, "%s", path);
        goto out;
    }
    if (got == (size_t)max && fgetc(f) != EOF) {
        rc = fail(ERR_INVALID, "%s: longer than %lld bytes", path, (long long)max);
        goto out;
    }
    s[got] = '\0';
    if (n) *n = (int64_t)got;
    *out = s;
    s = NULL;
    rc = 0;
out:
    mem_free(s);
    fclose(f);
    return rc;
}

int file_same(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int file_put(const char *path, const char *text)
{
    struct file *f;
    int rc;

    if ((rc = file_create(&f, path)) < 0) return rc;
    if ((rc = file_write(f, text, (int64_t)strlen(text))) < 0) {
        file_discard(f);
        return rc;
    }
    return file_commit(f);
}

int file_mkdirs(const char *path)
{
    char copy[PATH_CAP];

    if (strlen(path) >= sizeof copy) return fail(ERR_INVALID, "path too long: %.60s...", path);
    snprintf(copy, sizeof copy, "%s", path);
    for (char *p = copy + 1; *p; p++) {
        if (*p != '/') continue;
        *p = '\0';
        if (mkdir(copy, 0777) < 0 && errno != EEXIST) return fail_errno(ERR_IO, errno, "%s", copy);
        *p = '/';
    }
    if (mkdir(copy, 0777) < 0 && errno != EEXIST) return fail_errno(ERR_IO, errno, "%s", copy);
    return 0;
}

int file_mkdirs_above(const char *path)
{
    char copy[PATH_CAP];

    if (strlen(path) >= sizeof copy) return fail(ERR_INVALID, "path too long: %.60s...", path);
    snprintf(copy, sizeof copy, "%s", path);
    return file_mkdirs(dirname(copy));
}
