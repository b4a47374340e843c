"""From the nearest photos of a gallery to a place on the Earth."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Literal, overload

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from skgeo._validation import Interval, StrOptions

from ._base import GeoRegressorMixin, check_gallery_places, check_k
from ._blocks import map_blocks
from ._search import build_tree, choose_algorithm, nearest_neighbors
from ._vote import vote, votes_at_once

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]


class KNNGeoRegressor(GeoRegressorMixin, BaseEstimator):
    """Estimate where a photo was taken from its nearest photos in a gallery of known places.

    With ``mode="1-nn"`` the answer is the place of the nearest photo. With ``mode="mean-shift"``
    the places of the 120 nearest photos are clustered by a flat-kernel mean shift of 500 km; the
    centroid of the largest cluster is the answer. The first is better for the city, the second
    for the country and the continent.

    Parameters
    ----------
    mode : {"1-nn", "mean-shift"}, default="1-nn"
        How the neighbours become a place.
    n_neighbors : int, default=120
        Number of neighbours that vote with ``mode="mean-shift"``, and the number that
        `kneighbors` returns where it is not told another. A smaller gallery takes part as a whole.
    bandwidth_km : float, default=500.0
        Radius of the kernel of the vote, in km straight through the Earth (500 km are an arc of
        500.13 km). Has no effect with ``mode="1-nn"``.
    min_cluster_size : int, default=4
        Clusters with fewer neighbours are disregarded. Has no effect with ``mode="1-nn"``.
    algorithm : {"auto", "brute", "kd_tree", "ball_tree"}, default="auto"
        How the neighbours are found. All find the same ones, in Euclidean distance; they differ
        in time and memory. "auto" takes a k-d tree for at most 15 columns and at least 1,000
        photos, and brute force (blocked matrix products, a few MB of memory for each thread)
        everywhere else. See ``algorithm_``.
    n_jobs : int or None, default=None
        Number of threads over blocks of queries; None means 1 unless in a
        `joblib.parallel_config` context, -1 means all processors. With 1 the linear algebra
        library may use threads of its own. The answers do not depend on it.

    Attributes
    ----------
    coordinates_ : ndarray of shape (n_samples, 2)
        Places of the gallery in degrees.
    algorithm_ : {"brute", "kd_tree", "ball_tree"}
        The search that is used.
    n_samples_fit_ : int
        Number of photos in the gallery.
    n_features_in_ : int
        Number of columns of ``X`` in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where ``X`` has names that are all strings.

    See Also
    --------
    RandomGeoRegressor : Chance.
    skgeo.metrics.geolocation_report : Errors of the estimates at every scale.

    Notes
    -----
    Equal distances are ranked by the photos' index in the gallery, near-duplicates by their true
    distances, recomputed in float64. Results are the same for a photo alone and in a batch.

    The vote's clusters are those of `sklearn.cluster.MeanShift` with every neighbour as a seed:
    each neighbour belongs to the cluster of the nearest centre. The paper does not say, and skgeo
    chooses: the centroid is the mean of the cluster's members, renormalised to the sphere; of
    equally large clusters the one with the best-ranked neighbour wins; where no cluster is large
    enough, the answer is that of ``mode="1-nn"``.

    ``score`` is the fraction within 200 km.

    References
    ----------
    .. [1] S. Jiang, Y. Kong, Y. Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
       Estimation", IEEE Transactions on Big Data, 2017, sections 5 and 6.2.
    .. [2] J. Hays, A. Efros, "IM2GPS: Estimating Geographic Information from a Single Image",
       CVPR 2008.
    .. [3] D. Comaniciu, P. Meer, "Mean Shift: A Robust Approach toward Feature Space Analysis",
       IEEE PAMI 24(5), 2002.

    Examples
    --------
    The nearest photo is of Sydney, but four of the five nearest are of Paris:

    >>> from skgeo.neighbors import KNNGeoRegressor
    >>> X = [[0.0], [1.1], [1.2], [1.3], [1.4], [9.0]]
    >>> y = [[-33.87, 151.21], [48.85, 2.29], [48.86, 2.34], [48.86, 2.35], [48.89, 2.34], [0, 0]]
    >>> KNNGeoRegressor().fit(X, y).predict([[0.5]])
    array([[-33.87, 151.21]])
    >>> vote = KNNGeoRegressor(mode="mean-shift", n_neighbors=5).fit(X, y)
    >>> vote.predict([[0.5]]).round(3)
    array([[48.865,  2.33 ]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "mode": [StrOptions({"1-nn", "mean-shift"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "bandwidth_km": [Interval(Real, 0, None, closed="neither")],
        "min_cluster_size": [Interval(Integral, 1, None, closed="left")],
        "algorithm": [StrOptions({"auto", "brute", "kd_tree", "ball_tree"})],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        mode: str = "1-nn",
        *,
        n_neighbors: int = 120,
        bandwidth_km: float = 500.0,
        min_cluster_size: int = 4,
        algorithm: str = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.mode = mode
        self.n_neighbors = n_neighbors
        self.bandwidth_km = bandwidth_km
        self.min_cluster_size = min_cluster_size
        self.algorithm = algorithm
        self.n_jobs = n_jobs

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> KNNGeoRegressor:
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
        KNNGeoRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is out of range, ``X`` is not finite, or ``y`` does not hold one place
            in degrees for each photo.
        """
        self._validate_params()
        gallery = validate_data(self, X, dtype=[np.float64, np.float32], order="C")
        return self._take(gallery, check_gallery_places(self, y, len(gallery)))

    def partial_fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> KNNGeoRegressor:
        """Add photos to the gallery; the first call is ``fit``.

        The new photos follow the old ones in the order of the index, and the outcome equals that
        of one ``fit`` on all of them. The gallery is copied in each call (and a tree built anew),
        so that many photos are better added in few calls.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Vectors of the new photos.
        y : array-like of shape (n_samples, 2)
            Latitudes and longitudes in degrees.

        Returns
        -------
        KNNGeoRegressor
            The estimator with the larger gallery.

        Raises
        ------
        ValueError
            As in ``fit``, and if ``X`` has not the columns of the gallery. The gallery is left as
            it was.
        """
        if not hasattr(self, "coordinates_"):
            return self.fit(X, y)
        self._validate_params()
        added = validate_data(self, X, reset=False, dtype=[np.float64, np.float32], order="C")
        places = check_gallery_places(self, y, len(added))
        return self._take(
            np.concatenate([self._gallery, added]), np.concatenate([self.coordinates_, places])
        )

    def _take(self, gallery: npt.NDArray[Any], coordinates: FloatArray) -> KNNGeoRegressor:
        self._gallery = gallery
        self.coordinates_ = coordinates
        self.n_samples_fit_ = len(gallery)
        self.algorithm_ = choose_algorithm(self.algorithm, *gallery.shape)
        self._tree = build_tree(self.algorithm_, gallery)
        return self

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
        distances, indices = self._search(X, n_neighbors)
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
            Latitudes and longitudes in degrees.

        Raises
        ------
        ValueError
            If ``X`` is not finite or has not the columns of the gallery.
        """
        return self._places(X, 1)[:, 0]

    def predict_top_k(self, X: npt.ArrayLike, k: int) -> FloatArray:
        """Estimate ``k`` places for each query, the best one first.

        With ``mode="1-nn"`` they are the places of the ``k`` nearest photos (Table 5 of the
        paper), so that a place with several photos can come several times. With
        ``mode="mean-shift"`` they are the centroids of the clusters that are large enough, by
        falling size; where these are fewer than ``k``, the places of the nearest photos follow,
        nearest first.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            Vectors of the queries.
        k : int
            Number of places, from 1 to the size of the gallery.

        Returns
        -------
        ndarray of shape (n_queries, k, 2)
            Latitudes and longitudes in degrees; ``[:, 0]`` equals ``predict(X)``.

        Raises
        ------
        ValueError
            If ``k`` is out of range, or ``X`` has not the columns of the gallery.

        Examples
        --------
        >>> from skgeo.neighbors import KNNGeoRegressor
        >>> knn = KNNGeoRegressor().fit([[0.0], [3.0], [7.0]], [[1, 1], [2, 2], [3, 3]])
        >>> knn.predict_top_k([[2.0]], k=2)
        array([[[2., 2.],
                [1., 1.]]])
        """
        check_is_fitted(self)
        return self._places(X, check_k(k, self.n_samples_fit_, "k"))

    def _places(self, X: npt.ArrayLike, n_places: int) -> FloatArray:
        check_is_fitted(self)
        self._validate_params()  # set_params may have been called since fit
        if self.mode == "1-nn":
            _, indices = self._search(X, n_places)
            nearest: FloatArray = self.coordinates_[indices]
            return nearest

        n_voters = min(self.n_neighbors, self.n_samples_fit_)
        _, indices = self._search(X, max(n_voters, n_places))

        def decide(rows: slice) -> FloatArray:
            nearest = self.coordinates_[indices[rows]]
            places, sizes = vote(
                nearest[:, :n_voters], self.bandwidth_km, self.min_cluster_size, n_places
            )
            # The n-th place without a cluster is filled from the nearest photo on.
            rank = np.arange(n_places) - np.count_nonzero(sizes, axis=1)[:, None]
            fill = np.take_along_axis(nearest, np.maximum(rank, 0)[..., None], axis=1)
            return np.where(rank[..., None] < 0, places, fill)

        return np.concatenate(
            map_blocks(decide, len(indices), votes_at_once(n_voters), self.n_jobs)
        )

    def _search(self, X: npt.ArrayLike, n_neighbors: int) -> tuple[FloatArray, IndexArray]:
        queries = validate_data(self, X, reset=False, dtype=[np.float64, np.float32], order="C")
        return nearest_neighbors(
            queries, self._gallery, n_neighbors, tree=self._tree, n_jobs=self.n_jobs
        )
