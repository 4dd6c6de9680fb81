/* What a run does about a device: chooses it, records it, and lives through its failures. */
#include "tests/testing.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "tests/program.h"

static const char small[] = "version: 1\n"
                            "name: small\n"
                            "dataset: {name: synthetic, n: 3000, d: 16, nq: 50}\n"
                            "index: [\"IVF16,Flat\", \"IVF16,PQ4\"]\n"
                            "cache: false\n"
                            "threads: 1\n"
                            "search: {k: 10, nprobe: [1, 4, 16], warmup: 1, repeat: 2}\n";

static const char *small_spec(void)
{
    return program_spec("small.yaml", "%s", small);
}

/* A fresh database and log, and a device that fails as told ("": not at all). */
static const char *begin(const char *name, const char *fail)
{
    const char *db = program_file(name), *log = program_file("log");

    unlink(db);
    unlink(log);
    setenv("FAKE_CUDA_LOG", log, 1);
    setenv("FAKE_CUDA_FAIL", fail, 1);
    return db;
}

static int tear_down(void **state)
{
    (void)state;
    unsetenv("FAKE_CUDA_FAIL");
    unsetenv("FAKE_CUDA_GPUS");
    unsetenv("FAKE_CUDA_CC");
    unsetenv("FAKE_CUDA_MEMORY");
    return 0;
}

/* Lines of the log that begin with word. */
static int logged(const char *word)
{
    char line[128];
    int n = 0;
    FILE *f = fopen(program_file("log"), "r");

    while (f && fgets(line, sizeof line, f))
        n += strncmp(line, word, strlen(word)) == 0;
    if (f) fclose(f);
    return n;
}

static int64_t trials(const char *db, const char *where)
{
    char sql[512];

    snprintf(sql, sizeof sql, "SELECT count(*) FROM trial WHERE %s", where);
    return program_count(db, sql);
}

static void check_said(const char *text, const char *word)
{
    if (!strstr(text, word)) fail_msg("\"%s\" lacks \"%s\"", text, word);
}

/* ---- which backend ---- */

static void test_fake_cuda__auto_takes_the_device_and_records_it(void **state)
{
    const char *db = begin("auto.db", "");

    (void)state;
    assert_int_equal(program("run", small_spec(), "--db", db), 0);
    assert_int_equal(trials(db, "status = 'ok' AND backend = 'cuda' AND device = 'Fake H200' AND"
                                " gpus = 1"),
                     6);
    assert_int_equal(program_count(db, "SELECT count(*) FROM phase WHERE name != 'open' AND"
                                       " (device_ns IS NULL OR peak_device_bytes IS NULL)"),
                     0);
    assert_int_equal(program_count(db, "SELECT count(*) FROM phase WHERE device_ns > 0 AND name IN"
                                       " ('train', 'add', 'truth', 'search')"),
                     4 * 6);
    assert_int_equal(program_count(db, "SELECT count(*) FROM sample WHERE device_ns > 0"),
                     4 * 6); /* first, a warm-up, two repeats */
    assert_int_equal(program_count(db, "SELECT count(*) FROM sample WHERE stage = 'first'"), 6);
    assert_int_equal(program("export", "--db", db), 0);
    check_said(program_out(), ",Fake H200,1,1,");
}

static void test_fake_cuda__each_group_has_a_device_of_its_own_and_the_parent_none(void **state)
{
    const char *db = begin("parent.db", "");

    (void)state;
    assert_int_equal(program("run", small_spec(), "--db", db), 0);
    assert_int_equal(logged("open"), logged("close"));
    assert_true(logged("open") >= 2);
    assert_int_equal(program("plan", small_spec()), 0);
    assert_true(logged("open") == logged("close")); /* planning opened none */
}

static void test_fake_cuda__without_a_device_auto_takes_the_cpu(void **state)
{
    const char *db = begin("cpu.db", "");

    (void)state;
    setenv("FAKE_CUDA_GPUS", "0", 1);
    assert_int_equal(program("run", small_spec(), "--db", db), 0);
    assert_int_equal(trials(db, "status = 'ok' AND backend = 'cpu' AND gpus = 0"), 6);
    assert_int_equal(logged("open"), 0);
}

static void
test_fake_cuda__cuda_without_a_device_exits_with_5_and_says_what_is_missing(void **state)
{
    const char *db = begin("none.db", ""), *spec = small_spec(), *cuda = "backend=cuda";

    (void)state;
    setenv("FAKE_CUDA_GPUS", "0", 1);
    assert_int_equal(program("run", spec, "--db", db, "--set", cuda), 5);
    check_said(program_err(), "backend cuda: no device: the driver shows no device");
    assert_int_equal(program("plan", spec, "--set", cuda), 5);
    check_said(program_out(), "cuda, which cannot run here");
    check_said(program_err(), "backend cuda: no device");
    assert_int_equal(program("gt", spec, "--backend", "cuda", "-o", program_file("gt.ibin")), 5);
    check_said(program_err(), "backend cuda: no device");
    setenv("FAKE_CUDA_GPUS", "1", 1);
    setenv("FAKE_CUDA_CC", "7", 1);
    assert_int_equal(program("run", spec, "--db", db, "--set", cuda), 5);
    check_said(program_err(), "Fake H200 has compute capability 7.0, and at least 8.0 is needed");
}

static void test_fake_cuda__a_device_that_auto_took_and_that_does_not_open_is_named(void **state)
{
    const char *db = begin("open.db", "open 0 device");

    (void)state;
    assert_int_equal(program("run", small_spec(), "--db", db), 1);
    assert_int_equal(trials(db, "status = 'failed' AND reason LIKE 'backend auto took cuda,%'"
                                " AND reason LIKE '%does not open (backend: cpu runs%illegal%'"),
                     6);
}

/* ---- what is known of its clocks ---- */

static void test_fake_cuda__clocks_and_what_held_them_back_are_kept_and_told(void **state)
{
    const char *db = begin("clocks.db", "");

    (void)state;
    setenv("IVFBENCH_NVML", getenv("FAKE_NVML"), 1);
    setenv("FAKE_NVML_EVENTS", "0x24", 1);
    assert_int_equal(program("run", small_spec(), "--db", db, "--only", "*,Flat"), 0);
    setenv("IVFBENCH_NVML", "none", 1);
    unsetenv("FAKE_NVML_EVENTS");
    check_said(program_err(), "IVF16,Flat nprobe=4: the GPU's clocks were held back while it was "
                              "timed: power_cap,thermal");
    assert_int_equal(trials(db, "flags LIKE '%throttled'"), 3);
    assert_int_equal(program_count(db, "SELECT count(*) FROM clocks WHERE memory_mhz = 2619 AND"
                                       " sm_mhz < 1980 AND power_mw > 500000 AND temperature_c IS"
                                       " NULL AND events = 'power_cap,thermal'"),
                     3);
    check_said(program_text(db, "SELECT environment FROM run"), "\"driver\": \"");
    check_said(program_text(db, "SELECT environment FROM run"),
               "\"gpu 0\": \"Fake H200, GPU-fake, ");
    assert_int_equal(program("export", "--db", db), 0);
    check_said(program_out(), ",sm_mhz,memory_mhz,power_w,temperature_c,clock_events,");
    check_said(program_out(), ",,\"power_cap,thermal\",");
}

static void test_fake_cuda__without_its_library_clocks_are_unknown_and_no_failure(void **state)
{
    const char *db = begin("unknown.db", "");

    (void)state;
    assert_int_equal(program("run", small_spec(), "--db", db, "--only", "*,Flat"), 0);
    assert_int_equal(program_count(db, "SELECT count(*) FROM clocks"), 0);
    assert_int_equal(trials(db, "flags LIKE '%throttled%'"), 0);
}

/* ---- failures ---- */

static void test_fake_cuda__out_of_memory_ends_the_trial_and_the_next_one_runs(void **state)
{
    const char *db = begin("oom.db", "search 4 nomem");

    (void)state;
    assert_int_equal(program("run", small_spec(), "--db", db), 1);
    assert_int_equal(trials(db, "status = 'oom' AND nprobe = 4 AND reason LIKE '%no room left%'"),
                     2);
    assert_int_equal(trials(db, "status = 'ok' AND nprobe != 4"), 4);
    assert_int_equal(logged("open"), logged("close"));
}

static void test_fake_cuda__no_room_for_the_largest_search_is_that_trials_own_end(void **state)
{
    const char *db = begin("reserve.db", "reserve 16 nomem");

    (void)state;
    assert_int_equal(program("run", small_spec(), "--db", db), 1);
    assert_int_equal(trials(db, "status = 'oom' AND nprobe = 16"), 2);
    assert_int_equal(trials(db, "status = 'ok' AND nprobe != 16"), 4);
}

static void test_fake_cuda__no_room_for_the_index_ends_its_group_and_not_the_run(void **state)
{
    const char *db = begin("add.db", "add 0 nomem");

    (void)state;
    assert_int_equal(program("run", small_spec(), "--db", db), 1);
    assert_int_equal(trials(db, "status = 'oom' AND reason LIKE 'adding: %no room left%'"), 6);
}

static void test_fake_cuda__a_lost_device_ends_the_worker_once_its_trial_is_stored(void **state)
{
    const char *db = begin("lost.db", "search 4 device");

    (void)state;
    assert_int_equal(program("run", small_spec(), "--db", db), 1);
    assert_int_equal(trials(db, "status = 'failed' AND nprobe = 4 AND reason LIKE '%illegal%'"), 2);
    assert_int_equal(trials(db, "status = 'ok' AND nprobe != 4"), 4);
    assert_int_equal(trials(db, "1"), 6);
}

/* Of each group one worker meets the fault and another does the rest. */
static void test_fake_cuda__after_a_lost_device_a_new_worker_opens_it_anew(void **state)
{
    const char *db = begin("anew.db", "search 4 device");
    int without;

    (void)state;
    assert_int_equal(program("run", small_spec(), "--db", db), 1);
    without = logged("open");
    begin("anew.db", "");
    assert_int_equal(program("run", small_spec(), "--db", db), 0);
    assert_int_equal(without, 2 * logged("open"));
}

static void test_fake_cuda__a_device_lost_in_training_costs_that_group_alone(void **state)
{
    const char *db = begin("train.db", "train 0 device");

    (void)state;
    assert_int_equal(program("run", small_spec(), "--db", db), 1);
    assert_int_equal(trials(db, "status = 'failed' AND reason LIKE 'training: %illegal%'"), 6);
}

static int64_t seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static void test_fake_cuda__a_driver_that_hangs_at_exit_keeps_nobody_waiting(void **state)
{
    const char *db = begin("hang.db", "exit 0 hang");
    int64_t began = seconds();

    (void)state;
    assert_int_equal(program("run", small_spec(), "--db", db, "--only", "*,Flat"), 0);
    assert_int_equal(trials(db, "status = 'ok'"), 3);
    assert_true(seconds() - began < 60);
    assert_int_equal(program_worker(db), 0);
}

/* ---- options of a search ---- */

static const char both_tables[] = "precomputed_tables=[true, false]";

/* The first is made at once; each that follows gives up the one before it. */
static void test_fake_cuda__each_set_of_options_has_one_reserve_as_large_as_any_needs(void **state)
{
    const char *db = begin("options.db", "");

    (void)state;
    assert_int_equal(program("run", small_spec(), "--db", db, "--only", "*,PQ4", "--set",
                             both_tables, "--set", "float16=[false, true]", "--set",
                             "temp_memory=1KiB"),
                     0);
    assert_int_equal(trials(db, "status = 'ok'"), 12);
    for (int i = 0; i < 4; i++) {
        char line[80];

        snprintf(line, sizeof line, "reserve nq 50 k 10 nprobe 16 tables %d float16 %d temp 1024 ",
                 i & 1, i >> 1);
        assert_int_equal(logged(line), 1);
    }
    assert_int_equal(logged("reserve nq 1 k 1 nprobe 1 tables 0 float16 0 temp 1 "), 3);
    assert_int_equal(logged("reserve"), 4 + 3);
}

static void test_fake_cuda__equal_options_share_one_reserve_and_flat_has_none(void **state)
{
    const char *db = begin("equal.db", "");

    (void)state;
    assert_int_equal(program("run", small_spec(), "--db", db, "--only", "*,Flat", "--set",
                             both_tables, "--set", "search.k=[5, 10]"),
                     0);
    assert_int_equal(trials(db, "status = 'ok'"), 6);
    assert_int_equal(logged("reserve nq 50 k 10 nprobe 16 tables 0 float16 0 temp 0 "), 1);
    assert_int_equal(logged("reserve"), 1);
}

static void
test_fake_cuda__a_temp_memory_that_nothing_fits_is_the_least_and_plan_says_so(void **state)
{
    const char *db = begin("temp.db", "");

    (void)state;
    assert_int_equal(program("plan", small_spec(), "--only", "*,Flat", "--set", "temp_memory=7"),
                     0);
    check_said(program_out(), "a search takes 120 B beside the index; temp_memory is 7 B\n");
    assert_int_equal(
        program("run", small_spec(), "--db", db, "--only", "*,Flat", "--set", "temp_memory=7"), 0);
    assert_int_equal(trials(db, "status = 'ok'"), 3);
    assert_int_equal(logged("reserve nq 50 k 10 nprobe 16 tables 0 float16 0 temp 7 "), 1);
    assert_int_equal(program("plan", small_spec()), 0);
    assert_null(strstr(program_out(), "temp_memory"));
}

/* ---- memory ---- */

static void test_fake_cuda__what_does_not_fit_the_device_is_refused_with_both_numbers(void **state)
{
    const char *db = begin("small.db", "");

    (void)state;
    setenv("FAKE_CUDA_MEMORY", "100000", 1);
    assert_int_equal(program("run", small_spec(), "--db", db), 2);
    check_said(program_err(), "does not fit: ");
    check_said(program_err(), " of the device, whose memory is 97.7 KiB");
    assert_int_equal(logged("open"), 0);
    setenv("FAKE_CUDA_MEMORY", "100000000", 1);
    assert_int_equal(program("plan", small_spec()), 0);
    check_said(program_out(), "backend  cuda: Fake H200, 95.4 MiB");
    check_said(program_out(), "host memory");
    check_said(program_out(), "device memory");
}

/* ---- verbs over files ---- */

static void check_same(const char *a, const char *b)
{
    char *x = NULL, *y = NULL;
    int64_t nx = 0, ny = 0;

    CHECK_OK(file_read_all(&x, &nx, program_file(a), 1 << 24));
    CHECK_OK(file_read_all(&y, &ny, program_file(b), 1 << 24));
    assert_int_equal(nx, ny);
    assert_memory_equal(x, y, (size_t)nx);
    mem_free(x);
    mem_free(y);
}

static void test_fake_cuda__gt_on_the_device_is_gt_on_the_cpu(void **state)
{
    const char *spec = small_spec();

    (void)state;
    begin("gt.db", "");
    assert_int_equal(program("gt", spec, "-k", "7", "-o", program_file("auto.ibin")), 0);
    assert_int_equal(logged("open"), 1);
    assert_int_equal(
        program("gt", spec, "-k", "7", "--backend", "cpu", "-o", program_file("cpu.ibin")), 0);
    assert_int_equal(logged("open"), 1);
    check_same("auto.ibin", "cpu.ibin");
    assert_int_equal(program("gt", spec, "--backend", "gpu", "-o", program_file("x.ibin")), 2);
    check_said(program_err(), "auto, cpu or cuda, not gpu");
}

static void generate(const char *folder, const char *backend)
{
    assert_int_equal(program("generate", "--n", "300000", "--d", "48", "--nq", "300", "--nt", "100",
                             "--backend", backend, "-o", program_file(folder)),
                     0);
}

/* The base is two blocks; the learn set is too small to ask a device for. */
static void test_fake_cuda__generated_files_are_the_same_whoever_makes_them(void **state)
{
    static const char *const parts[] = {"base", "query", "learn"};

    (void)state;
    begin("generate.db", "");
    generate("by_cuda", "auto");
    assert_int_equal(logged("synthesize"), 3);
    generate("by_cpu", "cpu");
    assert_int_equal(logged("synthesize"), 3);
    for (int i = 0; i < 3; i++) {
        char a[64], b[64];

        snprintf(a, sizeof a, "by_cuda/%s.u8bin", parts[i]);
        snprintf(b, sizeof b, "by_cpu/%s.u8bin", parts[i]);
        check_same(a, b);
    }
    assert_int_equal(logged("open"), logged("close"));
    setenv("FAKE_CUDA_GPUS", "0", 1);
    assert_int_equal(program("generate", "--n", "9", "--d", "4", "--backend", "cuda", "-o",
                             program_file("none")),
                     5);
    check_said(program_err(), "backend cuda: no device");
}

static void test_fake_cuda__a_synthetic_set_streams_from_the_device(void **state)
{
    const char *db = begin("stream.db", "");

    (void)state;
    assert_int_equal(program("run", small_spec(), "--db", db, "--only", "*,Flat"), 0);
    assert_true(logged("synthesize") >= 3); /* learn, base, base again for the truth */
    assert_int_equal(
        program("run", small_spec(), "--db", db, "--only", "*,Flat", "--set", "backend=cpu"), 0);
    assert_int_equal(trials(db, "status = 'ok'"), 6);
    assert_int_equal(program_count(db, "SELECT count(*) FROM (SELECT DISTINCT nprobe, value FROM"
                                       " metric JOIN trial ON trial = trial.id WHERE name ="
                                       " 'recall_1')"),
                     3); /* the same data, so the same recall */
}

static void test_fake_cuda__devices_says_what_is_there_and_what_is_missing(void **state)
{
    (void)state;
    begin("devices.db", "");
    assert_int_equal(program("devices"), 0);
    check_said(program_out(),
               "cuda: Fake H200 (device 0, compute 9.0, 132 multiprocessors, 16.0 GiB)");
    check_said(program_out(),
               "no NVML: none is not there: its clocks, power and free memory are unknown");
    check_said(program_out(), "backend auto: cuda\n");
    setenv("IVFBENCH_NVML", getenv("FAKE_NVML"), 1);
    assert_int_equal(program("devices"), 0);
    setenv("IVFBENCH_NVML", "none", 1);
    check_said(program_out(), "16.0 GiB, 0.6 free), driver 580.1.2\n");
    setenv("FAKE_CUDA_CC", "7", 1);
    assert_int_equal(program("devices"), 0);
    check_said(program_out(), "too old: at least compute 8.0 is needed");
    check_said(program_out(), "backend auto: cpu (backend cuda: Fake H200 has compute");
    setenv("FAKE_CUDA_GPUS", "0", 1);
    assert_int_equal(program("devices"), 0);
    check_said(program_out(), "cuda: none: the driver shows no device");
    assert_int_equal(logged("open"), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_teardown(test_fake_cuda__auto_takes_the_device_and_records_it, tear_down),
    cmocka_unit_test_teardown(
        test_fake_cuda__each_group_has_a_device_of_its_own_and_the_parent_none, tear_down),
    cmocka_unit_test_teardown(test_fake_cuda__without_a_device_auto_takes_the_cpu, tear_down),
    cmocka_unit_test_teardown(
        test_fake_cuda__cuda_without_a_device_exits_with_5_and_says_what_is_missing, tear_down),
    cmocka_unit_test_teardown(
        test_fake_cuda__a_device_that_auto_took_and_that_does_not_open_is_named, tear_down),
    cmocka_unit_test_teardown(test_fake_cuda__clocks_and_what_held_them_back_are_kept_and_told,
                              tear_down),
    cmocka_unit_test_teardown(test_fake_cuda__without_its_library_clocks_are_unknown_and_no_failure,
                              tear_down),
    cmocka_unit_test_teardown(test_fake_cuda__out_of_memory_ends_the_trial_and_the_next_one_runs,
                              tear_down),
    cmocka_unit_test_teardown(test_fake_cuda__no_room_for_the_largest_search_is_that_trials_own_end,
                              tear_down),
    cmocka_unit_test_teardown(test_fake_cuda__no_room_for_the_index_ends_its_group_and_not_the_run,
                              tear_down),
    cmocka_unit_test_teardown(
        test_fake_cuda__a_lost_device_ends_the_worker_once_its_trial_is_stored, tear_down),
    cmocka_unit_test_teardown(test_fake_cuda__after_a_lost_device_a_new_worker_opens_it_anew,
                              tear_down),
    cmocka_unit_test_teardown(test_fake_cuda__a_device_lost_in_training_costs_that_group_alone,
                              tear_down),
    cmocka_unit_test_teardown(test_fake_cuda__a_driver_that_hangs_at_exit_keeps_nobody_waiting,
                              tear_down),
    cmocka_unit_test_teardown(
        test_fake_cuda__each_set_of_options_has_one_reserve_as_large_as_any_needs, tear_down),
    cmocka_unit_test_teardown(test_fake_cuda__equal_options_share_one_reserve_and_flat_has_none,
                              tear_down),
    cmocka_unit_test_teardown(
        test_fake_cuda__a_temp_memory_that_nothing_fits_is_the_least_and_plan_says_so, tear_down),
    cmocka_unit_test_teardown(
        test_fake_cuda__what_does_not_fit_the_device_is_refused_with_both_numbers, tear_down),
    cmocka_unit_test_teardown(test_fake_cuda__generated_files_are_the_same_whoever_makes_them,
                              tear_down),
    cmocka_unit_test_teardown(test_fake_cuda__a_synthetic_set_streams_from_the_device, tear_down),
    cmocka_unit_test_teardown(test_fake_cuda__devices_says_what_is_there_and_what_is_missing,
                              tear_down),
    cmocka_unit_test_teardown(test_fake_cuda__gt_on_the_device_is_gt_on_the_cpu, tear_down),
};

TESTING_MAIN(tests)
