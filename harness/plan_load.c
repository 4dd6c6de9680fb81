#include "harness/plan.h"

#include "engine/base/file.h"
#include "engine/base/thread.h"
#include "harness/centroids.h"

/* Facts of the data; a guess, with a note and *open NULL, where opening it may fail and did. */
static int look_at_data(struct dataset **open, struct dataset_info *out, const struct spec *spec,
                        int must_open, struct text *note)
{
    int rc = dataset_open(open, &spec->dataset);

    if (rc == ERR_UNSUPPORTED || (rc == ERR_IO && !must_open)) {
        plan_guess_data(out, spec);
        text_addf(note, "dataset %s: %s: not checked against data", spec->dataset_name,
                  fail_text());
        rc = text_failed(note);
    } else if (rc < 0) {
        fail_in(rc, "dataset %s", spec->dataset_name);
    } else {
        *out = *dataset_info(*open);
        if (spec->dataset.truth && !out->truth_k)
            text_addf(note,
                      "%s: is the truth of more than %lld base vectors: truth is computed anew",
                      spec->dataset.truth, (long long)out->n);
        rc = text_failed(note);
    }
    return rc;
}

/* What the plan's groups write is nothing that they read. */
static int check_outputs(const struct plan *p, const struct dataset *ds)
{
    const char *pattern = p->spec->outputs_centroids;
    struct text path = {0};
    int rc = pattern ? centroids_can_be(pattern) : 0;

    for (int i = 0; pattern && rc == 0 && i < p->ngroups; i++) {
        const struct trial *t = p->groups[i].trials;

        text_reset(&path);
        centroids_path(&path, pattern, t->index, t->seed);
        if ((rc = text_failed(&path)) < 0) break;
        if (ds) rc = dataset_spares(ds, text_get(&path));
        if (rc == 0 && p->spec->centroids && file_same(p->spec->centroids, text_get(&path)))
            rc = fail(ERR_INVALID, "%s: is train.centroids, too; give it another name",
                      text_get(&path));
    }
    text_clear(&path);
    return rc < 0 ? fail_in(rc, "outputs.centroids") : 0;
}

int plan_load(struct plan **out, struct spec **spec, const char *path, const char *const *set,
              int nset, int must_open, struct plan_words *words)
{
    struct dataset *ds = NULL;
    struct dataset_info data;
    struct plan *p = NULL;
    struct spec *s = NULL;
    int rc;

    if ((rc = spec_load(&s, path, set, nset, &words->errors)) < 0) goto out;
    if ((rc = look_at_data(&ds, &data, s, must_open, &words->note)) < 0) goto out;
    rc = plan_create(&p, s, &data, plan_backend(s), thread_count(), &words->errors);
    if (rc < 0) goto out;
    if ((rc = check_outputs(p, ds)) < 0) goto out;
    *out = p;
    *spec = s;
    p = NULL; /* now the caller's */
    s = NULL;
out:
    plan_free(p);
    spec_free(s);
    dataset_close(ds);
    return rc;
}
