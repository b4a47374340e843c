"""The lazy learner (NFLL) beside votes, single neighbours (LF) and chance, on three sets.

Percent of photos within a radius, pooled over five folds; photos of one spot or burst, and copies,
are in one fold. Low-level features, blocks scaled alike; NFLL adds visual words to the photographs,
whose vocabulary is learned on the other set, so that it has seen neither places nor photos of
this one (tiles of Blue Marble are too small for interest points). Intervals are of differences to
LF 1-NN, paired, clustered by area. Votes take the same bandwidth and are not tuned. CPU
milliseconds are per query, search included.

    python benchmarks/lazy.py --data ../shared/data [--cache FOLDER] [SET ...]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from embedding_data import CACHE, SETS, folds, load

from skgeo.features import BlockScaler, SIFTBagOfWords
from skgeo.metrics import great_circle_distance
from skgeo.neighbors import KNNGeoRegressor, LazyGeoRegressor, RandomGeoRegressor

FOLDERS = {"sf": "sf_landmarks", "mexico": "mexico_cities"}
RADII_KM = {"sf": (0.1, 0.25, 1.0), "mexico": (25.0, 200.0, 750.0),
            "bluemarble": (200.0, 750.0, 2500.0)}  # fmt: skip
BANDWIDTH_KM = {"sf": 0.25, "mexico": 25.0, "bluemarble": 500.0}
LOW_LEVEL = {"tiny5": 75, "tiny16": 768, "color": 784, "texture": 512, "line": 232, "gist": 600}


def paths_of(name: str, data: Path) -> list[str]:
    """Photographs of a set, in the order of its features."""
    folder = data / FOLDERS[name]
    return [str(folder / file) for file in pd.read_csv(folder / "metadata.csv")["filename"]]


def words_of(name: str, data: Path, cache: Path) -> np.ndarray | None:
    """Visual words by the vocabulary of the other set of photographs, described once."""
    if name not in FOLDERS:
        return None
    path = cache / f"words-{name}.npy"
    if not path.exists():
        (other,) = set(FOLDERS) - {name}
        bag = SIFTBagOfWords("small", random_state=0).fit(paths_of(other, data))
        np.save(path, bag.transform(paths_of(name, data)).astype(np.float32))
    return np.load(path)


def systems(name: str, with_words: bool) -> dict:
    """What is compared: (estimator, whether it sees the words)."""
    km = BANDWIDTH_KM[name]
    rows = {
        "chance": (RandomGeoRegressor(random_state=0), False),
        "LF 1-NN": (KNNGeoRegressor(), False),
        "LF mean-shift, k=120": (KNNGeoRegressor("mean-shift", bandwidth_km=km), False),
        "LF mean-shift, k=30": (
            KNNGeoRegressor("mean-shift", n_neighbors=30, bandwidth_km=km),
            False,
        ),
        "LF density, k=30": (KNNGeoRegressor("kde", n_neighbors=30, bandwidth_km=km), False),
        "lazy, without words": (LazyGeoRegressor(bandwidth_km=km), False),
    }
    if with_words:
        blocks = {"low-level": sum(LOW_LEVEL.values()), "words": 1000}
        for title, search in (("NFLL", None), ("NFLL, LF finds", ["low-level"])):
            rows[title] = (
                LazyGeoRegressor(bandwidth_km=km, blocks=blocks, search_blocks=search),
                True,
            )
    return rows


def clustered(difference: np.ndarray, areas: np.ndarray) -> float:
    """Half the 95 percent interval of the mean of differences, clustered by area."""
    centred = difference - difference.mean()
    sums = np.bincount(np.unique(areas, return_inverse=True)[1], centred)
    g = len(sums)
    return float(1.96 * np.sqrt(g / (g - 1) * (sums**2).sum()) / len(difference))


def main(options: argparse.Namespace) -> None:
    """Print a table for each set."""
    for name in options.sets:
        images = load(name, options.data, options.cache)
        words = words_of(name, options.data, options.cache)
        scaler = BlockScaler("low-level", hellinger=("color", "texture", "line"), normalize="l2")
        errors: dict[str, np.ndarray] = {}
        cpu: dict[str, float] = {}
        for title, (estimator, sees_words) in systems(name, words is not None).items():
            error = np.full(len(images.coordinates), np.nan)
            cpu[title] = 0.0
            for _, train, test in folds(images.groups, 5):
                test = test[:: options.every]
                X = scaler.fit(images.features["lowlevel"][train]).transform(
                    images.features["lowlevel"]
                )
                if sees_words:
                    X = np.hstack([X, np.sqrt(words)])
                estimator.fit(X[train], images.coordinates[train])
                estimator.predict(X[test[:2]])  # compiled by now
                begin = time.process_time()
                found = estimator.predict(X[test])
                cpu[title] += time.process_time() - begin
                error[test] = great_circle_distance(images.coordinates[test], found)
            asked = np.isfinite(error)
            errors[title] = error[asked]
        areas = images.areas[asked]
        photos = f"{len(images.groups)} photos, {len(areas)} of them asked for"
        print(f"\n{SETS[name].title}: {photos}, bandwidth {BANDWIDTH_KM[name]} km")
        radii = RADII_KM[name]
        print(f"{'':22}" + "".join(f"{f'{r:g} km':>24}" for r in radii) + f"{'ms':>9}")
        for title, error in errors.items():
            cells = ""
            for radius in radii:
                hit, base = error <= radius, errors["LF 1-NN"] <= radius
                gain = hit.astype(float) - base
                half = clustered(gain, areas)
                cells += f"{100 * hit.mean():8.1f} ({100 * gain.mean():+5.1f} +- {100 * half:3.1f})"
            print(f"{title:22}{cells}{1000 * cpu[title] / len(error):9.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", default=list(RADII_KM))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--every", type=int, default=1, help="ask every n-th query only")
    main(parser.parse_args())
