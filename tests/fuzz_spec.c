/* Any bytes are a spec or are refused with words that say where; a spec gives a plan or the same. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/fail.h"
#include "harness/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check(int refused, const struct text *errors)
{
    if (!refused) return;
    if (refused != ERR_INVALID || !strstr(text_get(errors), "error: ")) abort();
}

/* The first line of the input, where it begins with "--set ", goes that way. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char option[] = "--set ";
    struct text errors = {0};
    struct dataset_info data;
    struct spec *spec = NULL;
    struct plan *plan = NULL;
    char *text = calloc(1, n + 1), *yaml = text, *set = NULL;
    int rc;

    if (!text) abort();
    memcpy(text, bytes, n);
    if (!strncmp(text, option, sizeof option - 1) && (yaml = strchr(text, '\n'))) {
        set = text + sizeof option - 1;
        *yaml++ = '\0';
    } else {
        yaml = text;
    }
    rc = spec_parse(&spec, "fuzz.yaml", yaml, (const char *const[]){set}, set != NULL, &errors);
    check(rc, &errors);
    if (rc == 0) {
        plan_guess_data(&data, spec);
        check(plan_create(&plan, spec, &data, "cpu", 2, &errors), &errors);
    }
    plan_free(plan);
    spec_free(spec);
    text_clear(&errors);
    free(text);
    return 0;
}
