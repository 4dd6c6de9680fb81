/* A plan for a backend with memory of its own: what it says beside what a run then holds there. */
#include "tests/testing.h"

#include <stdlib.h>

#include "harness/plan.h"
#include "tests/fake_cuda.h"
#include "tests/program.h"

/* Of both kinds the larger part is what the engine holds, which is counted to the byte. */
static const char *spec_of(const char *more)
{
    return program_spec("held.yaml",
                        "version: 1\n"
                        "name: held\n"
                        "dataset: {name: synthetic, n: 40000, d: 64, nq: 200, nt: 5000}\n"
                        "index: [\"IVF32,Flat\", \"IVF512,PQ16\", \"OPQ4_16,IVF16,PQ4\","
                        " \"PCAR16,IVF16,Flat\"]\n"
                        "cache: false\n"
                        "threads: 1\n"
                        "train: {coarse_iterations: 1}\n"
                        "search: {k: 100, nprobe: 4, warmup: 0, repeat: 1}\n"
                        "%s",
                        more);
}

static struct spec *spec;
static struct plan *plan;

static void load(const char *path)
{
    struct plan_words words = {0};

    CHECK_OK(plan_load(&plan, &spec, path, NULL, 0, 1, &words));
    text_clear(&words.errors);
    text_clear(&words.note);
}

static int forget(void **state)
{
    (void)state;
    plan_free(plan);
    spec_free(spec);
    plan = NULL;
    spec = NULL;
    return 0;
}

static int64_t peak_of(const char *db, const struct trial *t, const char *phases)
{
    char sql[512];

    snprintf(sql, sizeof sql,
             "SELECT max(peak_device_bytes) FROM phase JOIN trial ON trial = trial.id WHERE"
             " phase.name IN (%s) AND trial.identity = '%s'",
             phases, t->identity.hex);
    return program_count(db, sql);
}

static void check_phase(const char *db, const struct group *g, const char *phases, size_t planned)
{
    int64_t peak = peak_of(db, g->trials, phases), off = peak - (int64_t)planned;

    assert_true(peak > 0);
    if (llabs(off) > (int64_t)planned / 20 + 65536)
        fail_msg("%s, %s: planned %zu bytes, held %lld", g->label, phases, planned,
                 (long long)peak);
}

static void test_plan_device__phases_hold_on_the_device_what_the_plan_says(void **state)
{
    static const char *const more[] = {"", "storage: f32\n",
                                       "precomputed_tables: [true, false]\ntemp_memory: 20KiB\n"};
    char name[16];

    (void)state;
    for (int i = 0; i < 3; i++) {
        const char *path = spec_of(more[i]), *db;

        snprintf(name, sizeof name, "held%d.db", i);
        db = program_file(name);
        assert_int_equal(program("run", path, "--db", db), 0);
        load(path);
        assert_string_equal(plan->backend, "cuda");
        for (int j = 0; j < plan->ngroups; j++) {
            const struct group *g = &plan->groups[j];

            if (!g->runnable) continue;
            check_phase(db, g, "'train'", g->train.device);
            check_phase(db, g, "'add', 'truth'", g->fill.device);
            check_phase(db, g, "'search', 'evaluate'", g->search.device);
        }
        forget(NULL);
    }
}

/* What is on a device is not on the host, and nothing is forgotten between the two. */
static void test_plan_device__two_kinds_of_memory_add_up_to_the_one(void **state)
{
    static const int64_t slack = 2 << 20; /* the CPU's steps, which the fake does not count */
    struct footprint fake[8][2];
    int ngroups;

    (void)state;
    load(spec_of(""));
    ngroups = plan->ngroups;
    for (int i = 0; i < ngroups; i++) {
        fake[i][0] = plan->groups[i].train;
        fake[i][1] = plan->groups[i].search;
    }
    forget(NULL);
    load(spec_of("backend: cpu\n"));
    assert_int_equal(plan->ngroups, ngroups);
    for (int i = 0; i < ngroups; i++) {
        const struct footprint *cpu[] = {&plan->groups[i].train, &plan->groups[i].search};

        for (int j = 0; j < 2; j++) {
            int64_t both = (int64_t)(fake[i][j].host + fake[i][j].device) - FAKE_CUDA_HOST_BYTES;

            assert_int_equal(cpu[j]->device, 0);
            assert_true(fake[i][j].device > 0);
            if (llabs(both - (int64_t)cpu[j]->host) > slack + (int64_t)cpu[j]->host / 4)
                fail_msg("group %d, %d: %lld of both, %zu of one", i, j, (long long)both,
                         cpu[j]->host);
        }
    }
}

static size_t searching(const char *more)
{
    size_t bytes;

    load(spec_of(more));
    bytes = plan->groups[1].search.device; /* IVF512,PQ16 */
    forget(NULL);
    return bytes;
}

/* By the fake's sums: a float for each of 40,000 vectors, 10 or 12 bytes for each of 20,000 answers. */
static void test_plan_device__a_search_is_planned_with_its_options(void **state)
{
    size_t plain = searching("precomputed_tables: false\n"), kept = searching("");

    (void)state;
    assert_int_equal(kept, plain + 4 * 40000);
    assert_int_equal(searching("precomputed_tables: [true, false]\n"), kept); /* one at a time */
    assert_int_equal(searching("float16: true\n"), kept - 2 * 20000);
    assert_int_equal(searching("temp_memory: 12000\n"), kept - 12 * 20000 + 12000);
    assert_int_equal(searching("temp_memory: 1\n"), kept - 12 * 20000 + 1200); /* one query */
    assert_int_equal(searching("temp_memory: 0\n"), searching("temp_memory: 1\n"));
    assert_int_equal(searching("temp_memory: 1GiB\n"), kept);
}

static void test_plan_device__a_device_too_small_is_told_with_its_phase(void **state)
{
    (void)state;
    setenv("FAKE_CUDA_MEMORY", "1000000", 1);
    load(spec_of(""));
    unsetenv("FAKE_CUDA_MEMORY");
    assert_int_equal(plan->device_bytes, 1000000);
    assert_int_equal(plan->no_fit, plan->ntrials);
    assert_non_null(strstr(plan->trials->skip, "does not fit: "));
    assert_non_null(strstr(plan->trials->skip, " MiB of the device, whose memory is 976.6 KiB"));
}

static void test_plan_device__one_that_is_not_there_refuses_nothing(void **state)
{
    (void)state;
    setenv("FAKE_CUDA_GPUS", "0", 1);
    load(spec_of("backend: cuda\n"));
    unsetenv("FAKE_CUDA_GPUS");
    assert_int_equal(plan->device_bytes, 0);
    assert_int_equal(plan->no_fit, 0);
    assert_true(plan->groups[0].search.device > 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_teardown(test_plan_device__phases_hold_on_the_device_what_the_plan_says,
                              forget),
    cmocka_unit_test_teardown(test_plan_device__two_kinds_of_memory_add_up_to_the_one, forget),
    cmocka_unit_test_teardown(test_plan_device__a_search_is_planned_with_its_options, forget),
    cmocka_unit_test_teardown(test_plan_device__a_device_too_small_is_told_with_its_phase, forget),
    cmocka_unit_test_teardown(test_plan_device__one_that_is_not_there_refuses_nothing, forget),
};

TESTING_MAIN(tests)
