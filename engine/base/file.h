/*
 * Files that are either whole or absent: written to a temporary name beside the target,
 * fsync'd, renamed. A reader never sees half of one, whatever was killed when.
 */
#ifndef IVF_FILE_H
#define IVF_FILE_H

#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct file; /* a file being written */

int file_create(struct file **out, const char *path);
int file_write(struct file *f, const void *bytes, int64_t n);
int file_commit(struct file *f);   /* the file appears at path; frees f, also on failure */
void file_discard(struct file *f); /* nothing appears; NULL is allowed */

/* The whole of a small file, NUL-terminated; free *out with mem_free. At most max bytes. */
int file_read_all(char **out, int64_t *n, const char *path, int64_t max);

/* 1 where both names are of one file that is there. */
int file_same(const char *a, const char *b);

/* text as a whole file, replacing what was there. */
int file_put(const char *path, const char *text);

/* Makes the folder and those above it; fine if it exists. */
int file_mkdirs(const char *path);

/* Makes the folder that path's last component stands in. */
int file_mkdirs_above(const char *path);

#ifdef __cplusplus
}
#endif
#endif
