/* That a search among others is told from one that had the processors to itself. */
#include "tests/testing.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/clock.h"
#include "harness/contention.h"
#include "tests/program.h"

enum { SPINNERS = 3 };

static cpu_set_t before;
static pid_t spinner[SPINNERS];

static void spin(void)
{
    alarm(60); /* not for ever, should nobody be left to end it */
    for (;;) {
    }
}

/* One processor for this process and its children, with others on it that never rest. */
static int crowd(void **state)
{
    cpu_set_t one;
    int cpu = 0;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    for (int i = 0; i < SPINNERS; i++) {
        assert_true((spinner[i] = fork()) >= 0);
        if (spinner[i] == 0) spin();
    }
    return 0;
}

static int disperse(void **state)
{
    (void)state;
    for (int i = 0; i < SPINNERS; i++) {
        kill(spinner[i], SIGKILL);
        waitpid(spinner[i], NULL, 0);
    }
    return sched_setaffinity(0, sizeof before, &before);
}

/* What share of the next ms milliseconds was spent waiting, by a thread that works or one that sleeps. */
static double share_of(int ms, int works)
{
    struct contention from, to;

    contention_read(&from);
    if (from.n == 0) skip(); /* this kernel does not count */
    if (!works) program_sleep_ms(ms);
    while (clock_ns() - from.at_ns < ms * (int64_t)1000000) {
    }
    contention_read(&to);
    return contention_share(&from, &to);
}

static void test_contention__working_among_others_is_waiting(void **state)
{
    (void)state;
    assert_true(share_of(400, 1) > 0.3);
}

static void test_contention__sleeping_is_not(void **state)
{
    (void)state;
    assert_true(share_of(400, 0) < 0.3);
}

static void test_contention__the_longest_wait_of_a_thread_counts(void **state)
{
    const struct contention from =
                                {
                                    .at_ns = 0, .n = 2, .thread = {{7, 5}, {8, 50}}
    },
                            to = {.at_ns = 100, .n = 3, .thread = {{8, 70}, {7, 45}, {9, 30}}},
                            late = {.at_ns = 10, .n = 1, .thread = {{7, 45}}}, unknown = {0};

    (void)state;
    assert_float_equal(contention_share(&from, &to), 0.4, 1e-9);
    assert_float_equal(contention_share(&from, &late), 1, 0);
    assert_float_equal(contention_share(&unknown, &unknown), 0, 0);
}

static void test_contention__a_search_among_others_is_flagged(void **state)
{
    const char *db = program_file("crowded.db");
    struct contention now;

    (void)state;
    contention_read(&now);
    if (now.n == 0) skip();
    assert_int_equal(
        program("run",
                program_spec("crowded.yaml", "version: 1\n"
                                             "dataset: {name: synthetic, n: 5000, d: 32, nq: 50}\n"
                                             "index: \"IVF16,Flat\"\n"
                                             "search: {nprobe: 4, repeat: 900}\n"),
                "--db", db),
        0);
    assert_non_null(strstr(program_text(db, "SELECT flags FROM trial"), "contended"));
    assert_non_null(strstr(program_out(), "contended"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_contention__the_longest_wait_of_a_thread_counts),
    cmocka_unit_test_setup_teardown(test_contention__working_among_others_is_waiting, crowd,
                                    disperse),
    cmocka_unit_test_setup_teardown(test_contention__sleeping_is_not, crowd, disperse),
    cmocka_unit_test_setup_teardown(test_contention__a_search_among_others_is_flagged, crowd,
                                    disperse),
};

TESTING_MAIN(tests)
