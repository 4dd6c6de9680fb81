#include "tests/row_files.h"

/* A .npy of this version and dictionary, n bytes of array behind it. */
static const char *npy(const char *name, int major, const char *dict, size_t n)
{
    size_t length = strlen(dict);
    const unsigned char head[12] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', (unsigned char)major, 0, length & 255, length >> 8 & 255};
    const struct part_bytes parts[] = {
        {head,         major == 1 ? 10 : 12},
        {dict,         length              },
        {some_bytes(), n                   }
    };

    return put_parts(name, parts, 3);
}

#define DICT(type, shape)                                                                          \
    "{'descr': '" type "', 'fortran_order': False, 'shape': (" shape "), }  \n"

static void test_format_npy__header_says_the_element(void **state)
{
    static const struct {
        const char *dict;
        enum cell cell;
        size_t bytes;
    } cases[] = {
        {DICT("<f4", "7, 33"), CELL_F32,       4},
        {DICT("<f2",          "7, 33"),         CELL_F16,      2},
        {DICT("|u1",         "7, 33"),                 CELL_U8,                 1},
        {DICT("|i1",   "7, 33"),CELL_I8,1},
        {DICT("<i4","7, 33"),        CELL_I32,                              4},
        {DICT("<u4", "7, 33"),  CELL_U32, 4},
        {DICT("<i8",          "7, 33"),         CELL_I64,               8},
        {DICT("<f4",         "7L, 33L"),                 CELL_F32,                      4},
        {"{'shape':(7,33),'fortran_order':False,'descr':'<f4'}\n",  CELL_F32, 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int major = 1; major <= 3; major++)
            check_file(npy("a.npy", major, cases[i].dict, 7 * 33 * cases[i].bytes), ROLE_BASE,
                       cases[i].cell, 7, 33, some_bytes());
}

static void test_format_npy__what_is_not_ours_is_refused_with_the_reason(void **state)
{
    static const struct {
        const char *dict, *word;
    } cases[] = {
        {DICT(">f4",                      "7, 33"),                              "big endian"},
        {DICT("<f8",                               "7, 33"),                                                           "convert with x.astype('<f4')"},
        {DICT("|O", "7, 33"),"Python objects"},
        {DICT("<c8",                       "7, 33"),                                                                 "dtype '<c8': vectors are f4"},
        {DICT("<f4",                      "231,"),                             "an array of 1 dimensions"},
        {DICT("<f4",                               "7, 3, 11"),                                                           "an array of 3 dimensions"},
        {DICT("<f4",     ""),              "an array of 0 dimensions"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (7, 33), }\n",
         "numpy.ascontiguousarray"},
        {"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (7, 33), }\n",
         "a structured dtype"                                                   },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_FAILS(ERR_FORMAT, cases[i].word,
                    try_rows(npy("a.npy", 1, cases[i].dict, 7 * 33 * 4), ROLE_BASE));
    CHECK_FAILS(ERR_UNSUPPORTED, "version 4.0",
                try_rows(npy("a.npy", 4, DICT("<f4", "7, 33"), 924), ROLE_BASE));
}

static void test_format_npy__hostile_headers_are_refused(void **state)
{
    static const struct {
        const char *dict, *word;
    } cases[] = {
        {DICT("<f4",                  "7, 32"),                                    "more than one array?"},
        {DICT("<f4",                           "7, 34"),                                                             "cut off?"},
        {DICT("<f4",                 "0, 33"),"n = 0"},
        {DICT("<f4",   "7, 0"),                                        "d = 0"},
        {DICT("<f4",                  "7, 65537"),                                                    "d = 65537"},
        {DICT("<f4",                           "-7, 33"),                                                             "no sensible shape"},
        {DICT("<f4",                "7; 33"),        "no sensible shape"},
        {DICT("<f4","99999999999999999999, 33"),"no sensible shape"},
        {DICT("<f4",                  "9223372036854775807, 33"),                                      "more than any file holds"},
        {DICT("<f4",                           "4611686018427387904, 1"),                                                             "more than any file holds"},
        {"{'descr': '<f4', 'fortran_order': False}\n",        "no shape"                                                                                               },
        {"{'descr': '<f4', 'shape': (7, 33)}\n","fortran_order"},
        {"{'fortran_order': False, 'shape': (7, 33)}\n",                  "no dtype"         },
        {"{'descr': '<f4",                           "a.npy"                          },
        {"{'descr'",                           "no dtype"},
        {"",                           "no dtype"                                                             },
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (7, 33",                           "cut off?"                                             },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_FAILS(ERR_FORMAT, cases[i].word,
                    try_rows(npy("a.npy", 1, cases[i].dict, cases[i].word[0] == 'c' ? 923 : 924),
                             ROLE_BASE));
}

static void test_format_npy__every_cut_is_noticed(void **state)
{
    const char *path = npy("cut.npy", 1, DICT("<f4", "7, 3"), 7 * 3 * 4);
    struct stat st;

    (void)state;
    CHECK_OK(stat(path, &st));
    for (off_t n = st.st_size - 1; n > 0; n--) {
        CHECK_OK(truncate(path, n));
        CHECK_FAILS(ERR_FORMAT, "cut.npy", try_rows(path, ROLE_BASE));
    }
}

static void test_format_npy__foreign_files_are_refused(void **state)
{
    (void)state;
    CHECK_FAILS(ERR_FORMAT, "does not begin as a .npy file does",
                try_rows(put_two("f.npy", "\x93NUMPX\1\0\0\0\0\0", 12, "", 0), ROLE_BASE));
    CHECK_FAILS(ERR_FORMAT, "4294967295 bytes long",
                try_rows(put_two("f.npy", "\x93NUMPY\2\0\xff\xff\xff\xff", 12, "", 0), ROLE_BASE));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_npy__header_says_the_element),
        cmocka_unit_test(test_format_npy__what_is_not_ours_is_refused_with_the_reason),
        cmocka_unit_test(test_format_npy__hostile_headers_are_refused),
        cmocka_unit_test(test_format_npy__every_cut_is_noticed),
        cmocka_unit_test(test_format_npy__foreign_files_are_refused),
    };

    return testing_options(argc, argv) < 0 ? 2 : cmocka_run_group_tests(tests, NULL, NULL);
}
