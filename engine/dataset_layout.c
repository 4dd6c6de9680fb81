/* Where the files of a named data set lie: its folder, and what each file may be called there. */
#include "engine/dataset_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/fail.h"

enum { MILLION = 1000000, ALL = 1000 /* millions */ };
enum { DEEP_LEARN = 10 * MILLION };

/* A layout's files in one of the forms they are published in. */
struct place {
    enum layout_kind kind;
    const char *folder; /* below root, which may also be that folder itself */
    const char *base, *query, *learn;
    const char *truth;       /* of the whole base */
    const char *truth_first; /* of the first %d millions; NULL: as truth */
    int learn_optional;
};

static const struct place places[] = {
    {LAYOUT_BIGANN, "bigann", "bigann_base.bvecs", "bigann_query.bvecs",     "bigann_learn.bvecs",
     "gnd/idx_%dM.ivecs",           NULL,                        0},
    {LAYOUT_BIGANN, "bigann", "base.1B.u8bin",     "query.public.10K.u8bin", "learn.100M.u8bin",
     "gnd/idx_%dM.ivecs",           NULL,                        1},
    {LAYOUT_DEEP,   "deep1b", "base.fvecs",        "deep1B_queries.fvecs",   "learn.fvecs",
     "deep1B_groundtruth.ivecs",    "deep%dM_groundtruth.ivecs", 0},
    {LAYOUT_DEEP,   "deep1b", "base.1B.fbin",      "query.public.10K.fbin",  "learn.350M.fbin",
     "groundtruth.public.10K.ibin", "groundtruth.%dM.10K.ibin",  1},
    {LAYOUT_TEXMEX, "sift",   "sift_base.fvecs",   "sift_query.fvecs",       "sift_learn.fvecs",
     "sift_groundtruth.ivecs",      NULL,                        0},
};

enum { PLACES = sizeof places / sizeof *places };

/* Of a file that is there but cannot be looked at, its opening will say why. */
static int exists(const struct text *path)
{
    return access(text_get(path), F_OK) == 0 || errno != ENOENT;
}

static void set_path(struct text *out, const char *root, const char *folder, const char *name)
{
    text_reset(out);
    text_addf(out, "%s%s%s/%s", root, *folder ? "/" : "", folder, name);
}

/* The first form whose base is there, and the folder it is in; else the first, below root. */
static const struct place *choose(struct text *base, const char **folder, enum layout_kind kind,
                                  const char *root)
{
    const struct place *first = NULL;

    for (int i = 0; i < PLACES; i++) {
        if (places[i].kind != kind) continue;
        if (!first) first = &places[i];
        for (int below = 0; below < 2; below++) {
            *folder = below ? places[i].folder : "";
            set_path(base, root, *folder, places[i].base);
            if (exists(base)) return &places[i];
        }
    }
    *folder = first->folder;
    set_path(base, root, *folder, first->base);
    return first;
}

static void set_truth(struct text *out, const char *root, const char *folder, const struct place *p,
                      int millions)
{
    const char *name = millions < ALL && p->truth_first ? p->truth_first : p->truth;
    const char *number = strstr(name, "%d");

    if (number) {
        text_addf(out, "%s%s%s/%.*s%d%s", root, *folder ? "/" : "", folder, (int)(number - name),
                  name, millions, number + 2);
    } else {
        set_path(out, root, folder, name);
    }
    if (!exists(out)) text_reset(out);
}

int dataset_find(struct dataset_files *out, const struct dataset_layout *layout, const char *name,
                 const char *root)
{
    const struct place *place = places;
    const char *folder;
    int rc;

    while (place->kind != layout->kind)
        place++;
    if (!root)
        return fail(ERR_INVALID, "data set %s needs root, the folder that holds %s/", name,
                    place->folder);
    place = choose(&out->base, &folder, layout->kind, root);
    set_path(&out->query, root, folder, place->query);
    set_path(&out->learn, root, folder, place->learn);
    if (place->learn_optional && !exists(&out->learn)) text_reset(&out->learn);
    set_truth(&out->truth, root, folder, place, layout->millions);
    out->d = layout->d;
    out->promised = (int64_t)layout->millions * MILLION;
    out->learn_rows = layout->kind == LAYOUT_DEEP ? DEEP_LEARN : 0;
    if ((rc = text_failed(&out->base)) < 0 || (rc = text_failed(&out->query)) < 0) return rc;
    if ((rc = text_failed(&out->learn)) < 0) return rc;
    return text_failed(&out->truth);
}

void dataset_files_clear(struct dataset_files *f)
{
    text_clear(&f->base);
    text_clear(&f->query);
    text_clear(&f->learn);
    text_clear(&f->truth);
}
