#include "plots/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/fail.h"
#include "engine/base/text.h"

extern char **environ;

static const char *program(void)
{
    const char *named = getenv("IVFBENCH_GNUPLOT");

    return named && *named ? named : "gnuplot";
}

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0) close(pair[i]);
}

/* Starts it with end as its stdin, stdout and stderr. dir: NULL for ours. An errno, or 0. */
static int spawn(pid_t *child, const char *option, const char *dir, int end)
{
    char *argv[] = {(char *)(uintptr_t)program(), (char *)(uintptr_t)option, NULL};
    posix_spawn_file_actions_t actions;
    int err = posix_spawn_file_actions_init(&actions);

    if (err) return err;
    for (int fd = 0; !err && fd <= 2; fd++)
        err = posix_spawn_file_actions_adddup2(&actions, end, fd);
    if (!err && dir) err = posix_spawn_file_actions_addchdir_np(&actions, dir);
    if (!err) err = posix_spawnp(child, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

/* Hands input over, then reads until the other side closes. Scripts fit in the socket's buffer. */
static void talk(int end, const char *input, struct text *said)
{
    size_t left = strlen(input);
    char bytes[1024];
    ssize_t n;

    while (left > 0 && (n = send(end, input, left, MSG_NOSIGNAL)) != 0) {
        if (n < 0 && errno != EINTR) break;
        if (n < 0) continue;
        input += n;
        left -= (size_t)n;
    }
    shutdown(end, SHUT_WR);
    while ((n = read(end, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0) text_add_bytes(said, bytes, n);
}

/* 0 and all it said; ERR_IO where it is not there or did not end with 0. */
static int converse(const char *option, const char *dir, const char *input, struct text *said)
{
    int pair[2] = {-1, -1}, status = 0, err, rc;
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return fail_errno(ERR_IO, errno, "socketpair");
    if ((err = spawn(&child, option, dir, pair[1]))) {
        rc = fail_errno(ERR_IO, err, "%s", program());
        goto out;
    }
    close(pair[1]);
    pair[1] = -1;
    talk(pair[0], input, said);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    rc = text_failed(said);
    if (rc == 0 && WIFSIGNALED(status))
        rc = fail(ERR_IO, "%s: killed by signal %d", program(), WTERMSIG(status));
    else if (rc == 0 && WEXITSTATUS(status) != 0)
        rc = fail(ERR_IO, "%s: exit %d: %.600s", program(), WEXITSTATUS(status), text_get(said));
out:
    close_pair(pair);
    return rc;
}

int gnuplot_probe(char version[64])
{
    struct text said = {0};
    int major = 0, minor = 0, there;

    version[0] = '\0';
    there = strcmp(program(), "none") != 0 && converse("--version", NULL, "", &said) == 0 &&
            sscanf(text_get(&said), "gnuplot %d.%d", &major, &minor) == 2 &&
            (major > 5 || (major == 5 && minor >= 4));
    if (there) snprintf(version, 64, "%.*s", (int)strcspn(said.s, "\r\n"), said.s);
    text_clear(&said);
    return there;
}

int gnuplot_run(const char *script, const char *dir)
{
    struct text said = {0};
    int rc = converse("--default-settings", dir, script, &said); /* nobody's ~/.gnuplot */

    text_clear(&said);
    return rc;
}
