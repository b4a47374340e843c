"""The error-percentile curve of the paper's Figs. 5 and 6, and what its area says."""

from __future__ import annotations

from numbers import Real

import numpy as np
import numpy.typing as npt

from skgeo._validation import Interval, validate_params

from ._distance import FloatArray, check_sample_weight, great_circle_distance


def error_percentile_curve(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """Errors sorted from best to worst, against the percentage of places they cover.

    Read at an error, it gives the percentage of places estimated at least that well; read at
    50 percent, the median error. Places of weight 0 are left out.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place.

    Returns
    -------
    percentiles : ndarray of shape (n_samples,)
        Percentage of the weight whose error is at most that of the same position (of the last
        one among equals); rises to 100.
    errors_km : ndarray of shape (n_samples,)
        Errors in km, ascending.

    References
    ----------
    .. [1] Jiang, Kong and Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
       Estimation", IEEE Transactions on Big Data, 2017, Figs. 5 and 6.

    Examples
    --------
    >>> from skgeo.metrics import error_percentile_curve
    >>> percentiles, errors = error_percentile_curve([[0, 0]] * 4, [[0, 3], [0, 1], [0, 2], [0, 0]])
    >>> percentiles
    array([ 25.,  50.,  75., 100.])
    >>> errors.round()
    array([  0., 111., 222., 334.])
    """
    error = great_circle_distance(y_true, y_pred)
    weight = check_sample_weight(sample_weight, len(error))
    error, weight = error[weight > 0.0], weight[weight > 0.0]
    order = np.argsort(error, kind="stable")
    cumulative = np.cumsum(weight[order])
    return 100.0 * cumulative / cumulative[-1], error[order]


@validate_params(
    {
        "y_true": ["array-like"],
        "y_pred": ["array-like"],
        "max_km": [Interval(Real, 0, None, closed="neither"), None],
        "sample_weight": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def error_curve_area(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    max_km: float | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Area under the error-percentile curve in km, the "overall error" of the paper.

    With the percentage counted from 0 to 1 the area under the steps is the mean error, in which
    the far right of the curve, the places that were lost altogether, outweighs the rest. `max_km`
    cuts it off.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    max_km : float, default=None
        Errors beyond it count as this many km. None: no limit.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place.

    Returns
    -------
    float
        Kilometres, lower is better.

    See Also
    --------
    threshold_auc_score : The area on a logarithmic axis, where a street counts as a continent.

    Examples
    --------
    >>> from skgeo.metrics import error_curve_area
    >>> y_true, y_pred = [[0, 0], [0, 0]], [[0, 0], [0, 180]]
    >>> error_curve_area(y_true, y_pred), error_curve_area(y_true, y_pred, max_km=2500)
    (10007.5..., 1250.0)
    """
    percentiles, errors = error_percentile_curve(y_true, y_pred, sample_weight=sample_weight)
    if max_km is not None:
        errors = np.minimum(errors, max_km)
    return float(np.sum(np.diff(percentiles, prepend=0.0) / 100.0 * errors))


@validate_params(
    {
        "y_true": ["array-like"],
        "y_pred": ["array-like"],
        "min_km": [Interval(Real, 0, None, closed="neither")],
        "max_km": [Interval(Real, 0, None, closed="neither")],
        "sample_weight": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def threshold_auc_score(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    min_km: float = 1.0,
    max_km: float = 2500.0,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Accuracy averaged over every threshold from `min_km` to `max_km`, on a logarithmic scale.

    One figure for the whole curve: each factor of ten in distance weighs the same, so that it is
    decided neither by streets nor by continents alone. It is the share of the error curve's
    picture (logarithmic km axis) that lies above the curve.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    min_km, max_km : float, default=1.0 and 2500.0
        The range of thresholds. An error of at most `min_km` scores 1, one of `max_km` or more 0.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place.

    Returns
    -------
    float
        Between 0 and 1, higher is better.

    Raises
    ------
    ValueError
        If `min_km` is not below `max_km`.

    Examples
    --------
    >>> from skgeo.metrics import threshold_auc_score
    >>> threshold_auc_score([[0, 0], [0, 0]], [[0, 0], [0, 180]])
    0.5
    """
    if min_km >= max_km:
        raise ValueError(f"min_km={min_km:g} is not below max_km={max_km:g}.")
    error = great_circle_distance(y_true, y_pred)
    weight = check_sample_weight(sample_weight, len(error))
    share = np.log(max_km / np.clip(error, min_km, max_km)) / np.log(max_km / min_km)
    return float(np.average(share, weights=weight))
