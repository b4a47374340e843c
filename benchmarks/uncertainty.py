"""Does the radius of predict_with_uncertainty hold with the probability that it states?

Places are dealt at random to gallery (half), calibration and test (a quarter each), many times; a
place is an area (blocks of 100 m of San Francisco, cities of Mexico, blocks of Blue Marble) or,
more finely, a spot (photos of one spot or burst, or copies, stay together, and the area's other
photos may be in the gallery). Coverage counts each place once. A calibration on n places and a
test on m give between them a number of hits that is, at least, beta-binomial: "inside" is the share
of splits whose coverage lies in its central 95 percent. One split is one draw, so about 95 percent
should; the mean over the splits should not be below the stated probability.

    python benchmarks/uncertainty.py --data ../shared/data [--cache FOLDER] [--splits 20]
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from embedding_data import CACHE, SETS, load
from scipy.stats import betabinom

from skgeo.features import BlockScaler
from skgeo.metrics import great_circle_distance
from skgeo.neighbors import KNNGeoRegressor, LazyGeoRegressor

LEVELS = (0.5, 0.8, 0.9, 0.95)
BANDWIDTH_KM = {"sf": 0.25, "mexico": 50.0, "bluemarble": 500.0}
HELLINGER = ("color", "texture", "line")


def estimators(name: str, with_lazy: bool) -> dict:
    """The votes that are calibrated."""
    km = BANDWIDTH_KM[name]
    votes = {
        "1-nn": KNNGeoRegressor(n_neighbors=30),
        "mean-shift": KNNGeoRegressor("mean-shift", n_neighbors=30, bandwidth_km=km),
        "kde": KNNGeoRegressor("kde", n_neighbors=30, bandwidth_km=km),
    }
    if with_lazy:
        votes["lazy"] = LazyGeoRegressor(100, bandwidth_km=km)
    return votes


def shares(places: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Share of the photos of each place that are inside."""
    _, place, counts = np.unique(places, return_inverse=True, return_counts=True)
    return np.bincount(place, inside) / counts


def main(options: argparse.Namespace) -> None:
    """Print the table."""
    warnings.simplefilter("ignore", UserWarning)  # few places: the radius is half the Earth
    print(
        f"{'set':12} {'places':>7} {'vote':11} {'stated':>6} {'held':>6} {'+-':>5} {'inside':>6} "
        f"{'per photo':>9} {'n':>5} {'m':>5} {'median error km':>15} {'median radius km':>16}"
    )
    for name in options.sets:
        images = load(name, options.data, options.cache)
        scaler = BlockScaler("low-level", hellinger=HELLINGER, normalize="l2")
        for kind in ("areas", "groups"):
            places = getattr(images, kind)
            names = np.unique(places)
            for vote, estimator in estimators(name, options.lazy).items():
                held = {level: [] for level in LEVELS}
                for seed in range(options.splits):
                    dealt = np.random.default_rng(seed).permutation(len(names))
                    part = dealt[np.searchsorted(names, places)] / len(names)
                    gallery, test = part < 0.5, part >= 0.75
                    calibration = ~gallery & ~test
                    X = scaler.fit(images.features["lowlevel"][gallery]).transform(
                        images.features["lowlevel"]
                    )
                    y = images.coordinates
                    estimator.fit(X[gallery], y[gallery])
                    estimator.calibrate(X[calibration], y[calibration], places[calibration])
                    n = estimator.calibration_.n_places
                    for level in LEVELS:
                        found = estimator.predict_with_uncertainty(X[test], confidence=level)
                        error = great_circle_distance(y[test], found.places)
                        hit = error <= found.radius_km
                        of_place = shares(places[test], hit)
                        m = len(of_place)
                        rank = int(np.ceil(level * (n + 1) - 1e-9))
                        low, high = betabinom.interval(0.95, m, rank, max(1, n + 1 - rank))
                        total = of_place.sum()
                        held[level].append(
                            (
                                of_place.mean(),
                                # The calibration with fewer places than it needs holds always.
                                rank > n or low - 1e-9 <= total <= high + 1e-9,
                                hit.mean(),
                                n,
                                m,
                                np.median(error),
                                np.median(found.radius_km),
                            )
                        )
                for level, rows in held.items():
                    table = np.array(rows, dtype=float)
                    half = 1.96 * table[:, 0].std(ddof=1) / np.sqrt(len(table))
                    mean = table.mean(axis=0)
                    print(
                        f"{SETS[name].title:12.12} {kind:>7} {vote:11} {level:6.2f} {mean[0]:6.3f} "
                        f"{half:5.3f} {100 * mean[1]:5.0f}% {mean[2]:9.3f} {mean[3]:5.0f} "
                        f"{mean[4]:5.0f} {mean[5]:15.4g} {mean[6]:16.4g}",
                        flush=True,
                    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", default=list(BANDWIDTH_KM))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--lazy", action="store_true", help="the lazy learner as well (minutes)")
    main(parser.parse_args())
