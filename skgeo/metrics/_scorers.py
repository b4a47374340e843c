"""The scores in the form that scikit-learn's searches and cross-validation take."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real

from sklearn.metrics import make_scorer

from skgeo._validation import Interval, validate_params

from ._scores import (
    geo_score,
    great_circle_threshold_score,
    mean_great_circle_error,
    median_great_circle_error,
)

Scorer = Callable[..., float]


@validate_params(
    {"threshold_km": [Interval(Real, 0, None, closed="left")]},
    prefer_skip_nested_validation=True,
)
def great_circle_threshold_scorer(threshold_km: float = 200.0) -> Scorer:
    """Scorer of the fraction of places estimated within `threshold_km`.

    Parameters
    ----------
    threshold_km : float, default=200.0
        The radius in km, inclusive.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, sample_weight=None)`` between 0 and 1, for ``scoring=``.
        It can be pickled.

    See Also
    --------
    great_circle_threshold_score : The function behind it.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> from skgeo.metrics import great_circle_threshold_scorer
    >>> X, y = [[0.0], [0.1], [5.0], [5.1]], [[10, 10], [10.1, 10], [-20, 70], [-20.1, 70]]
    >>> knn = KNeighborsRegressor(n_neighbors=1)
    >>> cross_val_score(knn, X, y, cv=4, scoring=great_circle_threshold_scorer(25))
    array([1., 1., 1., 1.])
    """
    return make_scorer(great_circle_threshold_score, threshold_km=threshold_km)


def median_great_circle_error_scorer() -> Scorer:
    """Scorer of the median error: km with a minus sign, since a search maximises.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, sample_weight=None)``, at most 0.

    See Also
    --------
    median_great_circle_error : The function behind it.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from skgeo.metrics import median_great_circle_error_scorer
    >>> equator = DummyRegressor(strategy="constant", constant=[0.0, 0.0]).fit([[0]], [[0, 0]])
    >>> median_great_circle_error_scorer()(equator, [[0]], [[0.0, 1.0]])
    -111.195...
    """
    return make_scorer(median_great_circle_error, greater_is_better=False)


def mean_great_circle_error_scorer() -> Scorer:
    """Scorer of the mean error: km with a minus sign, since a search maximises.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, sample_weight=None)``, at most 0.

    See Also
    --------
    mean_great_circle_error : The function behind it.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from skgeo.metrics import mean_great_circle_error_scorer
    >>> equator = DummyRegressor(strategy="constant", constant=[0.0, 0.0]).fit([[0]], [[0, 0]])
    >>> mean_great_circle_error_scorer()(equator, [[0], [0]], [[0.0, 1.0], [0.0, 3.0]])
    -222.39...
    """
    return make_scorer(mean_great_circle_error, greater_is_better=False)


def geo_score_scorer() -> Scorer:
    """Scorer of the mean GeoScore, 0 to 5000.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, sample_weight=None)`` between 0 and 5000.

    See Also
    --------
    geo_score : The function behind it.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from skgeo.metrics import geo_score_scorer
    >>> equator = DummyRegressor(strategy="constant", constant=[0.0, 0.0]).fit([[0]], [[0, 0]])
    >>> geo_score_scorer()(equator, [[0]], [[0.0, 0.0]])
    5000.0
    """
    return make_scorer(geo_score)
