#include "tests/testing.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/file.h"
#include "plots/csv.h"
#include "plots/curves.h"
#include "plots/plot.h"
#include "results/export.h"
#include "tests/fake.h"

/* The export of a fake sweep; free with text_clear. */
static struct text sweep_csv(void)
{
    static int count;
    struct store *db = NULL;
    struct text csv = {0};
    char path[600];

    snprintf(path, sizeof path, "%s/%d.db", testing_tmpdir(), count++);
    CHECK_OK(store_open(&db, path));
    fake_sweep(db);
    CHECK_OK(export_rows(db, &(struct export_filter){0}, EXPORT_CSV, &csv));
    store_close(db);
    return csv;
}

static const char *folder(void)
{
    static char path[600];
    static int count;

    snprintf(path, sizeof path, "%s/pictures/%d", testing_tmpdir(), count++);
    return path;
}

/* Size of dir/name in bytes; -1: there is none. */
static long long size_of(const char *dir, const char *name)
{
    char path[800];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) < 0 ? -1 : (long long)st.st_size;
}

static char *read_file(const char *dir, const char *name)
{
    char path[800], *s = NULL;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    CHECK_OK(file_read_all(&s, NULL, path, 1 << 20));
    return s;
}

static void need_gnuplot(void)
{
    char version[64];

    if (plot_gnuplot(version)) return;
    print_message("no gnuplot here\n");
    skip();
}

static void test_plot__csv_is_read_as_rfc_4180_writes_it(void **state)
{
    struct csv csv;

    (void)state;
    CHECK_OK(csv_parse(&csv, "a,b,c\r\n\"x,\"\"y\"\"\nz\",2.5,\n,,last"));
    assert_int_equal(csv.rows, 2);
    assert_string_equal(csv_get(&csv, 0, "a"), "x,\"y\"\nz");
    assert_true(csv_number(&csv, 0, "b") == 2.5);
    assert_string_equal(csv_get(&csv, 0, "c"), "");
    assert_string_equal(csv_get(&csv, 1, "c"), "last");
    assert_string_equal(csv_get(&csv, 1, "nothing"), "");
    csv_clear(&csv);
    CHECK_OK(csv_parse(&csv, ""));
    assert_int_equal(csv.rows, 0);
    csv_clear(&csv);
    CHECK_FAILS(ERR_FORMAT, "line 3 has 1 fields", csv_parse(&csv, "a,b\n1,2\n3\n"));
}

static void test_plot__a_curve_is_what_shares_all_but_nprobe_and_seed(void **state)
{
    struct text csv = sweep_csv();
    struct curves *c = NULL;

    (void)state;
    CHECK_OK(curves_create(&c, text_get(&csv)));
    assert_int_equal(c->count, 2); /* neither the failed nor the skipped trial has one */
    assert_string_equal(c->labels[0], "IVF1024,Flat");
    assert_int_equal(c->npoints, 54);
    assert_int_equal(c->nmedians, 18);
    assert_int_equal(c->medians[0].seeds, 3);
    assert_true(c->medians[0].value[VALUE_RECALL_1] == c->points[1].value[VALUE_RECALL_1]);
    curves_free(c);
    text_clear(&csv);
}

static void test_plot__labels_say_what_differs(void **state)
{
    static const char rows[] = "status,index,threads,backend,nprobe,qps,intersection_10\n"
                               "ok,\"IVF64,Flat\",1,cpu,1,100,0.5\n"
                               "ok,\"IVF64,Flat\",2,cpu,1,180,0.5\n";
    struct curves *c = NULL;

    (void)state;
    CHECK_OK(curves_create(&c, rows));
    assert_int_equal(c->count, 2);
    assert_string_equal(c->labels[1], "IVF64,Flat · threads 2");
    curves_free(c);
}

/* Else medians over "seeds" would be over different experiments. */
static void test_plot__what_was_trained_or_searched_differently_is_a_curve_of_its_own(void **state)
{
    static const char rows[] =
        "status,index,dataset,n,d,dataset_identity,coarse_iterations,train_rows,seed,nprobe,qps\n"
        "ok,\"IVF64,Flat\",a,100,16,aaaaaaaaaaaa,25,50,1,1,10\n"
        "ok,\"IVF64,Flat\",a,100,16,aaaaaaaaaaaa,25,50,2,1,11\n"
        "ok,\"IVF64,Flat\",a,100,16,aaaaaaaaaaaa,10,50,1,1,12\n"
        "ok,\"IVF64,Flat\",a,100,16,aaaaaaaaaaaa,25,60,1,1,13\n"
        "ok,\"IVF64,Flat\",a,100,32,cccccccccccc,25,50,1,1,14\n"
        "ok,\"IVF64,Flat\",a,100,16,bbbbbbbbbbbb,25,50,1,1,15\n";
    struct curves *c = NULL;

    (void)state;
    CHECK_OK(curves_create(&c, rows));
    assert_int_equal(c->count, 5);
    assert_string_equal(c->labels[1],
                        "IVF64,Flat · d 16 · data aaaaaaaa · iterations 10 · trained on 50");
    curves_free(c);
}

static void test_plot__labels_leave_out_what_the_key_says(void **state)
{
    static const char rows[] = "status,index,storage,precomputed_tables,nprobe\n"
                               "ok,\"IVF64,Flat\",u8,,1\n"
                               "ok,\"IVF64,PQ8\",,1,1\n"
                               "ok,\"IVF64,PQ8\",,0,1\n";
    struct curves *c = NULL;

    (void)state;
    CHECK_OK(curves_create(&c, rows));
    assert_int_equal(c->count, 3);
    assert_string_equal(c->labels[0], "IVF64,Flat");
    assert_string_equal(c->labels[1], "IVF64,PQ8 · tables on");
    assert_string_equal(c->labels[2], "IVF64,PQ8 · tables off");
    curves_free(c);
}

static void test_plot__every_figure_is_drawn_with_script_and_csv(void **state)
{
    struct text csv = sweep_csv();
    struct plot p = {.csv = text_get(&csv), .title = "it's a _test_ ^of{titles}", .dir = folder()};
    char name[64];

    (void)state;
    need_gnuplot();
    for (int i = 0; (p.figure = plot_figure(i, NULL)); i++) {
        assert_int_equal(plot_draw(&p), 1);
        snprintf(name, sizeof name, "%s.svg", p.figure);
        assert_true(size_of(p.dir, name) > 5000);
        snprintf(name, sizeof name, "%s.png", p.figure);
        assert_true(size_of(p.dir, name) > 10000);
        snprintf(name, sizeof name, "%s.csv", p.figure);
        assert_true(size_of(p.dir, name) > 1000);
        snprintf(name, sizeof name, "%s.gp", p.figure);
        assert_true(size_of(p.dir, name) > 1000);
    }
    text_clear(&csv);
}

static void test_plot__the_title_is_shown_as_it_is(void **state)
{
    struct text csv = sweep_csv();
    struct plot p = {.figure = "recall_qps",
                     .csv = text_get(&csv),
                     .title = "it's a _test_ ^of{titles} \\n",
                     .x = "recall_1",
                     .dir = folder()};
    char *svg;

    (void)state;
    need_gnuplot();
    assert_int_equal(plot_draw(&p), 1);
    svg = read_file(p.dir, "recall_qps.svg");
    assert_non_null(strstr(svg, "it's a _test_ ^of{titles} \\n"));
    assert_non_null(strstr(svg, "1-recall@1"));
    assert_non_null(strstr(svg, "IVF1024,PQ16"));
    mem_free(svg);
    text_clear(&csv);
}

static void test_plot__the_script_draws_again_in_its_folder(void **state)
{
    struct text csv = sweep_csv(), command = {0};
    struct plot p = {.figure = "recall_qps", .csv = text_get(&csv), .dir = folder()};

    (void)state;
    need_gnuplot();
    setenv("IVFBENCH_GNUPLOT", "none", 1);
    assert_int_equal(plot_draw(&p), 0);
    unsetenv("IVFBENCH_GNUPLOT");
    assert_int_equal(size_of(p.dir, "recall_qps.svg"), -1);
    text_addf(&command, "cd '%s' && gnuplot recall_qps.gp", p.dir);
    assert_int_equal(system(text_get(&command)), 0);
    assert_true(size_of(p.dir, "recall_qps.svg") > 5000);
    text_clear(&command);
    text_clear(&csv);
}

static void test_plot__without_gnuplot_script_and_csv_are_written(void **state)
{
    struct text csv = sweep_csv();
    struct plot p = {.figure = "recall_qps", .csv = text_get(&csv), .dir = folder()};
    char version[64];

    (void)state;
    setenv("IVFBENCH_GNUPLOT", "/nowhere/gnuplot", 1);
    assert_int_equal(plot_gnuplot(version), 0);
    assert_int_equal(plot_draw(&p), 0);
    unsetenv("IVFBENCH_GNUPLOT");
    assert_true(size_of(p.dir, "recall_qps.csv") > 1000);
    assert_true(size_of(p.dir, "recall_qps.gp") > 1000);
    assert_int_equal(size_of(p.dir, "recall_qps.svg"), -1);
    text_clear(&csv);
}

/* An executable script in the tests' folder that stands for gnuplot. */
static void pretend(const char *script)
{
    char path[600];

    snprintf(path, sizeof path, "%s/gnuplot", testing_tmpdir());
    CHECK_OK(file_put(path, script));
    assert_int_equal(chmod(path, 0755), 0);
    setenv("IVFBENCH_GNUPLOT", path, 1);
}

static void test_plot__a_failing_gnuplot_is_quoted(void **state)
{
    struct text csv = sweep_csv();
    struct plot p = {.figure = "recall_qps", .csv = text_get(&csv), .dir = folder()};
    char version[64];

    (void)state;
    pretend("#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'gnuplot 6.1 patchlevel 3-vendor';"
            " exit; fi\necho 'line 3: no such terminal' >&2; exit 1\n");
    assert_int_equal(plot_gnuplot(version), 1);
    assert_string_equal(version, "gnuplot 6.1 patchlevel 3-vendor");
    CHECK_FAILS(ERR_IO, "line 3: no such terminal", plot_draw(&p));
    pretend(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'gnuplot 5.4'; exit; fi\nkill -9 $$\n");
    CHECK_FAILS(ERR_IO, "killed by signal 9", plot_draw(&p)); /* and no SIGPIPE for us */
    pretend("#!/bin/sh\necho gnuplot 4.6 patchlevel 0\n");
    assert_int_equal(plot_gnuplot(version), 0);
    unsetenv("IVFBENCH_GNUPLOT");
    text_clear(&csv);
}

static void test_plot__what_cannot_be_drawn_says_why(void **state)
{
    static const char failed[] = "status,index,nprobe,qps,intersection_10\nfailed,x,1,,\n";
    static const char unmeasured[] = "status,index,nprobe,qps,intersection_10\nok,x,1,5,\n";
    struct plot p = {.figure = "recall_qps", .csv = failed, .dir = folder()};

    (void)state;
    CHECK_FAILS(ERR_INVALID, "no trial with status ok", plot_draw(&p));
    p.csv = unmeasured;
    CHECK_FAILS(ERR_INVALID, "no trial has intersection_10", plot_draw(&p));
    p.x = "qps";
    CHECK_FAILS(ERR_INVALID, "qps is not a recall", plot_draw(&p));
    p.figure = "cake";
    CHECK_FAILS(ERR_INVALID, "no figure is named cake", plot_draw(&p));
}

static int create(void *csv)
{
    struct curves *c = NULL;
    int rc = curves_create(&c, csv);

    curves_free(c);
    return rc;
}

static void test_plot__curves_survive_every_failed_alloc(void **state)
{
    struct text csv = sweep_csv();

    (void)state;
    assert_true(testing_every_failed_alloc(create, csv.s) > 5);
    text_clear(&csv);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_plot__csv_is_read_as_rfc_4180_writes_it),
    cmocka_unit_test(test_plot__a_curve_is_what_shares_all_but_nprobe_and_seed),
    cmocka_unit_test(test_plot__labels_say_what_differs),
    cmocka_unit_test(test_plot__what_was_trained_or_searched_differently_is_a_curve_of_its_own),
    cmocka_unit_test(test_plot__labels_leave_out_what_the_key_says),
    cmocka_unit_test(test_plot__every_figure_is_drawn_with_script_and_csv),
    cmocka_unit_test(test_plot__the_title_is_shown_as_it_is),
    cmocka_unit_test(test_plot__the_script_draws_again_in_its_folder),
    cmocka_unit_test(test_plot__without_gnuplot_script_and_csv_are_written),
    cmocka_unit_test(test_plot__a_failing_gnuplot_is_quoted),
    cmocka_unit_test(test_plot__what_cannot_be_drawn_says_why),
    cmocka_unit_test(test_plot__curves_survive_every_failed_alloc),
};

TESTING_MAIN(tests)
