"""
From images to the map of the Earth
===================================

Estimate where images were taken, from their pixels alone, and see how far off the estimates are.

Without arguments it cuts the Blue Marble, NASA's picture of the whole Earth, into a few thousand
tiles. Tiles at other places, which share no pixel with the gallery, are the queries. Five systems
answer: chance, low-level features (LF), a plain auto-encoder (AE), the geo-constrained auto-encoder
(DGAE) and its linear sibling, each by its nearest neighbour (1-NN) and by a vote (Mean-Shift)::

    python examples/quickstart.py

On your own geotagged photos (EXIF positions, or a CSV of positions beside them)::

    python examples/quickstart.py --photos FOLDER --save model.joblib
    python examples/quickstart.py --model model.joblib --locate NEW.jpg OTHER.jpg
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.neighbors import BallTree
from sklearn.pipeline import Pipeline

from skgeo import (
    BlockScaler,
    DGAETransformer,
    InconsistencyPairs,
    KNNGeoRegressor,
    LowLevelFeatures,
    MarginalFisherTransformer,
    POIMeanShift,
    RandomGeoRegressor,
)
from skgeo.datasets import load_blue_marble_tiles, load_geotagged_photos, split_disjoint_tiles
from skgeo.metrics import geolocation_report, great_circle_distance
from skgeo.model_selection import PhotographerSplit

HISTOGRAMS = ("color", "texture", "line")
MAX_ON_MAP = 120


class Scale(NamedTuple):
    """Radii that suit the extent of a collection, all in km."""

    thresholds: tuple[float, ...]
    poi: float
    vote: float


#: From a quarter of a city to the whole Earth.
WORLD = Scale((25.0, 200.0, 750.0, 2500.0), poi=0.5, vote=500.0)
CITY = Scale((0.05, 0.1, 0.25, 0.5, 1.0), poi=0.1, vote=0.25)
#: Tiles have no hot spots where people gather: a POI is a region.
TILES = WORLD._replace(poi=400.0)


class Collection(NamedTuple):
    """Images with their places, cut into gallery and queries."""

    images: Any
    coordinates: np.ndarray
    gallery: np.ndarray
    queries: np.ndarray
    scale: Scale
    name: str


def blue_marble(n_tiles: int, n_queries: int, seed: int) -> Collection:
    """Tiles of the Earth; tiles that overlap a query are in neither part."""
    tiles = load_blue_marble_tiles(n_tiles, tile_size=20, step=10, random_state=seed)
    split = split_disjoint_tiles(tiles.extents, n_queries, random_state=seed)
    sizes = [len(part) for part in (tiles.images, *split)]
    print(
        f"{sizes[0]} tiles of {tiles.tile_km:.0f} km: {sizes[1]} in the gallery, {sizes[2]} "
        f"queries, {sizes[3]} left out because they overlap a query."
    )
    return Collection(
        tiles.images, tiles.coordinates, split.gallery, split.queries, TILES, "Blue Marble tiles"
    )


def own_photos(folder: str, thresholds: list[float] | None, seed: int) -> Collection:
    """Geotagged photos; a fifth of them, of other photographers where these are known."""
    photos = load_geotagged_photos(folder, verbose=1)
    y = photos.coordinates
    print(f"{len(y)} photos with a position; {len(photos.left_out)} files left out.")
    for reason, count in photos.left_out["reason"].value_counts().items():
        print(f"  {count} x {reason}")
    known = photos.groups is not None and len(set(photos.groups)) >= 5
    if known:
        splits = PhotographerSplit(5, shuffle=True, random_state=seed)
        gallery, queries = next(splits.split(photos.images, y, photos.groups))
        print("Queries are by photographers who have no photo in the gallery.")
    else:
        order = np.random.default_rng(seed).permutation(len(y))
        queries, gallery = np.sort(order[: len(y) // 5]), np.sort(order[len(y) // 5 :])
        same = {tuple(row) for row in y[gallery].tolist()}
        count = sum(tuple(row) in same for row in y[queries].tolist())
        print(
            f"Photographers are unknown: queries are drawn at random. {count} of {len(queries)} "
            "have a gallery photo at the very same position."
        )
    if len(gallery) < 2 or len(queries) < 1:
        raise SystemExit(f"{folder}: {len(y)} photos are too few; at least 5 are needed.")
    # A collection whose photos are mostly a few km apart is judged in metres.
    shuffled = np.random.default_rng(seed).permutation(len(y))
    spread = float(np.median(great_circle_distance(y, y[shuffled])))
    scale = CITY if spread < 50.0 else WORLD
    if thresholds:
        scale = scale._replace(thresholds=tuple(sorted(thresholds)))
    return Collection(photos.images, y, gallery, queries, scale, Path(folder).resolve().name)


def embeddings(scale: Scale, n_photos: int, seed: int) -> dict[str, Any]:
    """The systems that are compared; each takes the same scaled features."""
    pairs = InconsistencyPairs(k1=5, k2=50, poi=POIMeanShift(scale.poi, metric="haversine"))
    # Small collections are no food for the paper's 2000-1000-500.
    layers = (512, 256, 128) if n_photos < 10_000 else (2000, 1000, 500)
    network = DGAETransformer(layers, pairs=pairs, random_state=seed, verbose=1)
    return {
        "LF": "passthrough",
        "AE": clone(network).set_params(alpha=0, beta=0),
        "DGAE": network,
        "linear": MarginalFisherTransformer(pairs=pairs),
    }


def compare(data: Collection, seed: int, n_jobs: int) -> tuple[dict[str, Any], Any, Any]:
    """Fit every system; print the table; return the fitted pipelines and the estimates."""
    y, gallery, queries = data.coordinates, data.gallery, data.queries
    features = LowLevelFeatures(n_jobs=n_jobs, random_state=seed, verbose=1)
    print("\nLow-level features ...", flush=True)
    start = time.perf_counter()
    take = data.images.__getitem__
    X_gallery = features.fit(take(gallery)).transform(take(gallery))
    X_queries = features.transform(take(queries))
    seconds = time.perf_counter() - start
    print(f"  {X_gallery.shape[1]} columns, {1000 * seconds / len(y):.0f} ms an image")

    chance = RandomGeoRegressor(random_state=seed).fit(X_gallery, y[gallery])
    estimates = {("", "chance"): chance.predict(X_queries)}
    pipelines = {}
    for name, embedding in embeddings(data.scale, len(gallery), seed).items():
        start = time.perf_counter()
        # Histograms as square roots, every block with the same weight, rows of length 1.
        scaler = BlockScaler("low-level", hellinger=HISTOGRAMS, normalize="l2")
        knn = KNNGeoRegressor(bandwidth_km=data.scale.vote, n_jobs=n_jobs)
        pipeline = Pipeline([("scale", scaler), ("dgae", embedding), ("knn", knn)])
        try:
            pipeline.fit(X_gallery, y[gallery])
        except ValueError as error:
            if name != "linear":
                raise
            print(f"linear: left out. {error}")
            continue
        for mode in ("1-nn", "mean-shift"):
            pipeline.set_params(knn__mode=mode)
            label = "1-NN" if mode == "1-nn" else "Mean-Shift"
            estimates[label, name] = pipeline.predict(X_queries)
        pipeline.set_params(knn__mode="1-nn")
        pipelines[name] = Pipeline([("features", features), *pipeline.steps])
        print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)
    report = geolocation_report(
        y[queries],
        {f"{mode:10s} {name}": places for (mode, name), places in estimates.items()},
        thresholds=data.scale.thresholds,
    )
    return pipelines, estimates, report


def nearest_possible(data: Collection) -> str:
    """What a perfect choice among the gallery's photos would reach."""
    tree = BallTree(np.deg2rad(data.coordinates[data.gallery]), metric="haversine")
    radians, _ = tree.query(np.deg2rad(data.coordinates[data.queries]))
    best = 6371.004 * radians[:, 0]
    reached = (f"{100 * np.mean(best <= t):.1f} within {t:g} km" for t in data.scale.thresholds)
    return "The gallery's nearest photo, for comparison: " + ", ".join(reached) + "."


def draw(data: Collection, estimates: Any, model: str, output: str, seed: int) -> None:
    """Map of true and estimated places above the error curves of all systems."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from skgeo.plotting import GeoErrorCurveDisplay, PredictionMapDisplay

    y = data.coordinates[data.queries]
    # More lines than these hide each other.
    shown = np.random.default_rng(seed).permutation(len(y))[:MAX_ON_MAP]
    plt.style.use("dark_background")
    figure, axes = plt.subplots(
        2, 1, figsize=(11, 9.8), height_ratios=(1.12, 1), layout="constrained"
    )
    PredictionMapDisplay.from_predictions(
        y[shown],
        estimates["1-NN", model][shown],
        ax=axes[0],
        thresholds=data.scale.thresholds,
        imagery=True,
    )
    axes[0].set_title(f"{data.name}: {model}, 1-NN, {len(shown)} of {len(y)} queries")
    curves = {name: places for (mode, name), places in estimates.items() if mode in ("", "1-NN")}
    curves[f"{model}, Mean-Shift"] = estimates["Mean-Shift", model]
    GeoErrorCurveDisplay.from_predictions(y, curves, ax=axes[1], thresholds=data.scale.thresholds)
    axes[1].set_title(f"Errors of all {len(y)} queries, 1-NN, sorted from best to worst")
    figure.savefig(output, dpi=100)
    print(f"Picture: {output}")


def locate(model: dict[str, Any], photos: list[str], n_neighbors: int = 3) -> None:
    """Print the estimated place of new photos, and the gallery photos that it comes from."""
    pipeline = model["pipeline"]
    vectors = pipeline[:-1].set_params(features__verbose=0).transform(photos)
    places = pipeline["knn"].predict(vectors)
    k = min(n_neighbors, len(model["names"]))
    distances, rows = pipeline["knn"].kneighbors(vectors, n_neighbors=k)
    for photo, place, row, distance in zip(photos, places, rows, distances, strict=True):
        print(f"\n{photo}: latitude {place[0]:.6f}, longitude {place[1]:.6f}")
        for i, d in zip(row, distance, strict=True):
            lat, lon = model["coordinates"][i]
            print(f"    distance {d:.3f}  {model['names'][i]}  ({lat:.6f}, {lon:.6f})")


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Estimate where images were taken, from their pixels alone."
    )
    parser.add_argument("--photos", metavar="FOLDER", help="your geotagged photos, or a CSV")
    parser.add_argument("--locate", metavar="PHOTO", nargs="+", help="photos to be located")
    parser.add_argument("--save", metavar="FILE", help="write the fitted model (joblib)")
    parser.add_argument("--model", metavar="FILE", help="use a model written by --save")
    parser.add_argument(
        "--embedding",
        choices=["LF", "AE", "DGAE", "linear"],
        default="linear",
        help="the system that is drawn, saved and used by --locate (default: linear)",
    )
    parser.add_argument("--thresholds", metavar="KM", nargs="+", type=float, help="radii in km")
    parser.add_argument("--tiles", type=int, default=4000, help="Blue Marble tiles (4000)")
    parser.add_argument("--queries", type=int, default=400, help="of these are queries (400)")
    parser.add_argument("--output", default="quickstart.png", help="the picture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=-1, help="processes (all cores)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line."""
    options = parse(argv)
    if options.model:
        if not options.locate:
            raise SystemExit("--model is for --locate PHOTO...")
        # A joblib file runs code when it is loaded: only open what you trust.
        locate(joblib.load(options.model), options.locate)
        return 0
    start = time.perf_counter()
    if options.photos:
        data = own_photos(options.photos, options.thresholds, options.seed)
    else:
        data = blue_marble(options.tiles, options.queries, options.seed)
        if options.thresholds:
            data = data._replace(scale=data.scale._replace(thresholds=tuple(options.thresholds)))
    pipelines, estimates, report = compare(data, options.seed, options.jobs)
    print(f"\nPercent of {len(data.queries)} queries within the radius, cumulative:\n")
    if data.scale.thresholds[-1] < 25.0:
        in_metres = {"median_km": 1000 * report["median_km"], "mean_km": 1000 * report["mean_km"]}
        report = report.assign(**in_metres).rename(columns=lambda c: c.replace("_km", "_m"))
    print(report.to_string(float_format=lambda v: f"{v:.1f}"))
    print("\n" + nearest_possible(data))
    chosen = options.embedding if options.embedding in pipelines else "DGAE"
    draw(data, estimates, chosen, options.output, options.seed)
    if options.photos:
        names = [str(path) for path in data.images[data.gallery]]
    else:
        names = [f"tile {i}" for i in data.gallery]
    model = {
        "pipeline": pipelines[chosen],
        "names": names,
        "coordinates": data.coordinates[data.gallery],
    }
    if options.save:
        joblib.dump(model, options.save)
        print(f"Model ({chosen}): {options.save}")
    print(f"{time.perf_counter() - start:.0f} s in all")
    if options.locate:
        locate(model, options.locate)
    return 0


if __name__ == "__main__":
    sys.exit(main())
