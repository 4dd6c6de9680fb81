/* ivfbench: see cli.h for how a command line is taken apart, cmd_<verb>.c for what a verb does. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness/cli.h"
#include "kernels/kernels.h"

/*
 * OpenBLAS chooses its kernels before main starts. Where it chose ones from before this processor's
 * time, the program starts anew with the choice made for it; where it cannot, it is only slower.
 */
static void choose_blas(char **argv)
{
    const char *core = kernels_blas_coretype();

    if (!core || setenv("OPENBLAS_CORETYPE", core, 0) < 0) return;
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    choose_blas(argv);
    signal(SIGXFSZ, SIG_IGN); /* past a limit of file sizes writing fails, and says so */
    return cli_main(argc, argv);
}
