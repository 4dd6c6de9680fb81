/* gt, generate, convert and info as a user calls them: exit codes, words, and what the files hold. */
#include "tests/row_files.h"

#include <math.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "harness/cli.h"
#include "tests/program.h"

enum { N = 500, NQ = 9, D = 12, K = 5 };

/* A set of N rows in this format, in a folder of its own below tmpdir. */
static const char *generate(const char *format)
{
    const char *folder = program_file(format);

    if (program("generate", "--n", "500", "--d", "12", "--nq", "9", "--nt", "300", "--format",
                format, "-o", folder) != EXIT_DONE)
        fail_msg("%s", program_err());
    return folder;
}

static const char *in(const char *folder, const char *name)
{
    static char paths[16][1300];
    static int next;
    char *path = paths[next++ % 16];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

#define CHECK_SAID(code, word, ...)                                                                \
    do {                                                                                           \
        int got_ = program(__VA_ARGS__);                                                           \
        if (got_ != (code)) fail_msg("exit %d: %s", got_, program_err());                          \
        if (!strstr(program_err(), word) && !strstr(program_out(), word))                          \
            fail_msg("\"%s%s\" lacks \"%s\"", program_out(), program_err(), word);                 \
    } while (0)

static void test_data_verbs__generated_files_are_the_synthetic_set(void **state)
{
    static const char *const formats[] = {"bvecs", "u8bin", "npy", "fvecs", "fbin"};
    struct dataset *want = open_set(&(struct dataset_desc){
        .name = "synthetic", .n = N, .d = D, .nq = NQ, .nt = 300, .seed = 1});
    float q[2][NQ * D], x[2][N * D];
    uint8_t raw[N * D];

    (void)state;
    CHECK_OK(dataset_queries(want, q[0]));
    CHECK_OK(dataset_read(want, PART_BASE, 0, N, raw));
    elem_to_floats(ELEM_U8, raw, N * D, x[0]);
    for (int i = 0; i < 5; i++) {
        const char *folder = generate(formats[i]);
        char base[20], query[20], learn[20];
        struct dataset *ds;

        snprintf(base, sizeof base, "base.%s", formats[i]);
        snprintf(query, sizeof query, "query.%s", formats[i]);
        snprintf(learn, sizeof learn, "learn.%s", formats[i]);
        assert_non_null(strstr(program_out(), "dataset: {name: made, base: "));
        ds = open_set(&(struct dataset_desc){.name = "t",
                                             .base = in(folder, base),
                                             .query = in(folder, query),
                                             .learn = in(folder, learn)});
        assert_int_equal(dataset_info(ds)->nt, 300);
        CHECK_OK(dataset_queries(ds, q[1]));
        assert_memory_equal(q[0], q[1], sizeof q[0]);
        CHECK_OK(dataset_read(ds, PART_BASE, 0, N, x[1]));
        if (dataset_info(ds)->elem == ELEM_U8)
            assert_memory_equal(x[1], raw, sizeof raw);
        else
            assert_memory_equal(x[1], x[0], sizeof x[0]);
        dataset_close(ds);
    }
    dataset_close(want);
}

/* The nearest of all, by the plainest loop there is. */
static vid nearest(const uint8_t *x, int64_t n, const float *q)
{
    double best = INFINITY;
    vid id = -1;

    for (int64_t i = 0; i < n; i++) {
        double sum = 0;

        for (int t = 0; t < D; t++)
            sum += (q[t] - x[i * D + t]) * (q[t] - x[i * D + t]);
        if (sum < best) {
            best = sum;
            id = i;
        }
    }
    return id;
}

static void test_data_verbs__truth_is_exact_and_a_spec_can_use_it(void **state)
{
    const char *folder = generate("u8bin");
    static const char *const names[] = {"gt.ivecs", "gt.ibin", "gt.npy"};
    struct dataset_desc desc = {
        .name = "t", .base = in(folder, "base.u8bin"), .query = in(folder, "query.u8bin")};
    uint8_t x[N * D];
    float q[NQ * D];

    (void)state;
    for (int limited = 0; limited < 2; limited++)
        for (int i = 0; i < 3; i++) {
            vid ids[NQ * K];
            struct dataset *ds;

            desc.truth = in(folder, names[i]);
            desc.limit = limited ? 100 : 0;
            CHECK_SAID(EXIT_DONE, "", "gt", "--base", desc.base, "--query", desc.query, "-k", "5",
                       "-o", desc.truth, limited ? "--limit=100" : "--quiet", "--backend", "cpu");
            ds = open_set(&desc);
            assert_int_equal(dataset_info(ds)->truth_k, K);
            CHECK_OK(dataset_truth(ds, K, ids));
            CHECK_OK(dataset_queries(ds, q));
            CHECK_OK(dataset_read(ds, PART_BASE, 0, dataset_info(ds)->n, x));
            for (int j = 0; j < NQ; j++)
                assert_int_equal(ids[j * K], nearest(x, dataset_info(ds)->n, q + j * D));
            dataset_close(ds);
        }
}

static void test_data_verbs__truth_of_a_spec_is_that_of_its_files(void **state)
{
    const char *folder = generate("u8bin"), *named = in(folder, "named.ivecs"),
               *by = in(folder, "s.ivecs");
    const char *spec =
        program_spec("gt.yaml", "version: 1\n"
                                "dataset: {name: synthetic, n: 500, d: 12, nq: 9, nt: 300}\n"
                                "index: [\"IVF4,Flat\"]\n");
    char *a = NULL, *b = NULL;
    int64_t na = 0, nb = 0;

    (void)state;
    CHECK_SAID(EXIT_DONE, "", "gt", "--base", in(folder, "base.u8bin"), "--query",
               in(folder, "query.u8bin"), "-o", named);
    CHECK_SAID(EXIT_DONE, "", "gt", spec, "-o", by);
    CHECK_OK(file_read_all(&a, &na, named, 1 << 20));
    CHECK_OK(file_read_all(&b, &nb, by, 1 << 20));
    assert_int_equal(na, NQ * (4 + 100 * 4));
    assert_int_equal(nb, na);
    assert_memory_equal(a, b, (size_t)na);
    mem_free(a);
    mem_free(b);
}

static void test_data_verbs__conversion_there_and_back_is_the_file(void **state)
{
    static const char *const through[] = {"t.u8bin", "t.npy"};
    const char *folder = generate("bvecs"), *from = in(folder, "base.bvecs");
    char *a = NULL;
    int64_t na = 0;

    (void)state;
    CHECK_OK(file_read_all(&a, &na, from, 1 << 20));
    for (int i = 0; i < 2; i++) {
        const char *there = in(folder, through[i]), *back = in(folder, "back.bvecs");
        char *b = NULL;
        int64_t nb = 0;

        CHECK_SAID(EXIT_DONE, "", "convert", from, there);
        CHECK_SAID(EXIT_DONE, "", "convert", there, back);
        CHECK_OK(file_read_all(&b, &nb, back, 1 << 20));
        assert_int_equal(nb, na);
        assert_memory_equal(b, a, (size_t)na);
        mem_free(b);
    }
    CHECK_SAID(EXIT_DONE, "", "convert", from, in(folder, "cut.fbin"), "--first", "10", "--limit",
               "7");
    CHECK_SAID(EXIT_DONE, "cut.fbin: bin, n 7, d 12, f32;", "info", in(folder, "cut.fbin"));
    mem_free(a);
}

static void test_data_verbs__slips_are_named(void **state)
{
    const char *folder = generate("fbin"), *base = in(folder, "base.fbin");

    (void)state;
    CHECK_SAID(EXIT_USAGE, "convert wants two files", "convert", base);
    CHECK_SAID(EXIT_USAGE, "--first 500: ", "convert", base, in(folder, "x.npy"), "--first", "500");
    CHECK_SAID(EXIT_USAGE, "--limit 501: ", "convert", base, in(folder, "x.npy"), "--limit", "501");
    CHECK_SAID(EXIT_USAGE, "does not hold every f32 value", "convert", base, in(folder, "x.u8bin"));
    CHECK_SAID(EXIT_USAGE, "No such file", "convert", in(folder, "none.npy"), in(folder, "x.npy"));
    CHECK_SAID(EXIT_ENVIRONMENT, "No such file", "convert", base, in(folder, "nowhere/x.npy"));
    CHECK_SAID(EXIT_USAGE, "--limit is from 1", "convert", base, in(folder, "x.npy"), "--limit",
               "0");
    CHECK_SAID(EXIT_USAGE, "--part all", "convert", base, in(folder, "x.npy"), "--part", "all");
    CHECK_SAID(EXIT_USAGE, "gt wants -o FILE", "gt", "--base", base);
    CHECK_SAID(EXIT_USAGE, "either one SPEC, or --base", "gt", "-o", "x.ivecs");
    CHECK_SAID(EXIT_USAGE, "-k is from 1 to 2048", "gt", "--base", base, "-o", "x.ivecs", "-k",
               "4000");
    CHECK_SAID(EXIT_USAGE, "no query file", "gt", "--base", base, "-o", "x.ivecs");
    CHECK_SAID(EXIT_USAGE, "there are 500 base vectors", "gt", "--base", base, "--query", base,
               "-o", "x.ivecs", "-k", "501");
    CHECK_SAID(EXIT_USAGE, "what is to be written are ids", "gt", "--base", base, "--query", base,
               "-o", "x.fvecs");
    CHECK_SAID(EXIT_USAGE, "generate wants --n", "generate", "--d", "4", "-o", folder);
    CHECK_SAID(EXIT_USAGE, "generate wants --d", "generate", "--n", "4", "-o", folder);
    CHECK_SAID(EXIT_USAGE, "generate wants -o", "generate", "--n", "4", "--d", "4");
    CHECK_SAID(EXIT_USAGE, "--format zip is not", "generate", "--n", "4", "--d", "4", "-o", folder,
               "--format", "zip");
    CHECK_SAID(EXIT_USAGE, "info wants a FILE", "info");
}

static void test_data_verbs__nothing_is_written_over_what_is_read(void **state)
{
    const char *folder = generate("npy"), *base = in(folder, "base.npy"),
               *query = in(folder, "query.npy"), *link = in(folder, "link.npy");

    (void)state;
    unlink(link);
    assert_int_equal(symlink(base, link), 0);
    CHECK_SAID(EXIT_USAGE, "one file", "convert", base, base, "--limit", "10");
    CHECK_SAID(EXIT_USAGE, "one file", "convert", base, link, "--limit", "10");
    CHECK_SAID(EXIT_USAGE, "is read here", "gt", "--base", base, "--query", query, "-o", link);
    CHECK_SAID(EXIT_USAGE, "is read here", "gt", "--base", base, "--query", query, "-o", query);
    CHECK_SAID(EXIT_DONE, "500", "info", base);
}

static void test_data_verbs__no_truth_of_a_base_with_a_nan(void **state)
{
    const char *folder = generate("fbin"), *base = in(folder, "base.fbin");
    const float nan = NAN;
    FILE *f = fopen(base, "r+b");

    (void)state;
    assert_non_null(f);
    assert_int_equal(fseek(f, 8 + 4 * (417 * D + 3), SEEK_SET), 0);
    assert_int_equal(fwrite(&nan, sizeof nan, 1, f), 1);
    assert_int_equal(fclose(f), 0);
    CHECK_SAID(EXIT_TRIAL, "base vector 417 holds", "gt", "--base", base, "--query",
               in(folder, "query.fbin"), "-o", in(folder, "gt.ivecs"), "-k", "5");
    assert_int_not_equal(access(in(folder, "gt.ivecs"), F_OK), 0);
}

static void test_data_verbs__info_sees_faults_and_goes_on(void **state)
{
    const char *good = make_file("good.fvecs", 9, 4), *bad = make_file("bad.fvecs", 9, 4);
    const char *nan = make_file("nan.fvecs", 9, 4);

    (void)state;
    CHECK_OK(truncate(bad, 101));
    overwrite_i32(nan, 20 + 4, 0x7fc00000);
    CHECK_SAID(EXIT_TRIAL, "left over after row", "info", bad, good);
    assert_non_null(strstr(program_out(), "good.fvecs: vecs, n 9, d 4, f32; norm "));
    CHECK_SAID(EXIT_DONE, "1 rows hold a NaN or an infinity", "info", nan);
    CHECK_SAID(EXIT_DONE, "true neighbours of 3 queries, k 2, i32; largest id 17", "info",
               make_file("gt.ivecs", 3, 2));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_verbs__generated_files_are_the_synthetic_set),
        cmocka_unit_test(test_data_verbs__truth_is_exact_and_a_spec_can_use_it),
        cmocka_unit_test(test_data_verbs__truth_of_a_spec_is_that_of_its_files),
        cmocka_unit_test(test_data_verbs__conversion_there_and_back_is_the_file),
        cmocka_unit_test(test_data_verbs__slips_are_named),
        cmocka_unit_test(test_data_verbs__nothing_is_written_over_what_is_read),
        cmocka_unit_test(test_data_verbs__no_truth_of_a_base_with_a_nan),
        cmocka_unit_test(test_data_verbs__info_sees_faults_and_goes_on),
    };

    return testing_options(argc, argv) < 0 ? 2 : cmocka_run_group_tests(tests, NULL, NULL);
}
