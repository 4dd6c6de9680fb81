"""Called by test_interop.sh: interop.py IVFBENCH FOLDER. One line for each claim that does not hold."""

import csv
import os
import subprocess
import sys

import h5py
import numpy as np

program = os.path.abspath(sys.argv[1])
os.chdir(sys.argv[2])
rng = np.random.default_rng(7)
broken = []


def claim(words, holds):
    if not holds:
        broken.append(words)


def run(*words):
    """Exit code and all that was said."""
    done = subprocess.run([program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def convert(source, target, *options):
    code, said = run("convert", source, target, *options)
    claim(f"convert {source} {target}: exit {code}: {said}", code == 0)


# ---- readers and writers of the other formats, as big-ann-benchmarks and Faiss have them ----


def write_bin(path, x, wide=False):
    with open(path, "wb") as f:
        np.array(x.shape, dtype="<u8" if wide else "<u4").tofile(f)
        x.tofile(f)


def read_bin(path, dtype):
    n, d = np.fromfile(path, dtype="<u4", count=2)
    return np.fromfile(path, dtype=dtype, offset=8, count=int(n) * int(d)).reshape(n, d)


def write_vecs(path, x):
    rows = x.astype(x.dtype.newbyteorder("<"))
    with open(path, "wb") as f:
        for row in rows:
            np.array([x.shape[1]], dtype="<i4").tofile(f)
            row.tofile(f)


def read_vecs(path, dtype):
    raw = np.fromfile(path, dtype="u1")
    d = int(raw[:4].view("<i4")[0])
    return raw.reshape(-1, 4 + d * np.dtype(dtype).itemsize)[:, 4:].copy().view(dtype)


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


kinds = {
    "f4": rng.standard_normal((300, 33)).astype("f4"),
    "f2": rng.standard_normal((300, 33)).astype("f2"),
    "u1": rng.integers(0, 256, (300, 33)).astype("u1"),
    "i1": rng.integers(-128, 128, (300, 33)).astype("i1"),
}
of_bin = {"f4": "fbin", "f2": "f16bin", "u1": "u8bin", "i1": "i8bin"}
of_vecs = {"f4": "fvecs", "u1": "bvecs"}

# ---- NumPy writes, we read; we write, NumPy reads ----

for kind, x in kinds.items():
    np.save(f"{kind}.npy", x)
    ours = f"{kind}.{of_bin[kind]}"
    convert(f"{kind}.npy", ours)
    claim(f"{ours} is what numpy saved", same(read_bin(ours, kind), x))
    convert(ours, "back.npy")
    claim(f"numpy loads our {kind} .npy", same(np.load("back.npy"), x))
    for wide in (False, True):
        write_bin(f"theirs.{of_bin[kind]}", x, wide)
        convert(f"theirs.{of_bin[kind]}", "back.npy")
        claim(f"a {of_bin[kind]} of numpy's, 64-bit header {wide}", same(np.load("back.npy"), x))
    if kind in of_vecs:
        write_vecs(f"theirs.{of_vecs[kind]}", x)
        convert(f"theirs.{of_vecs[kind]}", "back.npy")
        claim(f"a {of_vecs[kind]} of numpy's", same(np.load("back.npy"), x))
        convert("back.npy", f"ours.{of_vecs[kind]}")
        claim(f"numpy reads our {of_vecs[kind]}", same(read_vecs(f"ours.{of_vecs[kind]}", kind), x))
    convert(f"{kind}.npy", "wide.npy.fbin")
    claim(f"{kind} widens exactly", same(read_bin("wide.npy.fbin", "f4"), x.astype("f4")))

# every half there is
halves = np.arange(65536, dtype="u2").view("f2").reshape(256, 256)
np.save("halves.npy", halves)
convert("halves.npy", "halves.fbin")
want = halves.astype("f4")
got = read_bin("halves.fbin", "f4")
claim("every half is the float that numpy makes of it", np.array_equal(got, want, equal_nan=True))

for version in ((1, 0), (2, 0), (3, 0)):
    with open("version.npy", "wb") as f:
        np.lib.format.write_array(f, kinds["f4"], version=version)
    convert("version.npy", "version.fbin")
    claim(f".npy version {version}", same(read_bin("version.fbin", "f4"), kinds["f4"]))

# ---- what numpy writes and we cannot use is refused with the reason ----

for name, x, word in (
    ("big.npy", kinds["f4"].astype(">f4"), "big endian"),
    ("fortran.npy", np.asfortranarray(kinds["f4"]), "ascontiguousarray"),
    ("double.npy", kinds["f4"].astype("f8"), "astype('<f4')"),
    ("flat.npy", kinds["f4"].ravel(), "1 dimensions"),
    ("object.npy", np.array([[1, "x"]], dtype=object), "Python objects"),
):
    np.save(name, x, allow_pickle=True)
    code, said = run("info", name)
    claim(f"{name} is refused for {word}: exit {code}: {said}", code == 1 and word in said)

# ---- truth ----

base, query = kinds["u1"], kinds["u1"][:20].copy()
query[:, 0] ^= 1
write_bin("base.u8bin", base)
write_bin("query.u8bin", query)
distance = ((query[:, None, :].astype("i8") - base[None].astype("i8")) ** 2).sum(2)
ids = np.argsort(distance, axis=1, kind="stable")[:, :10]
nearest = np.take_along_axis(distance, ids, 1)
for name in ("gt.ivecs", "gt.ibin", "gt.npy"):
    code, said = run("gt", "--base", "base.u8bin", "--query", "query.u8bin", "-k", "10", "-o", name)
    claim(f"gt -o {name}: exit {code}: {said}", code == 0)
claim("our .ivecs truth is numpy's", np.array_equal(read_vecs("gt.ivecs", "<i4"), ids))
claim("our .npy truth is numpy's", same(np.load("gt.npy"), ids.astype("<i8")))
claim("our .ibin truth is numpy's", np.array_equal(read_bin("gt.ibin", "<u4"), ids))
tail = np.fromfile("gt.ibin", dtype="<f4", offset=8 + 4 * ids.size).reshape(ids.shape)
claim("its distances follow", np.array_equal(tail, nearest.astype("f4")))
for kind in ("i4", "u4", "i8"):
    np.save("theirs.npy", ids.astype(kind))
    convert("theirs.npy", "theirs.ivecs")
    claim(f"ids of {kind}", np.array_equal(read_vecs("theirs.ivecs", "<i4"), ids))

# ---- h5py writes what ann-benchmarks does ----


def write_hdf5(path, train, test, metric, **storage):
    with h5py.File(path, "w") as f:
        f.attrs["type"] = "dense"
        f.attrs["distance"] = metric
        f.create_dataset("train", data=train, **storage)
        f.create_dataset("test", data=test, **storage)
        f.create_dataset("neighbors", data=ids.astype("i4"))
        f.create_dataset("distances", data=np.sqrt(nearest).astype("f4"))


write_hdf5("probe.hdf5", base, query, "euclidean")
code, said = run("info", "probe.hdf5")
has_hdf5 = "libhdf5-dev" not in said
if not has_hdf5:
    print("this build has no HDF5: what h5py writes is refused, and nothing else was looked at")
for kind, x in kinds.items() if has_hdf5 else ():
    for storage in ({}, {"chunks": (16, 16)}, {"chunks": True, "compression": "gzip", "shuffle": True}):
        write_hdf5("theirs.hdf5", x, x[:20], "euclidean", **storage)
        convert("theirs.hdf5", "back.npy")
        claim(f"train of {kind}, {storage}", same(np.load("back.npy"), x))
        convert("theirs.hdf5", "back.npy", "--part", "query")
        claim(f"test of {kind}, {storage}", same(np.load("back.npy"), x[:20]))
        convert("theirs.hdf5", "back.npy", "--part", "truth")
        claim(f"neighbors beside {kind}, {storage}", np.array_equal(np.load("back.npy"), ids))
for kind, x in kinds.items() if has_hdf5 else ():
    np.save("theirs.npy", x)
    convert("theirs.npy", "ours.hdf5")
    with h5py.File("ours.hdf5") as f:
        claim(f"h5py reads our {kind}", same(f["train"][:], x) and f.attrs["distance"] in ("euclidean", b"euclidean"))
    convert("ours.hdf5", "back.npy")
    claim(f"so do we our own {kind}", same(np.load("back.npy"), x))
if has_hdf5:
    np.save("theirs.npy", ids.astype("i8"))
    convert("theirs.npy", "ours.hdf5", "--part", "truth")
    with h5py.File("ours.hdf5") as f:
        claim("h5py reads our neighbors", np.array_equal(f["neighbors"][:], ids))
    write_hdf5("big.hdf5", kinds["f4"].astype(">f4"), kinds["f4"][:20], "euclidean")
    convert("big.hdf5", "back.npy")
    claim("big endian in HDF5 is turned", same(np.load("back.npy"), kinds["f4"]))
    for metric in ("angular", "jaccard", "hamming", np.bytes_("angular")):
        write_hdf5("other.hdf5", kinds["f4"], kinds["f4"][:20], metric)
        code, said = run("info", "other.hdf5")
        claim(f"{metric} is refused: exit {code}: {said}", code == 1 and "squared Euclidean" in said)
    with open("hdf5.yaml", "w") as f:
        f.write("version: 1\ndataset: {name: theirs, base: probe.hdf5}\nindex: [\"IVF4,Flat\"]\n"
                "search: {nprobe: 4, k: 10}\nbackend: cpu\n")
    code, said = run("run", "hdf5.yaml", "--db", "r.db", "--set", "cache=false", "--set", "search.repeat=1")
    claim(f"a run on an HDF5 file: exit {code}: {said}", code == 0)
    code, said = run("export", "--db", "r.db", "--format", "csv")
    rows = list(csv.DictReader(said.splitlines()))
    claim(f"with the file's own truth recall is 1: {said}", [float(r["recall_1"]) for r in rows] == [1])

# ---- centroids out and in: two engines with the same lists ----

with open("spec.yaml", "w") as f:
    f.write("version: 1\ndataset: {name: made, base: base.u8bin, query: query.u8bin, truth: gt.ivecs}\n"
            "index: [\"IVF4,Flat\", \"IVF4,PQ11\"]\nsearch: {nprobe: 2, k: 10, repeat: 1}\nbackend: cpu\n"
            "cache: false\noutputs: {centroids: \"cent/{index}_{seed}.npy\"}\n")


def recalls(db, *options):
    code, said = run("run", "spec.yaml", "--db", db, *options)
    claim(f"run {options}: exit {code}: {said}", code == 0)
    code, said = run("export", "--db", db, "--format", "csv")
    return [float(row["recall_1"]) for row in csv.DictReader(said.splitlines())]


trained = recalls("a.db")
ours = np.load("cent/IVF4,Flat_1234.npy")
claim("numpy loads our centroids", ours.shape == (4, 33) and ours.dtype == np.dtype("<f4"))
claim("both indexes have the same", same(ours, np.load("cent/IVF4,PQ11_1234.npy")))
np.save("given.npy", ours)
given = recalls("b.db", "--set", "train.centroids=given.npy", "--set", "outputs.centroids=again_{index}.npy")
claim(f"given back, they give the same recall: {trained} {given}", len(trained) == 2 and trained == given)
np.save("given.npy", base[:4].astype("f4"))
recalls("c.db", "--set", "train.centroids=given.npy", "--set", "outputs.centroids=again_{index}.npy")
claim("numpy's centroids are used as they are", same(np.load("again_IVF4,PQ11.npy"), base[:4].astype("f4")))

for line in broken:
    print("does not hold:", line)
sys.exit(bool(broken))
