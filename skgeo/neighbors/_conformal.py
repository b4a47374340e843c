"""Radii that hold with a stated probability: conformal prediction over places.

Split conformal prediction (Vovk; Lei et al. 2018) with normalised scores: the errors of held-out
photos are divided by a guess of their size, and the quantile of these ratios, times the guess for a
new photo, is its radius. Photos of one place fail together, so places are what is exchangeable:
each counts once, shared among its photos, and one place more, of which the worst is assumed,
stands for the new one (Dunn, Wasserman, Ramdas 2023; Lee, Barber, Willett 2023).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from skgeo._geodesy import EARTH_RADIUS_KM, great_circle_km, spherical_mean, to_unit_vectors

FloatArray = npt.NDArray[np.float64]

#: Half of the Earth's circumference in km: no error is larger.
FARTHEST_KM = math.pi * EARTH_RADIUS_KM
#: Part of the gallery's spread that is added to that of the neighbours.
_FLOOR = 0.02


class Calibration(NamedTuple):
    """What held-out photos have taught.

    Attributes
    ----------
    scores : ndarray of shape (n,)
        Errors divided by the guesses of their size, ascending.
    weights : ndarray of shape (n,)
        Weight of each: 1 shared among the photos of a place.
    n_places : int
        Number of places, the sum of the weights.
    settings : dict
        Parameters of the estimator at that time.
    """

    scores: FloatArray
    weights: FloatArray
    n_places: int
    settings: dict[str, Any]


def spread_km(estimates: FloatArray, neighbors: FloatArray, gallery: FloatArray) -> FloatArray:
    """Guess how large the error is: how far from the estimate the neighbours are, on average.

    Parameters
    ----------
    estimates : ndarray of shape (n_queries, 2)
        Estimated places in degrees.
    neighbors : ndarray of shape (n_queries, k, 2)
        Places of the neighbours.
    gallery : ndarray of shape (n_samples, 2)
        All places; a fiftieth of how far they are from their mean is added, so that no guess is 0.

    Returns
    -------
    ndarray of shape (n_queries,)
        Positive numbers of km.
    """
    around: FloatArray = great_circle_km(estimates[:, None], neighbors).mean(axis=1)
    middle = to_unit_vectors(gallery).mean(axis=0)
    if np.linalg.norm(middle) < 1e-9:
        of_gallery = FARTHEST_KM / 2.0
    else:
        of_gallery = float(great_circle_km(spherical_mean(gallery), gallery).mean())
    around += _FLOOR * of_gallery
    # A gallery of one place has no scale: any constant will do.
    around[around == 0.0] = 1.0
    return around


def learn_scores(
    errors: FloatArray,
    guesses: FloatArray,
    groups: npt.NDArray[Any] | None,
    settings: dict[str, Any],
) -> Calibration:
    """Put held-out errors in order.

    Parameters
    ----------
    errors, guesses : ndarray of shape (n,)
        Errors in km and guesses of their size, positive.
    groups : ndarray of shape (n,) or None
        Place of each photo; None: each is a place of its own.
    settings : dict
        Kept with the outcome.
    """
    scores = errors / guesses
    if groups is None:
        weights, n_places = np.ones(len(scores)), len(scores)
    else:
        _, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
        weights, n_places = 1.0 / counts[place], len(counts)
    order = np.argsort(scores, kind="stable")
    return Calibration(scores[order], weights[order], n_places, settings)


def least_places(confidence: float) -> int:
    """Fewest places from which a radius with this confidence can be learned."""
    return max(1, math.ceil(confidence / (1.0 - confidence) * (1.0 - 1e-12)))


def score_quantile(calibration: Calibration, confidence: float) -> float:
    """Smallest score that a new place stays below with this confidence; inf if unknown.

    The smallest ``t`` such that the places' shares with scores of at most ``t`` sum to
    ``confidence * (n_places + 1)``: the place that is to come counts as one that fails.
    """
    reached = np.cumsum(calibration.weights)
    needed = confidence * (calibration.n_places + 1)
    # Shares such as 1/3 + 1/3 + 1/3 round.
    position = int(np.searchsorted(reached, needed - 1e-9 * calibration.n_places))
    return float(calibration.scores[position]) if position < len(reached) else math.inf


def radii_km(guesses: FloatArray, calibration: Calibration, confidence: float) -> FloatArray:
    """Radius of each query; half of the Earth's circumference where nothing less is sure."""
    quantile = score_quantile(calibration, confidence)
    if math.isinf(quantile):
        return np.full(len(guesses), FARTHEST_KM)
    radii: FloatArray = np.minimum(guesses * quantile, FARTHEST_KM)
    return radii
