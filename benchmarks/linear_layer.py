"""Time and memory of the linear layer, beside scikit-learn's PCA in the same run.

Vectors are drawn (a falling spectrum, float32) into a file and read from there as a memory map;
pairs are drawn, too, 5 of P and 50 of Q for each photo: finding them has a benchmark of its own
(pairs.py). Every row is a process of its own, on one thread. "memory" is the most that it took
beside the map of X and what it had before it began, its result included. "products" is what the
matrix products alone cost at the speed of a block of the same shape, timed in the same process:
covariance (n d^2), projection (2 n d r) and the two scatters (2 n r^2), r = 500. The linear layer
with uniform weights of pairs, the same with shrinkage="auto", with soft weights, and with
what it chooses by held-out places (the default).

    python benchmarks/linear_layer.py [--rows 5000 20000 50000] [--columns 2971] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from skgeo.embedding import MarginalFisherTransformer

N_AXES = 500
UNIFORM = {"weighting": "uniform", "exponent": 0.5}
OPTIONS: dict[str, dict[str, Any]] = {
    "uniform": UNIFORM,
    "uniform, shrunk": {**UNIFORM, "shrinkage": "auto"},
    "softmax": {"weighting": "softmax", "exponent": 0.75},
    "chosen": {},
}


class DrawnPairs(BaseEstimator):
    """Pairs at random: 5 of the same area, 50 of others, areas of 20 photos."""

    def fit(self, X, y=None):
        """Draw them."""
        n, rng = len(X), np.random.default_rng(0)
        self.labels_ = np.arange(n) // 20
        first = self.labels_[:, None] * 20
        same = first + (np.arange(n)[:, None] - first + rng.integers(1, 20, (n, 5))) % 20
        self.same_area_ = self._graph(np.minimum(same, n - 1), n)
        self.easy_confusing_ = self._graph(rng.integers(0, n, (n, 50)), n)
        return self

    @staticmethod
    def _graph(columns, n):
        starts = np.arange(0, columns.size + 1, columns.shape[1])
        ones = np.ones(columns.size, dtype=np.float32)
        return sp.csr_array((ones, columns.ravel().astype(np.int32), starts), shape=(n, n))


def draw(path: Path, n: int, d: int) -> None:
    """Write n x d normal vectors whose spectrum falls as 1 / (rank + 5)."""
    rng = np.random.default_rng(0)
    scale = (1.0 / np.sqrt(np.arange(d) + 5.0)).astype(np.float32)
    X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, d))
    for start in range(0, n, 4096):
        block = X[start : start + 4096]
        block[:] = rng.standard_normal(block.shape, dtype=np.float32) * scale + 1.0


class OwnMemory:
    """The most anonymous memory (not of files mapped) of the process while it runs, in MB."""

    def __enter__(self):
        self.before = self.most = self.now()
        self.thread = threading.Thread(target=self.watch)
        self.done = threading.Event()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.beyond = self.most - self.before

    def watch(self):
        """Look at it a hundred times a second."""
        while not self.done.wait(0.01):
            self.most = max(self.most, self.now())

    @staticmethod
    def now() -> float:
        """Anonymous memory in MB, as Linux gives it."""
        status = Path("/proc/self/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) * 1024 / 1e6


def product_seconds(n: int, d: int, r: int) -> float:
    """What the products alone cost, from the time of one block of each shape."""
    rng, total = np.random.default_rng(0), 0.0
    block = rng.normal(size=(2048, d))
    for left, right, share in (
        (block.T, block, n / 2048),
        (block, rng.normal(size=(d, r)), n / 2048),
        (block[:, :r].T, np.ascontiguousarray(block[:, -r:]), 2 * n / 2048),
    ):
        left @ right
        start = time.process_time()
        left @ right
        total += (time.process_time() - start) * share
    return total


def measure(what: str, path: Path) -> dict[str, float]:
    """One row, in a process of its own."""
    X = np.load(path, mmap_mode="r")
    y = np.zeros(len(X))
    r = min(N_AXES, *X.shape)
    row = {}
    cpu = time.process_time()
    with OwnMemory() as memory:
        if what == "PCA":
            PCA(r, svd_solver="covariance_eigh").fit_transform(X)
        else:
            layer = MarginalFisherTransformer(pairs=DrawnPairs(), **OPTIONS[what]).fit(X, y)
    row |= {"cpu": time.process_time() - cpu, "beyond": memory.beyond}
    if what == "uniform":
        cpu = time.process_time()
        layer.transform(X)
        row["transform"] = time.process_time() - cpu
    row["products"] = product_seconds(*X.shape, r)
    return row


def main() -> None:
    """Run the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", type=int, default=[5000, 20_000, 50_000])
    parser.add_argument("--columns", type=int, default=2971)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--what", nargs="+", default=[*OPTIONS, "PCA"])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        with threadpool_limits(1):
            print(json.dumps(measure(options.one[0], Path(options.one[1]))))
        return
    head = ("photos", "what", "CPU s", "products s", "share", "transform s", "memory MB")
    print("{:>9} {:<20}{:>9}{:>12}{:>7}{:>13}{:>13}".format(*head))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "X.npy"
        for n in options.rows:
            draw(path, n, options.columns)
            for what in options.what:
                command = [sys.executable, __file__, "--one", what, str(path)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                row = json.loads(done.stdout)
                share = row["products"] / row["cpu"]
                transform = f"{row['transform']:.1f}" if "transform" in row else ""
                print(
                    f"{n:>9} {what:<20}{row['cpu']:>9.1f}{row['products']:>12.1f}{share:>7.0%}"
                    f"{transform:>13}{row['beyond']:>13.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
