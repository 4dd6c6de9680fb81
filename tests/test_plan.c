/* From a spec to its trials: how they nest, what they are called by, why some are skipped. */
#include "tests/testing.h"

#include "harness/plan.h"

static struct spec *spec;
static struct plan *plan;
static struct text errors;

/* A data set that was opened, of the facts that matter to a plan. */
static const struct dataset_info data = {.name = "made",
                                         .elem = ELEM_U8,
                                         .d = 128,
                                         .n = 100000,
                                         .nq = 1000,
                                         .nt = 50000,
                                         .truth_k = 100,
                                         .identity = {"0123456789abcdef0123456789abcdef"}};

static void forget(void)
{
    plan_free(plan);
    plan = NULL;
    spec_free(spec);
    spec = NULL;
    text_clear(&errors);
}

static int tear_down(void **state)
{
    (void)state;
    forget();
    return 0;
}

#define FILES "dataset: {name: made, base: a.bvecs, query: q.bvecs}\n"
#define HEAD "version: 1\n" FILES

static int make_on(const char *path, const char *text, const struct dataset_info *info)
{
    int rc;

    forget();
    if ((rc = spec_parse(&spec, path, text, NULL, 0, &errors)) < 0) return rc;
    return plan_create(&plan, spec, info, "cpu", 2, &errors);
}

static int make(const char *text)
{
    return make_on("p.yaml", text, &data);
}

static void check_words(const char *words)
{
    if (!strstr(text_get(&errors), words))
        fail_msg("no \"%s\" among\n%s", words, text_get(&errors));
}

/* ---- expansion ---- */

static void test_plan__axes_nest_in_the_documented_order(void **state)
{
    (void)state;
    CHECK_OK(make(HEAD "index: [\"IVF16,PQ8\", \"IVF64,PQ8\"]\n"
                       "train: {seed: [1, 2]}\n"
                       "search: {k: [10, 20], nprobe: [1, 4]}\n"));
    assert_int_equal(plan->ntrials, 16);
    assert_int_equal(plan->runnable, 16);
    for (int i = 0; i < 16; i++) {
        const struct trial *t = &plan->trials[i];

        assert_string_equal(t->index, i & 8 ? "IVF64,PQ8" : "IVF16,PQ8");
        assert_int_equal(t->seed, i & 4 ? 2 : 1);
        assert_int_equal(t->k, i & 2 ? 20 : 10);
        assert_int_equal(t->nprobe, i & 1 ? 4 : 1);
    }
}

static void test_plan__trials_that_share_an_index_are_one_group(void **state)
{
    (void)state;
    CHECK_OK(make(HEAD "index: [\"IVF16,PQ8\", \"IVF64,PQ8\"]\n"
                       "train: {seed: [1, 2]}\n"
                       "float16: [false, true]\nprecomputed_tables: [true, false]\n"
                       "search: {k: [10, 20], batch: [1, 64], nprobe: [1, 4]}\n"));
    assert_int_equal(plan->ngroups, 4);
    for (int i = 0; i < 4; i++) {
        const struct group *g = &plan->groups[i];

        assert_int_equal(g->ntrials, 32);
        assert_ptr_equal(g->trials, plan->trials + 32 * i);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(g->identity.hex, plan->groups[j].identity.hex);
        for (int j = 0; j < 32; j++) {
            assert_string_equal(g->trials[j].index, g->trials->index);
            assert_int_equal(g->trials[j].seed, g->trials->seed);
        }
    }
    assert_string_equal(plan->groups[1].label, "IVF16,PQ8 seed=2");
}

static struct search_desc search_of(const char *text)
{
    CHECK_OK(make(text));
    return plan_search(plan, plan->trials);
}

static void test_plan__a_search_has_its_trials_sizes_and_options(void **state)
{
    struct search_desc s;

    (void)state;
    s = search_of(HEAD "index: \"IVF64,PQ8\"\nsearch: {k: 7, nprobe: 4, batch: 99}\n");
    assert_int_equal(s.nq, 99);
    assert_int_equal(s.k, 7);
    assert_int_equal(s.nprobe, 4);
    assert_int_equal(s.precomputed_tables, 1);
    assert_int_equal(s.float16, 0);
    assert_int_equal(s.temp_bytes, 0);
    s = search_of(HEAD "index: \"IVF64,PQ8\"\nprecomputed_tables: false\nfloat16: true\n"
                       "temp_memory: 1.5GiB\n");
    assert_int_equal(s.nq, data.nq); /* no more than there are */
    assert_int_equal(s.precomputed_tables, 0);
    assert_int_equal(s.float16, 1);
    assert_int_equal(s.temp_bytes, 3 << 29);
    s = search_of(HEAD "index: \"IVF64,Flat\"\nfloat16: true\ntemp_memory: 0\n");
    assert_int_equal(s.precomputed_tables, 0); /* Flat has none */
    assert_int_equal(s.float16, 0);
    assert_int_equal(s.temp_bytes, 1); /* as little as can be: 0 is `auto` to a backend */
}

static void test_plan__a_search_is_widened_by_one_with_its_options_alone(void **state)
{
    struct search_desc s = {.nq = 5, .k = 10, .nprobe = 1, .temp_bytes = 9}, other = s, was = s;

    (void)state;
    other.nq = 4;
    other.nprobe = 3;
    plan_search_widen(&s, &other);
    assert_int_equal(s.nq, 5);
    assert_int_equal(s.k, 10);
    assert_int_equal(s.nprobe, 3);
    for (int i = 0; i < 3; i++) {
        s = other = was;
        other.k = 99;
        other.float16 = i == 0;
        other.precomputed_tables = i == 1;
        if (i == 2) other.temp_bytes = 8;
        assert_false(plan_search_alike(&s, &other));
        plan_search_widen(&s, &other);
        assert_int_equal(s.k, 10);
    }
}

static void test_plan__auto_becomes_what_is_there(void **state)
{
    struct dataset_info floats = data;

    (void)state;
    CHECK_OK(make(HEAD "index: \"IVF16,Flat\"\n"));
    assert_int_equal(plan->trials->threads, 2);
    assert_int_equal(plan->trials->storage, ELEM_U8);
    assert_int_equal(plan->trials->gpus, 0);
    floats.elem = ELEM_F32;
    CHECK_OK(make_on("p.yaml", HEAD "index: \"IVF16,Flat\"\n", &floats));
    assert_int_equal(plan->trials->storage, ELEM_F32);
    CHECK_OK(make(HEAD "index: \"PCAR64,IVF16,Flat\"\n"));
    assert_int_equal(plan->trials->storage, ELEM_F32); /* what a rotation makes of bytes */
}

static void test_plan__training_rows_are_the_originals(void **state)
{
    struct dataset_info large = data;

    (void)state;
    large.nt = 100000000;
    CHECK_OK(make_on("p.yaml", HEAD "index: [\"IVF16,Flat\", \"IVF65536,Flat\"]\n", &large));
    assert_int_equal(plan->groups[0].train_rows, 1000000);
    assert_int_equal(plan->groups[1].train_rows, 65536 * 256);
    CHECK_OK(make(HEAD "index: \"IVF16,Flat\"\n"));
    assert_int_equal(plan->groups->train_rows, 50000);
}

/* ---- identity ---- */

static struct hash identity_of(const char *path, const char *text, const struct dataset_info *info)
{
    CHECK_OK(make_on(path, text, info));
    return plan->trials->identity;
}

static const char one_trial[] = HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 4}\n";

/* Results are found again by it: if this test fails, every store loses its past. */
static void test_plan__identity_is_what_it_always_was(void **state)
{
    (void)state;
    CHECK_OK(make(one_trial));
    assert_string_equal(plan->trials->params,
                        "{\"backend\":\"cpu\",\"batch\":16384,\"coarse_iterations\":25,"
                        "\"dataset\":\"0123456789abcdef0123456789abcdef\",\"float16\":false,"
                        "\"gpus\":0,\"index\":\"IVF64,PQ8\",\"k\":10,\"nprobe\":4,"
                        "\"precomputed_tables\":true,\"replicas\":1,\"seed\":1234,"
                        "\"storage\":\"u8\",\"threads\":2,\"train_rows\":50000}");
    assert_string_equal(plan->groups->params,
                        "{\"backend\":\"cpu\",\"coarse_iterations\":25,"
                        "\"dataset\":\"0123456789abcdef0123456789abcdef\",\"gpus\":0,"
                        "\"index\":\"IVF64,PQ8\",\"replicas\":1,\"seed\":1234,"
                        "\"storage\":\"u8\",\"threads\":2,\"train_rows\":50000}");
    assert_string_equal(plan->trials->identity.hex, "7b066d1cf91b96966d7917e98eb92281");
    assert_string_equal(hash_string(plan->trials->params).hex, plan->trials->identity.hex);
}

static void test_plan__identity_changes_with_all_that_changes_the_number(void **state)
{
    static const char *const others[] = {
        HEAD "index: \"IVF65,PQ8\"\nsearch: {nprobe: 4}\n",
        HEAD "index: \"IVF64,PQ16\"\nsearch: {nprobe: 4}\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 5}\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 4, k: 11}\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 4, batch: 5}\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 4}\ntrain: {seed: 5}\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 4}\ntrain: {coarse_iterations: 5}\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 4}\nthreads: 1\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 4}\nfloat16: true\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 4}\nprecomputed_tables: false\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 4}\ntemp_memory: 0\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 4}\nadd: {batch: 99}\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 4}\ntemp_memory: 1GiB\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 4}\ngpus: 2\nreplicas: 2\n",
        HEAD "index: \"IVF64,Flat\"\nsearch: {nprobe: 4}\n",
        HEAD "index: \"IVF64,Flat\"\nsearch: {nprobe: 4}\nstorage: f32\n",
    };
    enum { OTHERS = sizeof others / sizeof *others };
    struct hash seen[OTHERS + 3];
    struct dataset_info other = data;
    int count = 0;

    (void)state;
    seen[count++] = identity_of("p.yaml", one_trial, &data);
    for (int i = 0; i < OTHERS; i++)
        seen[count++] = identity_of("p.yaml", others[i], &data);
    other.identity.hex[0] = 'f';
    seen[count++] = identity_of("p.yaml", one_trial, &other);
    other = data;
    other.nt = 40000;
    seen[count++] = identity_of("p.yaml", one_trial, &other);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            if (!strcmp(seen[i].hex, seen[j].hex)) fail_msg("cases %d and %d are the same", i, j);
}

static void test_plan__identity_does_not_change_with_names_paths_and_order(void **state)
{
    static const char *const same[] = {
        "search: {nprobe: 4}\nindex: \"IVF64,PQ8\"\n" FILES "version: 1\n",
        "version: 1\nname: other\ndataset: {name: other, query: /x/q.bvecs, base: /y/a.bvecs}\n"
        "index: IVF64,PQ8\nsearch: {nprobe: 4}\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 4, repeat: 3, warmup: 1}\nthreads: 2\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: 4}\nmeasure: [recall]\ncache: false\n"
             "temp_memory: auto\nbackend: cpu\nadd: {batch: 32768}\n",
        HEAD "index: \"IVF64,PQ8\"\nsearch: {nprobe: [4, 1], k: 10, batch: 16384}\n",
    };
    struct hash first;

    (void)state;
    first = identity_of("p.yaml", one_trial, &data);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_string_equal(identity_of("/some/where/else.yaml", same[i], &data).hex, first.hex);
}

static void test_plan__training_rows_can_be_chosen(void **state)
{
    static const char all[] = HEAD "index: \"IVF64,PQ8\"\ntrain: {sample: random}\n",
                      drawn[] = HEAD "index: \"IVF64,PQ8\"\n"
                                     "train: {sample: random, points_per_centroid: 40}\n",
                      first[] = HEAD "index: \"IVF64,PQ8\"\ntrain: {points_per_centroid: 40}\n";

    (void)state;
    CHECK_OK(make(drawn));
    assert_int_equal(plan->groups->train_rows, 40 * 64);
    assert_true(plan->groups->train_sampled);
    assert_non_null(
        strstr(plan->groups->params, "\"train_rows\":2560,\"train_sample\":\"random\"}"));
    CHECK_OK(make(first));
    assert_int_equal(plan->groups->train_rows, 40 * 64);
    assert_false(plan->groups->train_sampled);
    assert_null(strstr(plan->groups->params, "train_sample"));
    CHECK_OK(make(all)); /* a sample of all rows is all rows */
    assert_int_equal(plan->groups->train_rows, data.nt);
    assert_false(plan->groups->train_sampled);
    assert_string_equal(identity_of("p.yaml", all, &data).hex,
                        identity_of("p.yaml", HEAD "index: \"IVF64,PQ8\"\n", &data).hex);
    CHECK_OK(make(HEAD "index: \"IVF64,Flat\"\ntrain: {points_per_centroid: 1000000}\n"));
    assert_int_equal(plan->groups->train_rows, data.nt);
    CHECK_FAILS(ERR_INVALID, "",
                make(HEAD "index: \"IVF16,PQ8\"\ntrain: {points_per_centroid: 2}\n"));
    check_words("PQ needs at least 256 training vectors; points_per_centroid leaves 32");
}

/* ---- centroids from a file ---- */

/* 64 centroids of this many dimensions, the first element as given. */
static const char *put_centroids(int d, float first)
{
    static char path[600];
    static float c[64 * 256];

    c[0] = first;
    snprintf(path, sizeof path, "%s/cent.npy", testing_tmpdir());
    CHECK_OK(centroids_write(path, c, 64, d));
    return path;
}

static int make_given(const char *path)
{
    char text[1200];

    snprintf(text, sizeof text,
             HEAD "index: [\"IVF64,PQ8\", \"IVF16,PQ8\", \"OPQ8,IVF64,PQ8\"]\n"
                  "search: {nprobe: 4}\ntrain: {centroids: %s}\n",
             path);
    return make(text);
}

static void test_plan__given_centroids_are_part_of_the_identity(void **state)
{
    struct hash first;

    (void)state;
    CHECK_OK(make_given(put_centroids(128, 1)));
    first = plan->trials[0].identity;
    assert_non_null(strstr(plan->trials[0].params, "\"train_centroids\":\""));
    CHECK_OK(make_given(put_centroids(128, 1)));
    assert_string_equal(plan->trials[0].identity.hex, first.hex);
    CHECK_OK(make_given(put_centroids(128, 2)));
    assert_string_not_equal(plan->trials[0].identity.hex, first.hex);
}

static void test_plan__given_centroids_go_with_as_many_lists_and_no_transform(void **state)
{
    (void)state;
    CHECK_OK(make_given(put_centroids(128, 1)));
    assert_int_equal(plan->runnable, 1);
    assert_string_equal(plan->trials[1].skip, "train.centroids holds 64 centroids, not 16");
    assert_non_null(strstr(plan->trials[2].skip, "of no use behind a transform"));
    CHECK_FAILS(ERR_INVALID, "", make_given(put_centroids(96, 1)));
    check_words("train.centroids: d = 96, but made has d = 128");
    CHECK_FAILS(ERR_INVALID, "", make_given("nowhere.npy"));
    check_words("train.centroids: nowhere.npy: No such file");
}

static void test_plan__given_centroids_of_no_use_are_an_error(void **state)
{
    char text[1000];

    (void)state;
    snprintf(text, sizeof text,
             HEAD "index: [\"IVF16,PQ8\", \"IVF128,Flat\"]\n"
                  "search: {nprobe: 4}\ntrain: {centroids: %s}\n",
             put_centroids(128, 1));
    CHECK_FAILS(ERR_INVALID, "", make(text));
    check_words("train.centroids: holds 64 centroids, and no index has as many lists");
}

/* ---- what is skipped ---- */

/* The only trial of text is skipped, of that kind and in these words. */
static void check_skip(const char *text, enum skip_kind kind, const char *words)
{
    CHECK_OK(make(text));
    assert_int_equal(plan->ntrials, 1);
    assert_int_equal(plan->runnable, 0);
    assert_int_equal(plan->trials->skip_kind, kind);
    assert_string_equal(plan->trials->skip, words);
}

static void test_plan__what_comes_later_is_skipped_with_that_reason(void **state)
{
#define ONE HEAD "index: \"IVF64,Flat\"\nsearch: {nprobe: 4}\n"
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {ONE "gpus: 2\n",              "gpus 2: with a later version"            },
        {ONE "gpus: 2\nreplicas: 2\n", "gpus 2, replicas 2: with a later version"},
        {ONE "devices: [0]\n",         "devices: with a later version"           },
        {ONE "shard: true\n",          "shard: with a later version"             },
        {ONE "knn_graph: true\n",      "knn_graph: with a later version"         },
        {ONE "add: {max_add: 5}\n",    "add.max_add: with a later version"       },
        {ONE "add: {mode: alt}\n",     "add.mode: with a later version"          },
        {ONE "outputs: {ids: x}\n",    "outputs.ids: with a later version"       },
        {ONE "seeds: [1, 2]\n",        "seeds: with a later version"             },
        {ONE "limits: {seconds: 5}\n", "limits.seconds: with a later version"    },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_skip(cases[i].text, SKIP_LATER, cases[i].reason);
    CHECK_OK(make(ONE "shard: false\nknn_graph: false\nadd: {mode: gpu, max_add: none}\n"));
    assert_int_equal(plan->runnable, 1); /* what is as by default needs nothing */
}

static void test_plan__exclude_leaves_out_what_matches_all_of_an_entry(void **state)
{
    (void)state;
    CHECK_OK(make(HEAD "index: [\"IVF64,Flat\", \"IVF64,PQ8\"]\n"
                       "search: {k: [10, 20], nprobe: [1, 2, 4]}\n"
                       "exclude:\n"
                       "  - {index: \"*,Flat\", nprobe: [1, 4]}\n"
                       "  - {k: 20, search.nprobe: 2}\n"));
    for (int i = 0; i < plan->ntrials; i++) {
        const struct trial *t = &plan->trials[i];
        const char *reason = !t->factory.m && t->nprobe != 2 ? "excluded by exclude[0] (line 6)"
                             : t->k == 20 && t->nprobe == 2  ? "excluded by exclude[1] (line 7)"
                                                             : NULL;

        assert_int_equal(t->skip_kind, reason ? SKIP_RULE : SKIP_NONE);
        if (reason) assert_string_equal(t->skip, reason);
    }
    assert_int_equal(plan->by_rule, 6);
    assert_int_equal(plan->runnable, 6);
    assert_int_equal(plan->excluded[0], 4);
    assert_int_equal(plan->excluded[1], 2);
}

static void test_plan__an_exclude_that_matches_nothing_is_told(void **state)
{
    struct text words = {0};

    (void)state;
    CHECK_OK(make(ONE "exclude: [{nprobe: 4},\n {nprobe: 5}]\n"));
    plan_idle_excludes(plan, &words);
    assert_string_equal(text_get(&words), "p.yaml:6: note: exclude[1] matches no trial\n");
    text_clear(&words);
}

static void test_plan__rules_skip_what_makes_no_sense(void **state)
{
    (void)state;
    CHECK_OK(make(HEAD "index: [\"IVF64,Flat\", \"IVF256,Flat\"]\nsearch: {nprobe: 256}\n"));
    assert_string_equal(plan->trials[0].skip, "nprobe 256 > nlist 64");
    assert_int_equal(plan->trials[0].skip_kind, SKIP_RULE);
    assert_null(plan->trials[1].skip);
    CHECK_OK(make(ONE "gpus: [1, 2, 4]\nreplicas: [1, 2, 4]\n"));
    assert_string_equal(plan->trials[1].skip, "replicas 2 > gpus 1");
    CHECK_OK(make(ONE "gpus: [2, 3]\nreplicas: [1, 2]\n"));
    assert_string_equal(plan->trials[3].skip, "gpus 3 is not a multiple of replicas 2");
    CHECK_OK(make(HEAD "index: [\"PCAR64,IVF64,Flat\", \"IVF64,Flat\"]\n"
                       "storage: [u8, f16]\nsearch: {nprobe: 4}\n"));
    assert_string_equal(plan->trials[0].skip, "storage u8 cannot hold transformed vectors");
    assert_int_equal(plan->runnable, 3);
}

/* Storage means nothing to PQ, tables and their type nothing to Flat, and 2 threads are what auto is here. */
static void test_plan__the_same_trial_runs_once(void **state)
{
    (void)state;
    CHECK_OK(make(HEAD "index: [\"IVF64,Flat\", \"IVF64,PQ8\"]\nsearch: {nprobe: 4}\n"
                       "storage: [u8, f32]\nprecomputed_tables: [true, false]\n"));
    assert_int_equal(plan->ntrials, 8);
    assert_int_equal(plan->runnable, 4);
    assert_int_equal(plan->by_rule, 4);
    assert_non_null(strstr(plan->trials[1].skip, "the same trial as one above"));
    CHECK_OK(make(HEAD "index: [\"IVF64,Flat\", \"IVF64,PQ8\"]\nsearch: {nprobe: 4}\n"
                       "float16: [false, true]\n"));
    assert_int_equal(plan->runnable, 3);
    assert_int_equal(plan->by_rule, 1);
    CHECK_OK(make(ONE "threads: [auto, 2, 1]\n"));
    assert_int_equal(plan->runnable, 2);
    assert_int_equal(plan->groups[1].runnable, 0);
}

static void test_plan__what_does_not_fit_is_skipped_with_both_numbers(void **state)
{
    struct dataset_info huge = data;

    (void)state;
    huge.n = INT64_C(1) << 40;
    CHECK_OK(make_on("p.yaml", ONE, &huge));
    assert_int_equal(plan->no_fit, 1);
    assert_int_equal(plan->trials->skip_kind, SKIP_NO_FIT);
    assert_non_null(strstr(plan->trials->skip, "does not fit: the index needs 1"));
    assert_non_null(strstr(plan->trials->skip, plan_bytes(plan_memory_limit()).s));
}

static void test_plan__memory_is_at_least_what_is_stored(void **state)
{
    (void)state;
    CHECK_OK(make(HEAD "index: [\"IVF64,Flat\", \"IVF64,PQ8\"]\nsearch: {nprobe: 4}\n"));
    assert_true(plan->groups[0].fill.host >= 100000 * (128 + 4));
    assert_true(plan->groups[0].train.host >= 50000 * 128);
    assert_true(plan->groups[1].fill.host >= 100000 * (8 + 4));
    assert_true(plan->groups[1].search.host >= 1000 * (128 * 4 + 10 * 12 + 100 * 8));
    CHECK_OK(
        make(HEAD "index: [\"PCAR64,IVF64,Flat\", \"OPQ8_32,IVF64,PQ8\"]\nsearch: {nprobe: 4}\n"));
    assert_true(plan->groups[0].fill.host >= 100000 * (64 * 4 + 4));
    assert_true(plan->groups[0].train.host >= 50000 * (128 + 64 * 4));
    assert_true(plan->groups[1].train.host >= 50000 * (128 + 32 * 4 + 128 * 4));
    assert_true(plan->groups[1].search.host >= 1000 * ((128 + 32) * 4 + 10 * 12 + 100 * 8));
    CHECK_OK(make(HEAD "index: [\"PCAR64,IVF64,Flat\", \"IVF64,Flat\"]\nsearch: {nprobe: 4}\n"
                       "storage: f32\n"));
    assert_true(plan->groups[0].fill.host < plan->groups[1].fill.host); /* 64 are kept */
}

static void test_plan__blocks_are_bounded_by_rows_and_by_bytes(void **state)
{
    struct dataset_info wide = data;

    (void)state;
    wide.elem = ELEM_F32;
    wide.d = 4096;
    CHECK_OK(make(ONE));
    assert_int_equal(plan_block_rows(plan), 32768);
    CHECK_OK(make(ONE "add: {batch: 1000}\n"));
    assert_int_equal(plan_block_rows(plan), 1000);
    CHECK_OK(make_on("p.yaml", ONE "add: {batch: 16777216}\n", &wide));
    assert_int_equal(plan_block_rows(plan), 1024); /* 16 MiB */
}

static void test_plan__only_keeps_the_keys_that_match(void **state)
{
    (void)state;
    CHECK_OK(make(HEAD "index: [\"IVF64,Flat\", \"IVF64,PQ8\"]\nsearch: {nprobe: [1, 4]}\n"));
    assert_int_equal(plan_only(plan, "*,Flat"), 2);
    assert_int_equal(plan->runnable, 2);
    assert_string_equal(plan->trials[2].skip, "not selected by --only");
    assert_int_equal(plan_only(plan, "IVF9*"), 0);
}

/* ---- what is refused ---- */

static void test_plan__contradictions_with_the_data_are_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {HEAD "index: [\"IVF64,PQ8\", \"IVF64,PQ17\"]\n",
         "p.yaml:3:22: error: index \"IVF64,PQ17\": "                      },
        {HEAD "index: \"IVF65536,Flat\"\n",
         "p.yaml:3:8: error: IVF65536,Flat: 65536 lists need as many training vectors; made has "
         "50000\n"                                                         },
        {HEAD "index: \"IVF64,Flat\"\nsearch: {nprobe: [65, 128]}\n",
         "p.yaml:4:18: error: nprobe: 65 is over nlist 64 in every trial\n"},
    };
    struct dataset_info other = data;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_FAILS(ERR_INVALID, "p.yaml: 1 error", make(cases[i].text));
        check_words(cases[i].words);
    }
    other.nt = 255;
    CHECK_FAILS(ERR_INVALID, "1 error", make_on("p.yaml", HEAD "index: IVF16,PQ8\n", &other));
    check_words("PQ needs at least 256 training vectors; made has 255\n");
}

static void test_plan__a_guess_of_the_data_checks_what_it_can(void **state)
{
    struct dataset_info guess;

    (void)state;
    forget();
    CHECK_OK(spec_parse(&spec, "p.yaml",
                        "version: 1\ndataset: {name: SIFT10M, root: r}\nindex: \"IVF64,Flat\"\n",
                        NULL, 0, &errors));
    plan_guess_data(&guess, spec);
    assert_int_equal(guess.n, 10000000);
    assert_int_equal(guess.d, 128);
    CHECK_OK(plan_create(&plan, spec, &guess, "cpu", 2, &errors));
    assert_int_equal(plan->runnable, 7); /* nprobe 128 and 256 are over nlist */
}

static void test_plan__making_one_survives_every_failed_allocation(void **state)
{
    int rc = ERR_NOMEM;

    (void)state;
    forget();
    CHECK_OK(spec_parse(&spec, "p.yaml", ONE "gpus: [1, 2]\nthreads: [1, 2]\n", NULL, 0, &errors));
    for (int64_t nth = 1; rc == ERR_NOMEM; nth++) {
        mem_fail_at(nth);
        rc = plan_create(&plan, spec, &data, "cpu", 2, &errors);
        mem_fail_at(0);
        assert_true(nth < 1000);
    }
    CHECK_OK(rc);
    assert_int_equal(plan->runnable, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_plan__axes_nest_in_the_documented_order),
        TEST(test_plan__trials_that_share_an_index_are_one_group),
        TEST(test_plan__a_search_has_its_trials_sizes_and_options),
        TEST(test_plan__a_search_is_widened_by_one_with_its_options_alone),
        TEST(test_plan__auto_becomes_what_is_there),
        TEST(test_plan__training_rows_are_the_originals),
        TEST(test_plan__identity_is_what_it_always_was),
        TEST(test_plan__identity_changes_with_all_that_changes_the_number),
        TEST(test_plan__identity_does_not_change_with_names_paths_and_order),
        TEST(test_plan__training_rows_can_be_chosen),
        TEST(test_plan__given_centroids_are_part_of_the_identity),
        TEST(test_plan__given_centroids_of_no_use_are_an_error),
        TEST(test_plan__given_centroids_go_with_as_many_lists_and_no_transform),
        TEST(test_plan__what_comes_later_is_skipped_with_that_reason),
        TEST(test_plan__exclude_leaves_out_what_matches_all_of_an_entry),
        TEST(test_plan__an_exclude_that_matches_nothing_is_told),
        TEST(test_plan__rules_skip_what_makes_no_sense),
        TEST(test_plan__the_same_trial_runs_once),
        TEST(test_plan__what_does_not_fit_is_skipped_with_both_numbers),
        TEST(test_plan__memory_is_at_least_what_is_stored),
        TEST(test_plan__blocks_are_bounded_by_rows_and_by_bytes),
        TEST(test_plan__only_keeps_the_keys_that_match),
        TEST(test_plan__contradictions_with_the_data_are_refused),
        TEST(test_plan__a_guess_of_the_data_checks_what_it_can),
        TEST(test_plan__making_one_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
