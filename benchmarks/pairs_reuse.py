"""What is not computed again: graphs of a grid search, of other areas, of growing collections.

    python benchmarks/pairs_reuse.py [--photos 6000] [--grid-photos 900]
                                     [--tables graphs areas growth grid]

Pictures are tiles of the Blue Marble, described by colours, small images and lines: 1,859 columns.
Seconds are those of the processor, all cores together; the ratio is to computing everything
again in the same run. "~": every twelfth candidate was fitted, and the time multiplied.

graphs  what the pairs cost in a search of 4 x 4 x 3 x 3 values of alpha, beta, k1 and k2 over 3
        folds, that is in 432 fits and one more of the best, with and without ``memory``
grid    the whole of this search, with a small network (not by default: many minutes)
areas   the same photos under other bandwidths of the POIs, with and without ``memory``
growth  1, 10, 100, 1,000 photos that join, against a graph of all photos
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV, KFold, ParameterGrid
from sklearn.pipeline import Pipeline

from skgeo.cluster import POIMeanShift
from skgeo.datasets import load_blue_marble_tiles
from skgeo.embedding import DGAETransformer
from skgeo.features import BlockScaler, LowLevelFeatures
from skgeo.metrics import great_circle_threshold_scorer
from skgeo.neighbors import KNNGeoRegressor
from skgeo.pairs import InconsistencyPairs

GRID = {
    "dgae__alpha": [0.5, 1.0, 2.0, 4.0],
    "dgae__beta": [0.5, 1.0, 2.0, 4.0],
    "dgae__pairs__k1": [5, 10, 20],
    "dgae__pairs__k2": [5, 10, 20],
}
BANDWIDTHS_KM = (200.0, 400.0, 600.0, 800.0, 1000.0)


def photos(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Features and places of n tiles."""
    tiles = load_blue_marble_tiles(n, random_state=0)
    features = LowLevelFeatures(blocks=["tiny5", "tiny16", "color", "line"]).fit(tiles.images)
    X = features.transform(tiles.images)
    return BlockScaler(blocks=features.block_slices_).fit_transform(X), tiles.coordinates


def seconds(function: Callable[[], Any]) -> float:
    """Seconds of the processor."""
    start = time.process_time()
    function()
    return time.process_time() - start


def grid(X: np.ndarray, y: np.ndarray) -> None:
    """A grid search with and without what is remembered."""
    candidates = list(ParameterGrid(GRID))

    def search(candidates: list[dict[str, float]], memory: str | None) -> None:
        dgae = DGAETransformer(
            (16, 8),
            max_epochs=1,
            init="pretrain",
            pretrain_epochs=0,
            early_stopping=False,
            random_state=0,
            pairs=InconsistencyPairs(
                poi=POIMeanShift(500.0, metric="haversine"), memory=memory, method="exact"
            ),
        )
        pipeline = Pipeline([("dgae", dgae), ("knn", KNNGeoRegressor())])
        lists = [{key: [value] for key, value in c.items()} for c in candidates]
        scorer = great_circle_threshold_scorer(750)
        GridSearchCV(pipeline, lists, scoring=scorer, cv=3, error_score="raise").fit(X, y)

    step = 12
    with tempfile.TemporaryDirectory() as folder:
        kept = seconds(lambda: search(candidates, folder))
        computed = len(list(Path(folder).rglob("_pairs_at_level/*/output.pkl")))
    anew = seconds(lambda: search(candidates[::step], None))
    fits, few = 3 * len(candidates) + 1, 3 * len(candidates[::step]) + 1
    anew *= fits / few
    print(f"grid: {len(X):,} photos, {fits} fits")
    _print_kept(computed, kept, fits, anew)


def graphs(X: np.ndarray, y: np.ndarray) -> None:
    """The pairs of the grid search alone."""
    labels = POIMeanShift(500.0, metric="haversine").fit(y).labels_
    folds = [train for train, _ in KFold(3).split(X)]
    candidates = list(ParameterGrid(GRID))

    def fit(candidates: list[dict[str, float]], memory: str | None) -> int:
        tasks = [(train, c) for train in folds for c in candidates]
        tasks.append((np.arange(len(X)), candidates[-1]))
        for train, c in tasks:
            k1, k2 = c["dgae__pairs__k1"], c["dgae__pairs__k2"]
            pairs = InconsistencyPairs(k1, k2, method="exact", memory=memory)
            pairs.fit(X[train], labels[train])
        return len(tasks)

    with tempfile.TemporaryDirectory() as folder:
        kept = seconds(lambda: fit(candidates, folder))
        computed = len(list(Path(folder).rglob("_pairs_at_level/*/output.pkl")))
    few = candidates[::12]
    fits, some = 3 * len(candidates) + 1, 3 * len(few) + 1
    anew = seconds(lambda: fit(few, None)) * fits / some
    print(f"graphs: {len(X):,} photos, {fits} fits")
    _print_kept(computed, kept, fits, anew)


def _print_kept(computed: int, kept: float, fits: int, anew: float) -> None:
    print(f"{'':12}{'graphs':>8}{'seconds':>9}{'ratio':>8}")
    print(f"{'memory':12}{computed:8}{kept:9.1f}{anew / kept:8.2f}")
    print(f"{'without':12}{fits:8}{'~':>3}{anew:6.1f}{1.0:8.2f}\n")


def areas(X: np.ndarray, y: np.ndarray) -> None:
    """The same photos under other areas."""
    print(f"areas: {len(X):,} photos, k1 = 20, k2 = 10; the lists come with the first of the rows")
    print(f"{'km':>6}{'areas':>8}{'largest':>9}{'memory':>9}{'without':>9}{'ratio':>8}")
    total = np.zeros(2)
    with tempfile.TemporaryDirectory() as folder:
        for km in BANDWIDTHS_KM:
            poi = POIMeanShift(km, metric="haversine").fit(y)
            labels = poi.labels_
            both = [
                seconds(
                    lambda memory=memory, labels=labels: InconsistencyPairs(
                        memory=memory, method="exact"
                    ).fit(X, labels)
                )
                for memory in (folder, None)
            ]
            total += both
            sizes = np.bincount(labels)
            print(
                f"{km:6.0f}{len(sizes):8,}{sizes.max():9,}{both[0]:9.2f}{both[1]:9.2f}"
                f"{both[1] / both[0]:8.2f}"
            )
    print(f"{'all':>6}{'':17}{total[0]:9.2f}{total[1]:9.2f}{total[1] / total[0]:8.2f}\n")


def growth(X: np.ndarray, y: np.ndarray) -> None:
    """Photos that join a graph, against a graph of all."""
    labels = POIMeanShift(500.0, metric="haversine").fit(y).labels_
    print(f"growth: {len(X):,} photos in the end, k1 = 20, k2 = 10")
    print(f"{'join':>6}{'partial_fit':>13}{'rebuild':>9}{'ratio':>8}")
    whole = InconsistencyPairs(method="exact")
    rebuild = seconds(lambda: whole.fit(X, labels))
    for m in (1, 10, 100, 1000):
        if m >= len(X):
            continue
        old, new = slice(None, len(X) - m), slice(len(X) - m, None)
        pairs = InconsistencyPairs(method="exact").fit(X[old], labels[old])
        join = seconds(lambda pairs=pairs, new=new: pairs.partial_fit(X[new], labels[new]))
        for name in ("same_area_", "easy_confusing_"):
            a, b = getattr(pairs, name), getattr(whole, name)
            assert np.array_equal(a.indices, b.indices)
            assert np.array_equal(
                getattr(pairs, f"{name}distances_"), getattr(whole, f"{name}distances_")
            )
        print(f"{m:6,}{join:13.2f}{rebuild:9.2f}{rebuild / join:8.2f}")
    print()


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=6000)
    parser.add_argument("--grid-photos", type=int, default=900)
    parser.add_argument("--tables", nargs="+", default=["graphs", "areas", "growth"])
    options = parser.parse_args()
    n = max(options.photos, options.grid_photos)
    X, y = photos(n)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:  # what is imported or compiled once, is
        for memory in (folder, None):
            InconsistencyPairs(method="exact", memory=memory).fit(X[:600], np.arange(600) // 4)
    if "graphs" in options.tables:
        graphs(X[: options.photos], y[: options.photos])
    if "areas" in options.tables:
        areas(X[: options.photos], y[: options.photos])
    if "growth" in options.tables:
        growth(X[: options.photos], y[: options.photos])
    if "grid" in options.tables:
        # Tiles come from west to east: a part of them is taken across.
        part = np.linspace(0, n - 1, options.grid_photos).astype(int)
        grid(X[part], y[part])


if __name__ == "__main__":
    main()
