/* ivfbench schema: what editors need to complete and check a spec while it is written. */
#include <stdio.h>

#include "harness/cli.h"
#include "harness/spec.h"

static const char help[] =
    "Usage: ivfbench schema\n"
    "\n"
    "Prints the JSON Schema (draft 7) of specs, made from the table of keys. Editors with a YAML\n"
    "language server use it through a spec's first line:\n"
    "\n"
    "  # yaml-language-server: $schema=spec.schema.json\n"
    "\n"
    "Example: ivfbench schema > spec.schema.json\n";

static int run(int argc, char **argv)
{
    struct text schema = {0};
    int code = EXIT_DONE;

    if (cli_parse((const struct cli_option[]){{0}}, argc, argv, NULL) < 0)
        return cli_error(EXIT_USAGE);
    spec_schema(&schema);
    if (text_failed(&schema))
        code = cli_error(EXIT_TRIAL);
    else
        fputs(text_get(&schema), stdout);
    text_clear(&schema);
    return code;
}

const struct verb verb_schema = {"schema", "print the JSON Schema of specs", help, run};
