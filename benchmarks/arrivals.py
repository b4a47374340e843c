"""A month of arrivals: `partial_fit_pipeline` against training again, and against no update.

Tiles of the Blue Marble, low-level features. A fifth of the tiles are queries and are never
trained on; of the rest, 70 percent are trained on, and 30 percent arrive in 30 daily batches.

random  they arrive in random order
region  they arrive area by area, areas of which nothing was there before; queries of these
        areas are "new", all others "old"

never       nothing is updated
gallery     the new tiles join the gallery, the embedding stays: ``update="gallery"``
all         the embedding learns, too, and the gallery is encoded anew: ``update="all"``
stale       as all, but the old vectors of the gallery stay as they are, which skgeo refuses to do
remembered  as all, but queries are compared with the photos of the first day alone: no new photo
            can take the place of an old one, and what is lost is what the embedding has forgotten
re-trained  scaling, components, POIs, pairs and embedding anew, every ``--every`` days

The embedding is `MarginalFisherTransformer` (linear) or `DGAETransformer` (network, 10 epochs),
behind `BlockScaler` and a PCA to 500 columns, both of which stay. Accuracy is the percentage within
200 and within 750 km, averaged. Intervals: 95 percent, over areas. "drift" is the share of photos
that mining the POIs anew would group otherwise, "founded" that in POIs opened since the training.

    python benchmarks/arrivals.py [--cache FOLDER] [--out FOLDER] [--orders random region]
                                  [--embeddings linear network] [--folds 0 1 2 3 4]
                                  [--every 5] [--plot FILE] [--report]

Without the features in the cache they are computed first. A fold that is in ``--out`` is not run
again; ``--report`` runs none and prints the tables of those that are.
"""

from __future__ import annotations

import argparse
import copy
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from embedding_data import CACHE, ImageSet, deal, load
from embedding_report import interval
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from skgeo import partial_fit_pipeline
from skgeo.cluster import POIMeanShift, regrouped_share
from skgeo.embedding import DGAETransformer, MarginalFisherTransformer
from skgeo.features import BlockScaler
from skgeo.metrics import great_circle_distance
from skgeo.neighbors import KNNGeoRegressor
from skgeo.pairs import InconsistencyPairs

DAYS = 30
STARTED = 0.7
THRESHOLDS_KM = (200.0, 750.0)
POLICIES = ("never", "gallery", "all", "stale", "remembered", "re-trained")
COLORS = dict(
    zip(POLICIES, ("#8a8a8a", "#1f6f8b", "#b5533c", "#c9a227", "#7a5195", "black"), strict=True)
)


class Month(NamedTuple):
    """Rows of the set: trained on at first, of each day, and queries; which of these are old."""

    start: np.ndarray
    batches: list[np.ndarray]
    queries: np.ndarray
    old: np.ndarray


def month(images: ImageSet, order: str, fold: int) -> Month:
    """Deal the rows."""
    rng = np.random.default_rng([7, fold])
    dealt = deal(images.groups, 5, seed=0)
    queries = np.flatnonzero(dealt == fold)
    rest = rng.permutation(np.flatnonzero(dealt != fold))
    if order == "region":
        areas = rng.permutation(np.unique(images.areas))
        position = np.empty(int(images.areas.max()) + 1, dtype=int)
        position[areas] = np.arange(len(areas))
        rest = rest[np.argsort(position[images.areas[rest]], kind="stable")]
    cut = round(STARTED * len(rest))
    if order == "region":  # an area is not cut in two
        while images.areas[rest[cut]] == images.areas[rest[cut - 1]]:
            cut -= 1
    start, arriving = rest[:cut], rest[cut:]
    old = np.ones(len(queries), dtype=bool)
    if order == "region":
        old = ~np.isin(images.areas[queries], np.unique(images.areas[arriving]))
    return Month(start, np.array_split(arriving, DAYS), queries, old)


def make_pipeline(embedding: str, seed: int) -> Pipeline:
    """Features in, places out."""
    poi = POIMeanShift(THRESHOLDS_KM[0], metric="haversine")
    pairs = InconsistencyPairs(5, 50, poi=poi, random_state=seed)
    layer: Any = MarginalFisherTransformer(pairs=pairs, weighting="uniform", exponent=0.5)
    if embedding == "network":
        layer = DGAETransformer(
            (512, 256),
            pairs=pairs,
            init=layer,
            max_epochs=10,
            early_stopping=False,
            random_state=seed,
        )
    scale = BlockScaler("low-level", hellinger=("color", "texture", "line"), normalize="l2")
    return Pipeline(
        [
            ("scale", scale),
            ("components", PCA(500, svd_solver="covariance_eigh")),
            ("layer", layer),
            ("knn", KNNGeoRegressor()),
        ]
    )


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Outcome, and seconds of the processor."""
    start = time.process_time()
    outcome = function()
    return outcome, time.process_time() - start


def run(images: ImageSet, order: str, fold: int, embedding: str, every: int) -> dict[str, Any]:
    """Go through the month: hits (policy, day, query, threshold), seconds and drift by day."""
    X, y = images.features["lowlevel"], images.coordinates
    rows = month(images, order, fold)
    hits = np.full((len(POLICIES), DAYS + 1, len(rows.queries), len(THRESHOLDS_KM)), -1, np.int8)
    seconds = np.full((len(POLICIES), DAYS + 1), np.nan)
    drift = np.full((DAYS + 1, 2), np.nan)

    def note(policy: str, day: int, pipeline: Any) -> None:
        km = great_circle_distance(y[rows.queries], pipeline.predict(X[rows.queries]))
        hits[POLICIES.index(policy), day] = km[:, None] <= np.array(THRESHOLDS_KM)

    def train(known: np.ndarray) -> Pipeline:
        return make_pipeline(embedding, fold).fit(X[known], y[known])

    first, cost = timed(lambda: train(rows.start))
    kept = {policy: copy.deepcopy(first) for policy in ("gallery", "all")}
    stale = [first["knn"]._gallery]  # what a gallery holds is not public
    for policy in POLICIES:
        note(policy, 0, first)
    seconds[POLICIES.index("re-trained"), 0] = cost
    known = rows.start
    for day, batch in enumerate(rows.batches, start=1):
        updates = {
            "gallery": lambda batch=batch: partial_fit_pipeline(
                kept["gallery"], X[batch], y[batch]
            ),
            "all": lambda batch=batch, known=known: partial_fit_pipeline(
                kept["all"], X[batch], y[batch], update="all", gallery_X=X[known]
            ),
        }
        for policy, update in updates.items():
            _, seconds[POLICIES.index(policy), day] = timed(update)
            note(policy, day, kept[policy])
        known = np.concatenate([known, batch])
        hits[0, day] = hits[0, 0]
        encode = kept["all"][:-1]
        stale.append(encode.transform(X[batch]))
        mixed = KNNGeoRegressor().fit(np.concatenate(stale), y[known])
        note("stale", day, Pipeline([*encode.steps, ("knn", mixed)]))
        first_day = KNNGeoRegressor().fit(encode.transform(X[rows.start]), y[rows.start])
        note("remembered", day, Pipeline([*encode.steps, ("knn", first_day)]))
        if day % every == 0:
            again, seconds[POLICIES.index("re-trained"), day] = timed(lambda k=known: train(k))
            note("re-trained", day, again)
        drift[day] = drifted(y, rows, known)
    return {"hits": hits, "seconds": seconds, "drift": drift, "fold": fold}


def drifted(y: np.ndarray, rows: Month, known: np.ndarray) -> tuple[float, float]:
    """How far the POIs of the start have drifted when these photos are known."""
    poi = POIMeanShift(THRESHOLDS_KM[0], metric="haversine").fit(y[rows.start])
    came = known[len(rows.start) :]
    for batch in rows.batches:
        if len(came):
            poi.partial_fit(y[batch])
            came = came[len(batch) :]
    again = POIMeanShift(THRESHOLDS_KM[0], metric="haversine").fit(y[known])
    return regrouped_share(poi.labels_, again.labels_), poi.new_place_share_


def parts(out: Path, order: str, embedding: str) -> list[dict[str, Any]]:
    """The folds that were run."""
    found = []
    for path in sorted(out.glob(f"{order}-{embedding}-*.npz")):
        with np.load(path) as stored:
            found.append(dict(stored))
    return found


class Curve(NamedTuple):
    """Hits of all folds, (policy, day, query), in percent; the areas of queries; which are old."""

    hits: np.ndarray
    areas: np.ndarray
    old: np.ndarray


def curve(images: ImageSet, order: str, done: list[dict[str, Any]]) -> Curve:
    """Put the folds into one."""
    months = [month(images, order, int(part["fold"])) for part in done]
    hits = np.concatenate([part["hits"] for part in done], axis=2).astype(float)
    hits[hits < 0] = np.nan
    return Curve(
        100.0 * hits.mean(axis=3),
        np.concatenate([images.areas[m.queries] for m in months]),
        np.concatenate([m.old for m in months]),
    )


def report(images: ImageSet, order: str, embedding: str, done: list[dict[str, Any]]) -> None:
    """Print the tables of an order and an embedding."""
    found = curve(images, order, done)
    n = len(found.old)
    print(
        f"\n{order}, {embedding}: {len(done)} fold(s), {n} queries, {found.old.sum()} of them old"
    )
    for title, who in kinds(found):
        print(f"  {title} queries, percent within 200 and 750 km, averaged")
        print("   day" + "".join(f"{policy:>12}" for policy in POLICIES))
        for day in range(0, DAYS + 1, 5):
            means = found.hits[:, day, who].mean(axis=1)
            print(f"  {day:>4}" + "".join(f"{m:>12.1f}" for m in means))
        last = found.hits[:, DAYS, who]
        for policy in POLICIES[:-1]:
            index = POLICIES.index(policy)
            columns = []
            for what, other in (("re-trained", last[-1]), ("day 0", found.hits[0, 0, who])):
                if not np.isnan(other).any():
                    gain, half = interval(last[index] - other, found.areas[who])
                    columns.append(f"{gain:+.1f} +- {half:.1f} against {what}")
            print(f"    {policy:<12}{'; '.join(columns)}")
        daily = found.hits[:, :, who].mean(axis=2)
        low = {p: (daily[i] - daily[i, 0]).min() for i, p in enumerate(POLICIES[:-1])}
        print("    lowest day against day 0: " + ", ".join(f"{p} {v:+.1f}" for p, v in low.items()))
    seconds = np.stack([part["seconds"] for part in done])
    columns = [f"{p} {np.nanmean(seconds[:, i, 1:]):.2f}" for i, p in enumerate(POLICIES)
               if not np.isnan(seconds[:, i, 1:]).all()]  # fmt: skip
    print(f"  CPU seconds a day: {', '.join(columns)}")
    drift = 100.0 * np.stack([part["drift"] for part in done]).mean(axis=0)
    columns = [f"day {d}: {drift[d, 0]:.1f}, {drift[d, 1]:.1f}" for d in range(5, DAYS + 1, 5)]
    print(f"  drift and founded, percent: {'; '.join(columns)}")


def kinds(found: Curve) -> Iterator[tuple[str, np.ndarray]]:
    """Old queries, and new ones where there are any."""
    yield "old", found.old
    if not found.old.all():
        yield "new", ~found.old


def draw(images: ImageSet, done: dict[tuple[str, str], list[dict[str, Any]]], path: Path) -> None:
    """Draw accuracy by day: a row for each embedding, a panel for each kind of queries."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    rows = list(dict.fromkeys(embedding for _, embedding in done))
    panels = [("random", "old"), ("region", "old"), ("region", "new")]
    titles = {
        ("random", "old"): "arrivals in random order",
        ("region", "old"): "new areas arrive: queries of old areas",
        ("region", "new"): "new areas arrive: queries of new areas",
    }
    figure, axes = plt.subplots(
        len(rows), 3, figsize=(12, 3.4 * len(rows)), squeeze=False, layout="constrained"
    )
    for line, embedding in zip(axes, rows, strict=True):
        for ax, (order, kind) in zip(line, panels, strict=True):
            ax.set_title(f"{embedding}: {titles[order, kind]}", fontsize=9)
            ax.set_xlabel("day")
            ax.grid(alpha=0.3)
            if (order, embedding) not in done:
                continue
            found = curve(images, order, done[order, embedding])
            who = dict(kinds(found))[kind]
            for index, policy in enumerate(POLICIES):
                daily = found.hits[index][:, who].mean(axis=1)
                days = np.flatnonzero(~np.isnan(daily))
                style = "o" if policy == "re-trained" else "-"
                ax.plot(days, daily[days], style, color=COLORS[policy], label=policy, ms=4)
        line[0].set_ylabel("percent within 200 and 750 km,\naveraged")
    axes[0, 0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Run what is asked for, print the tables, draw the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--out", type=Path, default=CACHE / "arrivals")
    parser.add_argument("--orders", nargs="+", default=["random", "region"])
    parser.add_argument("--embeddings", nargs="+", default=["linear", "network"])
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    images = load("bluemarble", Path("../shared/data"), options.cache)
    options.out.mkdir(parents=True, exist_ok=True)
    done: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for embedding in options.embeddings:
        for order in options.orders:
            for fold in [] if options.report else options.folds:
                path = options.out / f"{order}-{embedding}-{fold}.npz"
                if not path.exists():
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore", ConvergenceWarning)
                        np.savez(path, **run(images, order, fold, embedding, options.every))
            finished = parts(options.out, order, embedding)
            if finished:
                done[order, embedding] = finished
                report(images, order, embedding, finished)
    if options.plot is not None:
        draw(images, done, options.plot)


if __name__ == "__main__":
    main()
