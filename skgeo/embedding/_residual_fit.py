"""Fitting on top of the linear layer: trials on held-out parts, then all photos."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ._checkpoint import TrainingCheckpoint
from ._holdout import GeographicScore, best_epoch
from ._marginal_fisher import MarginalFisherTransformer
from ._network import LinearLayer, ResidualAutoEncoder
from ._phases import Fitted, History, make_judge, run_phases, standardize
from ._photos import Photos
from ._ranks import from_first
from ._representation import apply_layer
from ._settings import Settings
from ._split import parts_by_place
from ._start import trial_layer

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]

#: Further parts are held out, one after the other, until so many photos have been: fewer cannot
#: tell the network from its start.
_ENOUGH_HELD_OUT = 1000

#: Which places are held out matters, too: there are so many parts at the least, until so many
#: photos have been held out that it does not.
_N_PARTS = 3
_PLENTY_HELD_OUT = 5000


def fit_residual(
    photos: Photos,
    settings: Settings,
    seed: int,
    rng: np.random.Generator,
    layer: MarginalFisherTransformer,
    split: tuple[IntArray, IntArray],
    bar: Any,
    checkpoint: TrainingCheckpoint | None,
) -> Fitted:
    """Train on the layer; parameters as of `fit_network`, ``split`` into kept and held-out rows."""

    def start(fitted: MarginalFisherTransformer) -> tuple[ResidualAutoEncoder, Float32Array, float]:
        torch.manual_seed(seed)
        below = LinearLayer(fitted.mean_, fitted.components_)
        sizes = [len(fitted.components_), *settings.hidden_layer_sizes]
        network = ResidualAutoEncoder(sizes, settings.activation, settings.output_activation)
        network.noise = settings.noise
        z = apply_layer(below, photos.X)
        variance = standardize(network, z, scale_free=True)
        network.below = below
        return network, z, variance

    def run(
        network: ResidualAutoEncoder,
        z: Float32Array,
        variance: float,
        rows: IntArray,
        judge: GeographicScore | None = None,
        **more: Any,
    ) -> tuple[History, int]:
        below, network.below = network.below, None
        data = photos.data(z, settings, rows)
        found = run_phases(
            network, data, variance, judge, settings, rng, bar, checkpoint=checkpoint, **more
        )
        network.cpu().below = below
        return found

    history: History = []
    n_epochs = 0 if settings.early_stopping else settings.max_epochs
    parts = [split] if len(split[1]) else []
    if parts and settings.refit and photos.labels is not None and photos.coordinates is not None:
        n_parts = n_parts_of(len(split[1]))
        parts = parts_by_place(photos.labels, n_parts, settings.validation_fraction, rng) or parts
    if bar is not None:
        bar.total += settings.max_epochs * (len(parts) - 1)
    trials: list[list[npt.NDArray[np.float64]]] = []
    groups = []
    for i, (kept, held_out) in enumerate(parts):
        network, z, variance = start(
            from_first(trial_layer, layer, photos.X, kept, photos.coordinates)
        )
        judge = make_judge(photos, z, kept, held_out, settings, rng)
        assert isinstance(judge, GeographicScore)
        trials.append([])
        groups.append(judge.groups)
        phase = "train" if i == 0 else f"train-{i + 1}"
        found, n_epochs = run(network, z, variance, kept, judge, scores=trials[-1], phase=phase)
        history += found
        if n_epochs and not settings.refit:
            return Fitted(network.eval(), variance, history, n_epochs)
        del z, judge
    if trials:
        n_epochs = best_epoch(trials, groups)
    network, z, variance = start(layer)
    if n_epochs:
        phase = "refit" if parts else "train"
        rows = np.arange(len(photos.X))
        again, _ = run(network, z, variance, rows, phase=phase, max_epochs=n_epochs)
        history += again
    return Fitted(network.eval(), variance, history, n_epochs)


def n_parts_of(size: int) -> int:
    """How many parts of so many photos are to be held out, one after the other."""

    def until(n_photos: int) -> int:
        return -(-n_photos // size)

    return max(until(_ENOUGH_HELD_OUT), min(_N_PARTS, until(_PLENTY_HELD_OUT)))
