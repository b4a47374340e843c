"""Scorers of what estimators say beyond one place: ranked places, neighbours, uncertainty."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

from skgeo._validation import Interval, validate_params

from ._ranked import best_of_top_k_score, recall_at_n_score
from ._selective import (
    accuracy_at_coverage_score,
    area_under_risk_coverage,
    radius_coverage_score,
)

_COUNT = [Interval(Integral, 1, None, closed="left")]
_THRESHOLD = [Interval(Real, 0, None, closed="left")]
_METHOD = [str, callable]


class MethodScorer:
    """``scorer(estimator, X, y, sample_weight=None)``: a figure of what a method returns.

    Parameters
    ----------
    score : callable
        ``score(y, *answer, sample_weight=..., **keywords)``.
    answer : callable
        ``answer(estimator, X)`` gives the tuple that the score takes. Picklable.
    sign : int
        -1 for figures of which less is better.
    keywords : dict
        For the score.
    """

    def __init__(
        self,
        score: Callable[..., float],
        answer: Callable[[Any, Any], tuple[Any, ...]],
        sign: int,
        **keywords: Any,
    ) -> None:
        self.score = score
        self.answer = answer
        self.sign = sign
        self.keywords = keywords

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        answer = self.answer(estimator, X)
        return self.sign * self.score(y, *answer, sample_weight=sample_weight, **self.keywords)

    def __repr__(self) -> str:
        keywords = ", ".join(f"{key}={value!r}" for key, value in self.keywords.items())
        return f"MethodScorer({self.score.__name__}, {self.answer!r}, {keywords})"


class _TopK:
    def __init__(self, k: int) -> None:
        self.k = k

    def __call__(self, estimator: Any, X: Any) -> tuple[Any, ...]:
        model, vectors = last_step(estimator, X, "predict_top_k")
        return (model.predict_top_k(vectors, self.k),)

    def __repr__(self) -> str:
        return f"predict_top_k(k={self.k})"


class _Neighbors:
    def __init__(self, n: int) -> None:
        self.n = n

    def __call__(self, estimator: Any, X: Any) -> tuple[Any, ...]:
        model, vectors = last_step(estimator, X, "kneighbors")
        index = model.kneighbors(vectors, self.n, return_distance=False)
        return (np.asarray(model.coordinates_)[index],)

    def __repr__(self) -> str:
        return f"kneighbors(n={self.n})"


class _Unsure:
    def __init__(self, method: str | Callable[[Any, Any], Any]) -> None:
        self.method = method

    def __call__(self, estimator: Any, X: Any) -> tuple[Any, ...]:
        if isinstance(self.method, str):
            model, vectors = last_step(estimator, X, self.method)
            answer = getattr(model, self.method)(vectors)
        else:
            answer = self.method(estimator, X)
        return answer[0], answer[1]

    def __repr__(self) -> str:
        return self.method if isinstance(self.method, str) else repr(self.method)


def last_step(estimator: Any, X: Any, method: str) -> tuple[Any, Any]:
    """Find the model that has a method behind searches and pipelines, and X as it sees it.

    Raises
    ------
    TypeError
        If it has no such method.
    """
    while True:
        if hasattr(estimator, method) and not hasattr(estimator, "steps"):
            return estimator, X
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            if len(estimator.steps) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator[-1]
        else:
            raise TypeError(
                f"{type(estimator).__name__} has no method {method!r}, which this scorer calls."
            )


@validate_params({"k": _COUNT, "threshold_km": _THRESHOLD}, prefer_skip_nested_validation=True)
def best_of_top_k_scorer(k: int = 5, threshold_km: float = 200.0) -> MethodScorer:
    """Scorer of the fraction of places for which the best of k estimates is within a radius.

    Parameters
    ----------
    k : int, default=5
        Number of estimates. The model, or the last step of a pipeline, has ``predict_top_k``.
    threshold_km : float, default=200.0
        The radius in km, inclusive.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, sample_weight=None)`` between 0 and 1, for ``scoring=``.
        It can be pickled.

    See Also
    --------
    best_of_top_k_score : The function behind it.

    Examples
    --------
    >>> from skgeo import KNNGeoRegressor
    >>> from skgeo.metrics import best_of_top_k_scorer
    >>> knn = KNNGeoRegressor().fit([[0.0], [1.0]], [[48.9, 2.4], [51.5, -0.1]])
    >>> X, y = [[0.1], [0.2]], [[48.9, 2.4], [51.5, -0.1]]
    >>> best_of_top_k_scorer(1, 25)(knn, X, y), best_of_top_k_scorer(2, 25)(knn, X, y)
    (0.5, 1.0)
    """
    return MethodScorer(best_of_top_k_score, _TopK(k), 1, threshold_km=threshold_km)


@validate_params({"n": _COUNT, "threshold_km": _THRESHOLD}, prefer_skip_nested_validation=True)
def recall_at_n_scorer(n: int = 1, threshold_km: float = 0.025) -> MethodScorer:
    """Scorer of recall at N: queries with a photograph of their place among the N nearest.

    Parameters
    ----------
    n : int, default=1
        Number of neighbours. The model, or the last step of a pipeline, has ``kneighbors`` and
        ``coordinates_``, as `KNNGeoRegressor` has.
    threshold_km : float, default=0.025
        The radius in km, inclusive.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, sample_weight=None)`` between 0 and 1, for ``scoring=``.
        Queries that the gallery cannot answer count as failures. It can be pickled.

    See Also
    --------
    recall_at_n_score : The function behind it.

    Examples
    --------
    >>> from skgeo import KNNGeoRegressor
    >>> from skgeo.metrics import recall_at_n_scorer
    >>> knn = KNNGeoRegressor().fit([[0.0], [1.0]], [[48.9, 2.4], [51.5, -0.1]])
    >>> recall_at_n_scorer(n=2)(knn, [[0.1], [0.2]], [[48.9, 2.4], [51.5, -0.1]])
    1.0
    """
    return MethodScorer(recall_at_n_score, _Neighbors(n), 1, n=n, threshold_km=threshold_km)


@validate_params(
    {"threshold_km": [*_THRESHOLD, None], "method": _METHOD}, prefer_skip_nested_validation=True
)
def area_under_risk_coverage_scorer(
    threshold_km: float | None = None,
    *,
    method: str | Callable[[Any, Any], tuple[Any, Any]] = "predict_with_uncertainty",
) -> MethodScorer:
    """Scorer of the area under the risk-coverage curve, with a minus sign.

    Parameters
    ----------
    threshold_km : float, default=None
        If given, the risk is the part of the answers with an error above it, else the mean error.
    method : str or callable, default="predict_with_uncertainty"
        Method of the model, or of the last step of a pipeline, that returns a tuple of places,
        their uncertainty and perhaps more; or a function of the estimator and X that does.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, sample_weight=None)``, at most 0.

    See Also
    --------
    area_under_risk_coverage : The function behind it.

    Examples
    --------
    >>> from skgeo import KNNGeoRegressor
    >>> from skgeo.metrics import area_under_risk_coverage_scorer
    >>> def by_distance(knn, X):  # the farther the nearest photograph, the less sure
    ...     return knn.predict(X), knn.kneighbors(X, 1)[0][:, 0]
    >>> knn = KNNGeoRegressor().fit([[0.0], [1.0]], [[48.9, 2.4], [51.5, -0.1]])
    >>> scorer = area_under_risk_coverage_scorer(25, method=by_distance)
    >>> scorer(knn, [[0.1], [0.4]], [[48.9, 2.4], [51.5, -0.1]])
    -0.25
    """
    return MethodScorer(area_under_risk_coverage, _Unsure(method), -1, threshold_km=threshold_km)


@validate_params(
    {
        "coverage": [Interval(Real, 0, 1, closed="right")],
        "threshold_km": _THRESHOLD,
        "method": _METHOD,
    },
    prefer_skip_nested_validation=True,
)
def accuracy_at_coverage_scorer(
    coverage: float = 0.8,
    threshold_km: float = 200.0,
    *,
    method: str | Callable[[Any, Any], tuple[Any, Any]] = "predict_with_uncertainty",
) -> MethodScorer:
    """Scorer of the accuracy among the least uncertain places.

    Parameters
    ----------
    coverage : float, default=0.8
        Share of the places that is answered.
    threshold_km : float, default=200.0
        The radius in km, inclusive.
    method : str or callable, default="predict_with_uncertainty"
        As for `area_under_risk_coverage_scorer`.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, sample_weight=None)`` between 0 and 1.

    See Also
    --------
    accuracy_at_coverage_score : The function behind it.

    Examples
    --------
    >>> from skgeo import KNNGeoRegressor
    >>> from skgeo.metrics import accuracy_at_coverage_scorer
    >>> def by_distance(knn, X):
    ...     return knn.predict(X), knn.kneighbors(X, 1)[0][:, 0]
    >>> knn = KNNGeoRegressor().fit([[0.0], [1.0]], [[48.9, 2.4], [51.5, -0.1]])
    >>> scorer = accuracy_at_coverage_scorer(0.5, 25, method=by_distance)
    >>> scorer(knn, [[0.1], [0.4]], [[48.9, 2.4], [51.5, -0.1]])
    1.0
    """
    return MethodScorer(
        accuracy_at_coverage_score,
        _Unsure(method),
        1,
        coverage=coverage,
        threshold_km=threshold_km,
    )


@validate_params({"method": _METHOD}, prefer_skip_nested_validation=True)
def radius_coverage_scorer(
    *, method: str | Callable[[Any, Any], tuple[Any, Any]] = "predict_with_uncertainty"
) -> MethodScorer:
    """Scorer of the fraction of places within the error radius that the model states.

    To be compared with the stated probability, not to be maximised: larger radii always win.

    Parameters
    ----------
    method : str or callable, default="predict_with_uncertainty"
        As for `area_under_risk_coverage_scorer`; the uncertainty is a radius in km.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, sample_weight=None)`` between 0 and 1.

    See Also
    --------
    radius_coverage_score : The function behind it.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo import KNNGeoRegressor
    >>> from skgeo.metrics import radius_coverage_scorer
    >>> def always_100_km(knn, X):
    ...     return knn.predict(X), np.full(len(X), 100.0)
    >>> knn = KNNGeoRegressor().fit([[0.0], [1.0]], [[48.9, 2.4], [51.5, -0.1]])
    >>> scorer = radius_coverage_scorer(method=always_100_km)
    >>> scorer(knn, [[0.1], [0.4]], [[48.8, 2.3], [51.5, -0.1]])
    0.5
    """
    return MethodScorer(radius_coverage_score, _Unsure(method), 1)
