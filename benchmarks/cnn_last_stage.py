"""Is it worth while to fine-tune the CNN's last stage under the pair terms?

EfficientNet-Lite0's last block and head are trained on P and Q of its own pooled activations, with
the pair terms that `DGAETransformer` trains with, the rest frozen. Percent of queries within the
set's thresholds (mean) after 0, 1, 2, ... epochs: 1-NN of the activations ("1-NN"), and of the
linear layer on them ("linear"). Folds as in embedding.py.

    python benchmarks/cnn_last_stage.py [--sets sf mexico] [--epochs 3] [--rate 1e-4]
        [--cache FOLDER] [--data ../shared/data]
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from embedding import hits
from embedding_data import CACHE, SETS, folds, load
from torch import nn

from skgeo.cluster import POIMeanShift
from skgeo.embedding import MarginalFisherTransformer
from skgeo.embedding._batches import PairData, PairGraph, Places, SampledBatches
from skgeo.embedding._objective import soft_pull, soft_push
from skgeo.features import BlockScaler, CNNFeatures
from skgeo.pairs import InconsistencyPairs

MARGIN, TEMPERATURE = 0.5, 0.4


class LastStage(nn.Module):
    """What is trained: maps of the block before it to pooled activations."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.block = copy.deepcopy(network.blocks[-1])
        self.head = copy.deepcopy(network.head)
        self.pool = copy.deepcopy(network.pool)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Pooled activations of some maps."""
        return self.pool(self.head(self.block(maps)))


def maps_before(images: list) -> tuple[np.ndarray, nn.Module]:
    """Input of the last block for all images, and the network."""
    cnn = CNNFeatures().fit(images)
    network, maps = cnn.module_, []
    hook = network.blocks[-2].register_forward_hook(lambda *a: maps.append(a[2].numpy().copy()))
    cnn.transform(images)
    hook.remove()
    return np.concatenate(maps), network


def pooled(stage: LastStage, maps: np.ndarray) -> np.ndarray:
    """Pooled activations of all images."""
    with torch.inference_mode():
        parts = [stage(torch.from_numpy(maps[i : i + 64])) for i in range(0, len(maps), 64)]
    return torch.cat(parts).numpy()


def pairs_within(radius_km: float) -> InconsistencyPairs:
    """P and Q for POIs of some size."""
    poi = POIMeanShift(radius_km, metric="haversine")
    return InconsistencyPairs(5, 50, method="exact", poi=poi)


def accuracies(
    activations: np.ndarray,
    places: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    thresholds_km: tuple[float, ...],
) -> tuple[float, float]:
    """Percent by 1-NN of the activations, and of the linear layer on them."""
    rows = BlockScaler(normalize="l2").fit(activations[train]).transform(activations)
    layer = MarginalFisherTransformer(pairs=pairs_within(thresholds_km[0]))
    layer.fit(rows[train], places[train])
    percent = []
    for embedded in (rows, layer.transform(rows)):
        parts = embedded[train], embedded[test], places[train], places[test]
        percent.append(100 * hits(*parts, thresholds_km).mean() / len(thresholds_km))
    return percent[0], percent[1]


def epochs(
    stage: LastStage,
    maps: np.ndarray,
    places: np.ndarray,
    radius_km: float,
    options: argparse.Namespace,
    seed: int,
) -> Iterator[None]:
    """Train on maps and their places; yield after every epoch."""
    start = pooled(stage, maps)
    rows = BlockScaler(normalize="l2").fit_transform(start)
    graphs = pairs_within(radius_km).fit(rows, places)
    data = PairData(
        maps,
        PairGraph(graphs.same_area_, None),
        PairGraph(graphs.easy_confusing_, None),
        places=Places(np.asarray(graphs.labels_)),
    )
    centre = torch.from_numpy(start.mean(axis=0))
    optimizer = torch.optim.AdamW(stage.parameters(), lr=options.rate, weight_decay=0.01)
    rng = np.random.default_rng(seed)
    for _ in range(options.epochs):
        for batch, info in SampledBatches(data, 64, 1, rng, "cpu"):
            codes = nn.functional.normalize(stage(batch) - centre, dim=1)
            loss = soft_pull(codes, info.same_area, MARGIN, TEMPERATURE)
            loss = loss + soft_push(codes, info.crowd, info.n_anchors, MARGIN, TEMPERATURE)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        yield


def main(options: argparse.Namespace) -> None:
    """Train on every fold and print the mean of the folds after each epoch."""
    torch.set_num_threads(1)
    for name in options.sets:
        loaded = load(name, options.data, options.cache)
        maps, network = maps_before(SETS[name].load(options.data)[0])
        thresholds, places = SETS[name].thresholds_km, loaded.coordinates
        found = []
        for repetition, train, test in folds(loaded.groups, 5):
            torch.manual_seed(repetition)
            stage = LastStage(network).eval().requires_grad_(True)
            steps = epochs(stage, maps[train], places[train], thresholds[0], options, repetition)
            split = places, train, test, thresholds
            found.append([accuracies(pooled(stage, maps), *split)])
            found[-1] += [accuracies(pooled(stage, maps), *split) for _ in steps]
            print(name, repetition, np.round(found[-1], 1).tolist(), flush=True)
        for key, means in zip(("1-NN", "linear"), np.mean(found, axis=0).T, strict=True):
            print(f"{name} {key}: " + "  ".join(f"{x:.1f}" for x in means))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=["sf", "mexico"], default=["sf", "mexico"])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=CACHE)
    main(parser.parse_args())
