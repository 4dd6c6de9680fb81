/* What the management library says, and that its absence costs nothing. */
#include "tests/testing.h"

#include <stdlib.h>

#include "harness/nvml.h"

static const struct kernels_gpu gpu = {.name = "Fake H200", .uuid = "GPU-fake"};
static const struct kernels_gpu other = {.name = "Other", .uuid = "GPU-other"};

static void check_events(int64_t events, const char *words, int throttled)
{
    struct nvml_state s = {.events = events};
    struct text text = {0};

    nvml_add_events(&text, &s);
    assert_string_equal(text_get(&text), words);
    assert_int_equal(nvml_throttled(&s), throttled);
    text_clear(&text);
}

static void test_nvml__events_are_words_and_idling_is_none(void **state)
{
    (void)state;
    check_events(0, "none", 0);
    check_events(1, "none", 0);
    check_events(4, "power_cap", 1);
    check_events(1 | 0x20 | 0x40, "thermal,hw_thermal", 1);
    check_events((int64_t)1 << 12, "reason_12", 1);
    check_events(-1, "", 0);
}

static void test_nvml__the_worse_of_two_readings_is_kept(void **state)
{
    struct nvml_state a = {1980, 2619, 500, 40, 4}, b = {1500, -1, 700, 39, 1}, w;
    struct nvml_state unknown = nvml_read(NULL);

    (void)state;
    w = nvml_worse(a, b);
    assert_int_equal(w.sm_mhz, 1500);
    assert_int_equal(w.memory_mhz, 2619);
    assert_int_equal(w.power_mw, 700);
    assert_int_equal(w.temperature_c, 40);
    assert_int_equal(w.events, 5);
    w = nvml_worse(unknown, a);
    assert_int_equal(w.sm_mhz, 1980);
    assert_int_equal(w.events, 4);
    assert_int_equal(nvml_worse(unknown, unknown).events, -1);
}

static void test_nvml__without_the_library_it_is_said_what_is_missing(void **state)
{
    struct nvml *n = NULL;
    int64_t left, total;
    char driver[80];

    (void)state;
    setenv("IVFBENCH_NVML", "none", 1);
    CHECK_FAILS(ERR_UNSUPPORTED, "no NVML", nvml_open(&n, &gpu));
    setenv("IVFBENCH_NVML", "/nowhere/libnvidia-ml.so", 1);
    CHECK_FAILS(ERR_UNSUPPORTED, "/nowhere/libnvidia-ml.so is not there", nvml_open(&n, &gpu));
    assert_null(n);
    nvml_memory(n, &left, &total);
    nvml_driver(n, driver);
    assert_int_equal(left, -1);
    assert_string_equal(driver, "");
    nvml_close(n);
}

static void test_nvml__a_gpu_is_read_through_the_library(void **state)
{
    struct nvml *n = NULL;
    struct nvml_state s;
    int64_t left, total;
    char driver[80];

    (void)state;
    if (!getenv("FAKE_NVML")) skip(); /* not called by ctest */
    setenv("IVFBENCH_NVML", getenv("FAKE_NVML"), 1);
    CHECK_OK(nvml_open(&n, &gpu));
    s = nvml_read(n);
    assert_int_equal(s.sm_mhz, 1980);
    assert_int_equal(s.memory_mhz, 2619);
    assert_int_equal(s.temperature_c, -1); /* this one does not say */
    assert_int_equal(s.power_mw, 501000);
    nvml_memory(n, &left, &total);
    assert_int_equal(left, 600 << 20);
    assert_int_equal(total, 1000 << 20);
    nvml_driver(n, driver);
    assert_string_equal(driver, "580.1.2");
    nvml_close(n);
    n = NULL;
    CHECK_FAILS(ERR_UNSUPPORTED, "does not know Other", nvml_open(&n, &other));
    setenv("FAKE_NVML_BROKEN", "1", 1);
    CHECK_FAILS(ERR_UNSUPPORTED, "does not start", nvml_open(&n, &gpu));
    unsetenv("FAKE_NVML_BROKEN");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_nvml__events_are_words_and_idling_is_none),
    cmocka_unit_test(test_nvml__the_worse_of_two_readings_is_kept),
    cmocka_unit_test(test_nvml__without_the_library_it_is_said_what_is_missing),
    cmocka_unit_test(test_nvml__a_gpu_is_read_through_the_library),
};

TESTING_MAIN(tests)
