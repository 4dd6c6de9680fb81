/* Names of data sets: which layout a name means, and what a near miss was meant to be. */
#include "engine/dataset_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/base/fail.h"

enum { BIGANN_D = 128, DEEP1B_D = 96, MILLIONS_MAX = 1000 };

/* The number in "SIFT<number>M" (or Deep, of four letters too) without leading zeros, 0 if name
   is not of that form. */
static int millions_of(const char *name, const char *letters)
{
    char *end;
    long n;

    if (strncmp(name, letters, 4) || name[4] < '1' || name[4] > '9') return 0;
    n = strtol(name + 4, &end, 10);
    return strcmp(end, "M") || n > MILLIONS_MAX ? 0 : (int)n;
}

/* How many letters must be added, dropped or changed to make a of b, case aside. */
static int edits(const char *a, const char *b)
{
    enum { LONGEST = 32 };
    int row[LONGEST + 1], nb = (int)strlen(b);

    if (strlen(a) > LONGEST || nb > LONGEST) return LONGEST;
    for (int j = 0; j <= nb; j++)
        row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int corner = row[0]++;

        for (int j = 1; j <= nb; j++) {
            int same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            int best = corner + !same;

            corner = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[nb];
}

/* "SIFT" in any case, a number, anything: what the original took as it came. */
static int refuse_bigann(const char *name)
{
    const char *tail = name + 4 + strspn(name + 4, "0123456789");
    long n = strtol(name + 4, NULL, 10);

    if (!strcasecmp(tail, "B")) n = n < MILLIONS_MAX ? n * 1000 : 0;
    if (n == 1)
        return fail(ERR_INVALID,
                    "there is no data set \"%s\"; did you mean SIFT1M (BIGANN's first million) or "
                    "TEXMEX-SIFT1M (sift_base.fvecs)?",
                    name);
    if (n >= 1 && n <= MILLIONS_MAX)
        return fail(ERR_INVALID, "there is no data set \"%s\"; did you mean SIFT%ldM?", name, n);
    return fail(ERR_INVALID, "there is no data set \"%s\": BIGANN's are SIFT1M ... SIFT1000M",
                name);
}

int dataset_layout_of(struct dataset_layout *out, const char *name)
{
    *out = (struct dataset_layout){LAYOUT_FILES, 0, 0};
    if ((out->millions = millions_of(name, "SIFT"))) {
        out->kind = LAYOUT_BIGANN;
        out->d = BIGANN_D;
    } else if ((out->millions = strcmp(name, "Deep1B") ? millions_of(name, "Deep") : 1000)) {
        out->kind = LAYOUT_DEEP;
        out->d = DEEP1B_D;
    } else if (!strcmp(name, "TEXMEX-SIFT1M")) {
        *out = (struct dataset_layout){LAYOUT_TEXMEX, BIGANN_D, 1};
    } else if (!strcmp(name, "synthetic")) {
        out->kind = LAYOUT_SYNTHETIC;
    } else if (!strncasecmp(name, "SIFT", 4) && isdigit((unsigned char)name[4])) {
        return refuse_bigann(name);
    } else if (edits(name, "synthetic") <= 2) {
        return fail(ERR_INVALID, "there is no data set \"%s\"; did you mean synthetic?", name);
    } else if (edits(name, "Deep1B") <= 1) {
        return fail(ERR_INVALID, "there is no data set \"%s\"; did you mean Deep1B?", name);
    } else if (edits(name, "TEXMEX-SIFT1M") <= 2) {
        return fail(ERR_INVALID, "there is no data set \"%s\"; did you mean TEXMEX-SIFT1M?", name);
    }
    return 0;
}

int dataset_name_d(const char *name)
{
    struct dataset_layout layout;
    int rc = dataset_layout_of(&layout, name);

    return rc < 0 ? rc : layout.d;
}

int64_t dataset_name_n(const char *name)
{
    struct dataset_layout layout;
    int rc = dataset_layout_of(&layout, name);

    return rc < 0 ? rc : (int64_t)layout.millions * 1000000;
}
