"""Figures of estimates that come with an uncertainty: what to answer, and how well it then goes."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from skgeo._geodesy import EARTH_RADIUS_KM
from skgeo._validation import Interval, validate_params

from ._distance import FloatArray, check_sample_weight, great_circle_distance

_BASE: dict[str, list[Any]] = {
    "y_true": ["array-like"],
    "y_pred": ["array-like"],
    "uncertainty": ["array-like"],
    "earth_radius_km": [Interval(Real, 0, None, closed="neither")],
    "sample_weight": ["array-like", None],
}
_THRESHOLD = [Interval(Real, 0, None, closed="left")]
_SHARE = [Interval(Real, 0, 1, closed="right")]


@validate_params(_BASE | {"threshold_km": [*_THRESHOLD, None]}, prefer_skip_nested_validation=True)
def risk_coverage_curve(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    uncertainty: npt.ArrayLike,
    *,
    threshold_km: float | None = None,
    earth_radius_km: float = EARTH_RADIUS_KM,
    sample_weight: npt.ArrayLike | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Risk of the answered places, for every share of them that is answered.

    The places are answered from the least to the most uncertain. The selective risk [1]_ is the
    mean error of those answered so far or, with a threshold, the part of them that is farther off
    than that. An uncertainty that says nothing gives a flat curve, a good one rises to the right.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    uncertainty : array-like of shape (n_samples,)
        How unsure each estimate is, in any unit; only the order counts. Infinite: never sure.
        Places that tie are answered together: their risk is the average over all orders.
    threshold_km : float, default=None
        If given, the risk is the part of the answers with an error above it.
    earth_radius_km : float, default=6371.004
        Radius of the Earth, see `great_circle_distance`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place. Places of weight 0 are left out.

    Returns
    -------
    coverage : ndarray of shape (n_samples,)
        Share of the weight that is answered; rises to 1.
    risk : ndarray of shape (n_samples,)
        Mean error in km of the answers, or the part above `threshold_km`.
    limit : ndarray of shape (n_samples,)
        The uncertainty up to which one answers to reach that coverage.

    Raises
    ------
    ValueError
        If the shapes differ, a row is no place on Earth, or an uncertainty is NaN.

    See Also
    --------
    area_under_risk_coverage : The curve in one figure.
    accuracy_at_coverage_score : One point of it.

    References
    ----------
    .. [1] Geifman and El-Yaniv, "Selective classification for deep neural networks",
       NeurIPS 2017.

    Examples
    --------
    >>> from skgeo.metrics import risk_coverage_curve
    >>> y_true, y_pred = [[0, 0]] * 4, [[0, 0], [0, 0], [0, 90], [0, 0]]
    >>> coverage, risk, limit = risk_coverage_curve(
    ...     y_true, y_pred, uncertainty=[1, 2, 9, 3], threshold_km=25
    ... )
    >>> coverage, risk
    (array([0.25, 0.5 , 0.75, 1.  ]), array([0.  , 0.  , 0.  , 0.25]))
    """
    loss, unsure, weight = _losses(
        y_true, y_pred, uncertainty, threshold_km, earth_radius_km, sample_weight
    )
    cumulative, total_loss, unsure = _ordered_sums(loss, unsure, weight)
    return cumulative / cumulative[-1], total_loss / cumulative, unsure


@validate_params(_BASE | {"threshold_km": [*_THRESHOLD, None]}, prefer_skip_nested_validation=True)
def area_under_risk_coverage(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    uncertainty: npt.ArrayLike,
    *,
    threshold_km: float | None = None,
    earth_radius_km: float = EARTH_RADIUS_KM,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Area under the risk-coverage curve (AURC): the risk, averaged over all coverages.

    The mean of the selective risk after the first, the second, ..., the last answer [1]_. An
    uncertainty that says nothing scores as much as the risk of answering everything.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    uncertainty : array-like of shape (n_samples,)
        How unsure each estimate is, see `risk_coverage_curve`.
    threshold_km : float, default=None
        If given, the risk is the part of the answers with an error above it, else the mean error.
    earth_radius_km : float, default=6371.004
        Radius of the Earth, see `great_circle_distance`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place.

    Returns
    -------
    float
        In km, or between 0 and 1 with a threshold. Lower is better.

    Raises
    ------
    ValueError
        If the shapes differ, a row is no place on Earth, or an uncertainty is NaN.

    References
    ----------
    .. [1] Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation for deep neural
       classifiers", ICLR 2019.

    Examples
    --------
    >>> from skgeo.metrics import area_under_risk_coverage
    >>> y_true, y_pred = [[0, 0]] * 4, [[0, 0], [0, 0], [0, 90], [0, 0]]
    >>> area_under_risk_coverage(y_true, y_pred, [1, 2, 9, 3], threshold_km=25)
    0.0625
    >>> area_under_risk_coverage(y_true, y_pred, [1, 1, 1, 1], threshold_km=25)
    0.25
    """
    loss, unsure, weight = _losses(
        y_true, y_pred, uncertainty, threshold_km, earth_radius_km, sample_weight
    )
    return aurc(loss, unsure, weight)


@validate_params(
    _BASE | {"coverage": _SHARE, "threshold_km": _THRESHOLD}, prefer_skip_nested_validation=True
)
def accuracy_at_coverage_score(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    uncertainty: npt.ArrayLike,
    *,
    coverage: float = 0.8,
    threshold_km: float = 200.0,
    earth_radius_km: float = EARTH_RADIUS_KM,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Fraction within ``threshold_km`` among the least uncertain places.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    uncertainty : array-like of shape (n_samples,)
        How unsure each estimate is, see `risk_coverage_curve`.
    coverage : float, default=0.8
        Share of the weight that is answered, above 0. Where a place straddles it, the part of
        it that is needed counts.
    threshold_km : float, default=200.0
        The radius in km, inclusive.
    earth_radius_km : float, default=6371.004
        Radius of the Earth, see `great_circle_distance`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place.

    Returns
    -------
    float
        Between 0 and 1, higher is better.

    Raises
    ------
    ValueError
        If the shapes differ, a row is no place on Earth, or an uncertainty is NaN.

    See Also
    --------
    coverage_at_accuracy_score : The other way round.

    Examples
    --------
    >>> from skgeo.metrics import accuracy_at_coverage_score
    >>> y_true, y_pred = [[0, 0]] * 4, [[0, 0], [0, 0], [0, 90], [0, 0]]
    >>> accuracy_at_coverage_score(y_true, y_pred, [1, 2, 9, 3], coverage=0.75)
    1.0
    """
    loss, unsure, weight = _losses(
        y_true, y_pred, uncertainty, threshold_km, earth_radius_km, sample_weight
    )
    return accuracy_at(loss, unsure, weight, coverage)


@validate_params(
    _BASE | {"accuracy": _SHARE, "threshold_km": _THRESHOLD}, prefer_skip_nested_validation=True
)
def coverage_at_accuracy_score(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    uncertainty: npt.ArrayLike,
    *,
    accuracy: float = 0.9,
    threshold_km: float = 200.0,
    earth_radius_km: float = EARTH_RADIUS_KM,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Largest share of the places that can be answered with at least this accuracy.

    The limit of the uncertainty that reaches it is chosen on these very places, so that the figure
    flatters where they are few. Places that tie are answered together or not at all.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    uncertainty : array-like of shape (n_samples,)
        How unsure each estimate is, see `risk_coverage_curve`.
    accuracy : float, default=0.9
        Fraction of the answers that must be within the radius.
    threshold_km : float, default=200.0
        The radius in km, inclusive.
    earth_radius_km : float, default=6371.004
        Radius of the Earth, see `great_circle_distance`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place.

    Returns
    -------
    float
        Between 0 (the accuracy is reached nowhere) and 1, higher is better.

    Raises
    ------
    ValueError
        If the shapes differ, a row is no place on Earth, or an uncertainty is NaN.

    Examples
    --------
    >>> from skgeo.metrics import coverage_at_accuracy_score
    >>> y_true, y_pred = [[0, 0]] * 4, [[0, 0], [0, 0], [0, 90], [0, 0]]
    >>> coverage_at_accuracy_score(y_true, y_pred, [1, 2, 9, 3], accuracy=0.9)
    0.75
    """
    loss, unsure, weight = _losses(
        y_true, y_pred, uncertainty, threshold_km, earth_radius_km, sample_weight
    )
    cumulative, total_loss, unsure = _ordered_sums(loss, unsure, weight)
    last = np.append(unsure[1:] != unsure[:-1], True)
    # Sums of many weights miss an exact fraction by rounding.
    good = last & (total_loss <= (1.0 - accuracy + 1e-12) * cumulative)
    return float(cumulative[good].max(initial=0.0) / cumulative[-1])


@validate_params(
    {
        "y_true": ["array-like"],
        "y_pred": ["array-like"],
        "predicted_radius_km": ["array-like", Real],
        "earth_radius_km": [Interval(Real, 0, None, closed="neither")],
        "sample_weight": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def radius_coverage_score(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    predicted_radius_km: npt.ArrayLike,
    *,
    earth_radius_km: float = EARTH_RADIUS_KM,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Fraction of places that lie within the error radius stated with their estimate.

    Radii that hold with a probability of 90 percent should score 0.9, not more and not less.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    predicted_radius_km : array-like of shape (n_samples,), or float
        The stated radius in km of each estimate, inclusive; may be infinite.
    earth_radius_km : float, default=6371.004
        Radius of the Earth, see `great_circle_distance`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If the shapes differ, a row is no place on Earth, or a stated radius is NaN or negative.

    Examples
    --------
    >>> from skgeo.metrics import radius_coverage_score
    >>> radius_coverage_score([[0, 0], [0, 0]], [[0, 1], [0, 2]], [150, 150])
    0.5
    """
    error = great_circle_distance(y_true, y_pred, earth_radius_km=earth_radius_km)
    stated = np.asarray(predicted_radius_km, dtype=np.float64)
    if stated.ndim:
        stated = check_uncertainty(stated, len(error), "predicted_radius_km")
    if np.isnan(stated).any() or np.any(stated < 0.0):
        raise ValueError("predicted_radius_km has a negative entry or NaN; expected km >= 0.")
    weight = check_sample_weight(sample_weight, len(error))
    return float(np.average(error <= stated, weights=weight))


def check_uncertainty(uncertainty: Any, n_samples: int, name: str = "uncertainty") -> FloatArray:
    """Uncertainties as float64 of shape (n,).

    Raises
    ------
    ValueError
        If one is NaN or their number is wrong.
    """
    unsure = np.asarray(uncertainty, dtype=np.float64)
    if unsure.shape != (n_samples,):
        raise ValueError(
            f"{name} has shape {unsure.shape}; expected ({n_samples},), one for each place."
        )
    if np.isnan(unsure).any():
        row = int(np.flatnonzero(np.isnan(unsure))[0])
        raise ValueError(f"{name}[{row}] is NaN; expected a number (inf for never sure).")
    return unsure


def aurc(loss: FloatArray, unsure: FloatArray, weight: FloatArray) -> float:
    """Area under the risk-coverage curve of such losses."""
    cumulative, total_loss, _ = _ordered_sums(loss, unsure, weight)
    return float(np.average(total_loss / cumulative, weights=np.diff(cumulative, prepend=0.0)))


def accuracy_at(loss: FloatArray, unsure: FloatArray, weight: FloatArray, coverage: float) -> float:
    """One minus the risk at a coverage, the last answer counting in part."""
    cumulative, total_loss, _ = _ordered_sums(loss, unsure, weight)
    share = np.concatenate([[0.0], cumulative]) / cumulative[-1]
    answered = np.interp(coverage, share, np.concatenate([[0.0], total_loss]))
    return float(1.0 - answered / (coverage * cumulative[-1]))


def _losses(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    uncertainty: npt.ArrayLike,
    threshold_km: float | None,
    earth_radius_km: float,
    sample_weight: npt.ArrayLike | None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    error = great_circle_distance(y_true, y_pred, earth_radius_km=earth_radius_km)
    unsure = check_uncertainty(uncertainty, len(error))
    weight = check_sample_weight(sample_weight, len(error))
    loss = error if threshold_km is None else (error > threshold_km).astype(np.float64)
    return loss, unsure, weight


def _ordered_sums(
    loss: FloatArray, unsure: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cumulative weight and loss from the surest on, and the uncertainties in that order.

    Within a tie the loss of each is the mean of all: what a random order has on average.
    """
    keep = weight > 0.0
    loss, unsure, weight = loss[keep], unsure[keep], weight[keep]
    order = np.argsort(unsure, kind="stable")
    loss, unsure, weight = loss[order], unsure[order], weight[order]
    tie = np.concatenate([[0], np.cumsum(unsure[1:] != unsure[:-1])])
    mean = np.bincount(tie, loss * weight) / np.bincount(tie, weight)
    return np.cumsum(weight), np.cumsum(mean[tie] * weight), unsure
