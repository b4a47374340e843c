"""Fitting the auto-encoder, from rows, pairs and settings to a trained network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ._batches import FullBatch, PairData, PairGraph, SampledBatches
from ._holdout import GeographicScore, ReconstructionScore, split_by_place, split_within_areas
from ._network import AutoEncoder
from ._objective import GeoObjective
from ._settings import Settings
from ._training import pretrain, train

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]
History = list[dict[str, Any]]

#: Fewer photos than this are all needed for training: nothing is held out.
_MIN_TO_HOLD_OUT = 50

#: Step of `finetune` as a share of the peak learning rate of the full training: the codes must
#: not run away from those of the gallery.
_FINETUNE_RATE = 0.1


class PairGraphs(NamedTuple):
    """P and Q of some rows, and the k1 and k2 that Eq. (4) divides by."""

    same_area: Any
    easy_confusing: Any
    k1: int
    k2: int

    def sampled(
        self, settings: Settings, rows: IntArray | None = None
    ) -> tuple[PairGraph, PairGraph]:
        """The graphs as batches are drawn from them, restricted to some rows."""
        by_k = settings.pair_weighting == "k"
        return (
            PairGraph(self.same_area, self.k1 if by_k else None, rows),
            PairGraph(self.easy_confusing, self.k2 if by_k else None, rows),
        )


def make_objective(settings: Settings, variance: float) -> GeoObjective:
    """The objective that the settings ask for."""
    objective = GeoObjective(
        settings.alpha,
        settings.beta,
        settings.gamma,
        scale_free=settings.scale_free,
        margin=settings.margin,
        code_size=settings.hidden_layer_sizes[-1],
    )
    objective.variance.fill_(variance)
    return objective


def standardize(network: AutoEncoder, X: Float32Array, scale_free: bool) -> float:
    """Set the units that the network works in; return the variance of the rows in them.

    The scale-free form moves the mean to 0 and the mean square of an entry to 1: one shift and
    one scale for all columns, so that the blocks keep their proportions. The paper's form takes
    the rows as they are.
    """
    mean = X.mean(axis=0, dtype=np.float64)
    variance = 0.0
    for start in range(0, len(X), 4096):
        variance += float(np.square(X[start : start + 4096] - mean).sum())
    variance /= len(X)
    if not scale_free or variance == 0.0:
        return variance or 1.0
    scale = np.sqrt(variance / X.shape[1])
    network.shift.copy_(torch.from_numpy(mean))
    network.scale.fill_(scale)
    return float(variance / scale**2)


def _hold_out(
    X: Float32Array,
    labels: IntArray | None,
    coordinates: npt.NDArray[np.float64] | None,
    settings: Settings,
    rng: np.random.Generator,
) -> tuple[IntArray, Callable[[nn.Module], float] | None]:
    """Rows to train on, and the score of the others."""
    everything = np.arange(len(X))
    if not settings.early_stopping or len(X) < _MIN_TO_HOLD_OUT:
        return everything, None
    if labels is not None and coordinates is None:
        train_rows, held_out = split_within_areas(labels, settings.validation_fraction, rng)
    else:
        train_rows, held_out = split_by_place(labels, len(X), settings.validation_fraction, rng)
    if len(held_out) == 0 or len(train_rows) == 0:
        return everything, None
    if labels is None:
        return train_rows, ReconstructionScore(X, held_out, rng=rng)
    score = GeographicScore(
        X,
        train_rows,
        held_out,
        coordinates=coordinates,
        labels=labels,
        output=settings.output,
        rng=rng,
    )
    return train_rows, score


def _step_settings(settings: Settings, n_rows: int) -> dict[str, Any]:
    """How a step is made: what `train` and `pretrain` have in common."""
    full = settings.batch_size == "full"
    return {
        "batches": FullBatch if full and not settings.scale_free else SampledBatches,
        "batch_size": n_rows if full else min(int(settings.batch_size), n_rows),
        "n_partners": settings.n_partners,
        "optimizer": torch.optim.Adam if settings.scale_free else torch.optim.SGD,
        "learning_rate": settings.learning_rate,
        "schedule": "one-cycle" if settings.scale_free else "decay",
        "device": settings.device,
    }


def fit_network(
    X: Float32Array,
    graphs: PairGraphs | None,
    labels: IntArray | None,
    coordinates: npt.NDArray[np.float64] | None,
    settings: Settings,
    seed: int,
    rng: np.random.Generator,
) -> tuple[AutoEncoder, float, History]:
    """Build, pre-train and train a network.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        Rows, float32.
    graphs : PairGraphs or None
        P and Q over the rows; None for the plain auto-encoder.
    labels : ndarray of shape (n,) or None
        POI of each row, by which rows are held out.
    coordinates : ndarray of shape (n, 2) or None
        Locations, by which held-out rows are scored.
    settings : Settings
        Resolved parameters.
    seed : int
        Seeds torch.
    rng : numpy Generator
        Drives everything else.

    Returns
    -------
    network : AutoEncoder
        Trained, on the CPU.
    variance : float
        Variance of the rows in the units of the network.
    history : list of dict
        One row for each epoch.
    """
    # Torch draws from a global generator: seed it, and leave it as it was found.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = AutoEncoder(
            [X.shape[1], *settings.hidden_layer_sizes],
            settings.activation,
            settings.output_activation,
        )
        variance = standardize(network, X, settings.scale_free)
        rows, validate = _hold_out(X, labels, coordinates, settings, rng)
        same, easy = (None, None) if graphs is None else graphs.sampled(settings, rows)
        data = PairData(X, same, easy, rows)
        objective = make_objective(settings, variance)
        history = _run(network, objective, data, validate, settings, rng)
    return network.cpu().eval(), variance, history


def _run(
    network: AutoEncoder,
    objective: GeoObjective,
    data: PairData,
    validate: Callable[[nn.Module], float] | None,
    settings: Settings,
    rng: np.random.Generator,
) -> History:
    """Pre-training and the main phase, under one progress bar."""
    steps = _step_settings(settings, len(data))
    bar = None
    if settings.verbose:
        from tqdm.auto import tqdm

        total = settings.pretrain_epochs * len(network.encoder) + settings.max_epochs
        bar = tqdm(total=total, unit="epoch")
    history: History = []
    try:
        if settings.pretrain_epochs:
            history += pretrain(
                network,
                data,
                gamma=settings.gamma,
                scale_free=settings.scale_free,
                epochs=settings.pretrain_epochs,
                rng=rng,
                bar=bar,
                **steps,
            )
        history += train(
            network,
            objective,
            data,
            phase="train",
            max_epochs=settings.max_epochs,
            tol=settings.tol,
            validate=validate,
            patience=settings.n_iter_no_change,
            rng=rng,
            callbacks=tuple(settings.callbacks or ()),
            bar=bar,
            **steps,
        )
    finally:
        if bar is not None:
            bar.close()
    return history


def finetune(
    network: AutoEncoder,
    X: Float32Array,
    anchors: IntArray,
    graphs: PairGraphs | None,
    centre: npt.NDArray[np.float64],
    variance: float,
    settings: Settings,
    rng: np.random.Generator,
) -> History:
    """Take small steps on some rows of a trained network, in place (section 4.6)."""
    same, easy = (None, None) if graphs is None else graphs.sampled(settings)
    data = PairData(X, same, easy, anchors)
    objective = make_objective(settings, variance)
    objective.centre.copy_(torch.from_numpy(centre))
    steps = _step_settings(settings, len(data))
    steps.update(
        batches=SampledBatches,
        schedule=None,
        learning_rate=settings.learning_rate * _FINETUNE_RATE,
    )
    history = train(
        network,
        objective,
        data,
        phase="partial",
        max_epochs=settings.finetune_epochs,
        rng=rng,
        **steps,
    )
    network.cpu().eval()
    return history
