/* Each kernel, and what users wait for, beside its floor: kernels/README.md's tables come from here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "harness/cli.h"
#include "harness/machine.h"
#include "kernels/kernels.h"
#include "tests/bench_sections.h"

static const char usage[] =
    "Usage: bench_kernels [OPTION...] SECTION...\n"
    "  --backend NAME   cpu or cuda; default: the best that opens\n"
    "  --scale X        of rows, lists and queries; default 1\n"
    "  --repeats N      timed runs of each line, instead of its own 3, 5 or 10\n"
    "  --csv FILE       lines are appended to it\n"
    "  --write DIR      sets, centroids and answers as .npy, for tests/bench_faiss_gpu.py\n"
    "  --smoke          without sections: all of them, at sizes that take seconds\n"
    "Sections:";

static const double SMOKE_SCALE = 1e-4;

/* The two sets that the sections share. */
struct sets {
    struct bench_set u8, f32;
};

static int kmeans(struct bench *t, struct sets *sets)
{
    int rc = bench_kmeans(t, &sets->u8, (struct bench_kmeans_size){1000000, 4096});

    return rc < 0 ? rc : bench_kmeans(t, &sets->u8, (struct bench_kmeans_size){4000000, 65536});
}

static int truth(struct bench *t, struct sets *sets)
{
    int rc = bench_truth(t, &sets->u8, 10000000, 0);

    return rc < 0 ? rc : bench_truth(t, &sets->u8, 10000000, 32768);
}

static int add(struct bench *t, struct sets *sets)
{
    struct bench_index_size size = {.n = 10000000, .nlist = 16384, .nt = 1000000};
    int rc;

    if ((rc = bench_index(t, &sets->u8, size)) < 0) return rc;
    size.m = 32;
    return bench_index(t, &sets->u8, size);
}

static int add100m(struct bench *t, struct sets *sets)
{
    struct bench_index_size size = {.n = 100000000, .nlist = 65536, .nt = 4000000, .m = 32};

    return bench_index(t, &sets->u8, size);
}

static int search(struct bench *t, struct sets *sets)
{
    const struct bench_search_size size = {
        .n = 10000000,
        .nlist = 16384,
        .nt = 1000000,
        .k = 10,
        .indexes = {{.storage = ELEM_U8, .nprobes = {1, 8, 32, 128}},
                    {.storage = ELEM_F32, .nprobes = {32, 128}},
                    {.m = 32, .nprobes = {1, 8, 32, 128}, .batched = 32}},
    };

    return bench_search(t, &sets->u8, size);
}

static int plain(struct bench *t, struct sets *sets)
{
    const struct bench_search_size size = {
        .n = 10000000,
        .nlist = 16384,
        .nt = 1000000,
        .k = 10,
        .plainly = 1,
        .indexes = {{.storage = ELEM_U8, .nprobes = {1, 8, 32, 128}},
                    {.storage = ELEM_F32, .nprobes = {1, 8, 32, 128}},
                    {.m = 32, .nprobes = {1, 8, 32, 128}}},
    };

    return bench_search(t, &sets->u8, size);
}

static int search1m(struct bench *t, struct sets *sets)
{
    const struct bench_search_size size = {
        .n = 1000000,
        .nlist = 4096,
        .nt = 1000000,
        .k = 100,
        .indexes = {{.storage = ELEM_U8, .nprobes = {32, 256}}},
    };

    return bench_search(t, &sets->u8, size);
}

static int search100m(struct bench *t, struct sets *sets)
{
    const struct bench_search_size size = {
        .n = 100000000,
        .nlist = 65536,
        .nt = 4000000,
        .k = 10,
        .indexes = {{.m = 32, .nprobes = {16, 64, 256}}},
    };

    return bench_search(t, &sets->u8, size);
}

/* With long lists and with short ones. */
static int crossover(struct bench *t, struct sets *sets)
{
    struct bench_search_size size = {
        .n = 10000000,
        .nlist = 16384,
        .nt = 1000000,
        .k = 10,
        .indexes = {{.storage = ELEM_U8, .ways = 1},
                    {.storage = ELEM_F32, .ways = 1},
                    {.m = 32, .ways = 1}},
    };
    int rc;

    if ((rc = bench_search(t, &sets->u8, size)) < 0) return rc;
    size.n = 1000000;
    size.nlist = 4096;
    return bench_search(t, &sets->u8, size);
}

static int searchfloat(struct bench *t, struct sets *sets)
{
    const struct bench_search_size size = {
        .n = 10000000,
        .nlist = 16384,
        .nt = 1000000,
        .k = 10,
        .indexes = {{.storage = ELEM_F32, .nprobes = {1, 8, 32, 128}},
                    {.m = 24, .nprobes = {1, 8, 32, 128}}},
    };

    return bench_search(t, &sets->f32, size);
}

static int peers(struct bench *t, struct bench_set *set, int m)
{
    struct bench_index_size size = {.n = 10000000, .nlist = 16384, .nt = 1000000};
    int rc;

    if ((rc = bench_kmeans(t, set, (struct bench_kmeans_size){1000000, 16384})) < 0) return rc;
    if ((rc = bench_truth(t, set, 10000000, 0)) < 0) return rc;
    if ((rc = bench_index(t, set, size)) < 0) return rc;
    size.m = m;
    return bench_index(t, set, size);
}

static int floats(struct bench *t, struct sets *sets)
{
    return peers(t, &sets->f32, 24);
}

static int bytes(struct bench *t, struct sets *sets)
{
    return peers(t, &sets->u8, 32);
}

static const struct section {
    const char *name;
    int (*step)(struct bench *t); /* or */
    int (*work)(struct bench *t, struct sets *sets);
} sections[] = {
    {"assign",      bench_assign,     NULL       },
    {"means",       bench_means,      NULL       },
    {"encode",      bench_encode,     NULL       },
    {"transform",   bench_transform,  NULL       },
    {"finite",      bench_finite,     NULL       },
    {"residuals",   bench_residuals,  NULL       },
    {"synthesize",  bench_synthesize, NULL       },
    {"kmeans",      NULL,             kmeans     },
    {"truth",       NULL,             truth      },
    {"add",         NULL,             add        },
    {"search",      NULL,             search     },
    {"search1m",    NULL,             search1m   },
    {"searchfloat", NULL,             searchfloat},
    {"crossover",   NULL,             crossover  },
    {"plain",       NULL,             plain      },
    {"float",       NULL,             floats     },
    {"bytes",       NULL,             bytes      },
    {"add100m",     NULL,             add100m    },
    {"search100m",  NULL,             search100m },
};

enum { SECTIONS = sizeof sections / sizeof *sections };

struct options {
    const char *backend, *scale, *csv, *folder;
    int64_t repeats;
    int smoke, help;
    struct cli_list words;
};

static void print_help(void)
{
    fputs(usage, stdout);
    for (int i = 0; i < SECTIONS; i++)
        printf(" %s", sections[i].name);
    putchar('\n');
}

static int asked_for(const struct options *o, const char *name)
{
    for (int i = 0; i < o->words.count; i++)
        if (strcmp(o->words.v[i], name) == 0) return 1;
    return o->smoke && !o->words.count;
}

static int check_words(const struct cli_list *words)
{
    for (int i = 0; i < words->count; i++) {
        int known = 0;

        for (int j = 0; j < SECTIONS; j++)
            known += strcmp(words->v[i], sections[j].name) == 0;
        if (!known)
            return fail(ERR_INVALID, "there is no section %s; --help lists them", words->v[i]);
    }
    return 0;
}

static int parse(struct options *o, int argc, char **argv, struct bench *t)
{
    const struct cli_option options[] = {
        {"--backend",  CLI_STRING, &o->backend},
        {"--scale", CLI_STRING, &o->scale},
        {"--csv",    CLI_STRING, &o->csv},
        {"--write",   CLI_STRING, &o->folder},
        {"--repeats",      CLI_INT, &o->repeats},
        {"--smoke",     CLI_FLAG, &o->smoke},
        {"--help",    CLI_FLAG, &o->help},
        {0 },
    };
    int rc;

    if ((rc = cli_parse(options, argc, argv, &o->words)) < 0) return rc;
    if (o->help) return 0;
    if ((rc = check_words(&o->words)) < 0) return rc;
    if (!o->words.count && !o->smoke)
        return fail(ERR_INVALID, "no section is named; --help lists them");
    if (o->repeats > BENCH_REPEATS_MAX)
        return fail(ERR_INVALID, "--repeats is at most %d", BENCH_REPEATS_MAX);
    t->scale = o->scale ? strtod(o->scale, NULL) : o->smoke ? SMOKE_SCALE : 1;
    if (!(t->scale > 0)) return fail(ERR_INVALID, "--scale %s is no positive number", o->scale);
    t->repeats = (int)o->repeats;
    t->folder = o->folder;
    return o->folder ? file_mkdirs(o->folder) : 0;
}

static int open_backend(struct backend **out, const char *name)
{
    const struct backend_ops *ops = NULL;
    int rc = ERR_UNSUPPORTED;

    if (name) {
        if ((rc = kernels_find(&ops, name)) < 0) return rc;
        return ops->open(out, 0, 0);
    }
    for (int i = 0; rc < 0 && (ops = kernels_backend(i)); i++)
        rc = ops->open(out, 0, 0);
    return rc;
}

/* Who produces the numbers: in words, and as the first cells of the CSV's lines. */
static void introduce(const struct bench *t, const struct machine *m, char *about, size_t cap)
{
    struct store_software software = machine_software_row(m);
    struct backend_info info = {0};
    time_t now = (time_t)(clock_unix_ns() / 1000000000);
    char date[32];

    t->b->ops->info(t->b, &info);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%MZ", gmtime(&now));
    snprintf(about, cap, "%s,%.12s%s,\"%s\",%g", date, software.commit, software.dirty ? "+" : "",
             info.name, t->scale);
    bench_say("%s, commit %s%s, backend %s, scale %g", date, software.commit,
              software.dirty ? " with changes" : "", t->b->ops->name, t->scale);
    bench_say("device   %s, %.1f GiB", info.name, (double)info.memory_bytes / (1 << 30));
    bench_say("machine  %s", machine_row(m).facts);
    bench_say("today    %s", text_get(&m->environment));
    bench_say("floors   of an H200: %g TFLOP/s fp16 products, %g TB/s memory, %g GB/s bus",
              BENCH_PRODUCTS * 1e-12, BENCH_MEMORY * 1e-12, BENCH_BUS * 1e-9);
}

static int open_csv(struct bench *t, const char *path)
{
    if (!path) return 0;
    if (!(t->csv = fopen(path, "a"))) return fail_errno(ERR_IO, errno, "%s", path);
    fseek(t->csv, 0, SEEK_END);
    if (ftell(t->csv) == 0)
        fputs("date,commit,device,scale,section,work,runs,median_s,least_s,most_s,device_s,"
              "device_least_s,device_most_s,products_s,memory_s,bus_s,note\n",
              t->csv);
    return 0;
}

static int measure(struct bench *t, const struct options *o)
{
    struct sets sets = {0};
    int rc;

    if ((rc = bench_set_open(&sets.u8, ELEM_U8, 128)) < 0) goto out;
    if ((rc = bench_set_open(&sets.f32, ELEM_F32, 96)) < 0) goto out;
    for (int i = 0; i < SECTIONS && rc == 0; i++) {
        int64_t start = clock_ns();

        if (!asked_for(o, sections[i].name)) continue;
        t->section = sections[i].name;
        bench_say("\n%s", t->section);
        bench_caption();
        rc = sections[i].step ? sections[i].step(t) : sections[i].work(t, &sets);
        bench_say("    %s took %.1f s", t->section, (double)(clock_ns() - start) * 1e-9);
    }
out:
    bench_set_close(&sets.u8);
    bench_set_close(&sets.f32);
    return rc;
}

int main(int argc, char **argv)
{
    struct bench t = {0};
    struct options o = {0};
    struct machine m = {0};
    char about[256];
    int rc;

    if ((rc = parse(&o, argc, argv, &t)) < 0) goto out;
    if (o.help) {
        print_help();
        goto out;
    }
    if ((rc = open_backend(&t.b, o.backend)) < 0) goto out;
    if ((rc = machine_read(&m)) < 0) goto out;
    if ((rc = open_csv(&t, o.csv)) < 0) goto out;
    introduce(&t, &m, about, sizeof about);
    t.csv_about = about;
    rc = measure(&t, &o);
out:
    if (rc < 0) fprintf(stderr, "bench_kernels: %s\n", fail_text());
    if (t.csv) fclose(t.csv);
    if (t.b) t.b->ops->close(t.b);
    machine_clear(&m);
    cli_list_clear(&o.words);
    return rc < 0 ? 1 : 0;
}
