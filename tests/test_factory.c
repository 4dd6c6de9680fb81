#include "tests/testing.h"

#include "engine/factory.h"

static void test_factory__every_form_of_key_is_read(void **state)
{
    static const struct {
        const char *key;
        struct factory want;
    } cases[] = {
        {"IVF1024,Flat",              {TRANSFORM_NONE, 0, 0, 1024, 0}     },
        {"IVF1,PQ8",                  {TRANSFORM_NONE, 0, 0, 1, 8}        },
        {"OPQ16,IVF262144,PQ16",      {TRANSFORM_OPQ, 16, 0, 262144, 16}  },
        {"OPQ16_64,IVF1024,PQ32",     {TRANSFORM_OPQ, 16, 64, 1024, 32}   },
        {"PCAR64,IVF1024,Flat",       {TRANSFORM_PCAR, 0, 64, 1024, 0}    },
        {"PCAR80,IVF1073741824,PQ20", {TRANSFORM_PCAR, 0, 80, 1 << 30, 20}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct factory *want = &cases[i].want;
        struct factory f;

        CHECK_OK(factory_parse(&f, cases[i].key));
        assert_int_equal(f.transform, want->transform);
        assert_int_equal(f.opq_m, want->opq_m);
        assert_int_equal(f.d_out, want->d_out);
        assert_int_equal(f.nlist, want->nlist);
        assert_int_equal(f.m, want->m);
    }
}

static void test_factory__faulty_key_names_the_token(void **state)
{
    static const struct {
        const char *key, *word;
    } cases[] = {
        {"",                                "\"\": expected OPQm_d"             },
        {"Flat",                            "\"Flat\": expected OPQm_d"         },
        {"IVF1024",                         "ends early: expected Flat or PQm"  },
        {"IVF1024,",                        "\"\": expected Flat or PQm"        },
        {"IVF,Flat",                        "\"IVF\": expected IVFn"            },
        {"IVF0,Flat",                       "\"IVF0\": expected IVFn"           },
        {"IVF-4,Flat",                      "\"IVF-4\": expected IVFn"          },
        {"IVF1073741825,Flat",              "\"IVF1073741825\": expected IVFn"  },
        {"IVF99999999999999999999999,Flat", "expected IVFn"                     },
        {"IVF64_HNSW32,Flat",               "\"IVF64_HNSW32\": expected IVFn"   },
        {"ivf64,Flat",                      "\"ivf64\": expected"               },
        {"IVF64 ,Flat",                     "\"IVF64 \": expected"              },
        {"IVF4096,PQ64x4fs",                "\"PQ64x4fs\": expected Flat or PQm"},
        {"IVF4096,PQ8x4",                   "\"PQ8x4\""                         },
        {"IVF4096,PQ8np",                   "\"PQ8np\""                         },
        {"IVF4096,PQ8+16",                  "\"PQ8+16\""                        },
        {"IVF4096,PQ0",                     "\"PQ0\""                           },
        {"IVF4096,PQ65537",                 "\"PQ65537\""                       },
        {"IVF4096,Flats",                   "\"Flats\""                         },
        {"IVF4096,SQ8",                     "\"SQ8\""                           },
        {"IVF4096,Flat,RFlat",              "\"RFlat\": expected the end"       },
        {"IVF4096,Flat,",                   "\"\": expected the end"            },
        {"OPQ16",                           "ends early: expected IVFn"         },
        {"OPQ,IVF64,PQ8",                   "\"OPQ\": expected OPQm"            },
        {"OPQ16_,IVF64,PQ8",                "\"OPQ16_\": expected OPQm"         },
        {"OPQ16_0,IVF64,PQ8",               "\"OPQ16_0\": expected OPQm"        },
        {"OPQ16_64x,IVF64,PQ8",             "\"OPQ16_64x\": expected OPQm"      },
        {"OPQ16_64,PQ8",                    "\"PQ8\": expected IVFn"            },
        {"PCA64,IVF64,PQ8",                 "\"PCA64\": expected OPQm_d, PCARd" },
        {"PCAR,IVF64,PQ8",                  "\"PCAR\": expected PCARd"          },
        {"PCAR64,OPQ8,IVF64,PQ8",           "\"OPQ8\": expected IVFn"           },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct factory f = {.nlist = -7};

        CHECK_FAILS(ERR_INVALID, cases[i].word, factory_parse(&f, cases[i].key));
        assert_non_null(strstr(fail_text(), cases[i].key));
        assert_int_equal(f.nlist, -7);
    }
}

static int check(const char *key, int d)
{
    struct factory f;

    CHECK_OK(factory_parse(&f, key));
    return factory_check(&f, key, d);
}

static void test_factory__dimensions_that_divide_are_accepted(void **state)
{
    (void)state;
    CHECK_OK(check("IVF64,Flat", 33));
    CHECK_OK(check("IVF64,PQ16", 128));
    CHECK_OK(check("OPQ16_64,IVF64,PQ32", 100));
    CHECK_OK(check("OPQ20_80,IVF64,PQ20", 64)); /* more dimensions out than in: padded, as Faiss */
    CHECK_OK(check("PCAR64,IVF64,PQ8", 64));
}

static void test_factory__dimensions_that_do_not_divide_are_refused(void **state)
{
    (void)state;
    CHECK_FAILS(ERR_INVALID, "m = 16 does not divide d = 100", check("IVF64,PQ16", 100));
    CHECK_FAILS(ERR_INVALID, "m = 200 does not divide d = 100", check("IVF64,PQ200", 100));
    CHECK_FAILS(ERR_INVALID, "OPQ's m = 16", check("OPQ16_40,IVF64,PQ8", 128));
    CHECK_FAILS(ERR_INVALID, "PQ's m = 24", check("OPQ16_64,IVF64,PQ24", 240));
    CHECK_FAILS(ERR_INVALID, "PCAR129", check("PCAR129,IVF64,Flat", 128));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_factory__every_form_of_key_is_read),
        cmocka_unit_test(test_factory__faulty_key_names_the_token),
        cmocka_unit_test(test_factory__dimensions_that_divide_are_accepted),
        cmocka_unit_test(test_factory__dimensions_that_do_not_divide_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
