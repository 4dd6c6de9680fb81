#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>

#include "results/export.h"
#include "tests/fake.h"

static struct store *open_fresh(void)
{
    static int count;
    struct store *db = NULL;
    char path[600];

    snprintf(path, sizeof path, "%s/%d.db", testing_tmpdir(), count++);
    CHECK_OK(store_open(&db, path));
    return db;
}

static int export_as(struct store *db, struct export_filter filter, enum export_format format,
                     struct text *out)
{
    int rows;

    text_reset(out);
    rows = export_rows(db, &filter, format, out);
    CHECK_OK(rows);
    return rows;
}

static int lines(const char *s)
{
    int n = 0;

    for (; *s; s++)
        n += *s == '\n';
    return n;
}

static void test_export__csv_begins_with_the_columns_that_scripts_count_on(void **state)
{
    static const char columns[] =
        "spec,status,reason,flags,dataset,n,d,index,backend,device,gpus,replicas,storage,float16,"
        "threads,seed,k,nprobe,batch,nq,search_ms,search_device_ms,qps,recall_1,recall_10,"
        "recall_100,krecall_10,recall_tie,intersection_10,train_s,add_s,peak_host_bytes,"
        "peak_device_bytes,commit,";
    struct store *db = open_fresh();
    struct text out = {0};

    (void)state;
    assert_int_equal(export_as(db, (struct export_filter){0}, EXPORT_CSV, &out), 0);
    assert_memory_equal(text_get(&out), columns, sizeof columns - 1);
    assert_int_equal(lines(text_get(&out)), 1);
    text_clear(&out);
    store_close(db);
}

static void test_export__a_row_holds_medians_of_the_samples(void **state)
{
    struct store *db = open_fresh();
    struct store_trial t = fake_trial(fake_run(db), "IVF1024,Flat", 1, 4);
    struct text out = {0};

    (void)state;
    CHECK_OK(store_begin(db, &t));
    CHECK_OK(store_phase(db, "train", 2000000000, -1, 100, -1, 0));
    CHECK_OK(store_phase(db, "add", 500000000, -1, 300, -1, 0));
    CHECK_OK(store_sample(db, "warmup", 0, 999000000, -1));
    CHECK_OK(store_sample(db, "search", 0, 50000000, -1));
    CHECK_OK(store_sample(db, "search", 1, 20000000, -1));
    CHECK_OK(store_sample(db, "search", 2, 30000000, -1));
    CHECK_OK(store_sample(db, "search", 3, 40000000, -1));
    CHECK_OK(store_metric(db, "recall_1", 0.1 + 0.2));
    CHECK_OK(store_metric(db, "recall_10", NAN));
    CHECK_OK(store_end(db, STATUS_OK, NULL, "noisy"));
    assert_int_equal(export_as(db, (struct export_filter){0}, EXPORT_CSV, &out), 1);
    assert_non_null(strstr(text_get(&out),
                           "\nfake,ok,,noisy,toys,200000,128,\"IVF1024,Flat\",cpu,Toy <9000> & co,"
                           "0,1,u8,0,2,1,100,4,16384,1000,35,,28571.428571428572,"
                           "0.30000000000000004,,,,,,2,0.5,300,,"
                           "0123456789abcdef0123456789abcdef01234567,27.5,42.5,4,1024,1,"));
    text_clear(&out);
    store_close(db);
}

static void test_export__json_has_numbers_as_numbers_and_null_for_missing(void **state)
{
    struct store *db = open_fresh();
    struct text out = {0};

    (void)state;
    assert_int_equal(export_as(db, (struct export_filter){0}, EXPORT_JSON, &out), 0);
    assert_string_equal(text_get(&out), "[\n]\n");
    fake_sweep(db);
    assert_int_equal(export_as(db, (struct export_filter){0}, EXPORT_JSON, &out), 56);
    assert_int_equal(lines(text_get(&out)), 58);
    assert_non_null(strstr(text_get(&out), "\"nprobe\": 256, "));
    assert_non_null(strstr(text_get(&out), "\"search_device_ms\": null, "));
    assert_non_null(strstr(text_get(&out), "\"reason\": \"because, it \\\"said\\\" so\""));
    text_clear(&out);
    store_close(db);
}

static void test_export__the_last_attempt_stands_for_the_trial(void **state)
{
    struct store *db = open_fresh();
    struct store_trial t = fake_trial(fake_run(db), "IVF1024,Flat", 1, 4);
    struct text out = {0};

    (void)state;
    CHECK_OK(fake_store(db, &t, STATUS_OK));
    CHECK_OK(fake_store(db, &t, STATUS_FAILED));
    assert_int_equal(export_as(db, (struct export_filter){0}, EXPORT_CSV, &out), 1);
    assert_non_null(strstr(text_get(&out), "fake,failed,\"because, it \"\"said\"\" so\""));
    assert_int_equal(export_as(db, (struct export_filter){.all = 1}, EXPORT_CSV, &out), 2);
    t.run = fake_run_as(db, NULL, "m2", NULL);
    CHECK_OK(fake_store(db, &t, STATUS_OK)); /* another machine: another row */
    assert_int_equal(export_as(db, (struct export_filter){0}, EXPORT_CSV, &out), 2);
    text_clear(&out);
    store_close(db);
}

static void test_export__filters_take_globs(void **state)
{
    struct store *db = open_fresh();
    struct text out = {0};

    (void)state;
    fake_sweep(db);
    assert_int_equal(export_as(db, (struct export_filter){.index = "*,Flat"}, EXPORT_CSV, &out),
                     27);
    assert_int_equal(
        export_as(db, (struct export_filter){.index = "IVF????,PQ*"}, EXPORT_CSV, &out), 29);
    assert_int_equal(export_as(db, (struct export_filter){.spec = "f*"}, EXPORT_CSV, &out), 56);
    assert_int_equal(export_as(db, (struct export_filter){.spec = "other"}, EXPORT_CSV, &out), 0);
    assert_int_equal(export_as(db, (struct export_filter){.dataset = "toy?"}, EXPORT_TABLE, &out),
                     56);
    assert_int_equal(export_as(db, (struct export_filter){.run = 7}, EXPORT_TABLE, &out), 0);
    assert_string_equal(text_get(&out), "");
    text_clear(&out);
    store_close(db);
}

static void test_export__a_run_shows_what_it_found_finished(void **state)
{
    struct store *db = open_fresh();
    int64_t first = fake_run(db), second = fake_run(db);
    struct store_trial a = fake_trial(first, "IVF1024,Flat", 1, 4);
    struct store_trial b = fake_trial(second, "IVF1024,Flat", 1, 8);
    struct text out = {0};

    (void)state;
    CHECK_OK(fake_store(db, &a, STATUS_OK));
    assert_int_equal(store_finished(db, second, a.identity), 1);
    CHECK_OK(fake_store(db, &b, STATUS_OK));
    assert_int_equal(export_as(db, (struct export_filter){.run = first}, EXPORT_CSV, &out), 1);
    assert_int_equal(export_as(db, (struct export_filter){.run = second}, EXPORT_CSV, &out), 2);
    text_clear(&out);
    store_close(db);
}

static void test_export__the_table_says_once_what_all_rows_share(void **state)
{
    struct store *db = open_fresh();
    int64_t run = fake_run(db);
    struct store_trial a = fake_trial(run, "IVF1024,Flat", 1, 1);
    struct store_trial b = fake_trial(run, "IVF1024,Flat", 1, 8);
    struct text out = {0};

    (void)state;
    CHECK_OK(fake_store(db, &a, STATUS_OK));
    CHECK_OK(fake_store(db, &b, STATUS_OK));
    assert_int_equal(export_as(db, (struct export_filter){0}, EXPORT_TABLE, &out), 2);
    assert_string_equal(
        text_get(&out),
        "spec fake, dataset toys, n 200000, d 128, nq 1000, k 100, backend cpu,"
        " device Toy <9000> & co,\ngpus 0, replicas 1, storage u8, float16 off, tables on,"
        " temp_memory auto, threads 2, batch 16384,\nseed 1, model cached off, status ok\n\n"
        "index         nprobe     R@1    R@10   R@100  tie-aware   10∩10   search ms      QPS"
        "  train s  add s     host\n"
        "IVF1024,Flat       1  0.3667  0.3667  0.3667     0.3667  0.3667  9.10 ±0.09  109,890"
        "     2.50   1.25  400 MiB\n"
        "IVF1024,Flat       8  0.8278  0.8278  0.8278     0.8278  0.8278   27.3 ±0.3   36,630"
        "     2.50   1.25  400 MiB\n");
    assert_int_equal(export_as(db, (struct export_filter){0}, EXPORT_MARKDOWN, &out), 2);
    assert_non_null(strstr(text_get(&out), "\n| index | nprobe | R@1 |"));
    assert_non_null(strstr(text_get(&out), "\n|---|---:|---:|"));
    text_clear(&out);
    store_close(db);
}

static void test_export__a_row_says_what_its_scratch_was_and_whether_it_trained(void **state)
{
    static char params[] = "{\"nprobe\":8,\"temp_memory\":1048576}";
    struct store *db = open_fresh();
    int64_t run = fake_run(db);
    struct store_trial free = fake_trial(run, "IVF1024,Flat", 1, 8), capped = free;
    struct text out = {0};

    (void)state;
    capped.identity = "capped";
    capped.params = params;
    CHECK_OK(fake_store(db, &free, STATUS_OK));
    CHECK_OK(store_begin(db, &capped));
    CHECK_OK(store_phase(db, "train", 2000000000, -1, 100, -1, 1));
    CHECK_OK(store_end(db, STATUS_OK, NULL, NULL));
    assert_int_equal(export_as(db, (struct export_filter){0}, EXPORT_JSON, &out), 2);
    assert_non_null(strstr(text_get(&out), "\"temp_memory\": \"auto\", \"train_cached\": 0, "));
    assert_non_null(strstr(text_get(&out), "\"temp_memory\": \"1048576\", \"train_cached\": 1, "));
    assert_int_equal(export_as(db, (struct export_filter){0}, EXPORT_TABLE, &out), 2);
    assert_non_null(strstr(text_get(&out), "temp_memory"));
    assert_non_null(strstr(text_get(&out), "model cached"));
    text_clear(&out);
    store_close(db);
}

static void test_export__a_later_skip_or_interruption_hides_no_result(void **state)
{
    struct store *db = open_fresh();
    struct store_trial t = fake_trial(fake_run(db), "IVF1024,Flat", 1, 8);
    struct text out = {0};

    (void)state;
    CHECK_OK(fake_store(db, &t, STATUS_OK));
    t.run = fake_run(db);
    CHECK_OK(fake_store(db, &t, STATUS_SKIPPED));
    CHECK_OK(fake_store(db, &t, STATUS_INTERRUPTED));
    assert_int_equal(export_as(db, (struct export_filter){0}, EXPORT_CSV, &out), 1);
    assert_non_null(strstr(text_get(&out), "\nfake,ok,"));
    CHECK_OK(fake_store(db, &t, STATUS_FAILED));
    assert_int_equal(export_as(db, (struct export_filter){0}, EXPORT_CSV, &out), 1);
    assert_non_null(strstr(text_get(&out), "\nfake,failed,"));
    text_clear(&out);
    store_close(db);
}

static void test_export__what_a_spec_found_finished_is_its_own_too(void **state)
{
    struct store *db = open_fresh();
    struct store_trial t = fake_trial(fake_run(db), "IVF1024,Flat", 1, 8);
    struct text out = {0};
    int64_t second, latest;

    (void)state;
    CHECK_OK(fake_store(db, &t, STATUS_OK));
    second = fake_run_as(db, "second", NULL, NULL);
    assert_int_equal(store_finished(db, second, t.identity), 1);
    assert_int_equal(export_as(db, (struct export_filter){.spec = "second"}, EXPORT_CSV, &out), 1);
    assert_int_equal(export_as(db, (struct export_filter){.spec = "third"}, EXPORT_CSV, &out), 0);
    CHECK_OK(store_latest_run(db, &latest));
    assert_int_equal(latest, second);
    text_clear(&out);
    store_close(db);
}

static void test_export__what_a_row_does_not_have_makes_no_column(void **state)
{
    struct store *db = open_fresh();
    int64_t run = fake_run(db);
    struct store_trial flat = fake_trial(run, "IVF1024,Flat", 1, 8);
    struct store_trial pq = fake_trial(run, "IVF1024,PQ16", 1, 8);
    struct store_trial none = fake_trial(run, "IVF1024,Flat", 1, 1);
    struct text out = {0};

    (void)state;
    flat.precomputed_tables = -1;
    pq.storage = NULL;
    none.device = NULL;
    CHECK_OK(fake_store(db, &none, STATUS_SKIPPED));
    CHECK_OK(fake_store(db, &flat, STATUS_OK));
    CHECK_OK(fake_store(db, &pq, STATUS_OK));
    assert_int_equal(export_as(db, (struct export_filter){0}, EXPORT_TABLE, &out), 3);
    assert_non_null(strstr(text_get(&out),
                           " device Toy <9000> & co,\ngpus 0, replicas 1, storage u8,"
                           " float16 off, tables on,"));
    assert_non_null(strstr(text_get(&out), "\nindex         nprobe     R@1"));
    assert_true(strstr(text_get(&out), "skipped") > strstr(text_get(&out), "Flat       8"));
    text_clear(&out);
    store_close(db);
}

struct failing {
    struct store *db;
    enum export_format format;
};

static int export_all(void *arg)
{
    struct failing *f = arg;
    struct text out = {0};
    int rc = export_rows(f->db, &(struct export_filter){0}, f->format, &out);

    text_clear(&out);
    return rc < 0 ? rc : 0;
}

static void test_export__every_format_survives_every_failed_alloc(void **state)
{
    struct failing f = {.db = open_fresh()};
    struct store_trial t = fake_trial(fake_run(f.db), "IVF1024,Flat", 1, 1);

    (void)state;
    CHECK_OK(fake_store(f.db, &t, STATUS_OK));
    for (f.format = EXPORT_CSV; f.format <= EXPORT_MARKDOWN; f.format++)
        assert_true(testing_every_failed_alloc(export_all, &f) > 1);
    store_close(f.db);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_export__csv_begins_with_the_columns_that_scripts_count_on),
    cmocka_unit_test(test_export__a_row_holds_medians_of_the_samples),
    cmocka_unit_test(test_export__json_has_numbers_as_numbers_and_null_for_missing),
    cmocka_unit_test(test_export__the_last_attempt_stands_for_the_trial),
    cmocka_unit_test(test_export__filters_take_globs),
    cmocka_unit_test(test_export__a_run_shows_what_it_found_finished),
    cmocka_unit_test(test_export__the_table_says_once_what_all_rows_share),
    cmocka_unit_test(test_export__a_row_says_what_its_scratch_was_and_whether_it_trained),
    cmocka_unit_test(test_export__a_later_skip_or_interruption_hides_no_result),
    cmocka_unit_test(test_export__what_a_spec_found_finished_is_its_own_too),
    cmocka_unit_test(test_export__what_a_row_does_not_have_makes_no_column),
    cmocka_unit_test(test_export__every_format_survives_every_failed_alloc),
};

TESTING_MAIN(tests)
