/*
 * gnuplot as a child process: no shell, its input by a socket (a child that dies early is an
 * error here, not a SIGPIPE), what it says on stdout and stderr read back.
 */
#ifndef IVF_GNUPLOT_H
#define IVF_GNUPLOT_H

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Its program: $IVFBENCH_GNUPLOT, else "gnuplot" from PATH. 1: it answers with a version of 5.4
 * or later, whose words (vendors add theirs) are in version[64]; 0: there is none.
 */
int gnuplot_probe(char version[64]);

/* Runs script in the folder dir. ERR_IO: it cannot be run, or failed, with what it said. */
int gnuplot_run(const char *script, const char *dir);

#ifdef __cplusplus
}
#endif
#endif
