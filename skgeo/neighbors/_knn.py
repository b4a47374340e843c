"""From the nearest photos of a gallery to a place on the Earth."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skgeo._validation import Interval, StrOptions

from ._approximate import DEFAULTS, approximate_neighbors, build_index, read_parameters
from ._base import GeoRegressorMixin
from ._blocks import map_blocks
from ._density import density_peaks, distance_weights, snap
from ._estimate import Estimate
from ._gallery import FloatArray, GalleryMixin, IndexArray
from ._search import Gallery, build_tree, choose_algorithm, make_gallery, nearest_neighbors
from ._uncertainty import CalibratedMixin
from ._vote import cluster_ranks, fill_places, vote, votes_at_once

_NOTHING = (np.empty((0, 0), dtype=np.intp), np.empty((0, 0)))


class KNNGeoRegressor(CalibratedMixin, GalleryMixin, GeoRegressorMixin, BaseEstimator):
    """Estimate where a photo was taken from its nearest photos in a gallery of known places.

    With ``mode="1-nn"`` the answer is the place of the nearest photo. With ``mode="mean-shift"``
    the places of the 120 nearest photos are clustered by a flat-kernel mean shift of 500 km; the
    centroid of the largest cluster is the answer. The first is better for the city, the second
    for the country and the continent. With ``mode="kde"`` each of the nearest photos is a Gaussian
    on the sphere, which weighs more the nearer its vector is; the highest peak is the answer.

    Parameters
    ----------
    mode : {"1-nn", "mean-shift", "kde"}, default="1-nn"
        How the neighbours become a place.
    n_neighbors : int, default=120
        Number of neighbours that vote, that ``explain`` shows and from whose spread the radius of
        ``predict_with_uncertainty`` is made, and the number that ``kneighbors`` returns where it
        is not told another. A smaller gallery takes part as a whole. Has no effect on the places
        of ``mode="1-nn"``.
    bandwidth_km : float, default=500.0
        With ``mode="mean-shift"`` the radius of the kernel, with ``mode="kde"`` its standard
        deviation, in km straight through the Earth (500 km are an arc of 500.13 km). Has no
        effect with ``mode="1-nn"``.
    min_cluster_size : int, default=4
        Clusters with fewer neighbours are disregarded. Only for ``mode="mean-shift"``.
    weight_power : float, default=20.0
        With ``mode="kde"`` a neighbour at distance d weighs ``d ** -weight_power``; 0 gives equal
        weights. Only for ``mode="kde"``.
    snap_km : float or None, default=None
        With ``mode="kde"`` a peak is moved to the place of the best-ranked neighbour within so many
        km, if there is one; None leaves it where it is. Only for ``mode="kde"``.
    algorithm : str, default="auto"
        How the neighbours are found, in Euclidean distance. ``algorithm_`` says which it is.

        - "brute" (blocked matrix products), "kd_tree" and "ball_tree" are exact and find the same
          ones; they differ in time.
        - "auto" is exact as well: a k-d tree for at most 15 columns and at least 1,000 photos,
          "brute" everywhere else.
        - "projection" compares all photos in the directions of greatest variance, and the best
          candidates in full. It may miss a neighbour; on features of images it finds
          996 of 1,000 in an eighth of the time (28,000 photos of 2,971 columns).
        - "pynndescent" and "faiss" take candidates from the packages of these names, which have
          to be installed, and compare them in full.
    algorithm_params : dict or None, default=None
        Parameters of the last three; others have none.

        - "projection": ``n_components`` (128), directions; ``n_candidates`` (2), compared in full
          for each neighbour, 100 more than that at least.
        - "pynndescent": ``n_neighbors`` (30) of its graph, ``epsilon`` (0.2), ``n_candidates``
          (1.5).
        - "faiss": ``factory`` ("HNSW32"), the text that describes the index, ``ef_search`` (512)
          of a graph, ``n_candidates`` (1.5).
    n_jobs : int or None, default=None
        Number of threads over blocks of queries; None means 1 unless in a
        `joblib.parallel_config` context, -1 means all processors. With 1 the linear algebra
        library may use threads of its own. The answers do not depend on it.

    Attributes
    ----------
    coordinates_ : ndarray of shape (n_samples, 2)
        Places of the gallery in degrees.
    algorithm_ : str
        The search that is used.
    n_samples_fit_ : int
        Number of photos in the gallery.
    calibration_ : Calibration
        What `calibrate` has learned; only after it.
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
    distances, recomputed in float64. With an exact search the results are the same for a photo
    alone and in a batch.

    A gallery in half precision, or in a memory map of a file, is kept as it is and read in blocks
    (``X`` from ``numpy.load(path, mmap_mode="r")`` or `numpy.memmap`), so that it may be larger
    than the memory. ``partial_fit`` and ``remove`` make a copy of it in memory, of its type, and
    leave the file as it is. Where that is too large, write the rows to a new file and ``fit``.

    The vote's clusters are those of `sklearn.cluster.MeanShift` with every neighbour as a seed:
    each neighbour belongs to the cluster of the nearest centre. The paper does not say, and skgeo
    chooses: the centroid is the mean of the cluster's members, renormalised to the sphere; of
    equally large clusters the one with the best-ranked neighbour wins; where no cluster is large
    enough, the answer is that of ``mode="1-nn"``.

    The density of ``mode="kde"`` is that of Vo, Jacobs and Hays [4]_, whose program takes 100
    neighbours, the distance to the power of -20 between L2-normalised features (its own distances
    are squared, to the power of -10), a standard deviation of 4 degrees (445 km) and a last step
    with ``snap_km=100``. It smooths a grid of degrees, in which a Gaussian is narrower near the
    poles and cut at the antimeridian; here it is one on the sphere, and the peak is climbed to
    from every neighbour. Where a neighbour is identical to the query, only such ones count.

    ``score`` is the fraction within 200 km.

    References
    ----------
    .. [1] S. Jiang, Y. Kong, Y. Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
       Estimation", IEEE Transactions on Big Data, 2017, sections 5 and 6.2.
    .. [2] J. Hays, A. Efros, "IM2GPS: Estimating Geographic Information from a Single Image",
       CVPR 2008.
    .. [3] D. Comaniciu, P. Meer, "Mean Shift: A Robust Approach toward Feature Space Analysis",
       IEEE PAMI 24(5), 2002.
    .. [4] N. Vo, N. Jacobs, J. Hays, "Revisiting IM2GPS in the Deep Learning Era", ICCV 2017.

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
        "mode": [StrOptions({"1-nn", "mean-shift", "kde"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "bandwidth_km": [Interval(Real, 0, None, closed="neither")],
        "min_cluster_size": [Interval(Integral, 1, None, closed="left")],
        "weight_power": [Interval(Real, 0, None, closed="left")],
        "snap_km": [Interval(Real, 0, None, closed="left"), None],
        "algorithm": [StrOptions({"auto", "brute", "kd_tree", "ball_tree", *DEFAULTS})],
        "algorithm_params": [dict, None],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        mode: str = "1-nn",
        *,
        n_neighbors: int = 120,
        bandwidth_km: float = 500.0,
        min_cluster_size: int = 4,
        weight_power: float = 20.0,
        snap_km: float | None = None,
        algorithm: str = "auto",
        algorithm_params: dict[str, Any] | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.mode = mode
        self.n_neighbors = n_neighbors
        self.bandwidth_km = bandwidth_km
        self.min_cluster_size = min_cluster_size
        self.weight_power = weight_power
        self.snap_km = snap_km
        self.algorithm = algorithm
        self.algorithm_params = algorithm_params
        self.n_jobs = n_jobs

    def _read(self, X: npt.ArrayLike, *, reset: bool) -> npt.NDArray[Any]:
        kinds = [np.float64, np.float32, np.float16]
        rows: npt.NDArray[Any] = validate_data(self, X, reset=reset, dtype=kinds, order="C")
        return rows

    def _take(self, gallery: npt.NDArray[Any]) -> None:
        algorithm = choose_algorithm(self.algorithm, *gallery.shape)
        parameters = read_parameters(algorithm, self.algorithm_params)
        exact: Gallery | None = None
        index: Any = None
        if algorithm == "brute":
            exact = make_gallery(gallery)
        elif algorithm in DEFAULTS:
            index = build_index(algorithm, gallery, parameters)
        else:
            index = build_tree(algorithm, gallery)
        self.algorithm_, self._exact, self._index, self._per_neighbor = (
            algorithm, exact, index, parameters.get("n_candidates"),
        )  # fmt: skip

    def _nearest(self, rows: npt.NDArray[Any], n_neighbors: int) -> tuple[FloatArray, IndexArray]:
        if self._per_neighbor is not None:
            return approximate_neighbors(
                rows,
                self._gallery,
                n_neighbors,
                self._index,
                candidates_per_neighbor=self._per_neighbor,
                n_jobs=self.n_jobs,
            )
        return nearest_neighbors(
            rows, self._exact or self._gallery, n_neighbors, tree=self._index, n_jobs=self.n_jobs
        )

    def _decide(self, rows: npt.NDArray[Any], n_places: int, explain: bool) -> Estimate:
        n_voters = min(self.n_neighbors, self.n_samples_fit_)
        if self.mode == "1-nn" and not explain:
            n_voters = 1
        distances, indices = self._nearest(rows, max(n_voters, n_places))
        nearest = self.coordinates_[indices]
        if self.mode == "1-nn":
            support = np.arange(n_voters) == np.zeros((len(rows), 1), dtype=np.intp)
            clusters = np.where(np.arange(n_voters) < n_places, np.arange(n_voters), -1)
            return Estimate(
                nearest[:, :n_places],
                distances,
                indices,
                np.broadcast_to(clusters, support.shape),
                support.astype(np.float64),
            )
        decide = self._shift if self.mode == "mean-shift" else self._peaks
        results = map_blocks(
            lambda block: decide(nearest[block], distances[block], n_voters, n_places, explain),
            len(rows),
            votes_at_once(n_voters),
            self.n_jobs,
        )
        places, clusters, votes = (np.concatenate(part) for part in zip(*results, strict=True))
        return Estimate(places, distances, indices, clusters, votes)

    def _shift(
        self, nearest: FloatArray, _: FloatArray, n_voters: int, n_places: int, explain: bool
    ) -> tuple[FloatArray, IndexArray, FloatArray]:
        """Places of the mean-shift vote; if asked, the neighbours' clusters and shares."""
        voters = nearest[:, :n_voters]
        places, _sizes = vote(voters, self.bandwidth_km, self.min_cluster_size, n_places)
        places = fill_places(places, nearest)
        if not explain:
            return places, *_NOTHING
        clusters = cluster_ranks(voters, self.bandwidth_km, self.min_cluster_size)
        winners = clusters == 0
        winners[~winners.any(axis=1), 0] = True  # the nearest photo answers alone
        return places, clusters, winners / winners.sum(axis=1, keepdims=True)

    def _peaks(
        self,
        nearest: FloatArray,
        distances: FloatArray,
        n_voters: int,
        n_places: int,
        explain: bool,
    ) -> tuple[FloatArray, IndexArray, FloatArray]:
        """Places of the density vote, and the neighbours' peaks and shares."""
        voters = nearest[:, :n_voters]
        weights = distance_weights(distances[:, :n_voters], self.weight_power)
        places, clusters, votes = density_peaks(voters, weights, self.bandwidth_km, n_places)
        if self.snap_km is not None:
            places = snap(places, voters, self.snap_km)
        return fill_places(places, nearest), clusters, votes
