"""The CPU backend beside faiss-cpu: same data, same threads, in turns, median of the ratios.

Usage: bench_faiss_cpu.py build/ivfbench [--pairs 5] [--train-pairs 3] [KEY ...]
Needs faiss-cpu and numpy, IVFBENCH_DATA with photosift200k, and a machine that does nothing else.
Prints a Markdown table; kernels/README.md has one with machine and date.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

import faiss
import numpy as np

KEYS = ["IVF1024,Flat", "IVF1024,PQ16", "OPQ16_64,IVF1024,PQ16", "PCAR64,IVF1024,PQ16", "PCAR64,IVF1024,Flat"]
NPROBES, K, THREADS = (16, 64), 100, len(os.sched_getaffinity(0))
SPEC = os.path.join(os.path.dirname(__file__), "..", "experiments", "photosift.yaml")


def bvecs(part):
    path = f"{os.environ['IVFBENCH_DATA']}/photosift200k/photosift200k_{part}.bvecs"
    return np.ascontiguousarray(np.fromfile(path, np.uint8).reshape(-1, 132)[:, 4:]).astype(np.float32)


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class Faiss:
    def __init__(self):
        self.base, self.learn, self.query = bvecs("base"), bvecs("learn"), bvecs("query")
        self.trained = {}
        faiss.omp_set_num_threads(THREADS)

    def measure(self, key, train):
        out = {}
        if train:
            index = faiss.index_factory(128, key)
            ivf = faiss.extract_index_ivf(index)
            ivf.cp.niter, ivf.cp.max_points_per_centroid = 25, 10**7
            out["train"] = seconds(lambda: index.train(self.learn))
            self.trained[key] = index
        index = self.trained[key]
        index.reset()
        out["add"] = seconds(lambda: index.add(self.base))
        for nprobe in NPROBES:
            faiss.extract_index_ivf(index).nprobe = nprobe
            index.search(self.query, K)
            times = [seconds(lambda: index.search(self.query, K)) for _ in range(5)]
            out[f"search, nprobe {nprobe}"] = statistics.median(times)
        return out


def ours(program, key, train):
    with tempfile.TemporaryDirectory() as tmp:
        db = f"{tmp}/bench.db"
        sets = {"index": json.dumps([key]), "train.seed": 1234, "search.nprobe": list(NPROBES), "search.warmup": 1,
                "search.repeat": 5, "cache": str(not train).lower()}
        args = [a for k, v in sets.items() for a in ("--set", f"{k}={v}")]
        subprocess.run([program, "run", SPEC, "--db", db, "--quiet", *args], check=True, stdout=subprocess.DEVNULL)
        rows = json.loads(subprocess.check_output([program, "export", "--db", db, "--format", "json"]))
    out = {f"search, nprobe {r['nprobe']}": r["search_ms"] / 1000 for r in rows}
    out["add"] = rows[0]["add_s"]
    if train:
        out["train"] = rows[0]["train_s"]
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("keys", nargs="*", default=KEYS)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--train-pairs", type=int, default=3)
    args = parser.parse_args()
    peer, times = Faiss(), {}
    for pair in range(args.pairs):
        for key in args.keys:
            train = pair < args.train_pairs
            both = peer.measure(key, train), ours(args.program, key, train)
            for what in both[0]:
                times.setdefault((key, what), []).append((both[0][what], both[1][what]))
    print(f"faiss-cpu {faiss.__version__}, {THREADS} threads, medians of {args.pairs} pairs ({args.train_pairs} of training)\n")
    print("| key | what | faiss-cpu, s | ivfbench, s | ratio (least ... most) |\n|---|---|---|---|---|")
    for (key, what), pairs in times.items():
        ratio = sorted(a / b for a, b in pairs)
        a, b = (statistics.median(x) for x in zip(*pairs))
        print(f"| {key} | {what} | {a:.3f} | {b:.3f} | {statistics.median(ratio):.1f} ({ratio[0]:.1f} ... {ratio[-1]:.1f}) |")


if __name__ == "__main__":
    main()
