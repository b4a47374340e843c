"""One figure for a set of estimates: accuracy within a radius, GeoScore, median and mean error."""

from __future__ import annotations

from numbers import Real

import numpy as np
import numpy.typing as npt

from skgeo._geodesy import great_circle_km
from skgeo._validation import Interval, check_coordinates, validate_params

from ._distance import FloatArray, check_sample_weight, great_circle_distance

#: Full marks of the GeoScore, and the km over which it falls to 1/e of them.
GEO_SCORE_MAX = 5000.0
GEO_SCORE_KM = 1492.7

_WEIGHTS = ["array-like", None]


@validate_params(
    {
        "y_true": ["array-like"],
        "y_pred": ["array-like"],
        "threshold_km": [Interval(Real, 0, None, closed="left")],
        "sample_weight": _WEIGHTS,
    },
    prefer_skip_nested_validation=True,
)
def great_circle_threshold_score(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    threshold_km: float = 200.0,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Fraction of places estimated with an error of at most ``threshold_km``.

    Thresholds are cumulative: what is within 25 km is within 200 km too.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    threshold_km : float, default=200.0
        The radius in km, inclusive. `THRESHOLDS_KM` holds the usual ones.
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

    Examples
    --------
    >>> from skgeo.metrics import great_circle_threshold_score
    >>> paris, london, rome = [48.8566, 2.3522], [51.5074, -0.1278], [41.9028, 12.4964]
    >>> great_circle_threshold_score([paris, rome], [london, london], threshold_km=750)
    0.5
    """
    error = great_circle_distance(y_true, y_pred)
    weight = check_sample_weight(sample_weight, len(error))
    return float(np.average(error <= threshold_km, weights=weight))


def geo_score(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Mean GeoScore: 5000 points for a perfect estimate, falling by 1/e every 1492.7 km.

    This is the score of the GeoGuessr game on a map of the world, ``5000 exp(-d / 1492.7)``
    with ``d`` in km, without its rounding.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place.

    Returns
    -------
    float
        Between 0 and 5000, higher is better.

    Examples
    --------
    >>> from skgeo.metrics import geo_score
    >>> paris, london = [48.8566, 2.3522], [51.5074, -0.1278]
    >>> geo_score([paris, london], [paris, paris])
    4486.0...
    """
    error = great_circle_distance(y_true, y_pred)
    weight = check_sample_weight(sample_weight, len(error))
    return float(np.average(GEO_SCORE_MAX * np.exp(-error / GEO_SCORE_KM), weights=weight))


def mean_great_circle_error(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Mean error in km. A few estimates on the wrong continent decide it: see also the median.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
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
    error = great_circle_distance(y_true, y_pred)
    return float(np.average(error, weights=check_sample_weight(sample_weight, len(error))))


def median_great_circle_error(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Median error in km: half of the places are estimated at least as well.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
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
    error = great_circle_distance(y_true, y_pred)
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


@validate_params(
    {
        "y_true": ["array-like"],
        "y_top_k": ["array-like"],
        "threshold_km": [Interval(Real, 0, None, closed="left")],
        "sample_weight": _WEIGHTS,
    },
    prefer_skip_nested_validation=True,
)
def best_of_top_k_score(
    y_true: npt.ArrayLike,
    y_top_k: npt.ArrayLike,
    *,
    threshold_km: float = 200.0,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Fraction of places for which the best of k estimates is within ``threshold_km``.

    The "best top k" rows of the paper's Table 5. With k = 1 it is
    `great_circle_threshold_score`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    y_top_k : array-like of shape (n_samples, k, 2)
        k estimates for each place, as `KNNGeoRegressor.predict_top_k` gives them. Slice
        ``y_top_k[:, :j]`` for the best of the first j.
    threshold_km : float, default=200.0
        The radius in km, inclusive.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place.

    Returns
    -------
    float
        Between 0 and 1, higher is better.

    Raises
    ------
    ValueError
        If the shapes do not fit or an estimate is no place on Earth.

    References
    ----------
    .. [1] Jiang, Kong and Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
       Estimation", IEEE Transactions on Big Data, 2017, Table 5.

    Examples
    --------
    >>> from skgeo.metrics import best_of_top_k_score
    >>> paris, london, rome = [48.8566, 2.3522], [51.5074, -0.1278], [41.9028, 12.4964]
    >>> top_2 = [[rome, paris], [rome, london]]
    >>> best_of_top_k_score([paris, paris], top_2, threshold_km=25)
    0.5
    """
    true = check_coordinates(y_true, name="y_true")
    top_k = np.asarray(y_top_k)
    if top_k.ndim != 3 or top_k.shape[2] != 2 or top_k.shape[1] == 0:
        raise ValueError(
            f"y_top_k has shape {top_k.shape}; expected (n_samples, k, 2), k >= 1 estimates "
            "[latitude, longitude] in degrees for each place."
        )
    if len(top_k) != len(true):
        raise ValueError(
            f"y_true has {len(true)} rows and y_top_k {len(top_k)}; expected k estimates for "
            "each true place."
        )
    k = top_k.shape[1]
    flat = check_coordinates(
        top_k.reshape(-1, 2), name=f"y_top_k (reshaped to rows, {k} for each place)"
    )
    best = great_circle_km(true[:, None, :], flat.reshape(-1, k, 2)).min(axis=1)
    weight = check_sample_weight(sample_weight, len(best))
    return float(np.average(best <= threshold_km, weights=weight))
