"""Kill a pair graph and a training at random moments, resume them, and compare with one go.

Each job runs once in one go and once in processes that are killed with SIGKILL after a random
share of the time of one go, until so many have been killed; a last one runs to the end. The
results must have the same bits, and the folder of checkpoints must be empty. For extraction see
``store_resume.py``.

    python benchmarks/kill_resume.py --kills 10
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def child(job: str, folder: str, output: str, options: argparse.Namespace) -> None:
    """Do the job; this is what gets killed."""
    from skgeo import DGAETransformer, InconsistencyPairs
    from skgeo.datasets import make_geo_world
    from skgeo.pairs import _by_blocks

    _by_blocks._BLOCK_PRODUCTS = 1.0  # blocks of 1,024 photos: small data, many blocks
    checkpoint = folder or None
    if job == "graph":
        rng = np.random.default_rng(0)
        X = rng.normal(size=(options.n, 300)).astype(np.float32)
        y = rng.integers(0, options.n // 20, options.n)
        pairs = InconsistencyPairs(method="exact", checkpoint=checkpoint).fit(X, y)
        P, Q = pairs.same_area_, pairs.easy_confusing_
        distances = [pairs.same_area_distances_, pairs.easy_confusing_distances_]
        np.savez(output, P.indptr, P.indices, Q.indptr, Q.indices, *distances)
        return
    world = make_geo_world(random_state=0)
    dgae = DGAETransformer(
        (64, 32),
        init="pretrain",
        max_epochs=options.epochs,
        n_iter_no_change=options.epochs,
        checkpoint=checkpoint,
        random_state=0,
    ).fit(world.data, world.coordinates)
    np.savez(output, *(w.numpy() for w in dgae.module_.state_dict().values()))


def start(job: str, folder: str, output: Path, options: argparse.Namespace) -> subprocess.Popen:
    """Start the job in a process of its own."""
    command = [sys.executable, __file__, "--child", job, "--folder", folder]
    command += ["--output", str(output), "--n", str(options.n), "--epochs", str(options.epochs)]
    return subprocess.Popen(command)


def main(options: argparse.Namespace) -> bool:
    """Run the comparison and print it; True if all is the same."""
    rng = random.Random(options.seed)
    good = True
    for job in options.jobs:
        with tempfile.TemporaryDirectory() as root:
            folder, one, two = (Path(root) / name for name in ("kept", "one.npz", "two.npz"))
            folder.mkdir()
            begin = time.perf_counter()
            assert start(job, "", one, options).wait() == 0
            seconds = time.perf_counter() - begin
            killed = found = 0
            for _ in range(options.kills):
                process = start(job, str(folder), two, options)
                try:
                    process.wait(rng.uniform(0.3, 1.0) * seconds)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    killed += 1
                    found += bool(list(folder.iterdir()))
            assert start(job, str(folder), two, options).wait() == 0
            with np.load(one) as a, np.load(two) as b:
                same = all(np.array_equal(a[name], b[name]) for name in a.files)
            left = len(list(folder.iterdir()))
            print(f"{job}: {seconds:.1f} s in one go; {killed} killed, {found} with something to "
                  f"go on from; same bits: {same}; files left: {left}", flush=True)  # fmt: skip
            good &= same and left == 0
    return good


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--n", type=int, default=20000)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="+", default=["graph", "training"])
    parser.add_argument("--child")
    parser.add_argument("--folder")
    parser.add_argument("--output")
    given = parser.parse_args()
    if given.child:
        child(given.child, given.folder, given.output, given)
    else:
        sys.exit(0 if main(given) else 1)
