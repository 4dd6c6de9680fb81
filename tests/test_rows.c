/* Claims of kernels/cpu/rows.h on element types: what a half is, what fits and what is refused. */
#include "kernels/cpu/rows.h"

#include <math.h>

#include "tests/testing.h"

/* By the definition in IEEE 754, one half. */
static float half_value(unsigned h)
{
    int exponent = h >> 10 & 31, mantissa = h & 0x3ff;
    double v = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);

    return (float)(h & 0x8000 ? -v : v);
}

static void test_rows__every_finite_half_comes_back(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 65536; h++) {
        uint16_t in = (uint16_t)h, out = 0;
        float f, want = half_value(h);

        if ((h >> 10 & 31) == 31) continue;
        rows_to_f32(ELEM_F16, &in, 1, &f);
        if (memcmp(&f, &want, sizeof f) != 0) fail_msg("half %04x is %g, not %g", h, f, want);
        assert_int_equal(rows_from_f32(ELEM_F16, &f, 1, &out), -1);
        assert_int_equal(out, in);
    }
}

static void test_rows__infinities_and_nans_stay_what_they_are(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 65536; h++) {
        uint16_t in = (uint16_t)h, out;
        float f;

        if ((h >> 10 & 31) != 31) continue;
        rows_to_f32(ELEM_F16, &in, 1, &f);
        assert_true(h & 0x3ff ? isnan(f) : isinf(f) && (f < 0) == (h >> 15));
        assert_int_equal(rows_from_f32(ELEM_F16, &f, 1, &out), 0);
    }
}

static void test_rows__halves_are_rounded_to_nearest_even(void **state)
{
    static const struct {
        float f;
        uint16_t half;
    } golden[] = {
        {1,               0x3c00},
        {0.1f,            0x2e66},
        {-2.5f,           0xc100},
        {65504,           0x7bff},
        {2049,            0x6800}, /* between 2048 and 2050: even */
        {2051,            0x6802},
        {2049.001f,       0x6801},
        {0x1p-14f,        0x0400}, /* the least normal one */
        {0x1.ff8p-15f,    0x03ff}, /* the largest subnormal */
        {0x1.ffcp-15f,    0x0400}, /* a tie between these two */
        {0x1p-24f,        0x0001},
        {0x1p-25f,        0x0000}, /* half of it: even */
        {0x1.8p-24f,      0x0002},
        {0x1.000002p-25f, 0x0001},
        {-0x1p-26f,       0x8000},
        {0x1p-149f,       0x0000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        uint16_t out;

        assert_int_equal(rows_from_f32(ELEM_F16, &golden[i].f, 1, &out), -1);
        if (out != golden[i].half)
            fail_msg("%a is %04x, not %04x", golden[i].f, out, golden[i].half);
    }
}

/* All values fit but the one at 37. */
static void check_refused(enum elem elem, float fine, float bad)
{
    float x[100];
    uint16_t out[100];

    for (int i = 0; i < 100; i++)
        x[i] = fine;
    assert_int_equal(rows_from_f32(elem, x, 100, out), -1);
    x[37] = bad;
    if (rows_from_f32(elem, x, 100, out) != 37)
        fail_msg("%g as %s is not refused", bad, elem_name(elem));
}

static void test_rows__what_a_type_cannot_hold_is_named_by_place(void **state)
{
    (void)state;
    check_refused(ELEM_F16, 65504, nextafterf(65504, INFINITY));
    check_refused(ELEM_F16, -65504, -INFINITY);
    check_refused(ELEM_F16, 0, NAN);
    check_refused(ELEM_U8, 255, 256);
    check_refused(ELEM_U8, 0, -1);
    check_refused(ELEM_U8, 7, 7.5f);
    check_refused(ELEM_U8, 7, NAN);
    check_refused(ELEM_I8, -128, -129);
    check_refused(ELEM_I8, 127, 128);
    check_refused(ELEM_I8, -3, -3.25f);
    check_refused(ELEM_I8, -3, 1e30f);
}

static void test_rows__bytes_come_back_as_halves_and_floats(void **state)
{
    (void)state;
    for (int v = -128; v < 256; v++) {
        enum elem elem = v < 0 ? ELEM_I8 : ELEM_U8;
        uint8_t byte = (uint8_t)v, back = 0;
        uint16_t half;
        float f;

        rows_to_f32(elem, &byte, 1, &f);
        assert_true(f == (float)v);
        assert_int_equal(rows_from_f32(ELEM_F16, &f, 1, &half), -1);
        rows_to_f32(ELEM_F16, &half, 1, &f);
        assert_true(f == (float)v);
        assert_int_equal(rows_from_f32(elem, &f, 1, &back), -1);
        assert_int_equal(back, byte);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_rows__every_finite_half_comes_back),
    cmocka_unit_test(test_rows__infinities_and_nans_stay_what_they_are),
    cmocka_unit_test(test_rows__halves_are_rounded_to_nearest_even),
    cmocka_unit_test(test_rows__what_a_type_cannot_hold_is_named_by_place),
    cmocka_unit_test(test_rows__bytes_come_back_as_halves_and_floats),
};

TESTING_MAIN(tests)
