"""Faiss on a GPU beside the CUDA backend: the same rows, the same start of k-means, the same machine and hour.

Usage: bench_faiss_gpu.py DIR [--csv OURS.csv] [--repeats 3] [--cuvs] [kmeans] [truth] [add]
DIR is what `bench_kernels float bytes kmeans --write DIR --csv OURS.csv` has left there; its times stand beside
Faiss's where the file is given. Needs faiss-gpu, numpy and torch (which holds rows on the device). --cuvs: through cuVS, too.

k-means is judged by its last centroids, Faiss's and ours by the same search and a sum in fp64: the objective that Faiss
itself reports is summed in fp32. Faiss gets its rows as f32, since it takes nothing else, converted before the clock starts.
Truth and add get them on the device, ours from host memory; k-means gets them in host memory, as Faiss's interface wants.
"""
import argparse
import csv
import glob
import os
import re
import statistics
import time

import numpy as np
import torch

import faiss
import faiss.contrib.torch_utils

K, NLIST, ITERATIONS, BLOCK = 100, 16384, 10, 2_000_000


def seconds(call):
    torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def floats(path):
    return np.ascontiguousarray(np.load(path), dtype=np.float32)


class Table:
    """Lines of a Markdown table: Faiss's time, ours from the CSV of bench_kernels, the ratio."""

    def __init__(self, path):
        self.ours = {}
        if path:
            with open(path) as f:
                self.ours = {row["work"]: row for row in csv.DictReader(f)}
        print("| work | peer | peer, s (least ... most) | ivfbench, s | ratio | note |\n|---|---|---|---|---|---|")

    def line(self, work, peer, times, note=""):
        median, ours = statistics.median(times), self.ours.get(work)
        own = float(ours["median_s"]) if ours else None
        print(f"| {work} | {peer} | {median:.3f} ({min(times):.3f} ... {max(times):.3f}) |", f"{own:.4f}" if own else "-",
              "|", f"{median / own:.1f}" if own else "-", f"| {note} |", flush=True)


class Set:
    """A set that bench_kernels wrote: <type>_<d>_base.npy and so on."""

    def __init__(self, base):
        self.stem = base[: -len("_base.npy")]
        self.type, d = os.path.basename(self.stem).split("_")
        self.d, self.m = int(d), 24 if int(d) == 96 else 32

    def file(self, name):
        return f"{self.stem}_{name}.npy"

    def learn(self):
        """The training rows of the largest file that is there."""
        files = glob.glob(self.file("learn_*"))
        return max(files, key=lambda path: int(re.search(r"_(\d+)\.npy", path)[1]))


def flat(resources, d, cuvs):
    config = faiss.GpuIndexFlatConfig()
    config.use_cuvs = cuvs
    return faiss.GpuIndexFlatL2(resources, d, config)


def objective(resources, x, centroids):
    index = flat(resources, x.shape[1], False)
    index.add(centroids)
    return sum(float(index.search(x[i : i + BLOCK], 1)[0].astype(np.float64).sum()) for i in range(0, len(x), BLOCK))


def kmeans(table, resources, peer, cuvs, args):
    for path in sorted(glob.glob(os.path.join(args.dir, "*_start_*_*.npy"))):
        stem, n, nlist = re.fullmatch(r"(.*)_start_(\d+)_(\d+)\.npy", path).groups()
        kind, d = os.path.basename(stem).split("_")
        x, start = floats(f"{stem}_learn_{n}.npy"), floats(path)

        def train():
            nonlocal clustering
            clustering = faiss.Clustering(int(d), int(nlist))
            clustering.niter, clustering.max_points_per_centroid = ITERATIONS, 10**7
            faiss.copy_array_to_vector(start.ravel(), clustering.centroids)
            clustering.train(x, flat(resources, int(d), cuvs))

        clustering = None
        times = [seconds(train) for _ in range(args.repeats if int(nlist) < 50000 else 1)]
        theirs = objective(resources, x, faiss.vector_to_array(clustering.centroids).reshape(-1, int(d)))
        note = f"objective {theirs:.8g}"
        if os.path.exists(f"{stem}_centroids_{n}_{nlist}.npy"):
            own = objective(resources, x, floats(f"{stem}_centroids_{n}_{nlist}.npy"))
            note += f", ours {own:.8g}: {100 * (own / theirs - 1):+.4f} %"
        table.line(f"k-means {n} x {d} {kind} -> {nlist}", peer, times, note)


def truth(table, resources, peer, cuvs, args):
    for s in map(Set, sorted(glob.glob(os.path.join(args.dir, "*_base.npy")))):
        x = torch.from_numpy(floats(s.file("base"))).cuda()
        q = torch.from_numpy(floats(s.file("query"))).cuda()
        found = None

        def search():
            nonlocal found
            found = faiss.knn_gpu(resources, q, x, K, use_cuvs=cuvs)

        search()
        times = [seconds(search) for _ in range(args.repeats)]
        note = f"mean distance of the first {float(found[0][:, 0].double().mean()):.7g}, of the last "
        note += f"{float(found[0][:, K - 1].double().mean()):.7g}"
        table.line(f"truth {len(q)} in {len(x)} x {s.d} {s.type}, k {K}", peer, times, note)
        del x


def lists(resources, s, m, cuvs):
    if m == 0:
        config = faiss.GpuIndexIVFFlatConfig()
        config.use_cuvs = cuvs
        return faiss.GpuIndexIVFFlat(resources, s.d, NLIST, faiss.METRIC_L2, config)
    config = faiss.GpuIndexIVFPQConfig()
    config.use_cuvs, config.interleavedLayout = cuvs, cuvs
    config.useFloat16LookupTables = True
    return faiss.GpuIndexIVFPQ(resources, s.d, NLIST, m, 8, faiss.METRIC_L2, config)


def add(table, resources, peer, cuvs, args):
    for s in map(Set, sorted(glob.glob(os.path.join(args.dir, "*_base.npy")))):
        x = torch.from_numpy(floats(s.file("base"))).cuda()
        learn = torch.from_numpy(floats(s.learn())[:1_000_000]).cuda()
        for m in (0, s.m):
            key = f"IVF{NLIST}," + (f"PQ{m}" if m else "Flat")
            index = lists(resources, s, m, cuvs)
            index.cp.niter, index.cp.max_points_per_centroid = ITERATIONS, 10**7
            table.line(f"train {key} on {len(learn)} x {s.d} {s.type}", peer, [seconds(lambda: index.train(learn))])

            def fill():
                for i in range(0, len(x), BLOCK):
                    index.add(x[i : i + BLOCK])

            times = [seconds(fill)]
            table.line(f"add {key}, {len(x)} x {s.d} {s.type}", peer, times, f"{index.ntotal} vectors")
            del index
        del x


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir")
    parser.add_argument("parts", nargs="*", default=["kmeans", "truth", "add"])
    parser.add_argument("--csv")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cuvs", action="store_true")
    args = parser.parse_args()
    print(f"Faiss {faiss.__version__}, {torch.cuda.get_device_name()}, {time.strftime('%Y-%m-%d')}\n")
    table, resources = Table(args.csv), faiss.StandardGpuResources()
    for cuvs in (False, True) if args.cuvs else (False,):
        for part in args.parts:
            {"kmeans": kmeans, "truth": truth, "add": add}[part](table, resources, "cuVS" if cuvs else "Faiss", cuvs, args)


if __name__ == "__main__":
    main()
