/* Claims of engine/backend.h's table, and of kernels/kernels.h that hands tables out. */
#include "engine/backend.h"
#include "kernels/kernels.h"
#include "tests/made.h"
#include "tests/testing.h"

static void test_backend__check_accepts_every_backend_of_the_build(void **state)
{
    (void)state;
    assert_non_null(kernels_backend(0));
    for (int i = 0; kernels_backend(i); i++)
        CHECK_OK(backend_check(kernels_backend(i)));
}

static void test_backend__check_names_the_missing_slot(void **state)
{
    struct backend_ops ops = *kernels_backend(0);

    (void)state;
    ops.means = NULL;
    CHECK_FAILS(ERR_INVALID, " lacks means", backend_check(&ops));
    ops.alloc = NULL; /* the first, in the table's order */
    CHECK_FAILS(ERR_INVALID, " lacks alloc", backend_check(&ops));
    ops.name = NULL;
    CHECK_FAILS(ERR_INVALID, " lacks name", backend_check(&ops));
}

/* Every pointer of the table is looked at: zeroed one by one, only four may be missing. */
static void test_backend__check_knows_every_slot(void **state)
{
    enum { SLOTS = sizeof(struct backend_ops) / sizeof(void *) };
    int optional = 0;

    (void)state;
    for (int i = 0; i < SLOTS; i++) {
        struct backend_ops ops = *kernels_backend(0);

        memset((char *)&ops + (size_t)i * sizeof(void *), 0, sizeof(void *));
        optional += backend_check(&ops) == 0;
    }
    assert_int_equal(optional, 4); /* device_ns, peak_bytes, synthesize, host_bytes */
}

static void test_backend__unknown_name_says_what_there_is(void **state)
{
    const struct backend_ops *ops = NULL;

    (void)state;
    CHECK_FAILS(ERR_UNSUPPORTED, "cpu", kernels_find(&ops, "abacus"));
    CHECK_OK(kernels_find(&ops, "cpu"));
    assert_string_equal(ops->name, "cpu");
}

static void test_backend__cpu_has_one_device(void **state)
{
    const struct backend_ops *ops = NULL;
    struct backend *b = NULL;

    (void)state;
    CHECK_OK(kernels_find(&ops, "cpu"));
    CHECK_FAILS(ERR_UNSUPPORTED, "device 1", ops->open(&b, 1, 1));
    assert_null(b);
    ops->close(NULL);
}

static void test_backend__info_tells_threads_memory_and_name(void **state)
{
    struct backend_info info = {0};
    struct backend *b = NULL;

    (void)state;
    b = made_backend(3);
    b->ops->info(b, &info);
    assert_int_equal(info.threads, 3);
    assert_true(info.memory_bytes > (size_t)1 << 20);
    assert_true(strlen(info.name) > 0);
    CHECK_OK(b->ops->open(&b, 0, 0)); /* as many as there are */
    b->ops->info(b, &info);
    assert_true(info.threads >= 1);
    b->ops->close(b);
}

static void test_backend__memory_is_zeroed_and_goes_up_and_down(void **state)
{
    struct backend *b = made_backend(1);
    struct buf buf = {0};
    unsigned char got[100];

    (void)state;
    b->ops->release(b, &buf);
    CHECK_OK(b->ops->alloc(b, &buf, sizeof got));
    assert_int_equal(buf.bytes, sizeof got);
    CHECK_OK(b->ops->upload(b, buf, 40, "abcdefgh", 8));
    memset(got, 1, sizeof got);
    CHECK_OK(b->ops->download(b, got, buf, 0, sizeof got));
    for (int i = 0; i < 100; i++)
        assert_int_equal(got[i], i < 40 || i >= 48 ? 0 : 'a' + i - 40);
    CHECK_OK(b->ops->download(b, got, buf, 46, 4));
    assert_memory_equal(got, "gh\0\0", 4);
    b->ops->release(b, &buf);
    assert_null(buf.ptr);
    assert_int_equal(buf.bytes, 0);
}

static int open_and_close(void *arg)
{
    const struct backend_ops *ops = NULL;
    struct backend *b = NULL;
    int rc;

    (void)arg;
    CHECK_OK(kernels_find(&ops, "cpu")); /* which opens everywhere */
    if ((rc = ops->open(&b, 0, 2)) == 0) ops->close(b);
    return rc;
}

static void test_backend__open_survives_every_failed_alloc(void **state)
{
    (void)state;
    assert_true(testing_every_failed_alloc(open_and_close, NULL) >= 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_backend__check_accepts_every_backend_of_the_build),
    cmocka_unit_test(test_backend__check_names_the_missing_slot),
    cmocka_unit_test(test_backend__check_knows_every_slot),
    cmocka_unit_test(test_backend__unknown_name_says_what_there_is),
    cmocka_unit_test(test_backend__cpu_has_one_device),
    cmocka_unit_test(test_backend__info_tells_threads_memory_and_name),
    cmocka_unit_test(test_backend__memory_is_zeroed_and_goes_up_and_down),
    cmocka_unit_test(test_backend__open_survives_every_failed_alloc),
};

TESTING_MAIN(tests)
