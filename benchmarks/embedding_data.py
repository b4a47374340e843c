"""The sets of images on which embeddings are compared, and how they are split by place.

Features are computed once and kept in a folder, one ``.npz`` for each set:

``lowlevel``, ``cnn``
    Raw features, float32: `LowLevelFeatures` with the texton dictionary of the package, so that
    nothing is learned from test images, and `CNNFeatures`.
``coordinates``
    Latitude and longitude in degrees.
``groups``
    What must not be divided between training and test part: photos of one spot or burst, copies,
    tiles that share pixels.
``areas``
    Wider areas, by which intervals are clustered: errors in one of them depend on each other.

    python benchmarks/embedding_data.py --data ../shared/data --cache FOLDER [SET ...]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from skgeo.datasets import load_blue_marble_tiles
from skgeo.features import CNNFeatures, LowLevelFeatures
from skgeo.metrics import great_circle_distance
from skgeo.model_selection import spherical_blocks

CACHE = Path(tempfile.gettempdir()) / "skgeo-benchmarks"
PIXELS_PER_DEGREE = 15.0
#: Photos whose centred CNN features have a cosine above this are copies of each other.
COPY = 0.9


class ImageSet(NamedTuple):
    """Features and places of a set, see the top of the file."""

    features: dict[str, np.ndarray]
    coordinates: np.ndarray
    groups: np.ndarray
    areas: np.ndarray


class Recipe(NamedTuple):
    """What is known of a set beforehand."""

    title: str
    #: Thresholds in km over which accuracies are averaged; the first is the radius of POIs, too.
    thresholds_km: tuple[float, ...]
    #: Gives images, coordinates, groups (CNN features in hand) and areas.
    load: Callable[[Path], tuple[list | np.ndarray, np.ndarray, Callable, np.ndarray]]
    features: tuple[str, ...] = ("lowlevel", "cnn")


def joined(linked: np.ndarray) -> np.ndarray:
    """Label the connected components of a boolean matrix (n, n)."""
    return connected_components(coo_array(linked), directed=False)[1]


def copies(cnn: np.ndarray) -> np.ndarray:
    """Which pairs look nearly the same to the CNN."""
    centred = cnn - cnn.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    return centred @ centred.T > COPY


def san_francisco(data: Path) -> tuple:
    """Photos of buildings. One group: within 15 m, or two in a row within 30 m, or copies."""
    folder = data / "sf_landmarks"
    table = pd.read_csv(folder / "metadata.csv")
    places = table[["lat", "lon"]].to_numpy(dtype=float)
    number = table["filename"].str.extract(r"(\d+)\.")[0].astype(int).to_numpy()
    n = len(places)
    km = great_circle_distance(np.repeat(places, n, axis=0), np.tile(places, (n, 1)))
    km = km.reshape(n, n)
    in_a_row = np.abs(number[:, None] - number) <= 1
    spot = (km <= 0.015) | (in_a_row & (km <= 0.03))
    paths = [str(folder / name) for name in table["filename"]]
    return paths, places, lambda cnn: joined(spot | copies(cnn)), spherical_blocks(places, 0.1)


def mexico(data: Path) -> tuple:
    """Photos of cities, whose place is the city's. One group: series of a photographer, copies.

    A series is told by its numbers, which the photo service counts upward as photos come in.
    """
    folder = data / "mexico_cities"
    table = pd.read_csv(folder / "metadata.csv")
    places = table[["lat", "lon"]].to_numpy(dtype=float)
    number = table["source"].str.extract(r"photos/(\d+)/")[0].astype(int).to_numpy()
    series = np.abs(number[:, None] - number) <= 300
    paths = [str(folder / name) for name in table["filename"]]
    areas = np.unique(places, axis=0, return_inverse=True)[1]
    return paths, places, lambda cnn: joined(series | copies(cnn)), areas


def blue_marble(_: Path) -> tuple:
    """Tiles of 148 km that share no pixel, each a place of its own."""
    tiles = load_blue_marble_tiles(tile_size=20, step=21)
    return tiles.images, tiles.coordinates, lambda _: np.arange(len(tiles.images)), tiles.groups


def blue_marble_many(_: Path) -> tuple:
    """Tiles of 89 to 178 km, overlapping within cells of 296 km; no tile reaches into two cells."""
    images, places, groups, areas = [], [], [], []
    for size, step in ((12, 9), (16, 12), (20, 10), (24, 12)):
        tiles = load_blue_marble_tiles(tile_size=size, step=step)
        cells = cells_of(tiles.extents, 40 / PIXELS_PER_DEGREE)
        inside = cells >= 0
        images += list(tiles.images[inside])
        places.append(tiles.coordinates[inside])
        groups.append(cells[inside])
        areas.append(tiles.groups[inside])
    cell = np.unique(np.concatenate(groups), return_inverse=True)[1]
    return images, np.concatenate(places), lambda _: cell, np.concatenate(areas)


def cells_of(extents: np.ndarray, side: float) -> np.ndarray:
    """Number of the cell of so many degrees of latitude that holds each tile whole, or -1."""
    south, north, west, east = extents.T
    slack = 1e-6
    low = np.floor((south + 90.0) / side + slack)
    high = np.ceil((north + 90.0) / side - slack) - 1
    width = 360.0 / np.floor(360.0 * np.cos(np.deg2rad((low + 0.5) * side - 90.0)) / side)
    first = np.floor((west + 180.0) / width + slack)
    last = np.ceil((east + 180.0) / width - slack) - 1
    whole = (low == high) & (first == last)
    return np.where(whole, low * 1e4 + first, -1).astype(int)


SETS = {
    "sf": Recipe("San Francisco", (0.1, 0.25), san_francisco),
    "mexico": Recipe("Mexico", (25.0, 200.0), mexico),
    "bluemarble": Recipe("Blue Marble", (200.0, 750.0), blue_marble),
    "bluemarble20k": Recipe(
        "Blue Marble, four scales", (200.0, 750.0), blue_marble_many, ("lowlevel",)
    ),
}


def load(name: str, data: Path, cache: Path) -> ImageSet:
    """Load a set, describing its images the first time."""
    path = cache / f"{name}.npz"
    if not path.exists():
        describe(name, data, path)
    with np.load(path) as stored:
        features = {key: stored[key] for key in ("lowlevel", "cnn") if key in stored}
        return ImageSet(features, *(stored[key] for key in ImageSet._fields[1:]))


def describe(name: str, data: Path, path: Path) -> None:
    """Compute the features of a set and store them."""
    recipe = SETS[name]
    images, places, group, areas = recipe.load(data)
    print(f"{name}: describing {len(images)} images", flush=True)
    features = {
        "lowlevel": LowLevelFeatures(texton_dictionary="blue-marble").fit(images).transform(images)
    }
    if "cnn" in recipe.features:
        features["cnn"] = CNNFeatures().fit_transform(images)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    groups = group(features.get("cnn"))
    np.savez(part, coordinates=places, groups=groups, areas=areas, **features)
    os.replace(part, path)


def folds(
    groups: np.ndarray, n_repetitions: int, n_folds: int = 5
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield repetition, training and test rows; groups stay whole.

    Each five repetitions are the five folds of one partition, in which every photo is a query
    once; the next five are those of another partition.
    """
    for repetition in range(n_repetitions):
        fold = deal(groups, n_folds, seed=repetition // n_folds)
        test = fold == repetition % n_folds
        yield repetition, np.flatnonzero(~test), np.flatnonzero(test)


def deal(groups: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Fold of each row: whole groups in random order, each to the fold that has the fewest rows."""
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    fold_of_group = np.zeros(len(sizes), dtype=int)
    filled = np.zeros(n_folds, dtype=int)
    for group in np.random.default_rng(seed).permutation(len(sizes)):
        fold_of_group[group] = filled.argmin()
        filled[filled.argmin()] += sizes[group]
    return fold_of_group[member]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=CACHE)
    options = parser.parse_args()
    for chosen in options.sets or list(SETS):
        loaded = load(chosen, options.data, options.cache)
        shapes = {key: value.shape for key, value in loaded.features.items()}
        print(
            f"{chosen}: {shapes}, {len(np.unique(loaded.groups))} groups, "
            f"{len(np.unique(loaded.areas))} areas"
        )
