/* What a run leaves in the database, end to end: metrics, samples, phases, doubts. */
#include "tests/testing.h"

#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness/evaluate.h"
#include "tests/program.h"

enum { N = 600, D = 8, NQ = 20, TRUE_K = 20 };

static const char small[] = "version: 1\n"
                            "name: small\n"
                            "dataset: {name: synthetic, n: 5000, d: 32, nq: 50}\n"
                            "index: [\"IVF16,Flat\", \"IVF16,PQ8\"]\n"
                            "search: {k: 100, nprobe: [1, 4, 16], warmup: 2, repeat: 6}\n";

/* A run of `small` that the tests below look at; made once. */
static const char *small_run(void)
{
    const char *db = program_file("small.db");

    if (access(db, F_OK) == 0) return db;
    assert_int_equal(program("run", program_spec("small.yaml", "%s", small), "--db", db), 0);
    return db;
}

static void test_run__every_trial_has_its_row(void **state)
{
    const char *db = small_run();
    (void)state;

    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE status = 'ok'"), 6);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial"), 6);
    assert_int_equal(program_count(db, "SELECT exit FROM run"), 0);
}

static void test_run__all_lists_probed_is_exact(void **state)
{
    const char *db = small_run();
    (void)state;

    assert_int_equal(program_count(db,
                                   "SELECT count(*) FROM trial JOIN metric ON trial = trial.id"
                                   " WHERE \"index\" = 'IVF16,Flat' AND nprobe = 16 AND value = 1"
                                   " AND name IN ('recall_1', 'recall_10', 'recall_100',"
                                   " 'recall_tie', 'krecall_10', 'intersection_10')"),
                     6);
}

static void test_run__more_probes_never_lose_recall(void **state)
{
    const char *db = small_run();
    (void)state;

    assert_int_equal(program_count(db, "SELECT count(*) FROM trial a JOIN trial b USING (\"index\")"
                                       " JOIN metric x ON x.trial = a.id JOIN metric y ON"
                                       " y.trial = b.id AND x.name = y.name WHERE"
                                       " \"index\" = 'IVF16,Flat' AND x.name = 'recall_tie' AND"
                                       " a.nprobe < b.nprobe AND x.value > y.value"),
                     0);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE flags LIKE '%suspect%'"),
                     0);
}

static void test_run__every_pass_is_kept(void **state)
{
    const char *db = small_run();
    (void)state;

    assert_int_equal(program_count(db, "SELECT count(*) FROM sample WHERE stage = 'first'"), 6);
    assert_int_equal(program_count(db, "SELECT count(*) FROM sample WHERE stage = 'warmup'"), 12);
    assert_int_equal(program_count(db, "SELECT count(*) FROM sample WHERE stage = 'search'"), 36);
    assert_int_equal(program_count(db, "SELECT count(*) FROM sample WHERE wall_ns <= 0"), 0);
}

static void test_run__every_phase_has_a_time_and_search_a_peak(void **state)
{
    const char *db = small_run();
    (void)state;

    assert_string_equal(program_text(db, "SELECT group_concat(name) FROM (SELECT name FROM phase"
                                         " WHERE trial = 1 ORDER BY id)"),
                        "open,train,add,truth,search,evaluate");
    assert_int_equal(program_count(db, "SELECT count(*) FROM phase WHERE wall_ns <= 0"), 0);
    assert_int_equal(program_count(db, "SELECT count(*) FROM phase WHERE name = 'search' AND"
                                       " peak_host_bytes < 1000000"),
                     0);
}

static void test_run__hits_of_every_query_are_kept(void **state)
{
    const char *db = small_run();
    (void)state;

    assert_int_equal(program_count(db, "SELECT count(*) FROM hits WHERE nq = 50 AND"
                                       " name IN ('recall_1', 'intersection_10')"),
                     12);
}

static void test_run__table_is_on_stdout_and_progress_on_stderr(void **state)
{
    const char *db = program_file("streams.db");
    (void)state;

    assert_int_equal(program("run", program_spec("small.yaml", "%s", small), "--db", db), 0);
    assert_non_null(strstr(program_out(), "IVF16,Flat"));
    assert_non_null(strstr(program_out(), "QPS"));
    assert_null(strstr(program_out(), "streams.db"));
    assert_non_null(strstr(program_err(), "6/6"));
    assert_non_null(strstr(program_err(), "streams.db"));
}

static void test_run__quiet_leaves_stderr_empty(void **state)
{
    (void)state;
    assert_int_equal(program("run", program_spec("small.yaml", "%s", small), "--db",
                             program_file("quiet.db"), "--quiet"),
                     0);
    assert_string_equal(program_err(), "");
    assert_non_null(strstr(program_out(), "IVF16,PQ8"));
}

static void test_run__finished_trials_are_not_run_again(void **state)
{
    const char *db = small_run();
    (void)state;

    assert_int_equal(program("run", program_spec("small.yaml", "%s", small), "--db", db), 0);
    assert_non_null(strstr(program_err(), "already finished: 6 trials; --force"));
    assert_non_null(strstr(program_out(), "IVF16,Flat"));
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial"), 6);
}

static void test_run__only_the_new_trials_of_a_longer_spec_are_run(void **state)
{
    const char *db = program_file("longer.db");
    (void)state;

    assert_int_equal(program("run", program_spec("small.yaml", "%s", small), "--db", db), 0);
    assert_int_equal(program("run", program_spec("small.yaml", "%s", small), "--db", db, "--set",
                             "search.nprobe=[1,2,4,16]"),
                     0);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial"), 8);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE nprobe = 2"), 2);
}

static void test_run__force_repeats_with_a_cached_model_and_the_same_recalls(void **state)
{
    const char *db = program_file("force.db");
    (void)state;

    for (int i = 0; i < 2; i++)
        assert_int_equal(
            program("run", program_spec("small.yaml", "%s", small), "--db", db, "--force"), 0);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE status = 'ok'"), 12);
    assert_int_equal(program_count(db, "SELECT min(cached) FROM phase JOIN trial ON"
                                       " trial.id = trial WHERE name = 'train' AND attempt = 2"),
                     1);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial a JOIN trial b USING (identity)"
                                       " JOIN metric x ON x.trial = a.id JOIN metric y ON"
                                       " y.trial = b.id AND x.name = y.name"
                                       " WHERE a.attempt = 1 AND b.attempt = 2"
                                       " AND x.value <> y.value"),
                     0);
}

static void test_run__training_time_is_of_the_trials_own_threads(void **state)
{
    const char *db = program_file("threads.db");
    (void)state;

    assert_int_equal(program("run", program_spec("small.yaml", "%s", small), "--db", db, "--set",
                             "threads=[3, 4]"),
                     0);
    assert_int_equal(program_count(db, "SELECT count(DISTINCT threads) FROM trial"), 2);
    assert_int_equal(program_count(db, "SELECT max(cached) FROM phase WHERE name = 'train'"), 0);
}

static void test_run__without_cache_the_same_is_trained_again(void **state)
{
    const char *db = program_file("nocache.db");
    (void)state;

    small_run();
    assert_int_equal(
        program("run", program_spec("small.yaml", "%s", small), "--db", db, "--set", "cache=false"),
        0);
    assert_int_equal(program_count(db, "SELECT max(cached) FROM phase"), 0);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE status = 'ok'"), 6);
}

static void test_run__only_selects_by_index(void **state)
{
    const char *db = program_file("only.db");
    (void)state;

    assert_int_equal(
        program("run", program_spec("small.yaml", "%s", small), "--db", db, "--only", "*,Flat"), 0);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial"), 3);
}

static void test_run__what_comes_later_is_skipped_and_recorded(void **state)
{
    const char *db = program_file("later.db");
    (void)state;

    assert_int_equal(
        program("run", program_spec("small.yaml", "%s", small), "--db", db, "--set", "gpus=[1,2]"),
        0);
    assert_int_equal(program_count(db, "SELECT count(*) > 0 FROM trial WHERE status = 'skipped' AND"
                                       " reason <> ''"),
                     1);
    assert_int_equal(program_count(db, "SELECT count(*) > 0 FROM trial WHERE status = 'ok'"), 1);
}

/* ---- data of our own ---- */

static float base[N][D], query[NQ][D];
static int32_t truth[NQ][TRUE_K];

static double distance(const float *a, const float *b)
{
    double sum = 0;

    for (int i = 0; i < D; i++)
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sum;
}

/* The TRUE_K nearest, one after the other. */
static void find_truth(int q)
{
    double dist[N];

    for (int i = 0; i < N; i++)
        dist[i] = distance(query[q], base[i]);
    for (int r = 0; r < TRUE_K; r++) {
        int best = 0;

        for (int i = 1; i < N; i++)
            if (dist[i] < dist[best]) best = i;
        truth[q][r] = best;
        dist[best] = INFINITY;
    }
}

static void fill(float rows[][D], int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < D; j++)
            rows[i][j] = (float)(rand() % 1000);
}

static void make_data(void)
{
    srand(7);
    fill(base, N);
    fill(query, NQ);
    for (int q = 0; q < NQ; q++)
        find_truth(q);
}

/* rows of d 4-byte values, each with d before it */
static void write_vecs(const char *name, const void *rows, int n, int32_t d)
{
    FILE *f = fopen(program_file(name), "wb");

    assert_non_null(f);
    for (int i = 0; i < n; i++) {
        fwrite(&d, 4, 1, f);
        fwrite((const char *)rows + (size_t)i * (size_t)d * 4, 4, (size_t)d, f);
    }
    fclose(f);
}

static const char *files_spec(const char *name)
{
    write_vecs("base.fvecs", base, N, D);
    write_vecs("query.fvecs", query, NQ, D);
    write_vecs("truth.ivecs", truth, NQ, TRUE_K);
    return program_spec(name, "version: 1\n"
                              "name: files\n"
                              "dataset: {name: mine, base: base.fvecs, query: query.fvecs, "
                              "truth: truth.ivecs}\n"
                              "index: \"IVF4,Flat\"\n"
                              "search: {k: 20, nprobe: [1, 4]}\n");
}

static void test_run__shipped_truth_that_is_right_is_believed(void **state)
{
    const char *db = program_file("right.db"), *spec;
    (void)state;

    make_data();
    spec = files_spec("files.yaml");
    assert_int_equal(program("run", spec, "--db", db), 0);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE flags LIKE '%suspect%'"),
                     0);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial JOIN metric ON trial = trial.id"
                                       " WHERE nprobe = 4 AND value = 1"),
                     5);
}

static void test_run__shipped_truth_that_is_wrong_is_suspect(void **state)
{
    const char *db = program_file("wrong.db"), *spec;
    (void)state;

    make_data();
    truth[0][3] = truth[0][TRUE_K - 1];
    spec = files_spec("wrong.yaml");
    assert_int_equal(program("run", spec, "--db", db), 0);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE flags LIKE '%suspect%'"),
                     2);
    assert_non_null(strstr(program_text(db, "SELECT reason FROM trial"), "neighbour 4 of query 0"));
}

/* A few queries are checked beforehand; of the others a search may find what the truth lacks. */
static void test_run__a_truth_that_lacks_what_is_found_is_suspect(void **state)
{
    const char *db = program_file("lacks.db"), *spec;
    (void)state;

    make_data();
    truth[1][3] = truth[1][TRUE_K - 1];
    spec = files_spec("lacks.yaml");
    assert_int_equal(
        program("run", spec, "--db", db, "--set", "index=[\"IVF4,Flat\",\"IVF4,PQ8\"]"), 0);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE flags LIKE '%suspect%' AND"
                                       " reason = 'truth lacks an answer to query 1 that is nearer"
                                       " than its neighbour 10' AND nprobe = 4"),
                     2);
}

static void test_run__a_nan_in_the_base_fails_the_trials_and_names_the_row(void **state)
{
    const char *db = program_file("nan.db"), *spec;
    (void)state;

    make_data();
    base[417][2] = NAN;
    spec = files_spec("nan.yaml");
    assert_int_equal(program("run", spec, "--db", db), 1);
    assert_non_null(strstr(program_err(), "417"));
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE status = 'failed' AND"
                                       " reason LIKE '%417%'"),
                     2);
    assert_int_equal(program_count(db, "SELECT exit FROM run"), 1);
}

static void test_run__where_nothing_failed_there_is_nothing_to_rerun(void **state)
{
    const char *db = program_file("again.db"), *spec;
    (void)state;

    make_data();
    spec = files_spec("again.yaml");
    assert_int_equal(program("run", spec, "--db", db), 0);
    assert_int_equal(program("run", spec, "--db", db, "--rerun-failed"), 4);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial"), 2);
}

static void test_run__what_was_not_measured_is_not_finished(void **state)
{
    const char *db = program_file("measure.db"), *spec;
    (void)state;

    make_data();
    spec = files_spec("measure.yaml");
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(program("run", spec, "--db", db, "--set",
                                 i == 1 ? "measure=[intersection]" : "measure=[recall]"),
                         0);
        assert_int_equal(program_count(db, "SELECT count(*) FROM trial"), i == 1 ? 2 : 4);
    }
}

static void test_run__fewer_passes_than_asked_for_are_not_finished(void **state)
{
    static const char *const repeats[] = {"search.repeat=3", "search.repeat=7", "search.repeat=5"};
    const char *db = program_file("passes.db"), *spec;
    (void)state;

    make_data();
    spec = files_spec("passes.yaml");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(program("run", spec, "--db", db, "--set", repeats[i]), 0);
        assert_int_equal(program_count(db, "SELECT count(*) FROM trial"), i ? 4 : 2);
    }
}

static void test_run__centroids_are_written_though_all_is_finished(void **state)
{
    const char *db = program_file("centroids.db"), *file = program_file("coarse.npy"), *spec;
    (void)state;

    make_data();
    spec = files_spec("centroids.yaml");
    assert_int_equal(program("run", spec, "--db", db), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(program("run", spec, "--db", db, "--set", "outputs.centroids=coarse.npy"),
                         0);
        assert_int_equal(access(file, F_OK), 0);
        assert_int_equal(program_count(db, "SELECT count(*) FROM trial"), 4);
    }
}

static void test_run__nothing_is_written_over_what_is_read(void **state)
{
    static const char *const over[] = {"base.fvecs", "query.fvecs", "given.npy"};
    const char *db = program_file("over.db"), *spec;
    (void)state;

    make_data();
    spec = files_spec("over.yaml");
    assert_int_equal(
        program("convert", program_file("base.fvecs"), program_file("given.npy"), "--limit", "4"),
        0);
    for (int i = 0; i < 3; i++) {
        char set[60];

        snprintf(set, sizeof set, "outputs.centroids=%s", over[i]);
        for (int check = 0; check < 2; check++) {
            assert_int_equal(
                check ? program("check", spec, "--set", set, "--set", "train.centroids=given.npy")
                      : program("run", spec, "--db", db, "--set", set, "--set",
                                "train.centroids=given.npy"),
                2);
            assert_non_null(strstr(program_err(), over[i]));
        }
    }
    assert_int_equal(program("check", spec, "--set", "outputs.centroids=c.ivecs"), 2);
}

/* What no ivfbench reads is an error to `check`; what is not here is not. */
static void test_run__check_refuses_data_that_run_would(void **state)
{
    static const char before[] = "{'descr': '<f4', 'fortran_order': ";
    const char *spec, *turned = program_file("turned.npy");
    FILE *f;
    (void)state;

    make_data();
    spec = files_spec("refused.yaml");
    assert_int_equal(program("convert", program_file("base.fvecs"), turned), 0);
    assert_non_null(f = fopen(turned, "r+b"));
    assert_int_equal(fseek(f, 10 + sizeof before - 1, SEEK_SET), 0);
    assert_int_equal(fwrite("True ", 5, 1, f), 1);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(program("check", spec, "--set", "dataset.base=turned.npy"), 1);
    assert_non_null(strstr(program_err(), "numpy.ascontiguousarray"));
    assert_int_equal(program("check", spec, "--set", "dataset.base=nowhere.npy"), 0);
    assert_non_null(strstr(program_err(), "not checked against data"));
}

static void test_run__a_truth_of_more_vectors_is_left_out_aloud(void **state)
{
    const char *db = program_file("limit.db"), *spec;
    (void)state;

    make_data();
    spec = files_spec("limit.yaml");
    assert_int_equal(program("run", spec, "--db", db, "--set", "dataset.limit=300"), 0);
    assert_non_null(strstr(program_err(), "truth.ivecs: is the truth of more than 300"));
}

/* As if all trials so far had had that recall. */
static void pretend(const char *db, const char *recall_tie)
{
    char update[100];
    sqlite3 *c = NULL;

    snprintf(update, sizeof update, "UPDATE metric SET value = %s WHERE name = 'recall_tie'",
             recall_tie);
    assert_int_equal(sqlite3_open(db, &c), SQLITE_OK);
    assert_int_equal(sqlite3_exec(c, update, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(c);
}

static void test_run__recall_that_falls_with_nprobe_is_suspect(void **state)
{
    const char *db = program_file("falls.db"), *spec;
    (void)state;

    make_data();
    spec = files_spec("falls.yaml");
    assert_int_equal(program("run", spec, "--db", db, "--set", "search.nprobe=1"), 0);
    pretend(db, "1.5");
    assert_int_equal(program("run", spec, "--db", db), 0);
    assert_non_null(
        strstr(program_text(db, "SELECT flags FROM trial WHERE nprobe = 4"), "suspect"));
    assert_non_null(strstr(program_text(db, "SELECT reason FROM trial WHERE nprobe = 4"),
                           "recall_tie falls from 1.5000 at nprobe 1"));
}

static void test_run__more_probes_may_have_been_measured_first(void **state)
{
    const char *db = program_file("rises.db"), *spec;
    (void)state;

    make_data();
    spec = files_spec("rises.yaml");
    assert_int_equal(program("run", spec, "--db", db, "--set", "search.nprobe=4"), 0);
    pretend(db, "0.01");
    assert_int_equal(program("run", spec, "--db", db), 0);
    assert_non_null(strstr(program_text(db, "SELECT reason FROM trial WHERE nprobe = 1"),
                           "to 0.0100 at nprobe 4"));
}

static void test_run__flat_may_not_fall_and_pq_only_by_noise(void **state)
{
    (void)state;
    assert_true(evaluate_allowed_fall(0.5, 0, 1000) == 0);
    assert_float_equal(evaluate_allowed_fall(0.5, 16, 10000), 3 * 0.005 + 0.002, 1e-12);
    assert_float_equal(evaluate_allowed_fall(1, 16, 10000), 0.002, 1e-12);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_run__every_trial_has_its_row),
    cmocka_unit_test(test_run__all_lists_probed_is_exact),
    cmocka_unit_test(test_run__more_probes_never_lose_recall),
    cmocka_unit_test(test_run__every_pass_is_kept),
    cmocka_unit_test(test_run__every_phase_has_a_time_and_search_a_peak),
    cmocka_unit_test(test_run__hits_of_every_query_are_kept),
    cmocka_unit_test(test_run__table_is_on_stdout_and_progress_on_stderr),
    cmocka_unit_test(test_run__quiet_leaves_stderr_empty),
    cmocka_unit_test(test_run__finished_trials_are_not_run_again),
    cmocka_unit_test(test_run__only_the_new_trials_of_a_longer_spec_are_run),
    cmocka_unit_test(test_run__force_repeats_with_a_cached_model_and_the_same_recalls),
    cmocka_unit_test(test_run__training_time_is_of_the_trials_own_threads),
    cmocka_unit_test(test_run__without_cache_the_same_is_trained_again),
    cmocka_unit_test(test_run__only_selects_by_index),
    cmocka_unit_test(test_run__what_comes_later_is_skipped_and_recorded),
    cmocka_unit_test(test_run__shipped_truth_that_is_right_is_believed),
    cmocka_unit_test(test_run__shipped_truth_that_is_wrong_is_suspect),
    cmocka_unit_test(test_run__a_truth_that_lacks_what_is_found_is_suspect),
    cmocka_unit_test(test_run__a_nan_in_the_base_fails_the_trials_and_names_the_row),
    cmocka_unit_test(test_run__where_nothing_failed_there_is_nothing_to_rerun),
    cmocka_unit_test(test_run__what_was_not_measured_is_not_finished),
    cmocka_unit_test(test_run__fewer_passes_than_asked_for_are_not_finished),
    cmocka_unit_test(test_run__centroids_are_written_though_all_is_finished),
    cmocka_unit_test(test_run__nothing_is_written_over_what_is_read),
    cmocka_unit_test(test_run__check_refuses_data_that_run_would),
    cmocka_unit_test(test_run__a_truth_of_more_vectors_is_left_out_aloud),
    cmocka_unit_test(test_run__recall_that_falls_with_nprobe_is_suspect),
    cmocka_unit_test(test_run__more_probes_may_have_been_measured_first),
    cmocka_unit_test(test_run__flat_may_not_fall_and_pq_only_by_noise),
};

TESTING_MAIN(tests)
