/*
 * Values against each other. Runs on what could be read, also where some values were wrong (a
 * count of 0, a NULL), so that one reading of a spec shows all its errors.
 */
#include "harness/spec_read.h"

#include <string.h>

#include "engine/dataset.h"
#include "engine/factory.h"

enum { TRIALS_MAX = 100000 };

static const struct node *given(const struct reading *r, const char *name)
{
    return r->given[spec_key_row(spec_key_find(name))];
}

/* ---- the data set: which keys go with which kind ---- */

static void refuse_keys(struct reading *r, const char *const *names, int count, const char *why)
{
    for (int i = 0; i < count; i++)
        if (given(r, names[i]))
            diag_error(&r->diag, given(r, names[i])->at, "%s %s", names[i], why);
}

static void want_key(struct reading *r, const char *name, const char *why)
{
    if (!given(r, name))
        diag_error(&r->diag, given(r, "dataset.name")->at, "%s is missing: %s", name, why);
}

static const char *const file_keys[] = {"dataset.base", "dataset.query", "dataset.learn",
                                        "dataset.truth", "dataset.limit"};
static const char *const made_keys[] = {"dataset.n", "dataset.d", "dataset.nq", "dataset.nt",
                                        "dataset.seed"};
static const char *const root_keys[] = {"dataset.root"};

static void check_dataset(struct reading *r)
{
    const char *name = r->spec->dataset_name;
    int d;

    if (!name) return;
    if (!strcmp(name, "synthetic")) {
        refuse_keys(r, file_keys, 5,
                    "has no meaning for synthetic data: it has n, d, nq, nt, seed");
        refuse_keys(r, root_keys, 1,
                    "has no meaning for synthetic data: it has n, d, nq, nt, seed");
        want_key(r, "dataset.n", "how many vectors to make");
        want_key(r, "dataset.d", "of how many dimensions");
    } else if ((d = dataset_name_d(name)) < 0) {
        diag_error(&r->diag, given(r, "dataset.name")->at, "%s", fail_text());
    } else if (d > 0) {
        refuse_keys(r, file_keys, 5, "is for your own files; this data set is found under root");
        refuse_keys(r, made_keys, 5, "is for synthetic data");
        want_key(r, "dataset.root",
                 "the folder the files are in, as in root: \"${IVFBENCH_DATA}\"");
    } else {
        refuse_keys(r, made_keys, 5, "is for synthetic data");
        refuse_keys(r, root_keys, 1,
                    "is for SIFT<n>M, Deep<n>M and TEXMEX-SIFT1M; base and query are whole paths");
        want_key(r, "dataset.base", "the file of vectors to search");
        if (!r->spec->base || !dataset_file_holds_all(r->spec->base))
            want_key(r, "dataset.query", "the file of queries");
    }
}

/* ---- factory keys against the data's dimensions ---- */

void spec_check_d(const struct spec *s, int d, struct diag *diag)
{
    struct factory f;

    for (int i = 0; i < s->index.count; i++)
        if (factory_parse(&f, s->index.v[i]) < 0 || factory_check(&f, s->index.v[i], d) < 0)
            diag_error(diag, s->index_at[i], "%s", fail_text());
}

static void check_factory(struct reading *r)
{
    const struct spec *s = r->spec;
    int d = !s->dataset_name ? 0 : (int)s->dataset_d;

    if (s->dataset_name && !d) d = dataset_name_d(s->dataset_name);
    if (d > 0) spec_check_d(s, d, &r->diag);
}

/* ---- replicas against gpus ---- */

static int fits(int64_t gpus, int64_t replicas)
{
    return replicas <= gpus && gpus % replicas == 0;
}

/* A value that goes with none of the other axis's can never run: that is a mistake. Pairs that
   do not go together beside others that do are skipped by the plan. */
static void check_replicas(struct reading *r)
{
    const struct spec_ints *gpus = &r->spec->gpus, *replicas = &r->spec->replicas;
    const struct node *n = given(r, "replicas") ? given(r, "replicas") : given(r, "gpus");

    for (int i = 0; n && i < replicas->count; i++) {
        int64_t most = 0;
        int fine = gpus->count == 0;

        for (int j = 0; j < gpus->count; j++) {
            fine |= fits(gpus->v[j], replicas->v[i]);
            if (gpus->v[j] > most) most = gpus->v[j];
        }
        if (!fine && replicas->v[i] > most)
            diag_error(&r->diag, n->at,
                       "replicas %lld is over gpus %lld: a replica is at least a GPU",
                       (long long)replicas->v[i], (long long)most);
        else if (!fine)
            diag_error(&r->diag, n->at, "gpus %lld cannot be shared out evenly over replicas %lld",
                       (long long)most, (long long)replicas->v[i]);
    }
}

/* ---- files that trials would write over each other ---- */

static void check_outputs(struct reading *r)
{
    const struct spec *s = r->spec;
    const struct node *n = given(r, "outputs.centroids");

    if (!n || !s->outputs_centroids) return;
    if (s->index.count > 1 && !strstr(s->outputs_centroids, "{index}"))
        diag_error(&r->diag, n->at, "outputs.centroids: several indexes want {index} in the name");
    if (s->seed.count > 1 && !strstr(s->outputs_centroids, "{seed}"))
        diag_error(&r->diag, n->at, "outputs.centroids: several seeds want {seed} in the name");
}

static void check_count(struct reading *r)
{
    int64_t trials = 1;

    for (int axis = 0; axis < AXES && trials <= TRIALS_MAX; axis++)
        if (spec_axis_count(r->spec, (enum spec_axis)axis) > 0)
            trials *= spec_axis_count(r->spec, (enum spec_axis)axis);
    if (trials > TRIALS_MAX && given(r, "index"))
        diag_error(&r->diag, given(r, "index")->at,
                   "the axes multiply to more than %d trials: split the spec", TRIALS_MAX);
}

void spec_check(struct reading *r)
{
    check_dataset(r);
    check_factory(r);
    check_replicas(r);
    check_outputs(r);
    check_count(r);
}
