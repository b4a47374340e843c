"""Time, memory and recall of the pairs P and Q, beside products of matrices and pynndescent.

Every row is a process of its own on one core: CPU seconds, the greatest memory, and how much of the
exact Q (k2 = 10) was found. "gemm" is what one would write: float32 products of 1,024 photos with
all, own area masked, argpartition; "sklearn" is NearestNeighbors(algorithm="brute") that asks for
as many neighbours as the largest area hides. Both find Q alone, the rows of skgeo P (k1 = 20)
and Q. They are measured on a part of the queries: "~" marks what that makes for all.

    python benchmarks/pairs.py --cache FOLDER [--sizes 20000 50000] [--data patches tiles smooth]
    python benchmarks/pairs.py --cache FOLDER --largest 664720

Data: "patches" cut at several scales from the photos of ../shared/data (or --photos FOLDER), each
photo an area; "tiles" of the Blue Marble, areas of 2 degrees; "smooth", normal numbers whose
spectrum falls, areas as of the paper's cities. Their 2,971 low-level features, scaled block by
block, are kept in the folder: 20,000 images take ten minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
K1, K2, COLUMNS = 20, 10, 2971
METHODS = [
    ("gemm", {}),
    ("sklearn", {}),
    ("exact", {}),
    ("anchor", {"k3": 50}),
    ("anchor", {"k3": 200}),
    ("approximate", {"n_candidates": 50}),
    ("approximate", {"n_candidates": 100}),
    ("approximate", {"n_candidates": 200}),
    ("pynndescent", {}),
]


# Data


def patches(n: int, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Squares of a quarter to a half of the photos' side, the same number of each photo."""
    from PIL import Image

    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in (".jpg", ".jpeg", ".png") and path.parent.name == "images"
    )
    rng = np.random.default_rng(0)
    images, areas = [], []
    for area, file in enumerate(files):
        photo = np.asarray(Image.open(file).convert("RGB"))
        height, width = photo.shape[:2]
        for _ in range(-(-n // len(files))):
            side = int(min(height, width) * rng.uniform(0.25, 0.5))
            y, x = rng.integers(height - side + 1), rng.integers(width - side + 1)
            patch = Image.fromarray(photo[y : y + side, x : x + side])
            images.append(np.asarray(patch.resize((96, 96), Image.Resampling.BOX)))
            areas.append(area)
    keep = np.sort(rng.permutation(len(images))[:n])
    return np.stack(images)[keep], np.array(areas)[keep]


def tiles(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping tiles of 48 pixels, 8 apart; areas by mean shift."""
    from skgeo.cluster import POIMeanShift
    from skgeo.datasets import load_blue_marble_tiles

    loaded = load_blue_marble_tiles(n, tile_size=48, step=8, random_state=0)
    return loaded.images, POIMeanShift(bandwidth=2.0).fit(loaded.coordinates).labels_


def smooth(path: Path, labels: np.ndarray) -> None:
    """Write features whose spectrum falls, around a centre for each area, in blocks.

    Along the axes: distances know of no rotation, nor does what finds the directions.
    """
    weights = 1.0 / np.arange(1, COLUMNS + 1, dtype=np.float32)
    rng = np.random.default_rng(0)
    n_areas = labels.max() + 1
    out = np.lib.format.open_memmap(path, "w+", np.float32, (len(labels), COLUMNS))
    # Centres are made again from the number of the area: kept, they would fill the memory.
    seeds = rng.integers(2**31, size=n_areas)
    for start in range(0, len(labels), 4096):
        part = slice(start, start + 4096)
        own, inverse = np.unique(labels[part], return_inverse=True)
        centres = np.stack(
            [np.random.default_rng(s).standard_normal(64, np.float32) for s in seeds[own]]
        )
        block = rng.standard_normal((len(inverse), COLUMNS), np.float32)
        block[:, :64] += centres[inverse]
        block *= weights
        out[part] = block
    out.flush()


def areas_of_drawn_photos(n: int) -> np.ndarray:
    """Areas of photos where those of the paper were taken."""
    from skgeo.cluster import POIMeanShift
    from skgeo.datasets import make_photo_coordinates

    return POIMeanShift().fit(make_photo_coordinates(n, random_state=0).coordinates).labels_


def prepare(which: str, n: int, cache: Path, photos: Path) -> Path | None:
    """Make the features, unless they are there. None where there are no photos."""
    path, areas = cache / f"{which}-{n}-scaled.npy", cache / f"{which}-{n}-labels.npy"
    if path.exists() and areas.exists():
        return path
    if which == "smooth":
        labels = areas_of_drawn_photos(n)
        smooth(path, labels)
    else:
        from skgeo.features import BlockScaler, LowLevelFeatures

        if which == "patches" and not photos.is_dir():
            return None
        images, labels = patches(n, photos) if which == "patches" else tiles(n)
        few = np.random.default_rng(0).permutation(len(images))[:1500]
        extractor = LowLevelFeatures(random_state=0).fit(images[few])
        parts = [extractor.transform(images[s : s + 1000]) for s in range(0, len(images), 1000)]
        scaler = BlockScaler("low-level", hellinger=("color", "texture"))
        np.save(path, np.ascontiguousarray(scaler.fit_transform(np.concatenate(parts)), "f4"))
    np.save(areas, labels)
    return path


# Methods: each returns P or None and Q as arrays (n, K2), -1 where there is none


def by_gemm(X: np.ndarray, labels: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """What one would write."""
    norms = np.einsum("ij,ij->i", X, X)
    doubled = -2.0 * X
    found = []
    for start in range(0, len(queries), 1024):
        rows = queries[start : start + 1024]
        squared = X[rows] @ doubled.T
        squared += norms
        squared[labels[rows][:, None] == labels] = np.inf
        best = np.argpartition(squared, K2, axis=1)[:, :K2]
        order = np.argsort(np.take_along_axis(squared, best, axis=1), axis=1)
        found.append(np.take_along_axis(best, order, axis=1))
    return np.concatenate(found)


def first_outside(found: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Of neighbours found without a mask the first K2 of other areas."""
    result = np.full((len(rows), K2), -1)
    for i, (row, neighbors) in enumerate(zip(rows, found, strict=True)):
        outside = neighbors[labels[neighbors] != labels[row]][:K2]
        result[i, : len(outside)] = outside
    return result


def as_table(rows) -> np.ndarray:
    """Neighbours as an array, -1 where there are none left."""
    lengths = np.diff(rows.indptr)
    table = np.full((len(lengths), K2), -1)
    table[np.arange(K2) < lengths[:, None]] = rows.indices
    return table


def peak_mb() -> float:
    """The most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def timed(function):
    """Return the result, seconds of the processor and of the clock."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def count_listed() -> list[int]:
    """Count the candidates that are listed by name, beside products with all."""
    from skgeo.pairs import _anchor, _approximate, _bounded

    counts: list[int] = []
    original = _anchor.nearest_in_lists

    def counting(lists, *arguments, **options):
        counts.append(len(lists.columns))
        return original(lists, *arguments, **options)

    for module in (_anchor, _approximate, _bounded):
        module.nearest_in_lists = counting
    return counts


def work(task: dict) -> dict:
    """Do what a fresh process was started for."""
    from skgeo.pairs import anchor_pairs, approximate_pairs, exact_pairs

    path = Path(task["path"])
    X = np.load(path)
    labels = np.load(str(path).replace("-scaled", "-labels"))
    method, options = task["method"], task["options"]
    n = len(X)
    part = np.sort(np.random.default_rng(1).permutation(n)[: max(2048, n // 10)])
    largest = int(np.bincount(labels).max())
    scale, rows, listed = 1.0, np.arange(n), None
    if method == "gemm":
        found, cpu, wall = timed(lambda: by_gemm(X, labels, part))
        scale, rows = n / len(part), part
    elif method == "sklearn":
        from sklearn.neighbors import NearestNeighbors

        if largest > 300:
            return {"skip": f"an area hides {largest} neighbours"}
        brute = NearestNeighbors(n_neighbors=K2 + largest, algorithm="brute").fit(X)
        found, cpu, wall = timed(lambda: brute.kneighbors(X[part], return_distance=False))
        found, scale, rows = first_outside(found, labels, part), n / len(part), part
    elif method == "pynndescent":
        from pynndescent import NNDescent

        if largest > 300:
            return {"skip": f"an area hides {largest} neighbours"}
        NNDescent(X[:2000], n_neighbors=10, random_state=0, n_jobs=1)  # compiles
        k = K2 + min(largest, 30)
        found, cpu, wall = timed(
            lambda: NNDescent(X, n_neighbors=k, random_state=0, n_jobs=1).neighbor_graph[0]
        )
        found = first_outside(found, labels, rows)
    else:
        function = {"exact": exact_pairs, "anchor": anchor_pairs, "approximate": approximate_pairs}[
            method
        ]
        options = {**options, "seed": 0} if method == "anchor" else options
        few = slice(0, min(n, 8000))
        function(X[few], np.arange(len(X[few])) // 10, 2, 2, **options)  # loads compiled code
        counts = count_listed()
        graph, cpu, wall = timed(lambda: function(X, labels, K1, K2, **options))
        found, listed = as_table(graph.easy_confusing), sum(counts) / n
    true_path = path.with_name(path.name.replace("-scaled", "-exact"))
    if method == "exact":
        np.save(true_path, found)
    recall = None
    if true_path.exists():
        true = np.load(true_path)[rows]
        hits = sum(np.isin(t[t >= 0], f).sum() for t, f in zip(true, found, strict=True))
        recall = float(hits / (true >= 0).sum())
    return {
        "cpu": cpu * scale,
        "wall": wall * scale,
        "peak": peak_mb(),
        "recall": recall,
        "listed": listed,
        "scaled": scale > 1.0,
    }


def in_process(task: dict) -> dict:
    """Measure in a fresh process."""
    command = [sys.executable, __file__, "--task", json.dumps(task)]
    environment = {**os.environ, **ONE_THREAD}
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment).stdout
    return json.loads(output.splitlines()[-1])


def table(which: str, path: Path, methods: list) -> None:
    """Print one table. The exact pairs come first: the rest is measured against them."""
    labels = np.load(str(path).replace("-scaled", "-labels"))
    sizes = np.bincount(labels)
    print(
        f"\n{which}: {len(labels):,} x {COLUMNS}, {len(sizes):,} areas of up to {sizes.max():,}\n\n"
        f"{'':28} {'CPU s':>8} {'wall s':>8} {'peak MB':>8} {'recall':>7} {'listed':>8}"
        f" {'of gemm':>8}",
        flush=True,
    )
    gemm = None
    for method, options in sorted(methods, key=lambda m: m[0] not in ("exact", "gemm")):
        row = in_process({"path": str(path), "method": method, "options": options})
        name = method + "".join(f" {key}={value}" for key, value in options.items())
        if "skip" in row:
            print(f"{name:28} {row['skip']}", flush=True)
            continue
        gemm = row["cpu"] if method == "gemm" else gemm
        mark = "~" if row["scaled"] else " "
        print(
            f"{name:28} {mark}{row['cpu']:7.1f} {mark}{row['wall']:7.1f} {row['peak']:8.0f}"
            f" {'' if row['recall'] is None else format(row['recall'], '.3f'):>7}"
            f" {'' if row['listed'] is None else format(row['listed'], '.0f'):>8}"
            f" {'' if gemm is None else format(row['cpu'] / gemm, '.3f'):>8}",
            flush=True,
        )


def whole_chain(n: int, cache: Path, jobs: int) -> None:
    """POIs, features on disk, P and Q at the largest size."""
    from skgeo.cluster import POIMeanShift
    from skgeo.datasets import make_photo_coordinates
    from skgeo.pairs import approximate_pairs
    from skgeo.pairs._exact import other_areas
    from skgeo.pairs._points import Points, make_frame
    from skgeo.pairs._search import masked_neighbors

    def told(name: str, function):
        result, cpu, wall = timed(function)
        print(f"{name:34} {cpu:8.0f} {wall:8.0f} {peak_mb():8.0f}", flush=True)
        return result

    print(f"{n:,} photos x {COLUMNS}, n_jobs={jobs}\n")
    print(f"{'':34} {'CPU s':>8} {'wall s':>8} {'peak MB':>8}", flush=True)
    places = make_photo_coordinates(n, random_state=0).coordinates
    labels = told("points of interest", lambda: POIMeanShift(n_jobs=jobs).fit(places).labels_)
    path = cache / f"largest-{n}.npy"
    told("features, written to disk", lambda: smooth(path, labels))
    X = np.load(path, mmap_mode="r")
    graph = told(
        "P and Q, approximate", lambda: approximate_pairs(X, labels, K1, K2, n_jobs=jobs, verbose=1)
    )
    some = np.sort(np.random.default_rng(0).permutation(n)[:200])
    points = Points(X, make_frame(X))
    mask = other_areas(labels, None, 0.0).block
    (true,) = told(
        "Q of 200 photos, exactly",
        lambda: masked_neighbors(points, points, [(K2, mask)], rows=some, n_jobs=jobs),
    )
    table = as_table(graph.easy_confusing)[some]
    recall = np.mean([np.isin(t, f).mean() for t, f in zip(as_table(true), table, strict=True)])
    sizes = np.bincount(labels)
    print(
        f"\n{len(sizes):,} areas of up to {sizes.max():,} photos, {len(graph.same_area.indices):,}"
        f" pairs in P and {len(graph.easy_confusing.indices):,} in Q, recall of Q {recall:.3f}"
    )
    path.unlink()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=Path, default=Path("cache-pairs"))
    parser.add_argument("--photos", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 50_000])
    parser.add_argument("--data", nargs="+", default=["patches", "tiles", "smooth"])
    parser.add_argument("--methods", nargs="+", default=sorted({m for m, _ in METHODS}))
    parser.add_argument("--jobs", type=int, default=2, help="of --largest")
    parser.add_argument("--largest", type=int, help="photos of the whole chain")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        print(json.dumps(work(json.loads(arguments.task))))
        return
    arguments.cache.mkdir(parents=True, exist_ok=True)
    if arguments.largest:
        whole_chain(arguments.largest, arguments.cache, arguments.jobs)
        return
    methods = [(m, options) for m, options in METHODS if m in arguments.methods]
    for which in arguments.data:
        for n in arguments.sizes:
            path = prepare(which, n, arguments.cache, arguments.photos)
            if path is None:
                print(f"\n{which}: no photos in {arguments.photos}")
                continue
            table(which, path, methods)


if __name__ == "__main__":
    main()
