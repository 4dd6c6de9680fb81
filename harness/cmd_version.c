/* version: which program this is, and what it was built with. */
#include <stdio.h>

#include "harness/cli.h"
#include "harness/machine.h"

static int version(int argc, char **argv)
{
    struct machine m = {0};
    struct store_software row;
    int code = EXIT_DONE;

    if (cli_parse((const struct cli_option[]){{0}}, argc, argv, NULL) < 0)
        return cli_error(EXIT_USAGE);
    if (machine_read(&m) < 0) {
        code = cli_error(EXIT_ENVIRONMENT);
        goto out;
    }
    row = machine_software_row(&m);
    printf("ivfbench %s\n", row.version);
    printf("commit %s%s\n", row.commit, row.dirty ? ", with changes" : "");
    printf("binary %s\n", row.binary_hash);
    printf("%s\n", row.facts);
out:
    machine_clear(&m);
    return code;
}

const struct verb verb_version = {
    .name = "version",
    .summary = "version, commit, compiler and libraries",
    .help = "Usage: ivfbench version\n"
            "\n"
            "Prints the version, the commit, the hash of the program's file and, as a JSON\n"
            "object, compiler, build type and the versions of OpenBLAS, SQLite, libyaml and the\n"
            "CUDA toolkit. A number in the database is tied to exactly these.\n"
            "\n"
            "Example: ivfbench version | tail -n 1 | jq .compiler\n",
    .run = version,
};
