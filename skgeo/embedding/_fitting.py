"""Fitting the auto-encoder, from photos and settings to a trained network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ._checkpoint import TrainingCheckpoint, training_key
from ._marginal_fisher import MarginalFisherTransformer
from ._network import AutoEncoder
from ._phases import Fitted, make_judge, run_phases, standardize
from ._photos import Photos
from ._ranks import is_first
from ._residual_fit import fit_residual
from ._settings import Settings
from ._split import MIN_TO_HOLD_OUT, split_by_place, split_within_areas

IntArray = npt.NDArray[np.intp]


def fit_network(
    photos: Photos,
    settings: Settings,
    seed: int,
    rng: np.random.Generator,
    layer: MarginalFisherTransformer | None = None,
    checkpoint: TrainingCheckpoint | None = None,
) -> Fitted:
    """Build, pre-train and train a network.

    Parameters
    ----------
    photos : Photos
        Rows, pairs and places.
    settings : Settings
        Resolved parameters.
    seed : int
        Seeds torch.
    rng : numpy Generator
        Drives everything else.
    layer : MarginalFisherTransformer or None
        The fitted linear layer to start from. The network is then kept only if it locates
        held-out places better than the layer does, and trained again on all photos.
    checkpoint : TrainingCheckpoint or None
        Where to go on from, and where to keep what is done.

    Returns
    -------
    Fitted
        The network, in evaluation mode.
    """
    split = _hold_out(photos, settings, rng)
    # Torch draws from a global generator: seed it, and leave it as it was found.
    with torch.random.fork_rng(devices=[]), _progress(settings, layer is not None) as bar:
        if layer is None:
            torch.manual_seed(seed)
            sizes = [photos.X.shape[1], *settings.hidden_layer_sizes]
            network = AutoEncoder(sizes, settings.activation, settings.output_activation)
            network.noise = settings.noise
            variance = standardize(network, photos.X, settings.scale_free)
            judge = make_judge(photos, photos.X, *split, settings, rng)
            data = photos.data(photos.X, settings, split[0])
            history, best = run_phases(
                network, data, variance, judge, settings, rng, bar, checkpoint=checkpoint
            )
            return Fitted(network.cpu().eval(), variance, history, best)
        return fit_residual(photos, settings, seed, rng, layer, split, bar, checkpoint)


def open_checkpoint(
    folder: Any,
    photos: Photos,
    settings: Settings,
    seed: int,
    rng: np.random.Generator,
    layer: MarginalFisherTransformer | None,
) -> TrainingCheckpoint | None:
    """The checkpoint of the training that `fit_network` is going to be, or None without one."""
    if folder is None:
        return None
    fitted = None if layer is None else [layer.mean_, layer.components_]
    graphs = None if photos.graphs is None else list(photos.graphs)
    data = [photos.X, graphs, photos.labels, photos.coordinates, photos.min_distance_km, fitted]
    return TrainingCheckpoint(
        folder,
        lambda: training_key(settings, seed, rng, *data),
        rng,
        settings.device,
        settings.verbose,
    )


def _hold_out(
    photos: Photos, settings: Settings, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Rows to train on, and rows that tell when to stop (none if there are too few)."""
    n, labels, fraction = len(photos.X), photos.labels, settings.validation_fraction
    everything, nothing = np.arange(n), np.arange(0)
    if not settings.early_stopping or n < MIN_TO_HOLD_OUT:
        return everything, nothing
    if labels is not None and photos.coordinates is None:
        kept, held_out = split_within_areas(labels, fraction, rng)
    else:
        kept, held_out = split_by_place(labels, n, fraction, rng)
    if len(held_out) == 0 or len(kept) == 0:
        return everything, nothing
    return kept, held_out


@contextlib.contextmanager
def _progress(settings: Settings, residual: bool) -> Iterator[Any]:
    """A bar with one tick for each epoch there may be, or None."""
    if not settings.verbose or not is_first():
        yield None
        return
    from tqdm.auto import tqdm

    total = settings.pretrain_epochs * len(settings.hidden_layer_sizes) + settings.max_epochs
    if residual and settings.refit and settings.early_stopping:
        total *= 2
    with tqdm(total=total, unit="epoch") as bar:
        yield bar
