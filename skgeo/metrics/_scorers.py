"""The scores in the form that scikit-learn's searches and cross-validation take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from numbers import Real

from sklearn.metrics import make_scorer

from skgeo._validation import Interval, validate_params

from ._curve import error_curve_area, threshold_auc_score
from ._scores import (
    geo_score,
    great_circle_threshold_score,
    mean_great_circle_error,
    median_great_circle_error,
)
from ._thresholds import check_thresholds

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


@validate_params(
    {"max_km": [Interval(Real, 0, None, closed="neither"), None]},
    prefer_skip_nested_validation=True,
)
def error_curve_area_scorer(max_km: float | None = None) -> Scorer:
    """Scorer of the area under the error curve: km with a minus sign.

    Parameters
    ----------
    max_km : float, default=None
        Errors beyond it count as this many km. None: no limit.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, sample_weight=None)``, at most 0.

    See Also
    --------
    error_curve_area : The function behind it.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from skgeo.metrics import error_curve_area_scorer
    >>> equator = DummyRegressor(strategy="constant", constant=[0.0, 0.0]).fit([[0]], [[0, 0]])
    >>> error_curve_area_scorer(max_km=2500)(equator, [[0], [0]], [[0.0, 0.0], [0.0, 90.0]])
    -1250.0
    """
    return make_scorer(error_curve_area, greater_is_better=False, max_km=max_km)


@validate_params(
    {
        "min_km": [Interval(Real, 0, None, closed="neither")],
        "max_km": [Interval(Real, 0, None, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def threshold_auc_scorer(min_km: float = 1.0, max_km: float = 2500.0) -> Scorer:
    """Scorer of the accuracy averaged over all thresholds, on a logarithmic scale.

    A search that maximises it prefers neither streets nor continents.

    Parameters
    ----------
    min_km, max_km : float, default=1.0 and 2500.0
        The range of thresholds.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, sample_weight=None)`` between 0 and 1.

    See Also
    --------
    threshold_auc_score : The function behind it.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from skgeo.metrics import threshold_auc_scorer
    >>> equator = DummyRegressor(strategy="constant", constant=[0.0, 0.0]).fit([[0]], [[0, 0]])
    >>> threshold_auc_scorer()(equator, [[0], [0]], [[0.0, 0.0], [0.0, 90.0]])
    0.5
    """
    return make_scorer(threshold_auc_score, min_km=min_km, max_km=max_km)


def geolocation_scorers(
    thresholds: Mapping[str, float] | Iterable[float] | None = None,
) -> dict[str, Scorer]:
    """Scorers of the usual figures by name, for `cross_validate` and multi-metric searches.

    The estimator predicts once for all of them.

    Parameters
    ----------
    thresholds : mapping of str to float, or sequence of float, default=None
        Radii in km, inclusive, as for `geolocation_report`. None: `THRESHOLDS_KM`.

    Returns
    -------
    dict of str to callable
        A scorer for each threshold, then ``"median_km"`` and ``"mean_km"`` (with a minus sign),
        ``"geo_score"`` and ``"threshold_auc"``.

    Examples
    --------
    >>> from sklearn.model_selection import cross_validate
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> from skgeo.metrics import geolocation_scorers
    >>> X, y = [[0.0], [0.1], [5.0], [5.1]], [[10, 10], [10.1, 10], [-20, 70], [-20.1, 70]]
    >>> knn = KNeighborsRegressor(n_neighbors=1)
    >>> results = cross_validate(knn, X, y, cv=4, scoring=geolocation_scorers())
    >>> results["test_city"], results["test_median_km"].round(1)
    (array([1., 1., 1., 1.]), array([-11.1, -11.1, -11.1, -11.1]))
    """
    own = {
        "median_km": median_great_circle_error_scorer(),
        "mean_km": mean_great_circle_error_scorer(),
        "geo_score": geo_score_scorer(),
        "threshold_auc": threshold_auc_scorer(),
    }
    radii = check_thresholds(thresholds)
    taken = set(own) & set(radii)
    if taken:
        raise ValueError(f"A threshold is called {sorted(taken)[0]!r}, as another scorer is.")
    return {name: great_circle_threshold_scorer(km) for name, km in radii.items()} | own
