"""Fitting the auto-encoder, from rows, pairs and settings to a trained network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from .._geodesy import km_to_chord, to_unit_vectors
from ._batches import FullBatch, PairData, PairGraph, Places, SampledBatches
from ._checkpoint import TrainingCheckpoint, training_key
from ._holdout import (
    GeographicScore,
    ReconstructionScore,
    best_epoch,
    parts_by_place,
    split_by_place,
    split_within_areas,
)
from ._marginal_fisher import MarginalFisherTransformer
from ._monitor import Validate
from ._network import AutoEncoder, LinearLayer, ResidualAutoEncoder
from ._objective import GeoObjective
from ._pretrain import pretrain
from ._ranks import from_first, is_first
from ._representation import apply_layer
from ._settings import Settings
from ._start import trial_layer
from ._training import train

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]
History = list[dict[str, Any]]

#: Fewer photos than this are all needed for training: nothing is held out.
_MIN_TO_HOLD_OUT = 50

#: On the linear layer further parts are held out, one after the other, until so many photos have
#: been: fewer cannot tell the network from its start.
_ENOUGH_HELD_OUT = 1000


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


class Fitted(NamedTuple):
    """A trained network on the CPU, the variance of its input, and how it came about."""

    network: AutoEncoder
    variance: float
    history: History
    best_epoch: int


class Photos(NamedTuple):
    """What is known of the training photos; everything but the rows may be None."""

    X: Float32Array
    graphs: PairGraphs | None
    labels: IntArray | None
    coordinates: npt.NDArray[np.float64] | None
    min_distance_km: float = 0.0

    def data(
        self, inputs: Float32Array, settings: Settings, rows: IntArray | None = None
    ) -> PairData:
        """The rows ``inputs`` with their pairs, as batches are drawn from them."""
        same, easy = (None, None) if self.graphs is None else self.graphs.sampled(settings, rows)
        places = None
        if self.labels is not None and settings.pair_loss == "multi-similarity":
            places = Places(self.labels)
            if self.coordinates is not None and self.min_distance_km > 0:
                positions = to_unit_vectors(self.coordinates).astype(np.float32)
                places = Places(self.labels, positions, float(km_to_chord(self.min_distance_km)))
        return PairData(inputs, same, easy, rows, places)


def pair_photos(X: Float32Array, pairs: Any, coordinates: npt.NDArray[np.float64] | None) -> Photos:
    """Photos with the pairs that a fitted finder found among them."""
    graphs = PairGraphs(pairs.same_area_, pairs.easy_confusing_, int(pairs.k1), int(pairs.k2))
    labels = np.asarray(pairs.labels_, dtype=np.intp)
    return Photos(X, graphs, labels, coordinates, float(getattr(pairs, "min_distance_km", 0.0)))


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


def _hold_out(
    photos: Photos, settings: Settings, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Rows to train on, and rows that tell when to stop (none if there are too few)."""
    n, labels, fraction = len(photos.X), photos.labels, settings.validation_fraction
    everything, nothing = np.arange(n), np.arange(0)
    if not settings.early_stopping or n < _MIN_TO_HOLD_OUT:
        return everything, nothing
    if labels is not None and photos.coordinates is None:
        kept, held_out = split_within_areas(labels, fraction, rng)
    else:
        kept, held_out = split_by_place(labels, n, fraction, rng)
    if len(held_out) == 0 or len(kept) == 0:
        return everything, nothing
    return kept, held_out


def _judge(
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
    kept, held_out = _hold_out(photos, settings, rng)
    # Torch draws from a global generator: seed it, and leave it as it was found.
    with torch.random.fork_rng(devices=[]), _progress(settings, layer is not None) as bar:
        if layer is None:
            torch.manual_seed(seed)
            sizes = [photos.X.shape[1], *settings.hidden_layer_sizes]
            network = AutoEncoder(sizes, settings.activation, settings.output_activation)
            network.noise = settings.noise
            variance = standardize(network, photos.X, settings.scale_free)
            judge = _judge(photos, photos.X, kept, held_out, settings, rng)
            data = photos.data(photos.X, settings, kept)
            history, best = _run(
                network, data, variance, judge, settings, rng, bar, checkpoint=checkpoint
            )
            return Fitted(network.cpu().eval(), variance, history, best)
        split = kept, held_out
        return _fit_residual(photos, settings, seed, rng, layer, split, bar, checkpoint)


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


def _fit_residual(
    photos: Photos,
    settings: Settings,
    seed: int,
    rng: np.random.Generator,
    layer: MarginalFisherTransformer,
    split: tuple[IntArray, IntArray],
    bar: Any,
    checkpoint: TrainingCheckpoint | None,
) -> Fitted:
    kept, held_out = split

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
        network: ResidualAutoEncoder, z: Float32Array, variance: float, rows: IntArray, **more: Any
    ) -> tuple[History, int]:
        below, network.below = network.below, None
        data = photos.data(z, settings, rows)
        more["checkpoint"] = checkpoint
        found = _run(network, data, variance, more.pop("judge", None), settings, rng, bar, **more)
        network.cpu().below = below
        return found

    history: History = []
    n_epochs = 0 if settings.early_stopping else settings.max_epochs
    parts = [(kept, held_out)] if len(held_out) else []
    if parts and settings.refit and photos.labels is not None and photos.coordinates is not None:
        n_parts = -(-_ENOUGH_HELD_OUT // len(held_out))
        n, fraction = len(photos.X), settings.validation_fraction
        parts = parts_by_place(photos.labels, n_parts, n, fraction, rng) or parts
    if bar is not None:
        bar.total += settings.max_epochs * (len(parts) - 1)
    trials: list[list[npt.NDArray[np.float64]]] = []
    groups = []
    for i, (kept, held_out) in enumerate(parts):
        network, z, variance = start(from_first(trial_layer, layer, photos.X, kept))
        judge = _judge(photos, z, kept, held_out, settings, rng)
        assert isinstance(judge, GeographicScore)
        trials.append([])
        groups.append(judge.groups)
        phase = "train" if i == 0 else f"train-{i + 1}"
        more = {"judge": judge, "scores": trials[-1], "phase": phase}
        found, n_epochs = run(network, z, variance, kept, **more)
        history += found
        if n_epochs and not settings.refit:
            return Fitted(network.eval(), variance, history, n_epochs)
        del z, judge
    if trials:
        n_epochs = best_epoch(trials, groups)
    network, z, variance = start(layer)
    if n_epochs:
        phase = "refit" if len(held_out) else "train"
        rows = np.arange(len(photos.X))
        again, _ = run(network, z, variance, rows, phase=phase, max_epochs=n_epochs)
        history += again
    return Fitted(network.eval(), variance, history, n_epochs)


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


def _run(
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
