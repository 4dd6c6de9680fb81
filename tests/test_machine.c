#include "tests/testing.h"

#include <stdlib.h>

#include "harness/machine.h"

static void test_machine__fingerprint_is_the_same_at_every_reading(void **state)
{
    struct machine a = {0}, b = {0};
    (void)state;

    CHECK_OK(machine_read(&a));
    setenv("OMP_NUM_THREADS", "3", 1); /* today's environment is no part of it */
    CHECK_OK(machine_read(&b));
    unsetenv("OMP_NUM_THREADS");
    assert_string_equal(a.fingerprint.hex, b.fingerprint.hex);
    assert_string_not_equal(text_get(&a.environment), text_get(&b.environment));
    assert_int_equal(strlen(a.fingerprint.hex), 32);
    machine_clear(&a);
    machine_clear(&b);
}

static void test_machine__facts_name_processor_memory_and_gpus(void **state)
{
    struct machine m = {0};
    (void)state;

    CHECK_OK(machine_read(&m));
    assert_non_null(strstr(text_get(&m.facts), "\"cpu\": \""));
    assert_null(strstr(text_get(&m.facts), "\"cpu\": \"\""));
    assert_non_null(strstr(text_get(&m.facts), "\"memory_gib\": "));
    assert_non_null(strstr(text_get(&m.facts), "\"gpus\": ["));
    machine_clear(&m);
}

static void test_machine__software_is_commit_and_build_or_the_binary(void **state)
{
    struct machine m = {0};
    struct store_software row;
    (void)state;

    CHECK_OK(machine_read(&m));
    row = machine_software_row(&m);
    assert_string_equal(row.identity, row.dirty ? row.binary_hash : hash_string(row.facts).hex);
    assert_non_null(strstr(row.facts, row.commit));
    assert_non_null(strstr(row.facts, "\"build\": \""));
    assert_int_equal(strlen(row.binary_hash), 32);
    assert_non_null(strstr(row.facts, "\"openblas\": \""));
    machine_clear(&m);
}

static void test_machine__memory_is_rounded_up_to_a_sixteenth(void **state)
{
    const int64_t gib = (int64_t)1 << 30;
    (void)state;

    assert_int_equal(machine_round_gib(1), 1);
    assert_int_equal(machine_round_gib(15 * gib + 1), 16);
    assert_int_equal(machine_round_gib(125 * gib), 128);
    assert_int_equal(machine_round_gib(126 * gib + 5), 128);
    assert_int_equal(machine_round_gib(503 * gib), 512);
    assert_int_equal(machine_round_gib(141 * gib), 144);
}

static void test_machine__peak_follows_what_is_held(void **state)
{
    const int64_t bytes = 64 << 20;
    int64_t before, after;
    char *held;
    (void)state;

    machine_peak_reset();
    before = machine_peak_bytes();
    assert_non_null(held = mem_new(bytes, 1));
    memset(held, 1, (size_t)bytes);
    after = machine_peak_bytes();
    mem_free(held);
    assert_true(before > 0);
    assert_true(after >= before + bytes - (1 << 20));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_machine__fingerprint_is_the_same_at_every_reading),
    cmocka_unit_test(test_machine__facts_name_processor_memory_and_gpus),
    cmocka_unit_test(test_machine__software_is_commit_and_build_or_the_binary),
    cmocka_unit_test(test_machine__memory_is_rounded_up_to_a_sixteenth),
    cmocka_unit_test(test_machine__peak_follows_what_is_held),
};

TESTING_MAIN(tests)
