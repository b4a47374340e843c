"""The whole chain on features that are larger than the memory it is given.

Synthetic photos of 2,971 columns are written to a file (2.4 GB at 200,000) and read from there as a
memory map: P and Q, the linear layer, a network with two epochs of training, a gallery, and 1,000
queries. One process, so that what one stage keeps counts in the next; the limit on its own memory
is a hard one (RLIMIT_DATA), beyond which allocations fail. "resident" is the most that was
resident in a stage, pages of the map included (the system takes those back when others need
them); "own" is the part of it that is no file's.

    python benchmarks/larger_than_memory.py --folder FOLDER [--photos 12500 50000 200000]
        [--budget 6] [--hidden 256 128] [--jobs 2]
"""

from __future__ import annotations

import argparse
import csv
import functools
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pairs import COLUMNS, smooth

from skgeo.cluster import POIMeanShift
from skgeo.datasets import make_photo_coordinates
from skgeo.embedding import DGAETransformer, MarginalFisherTransformer
from skgeo.metrics import great_circle_distance
from skgeo.neighbors import KNNGeoRegressor
from skgeo.pairs import InconsistencyPairs

T = TypeVar("T")
N_QUERIES = 1000
#: What the choice of weights adds is in linear_layer.py.
CLOSED_FORM: dict[str, Any] = {"weighting": "uniform", "exponent": 0.5}
GB = 2.0**30


class Watch:
    """The most memory of its own that the process has had, in GB, looked at 50 times a second."""

    def __enter__(self) -> Watch:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self.own, self.going = 0.0, True
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.going = False
        self.thread.join()
        self.resident = status("VmHWM")

    def look(self) -> None:
        """Until the stage ends."""
        while self.going:
            self.own = max(self.own, status("RssAnon"))
            time.sleep(0.02)


def status(name: str) -> float:
    """A line of /proc/self/status, in GB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024 / GB
    raise RuntimeError(f"/proc/self/status has no {name}")


def cpu() -> float:
    """CPU seconds of this process and of those that it has started."""
    times = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(t.ru_utime + t.ru_stime for t in times)


def chain(n: int, options: argparse.Namespace) -> None:
    """Run every stage once, in this process."""
    resource.setrlimit(resource.RLIMIT_DATA, (int(options.budget * GB),) * 2)
    rows: list[dict[str, Any]] = []

    def told(stage: str, function: Callable[[], T]) -> T:
        before, start = cpu(), time.perf_counter()
        with Watch() as watch:
            result = function()
        row = {
            "photos": n,
            "stage": stage,
            "cpu_s": round(cpu() - before, 1),
            "wall_s": round(time.perf_counter() - start, 1),
            "resident_gb": round(watch.resident, 2),
            "own_gb": round(watch.own, 2),
        }
        rows.append(row)
        print("  ".join(f"{v:>34}" if k == "stage" else f"{v:>9}" for k, v in row.items()))
        sys.stdout.flush()
        return result

    places = make_photo_coordinates(n, random_state=0).coordinates
    path = options.folder / f"larger-{n}.npy"
    poi = POIMeanShift(n_jobs=options.jobs)
    labels = told("places", lambda: poi.fit(places).labels_)
    told("features to disk", lambda: smooth(path, labels))
    X = np.load(path, mmap_mode="r")
    finder = InconsistencyPairs(k1=5, k2=50, poi=poi, n_jobs=options.jobs, store_X=False)
    told("P and Q of the vectors", functools.partial(finder.fit, X, places))
    same, easy = finder.same_area_.nnz, finder.easy_confusing_.nnz
    del finder
    layer = MarginalFisherTransformer(
        pairs=InconsistencyPairs(k1=5, k2=50, poi=poi, n_jobs=options.jobs, store_X=False),
        **CLOSED_FORM,
    )
    told("linear layer, its P and Q included", functools.partial(layer.fit, X, places))
    del layer
    network = DGAETransformer(
        tuple(options.hidden),
        pairs=InconsistencyPairs(k1=5, k2=50, poi=poi, n_jobs=options.jobs, store_X=False),
        init=MarginalFisherTransformer(**CLOSED_FORM),
        max_epochs=2,
        early_stopping=False,
        replay_size=0,
        random_state=0,
    )
    told("network, P, Q and layer included", functools.partial(network.fit, X, places))
    seconds = [row["seconds"] for row in network.history_]
    codes = told("codes of all photos", lambda: network.transform(X))
    located = KNNGeoRegressor(n_jobs=options.jobs)
    told("gallery", functools.partial(located.fit, codes, places))
    del codes
    some = np.sort(np.random.default_rng(1).permutation(n)[:N_QUERIES])
    # Other looks of known places: halfway between a photo and the next one of its place.
    order = np.argsort(labels, kind="stable")
    following = np.empty(n, dtype=int)
    following[order] = np.roll(order, -1)
    queries = (X[some] + X[following[some]]) / 2
    found = told("1,000 queries", lambda: located.predict(network.transform(queries)))
    near = great_circle_distance(places[some], found) <= 1.0
    print(
        f"{same:,} pairs in P and {easy:,} in Q; epochs of {', '.join(f'{s:.0f}' for s in seconds)}"
        f" s; {100 * near.mean():.0f} percent of the queries within 1 km; at most "
        f"{max(r['resident_gb'] for r in rows):.2f} GB resident, "
        f"{max(r['own_gb'] for r in rows):.2f} GB of its own, limit {options.budget:g} GB\n"
    )
    path.unlink()
    if options.out:
        new = not options.out.exists()
        with options.out.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            if new:
                writer.writeheader()
            writer.writerows(rows)


def main() -> None:
    """Each size in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, nargs="+", default=[12_500, 50_000, 200_000])
    parser.add_argument("--folder", type=Path, required=True, help="for the features")
    parser.add_argument("--budget", type=float, default=6.0, help="GB of memory of its own")
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 128])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="CSV, added to")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if len(options.photos) == 1:
        print(f"{COLUMNS} columns")
        chain(options.photos[0], options)
        return
    for n in options.photos:
        rest = [f"--folder={options.folder}", f"--budget={options.budget}"]
        rest += [f"--jobs={options.jobs}", "--hidden", *map(str, options.hidden)]
        rest += [f"--out={options.out}"] if options.out else []
        subprocess.run([sys.executable, __file__, "--photos", str(n), *rest], check=True)


if __name__ == "__main__":
    main()
