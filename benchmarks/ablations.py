"""The paper's ablations on data that anyone has: Fig. 7 (alpha, beta), Table 4 (k1, k2), Fig. 8.

The network is the paper's, an auto-encoder trained from greedy pre-training, with the scale-free
objective; ``--start marginal-fisher`` begins with the linear layer instead. 1-NN on the tiles of
the Blue Marble that lie in Africa and around it (POIs of 400 km), or on San Francisco. Folds and
intervals are those of embedding.py: paired, of 95 percent, clustered by area.

    python benchmarks/ablations.py --out ablations.csv --png ablations.png [--sets africa sf]

Each run adds a line to the file; what is there already is not run again.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from ablations_plot import draw
from embedding import hits
from embedding_data import CACHE, SETS, ImageSet, folds, load
from embedding_report import interval, pooled
from embedding_systems import Inputs, Task, auto_encoder

FIELDS = ["set", "start", "ablation", "x", "y", "repetition", "hits"]
WEIGHTS = [0.0, 0.3, 1.0, 3.0, 10.0]
NEIGHBOURS = [0, 5, 10, 15, 20, 25, 30]
#: The widths of the paper's Fig. 8, but for the first a tenth: the collections are smaller, too.
DEPTHS: list[tuple[int, ...]] = [
    (100,),
    (200, 100),
    (200, 100, 50),
    (200, 150, 100, 50),
    (200, 160, 120, 80, 50),
]
#: Where gains are counted from; elsewhere it is the setting (0, 0) of the same ablation: the
#: plain auto-encoder, no neighbours.
REFERENCE = {"depth": ("features", 0.0, 0.0)}
#: South, north, west, east in degrees.
AFRICA = (-36.0, 38.0, -19.0, 52.0)


class Run(NamedTuple):
    """One setting: where it stands in its picture, and the parameters of the network."""

    ablation: str
    x: float
    y: float
    parameters: dict[str, Any]


def runs() -> list[Run]:
    """All settings."""
    base = {"hidden_layer_sizes": DEPTHS[2], "k1": 20, "k2": 10, "alpha": 3.0, "beta": 3.0}
    found = [
        Run("alpha-beta", alpha, beta, {**base, "alpha": alpha, "beta": beta})
        for alpha in WEIGHTS
        for beta in WEIGHTS
    ]
    for k in NEIGHBOURS:
        for name, weight in (("k1", "alpha"), ("k2", "beta")):
            # No neighbours at all are no term.
            change = {name: k} if k else {weight: 0.0}
            found.append(Run(name, k, 0.0, {**base, **change}))
    for depth, sizes in enumerate(DEPTHS, start=1):
        found.append(Run("depth", depth, 0.0, {**base, "hidden_layer_sizes": sizes}))
    return found


def image_set(name: str, options: argparse.Namespace) -> tuple[ImageSet, tuple[float, ...], float]:
    """The images, the thresholds, and the radius of POIs in km."""
    if name != "africa":
        recipe = SETS[name]
        return (
            load(name, options.data, options.cache),
            recipe.thresholds_km,
            recipe.thresholds_km[0],
        )
    images = load("bluemarble", options.data, options.cache)
    south, north, west, east = AFRICA
    lat, lon = images.coordinates.T
    inside = (lat > south) & (lat < north) & (lon > west) & (lon < east)
    features = {"lowlevel": images.features["lowlevel"][inside]}
    rest = (column[inside] for column in images[1:])
    return ImageSet(features, *rest), SETS["bluemarble"].thresholds_km, 400.0


def embed(task: Task, start: str, parameters: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """The features alone (no parameters), or the network's output."""
    if not parameters:
        return task.rows(*task.inputs.scaled(True, True))
    plain = parameters["alpha"] == 0.0 and parameters["beta"] == 0.0
    if start == "pretrain":
        parameters = {**parameters, "output": "concat", "pair_loss": "hinge"}
    return auto_encoder(task, init="pretrain" if plain else start, **parameters)


def main(options: argparse.Namespace) -> None:
    """Run what is missing, then write the table and the picture."""
    done: set[tuple] = set()
    if options.out.exists():
        table = pd.read_csv(options.out)
        done = set(table[FIELDS[:-1]].itertuples(index=False, name=None))
    plan = [Run("features", 0.0, 0.0, {}), *runs()]
    for name in options.sets:
        images, thresholds, radius = image_set(name, options)
        store = options.cache / "reduced"
        for repetition, train, test in folds(images.groups, options.repetitions):
            path = store / f"{name}-lowlevel-{repetition}"
            inputs = Inputs(images, "lowlevel", train, test, radius, path)
            task = Task(inputs, np.arange(len(train)), None, repetition)
            known: dict[str, str] = {}
            for one in plan:
                row = (name, options.start, one.ablation, float(one.x), float(one.y), repetition)
                if row in done or (options.ablations and one.ablation not in options.ablations):
                    continue
                # The same setting stands in several pictures.
                key = json.dumps(one.parameters, sort_keys=True)
                if key not in known:
                    embedded = embed(task, options.start, one.parameters)
                    met = hits(*embedded, inputs.places, images.coordinates[test], thresholds)
                    known[key] = "".join(map(str, met))
                append(options.out, dict(zip(FIELDS, (*row, known[key]), strict=True)))
            print(f"{name}, repetition {repetition}: done", flush=True)
    results = pd.read_csv(options.out, dtype={"hits": str})
    summary = {name: summarise(results, name, options) for name in options.sets}
    for name, lines in summary.items():
        print(f"\n{name}\n{lines.to_string(index=False, float_format='%.1f'.__mod__)}")
    if options.png:
        draw(summary, options.png)


def append(path: Path, row: dict[str, Any]) -> None:
    """Add a line to the file."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def summarise(results: pd.DataFrame, name: str, options: argparse.Namespace) -> pd.DataFrame:
    """Percent at each setting, averaged over the thresholds, and the gain over its reference."""
    images, thresholds, _ = image_set(name, options)
    rows = results[(results["set"] == name) & (results["start"] == options.start)]
    scores = {
        key: 100 * pooled(group, images) / len(thresholds)
        for key, group in rows.groupby(["ablation", "x", "y"])
    }
    lines = []
    for (ablation, x, y), score in scores.items():
        reference = scores[REFERENCE.get(ablation, (ablation, 0.0, 0.0))]
        known = ~np.isnan(score) & ~np.isnan(reference)
        gain, half = interval((score - reference)[known], images.areas[known])
        lines.append((ablation, x, y, float(np.nanmean(score)), gain, half))
    return pd.DataFrame(lines, columns=["ablation", "x", "y", "percent", "gain", "half_width"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", default=["africa"], choices=["africa", *SETS])
    parser.add_argument("--start", default="pretrain", choices=["pretrain", "marginal-fisher"])
    parser.add_argument("--ablations", nargs="+", help="of features, alpha-beta, k1, k2, depth")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of the features")
    parser.add_argument("--out", type=Path, required=True, help="CSV of results, added to")
    parser.add_argument("--png", type=Path, help="where to draw")
    main(parser.parse_args())
