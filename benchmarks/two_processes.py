"""Two processes against one: is the result the same, and how much sooner is it there?

Photographs described, pair graphs, a grid search (on a Dask cluster of two local processes) and
training of the auto-encoder (two processes of torch.distributed over gloo). Each process works with
one thread, in both columns; a third column shows what one would do on one machine anyway, two
threads or processes of joblib. Fastest of the rounds, which take turns.

    python benchmarks/two_processes.py features pairs search training
"""

from __future__ import annotations

import argparse
import copy
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import joblib  # noqa: E402
import numpy as np  # noqa: E402

Case = tuple[str, Callable[[], Any]]
MALLOC = {
    "MALLOC_ARENA_MAX": 1,
    "MALLOC_TRIM_THRESHOLD_": 2**30,
    "MALLOC_MMAP_THRESHOLD_": 2**30,
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
}
HEAD = f"{'':44}{'seconds':>9}{'speed-up':>10}  result"


def show(title: str, cases: list[Case], same: Callable[[Any, Any], Any], rounds: int) -> None:
    """Time the cases in turns; print them against the first."""
    seconds = [np.inf] * len(cases)
    results: list[Any] = [None] * len(cases)
    for _ in range(rounds):
        for i, (_, work) in enumerate(cases):
            start = time.perf_counter()
            results[i] = work()
            seconds[i] = min(seconds[i], time.perf_counter() - start)
    print(f"\n{title}\n{HEAD}")
    for (name, _), taken, result in zip(cases, seconds, results, strict=True):
        verdict = same(results[0], result)
        verdict = {True: "same bits", False: "OTHER BITS"}.get(verdict, verdict)
        print(f"  {name:42}{taken:9.1f}{seconds[0] / taken:10.2f}  {verdict}", flush=True)


def on_cluster(work: Callable[[], Any]) -> Callable[[], Any]:
    """The same work where joblib hands it to Dask."""

    def run() -> Any:
        with joblib.parallel_config("dask"):
            return work()

    return run


def _spin(_: int) -> float:
    """Seconds that a fixed piece of work takes, without memory to speak of."""
    a = np.random.default_rng(0).normal(size=(192, 192)).astype(np.float32)
    start = time.perf_counter()
    for _ in range(4000):
        a @ a
    return time.perf_counter() - start


def show_ceiling() -> None:
    """How much two processes can gain: cores may be two threads of one, or have other work."""
    alone, both = (
        min(
            max(joblib.Parallel(n_jobs=n)(joblib.delayed(_spin)(i) for i in range(n)))
            for _ in range(3)
        )
        for n in (1, 2)
    )
    print(f"\nTwo processes multiply {2 * alone / both:.2f} times as many matrices as one.")


def features(folder: Path, options: argparse.Namespace) -> None:
    """Files in, rows out."""
    from PIL import Image

    from skgeo.datasets import load_blue_marble_tiles
    from skgeo.features import LowLevelFeatures, extract_to_store

    tiles = load_blue_marble_tiles(options.photos, tile_size=64, random_state=0)
    paths = []
    for i, tile in enumerate(tiles.images):
        paths.append(folder / f"{i}.jpg")
        Image.fromarray(tile).resize((256, 256), Image.Resampling.BICUBIC).save(paths[-1])
    fitted = LowLevelFeatures(random_state=0).fit(paths)

    def transform(n_jobs: int) -> Any:
        return copy.copy(fitted).set_params(n_jobs=n_jobs).transform(paths)

    def store() -> Any:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            return np.array(extract_to_store(fitted, paths, Path(name) / "s", chunk_size=32).X)

    show(
        f"low-level features of {len(paths)} photographs of 256 pixels",
        [
            ("extract_to_store, one process", store),
            ("extract_to_store, Dask: chunks of 32", on_cluster(store)),
            ("transform through joblib's Dask backend", on_cluster(lambda: transform(-1))),
            ("transform, n_jobs=2 of one machine", lambda: transform(2)),
        ],
        lambda a, b: bool(np.array_equal(a, b)),
        options.rounds,
    )


def vectors(n: int, d: int) -> tuple[Any, Any]:
    """Vectors with the spectrum of descriptors, and places of some photos each."""
    rng = np.random.default_rng(0)
    scale = np.arange(1, d + 1) ** -0.5
    place = rng.integers(0, n // 20, n)
    X = rng.normal(size=(n // 20, d))[place] * 0.5 + rng.normal(size=(n, d))
    return (X * scale).astype(np.float32), place


def pairs(folder: Path, options: argparse.Namespace) -> None:
    """Blocks of queries against all photos."""
    from skgeo.pairs import InconsistencyPairs

    X, labels = vectors(options.vectors, options.columns)
    np.save(folder / "X.npy", X)
    X = np.load(folder / "X.npy", mmap_mode="r")

    def same(a: Any, b: Any) -> bool:
        parts = ("same_area_", "easy_confusing_")
        return all(
            np.array_equal(getattr(a, p).indices, getattr(b, p).indices)
            and np.array_equal(getattr(a, p + "distances_"), getattr(b, p + "distances_"))
            for p in parts
        )

    for method in ("exact", "approximate"):

        def fit(n_jobs: int | None = None, method: str = method) -> Any:
            return InconsistencyPairs(5, 50, method=method, n_jobs=n_jobs).fit(X, labels)

        show(
            f"pair graph, {method}, of {len(X):,} x {X.shape[1]}, memory-mapped",
            [
                ("one process, one thread", lambda fit=fit: fit(1)),
                ("two processes of Dask, blocks of queries", on_cluster(fit)),
                ("one process, two threads (n_jobs=2)", lambda fit=fit: fit(2)),
            ],
            same,
            options.rounds,
        )


def search(_: Path, options: argparse.Namespace) -> None:
    """Fits that know nothing of each other."""
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    from skgeo import KNNGeoRegressor, MarginalFisherTransformer
    from skgeo.datasets import make_geo_world
    from skgeo.pairs import InconsistencyPairs

    world = make_geo_world(random_state=0, n_features=600)

    def fit(n_jobs: int) -> Any:
        pipeline = make_pipeline(
            MarginalFisherTransformer(pairs=InconsistencyPairs(5, 20)), KNNGeoRegressor()
        )
        grid = {"marginalfishertransformer__shrinkage": [0.1, 0.2, 0.3, 0.4, 0.6, 0.8]}
        return GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs, refit=False).fit(
            world.data, world.coordinates
        )

    def on_dask() -> Any:
        with joblib.parallel_config("dask", scatter=[world.data, world.coordinates]):
            return fit(-1)

    show(
        f"grid search of 6 candidates x 2 folds, {world.data.shape[0]:,} x {world.data.shape[1]}",
        [
            ("one process, one thread", lambda: fit(1)),
            ("two processes of Dask", on_dask),
            ("two processes of joblib (n_jobs=2)", lambda: fit(2)),
        ],
        lambda a, b: bool(
            np.array_equal(a.cv_results_["mean_test_score"], b.cv_results_["mean_test_score"])
        ),
        options.rounds,
    )


def train(out: str, n: int, batch_size: int, threads: int) -> None:
    """What one of the processes does."""
    import torch
    from accelerate import PartialState

    from skgeo.embedding import DGAETransformer

    torch.set_num_threads(threads)
    rank = PartialState(cpu=True).process_index
    X, labels = vectors(n, 512)
    dgae = DGAETransformer(
        (2000, 1000, 500),
        init="pretrain",
        pretrain_epochs=0,
        early_stopping=False,
        batch_size=batch_size,
        max_epochs=3,
        random_state=0,
    ).fit(X, labels)
    weights = [p.detach().numpy() for p in dgae.module_.parameters()]
    Path(f"{out}-{rank}").write_bytes(pickle.dumps((dgae.history_, weights)))


def training(folder: Path, options: argparse.Namespace) -> None:
    """The same batches, shared."""
    for batch_size in (128, 1024):
        out: dict[str, list[Any]] = {}
        print(f"\ntraining, hidden layers (2000, 1000, 500), batches of {batch_size}")
        print(f"{'':44}{'s/epoch':>9}{'speed-up':>10}  objective of the last epoch")
        for name, processes, threads in [
            ("one process, one thread", 1, 1),
            ("two processes of torch.distributed", 2, 1),
            ("one process, two threads", 1, 2),
        ]:
            launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
            command = [sys.executable, *(launch if processes == 2 else []), __file__]
            command += ["--train", str(folder / "out"), str(options.anchors), str(batch_size)]
            subprocess.run(
                [*command, str(threads)], check=True, stderr=subprocess.DEVNULL, env=os.environ
            )
            out[name] = [
                pickle.loads((folder / f"out-{rank}").read_bytes()) for rank in range(processes)
            ]
        first = next(iter(out.values()))[0]
        for name, found in out.items():
            # The first epoch allocates; the faster of the others.
            seconds = [min(row["seconds"] for row in h[1:]) for h in (first[0], found[0][0])]
            total, reference = found[0][0][-1]["total"], first[0][-1]["total"]
            equal = all(
                np.array_equal(a, b)
                for other in found
                for a, b in zip(found[0][1], other[1], strict=True)
            )
            print(
                f"  {name:42}{seconds[1]:9.2f}{seconds[0] / seconds[1]:10.2f}  {total:.8f} "
                f"({abs(total / reference - 1):.0e} off"
                + (f", weights {'same bits' if equal else 'DIFFER'})" if len(found) > 1 else ")"),
                flush=True,
            )


def main() -> None:
    """Run the stages asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stages", nargs="*", default=["features", "pairs", "search", "training"])
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--vectors", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=1000)
    parser.add_argument("--anchors", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--train", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        out, *numbers = options.train
        train(out, *map(int, numbers))
        return
    stages = {"features": features, "pairs": pairs, "search": search, "training": training}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        show_ceiling()
        on_dask = [stage for stage in options.stages if stage != "training"]
        if on_dask:
            import dask
            from distributed import Client, LocalCluster

            # Workers run tasks in a thread, whose memory glibc would take back image by image.
            dask.config.set({"distributed.nanny.pre-spawn-environ": MALLOC})
            with (
                LocalCluster(
                    n_workers=2,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",
                    local_directory=str(folder / "dask"),
                ) as cluster,
                Client(cluster),
            ):
                for stage in on_dask:
                    stages[stage](folder, options)
        if "training" in options.stages:
            training(folder, options)


if __name__ == "__main__":
    main()
