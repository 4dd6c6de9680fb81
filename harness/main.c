/* ivfbench: see cli.h for how a command line is taken apart, cmd_<verb>.c for what a verb does. */
#include "harness/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
