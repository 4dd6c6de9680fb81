/* What a spec may say, and where and in which words it is told what it may not. */
#include "tests/testing.h"

#include <dirent.h>
#include <stdlib.h>

#include "engine/base/file.h"
#include "harness/spec_keys.h"

#define HEAD                                                                                       \
    "version: 1\n"                                                                                 \
    "dataset: {name: synthetic, n: 1000, d: 128}\n"                                                \
    "index: \"IVF16,Flat\"\n"

static struct spec *spec;
static struct text errors;

static void forget(void)
{
    spec_free(spec);
    spec = NULL;
    text_clear(&errors);
}

static int tear_down(void **state)
{
    (void)state;
    forget();
    return 0;
}

static int parse_set(const char *text, const char *set)
{
    forget();
    return spec_parse(&spec, "dir/t.yaml", text, &set, set != NULL, &errors);
}

static int parse(const char *text)
{
    return parse_set(text, NULL);
}

static void check_words(const char *text, const char *words)
{
    if (!strstr(text_get(&errors), words))
        fail_msg("no \"%s\" among the errors of\n%s\n%s", words, text, text_get(&errors));
}

/* text is refused, and its errors hold words. */
static void check_error(const char *text, const char *words)
{
    CHECK_FAILS(ERR_INVALID, "dir/t.yaml: ", parse(text));
    check_words(text, words);
}

struct wrong {
    const char *text, *words;
};

static void check_errors(const struct wrong *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_error(cases[i].text, cases[i].words);
}

#define CHECK_ERRORS(cases) check_errors(cases, sizeof(cases) / sizeof *(cases))

/* ---- what is right ---- */

static void test_spec__three_keys_are_enough_and_the_rest_has_defaults(void **state)
{
    (void)state;
    CHECK_OK(parse(HEAD));
    assert_string_equal(spec->name, "t");
    assert_string_equal(spec->index.v[0], "IVF16,Flat");
    assert_int_equal(spec->dataset.n, 1000);
    assert_int_equal(spec->dataset.nq, 1000);
    assert_int_equal(spec->dataset.nt, 1000);
    assert_int_equal(spec->dataset.seed, 1);
    assert_int_equal(spec->k.v[0], 10);
    assert_int_equal(spec->batch.v[0], 16384);
    assert_int_equal(spec->nprobe.count, 9);
    assert_int_equal(spec->nprobe.v[8], 256);
    assert_int_equal(spec->seed.v[0], 1234);
    assert_int_equal(spec->coarse_iterations, 25);
    assert_int_equal(spec->threads.v[0], SPEC_AUTO);
    assert_int_equal(spec->storage.v[0], SPEC_AUTO);
    assert_int_equal(spec->temp_memory, SPEC_AUTO);
    assert_int_equal(spec->max_add, SPEC_AUTO);
    assert_true(spec->measure_recall && spec->measure_intersection && spec->cache);
    assert_null(spec->later);
}

static void test_spec__every_key_of_the_design_is_read(void **state)
{
    (void)state;
    setenv("SPEC_TEST", "/data", 1);
    CHECK_OK(parse("version: 1\n"
                   "name: my.sift-1_m\n"
                   "dataset: {name: mine, base: \"${SPEC_TEST}/a.bvecs\", query: q.fvecs,\n"
                   "          learn: \"$${x}.bvecs\", truth: /t.ivecs, limit: 1000000}\n"
                   "index: [\"IVF4096,Flat\", \"OPQ16_64,IVF4096,PQ16\"]\n"
                   "backend: cpu\n"
                   "gpus: [1, 2]\n"
                   "replicas: 1\n"
                   "storage: [auto, u8]\n"
                   "float16: [false, true]\n"
                   "threads: [auto, 3]\n"
                   "precomputed_tables: false\n"
                   "temp_memory: 1.5GiB\n"
                   "train: {seed: [1, 2], coarse_iterations: 10}\n"
                   "add: {batch: 1000, mode: alt, max_add: 5}\n"
                   "search: {k: 100, batch: 64, nprobe: {from: 3, to: 9, add: 3}, warmup: 0, "
                   "repeat: 7}\n"
                   "measure: [recall]\n"
                   "knn_graph: true\n"
                   "outputs: {ids: \"ids_{index}_{nprobe}.npy\", distances: d.npy}\n"
                   "cache: false\n"
                   "exclude: [{gpus: 2, index: \"*,Flat\"}]\n"));
    assert_string_equal(spec->name, "my.sift-1_m");
    assert_string_equal(spec->base, "/data/a.bvecs");
    assert_string_equal(spec->query, "dir/q.fvecs");
    assert_string_equal(spec->learn, "dir/${x}.bvecs");
    assert_string_equal(spec->dataset.truth, "/t.ivecs");
    assert_int_equal(spec->dataset.limit, 1000000);
    assert_int_equal(spec->backend, BACKEND_CPU);
    assert_int_equal(spec->gpus.count, 2);
    assert_int_equal(spec->storage.v[1], ELEM_U8);
    assert_int_equal(spec->float16.v[1], 1);
    assert_int_equal(spec->threads.v[1], 3);
    assert_int_equal(spec->precomputed_tables.v[0], 0);
    assert_int_equal(spec->temp_memory, 1610612736);
    assert_int_equal(spec->seed.v[1], 2);
    assert_int_equal(spec->max_add, 5);
    assert_int_equal(spec->nprobe.count, 3);
    assert_int_equal(spec->nprobe.v[2], 9);
    assert_int_equal(spec->warmup, 0);
    assert_int_equal(spec->repeat, 7);
    assert_true(spec->measure_recall && !spec->measure_intersection && !spec->cache);
    assert_string_equal(spec->later, "add.mode, add.max_add, knn_graph, outputs.ids, "
                                     "outputs.distances");
    assert_int_equal(spec->exclude[0].line, 21);
    assert_int_equal(spec->exclude[0].values[AXIS_GPUS].v[0], 2);
}

static void test_spec__a_scalar_key_in_block_style_needs_no_quotes(void **state)
{
    (void)state;
    CHECK_OK(parse("version: 1\ndataset:\n  name: synthetic\n  n: 10\n  d: 8\n"
                   "index:\n  - IVF4,Flat\n  - IVF4,PQ4\n"));
    assert_int_equal(spec->index.count, 2);
    CHECK_OK(parse("version: 1\ndataset: {name: synthetic, n: 9, d: 8}\nindex: IVF4,Flat\n"));
    assert_string_equal(spec->index.v[0], "IVF4,Flat");
}

static void test_spec__a_name_is_made_of_the_files(void **state)
{
    (void)state;
    forget();
    CHECK_OK(spec_parse(&spec, "a/my spec.v2.yaml", HEAD, NULL, 0, &errors));
    assert_string_equal(spec->name, "my_spec.v2");
}

static void test_spec__sizes_take_units(void **state)
{
    (void)state;
    CHECK_OK(parse(HEAD "temp_memory: 512MiB\n"));
    assert_int_equal(spec->temp_memory, 512 << 20);
    CHECK_OK(parse(HEAD "temp_memory: 1000\n"));
    assert_int_equal(spec->temp_memory, 1000);
}

static void test_spec__a_section_may_stand_empty(void **state)
{
    (void)state;
    CHECK_OK(parse(HEAD "train:\n  # seed: 3\n"));
    CHECK_OK(parse_set(HEAD "train:\n", "train.seed=3"));
    assert_int_equal(spec->seed.v[0], 3);
}

static void test_spec__aliases_that_end_are_fine(void **state)
{
    (void)state;
    CHECK_OK(parse(HEAD "gpus: &one 1\nreplicas: *one\n"));
    assert_int_equal(spec->replicas.v[0], 1);
}

/* ---- what is wrong, and where ---- */

static void test_spec__values_are_typed_by_their_key_not_by_yaml(void **state)
{
    static const struct wrong cases[] = {
        {HEAD "search: {k: 010}\n",                  "t.yaml:4:13: error: search.k: \"010\" is not a whole number; "
                                    "a leading zero looks octal: write 10\n"          },
        {HEAD "search: {k: 1_000}\n",                "4:13: error: search.k: \"1_000\" is not a whole number; "
                                      "write 1000, without underscores\n"           },
        {HEAD "search: {k: 1e3}\n",                  "4:13: error: search.k: \"1e3\" is not a whole number; "
                                    "write it out: 1000\n"                            },
        {HEAD "search: {k: 0x10}\n",                 "4:13: error: search.k: \"0x10\" is not a whole number\n"           },
        {HEAD "search: {k: +5}\n",                   "write 5, without the sign\n"                                       },
        {HEAD "search: {k: 1.5}\n",                  "\"1.5\" is not a whole number\n"                                   },
        {HEAD "search: {k: \"5\"}\n",                "4:13: error: search.k: \"5\" is in quotes"                         },
        {HEAD "search: {k: 99999999999999999999}\n", "is too large"                                                      },
        {HEAD "cache: yes\n",                        "4:8: error: cache: \"yes\" is neither true nor false; write true\n"},
        {HEAD "cache: off\n",                        "\"off\" is neither true nor false; write false\n"                  },
        {HEAD "cache: True\n",                       "\"True\" is neither true nor false; write true\n"                  },
        {HEAD "backend: gpu\n",                      "4:10: error: backend: \"gpu\" is none of auto, cuda or cpu\n"      },
        {HEAD "temp_memory: 5MB\n",                  "4:14: error: temp_memory: \"5MB\" is not a size: write bytes"      },
        {HEAD "temp_memory: 99999999TiB\n",          "is too large"                                                      },
        {HEAD "temp_memory: 1.5\n",                  "\"1.5\" is not a size"                                             },
        {HEAD "name: a/b\n",                         "4:7: error: name: \"a/b\": only letters, digits, and . _ - "       },
        {HEAD "name:\n",                             "name: the value is missing\n"                                      },
        {HEAD "search: {k: !!int 5}\n",              "4:13: error: tag tag:yaml.org,2002:int: "                          },
    };

    (void)state;
    CHECK_ERRORS(cases);
}

static void test_spec__ranges_are_checked(void **state)
{
    static const struct wrong cases[] = {
        {"version: 2\n",                                              "t.yaml:1:10: error: version 2 is not one this build reads: it reads "
                         "version 1\n"                                                                  },
        {HEAD "search: {nprobe: 0}\n",                                "4:18: error: search.nprobe: 0 is too small: at least 1\n"},
        {HEAD "search: {k: 0}\n",                                     "4:13: error: search.k: 0 is too small: at least 1\n"     },
        {HEAD "search: {k: 2049}\n",                                  "4:13: error: search.k: 2049 is too large: at most 2048\n"},
        {HEAD "search: {k: [1, 0]}\n",                                "4:17: error: search.k: 0 is too small"                   },
        {HEAD "search: {k: []}\n",                                    "4:13: error: search.k: an empty list"                    },
        {HEAD "search: {k: [1, [2]]}\n",                              "4:17: error: search.k: a list inside a list\n"           },
        {HEAD "search: {k: [1, 1]}\n",                                "4:17: error: search.k: 1 stands twice\n"                 },
        {HEAD "search: {nprobe: {from: 1, to: 9}}\n",                 "4:18: error: search.nprobe: a range is "                 },
        {HEAD "search: {nprobe: {from: 1, to: 9, mul: 1}}\n",
         "4:40: error: mul: 1 is too small: at least 2\n"                                                                       },
        {HEAD "search: {nprobe: {from: 1, to: 9, add: 0}}\n",
         "4:40: error: add: 0 is too small: at least 1\n"                                                                       },
        {HEAD "search: {nprobe: {from: 9, to: 1, mul: 2}}\n",         "a range goes up"                                         },
        {HEAD "search: {nprobe: {from: 0, to: 1, mul: 2}}\n",
         "4:25: error: search.nprobe: 0 is too small"                                                                           },
        {HEAD "search: {nprobe: {from: 1, to: 9, by: 2}}\n",          "4:35: error: unknown key \"by\""                         },
        {HEAD "search: {nprobe: {from: 1, to: 9000, add: 1}}\n",      "more than 4096 values\n"                                 },
        {HEAD "train: {coarse_iterations: [1, 2]}\n",
         "4:28: error: train.coarse_iterations takes one value, not a list\n"                                                   },
        {HEAD "train: {coarse_iterations: {a: 1}}\n",                 "takes a value, not a mapping\n"                          },
        {HEAD "train: {seed: [1, 2]}\noutputs: {centroids: c.npy}\n",
         "several seeds want {seed} in the name\n"                                                                              },
        {HEAD "train: 5\n",                                           "4:8: error: train is a section: {seed: ...}\n"           },
    };

    (void)state;
    CHECK_ERRORS(cases);
}

static void test_spec__unknown_key_names_the_nearest(void **state)
{
    static const struct wrong cases[] = {
        {HEAD "serach: {k: 1}\n",
         "t.yaml:4:1: error: unknown key \"serach\"; did you mean \"search\"?\n"                },
        {HEAD "search: {nporbe: 1}\n",
         "4:10: error: unknown key \"nporbe\"; did you mean \"nprobe\"?\n"                      },
        {HEAD "nprobe: 1\n",
         "4:1: error: unknown key \"nprobe\"; did you mean \"search.nprobe\"?\n"                },
        {HEAD "nporbe: 1\n",
         "4:1: error: unknown key \"nporbe\"; did you mean \"search.nprobe\"?\n"                },
        {HEAD "xyzzyplugh: 1\n",
         "4:1: error: unknown key \"xyzzyplugh\"; `ivfbench help spec` lists the keys\n"        },
        {HEAD "<<: {k: 1}\n",             "4:1: error: merge keys (<<) are not supported"       },
        {HEAD "exclude: [{nporbe: 2}]\n", "4:12: error: exclude: \"nporbe\" is no axis: index, "},
        {HEAD "exclude: [{}]\n",          "4:11: error: exclude: an entry is a mapping"         },
        {HEAD "exclude: {gpus: 2}\n",     "4:10: error: exclude is a list"                      },
    };

    (void)state;
    CHECK_ERRORS(cases);
}

static void test_spec__unquoted_factory_keys_get_the_hint_to_quote(void **state)
{
    static const struct wrong cases[] = {
        {"version: 1\nindex: [OPQ20_80,IVF262144,PQ20]\n",
         "t.yaml:2:9: error: factory keys contain commas; quote it: \"OPQ20_80,IVF262144,PQ20\"\n"            },
        {"version: 1\nindex: [IVF16,Flat, IVF32,PQ8]\n",
         "2:21: error: factory keys contain commas; quote it: \"IVF32,PQ8\"\n"                                },
        {HEAD "exclude: [{index: [IVF16,Flat]}]\n",             "4:20: error: factory keys contain commas"    },
        {HEAD "search:\n  nprobe: 1,2,4\n",
         "5:11: error: search.nprobe: a list needs brackets: [1,2,4]\n"                                       },
        {HEAD "search: {nprobe: 1,2}\n",
         "4:20: error: \"2\" is cut off from \"nprobe\" by the comma: a list needs brackets"                  },
        {"version: 1\nindex: [IVF16]\n",                        "2:9: error: index \"IVF16\" ends early"      },
        {"version: 1\nindex: \"IVF16,PQ8x4\"\n",                "2:8: error: index \"IVF16,PQ8x4\": \"PQ8x4\""},
        {"version: 1\nindex: [\"IVF4,Flat\", \"IVF4,Flat\"]\n",
         "2:22: error: index: \"IVF4,Flat\" stands twice\n"                                                   },
    };

    (void)state;
    CHECK_ERRORS(cases);
}

static void test_spec__contradictions_are_refused(void **state)
{
    static const struct wrong cases[] = {
        {HEAD "replicas: 2\n",                                                                    "t.yaml:4:11: error: replicas 2 is over gpus 1"},
        {HEAD "gpus: 3\nreplicas: 2\n",
         "5:11: error: gpus 3 cannot be shared out evenly over replicas 2\n"                                                                     },
        {"version: 1\ndataset: {name: synthetic, n: 9, d: 128}\nindex: \"IVF4,PQ17\"\n",
         "3:8: error: index \"IVF4,PQ17\": "                                                                                                     },
        {"version: 1\ndataset: {name: SIFT1M, root: r}\nindex: [\"IVF4,Flat\", \"IVF4,PQ17\"]\n",
         "3:22: error: index \"IVF4,PQ17\": "                                                                                                    },
        {HEAD "search: {nprobe: {from: 1, to: 4096, add: 1}, k: {from: 1, to: 100, add: 1}}\n",
         "more than 100000 trials"                                                                                                               },
    };

    (void)state;
    CHECK_ERRORS(cases);
    CHECK_OK(parse(HEAD "gpus: [1, 2, 4]\nreplicas: [1, 2]\n")); /* pairs that fit exist */
}

static void test_spec__a_data_set_has_the_keys_of_its_kind(void **state)
{
    static const struct wrong cases[] = {
        {"version: 1\nindex: IVF4,Flat\n",                                            "t.yaml:1:1: error: dataset.name is missing: "},
        {"dataset: {name: synthetic, n: 9, d: 8}\nindex: IVF4,Flat\n",                "version is missing"                          },
        {"version: 1\ndataset: {name: synthetic, n: 9, d: 8}\n",                      "index is missing"                            },
        {"version: 1\ndataset: {name: synthetic, n: 9}\n",
         "2:17: error: dataset.d is missing: of how many dimensions\n"                                                              },
        {"version: 1\ndataset: {name: synthetic, n: 9, d: 8, base: a}\n",
         "2:46: error: dataset.base has no meaning for synthetic data"                                                              },
        {"version: 1\ndataset: {name: SIFT1M}\n",
         "2:17: error: dataset.root is missing: the folder the files are in, as in root: "
         "\"${IVFBENCH_DATA}\"\n"                                                                                                   },
        {"version: 1\ndataset: {name: SIFT1M, root: a, n: 5}\n",                      "2:37: error: dataset.n is for "              },
        {"version: 1\ndataset: {name: SIFT1M, root: a, limit: 5}\n",                  "dataset.limit is for your"                   },
        {"version: 1\ndataset: {name: sift1m, root: a}\n",                            "2:17: error: there is no data set "          },
        {"version: 1\ndataset: {name: mine, query: q.fvecs}\n",
         "2:17: error: dataset.base is missing: the file of vectors to search\n"                                                    },
        {"version: 1\ndataset: {name: mine, base: a, query: b, root: c}\n",
         "2:48: error: dataset.root is for SIFT<n>M"                                                                                },
        {"version: 1\ndataset: {name: mine, base: ~/a.fvecs, query: b}\n",
         "2:29: error: dataset.base: ~ is not expanded: write ${HOME}/a.fvecs\n"                                                    },
        {"version: 1\ndataset: {name: mine, base: \"${NO_SUCH_VAR}/a\", query: b}\n",
         "2:29: error: ${NO_SUCH_VAR} is not set: export NO_SUCH_VAR=..."                                                           },
        {"version: 1\ndataset: {name: mine, base: \"${HOME\", query: b}\n",           "without a \"}\"\n"                           },
    };

    (void)state;
    unsetenv("NO_SUCH_VAR");
    CHECK_ERRORS(cases);
}

static void test_spec__a_section_that_is_none_is_one_error(void **state)
{
    (void)state;
    CHECK_FAILS(ERR_INVALID, "1 error", parse("version: 1\ndataset: SIFT1M\nindex: IVF4,Flat\n"));
    check_words("", "2:10: error: dataset is a section: {name: ...}\n");
}

static void test_spec__yaml_that_is_no_spec_is_refused(void **state)
{
    static const struct wrong cases[] = {
        {"",                            "t.yaml:1:1: error: nothing here: the text is empty\n"                  },
        {"# only a comment\n",          "nothing here: the text is empty\n"                                     },
        {"---\n",                       "error: a spec is a mapping of keys to values"                          },
        {"[1, 2]\n",                    "1:1: error: a spec is a mapping"                                       },
        {"just words\n",                "1:1: error: a spec is a mapping"                                       },
        {HEAD "---\nversion: 1\n",      "4:1: error: a second document: one file is one spec\n"                 },
        {HEAD "index: a\n",             "4:1: error: duplicate key \"index\"\n"                                 },
        {HEAD "search: {k: 1, k: 2}\n", "4:16: error: duplicate key \"k\"\n"                                    },
        {HEAD "search: &x {k: *x}\n",   "4:16: error: cyclic alias: *x stands inside"                           },
        {HEAD "search: {k: *y}\n",      "4:13: error: alias *y: no anchor &y stands before it\n"                },
        {HEAD "? [a, b]\n: c\n",        "4:3: error: a key must be a word"                                      },
        {HEAD "search: [1, 2\n",        "error: did not find expected ',' or ']'\n"                             },
        {HEAD "search: [1, 2\n",
         "t.yaml:4:9: note: while parsing a flow sequence that begins here"                                     },
        {HEAD "train:\n\tseed: 1\n",    "5:1: error: found character that cannot start any token: "
                                     "a tab; YAML is indented with spaces\n"},
        {HEAD "name: \xff\n",           "4:7: error: invalid leading UTF-8 octet"                               },
        {HEAD "name: \x1b[31m\n",       "4:7: error: control characters are not allowed"                        },
        {HEAD "name: \"a\\0b\"\n",      "4:7: error: a NUL character inside a value\n"                          },
    };

    (void)state;
    CHECK_ERRORS(cases);
}

static void test_spec__a_message_shows_the_line_and_a_caret(void **state)
{
    (void)state;
    check_error(HEAD "train: {seed: 1}\nsearch:   {k: 0}   # few\n",
                "dir/t.yaml:5:15: error: search.k: 0 is too small: at least 1\n"
                "    5 | search:   {k: 0}   # few\n"
                "      |               ^\n");
    check_error(HEAD "search: {\tk:\t0}\n", "    4 | search: {\tk:\t0}\n"
                                            "      |          \t  \t^\n");
    check_error("version: 1\nname: \"\xc3\xa9\" # \xff\n", "    2 | name: \"\xc3\xa9\" # ?\n");
    check_error(HEAD "name: \"\xc3\xa9\xc3\xa9\"\n", "    4 | name: \"\xc3\xa9\xc3\xa9\"\n"
                                                     "      |       ^\n");
}

static void test_spec__a_byte_order_mark_moves_no_column(void **state)
{
    (void)state;
    check_error("\xef\xbb\xbfversion: 3\n", "t.yaml:1:10: error: version 3");
}

static void test_spec__all_errors_are_reported_in_the_order_of_the_text(void **state)
{
    static const char *const in_order[] = {":1:10: ", ":2:47: ", ":3:8: ", ":4:1: ", ":5:13: "};
    const char *at;

    (void)state;
    CHECK_FAILS(ERR_INVALID, "5 errors",
                parse("version: 2\n"
                      "dataset: {name: synthetic, n: 1000, d: 8, nq: 0}\n"
                      "index: \"IVF16,PQ3\"\n"
                      "nporbe: 1\n"
                      "search: {k: 0}\n"));
    at = text_get(&errors);
    for (int i = 0; i < 5; i++)
        if (!(at = strstr(at, in_order[i])))
            fail_msg("%s is missing, or comes too early:\n%s", in_order[i], text_get(&errors));
}

static void test_spec__hundreds_of_errors_are_cut_short(void **state)
{
    struct text text = {0};

    (void)state;
    text_add(&text, HEAD);
    for (int i = 0; i < 250; i++)
        text_addf(&text, "wrong%d: 1\n", i);
    CHECK_FAILS(ERR_INVALID, "250 errors", parse(text_get(&text)));
    check_words("250 unknown keys", "dir/t.yaml: and 150 more errors\n");
    text_clear(&text);
}

/* ---- hostile texts ---- */

static void test_spec__deep_nesting_is_refused(void **state)
{
    struct text text = {0};

    (void)state;
    text_add(&text, HEAD "name: ");
    for (int i = 0; i < 5000; i++)
        text_add(&text, "[");
    check_error(text_get(&text), "error: nested deeper than 64 levels\n");
    text_clear(&text);
}

/* Ten lists of ten aliases to the one before: 10^10 values in 400 bytes. */
static void test_spec__exploding_aliases_are_refused(void **state)
{
    struct text text = {0};

    (void)state;
    text_add(&text, HEAD "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 10; i++) {
        text_addf(&text, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            text_addf(&text, "%s*a%d", j ? "," : "", i - 1);
        text_add(&text, "]\n");
    }
    check_error(text_get(&text), "error: more than 100000 values, aliases expanded\n");
    text_clear(&text);
}

static void test_spec__deep_aliases_are_refused(void **state)
{
    struct text text = {0};

    (void)state;
    text_add(&text, HEAD "a0: &a0 [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n");
    for (int i = 1; i < 5; i++)
        text_addf(&text, "a%d: &a%d [[[[[[[[[[*a%d]]]]]]]]]]\n", i, i, i - 1);
    text_addf(&text, "b: [[[[[[[*a4]]]]]]]\n");
    check_error(text_get(&text), "9:11: error: nested deeper than 64 levels\n");
    text_clear(&text);
}

static void test_spec__too_long_a_file_or_none_is_refused(void **state)
{
    char path[1024];
    FILE *f;

    (void)state;
    forget();
    snprintf(path, sizeof path, "%s/long.yaml", testing_tmpdir());
    CHECK_FAILS(ERR_IO, "long.yaml", spec_load(&spec, path, NULL, 0, &errors));
    assert_non_null(f = fopen(path, "w"));
    for (int i = 0; i < 1100; i++)
        fprintf(f, "#%1023s\n", "");
    fclose(f);
    assert_true(spec_load(&spec, path, NULL, 0, &errors) < 0);
    assert_non_null(strstr(fail_text(), "long.yaml"));
    assert_non_null(f = fopen(path, "w"));
    fwrite(HEAD "\0name: x\n", 1, sizeof(HEAD "\0name: x\n") - 1, f);
    fclose(f);
    CHECK_FAILS(ERR_INVALID, "not a text", spec_load(&spec, path, NULL, 0, &errors));
    check_words(path, "a NUL byte at offset");
}

/* ---- --set ---- */

static void test_spec__set_wins_over_the_file(void **state)
{
    (void)state;
    CHECK_OK(parse_set(HEAD "search: {k: 5, nprobe: 3}\n", "search.nprobe=[1, 4]"));
    assert_int_equal(spec->nprobe.count, 2);
    assert_int_equal(spec->nprobe.v[1], 4);
    assert_int_equal(spec->k.v[0], 5);
    CHECK_OK(parse_set(HEAD, "index=IVF32,PQ8"));
    assert_string_equal(spec->index.v[0], "IVF32,PQ8");
    CHECK_OK(parse_set(HEAD, "search.nprobe={from: 1, to: 8, mul: 2}"));
    assert_int_equal(spec->nprobe.count, 4);
    CHECK_OK(parse_set(HEAD "search: {k: 5}\n", "search={batch: 3}")); /* as a whole */
    assert_int_equal(spec->k.v[0], 10);
    CHECK_OK(parse_set("version: 1\nindex: IVF4,Flat\n", "dataset={name: synthetic, n: 9, d: 8}"));
    assert_int_equal(spec->dataset.n, 9);
}

static void test_spec__set_is_checked_like_the_file(void **state)
{
    static const struct {
        const char *set, *words;
    } cases[] = {
        {"search.nporbe=4",
         "--set search.nporbe=4: error: unknown key \"search.nporbe\"; "
         "did you mean \"search.nprobe\"?\n      | search.nporbe=4\n      | ^\n"       },
        {"search.k=0",        "--set search.k=0: error: search.k: 0 is too small: at least 1\n"
                       "      | search.k=0\n      |          ^\n"},
        {"search.k",          "--set search.k: error: --set wants key=value"           },
        {"=5",                "error: --set wants key=value"                           },
        {"search.k=",         "--set search.k=: error: the value is missing\n"         },
        {"search.k=[1,",      "--set search.k=[1,: error: "                            },
        {"index=[IVF4,Flat]", "factory keys contain commas; quote it: \"IVF4,Flat\"\n" },
        {"search.nprobe=1,2", "error: search.nprobe: a list needs brackets: [1,2]\n"   },
        {"search=5",          "error: search is a section"                             },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_FAILS(ERR_INVALID, "1 error", parse_set(HEAD, cases[i].set));
        check_words(cases[i].set, cases[i].words);
    }
}

/* ---- table, schema, shipped specs ---- */

static void test_spec__every_row_of_the_table_has_a_help_and_a_right_default(void **state)
{
    const struct spec_key *key;

    (void)state;
    for (int i = 0; (key = spec_key(i)); i++) {
        struct text line = {0};

        assert_true(strlen(key->help) > 5);
        assert_ptr_equal(spec_key_find(key->name), key);
        if (!key->initial) continue;
        text_addf(&line, "%s=%s", key->name, key->initial);
        CHECK_OK(parse_set(HEAD, text_get(&line)));
        text_clear(&line);
    }
}

static void test_spec__the_schema_that_ships_is_the_tables(void **state)
{
    struct text schema = {0};
    char *shipped = NULL;
    int64_t n = 0;

    (void)state;
    spec_schema(&schema);
    CHECK_OK(file_read_all(&shipped, &n, "experiments/spec.schema.json", 1 << 20));
    if (strcmp(shipped, text_get(&schema)))
        fail_msg("experiments/spec.schema.json is behind the table: "
                 "build/ivfbench schema > experiments/spec.schema.json");
    mem_free(shipped);
    text_clear(&schema);
}

static void test_spec__help_names_every_key(void **state)
{
    const struct spec_key *key;
    struct text help = {0}, page = {0};

    (void)state;
    assert_true(spec_help(&help, NULL) > 30);
    for (int i = 0; (key = spec_key(i)); i++) {
        assert_non_null(strstr(text_get(&help), key->name));
        text_reset(&page);
        assert_int_equal(spec_help(&page, key->name), 1);
        assert_memory_equal(text_get(&page), key->name, strlen(key->name));
    }
    assert_true(spec_help(&page, "search") > 3);
    assert_int_equal(spec_help(&page, "searc"), 0);
    text_clear(&help);
    text_clear(&page);
}

static void test_spec__every_spec_that_ships_is_right_and_names_its_schema(void **state)
{
    static const char modeline[] = "# yaml-language-server: $schema=spec.schema.json\n";
    DIR *folder = opendir("experiments");
    const struct dirent *entry;
    int count = 0;

    (void)state;
    assert_non_null(folder);
    setenv("IVFBENCH_DATA", "/nowhere", 0);
    while ((entry = readdir(folder))) {
        const char *dot = strrchr(entry->d_name, '.');
        char path[512];

        if (!dot || strcmp(dot, ".yaml")) continue;
        snprintf(path, sizeof path, "experiments/%s", entry->d_name);
        forget();
        if (spec_load(&spec, path, NULL, 0, &errors) < 0) fail_msg("%s", text_get(&errors));
        assert_memory_equal(spec->text, modeline, sizeof modeline - 1);
        count++;
    }
    closedir(folder);
    assert_true(count >= 9);
}

/* ---- out of memory ---- */

static void test_spec__parsing_survives_every_failed_allocation(void **state)
{
    static const char text[] = HEAD "gpus: [1, 2]\nname: a b\nsearch: {k: [5, 6], nporbe: 3}\n";
    static const char *const sets[] = {"train.seed=4", "add={batch: 5}"};
    int rc = ERR_NOMEM;

    (void)state;
    for (int64_t nth = 1; rc == ERR_NOMEM; nth++) {
        forget();
        mem_fail_at(nth);
        rc = spec_parse(&spec, "t.yaml", text, sets, 2, &errors);
        mem_fail_at(0);
        assert_true(nth < 1000);
        if (rc == ERR_NOMEM) assert_null(spec);
    }
    assert_int_equal(rc, ERR_INVALID); /* name and nporbe: said once there is memory */
    check_words(text, "nporbe");
    rc = ERR_NOMEM;
    for (int64_t nth = 1; rc == ERR_NOMEM; nth++) {
        forget();
        mem_fail_at(nth);
        rc = spec_parse(&spec, "t.yaml", HEAD, sets, 2, &errors);
        mem_fail_at(0);
    }
    CHECK_OK(rc);
    assert_int_equal(spec->seed.v[0], 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_spec__three_keys_are_enough_and_the_rest_has_defaults),
        TEST(test_spec__every_key_of_the_design_is_read),
        TEST(test_spec__a_scalar_key_in_block_style_needs_no_quotes),
        TEST(test_spec__a_name_is_made_of_the_files),
        TEST(test_spec__sizes_take_units),
        TEST(test_spec__a_section_may_stand_empty),
        TEST(test_spec__aliases_that_end_are_fine),
        TEST(test_spec__values_are_typed_by_their_key_not_by_yaml),
        TEST(test_spec__ranges_are_checked),
        TEST(test_spec__unknown_key_names_the_nearest),
        TEST(test_spec__unquoted_factory_keys_get_the_hint_to_quote),
        TEST(test_spec__contradictions_are_refused),
        TEST(test_spec__a_data_set_has_the_keys_of_its_kind),
        TEST(test_spec__a_section_that_is_none_is_one_error),
        TEST(test_spec__yaml_that_is_no_spec_is_refused),
        TEST(test_spec__a_message_shows_the_line_and_a_caret),
        TEST(test_spec__a_byte_order_mark_moves_no_column),
        TEST(test_spec__all_errors_are_reported_in_the_order_of_the_text),
        TEST(test_spec__hundreds_of_errors_are_cut_short),
        TEST(test_spec__deep_nesting_is_refused),
        TEST(test_spec__exploding_aliases_are_refused),
        TEST(test_spec__deep_aliases_are_refused),
        TEST(test_spec__too_long_a_file_or_none_is_refused),
        TEST(test_spec__set_wins_over_the_file),
        TEST(test_spec__set_is_checked_like_the_file),
        TEST(test_spec__every_row_of_the_table_has_a_help_and_a_right_default),
        TEST(test_spec__the_schema_that_ships_is_the_tables),
        TEST(test_spec__help_names_every_key),
        TEST(test_spec__every_spec_that_ships_is_right_and_names_its_schema),
        TEST(test_spec__parsing_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
