"""What the phases of a training are made of, from the settings to their history."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ._batches import FullBatch, PairData, SampledBatches
from ._checkpoint import TrainingCheckpoint
from ._holdout import GeographicScore, ReconstructionScore
from ._monitor import Validate
from ._network import AutoEncoder
from ._objective import GeoObjective
from ._photos import Photos
from ._pretrain import pretrain
from ._settings import Settings
from ._training import train

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]
History = list[dict[str, Any]]


class Fitted(NamedTuple):
    """A trained network on the CPU, the variance of its input, and how it came about."""

    network: AutoEncoder
    variance: float
    history: History
    best_epoch: int


def make_objective(settings: Settings, variance: float, network: AutoEncoder) -> GeoObjective:
    """The objective that the settings ask for."""
    objective = GeoObjective(
        settings.alpha,
        settings.beta,
        settings.gamma,
        scale_free=settings.scale_free,
        margin=settings.margin,
        code_size=network.block_sizes[-1],
        pair_loss=settings.pair_loss,
        temperature=settings.temperature,
        unit_codes=network.has_unit_codes,
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


def make_judge(
    photos: Photos,
    inputs: Float32Array,
    kept: IntArray,
    held_out: IntArray,
    settings: Settings,
    rng: np.random.Generator,
) -> Validate | None:
    """The score of held-out rows."""
    if len(held_out) == 0:
        return None
    if photos.labels is None:
        return ReconstructionScore(inputs, held_out, rng=rng)
    return GeographicScore(
        inputs,
        kept,
        held_out,
        coordinates=photos.coordinates,
        labels=photos.labels,
        output=settings.output,
        rng=rng,
        vectors=photos.X,
    )


def step_settings(settings: Settings, n_rows: int) -> dict[str, Any]:
    """How a step is made: what `train` and `pretrain` have in common."""
    full = settings.batch_size == "full"
    return {
        "batches": FullBatch if full and not settings.scale_free else SampledBatches,
        "batch_size": n_rows if full else min(int(settings.batch_size), n_rows),
        "n_partners": settings.n_partners,
        "optimizer": "adam" if settings.scale_free else "sgd",
        "learning_rate": settings.learning_rate,
        "schedule": "one-cycle" if settings.scale_free else "decay",
        "device": settings.device,
        "precision": settings.precision,
    }


def run_phases(
    network: AutoEncoder,
    data: PairData,
    variance: float,
    judge: Validate | None,
    settings: Settings,
    rng: np.random.Generator,
    bar: Any,
    *,
    phase: str = "train",
    max_epochs: int | None = None,
    scores: list[npt.NDArray[np.float64]] | None = None,
    checkpoint: TrainingCheckpoint | None = None,
) -> tuple[History, int]:
    """Pre-training and the main phase."""
    steps = step_settings(settings, len(data))
    history: History = []
    if settings.pretrain_epochs:
        history += pretrain(
            network,
            data,
            gamma=settings.gamma,
            scale_free=settings.scale_free,
            epochs=settings.pretrain_epochs,
            rng=rng,
            bar=bar,
            checkpoint=checkpoint,
            **steps,
        )
    rows, best = train(
        network,
        make_objective(settings, variance, network),
        data,
        phase=phase,
        max_epochs=max_epochs or settings.max_epochs,
        schedule_epochs=settings.max_epochs,
        tol=settings.tol,
        validate=judge,
        keep_start=network.has_unit_codes,
        scores=scores,
        patience=settings.n_iter_no_change,
        rng=rng,
        callbacks=tuple(settings.callbacks or ()),
        bar=bar,
        checkpoint=checkpoint,
        **steps,
    )
    return history + rows, best
