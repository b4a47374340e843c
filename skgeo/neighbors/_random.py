"""Chance: the baseline that every other figure is measured from."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ._base import GeoRegressorMixin, check_gallery_places


class RandomGeoRegressor(GeoRegressorMixin, BaseEstimator):
    """Answer every query with the place of a gallery photo drawn at random.

    What a method is worth shows beside chance, and chance depends on the gallery: where half of
    the photos are of one city, half of the random answers are too. The queries' vectors are
    checked but not used.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Seed of the draws. With an int each call of ``predict`` starts anew, so that the same
        number of queries gets the same answers; with None or an instance each call draws others.

    Attributes
    ----------
    coordinates_ : ndarray of shape (n_samples, 2)
        Places of the gallery in degrees.
    n_features_in_ : int
        Number of columns of ``X`` in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where ``X`` has names that are all strings.

    See Also
    --------
    KNNGeoRegressor : Places of the visually nearest photos.

    Notes
    -----
    The answer belongs to a query's position in the batch and not to its vector: two batches of
    the same photos in another order are answered differently, and that is the point of it.

    References
    ----------
    S. Jiang, Y. Kong, Y. Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
    Estimation", IEEE Transactions on Big Data, 2017: chance-random in Figs. 5 and 6.

    Examples
    --------
    >>> from skgeo.neighbors import RandomGeoRegressor
    >>> gallery = [[48.86, 2.35], [35.68, 139.69], [-33.87, 151.21]]
    >>> chance = RandomGeoRegressor(random_state=0).fit([[0.0], [1.0], [2.0]], gallery)
    >>> chance.predict([[0.1], [0.2]])
    array([[ 48.86,   2.35],
           [ 35.68, 139.69]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"random_state": ["random_state"]}

    def __init__(self, *, random_state: int | np.random.RandomState | None = None) -> None:
        self.random_state = random_state

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> RandomGeoRegressor:
        """Keep the places of the gallery.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Vectors of the gallery's photos; only their number is used.
        y : array-like of shape (n_samples, 2)
            Latitudes and longitudes in degrees.

        Returns
        -------
        RandomGeoRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If ``y`` does not hold one place in degrees for each photo.
        """
        self._validate_params()
        n_samples = len(validate_data(self, X))
        self.coordinates_ = check_gallery_places(self, y, n_samples)
        return self

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Draw a place of the gallery for each query, all of them with equal probability.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            Vectors of the queries; only their number is used.

        Returns
        -------
        ndarray of shape (n_queries, 2)
            Latitudes and longitudes in degrees.

        Raises
        ------
        ValueError
            If ``X`` has not the columns of the gallery.
        """
        check_is_fitted(self)
        n_queries = len(validate_data(self, X, reset=False))
        random_state = check_random_state(self.random_state)
        draws = random_state.randint(len(self.coordinates_), size=n_queries)
        places: npt.NDArray[np.float64] = self.coordinates_[draws]
        return places

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        tags.regressor_tags.poor_score = True
        return tags
