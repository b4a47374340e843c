"""The sceptic's benchmark: is the geo-constrained embedding worth its place?

1-NN on San Francisco, Mexico and tiles of the Blue Marble, low-level and CNN features. Groups of
photos of one spot or burst, copies and overlapping tiles are never divided between gallery and
queries (see embedding_data.py); other photos of the same area stay in the gallery, or there would
be nothing to find. Five repetitions are five folds: every photo is a query once; the next five are
those of another partition, and a photo's result is the mean of its repetitions. Every system has
fixed parameters and is tuned as well, on a validation part of the gallery alone, divided
likewise; every tuning has the same number of candidates, and fDGAE takes what DGAE's search chose.
Intervals are paired, of 95 percent, and clustered by area.

    python benchmarks/embedding.py --out results.csv [--sets sf mexico] [--systems LF linear]
        [--features lowlevel] [--repetitions 5] [--settings fixed tuned] [--data ../shared/data]

Each run adds a line to the file; what is there already is not run again. ``--report`` prints the
tables alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from embedding_data import CACHE, SETS, ImageSet, deal, folds, load
from embedding_report import draw, print_tables, rst_tables
from embedding_systems import SYSTEMS, Inputs, System, Task

from skgeo.metrics import great_circle_distance
from skgeo.neighbors import KNNGeoRegressor

FIELDS = ["set", "features", "setting", "system", "repetition", "seconds", "chosen", "hits"]
KEY = FIELDS[:5]
#: The validation part of a tuning is one in so many groups of the gallery.
PARTS = 4


def hits(
    gallery: np.ndarray,
    queries: np.ndarray,
    places: np.ndarray,
    truth: np.ndarray,
    thresholds_km: tuple[float, ...],
) -> np.ndarray:
    """How many of the thresholds, which are nested, the 1-NN estimate of each query meets."""
    found = KNNGeoRegressor().fit(gallery, places).predict(queries)
    km = great_circle_distance(truth, found)
    return (km[:, None] <= np.asarray(thresholds_km)).sum(axis=1)


def tuned(
    system: System, inputs: Inputs, thresholds_km: tuple[float, ...], budget: int, seed: int
) -> dict[str, Any]:
    """Parameters that locate a validation part of the gallery best."""
    part = deal(inputs.groups, PARTS, seed=1000 + seed)
    gallery, queries = np.flatnonzero(part != 0), np.flatnonzero(part == 0)
    task = Task(inputs, gallery, queries, seed)

    def score(candidate: dict[str, Any]) -> int:
        try:
            embedded = system.embed(task, **candidate)
        except ValueError as error:
            # Such as LDA with as many POIs as photos: no candidate.
            print(f"left out, {candidate}: {error}", flush=True)
            return -1
        places = inputs.places[gallery], inputs.places[queries]
        return int(hits(*embedded, *places, thresholds_km).sum())

    return max(system.candidates(budget), key=score)


def chosen_by(path: Path, key: tuple) -> dict[str, Any]:
    """Parameters that an earlier search chose, from the file of results."""
    results = read(path).set_index(KEY)
    if key not in results.index:
        raise SystemExit(f"run {key[3]}, {key[2]}, first: its search of {key[:2]} is not in {path}")
    chosen: dict[str, Any] = json.loads(results.loc[key, "chosen"])
    return {k: tuple(v) if isinstance(v, list) else v for k, v in chosen.items()}


def run(
    name: str, kind: str, images: ImageSet, options: argparse.Namespace, done: set[tuple]
) -> None:
    """Run what is missing of one set and kind of features."""
    thresholds = SETS[name].thresholds_km
    for repetition, train, test in folds(images.groups, options.repetitions):
        missing = [
            (setting, system)
            for setting in options.settings
            for system in options.systems
            if (name, kind, setting, system, repetition) not in done
        ]
        store = options.cache / "reduced" / f"{name}-{kind}-{repetition}"
        inputs = Inputs(images, kind, train, test, thresholds[0], store)
        for setting, chosen_name in missing:
            system = SYSTEMS[chosen_name]
            start = time.process_time()
            parameters = system.fixed
            if setting == "tuned" and system.searched_as:
                key = (name, kind, setting, system.searched_as, repetition)
                parameters = {**chosen_by(options.out, key), "method": system.fixed["method"]}
            elif setting == "tuned":
                parameters = tuned(system, inputs, thresholds, options.budget, repetition)
            task = Task(inputs, np.arange(len(train)), None, repetition)
            found = hits(
                *system.embed(task, **parameters),
                inputs.places,
                images.coordinates[test],
                thresholds,
            )
            row = {
                "set": name,
                "features": kind,
                "setting": setting,
                "system": chosen_name,
                "repetition": repetition,
                "seconds": f"{time.process_time() - start:.1f}",
                "chosen": json.dumps(parameters),
                "hits": "".join(map(str, found)),
            }
            new = not options.out.exists()
            with options.out.open("a", newline="") as file:
                writer = csv.DictWriter(file, FIELDS)
                if new:
                    writer.writeheader()
                writer.writerow(row)
            score = 100 * found.mean() / len(thresholds)
            print(f"{name} {kind} {setting} {chosen_name} {repetition}: {score:.1f}", flush=True)


def read(path: Path) -> pd.DataFrame:
    """Results so far."""
    if not path.exists():
        return pd.DataFrame(columns=FIELDS)
    return pd.read_csv(path, dtype={"hits": str})


def main(options: argparse.Namespace) -> None:
    """Run what is missing, then print the tables."""
    table = read(options.out)
    if options.again:
        old = table["system"].isin(options.systems) & table["set"].isin(options.sets)
        old &= table["features"].isin(options.features) & table["setting"].isin(options.settings)
        table[~old].to_csv(options.out, index=False)
        table = table[~old]
    done = set(table[KEY].itertuples(index=False, name=None))
    sets = {name: load(name, options.data, options.cache) for name in options.sets}
    for name, images in sets.items():
        if not options.report:
            for kind in options.features:
                if kind in images.features:
                    run(name, kind, images, options, done)
        print_tables(read(options.out), name, images, options.features)
    if options.png:
        draw(read(options.out), sets, options.png)
    if options.rst:
        options.rst.write_text(rst_tables(read(options.out), sets))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["sf", "mexico", "bluemarble"])
    parser.add_argument("--features", nargs="+", default=["lowlevel", "cnn"])
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--settings", nargs="+", default=["fixed", "tuned"])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--budget", type=int, default=9, help="candidates of each tuning")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of the features")
    parser.add_argument("--out", type=Path, required=True, help="CSV of results, added to")
    parser.add_argument("--png", type=Path, help="picture of the differences")
    parser.add_argument("--rst", type=Path, help="the tables as reStructuredText")
    parser.add_argument("--again", action="store_true", help="forget the chosen systems' results")
    parser.add_argument("--report", action="store_true", help="run nothing")
    main(parser.parse_args())
