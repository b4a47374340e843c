"""How the linear layer weighs pairs, and how unequal its axes are, by held-out places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._progress import progress
from ._held_out_places import HeldOutPlaces, clustered_standard_error, pool_places
from ._linear_map import LinearProblem
from ._principal import shorten
from ._split import MIN_TO_HOLD_OUT, parts_by_place, parts_within_areas

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

#: The ways to weigh pairs, and the exponents that are tried with each; the first without evidence.
EXPONENTS = {"softmax": (0.75, 0.5, 1.0), "uniform": (0.5, 0.75, 1.0)}

#: At most so many parts are held out, one after the other; a part is a tenth of the photos, or
#: so many of them where a tenth is more.
_N_PARTS = 10
_PART_SIZE = 1000

#: No more parts than have so many photos.
_ENOUGH_HELD_OUT = 4000

#: In a trial so many photos give soft weights: half as many as in a fit.
_MAX_ANCHORS = 2000


class MapChoice(NamedTuple):
    """A kind of map, and how well it located held-out places.

    Attributes
    ----------
    weighting : {"softmax", "uniform"}
        How pairs are weighed.
    exponent : float
        Axes count by this power of their eigenvalue.
    score : float
        Mean score of held-out photos (`HeldOutPlaces`), or NaN without any.
    gain : float
        The score less that of the first map.
    standard_error : float
        Of the gain; photos of one place are counted as one draw.
    """

    weighting: str
    exponent: float
    score: float = np.nan
    gain: float = 0.0
    standard_error: float = np.nan


def map_choices(weighting: str, exponent: float | str) -> list[MapChoice]:
    """All maps of one weighting, or of each, with one exponent, or with all that are tried."""
    return [
        MapChoice(w, float(e))
        for w in (EXPONENTS if weighting == "auto" else [weighting])
        for e in (EXPONENTS[w] if isinstance(exponent, str) else [exponent])
    ]


def choose_map(
    problem: LinearProblem,
    choices: Sequence[MapChoice],
    *,
    n_components: int | None,
    power: float,
    verbose: int = 0,
) -> tuple[MapChoice, list[MapChoice]]:
    """Choose the map that locates photos of places that it has not seen best.

    Parts of the photos, whole places, are held out one after the other. Each map is fitted to the
    pairs of the others, and the photos held out are located among all others (`HeldOutPlaces`).
    The first map is left only for one that is better by more than a standard error. Where no
    coordinates are known the labels are areas that are to be found, and each part takes photos
    of every one.

    Parameters
    ----------
    problem : LinearProblem
        Vectors, pairs and places.
    choices : sequence of MapChoice
        What to compare, the first is the one to beat.
    n_components : int or None
        How many axes are kept.
    power : float
        Output is divided by this power of its length.
    verbose : int
        Above 0: a progress bar over the parts.

    Returns
    -------
    chosen : MapChoice
        One of the candidates.
    candidates : list of MapChoice
        The choices, with their scores.
    """
    candidates = list(choices)
    X, coordinates = problem.X, problem.coordinates
    if len(candidates) == 1 or len(X) < MIN_TO_HOLD_OUT:
        return candidates[0], candidates
    # Whatever the places are called, the parts are the same.
    names = np.asarray(problem.labels)
    _, seen, numbers = np.unique(names, return_index=True, return_inverse=True)
    labels = np.argsort(np.argsort(seen))[numbers]
    scores: list[list[FloatArray]] = []
    groups: list[IntArray] = []
    # The parts are the same in every fit: the layer has no other use for random numbers.
    rng = np.random.default_rng(0)
    parts = _parts(labels, coordinates, rng)
    for kept, held_out in progress(
        parts, verbose=verbose, total=len(parts), desc="choose weights", unit="part"
    ):
        left = problem.without(held_out)
        if left is None:
            continue
        judge = HeldOutPlaces(kept, held_out, coordinates=coordinates, labels=labels, rng=rng)
        rows = X[judge.chosen].astype(np.float64)
        axes = {w: left.axes(w, _MAX_ANCHORS) for w in {c.weighting for c in candidates}}
        along = {w: rows @ vectors[:, :n_components] for w, (_, vectors) in axes.items()}
        scores.append([])
        groups.append(judge.groups)
        for choice in candidates:
            values = axes[choice.weighting][0][:n_components]
            z = along[choice.weighting] * values**choice.exponent
            scores[-1].append(judge.scores(_closeness(z, judge.n_queries, power)))
    if not scores:
        return candidates[0], candidates
    pooled = [np.concatenate(each) for each in zip(*scores, strict=True)]
    places = pool_places(groups)
    candidates = [
        choice._replace(
            score=float(score.mean()),
            gain=float((score - pooled[0]).mean()),
            standard_error=clustered_standard_error(score - pooled[0], places),
        )
        for choice, score in zip(candidates, pooled, strict=True)
    ]
    best = max(candidates, key=lambda candidate: candidate.gain)
    return best if best.gain > best.standard_error else candidates[0], candidates


def _parts(
    labels: npt.NDArray[Any], coordinates: FloatArray | None, rng: np.random.Generator
) -> list[tuple[IntArray, IntArray]]:
    """Rows kept and held out, for each part."""
    size = min(len(labels) / _N_PARTS, _PART_SIZE)
    n_parts = min(_N_PARTS, int(np.ceil(_ENOUGH_HELD_OUT / size)))
    divide: Callable[..., Any] = parts_within_areas if coordinates is None else parts_by_place
    parts: list[tuple[IntArray, IntArray]] = divide(labels, n_parts, size / len(labels), rng)
    return parts


def _closeness(z: FloatArray, n_queries: int, power: float) -> FloatArray:
    """Minus half the squared distance of the first rows to all, up to a query's own."""
    z = shorten(z, power)
    closeness: FloatArray = z[:n_queries] @ z.T
    closeness -= np.square(z).sum(axis=1) / 2.0
    return closeness
