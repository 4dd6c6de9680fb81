/* What a plan says of memory, beside what a run then holds; and what becomes of too little. */
#include "tests/testing.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "harness/plan.h"
#include "tests/program.h"

static const int64_t MIB = 1 << 20;

/* Large enough that a block, a list of numbers or a copy forgotten would pass what is allowed. */
static const char mid[] = "version: 1\n"
                          "name: mid\n"
                          "dataset: {name: synthetic, n: 600000, d: 128, nq: 100, nt: 5000}\n"
                          "index: [\"IVF16,Flat\", \"IVF16,PQ16\", \"OPQ8_32,IVF16,PQ8\"]\n"
                          "storage: [u8, f32]\n"
                          "search: {k: 10, nprobe: 4, warmup: 1, repeat: 1}\n"
                          "cache: false\n";

#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
static const int measurable = 0; /* a sanitizer's own memory is not planned */
#else
static const int measurable = 1;
#endif

/* The largest peak of the named phases of a group's trial. */
static int64_t peak_of(const char *db, const struct trial *t, const char *phases)
{
    char sql[512];

    snprintf(sql, sizeof sql,
             "SELECT max(peak_host_bytes) FROM phase JOIN trial ON trial = trial.id WHERE"
             " phase.name IN (%s) AND trial.identity = '%s'",
             phases, t->identity.hex);
    return program_count(db, sql);
}

static void check_phase(const char *db, const struct group *g, const char *phases, size_t planned)
{
    int64_t peak = peak_of(db, g->trials, phases), off = peak - (int64_t)planned;

    if (llabs(off) > (int64_t)planned / 20 + 64 * MIB)
        fail_msg("%s, %s: planned %zu MiB, held %lld MiB", g->label, phases, planned / (size_t)MIB,
                 (long long)(peak / MIB));
}

/* The bound of DESIGN: the index, 8 bytes a vector and 256 MiB. */
static void check_bound(const char *db, const struct group *g, const struct dataset_info *data)
{
    const struct trial *t = g->trials;
    int64_t d = t->factory.d_out ? t->factory.d_out : data->d;
    int64_t row = t->factory.m ? t->factory.m : d * (int64_t)elem_bytes(t->storage);
    int64_t index = data->n * (row + 4) + 4 * d * (t->factory.nlist + (t->factory.m ? KSUB : 0));
    int64_t peak = peak_of(db, t, "'open', 'train', 'add', 'truth', 'search', 'evaluate'");

    assert_true(peak > data->n * row);
    assert_true(peak <= index + 8 * data->n + 256 * MIB);
}

static void test_plan_memory__phases_hold_what_the_plan_says(void **state)
{
    const char *db = program_file("mid.db"), *path = program_spec("mid.yaml", "%s", mid);
    struct plan_words words = {0};
    struct spec *spec = NULL;
    struct plan *plan = NULL;

    (void)state;
    if (!measurable) skip();
    assert_int_equal(program("run", path, "--db", db), 0);
    CHECK_OK(plan_load(&plan, &spec, path, NULL, 0, 1, &words));
    for (int i = 0; i < plan->ngroups; i++) {
        const struct group *g = &plan->groups[i];

        if (!g->runnable) continue;
        check_phase(db, g, "'train'", g->train.host);
        check_phase(db, g, "'add', 'truth'", g->fill.host);
        check_phase(db, g, "'search', 'evaluate'", g->search.host);
        check_bound(db, g, &plan->data);
    }
    plan_free(plan);
    spec_free(spec);
    text_clear(&words.errors);
    text_clear(&words.note);
}

static void test_plan_memory__a_phase_forgets_what_the_one_before_has_freed(void **state)
{
    const char *db = program_file("freed.db");

    (void)state;
    if (!measurable) skip();
    assert_int_equal(
        program("run",
                program_spec("freed.yaml", "version: 1\n"
                                           "dataset: {name: synthetic, n: 20000, nt: 200000,"
                                           " d: 512, nq: 10}\n"
                                           "index: \"IVF4,Flat\"\n"
                                           "train: {coarse_iterations: 1}\n"
                                           "search: {k: 1, nprobe: 1}\n"
                                           "cache: false\n"),
                "--db", db),
        0);
    assert_true(program_count(db, "SELECT peak_host_bytes FROM phase WHERE name = 'train'") >
                200000 * 512);
    assert_int_equal(program_count(db, "SELECT count(*) FROM phase WHERE name != 'train' AND"
                                       " peak_host_bytes >= 200000 * 512"),
                     0);
}

/* 10^12 vectors of 128 bytes are 116 TiB: more than any machine has. */
static void test_plan_memory__what_does_not_fit_is_refused_before_any_work(void **state)
{
    const char *db = program_file("huge.db");
    const char *path =
        program_spec("huge.yaml", "version: 1\n"
                                  "dataset: {name: synthetic, n: 1000000000000, d: 128}\n"
                                  "index: \"IVF64,Flat\"\n"
                                  "search: {nprobe: 4}\n");
    const char *const verbs[] = {"plan", "run"};
    char memory[128];

    (void)state;
    snprintf(memory, sizeof memory, "memory is %s", plan_bytes(plan_memory_limit()).s);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(i ? program("run", path, "--db", db) : program("plan", path), 2);
        if (!strstr(i ? program_err() : program_out(), memory))
            fail_msg("%s lacks \"%s\"", verbs[i], memory);
        assert_non_null(
            strstr(i ? program_err() : program_out(), "does not fit: the index needs 127"));
        assert_non_null(strstr(program_err(), "nothing is left to run"));
    }
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE status != 'skipped'"), 0);
}

/* A limit that planning cannot see: half of what the first group's 1,000,000 rows of f32 take. */
static void test_plan_memory__too_little_ends_a_group_and_not_the_run(void **state)
{
    const char *db = program_file("oom.db");
    const char *path =
        program_spec("oom.yaml", "version: 1\n"
                                 "dataset: {name: synthetic, n: 1000000, d: 256, nq: 10, nt: "
                                 "1000}\n"
                                 "index: [\"IVF4,Flat\", \"IVF4,PQ4\"]\n"
                                 "storage: f32\n"
                                 "threads: 1\n"
                                 "train: {coarse_iterations: 2}\n"
                                 "search: {k: 1, nprobe: [1, 2]}\n"
                                 "cache: false\n");
    struct rlimit before, limit;
    int code;

    (void)state;
    if (!measurable) skip();
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(setenv("OPENBLAS_NUM_THREADS", "1", 1), 0); /* each would take room of it */
    limit = before;
    limit.rlim_cur = (rlim_t)(900 * MIB);
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    code = program("run", path, "--db", db);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(code, 1);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE status = 'oom' AND"
                                       " \"index\" = 'IVF4,Flat' AND reason LIKE"
                                       " 'adding: out of memory: %'"),
                     2);
    assert_int_equal(program_count(db, "SELECT count(*) FROM trial WHERE status = 'ok' AND"
                                       " \"index\" = 'IVF4,PQ4'"),
                     2);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_plan_memory__phases_hold_what_the_plan_says),
    cmocka_unit_test(test_plan_memory__a_phase_forgets_what_the_one_before_has_freed),
    cmocka_unit_test(test_plan_memory__what_does_not_fit_is_refused_before_any_work),
    cmocka_unit_test(test_plan_memory__too_little_ends_a_group_and_not_the_run),
};

TESTING_MAIN(tests)
