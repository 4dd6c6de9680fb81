"""Faiss on a GPU beside the CUDA backend: the same rows, the same start of k-means, the same lists, machine and hour.

Usage: bench_faiss_gpu.py DIR [--csv OURS.csv] [--repeats 3] [--cuvs] [kmeans] [truth] [add] [search]
       bench_faiss_gpu.py DIR --photosift BASE

DIR and OURS.csv are what bench_kernels has left: `bench_kernels --write DIR --csv OURS.csv float bytes kmeans` for the
first three, which are those that run where none is named, `... search searchfloat search1m` for the last. Our times stand
beside Faiss's where the file is given. Needs faiss-gpu, numpy and torch (which holds rows on the device). --cuvs: through
cuVS, too. --cpu is a dry run on a small DIR where there is no GPU: faiss-cpu in Faiss's place, its times mean nothing.

k-means is judged by its last centroids, Faiss's and ours by the same search and a sum in fp64: the objective that Faiss
itself reports is summed in fp32. Faiss gets its rows as f32, since it takes nothing else, converted before the clock starts.
Truth and add get them on the device, ours from host memory; k-means gets them in host memory, as Faiss's interface wants.

search: Faiss's lists have our centroids, so that Flat has our answers (recalls further apart than 0.005 end in exit 1). PQ
trains codebooks of its own, from residuals to them; tables are precomputed and in fp16, its fastest. Queries and answers of
Faiss are on the device. A row for each of our files of answers: medians of 5 after 2 that are not timed, and for PQ32 at
nprobe 32 batches of 1 to 1,000 too, one after the other, up to 100 in a run, time of one. Faiss's time is wall time: beside
it stand our device's, since our queries come from host memory, and our wall time, which has that and all calls in it. Recall
counts the answers no farther than the k-th of an exact search, so ties are no one's fault.

--photosift: recalls on real vectors, BASE_base.bvecs, _learn, _query and _groundtruth.ivecs, for IVF1024,Flat and
IVF1024,PQ16. Faiss's centroids and a spec are left in DIR: `ivfbench run DIR/photosift.yaml` searches the same lists.
"""
import argparse
import csv
import glob
import os
import re
import statistics
import sys
import time

import numpy as np
import torch

import faiss
import faiss.contrib.torch_utils

K, NLIST, ITERATIONS, BLOCK = 100, 16384, 10, 2_000_000
WARM, RUNS, BATCHES, LEARN = 2, 5, 100, 1_000_000
ROWS = {4096: 1_000_000}  # that IVF4096 has, where the CSV does not say; any other index has all there are
AGREE = 0.005


def wait():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds(call):
    wait()
    start = time.perf_counter()
    call()
    wait()
    return time.perf_counter() - start


def floats(path):
    return np.ascontiguousarray(np.load(path), dtype=np.float32)


class Peer:
    """Faiss's classic kernels, or cuVS through Faiss, or, as a dry run, faiss-cpu."""

    def __init__(self, cuvs=False, cpu=False):
        self.cuvs, self.cpu = cuvs, cpu
        self.name = "faiss-cpu" if cpu else "cuVS" if cuvs else "Faiss"
        self.device = "cpu" if cpu else "cuda"
        self.resources = None if cpu else faiss.StandardGpuResources()

    def rows(self, path, n=None):
        """The first n rows of a file, on the device, of the file's type."""
        return torch.from_numpy(np.array(np.load(path, mmap_mode="r")[:n])).to(self.device)

    def flat(self, d, cuvs=None):
        if self.cpu:
            return faiss.IndexFlatL2(d)
        config = faiss.GpuIndexFlatConfig()
        config.use_cuvs = self.cuvs if cuvs is None else cuvs
        return faiss.GpuIndexFlatL2(self.resources, d, config)

    def knn(self, q, x, k):
        if self.cpu:
            return [torch.from_numpy(found) for found in faiss.knn(q.numpy(), x.numpy(), k)]
        return faiss.knn_gpu(self.resources, q, x, k, use_cuvs=self.cuvs)

    def config(self, m, cuvs, fast=False):
        config = faiss.GpuIndexIVFPQConfig() if m else faiss.GpuIndexIVFFlatConfig()
        config.use_cuvs = config.flatConfig.use_cuvs = cuvs
        if m:
            config.interleavedLayout, config.useFloat16LookupTables = cuvs, fast
            config.usePrecomputedTables = fast and not cuvs
        return config

    def lists(self, d, nlist, m):
        """An index that will train its own lists."""
        if self.cpu:
            return faiss.index_factory(d, f"IVF{nlist}," + (f"PQ{m}" if m else "Flat"))
        config = self.config(m, self.cuvs)
        if not m:
            return faiss.GpuIndexIVFFlat(self.resources, d, nlist, faiss.METRIC_L2, config)
        config.useFloat16LookupTables = True
        return faiss.GpuIndexIVFPQ(self.resources, d, nlist, m, 8, faiss.METRIC_L2, config)

    def lists_of(self, centroids, m, learn, fast=True):
        """An empty index whose lists have these centroids; cuVS takes them from a trained index alone."""
        nlist, d = centroids.shape
        coarse = self.flat(d, cuvs=False)
        coarse.add(centroids)
        if self.cpu:
            index = faiss.IndexIVFPQ(coarse, d, nlist, m, 8) if m else faiss.IndexIVFFlat(coarse, d, nlist)
        else:
            kind = faiss.GpuIndexIVFPQ if m else faiss.GpuIndexIVFFlat
            sizes = (d, nlist, m, 8) if m else (d, nlist)
            config = self.config(m, False, fast and not self.cuvs)
            index = kind(self.resources, coarse, *sizes, faiss.METRIC_L2, config)
        index.train(learn)
        if self.cuvs:
            trained = faiss.index_gpu_to_cpu(index)
            index = kind(self.resources, trained, self.config(m, True, fast))
        return index


def blocks(x, rows=BLOCK):
    for i in range(0, len(x), rows):
        yield i, x[i : i + rows].float()


class Table:
    """Lines of a Markdown table: Faiss's time, ours from the CSV of bench_kernels, the ratio."""

    def __init__(self, path):
        self.ours = {}
        if path:
            with open(path) as f:
                self.ours = {row["work"]: row for row in csv.DictReader(f)}
        self.caption = "| work | peer | peer, s (least ... most) | ivfbench, s | ratio | note |\n|---|---|---|---|---|---|"

    def line(self, work, peer, times, note=""):
        if self.caption:
            print(self.caption)
            self.caption = None
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
        return max(files, key=lambda path: int(re.search(r"_(\d+)\.npy", path)[1])) if files else None


def sets(args):
    return [Set(path) for path in sorted(glob.glob(os.path.join(args.dir, "*_base.npy")))]


def objective(x, centroids):
    index = Peer(cpu=not torch.cuda.is_available()).flat(x.shape[1])
    index.add(centroids)
    return sum(float(index.search(x[i : i + BLOCK], 1)[0].astype(np.float64).sum()) for i in range(0, len(x), BLOCK))


def kmeans(table, peer, args):
    for path in sorted(glob.glob(os.path.join(args.dir, "*_start_*_*.npy"))):
        stem, n, nlist = re.fullmatch(r"(.*)_start_(\d+)_(\d+)\.npy", path).groups()
        kind, d = os.path.basename(stem).split("_")
        x, start = floats(f"{stem}_learn_{n}.npy"), floats(path)

        def train():
            nonlocal clustering
            clustering = faiss.Clustering(int(d), int(nlist))
            clustering.niter, clustering.max_points_per_centroid = ITERATIONS, 10**7
            faiss.copy_array_to_vector(start.ravel(), clustering.centroids)
            clustering.train(x, peer.flat(int(d)))

        clustering = None
        times = [seconds(train) for _ in range(args.repeats if int(nlist) < 50000 else 1)]
        theirs = objective(x, faiss.vector_to_array(clustering.centroids).reshape(-1, int(d)))
        note = f"objective {theirs:.8g}"
        if os.path.exists(f"{stem}_centroids_{n}_{nlist}.npy"):
            own = objective(x, floats(f"{stem}_centroids_{n}_{nlist}.npy"))
            note += f", ours {own:.8g}: {100 * (own / theirs - 1):+.4f} %"
        table.line(f"k-means {n} x {d} {kind} -> {nlist}", peer.name, times, note)


def truth(table, peer, args):
    for s in sets(args):
        x, q = peer.rows(s.file("base")).float(), peer.rows(s.file("query")).float()
        found = None

        def search():
            nonlocal found
            found = peer.knn(q, x, K)

        search()
        times = [seconds(search) for _ in range(args.repeats)]
        note = f"mean distance of the first {float(found[0][:, 0].double().mean()):.7g}, of the last "
        note += f"{float(found[0][:, K - 1].double().mean()):.7g}"
        table.line(f"truth {len(q)} in {len(x)} x {s.d} {s.type}, k {K}", peer.name, times, note)
        del x


def add(table, peer, args):
    for s in sets(args):
        x, learn = peer.rows(s.file("base")).float(), peer.rows(s.learn(), LEARN).float()
        for m in (0, s.m):
            key = f"IVF{NLIST}," + (f"PQ{m}" if m else "Flat")
            index = peer.lists(s.d, NLIST, m)
            index.cp.niter, index.cp.max_points_per_centroid = ITERATIONS, 10**7
            work = f"train {key} on {len(learn)} x {s.d} {s.type}"
            table.line(work, peer.name, [seconds(lambda: index.train(learn))])

            def fill():
                for i in range(0, len(x), BLOCK):
                    index.add(x[i : i + BLOCK])

            times = [seconds(fill)]
            table.line(f"add {key}, {len(x)} x {s.d} {s.type}", peer.name, times, f"{index.ntotal} vectors")
            del index
        del x


# ---- search ----


def word(pattern, text, default=None):
    found = re.search(pattern, text)
    return found[1] if found else default


def number(pattern, text):
    return int(word(pattern, text, 0)) or None


class Line:
    """A search of the CSV of bench_kernels: what its words say, None of what they leave out."""

    def __init__(self, row):
        work = self.work = row["work"]
        self.key, self.kept = word(r"(IVF\d+,(?:Flat|PQ\d+))", work), word(r"(\w+) rows", work)
        self.type = word(r"\d+ x \d+ (\w+)", work, "f32" if "float" in row["section"] else "u8")
        self.n, self.d = number(r"(\d+) x \d+", work), number(r"\d+ x (\d+)", work)
        self.k, self.nprobe = number(r"\bk (\d+)", work), number(r"nprobe (\d+)", work)
        self.batch, self.nq = number(r"batch(?:es)?(?: of)? (\d+)", work), number(r"(\d+) queries", work)
        self.wall = [1e3 * float(row[cell]) for cell in ("median_s", "least_s", "most_s")]
        self.device = [1e3 * float(row.get(cell) or 0) for cell in ("device_s", "device_least_s", "device_most_s")]
        self.used = False

    def says(self, **known):
        """Does it say nothing else than these?"""
        return all(getattr(self, name) in (None, value) for name, value in known.items())


def our_searches(path):
    """Of lines of the same words the last."""
    if not path:
        return []
    with open(path) as f:
        return [Line(row) for row in {row["work"] + row["section"]: row for row in csv.DictReader(f)}.values()
                if row["work"].startswith("search ")]


class Answers:
    """A file of our answers: <type>_<d>_IVF<nlist>_<code>_np<nprobe>_k<k>_ids.npy."""

    def __init__(self, s, path):
        name = os.path.basename(path)[len(os.path.basename(s.stem)) :]
        nlist, code, nprobe, k = re.fullmatch(r"_IVF(\d+)_(Flat|PQ\d+)_np(\d+)_k(\d+)_ids\.npy", name).groups()
        self.path, self.key, self.nlist = path, f"IVF{nlist},{code}", int(nlist)
        self.m, self.nprobe, self.k = int(code[2:]) if code != "Flat" else 0, int(nprobe), int(k)


def exact(peer, x, q, k):
    """Ids of the k nearest, by the device's products; a block at a time, so that x need not be there as f32."""
    dist, ids = None, None
    for i, block in blocks(x):
        some = peer.knn(q, block, min(k, len(block)))
        both = (some[0], some[1] + i)
        if ids is not None:
            both = [torch.cat(pair, 1) for pair in zip((dist, ids), both)]
        dist, at = both[0].topk(min(k, both[0].shape[1]), largest=False)
        ids = both[1].gather(1, at)
    return ids


def distances(x, q, ids, rows=256):
    """Squared differences, for what decides; no answer is infinitely far."""
    out = []
    for i, some in blocks(q, rows):
        at = ids[i : i + rows]
        out.append(((x[at.clamp(min=0)].float() - some[:, None]) ** 2).sum(-1).masked_fill(at < 0, float("inf")))
    return torch.cat(out)


def span(median, least, most):
    return f"{median:.3f} ({least:.3f} ... {most:.3f})"


class Searches:
    """All that is searched in one set of rows with the same lists: one truth, one pair of tables."""

    def __init__(self, peer, s, nlist, files, ours):
        self.peer, self.s, self.nlist, self.files = peer, s, nlist, files
        self.ours = [line for line in ours if line.says(type=s.type, d=s.d) and line.key.startswith(f"IVF{nlist},")]
        n = max((line.n for line in self.ours if line.n), default=ROWS.get(nlist))
        self.x, self.q = peer.rows(s.file("base"), n), peer.rows(s.file("query")).float()
        self.k = max(file.k for file in files)
        self.far = distances(self.x, self.q, exact(peer, self.x, self.q, self.k)).sort(1)[0]
        self.apart = []

    def recall(self, ids):
        k = ids.shape[1]
        return float((distances(self.x, self.q, ids) <= self.far[:, k - 1, None]).float().mean())

    def index(self, m):
        s, centroids = self.s, self.peer.rows(self.s.file(f"{self.nlist}_coarse"))
        learn = self.peer.rows(s.learn(), LEARN) if s.learn() else self.x[:LEARN]
        index = self.peer.lists_of(centroids, m, learn.float())
        for _, block in blocks(self.x):
            index.add(block)
        return index

    def times(self, index, k, batch):
        """Milliseconds of a search of all queries, or of one of the batches that follow each other."""
        count = min(BATCHES, len(self.q) // batch)
        parts = [self.q[i * batch : (i + 1) * batch] for i in range(count)]
        out = [1e3 / count * sum(seconds(lambda: index.search(q, k)) for q in parts) for _ in range(WARM + RUNS)]
        return sorted(out[WARM:])

    def line(self, file, batch, times, recalls):
        known = {"key": file.key, "n": len(self.x), "k": file.k, "nprobe": file.nprobe}
        known["batch" if batch < len(self.q) else "nq"] = batch
        ours = [line for line in self.ours if line.says(**known) and (line.batch or line.nq or len(self.q)) == batch]
        work = f"{file.key}, {len(self.x)} x {self.s.d} {self.s.type}, k {file.k}, nprobe {file.nprobe}"
        work += f", batch {batch}" if batch < len(self.q) else ""
        median = statistics.median(times)
        for own in ours or [None]:
            rows = f", ours {own.kept} rows" if own and own.kept else ""
            cells = [work + rows, self.peer.name, span(median, times[0], times[-1])]
            for own_ms in (own.device, own.wall) if own else ([0], [0]):
                cells += [span(*own_ms), f"{median / own_ms[0]:.2f}"] if own_ms[0] else ["-", "-"]
            print("|", " | ".join([*cells, recalls]), "|", flush=True)
            if own:
                own.used = True

    def run(self):
        for m in sorted({file.m for file in self.files}):
            index = self.index(m)
            for file in sorted((file for file in self.files if file.m == m), key=lambda file: file.nprobe):
                index.nprobe = file.nprobe
                times = self.times(index, file.k, len(self.q))
                both = [self.recall(index.search(self.q, file.k)[1]), self.recall(self.peer.rows(file.path))]
                self.line(file, len(self.q), times, "{:.4f} / {:.4f}".format(*both))
                if m == 0 and abs(both[0] - both[1]) > AGREE:
                    self.apart.append(f"{file.path}: recall {both[1]:.4f}, {self.peer.name}'s {both[0]:.4f}")
                if m == 32 and file.nprobe == 32:
                    for batch in (size for size in (1, 10, 100, 1000) if size < len(self.q)):
                        self.line(file, batch, self.times(index, file.k, batch), "")
            del index


def search(peer, ours, args):
    apart = []
    for s in sets(args):
        files = [Answers(s, path) for path in glob.glob(s.file("IVF*_ids"))]
        for nlist in sorted({file.nlist for file in files}):
            searches = Searches(peer, s, nlist, [file for file in files if file.nlist == nlist], ours)
            searches.run()
            apart += searches.apart
    return apart


def search_all(args):
    """Faiss and, where it is asked for, cuVS; what is wrong with the comparison, in words."""
    ours, apart = our_searches(args.csv), []
    print("| search | peer | peer, ms (least ... most) | ivfbench, device ms | ratio | ivfbench, wall ms | ratio |",
          "recall@k, peer / ivfbench |\n|---|---|---|---|---|---|---|---|")
    for peer in peers(args):
        apart += search(peer, ours, args)
    left = [line.work for line in ours if not line.used]
    if left:
        print("\nNot compared, for want of answers or of a peer:", *left, sep="\n* ")
    return apart


# ---- real vectors ----

SPEC = """# Written by bench_faiss_gpu.py: the lists that Faiss trained, for recalls beside its own.
version: 1
name: photosift_faiss_lists
dataset:
  name: photosift200k
  base: "{base}_base.bvecs"
  query: "{base}_query.bvecs"
  learn: "{base}_learn.bvecs"
  truth: "{base}_groundtruth.ivecs"
index: ["IVF1024,Flat", "IVF1024,PQ16"]
train: {{centroids: photosift_coarse.npy}}
search: {{k: 100, nprobe: {{from: 1, to: 256, mul: 4}}}}
"""


def vecs(path, cell):
    x = np.fromfile(path, cell)
    cells = int(x[: 4 // x.itemsize].view(np.int32)[0])
    return np.ascontiguousarray(x.reshape(-1, cells + 4 // x.itemsize)[:, 4 // x.itemsize :])


def photosift(peer, args):
    """The columns of ivfbench's own table: tie-aware and 10∩10 are of ten answers."""
    base, learn, q = (torch.from_numpy(vecs(f"{args.photosift}_{part}.bvecs", np.uint8)).to(peer.device).float()
                      for part in ("base", "learn", "query"))
    true = torch.from_numpy(vecs(f"{args.photosift}_groundtruth.ivecs", np.int32)).to(peer.device).long()
    clustering = faiss.Clustering(base.shape[1], 1024)
    clustering.niter = 25
    clustering.train(learn.cpu().numpy(), peer.flat(base.shape[1]))
    centroids = faiss.vector_to_array(clustering.centroids).reshape(1024, -1)
    os.makedirs(args.dir, exist_ok=True)
    np.save(os.path.join(args.dir, "photosift_coarse.npy"), centroids)
    with open(os.path.join(args.dir, "photosift.yaml"), "w") as f:
        f.write(SPEC.format(base=os.path.abspath(args.photosift)))
    far = distances(base, q, true[:, :10]).amax(1)
    print("| index | peer | nprobe | R@1 | R@10 | R@100 | tie-aware | 10∩10 |\n|---|---|---|---|---|---|---|---|")
    for m in (0, 16):
        index = peer.lists_of(torch.from_numpy(centroids).to(peer.device), m, learn, fast=False)
        index.add(base)
        for nprobe in (1, 4, 16, 64, 256):
            index.nprobe = nprobe
            ids = index.search(q, 100)[1]
            found = [float((ids[:, :r] == true[:, :1]).any(1).float().mean()) for r in (1, 10, 100)]
            found.append(float((distances(base, q, ids[:, :10]) <= far[:, None]).float().mean()))
            found.append(float((ids[:, :10, None] == true[:, None, :10]).any(2).float().mean()))
            print(f"| IVF1024,{f'PQ{m}' if m else 'Flat'} | {peer.name} | {nprobe} |", *(f"{r:.4f} |" for r in found), flush=True)


def peers(args):
    for cuvs in (False, True) if args.cuvs else (False,):
        yield Peer(cuvs, args.cpu)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir")
    parser.add_argument("parts", nargs="*", metavar="PART", help="kmeans, truth, add, search")
    parser.add_argument("--csv")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cuvs", action="store_true")
    parser.add_argument("--cpu", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--photosift", metavar="BASE")
    args = parser.parse_intermixed_args()
    parts = args.parts or ([] if args.photosift else ["kmeans", "truth", "add"])
    name, apart = "a dry run" if args.cpu else torch.cuda.get_device_name(), []
    print(f"Faiss {faiss.__version__}, {name}, {time.strftime('%Y-%m-%d')}\n")
    table = Table(args.csv)
    for peer in peers(args):
        for part in (part for part in parts if part != "search"):
            {"kmeans": kmeans, "truth": truth, "add": add}[part](table, peer, args)
    if "search" in parts:
        apart = search_all(args)
    if args.photosift:
        for peer in peers(args):
            photosift(peer, args)
    if apart:
        sys.exit("\n".join(["Flat on the same lists, and other recalls:", *apart]))


if __name__ == "__main__":
    main()
