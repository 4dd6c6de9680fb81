#include "harness/plan.h"

#include "engine/base/thread.h"

/* Facts of the data; a guess, with a note, where opening it may fail and did. */
static int look_at_data(struct dataset_info *out, const struct spec *spec, int must_open,
                        struct text *note)
{
    struct dataset *ds = NULL;
    int rc = dataset_open(&ds, &spec->dataset);

    if (rc == ERR_UNSUPPORTED || (rc == ERR_IO && !must_open)) {
        plan_guess_data(out, spec);
        text_addf(note, "dataset %s: %s: not checked against data", spec->dataset_name,
                  fail_text());
        rc = text_failed(note);
    } else if (rc < 0) {
        fail_in(rc, "dataset %s", spec->dataset_name);
    } else {
        *out = *dataset_info(ds);
    }
    dataset_close(ds);
    return rc;
}

int plan_load(struct plan **out, struct spec **spec, const char *path, const char *const *set,
              int nset, int must_open, struct plan_words *words)
{
    struct dataset_info data;
    struct plan *p = NULL;
    struct spec *s = NULL;
    int rc;

    if ((rc = spec_load(&s, path, set, nset, &words->errors)) < 0) goto out;
    if ((rc = look_at_data(&data, s, must_open, &words->note)) < 0) goto out;
    rc = plan_create(&p, s, &data, plan_backend(s), thread_count(), &words->errors);
    if (rc < 0) goto out;
    *out = p;
    *spec = s;
    s = NULL; /* now the caller's */
out:
    spec_free(s);
    return rc;
}
