"""What the estimators that keep a gallery share: taking it, adding to it, searching it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted, validate_data

from skgeo._validation import check_photo_numbers

from ._base import check_gallery_places, check_k, is_number
from ._distinct import distinct_places
from ._estimate import Estimate

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]


class GalleryMixin:
    """A gallery of vectors and places, and everything that is asked of it.

    The estimator has the parameter ``n_neighbors``, and the methods ``_take`` and ``_nearest``
    (the search) and ``_decide`` (the vote).
    """

    n_neighbors: int
    n_samples_fit_: int
    coordinates_: FloatArray
    _gallery: npt.NDArray[Any]

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Take the gallery: the vectors of its photos and the places where they were taken.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Vectors of the photos, finite. Float32 and float64 are kept as they are (without a
            copy where possible), all else becomes float64.
        y : array-like of shape (n_samples, 2)
            Latitudes in [-90, 90] and longitudes in [-180, 180], degrees.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is out of range, ``X`` is not finite, or ``y`` does not hold one place
            in degrees for each photo.
        """
        self._validate_params()  # type: ignore[attr-defined]
        gallery = self._read(X, reset=True)
        return self._set_gallery(gallery, check_gallery_places(self, y, len(gallery)))

    def partial_fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Add photos to the gallery; the first call is ``fit``.

        The new photos follow the old ones in the order of the index, and the outcome equals that
        of one ``fit`` on all of them. The gallery is copied in each call (and a tree built anew),
        so that many photos are better added in few calls. A calibration is forgotten.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Vectors of the new photos.
        y : array-like of shape (n_samples, 2)
            Latitudes and longitudes in degrees.

        Returns
        -------
        self
            The estimator with the larger gallery.

        Raises
        ------
        ValueError
            As in ``fit``, and if ``X`` has not the columns of the gallery. The gallery is left as
            it was.
        """
        if not hasattr(self, "coordinates_"):
            return self.fit(X, y)
        self._validate_params()  # type: ignore[attr-defined]
        added = self._read(X, reset=False)
        places = check_gallery_places(self, y, len(added))
        return self._set_gallery(
            np.concatenate([self._gallery, added]), np.concatenate([self.coordinates_, places])
        )

    def remove(self, indices: Any) -> Self:
        """Take photos out of the gallery, as their owners may ask for.

        The outcome equals that of one ``fit`` on what is left, to the bit. Photos behind a removed
        one move up, as with `numpy.delete`: remove several in one call, or look the index up
        again before the next. What is left is copied (and an index or tree built anew); a file that
        the gallery was a memory map of is not written to. A calibration is forgotten.

        Parameters
        ----------
        indices : int or array-like of int
            Rows of the gallery: photos count in the order in which ``fit`` and ``partial_fit`` got
            them, negative numbers from the end. ``kneighbors`` and ``explain`` tell the index of
            each neighbour; ``kneighbors(X, 1)`` finds that of a photo by its vector. An empty list
            changes nothing.

        Returns
        -------
        self
            The estimator with the smaller gallery.

        Raises
        ------
        ValueError
            If an index is no integer, out of range or given twice, or no photo would be left. The
            gallery is left as it was.

        Examples
        --------
        >>> from skgeo.neighbors import KNNGeoRegressor
        >>> knn = KNNGeoRegressor().fit([[0.0], [3.0], [7.0]], [[1, 1], [2, 2], [3, 3]])
        >>> where = knn.kneighbors([[3.0]], 1, return_distance=False)[:, 0]
        >>> knn.remove(where).predict([[3.4]])
        array([[1., 1.]])
        """
        check_is_fitted(self)
        self._validate_params()  # type: ignore[attr-defined]
        asked = np.asarray(indices)
        if asked.ndim == 1 and not len(asked):
            return self
        rows, counts = np.unique(
            check_photo_numbers(indices, self.n_samples_fit_, name="indices"), return_counts=True
        )
        if counts.max() > 1:
            raise ValueError(
                f"indices holds photo {rows[counts.argmax()]} {counts.max()} times; expected each "
                "photo once."
            )
        if len(rows) == self.n_samples_fit_:
            raise ValueError(
                f"indices holds all {len(rows)} photos of the gallery; expected at least one left."
            )
        keep = np.delete(np.arange(self.n_samples_fit_), rows)
        return self._set_gallery(np.asarray(self._gallery[keep]), self.coordinates_[keep])

    def _set_gallery(self, gallery: npt.NDArray[Any], coordinates: FloatArray) -> Self:
        self._take(gallery)
        self._gallery = gallery
        self.coordinates_ = coordinates
        self.n_samples_fit_ = len(gallery)
        # What was calibrated was calibrated with another gallery.
        vars(self).pop("calibration_", None)
        return self

    def _read(self, X: npt.ArrayLike, *, reset: bool) -> npt.NDArray[Any]:
        rows: npt.NDArray[Any] = validate_data(
            self, X, reset=reset, dtype=[np.float64, np.float32], order="C"
        )
        return rows

    def _take(self, gallery: npt.NDArray[Any]) -> None:
        """Prepare the search of a new gallery, of which nothing has been kept yet."""
        raise NotImplementedError

    def _nearest(self, rows: npt.NDArray[Any], n_neighbors: int) -> tuple[FloatArray, IndexArray]:
        """Distances and indices of the nearest photos of the gallery."""
        raise NotImplementedError

    def _decide(self, rows: npt.NDArray[Any], n_places: int, explain: bool) -> Estimate:
        """Estimate places of validated queries; with ``explain`` say who voted for what."""
        raise NotImplementedError

    @overload
    def kneighbors(
        self, X: npt.ArrayLike, n_neighbors: int | None = ..., return_distance: Literal[True] = ...
    ) -> tuple[FloatArray, IndexArray]: ...

    @overload
    def kneighbors(
        self, X: npt.ArrayLike, n_neighbors: int | None = ..., *, return_distance: Literal[False]
    ) -> IndexArray: ...

    def kneighbors(
        self, X: npt.ArrayLike, n_neighbors: int | None = None, return_distance: bool = True
    ) -> tuple[FloatArray, IndexArray] | IndexArray:
        """Find the gallery photos that are nearest to each query.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            Vectors of the queries.
        n_neighbors : int or None, default=None
            How many; at most the size of the gallery. None means the parameter of the estimator,
            or the whole gallery where that is smaller.
        return_distance : bool, default=True
            Whether to return the distances too.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors)
            Euclidean distances in float64, ascending. Only if ``return_distance``.
        indices : ndarray of shape (n_queries, n_neighbors)
            Rows of the gallery. Equal distances are in ascending order of the index.

        Raises
        ------
        ValueError
            If ``X`` has not the columns of the gallery, or more neighbours are asked for than
            there are.

        Examples
        --------
        >>> from skgeo.neighbors import KNNGeoRegressor
        >>> knn = KNNGeoRegressor().fit([[0.0], [3.0], [3.0]], [[1, 1], [2, 2], [3, 3]])
        >>> knn.kneighbors([[2.0]], n_neighbors=2)
        (array([[1., 1.]]), array([[1, 2]]))
        """
        check_is_fitted(self)
        if n_neighbors is None:
            n_neighbors = min(self.n_neighbors, self.n_samples_fit_)
        else:
            n_neighbors = check_k(n_neighbors, self.n_samples_fit_, "n_neighbors")
        distances, indices = self._nearest(self._read(X, reset=False), n_neighbors)
        return (distances, indices) if return_distance else indices

    def predict(self, X: npt.ArrayLike) -> FloatArray:
        """Estimate the place of each query.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            Vectors of the queries.

        Returns
        -------
        ndarray of shape (n_queries, 2)
            Latitudes and longitudes in degrees, never NaN.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has not the columns of the gallery.
        """
        return self._estimate(X, 1).places[:, 0]

    def predict_top_k(
        self, X: npt.ArrayLike, k: int, *, min_distance_km: float = 0.0
    ) -> FloatArray:
        """Estimate ``k`` places for each query, the best one first.

        They are the places that the vote has found, by falling support; where these are fewer
        than ``k``, the places of the nearest photos follow, nearest first. With ``mode="1-nn"``
        they are the places of the ``k`` nearest photos (Table 5 of the paper), so that a place
        with several photos comes several times, unless ``min_distance_km`` forbids it.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            Vectors of the queries.
        k : int
            Number of places, from 1 to the size of the gallery.
        min_distance_km : float, default=0.0
            The places of a query are at least so many km from each other: a place is passed over
            where it is nearer than that to a better one. 0: none is.

        Returns
        -------
        ndarray of shape (n_queries, k, 2)
            Latitudes and longitudes in degrees; ``[:, 0]`` equals ``predict(X)``. NaN only where
            ``min_distance_km`` is above 0 and even the whole gallery has not ``k`` such places.

        Raises
        ------
        ValueError
            If ``k`` or ``min_distance_km`` is out of range, or ``X`` has not the columns of the
            gallery.

        Examples
        --------
        >>> from skgeo.neighbors import KNNGeoRegressor
        >>> knn = KNNGeoRegressor().fit([[0.0], [3.0], [7.0]], [[1, 1], [1, 1], [3, 3]])
        >>> knn.predict_top_k([[2.0]], k=2)
        array([[[1., 1.],
                [1., 1.]]])
        >>> knn.predict_top_k([[2.0]], k=2, min_distance_km=25.0)
        array([[[1., 1.],
                [3., 3.]]])
        """
        check_is_fitted(self)
        k = check_k(k, self.n_samples_fit_, "k")
        if not is_number(min_distance_km) or not 0.0 <= min_distance_km < np.inf:
            raise ValueError(
                f"min_distance_km is {min_distance_km!r}; expected a number of km, at least 0."
            )
        if min_distance_km == 0.0:
            return self._estimate(X, k).places
        return distinct_places(
            lambda rows, n: self._decide(rows, n, False).places,
            self._read(X, reset=False),
            k,
            float(min_distance_km),
            self.n_samples_fit_,
        )

    def explain(self, X: npt.ArrayLike) -> pd.DataFrame:
        """Tell from whom the estimate of each query comes: a table with a row for each neighbour.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            Vectors of the queries.

        Returns
        -------
        DataFrame
            One row for each query and each of its ``n_neighbors`` nearest photos (or all of a
            smaller gallery), nearest first, with the columns

            - ``query``, ``rank``: row of ``X``; 0 for the nearest photo, 1 for the next, ...;
            - ``index``, ``distance``: row of the gallery, and how far it is in feature space;
            - ``latitude``, ``longitude``: where that photo was taken;
            - ``cluster``: the answer that it supports, by its position in ``predict_top_k``: 0
              is the answer of ``predict``; -1 where it supports none;
            - ``vote``: its share in the answer of ``predict``; the shares of a query sum to 1;
            - ``estimate_latitude``, ``estimate_longitude``: the answer of ``predict``;
            - ``km``: from the answer to the place of the photo, along a great circle.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has not the columns of the gallery.

        Examples
        --------
        >>> from skgeo.neighbors import KNNGeoRegressor
        >>> y = [[-33.9, 151.2], [48.9, 2.3], [48.9, 2.4], [48.8, 2.4]]
        >>> knn = KNNGeoRegressor("mean-shift", min_cluster_size=2)
        >>> table = knn.fit([[0.0], [1.0], [2.0], [3.0]], y).explain([[0.2]])
        >>> table[["rank", "index", "latitude", "cluster", "vote"]].round(2)
           rank  index  latitude  cluster  vote
        0     0      0     -33.9       -1  0.00
        1     1      1      48.9        0  0.33
        2     2      2      48.9        0  0.33
        3     3      3      48.8        0  0.33
        """
        from ._explain import explanation

        return explanation(self._estimate(X, 1, explain=True), self.coordinates_)

    def _estimate(self, X: npt.ArrayLike, n_places: int, *, explain: bool = False) -> Estimate:
        check_is_fitted(self)
        self._validate_params()  # type: ignore[attr-defined]  # set_params may have been called
        return self._decide(self._read(X, reset=False), n_places, explain)
