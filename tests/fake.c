#include "tests/fake.h"

#include <math.h>

#include "tests/testing.h"

int64_t fake_run_as(struct store *db, const char *spec, const char *machine, const char *software)
{
    struct store_run run = {
        .machine = {.fingerprint = machine ? machine : "m1",
                    .facts =
                        "{\"cpu\":\"Toy <9000> & co\",\"cores\":2,\"memory_bytes\":8589934592}"},
        .software = { .version = "0.1.0",
                    .commit = "0123456789abcdef0123456789abcdef01234567",
                    .dirty = 0,
                    .binary_hash = "b1",
                    .identity = software ? software : "s1",
                    .facts = "{\"compiler\":\"gcc 12.2.0\",\"sqlite\":\"3.40.1\"}"},
        .spec_path = "experiments/fake.yaml",
        .spec_name = spec ? spec : "fake",
        .spec_text = "version: 1\nname: fake\nindex: [\"IVF1024,Flat\", \"IVF1024,PQ16\"]\n",
        .spec_set = "[\"search.k=100\"]",
        .argv = "[\"run\",\"experiments/fake.yaml\"]",
        .environment = "{\"kernel\":\"6.1\",\"load\":0.25}",
    };
    int64_t id = 0;

    CHECK_OK(store_run_begin(db, &run, &id));
    return id;
}

int64_t fake_run(struct store *db)
{
    return fake_run_as(db, NULL, NULL, NULL);
}

struct store_trial fake_trial(int64_t run, const char *index, int64_t seed, int nprobe)
{
    static char identities[64][96], params[64][96];
    static int next;
    char *identity = identities[next % 64], *json = params[next++ % 64];

    snprintf(identity, sizeof identities[0], "%s/%lld/%d", index, (long long)seed, nprobe);
    snprintf(json, sizeof params[0], "{\"index\":\"%s\",\"nprobe\":%d}", index, nprobe);
    return (struct store_trial){.run = run,
                                .identity = identity,
                                .params = json,
                                .group_identity = index,
                                .dataset = "toys",
                                .dataset_identity = "d1",
                                .dataset_elem = "u8",
                                .n = 200000,
                                .nq = 1000,
                                .d = 128,
                                .index = index,
                                .backend = "cpu",
                                .device = "Toy <9000> & co",
                                .storage = "u8",
                                .gpus = 0,
                                .replicas = 1,
                                .float16 = 0,
                                .precomputed_tables = 1,
                                .threads = 2,
                                .seed = seed,
                                .batch = 16384,
                                .nlist = 1024,
                                .k = 100,
                                .nprobe = nprobe};
}

static int fill(struct store *db, const struct store_trial *t)
{
    static const char *const names[FAKE_METRICS] = {"recall_1",   "recall_10",  "recall_100",
                                                    "krecall_10", "recall_tie", "intersection_10"};
    int pq = strstr(t->index, "PQ") != NULL, rc;
    double reach = 1 - 0.62 * pow(t->nprobe, -0.7) + 0.002 * (double)(t->seed - 2);
    double ms = (pq ? 3.0 : 6.5) + (pq ? 0.9 : 2.6) * t->nprobe;
    uint16_t hits[1000];

    for (int i = 0; i < 1000; i++)
        hits[i] = (uint16_t)(i % 11);
    if ((rc = store_phase(db, "train", 2500000000, -1, 300 << 20, -1, 0)) < 0) return rc;
    if ((rc = store_phase(db, "add", 1250000000, -1, 400 << 20, -1, 0)) < 0) return rc;
    for (int r = 0; r < FAKE_REPEATS; r++) /* the median is the third */
        if ((rc = store_sample(db, "search", r, (int64_t)(ms * 1e6 * (0.98 + 0.01 * r)), -1)) < 0)
            return rc;
    for (int m = 0; m < FAKE_METRICS; m++)
        if ((rc = store_metric(db, names[m], reach * (pq ? 0.55 + 0.04 * m : 0.97))) < 0) return rc;
    return store_hits(db, "intersection_10", hits, 1000);
}

int fake_store(struct store *db, const struct store_trial *t, enum store_status status)
{
    int rc;

    if ((rc = store_begin(db, t)) < 0) return rc;
    if (status == STATUS_OK && (rc = fill(db, t)) < 0) return rc;
    return store_end(db, status, status == STATUS_OK ? NULL : "because, it \"said\" so",
                     status == STATUS_OK && t->nprobe == 4 ? "noisy" : NULL);
}

int64_t fake_sweep(struct store *db)
{
    static const char *const indexes[] = {"IVF1024,Flat", "IVF1024,PQ16"};
    int64_t run = fake_run(db);
    struct store_trial t;

    for (int i = 0; i < 2; i++)
        for (int seed = 1; seed <= 3; seed++)
            for (int nprobe = 1; nprobe <= 256; nprobe *= 2) {
                t = fake_trial(run, indexes[i], seed, nprobe);
                CHECK_OK(fake_store(db, &t, STATUS_OK));
            }
    t = fake_trial(run, "IVF1024,PQ16", 1, 2048);
    CHECK_OK(fake_store(db, &t, STATUS_SKIPPED));
    t = fake_trial(run, "IVF1024,PQ32", 1, 1);
    CHECK_OK(fake_store(db, &t, STATUS_FAILED));
    CHECK_OK(store_run_end(db, run, 0));
    return run;
}
