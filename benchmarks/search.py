"""Time, memory and recall of the search beside its peers, and of the vote beside scikit-learn.

300 queries and their 120 nearest of galleries of 10,000 rows and more, 2,971 columns: low-level
features of real tiles of NASA's Blue Marble as far as there are tiles (29,000), scaled block by
block; larger galleries go on with mixtures of two of them (0.85 and 0.15). Galleries above 100,000
rows are float16 files that skgeo maps; peers get float32 in memory, and of the largest only the
first rows: "~" marks what that says of all by proportion. Every row is a process of its own; MB is
its greatest memory beyond that before the gallery was opened, pages of a mapped file included.
CPU seconds are of 300 queries, the best of two runs (of one above 100,000 rows).

    python benchmarks/search.py [--cache FOLDER] [--sizes 10000 28000 100000 664720] [--graphs]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from embedding_data import CACHE, load

from skgeo._geodesy import EARTH_RADIUS_KM, to_unit_vectors
from skgeo.features import BlockScaler
from skgeo.neighbors import KNNGeoRegressor

K, N_QUERIES, MOST_FOR_PEERS = 120, 300, 60_000
SKGEO = {
    "skgeo brute": {"algorithm": "brute"},
    "skgeo projection": {"algorithm": "projection"},
    "skgeo pynndescent": {"algorithm": "pynndescent"},
    "skgeo faiss HNSW32": {"algorithm": "faiss"},
}
PEERS = ("scikit-learn brute", "faiss flat")


def prepare(options: argparse.Namespace) -> None:
    """Write queries and galleries, once."""
    folder = options.cache / "search"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [n for n in options.sizes if not (folder / f"gallery-{n}.npy").exists()]
    if not wanted:
        return
    images = load("bluemarble20k", options.data, options.cache)
    scaler = BlockScaler("low-level", hellinger=("color", "texture", "line"), normalize="l2")
    X = scaler.fit_transform(images.features["lowlevel"])
    order = np.random.default_rng(0).permutation(len(X))
    np.save(folder / "queries.npy", X[order[:N_QUERIES]])
    real = X[order[N_QUERIES:]]
    np.save(folder / "places.npy", images.coordinates[order[N_QUERIES:]])
    for n in wanted:
        kind = np.float32 if n <= 100_000 else np.float16
        part = folder / f"gallery-{n}.part.npy"
        out = np.lib.format.open_memmap(part, mode="w+", dtype=kind, shape=(n, X.shape[1]))
        out[: len(real)] = real[:n]
        rng = np.random.default_rng(1)
        for start in range(len(real), n, 4096):
            rows = len(out[start : start + 4096])
            a, b = rng.integers(len(real), size=(2, rows))
            out[start : start + 4096] = 0.85 * real[a] + 0.15 * real[b]
        out.flush()
        del out
        part.rename(folder / f"gallery-{n}.npy")


def peak_mb() -> float:
    """The most memory this process has had, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # the other figure begins with what the parent had
        (line,) = (row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def timed(function):
    """CPU seconds and result."""
    begin = time.process_time()
    result = function()
    return time.process_time() - begin, result


def run(task: dict) -> dict:
    """Fit and search in this process."""
    folder = Path(task["cache"]) / "search"
    queries = np.load(folder / "queries.npy")
    mapped = np.load(folder / f"gallery-{task['n']}.npy", mmap_mode="r")
    n = len(mapped)
    if task["who"] in SKGEO:
        warm = KNNGeoRegressor(**SKGEO[task["who"]]).fit(
            np.float32(mapped[:2000]), np.zeros((2000, 2))
        )
        warm.kneighbors(queries[:2], K)
        before = peak_mb()
        knn = KNNGeoRegressor(**SKGEO[task["who"]])
        gallery = mapped if mapped.dtype == np.float16 else np.load(mapped.filename)
        fit, _ = timed(lambda: knn.fit(gallery, np.zeros((n, 2))))
        search = partial(knn.kneighbors, queries, K, return_distance=False)
    else:
        before = peak_mb()
        n = min(n, MOST_FOR_PEERS) if n > 100_000 else n
        gallery = mapped[:n].astype(np.float32)
        if task["who"] == "scikit-learn brute":
            from sklearn.neighbors import NearestNeighbors

            peer = NearestNeighbors(n_neighbors=K, algorithm="brute")
            fit, _ = timed(lambda: peer.fit(gallery))
            search = partial(peer.kneighbors, queries, return_distance=False)
        else:
            import faiss

            faiss.omp_set_num_threads(1)
            index = faiss.IndexFlatL2(gallery.shape[1])
            fit, _ = timed(lambda: index.add(gallery))
            search = partial(index.search, queries, K)
    runs = [timed(search) for _ in range(2 if task["n"] <= 100_000 else 1)]
    found = runs[0][1]
    found = found[1] if isinstance(found, tuple) else found  # faiss gives distances, too
    np.save(folder / f"found-{task['n']}-{task['who'].replace(' ', '-')}.npy", found)
    scale = task["n"] / n
    return {
        "cpu": min(seconds for seconds, _ in runs) * scale,
        "fit": fit * scale,
        "mb": (peak_mb() - before) * scale,
        "scaled": scale > 1,
    }


def vote_table(folder: Path) -> None:
    """The vote on true neighbours, beside scikit-learn query by query."""
    from sklearn.cluster import MeanShift

    from skgeo.neighbors._vote import earth_positions_km, mean_shift_clusters, vote

    sizes = sorted(int(p.stem.split("-")[1]) for p in folder.glob("found-*-skgeo-brute.npy"))
    places = np.load(folder / "places.npy")
    size = max((n for n in sizes if n <= len(places)), default=0)
    if not size:
        print("The vote is measured on real neighbours: ask for --sizes 10000, too.")
        return
    found = np.load(folder / f"found-{size}-skgeo-brute.npy")
    coordinates = places[found]
    vote(coordinates, 500.0, 4)
    runs = [timed(lambda: vote(coordinates, 500.0, 4))[0] for _ in range(5)]
    mine = min(runs) / len(coordinates)
    some = coordinates[:: len(coordinates) // 10]
    labels, centers, _ = mean_shift_clusters(earth_positions_km(some, K), 500.0)
    seconds, same = 0.0, 0
    for i, rows in enumerate(some):
        points = to_unit_vectors(rows) * EARTH_RADIUS_KM
        spent, peer = timed(lambda points=points: MeanShift(bandwidth=500.0).fit(points))
        seconds += spent
        equal = np.allclose(
            centers[i, : len(peer.cluster_centers_)], peer.cluster_centers_, atol=1e-6
        )
        same += bool((labels[i] == peer.labels_).all() and equal)
    theirs = seconds / len(some)
    print(
        f"\nVote of {K} neighbours, 500 km: {1e3 * mine:.3f} ms a query; scikit-learn "
        f"{1e3 * theirs:.0f} ms, {theirs / mine:,.0f} times as much; the same clusters in {same} "
        f"of {len(some)}"
    )


def main(options: argparse.Namespace) -> None:
    """Print the tables."""
    prepare(options)
    folder = options.cache / "search"
    titles = f"{'CPU s':>9} {'ratio':>7} {'fit s':>8} {'MB':>8} {'recall':>7}"
    head = f"{'gallery':>9} {'search':20} {titles}"
    print(f"{head}\n{'':9} ratio: scikit-learn's brute force is 1")
    for n in options.sizes:
        names = [*PEERS, "skgeo brute", "skgeo projection"]
        if options.graphs and n <= 10_000:
            names += ["skgeo pynndescent", "skgeo faiss HNSW32"]
        rows: dict[str, dict] = {}
        for who in names:
            task = json.dumps({"who": who, "n": n, "cache": str(options.cache)})
            command = [sys.executable, __file__, "--task", task]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{n:9,} {who:20} {done.stderr.strip().splitlines()[-1]}")
                continue
            rows[who] = json.loads(done.stdout.strip().splitlines()[-1])
        true = np.load(folder / f"found-{n}-skgeo-brute.npy")
        for who, row in rows.items():
            found = np.load(folder / f"found-{n}-{who.replace(' ', '-')}.npy")
            hits = [len(np.intersect1d(a, b)) for a, b in zip(found, true, strict=True)]
            recall = "-" if row["scaled"] else f"{np.mean(hits) / K:.4f}"
            ratio = rows["scikit-learn brute"]["cpu"] / row["cpu"]
            mark = "~" if row["scaled"] else ""
            print(
                f"{n:9,} {who:20} {mark + format(row['cpu'], '.2f'):>9} {ratio:7.1f} "
                f"{row['fit']:8.2f} {mark + format(row['mb'], '.0f'):>8} {recall:>7}",
                flush=True,
            )
    vote_table(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 28_000, 100_000, 664_720])
    parser.add_argument("--graphs", action="store_true", help="pynndescent and HNSW at 10,000")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.task:
        print(json.dumps(run(json.loads(given.task))))
    else:
        main(given)
