"""Kill an extraction to a feature store, resume it, and compare with one that was left alone.

Tiles of the Blue Marble are described twice: once in one go, and once by a process that is killed
with SIGKILL (which no program can notice) when about half of the rows are done, and again at
random moments if asked for, each time resumed by a new process. Every file of the two stores must
have the same bits.

    python benchmarks/store_resume.py --n 20000 --kills 3
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np

from skgeo.datasets import load_blue_marble_tiles
from skgeo.features import FeatureStore, LowLevelFeatures, extract_to_store


def child(work: Path, name: str, options: argparse.Namespace) -> None:
    """Extract, or resume; this is what gets killed."""
    features = joblib.load(work / "features.joblib").set_params(n_jobs=options.n_jobs)
    images = np.load(work / "images.npy", mmap_mode="r")
    coordinates = np.load(work / "coordinates.npy")
    extract_to_store(
        features,
        images,
        work / name,
        coordinates=coordinates,
        chunk_size=options.chunk_size,
        dtype=options.dtype,
    )


def start(work: Path, name: str, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Start the extraction in a process of its own."""
    command = [sys.executable, __file__, "--child", str(work), "--store", name]
    for key in ("n_jobs", "chunk_size", "dtype"):
        command += [f"--{key.replace('_', '-')}", str(getattr(options, key))]
    return subprocess.Popen(command, start_new_session=True)


def rows_done(folder: Path) -> int:
    """Count the rows that are in the store."""
    try:
        return len(FeatureStore(folder, allow_incomplete=True))
    except FileNotFoundError:
        return 0


def main(options: argparse.Namespace) -> bool:
    """Run the comparison and print it; True if the stores are the same."""
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        tiles = load_blue_marble_tiles(
            options.n, tile_size=options.size, step=options.step, random_state=0
        )
        np.save(work / "images.npy", tiles.images)
        np.save(work / "coordinates.npy", tiles.coordinates)
        n = len(tiles.images)
        blocks = options.blocks.split(",")
        features = LowLevelFeatures("all" if blocks == ["all"] else blocks, random_state=0)
        joblib.dump(features.fit(tiles.images), work / "features.joblib")
        print(f"{n} tiles of {options.size} px, blocks {options.blocks}, chunks of "
              f"{options.chunk_size}, {options.n_jobs} process(es)")  # fmt: skip

        begin = time.perf_counter()
        assert start(work, "one-go", options).wait() == 0
        print(f"in one go: {time.perf_counter() - begin:.0f} s")

        targets = sorted([n // 2, *(rng.randrange(n) for _ in range(options.kills - 1))])
        for target in targets:
            process = start(work, "killed", options)
            while process.poll() is None and rows_done(work / "killed") < target:
                time.sleep(0.01)
            time.sleep(rng.random() * options.jitter)  # Anywhere within a chunk.
            was_running = process.poll() is None
            os.killpg(process.pid, signal.SIGKILL) if was_running else None
            process.wait()
            print(
                f"killed with {rows_done(work / 'killed')} rows done"
                if was_running
                else "came to its end before it could be killed"
            )
        begin = time.perf_counter()
        assert start(work, "killed", options).wait() == 0
        print(f"resumed: {time.perf_counter() - begin:.0f} s")

        whole, resumed = FeatureStore(work / "one-go"), FeatureStore(work / "killed")
        whole.verify()
        resumed.verify()
        same = True
        for name in ("features.npy", "index.csv", "chunks.csv", "estimator.joblib", "store.json"):
            equal = (work / "one-go" / name).read_bytes() == (work / "killed" / name).read_bytes()
            size = (work / "one-go" / name).stat().st_size
            print(f"{name:20s} {size:>12,d} bytes  {'same bits' if equal else 'DIFFERENT'}")
            same &= equal
        same &= whole.digest == resumed.digest and len(resumed) == n
        print("the stores are the same" if same else "THE STORES DIFFER")
        return same


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=20_000, help="number of tiles")
    parser.add_argument("--size", type=int, default=24, help="side of a tile in pixels")
    parser.add_argument("--step", type=int, default=8, help="pixels between tiles")
    parser.add_argument("--blocks", default="all", help="blocks of LowLevelFeatures, or all")
    parser.add_argument("--chunk-size", type=int, default=512)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--kills", type=int, default=1, help="the first one is half way")
    parser.add_argument("--jitter", type=float, default=2.0, help="seconds, at most, before a kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.store, arguments)
    else:
        sys.exit(0 if main(arguments) else 1)
