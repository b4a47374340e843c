"""Leave-one-out 1-NN: what each block of features is worth on photos of places.

Percent of photos whose nearest neighbour among the others lies within 100 m (San Francisco) or
25 km (Mexico). Nothing is tuned and nothing is learned from the places. Folders hold a
``metadata.csv`` with filename, lat and lon.

    python benchmarks/leave_one_out.py --data ../shared/data
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skgeo import features as skf
from skgeo.features import BlockScaler, LowLevelFeatures
from skgeo.metrics import great_circle_distance

SETS = {"sf_landmarks": ("San Francisco", 0.1), "mexico_cities": ("Mexico", 25.0)}
HELLINGER = ("color", "texture", "line")


def distances_km(places: np.ndarray) -> np.ndarray:
    """Great-circle distances of all pairs, the diagonal infinite."""
    n = len(places)
    first, second = np.repeat(places, n, axis=0), np.tile(places, (n, 1))
    km = great_circle_distance(first, second).reshape(n, n)
    np.fill_diagonal(km, np.inf)
    return km


def score(X: np.ndarray, km: np.ndarray, radius: float) -> float:
    """Percent of rows whose nearest other row is of a place within the radius."""
    X = X.astype(np.float64)
    squared = (X**2).sum(axis=1)
    distances = squared[:, None] + squared - 2 * X @ X.T
    np.fill_diagonal(distances, np.inf)
    return 100 * float((km[np.arange(len(X)), distances.argmin(axis=1)] <= radius).mean())


def rows(paths: list[str], n_jobs: int | None) -> dict[str, np.ndarray]:
    """Describe the photos in every way that is to be compared."""
    model = LowLevelFeatures(random_state=0, n_jobs=n_jobs)
    X = model.fit_transform(paths)
    exact = LowLevelFeatures(
        texton_dictionary=model.texton_dictionary_, precision="exact", n_jobs=n_jobs
    )
    E = exact.fit_transform(paths)
    marble = LowLevelFeatures(
        "texture", texton_dictionary="blue-marble", n_jobs=n_jobs
    ).fit_transform(paths)
    slices = model.block_slices_
    table = {name: X[:, block] for name, block in slices.items()}
    for name in ("texture", "gist"):
        table[f"{name}, exact"] = E[:, slices[name]]
    table["texture, blue-marble"] = marble
    table["texture, hellinger"] = np.sqrt(X[:, slices["texture"]])
    table["texture, blue-marble, hellinger"] = np.sqrt(marble)
    scaled: dict[str, Any] = {
        "all, blocks scaled": {},
        "all, blocks scaled, hellinger": {"hellinger": HELLINGER},
        'all, blocks scaled, hellinger, normalize="l2"': {
            "hellinger": HELLINGER,
            "normalize": "l2",
        },
    }
    best = scaled['all, blocks scaled, hellinger, normalize="l2"']
    with_marble = X.copy()
    with_marble[:, slices["texture"]] = marble
    table["all, as they are"] = X
    for name, parameters in scaled.items():
        table[name] = BlockScaler("low-level", **parameters).fit_transform(X)
    table["the last, exact"] = BlockScaler("low-level", **best).fit_transform(E)
    table["the last, blue-marble"] = BlockScaler("low-level", **best).fit_transform(with_marble)
    if (C := cnn_rows(paths)) is not None:
        widths = [block.stop - block.start for block in slices.values()]
        names = [*slices, "cnn"]
        bounds = np.cumsum([0, *widths, C.shape[1]])
        blocks = {
            name: slice(int(start), int(stop))
            for name, start, stop in zip(names, bounds[:-1], bounds[1:], strict=True)
        }
        table["CNN"] = C
        table['CNN, normalize="l2"'] = BlockScaler(normalize="l2").fit_transform(C)
        both = BlockScaler(blocks, hellinger=HELLINGER).fit_transform(np.hstack([X, C]))
        table["all and CNN, each block scaled alike"] = both
        # The six blocks together as heavy as the network alone.
        both[:, : X.shape[1]] /= np.sqrt(len(slices))
        table["all and CNN, half and half"] = both / np.linalg.norm(both, axis=1, keepdims=True)
    return table


def cnn_rows(paths: list[str]) -> np.ndarray | None:
    """Activations of the default network, or None where its weights are not installed."""
    try:
        return skf.CNNFeatures().fit_transform(paths)
    except (AttributeError, ImportError) as error:
        print(f"without CNN: {error}")
        return None


def main(options: argparse.Namespace) -> None:
    """Print the table."""
    columns = {}
    for folder, (title, radius) in SETS.items():
        metadata = pd.read_csv(options.data / folder / "metadata.csv")[:: options.every]
        paths = [str(options.data / folder / name) for name in metadata["filename"]]
        km = distances_km(metadata[["lat", "lon"]].to_numpy(dtype=float))
        n = len(paths)
        figures = {"photos": float(n), "chance": 100 * float((km <= radius).sum()) / (n * (n - 1))}
        for name, X in rows(paths, options.n_jobs).items():
            figures[name] = score(X, km, radius)
        columns[f"{title}, {radius * 1000:.0f} m"] = figures
    print(pd.DataFrame(columns).to_string(float_format=lambda value: f"{value:.1f}"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--every", type=int, default=1, help="take every n-th photo only")
    parser.add_argument("--n-jobs", type=int, default=None)
    main(parser.parse_args())
