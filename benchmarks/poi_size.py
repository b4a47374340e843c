"""How many photos should a POI hold? The linear layer and DGAE on POIs of several radii.

1-NN accuracy, mean over the set's thresholds, on folds of `embedding.py`, everything else as its
fixed settings; beside each radius how many photos the POI of the median photo holds.

    python benchmarks/poi_size.py [--set bluemarble] [--features lowlevel] [--folds 0 1]
        [--radii 1 1.5 2 3 4] [--systems linear DGAE] [--data ../shared/data] [--cache FOLDER]

Radii are multiples of the set's smallest threshold.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from embedding import hits
from embedding_data import CACHE, SETS, folds, load
from embedding_systems import SYSTEMS, Inputs, Task


def main() -> None:
    """Print a line a fold, system and radius."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="bluemarble", choices=SETS)
    parser.add_argument("--features", default="lowlevel")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--radii", type=float, nargs="+", default=[1.0, 1.5, 2.0, 3.0, 4.0])
    parser.add_argument("--systems", nargs="+", default=["linear", "DGAE"], choices=SYSTEMS)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=CACHE)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = load(options.set, options.data, options.cache)
    thresholds = SETS[options.set].thresholds_km
    print(f"{'fold':>4}  {'system':8}{'radius km':>10}{'photos':>8}{'percent':>9}")
    for fold, train, test in folds(images.groups, 5):
        if fold not in options.folds:
            continue
        store = options.cache / "reduced" / f"{options.set}-{options.features}-{fold}"
        inputs = Inputs(images, options.features, train, test, thresholds[0], store)
        task = Task(inputs, np.arange(len(train)), None, fold)
        for radius in options.radii:
            labels = task.poi(radius).fit(task.places).labels_
            median = np.median(np.bincount(labels)[labels])
            for name in options.systems:
                system = SYSTEMS[name]
                embedded = system.embed(task, **{**system.fixed, "radius": radius})
                found = hits(*embedded, inputs.places, images.coordinates[test], thresholds)
                percent = 100 * found.mean() / len(thresholds)
                print(
                    f"{fold:4}  {name:8}{radius * thresholds[0]:10g}{median:8.0f}{percent:9.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
