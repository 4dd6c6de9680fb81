/* The table, and how to find one's way in it. To add a key: a row here, a member in spec.h. */
#include "harness/spec_keys.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "harness/cli.h"

#define AT(member) offsetof(struct spec, member)
#define MANY (INT64_C(1) << 40) /* more than any count that makes sense */

/* clang-format off */
static const struct spec_key keys[] = {
    {"version", KEY_INT, KEY_REQUIRED, AXIS_NONE, AT(version), 1, 1, NULL, NULL,
     "format of this file; this build reads 1"},
    {"name", KEY_NAME, 0, AXIS_NONE, AT(name), 0, 63, NULL, NULL,
     "what results are filed under; default: the file's name without .yaml"},

    {"dataset.name", KEY_TEXT, KEY_REQUIRED, AXIS_NONE, AT(dataset_name), 0, 63, NULL, NULL,
     "SIFT1M ... SIFT1000M (the first millions of BIGANN), Deep1M ... Deep1000M, Deep1B, TEXMEX-SIFT1M, synthetic, or any name for your own files"},
    {"dataset.root", KEY_PATH, 0, AXIS_NONE, AT(root), 0, 0, NULL, NULL,
     "of SIFT<n>M, Deep<n>M and TEXMEX-SIFT1M: the folder that holds bigann/, deep1b/ or sift/"},
    {"dataset.base", KEY_PATH, 0, AXIS_NONE, AT(base), 0, 0, NULL, NULL,
     "own files: the vectors to search (.fvecs, .bvecs, .fbin, .f16bin, .u8bin, .i8bin, .npy, .hdf5)"},
    {"dataset.query", KEY_PATH, 0, AXIS_NONE, AT(query), 0, 0, NULL, NULL,
     "own files: the queries; default: those in the .hdf5 file of base"},
    {"dataset.learn", KEY_PATH, 0, AXIS_NONE, AT(learn), 0, 0, NULL, NULL,
     "own files: vectors to train on; default: base"},
    {"dataset.truth", KEY_PATH, 0, AXIS_NONE, AT(truth), 0, 0, NULL, NULL,
     "own files: the true neighbours (.ivecs, .ibin, .npy, .hdf5); default: computed by brute force"},
    {"dataset.limit", KEY_INT, 0, AXIS_NONE, AT(dataset.limit), 1, MANY, NULL, NULL,
     "own files: use the first so many base vectors"},
    {"dataset.n", KEY_INT, 0, AXIS_NONE, AT(dataset.n), 1, MANY, NULL, NULL,
     "synthetic: how many vectors"},
    {"dataset.d", KEY_INT, 0, AXIS_NONE, AT(dataset_d), 1, D_MAX, NULL, NULL,
     "synthetic: dimensions"},
    {"dataset.nq", KEY_INT, 0, AXIS_NONE, AT(dataset.nq), 1, MANY, NULL, NULL,
     "synthetic: how many queries; default: 1000"},
    {"dataset.nt", KEY_INT, 0, AXIS_NONE, AT(dataset.nt), 1, MANY, NULL, NULL,
     "synthetic: how many training vectors; default: n, at most 50000"},
    {"dataset.seed", KEY_INT, 0, AXIS_NONE, AT(dataset.seed), 0, INT64_C(1) << 30, NULL, NULL,
     "synthetic: which vectors; default: 1"},

    {"index", KEY_FACTORY, KEY_REQUIRED, AXIS_INDEX, AT(index), 0, 0, NULL, NULL,
     "factory keys [OPQm[_d],|PCARd,]IVFn,(Flat|PQm); they hold commas: quote them in [ ]"},
    {"backend", KEY_WORD, 0, AXIS_NONE, AT(backend), 0, 0, "auto", "*auto|cuda|cpu",
     "what computes; auto: CUDA where a device opens, else the CPU"},
    {"gpus", KEY_INT, 0, AXIS_GPUS, AT(gpus), 1, 1024, "1", NULL,
     "GPUs to use; more than 1 comes with a later version"},
    {"replicas", KEY_INT, 0, AXIS_REPLICAS, AT(replicas), 1, 1024, "1", NULL,
     "copies of the index, each spread over gpus / replicas of the GPUs"},
    {"devices", KEY_INT, KEY_LIST | KEY_LATER, AXIS_NONE, AT(devices), 0, 1023, NULL, NULL,
     "which GPUs, by number (comes with a later version)"},
    {"shard", KEY_BOOL, KEY_LATER, AXIS_NONE, AT(shard), 0, 1, "false", NULL,
     "spread the vectors over the GPUs of a replica (comes with a later version)"},
    {"storage", KEY_WORD, KEY_AUTO, AXIS_STORAGE, AT(storage), 0, 0, "auto", "auto|f32|f16|u8|i8",
     "how IVFFlat keeps vectors; auto: as the data has them, f32 after OPQ or PCAR"},
    {"float16", KEY_BOOL, 0, AXIS_FLOAT16, AT(float16), 0, 1, "false", NULL,
     "IVFPQ: look-up tables of a device in fp16, as the original's -float16; answers are the same"},
    {"threads", KEY_INT, KEY_AUTO, AXIS_THREADS, AT(threads), 1, 4096, "auto", NULL,
     "CPU threads; auto: all this process may use"},
    {"precomputed_tables", KEY_BOOL, 0, AXIS_PRECOMPUTED_TABLES, AT(precomputed_tables), 0, 1,
     "true", NULL, "IVFPQ: one fp32 of each stored vector, |r|^2 + 2 <c, r>, is kept on the device; false: it is recomputed at each visit; answers are the same"},
    {"temp_memory", KEY_SIZE, KEY_AUTO, AXIS_NONE, AT(temp_memory), 0, INT64_C(1) << 50, "auto", NULL,
     "scratch of a search on each device, at most: batches are cut into smaller groups, of one query at least; auto: as the backend sees fit"},

    {"train.seed", KEY_INT, 0, AXIS_SEED, AT(seed), 0, INT64_C(1) << 30, "1234", NULL,
     "start of every random stream of training"},
    {"train.coarse_iterations", KEY_INT, 0, AXIS_NONE, AT(coarse_iterations), 1, 1000, "25", NULL,
     "k-means iterations of the coarse centroids"},
    {"train.sample", KEY_WORD, 0, AXIS_NONE, AT(train_random), 0, 0, "first", "*first|random",
     "which of the training vectors are used: the first, or as many drawn by train.seed"},
    {"train.points_per_centroid", KEY_INT, KEY_AUTO, AXIS_NONE, AT(points_per_centroid), 1, 1000000, "auto",
     NULL, "training vectors used for each list; auto: 256, and 1000000 in all at least"},
    {"train.centroids", KEY_PATH, 0, AXIS_NONE, AT(centroids), 0, 0, NULL, NULL,
     "file of coarse centroids, f32 [nlist][d] (.npy), to use instead of training them"},
    {"train.seeds", KEY_INT, KEY_LIST | KEY_LATER, AXIS_NONE, AT(train_seeds), 0, INT64_C(1) << 30,
     NULL, NULL, "seeds to average over (comes with a later version; train.seed takes a list today)"},

    {"add.batch", KEY_INT, 0, AXIS_NONE, AT(add_batch), 1, 1 << 24, "32768", NULL,
     "vectors added at once; 16 MiB of them at most"},
    {"add.mode", KEY_WORD, KEY_LATER, AXIS_NONE, AT(add_mode_alt), 0, 0, "gpu", "*gpu|alt",
     "alt: fill the lists on the host (comes with a later version)"},
    {"add.max_add", KEY_INT, KEY_NONE | KEY_LATER, AXIS_NONE, AT(max_add), 1, MANY, "none", NULL,
     "move the lists to the host each so many additions (comes with a later version)"},

    {"search.k", KEY_INT, 0, AXIS_K, AT(k), 1, K_MAX, "10", NULL, "answers per query"},
    {"search.batch", KEY_INT, 0, AXIS_BATCH, AT(batch), 1, 1 << 24, "16384", NULL,
     "queries handed over at once"},
    {"search.nprobe", KEY_INT, 0, AXIS_NPROBE, AT(nprobe), 1, 1 << 30,
     "{\"from\": 1, \"to\": 256, \"mul\": 2}", NULL, "lists visited per query"},
    {"search.warmup", KEY_INT, KEY_AUTO, AXIS_NONE, AT(warmup), 0, 1000, "auto", NULL,
     "passes over the queries before time is taken; auto: until steady"},
    {"search.repeat", KEY_INT, KEY_AUTO, AXIS_NONE, AT(repeat), 1, 1000, "auto", NULL,
     "timed passes over the queries; auto: until steady"},

    {"measure", KEY_WORD, KEY_LIST, AXIS_NONE, AT(measure), 0, 0, "[\"recall\", \"intersection\"]",
     "*recall|intersection", "what answers are judged by"},
    {"knn_graph", KEY_BOOL, KEY_LATER, AXIS_NONE, AT(knn_graph), 0, 1, "false", NULL,
     "search the base vectors themselves (comes with a later version)"},
    {"outputs.ids", KEY_TEXT, KEY_LATER, AXIS_NONE, AT(outputs_ids), 0, 4095, NULL, NULL,
     "file for the answers' ids, such as ids_{index}_{nprobe}.npy (comes with a later version)"},
    {"outputs.distances", KEY_TEXT, KEY_LATER, AXIS_NONE, AT(outputs_distances), 0, 4095, NULL, NULL,
     "file for the answers' distances (comes with a later version)"},
    {"outputs.centroids", KEY_PATH, 0, AXIS_NONE, AT(outputs_centroids), 0, 0, NULL, NULL,
     "file for the coarse centroids of each index that is built, such as cent_{index}_{seed}.npy"},
    {"cache", KEY_BOOL, 0, AXIS_NONE, AT(cache), 0, 1, "true", NULL,
     "keep trained parts and computed truths on disk, and use those that are there"},
    {"seeds", KEY_INT, KEY_LIST | KEY_LATER, AXIS_NONE, AT(seeds), 0, INT64_C(1) << 30, NULL, NULL,
     "seeds to average over (comes with a later version; train.seed takes a list today)"},
    {"limits.seconds", KEY_INT, KEY_NONE | KEY_LATER, AXIS_NONE, AT(limits_seconds), 1, MANY,
     "none", NULL, "time a group of trials may take (comes with a later version)"},
    {"limits.memory", KEY_SIZE, KEY_NONE | KEY_LATER, AXIS_NONE, AT(limits_memory), 1,
     INT64_C(1) << 50, "none", NULL, "memory a group of trials may take (comes with a later version)"},
    {"exclude", KEY_EXCLUDE, 0, AXIS_NONE, AT(exclude), 0, 0, NULL, NULL,
     "trials to leave out: each entry names axes with the values it means"},
};
/* clang-format on */

enum { KEYS = sizeof keys / sizeof *keys };

const struct spec_key *spec_key(int i)
{
    return i < KEYS ? &keys[i] : NULL;
}

int spec_key_count(void)
{
    return KEYS;
}

int spec_key_row(const struct spec_key *key)
{
    return (int)(key - keys);
}

const struct spec_key *spec_key_find(const char *name)
{
    for (int i = 0; i < KEYS; i++)
        if (!strcmp(keys[i].name, name)) return &keys[i];
    return NULL;
}

const struct spec_key *spec_key_axis(const char *name)
{
    for (int i = 0; i < KEYS; i++) {
        if (keys[i].axis == AXIS_NONE) continue;
        if (!strcmp(keys[i].name, name) || !strcmp(spec_key_leaf(&keys[i]), name)) return &keys[i];
    }
    return NULL;
}

const struct spec_key *spec_key_of(enum spec_axis axis)
{
    const struct spec_key *key = keys;

    while (key->axis != axis)
        key++;
    return key;
}

const char *spec_key_leaf(const struct spec_key *key)
{
    const char *dot = strrchr(key->name, '.');

    return dot ? dot + 1 : key->name;
}

int spec_key_is_list(const struct spec_key *key)
{
    return key->axis != AXIS_NONE || key->flags & KEY_LIST || key->type == KEY_EXCLUDE;
}

/* Where name goes on behind the section, NULL where it is not in it; "" holds all. */
static const char *inside(const char *section, const char *name)
{
    size_t n = strlen(section);

    if (!n) return name;
    return !strncmp(section, name, n) && name[n] == '.' ? name + n + 1 : NULL;
}

int spec_key_section(const char *name)
{
    for (int i = 0; i < KEYS; i++)
        if (*name && inside(name, keys[i].name)) return 1;
    return 0;
}

static struct shown did_you_mean(const char *word)
{
    struct shown hint = {{0}};

    if (word)
        snprintf(hint.s, sizeof hint.s, "; did you mean \"%s\"?", word);
    else
        snprintf(hint.s, sizeof hint.s, "; `ivfbench help spec` lists the keys");
    return hint;
}

/* The whole name of the key whose last part is the nearest to name. */
static const char *nearest_anywhere(const char *name)
{
    const char *leaves[KEYS], *found;

    for (int i = 0; i < KEYS; i++)
        leaves[i] = spec_key_leaf(&keys[i]);
    found = cli_nearest(name, leaves, KEYS);
    for (int i = 0; found && i < KEYS; i++)
        if (leaves[i] == found) return keys[i].name;
    return NULL;
}

struct shown spec_key_hint(const char *section, const char *name)
{
    char words[KEYS][32]; /* what may stand here: keys, and sections by their first part */
    const char *here[KEYS], *found;
    int count = 0;

    if (strlen(name) < 2) return did_you_mean(NULL); /* any short word would be near */
    for (int i = 0; i < KEYS; i++)                   /* the right word in the wrong place */
        if (!strcmp(spec_key_leaf(&keys[i]), name)) return did_you_mean(keys[i].name);
    for (int i = 0; i < KEYS; i++) {
        const char *rest = inside(section, keys[i].name);

        if (!rest) continue;
        snprintf(words[count], sizeof *words, "%.*s", (int)strcspn(rest, "."), rest);
        here[count] = words[count];
        count++;
    }
    found = cli_nearest(name, here, count);
    return did_you_mean(found ? found : nearest_anywhere(name));
}

/* Words are counted from 0, or from SPEC_AUTO where the list does not begin with a star. */
int spec_key_word(const struct spec_key *key, const char *word)
{
    const char *w = key->words;
    int value = *w == '*' ? 0 : SPEC_AUTO;

    for (w += *w == '*'; *w; value++) {
        size_t n = strcspn(w, "|");

        if (n == strlen(word) && !strncmp(w, word, n)) return value;
        w += n + (w[n] == '|');
    }
    return INT_MIN;
}

struct shown spec_key_words(const struct spec_key *key)
{
    struct shown out = {{0}};
    size_t at = 0;

    for (const char *w = key->words + (*key->words == '*'); *w && at < sizeof out.s - 1;) {
        size_t n = strcspn(w, "|");
        const char *after = !w[n] ? "" : strchr(w + n + 1, '|') ? ", " : " or ";

        at += (size_t)snprintf(out.s + at, sizeof out.s - at, "%.*s%s", (int)n, w, after);
        w += n + (w[n] == '|');
    }
    return out;
}
