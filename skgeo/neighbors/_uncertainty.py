"""Estimates with a radius in which the truth lies with a stated probability."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from skgeo._geodesy import great_circle_km
from skgeo._validation import check_coordinates

from ._base import is_number
from ._conformal import Calibration, learn_scores, least_places, radii_km, spread_km
from ._estimate import Estimate

FloatArray = npt.NDArray[np.float64]


class UncertainPlaces(NamedTuple):
    """Estimates, and how far one can rely on them.

    Attributes
    ----------
    places : ndarray of shape (n_queries, 2)
        Latitudes and longitudes in degrees, those of ``predict``.
    radius_km : ndarray of shape (n_queries,)
        Great-circle radius in km in which the true place lies with the stated probability.
    answered : ndarray of shape (n_queries,), bool
        False where the radius exceeds the limit, so that it is better not to answer.
    """

    places: FloatArray
    radius_km: FloatArray
    answered: npt.NDArray[np.bool_]


class CalibratedMixin:
    """Radii for an estimator whose ``_estimate`` tells the neighbours of each query."""

    coordinates_: FloatArray
    calibration_: Calibration

    def calibrate(self, X: npt.ArrayLike, y: npt.ArrayLike, groups: Any = None) -> Self:
        """Learn from photos that are not in the gallery how far the estimates go wrong.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Vectors of photos of known place that are not in the gallery.
        y : array-like of shape (n_samples, 2)
            Their latitudes and longitudes in degrees.
        groups : array-like of shape (n_samples,), default=None
            The place of each photo: photos of one group are alike and go wrong together, as do
            those of one building or one photographer (`skgeo.model_selection.spherical_blocks`
            makes such labels). None: each photo stands for itself.

        Returns
        -------
        self
            The estimator, with ``calibration_``.

        Raises
        ------
        ValueError
            If ``X`` has not the columns of the gallery, or ``y`` or ``groups`` not as many rows as
            ``X``.

        Notes
        -----
        What is guaranteed, and when, tells `predict_with_uncertainty`. ``fit``, ``partial_fit``,
        ``remove`` and other parameters undo the calibration: its guarantee is for one gallery.
        """
        check_is_fitted(self, "coordinates_")
        estimate = self._estimate(X, 1, explain=True)  # type: ignore[attr-defined]
        true = check_coordinates(y, n_samples=len(estimate.places))
        labels = None
        if groups is not None:
            labels = np.asarray(groups)
            if labels.shape != (len(true),):
                raise ValueError(
                    f"groups has shape {labels.shape}; expected one label for each of the "
                    f"{len(true)} photos."
                )
        errors = great_circle_km(true, estimate.places[:, 0])
        self.calibration_ = learn_scores(errors, self._guess(estimate), labels, self._settings())
        return self

    def predict_with_uncertainty(
        self, X: npt.ArrayLike, *, confidence: float = 0.9, max_radius_km: float | None = None
    ) -> UncertainPlaces:
        """Estimate the place of each query and a radius in which the truth lies.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            Vectors of the queries.
        confidence : float, default=0.9
            Probability with which the true place lies within the radius.
        max_radius_km : float or None, default=None
            Queries whose radius is larger count as not answered; None: all are answered.

        Returns
        -------
        UncertainPlaces
            A named tuple ``(places, radius_km, answered)``. The places are those of ``predict``,
            also where ``answered`` is False.

        Raises
        ------
        NotFittedError
            If `calibrate` has not been called since the last ``fit``.
        ValueError
            If ``confidence`` is not between 0 and 1, ``max_radius_km`` is not positive, or the
            estimator's parameters are not those with which it was calibrated.

        Warns
        -----
        UserWarning
            If the calibration holds too few places for so high a confidence (9 are the least for
            0.9). The radius then is half of the Earth's circumference.

        Notes
        -----
        The guarantee is that of split conformal prediction [1]_ over places [2]_. Let the gallery
        be fixed, and the place of the query be drawn from the same source as those of the
        calibration (exchangeable with them, and as little in the gallery as they are), and the
        query be a photo of it drawn at random. Then the true place lies within the radius with
        a probability of at least ``confidence``, over the draw of the calibration's places and
        the query, whatever the vectors, the vote and the gallery are. It is an average over
        places, not a promise for each query, nor for those alone that were answered.

        It does not hold for queries of another kind (a calibration on cities says nothing about
        deserts), and not where photos of the calibration's places, or near-duplicates, are in the
        gallery while those of the queries are not. So hold out whole places, as
        `skgeo.model_selection.SpatialBlockSplit` does.

        The radius is in proportion to the mean distance from the estimate to the places of its
        neighbours, plus a fiftieth of the gallery's spread: where they agree it is small.

        References
        ----------
        .. [1] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman, "Distribution-Free
           Predictive Inference for Regression", JASA 113, 2018.
        .. [2] R. Dunn, L. Wasserman, A. Ramdas, "Distribution-Free Prediction Sets for Two-Layer
           Hierarchical Models", JASA 118, 2023.

        Examples
        --------
        >>> import numpy as np
        >>> from skgeo.neighbors import KNNGeoRegressor
        >>> rng = np.random.default_rng(0)
        >>> y = np.column_stack([rng.uniform(40, 50, 300), rng.uniform(0, 10, 300)])
        >>> X = y + rng.normal(0, 0.5, y.shape)
        >>> knn = KNNGeoRegressor(n_neighbors=10).fit(X[:150], y[:150])
        >>> knn = knn.calibrate(X[150:250], y[150:250])
        >>> found = knn.predict_with_uncertainty(X[250:], confidence=0.8, max_radius_km=150)
        >>> from skgeo.metrics import great_circle_distance
        >>> inside = great_circle_distance(y[250:], found.places) <= found.radius_km
        >>> float(inside.mean()), float(found.answered.mean())
        (0.8..., 0...)
        """
        check_is_fitted(self, "coordinates_")
        check_is_fitted(
            self,
            "calibration_",
            msg="This %(name)s instance is not calibrated: call calibrate(X, y) with photos of "
            "places that are not in the gallery before predict_with_uncertainty.",
        )
        if not is_number(confidence) or not 0.0 < confidence < 1.0:
            raise ValueError(
                f"confidence is {confidence!r}; expected a probability between 0 and 1."
            )
        if max_radius_km is not None and not (is_number(max_radius_km) and max_radius_km > 0.0):
            raise ValueError(f"max_radius_km is {max_radius_km!r}; expected km above 0, or None.")
        settings = self._settings()
        changed = [k for k, v in settings.items() if v != self.calibration_.settings.get(k)]
        if changed:
            raise ValueError(
                f"The parameter(s) {', '.join(changed)} changed since calibrate was called; "
                "calibrate again."
            )
        if self.calibration_.n_places < least_places(float(confidence)):
            warnings.warn(
                f"The calibration holds {self.calibration_.n_places} place(s); a radius with a "
                f"confidence of {confidence:g} needs {least_places(float(confidence))} at least. "
                "The radius is half of the Earth's circumference.",
                UserWarning,
                stacklevel=2,
            )
        estimate = self._estimate(X, 1, explain=True)  # type: ignore[attr-defined]
        radius = radii_km(self._guess(estimate), self.calibration_, float(confidence))
        limit = np.inf if max_radius_km is None else float(max_radius_km)
        return UncertainPlaces(estimate.places[:, 0], radius, radius <= limit)

    def _guess(self, estimate: Estimate) -> FloatArray:
        assert estimate.votes is not None
        voters = estimate.indices[:, : estimate.votes.shape[1]]
        return spread_km(estimate.places[:, 0], self.coordinates_[voters], self.coordinates_)

    def _settings(self) -> dict[str, Any]:
        """Parameters on which the estimates depend."""
        parameters: dict[str, Any] = self.get_params(deep=False)  # type: ignore[attr-defined]
        idle = ("n_jobs", "verbose", "algorithm", "algorithm_params")
        return {key: value for key, value in parameters.items() if key not in idle}
