"""One figure for a set of estimates: accuracy within a radius, GeoScore, median and mean error."""

from __future__ import annotations

from numbers import Real

import numpy as np
import numpy.typing as npt

from skgeo._geodesy import EARTH_RADIUS_KM
from skgeo._validation import Interval, validate_params

from ._distance import (
    FloatArray,
    check_sample_weight,
    great_circle_distance,
    within,
)

#: Full marks of the GeoScore, and the km over which it falls to 1/e of them.
GEO_SCORE_MAX = 5000.0
GEO_SCORE_KM = 1492.7

_WEIGHTS = ["array-like", None]
_RADIUS = [Interval(Real, 0, None, closed="neither")]


@validate_params(
    {
        "y_true": ["array-like"],
        "y_pred": ["array-like"],
        "threshold_km": [Interval(Real, 0, None, closed="left")],
        "inclusive": ["boolean"],
        "earth_radius_km": _RADIUS,
        "sample_weight": _WEIGHTS,
    },
    prefer_skip_nested_validation=True,
)
def great_circle_threshold_score(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    threshold_km: float = 200.0,
    inclusive: bool = True,
    earth_radius_km: float = EARTH_RADIUS_KM,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Fraction of places estimated with an error of at most ``threshold_km``.

    Thresholds are cumulative: what is within 25 km is within 200 km too. An error equal to the
    threshold counts, as in the evaluations of "Revisiting Im2GPS" [1]_ and GeoCLIP; OSV-5M and
    PIGEON count errors below it only, which `inclusive` reproduces.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    threshold_km : float, default=200.0
        The radius in km. `THRESHOLDS_KM` holds the usual ones.
    inclusive : bool, default=True
        Whether an error equal to the threshold is a hit.
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
        If the shapes differ or a row is no place on Earth.

    See Also
    --------
    great_circle_threshold_scorer : The same for `GridSearchCV` and `cross_val_score`.

    References
    ----------
    .. [1] Vo, Jacobs and Hays, "Revisiting IM2GPS in the deep learning era", ICCV 2017.

    Examples
    --------
    >>> from skgeo.metrics import great_circle_threshold_score
    >>> paris, london, rome = [48.8566, 2.3522], [51.5074, -0.1278], [41.9028, 12.4964]
    >>> great_circle_threshold_score([paris, rome], [london, london], threshold_km=750)
    0.5
    """
    error = great_circle_distance(y_true, y_pred, earth_radius_km=earth_radius_km)
    weight = check_sample_weight(sample_weight, len(error))
    return float(np.average(within(error, threshold_km, inclusive), weights=weight))


@validate_params(
    {
        "y_true": ["array-like"],
        "y_pred": ["array-like"],
        "scale_km": [Interval(Real, 0, None, closed="neither")],
        "rounded": ["boolean"],
        "earth_radius_km": _RADIUS,
        "sample_weight": _WEIGHTS,
    },
    prefer_skip_nested_validation=True,
)
def geo_score(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    scale_km: float = GEO_SCORE_KM,
    rounded: bool = False,
    earth_radius_km: float = EARTH_RADIUS_KM,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Mean GeoScore: 5000 points for a perfect estimate, falling by 1/e every 1492.7 km.

    This is the score of the GeoGuessr game on a map of the world, ``5000 exp(-d / 1492.7)``
    with ``d`` in km. OSV-5M [1]_ averages it as it is, PIGEON [2]_ rounds the points of each
    photograph first, as the game does.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    scale_km : float, default=1492.7
        The distance at which 1/e of the points is left. The game takes a tenth of the diagonal
        of its map; for a map smaller than the world it is smaller.
    rounded : bool, default=False
        Whether the points of each place are rounded to a whole number.
    earth_radius_km : float, default=6371.004
        Radius of the Earth, see `great_circle_distance`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place.

    Returns
    -------
    float
        Between 0 and 5000, higher is better.

    References
    ----------
    .. [1] Astruc et al., "OpenStreetView-5M: The many roads to global visual geolocation",
       CVPR 2024.
    .. [2] Haas, Skreta, Alberti and Finn, "PIGEON: Predicting image geolocations", CVPR 2024.

    Examples
    --------
    >>> from skgeo.metrics import geo_score
    >>> paris, london = [48.8566, 2.3522], [51.5074, -0.1278]
    >>> geo_score([paris, london], [paris, paris])
    4486.0...
    """
    error = great_circle_distance(y_true, y_pred, earth_radius_km=earth_radius_km)
    weight = check_sample_weight(sample_weight, len(error))
    return float(np.average(geo_points(error, scale_km, rounded), weights=weight))


def geo_points(
    error: FloatArray, scale_km: float = GEO_SCORE_KM, rounded: bool = False
) -> FloatArray:
    """GeoScore of each error in km."""
    points: FloatArray = GEO_SCORE_MAX * np.exp(-error / scale_km)
    return np.rint(points) if rounded else points


def mean_great_circle_error(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    earth_radius_km: float = EARTH_RADIUS_KM,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Mean error in km. A few estimates on the wrong continent decide it: see also the median.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    earth_radius_km : float, default=6371.004
        Radius of the Earth, see `great_circle_distance`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place.

    Returns
    -------
    float
        Kilometres, lower is better.

    Examples
    --------
    >>> from skgeo.metrics import mean_great_circle_error
    >>> mean_great_circle_error([[0, 0], [0, 0]], [[0, 0], [0, 2]])
    111.195...
    """
    error = great_circle_distance(y_true, y_pred, earth_radius_km=earth_radius_km)
    return float(np.average(error, weights=check_sample_weight(sample_weight, len(error))))


def median_great_circle_error(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    earth_radius_km: float = EARTH_RADIUS_KM,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Median error in km: half of the places are estimated at least as well.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    earth_radius_km : float, default=6371.004
        Radius of the Earth, see `great_circle_distance`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place. Whole numbers count as repetitions. Where exactly half of the
        weight lies on either side, the two middle errors are averaged.

    Returns
    -------
    float
        Kilometres, lower is better.

    Examples
    --------
    >>> from skgeo.metrics import median_great_circle_error
    >>> median_great_circle_error([[0, 0], [0, 0], [0, 0]], [[0, 0], [0, 1], [0, 90]])
    111.195...
    """
    error = great_circle_distance(y_true, y_pred, earth_radius_km=earth_radius_km)
    return weighted_median(error, check_sample_weight(sample_weight, len(error)))


def weighted_median(values: FloatArray, weight: FloatArray) -> float:
    """Median of ``values`` of shape (n,) in which each counts ``weight`` times."""
    values, weight = values[weight > 0.0], weight[weight > 0.0]
    order = np.argsort(values, kind="stable")
    values, cumulative = values[order], np.cumsum(weight[order])
    half = cumulative[-1] / 2.0
    # Sums of weights such as 0.1 miss the exact half by rounding.
    slack = 1e-12 * cumulative[-1]
    low = np.searchsorted(cumulative, half - slack, side="left")
    high = np.searchsorted(cumulative, half + slack, side="right")
    return float((values[low] + values[high]) / 2.0)
