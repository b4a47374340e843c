"""The estimator that turns the coordinates of photos into points of interest."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .._validation import Interval, StrOptions, check_coordinates
from ._growth import places_within, regrouped_share
from ._mean_shift import MeanShiftResult, mean_shift, nearest_place


class POIMeanShift(ClusterMixin, BaseEstimator):
    """Points of interest: where photos crowd, by mean shift on their coordinates.

    Every photo climbs to the mean of the photos within the bandwidth, again and again, until it
    shifts by at most a thousandth of it. Ends within one bandwidth of an end with more photos
    are dropped, what remains are the centres of the POIs.

    Parameters
    ----------
    bandwidth : float, default=0.005
        Radius of the flat kernel, photos at exactly this distance included. In the unit of the
        data, that is degrees, for ``metric="euclidean"``, in km for ``metric="haversine"``. The
        paper takes 0.005 degrees and finds 0.0001 to 0.05 satisfactory.
    metric : {"euclidean", "haversine"}, default="euclidean"
        "euclidean" takes the columns as they are, any number of them, as the paper does with
        degrees. On the Earth that cuts places in two at the antimeridian, and 0.005 degrees of
        longitude are 556 m at the equator but 278 m at 60 degrees north. "haversine" works on
        the sphere on (n, 2) degrees: right everywhere, poles included, and independent of
        where on Earth the photos lie.
    assign : {"mode", "nearest"}, default="mode"
        "mode": a photo belongs to the POI that its own trajectory leads to, as the paper
        describes. Where the end of the trajectory was dropped, that is the centre nearest to
        this end, which is always less than or exactly one bandwidth away from it.
        "nearest": a photo belongs to the nearest centre, as in scikit-learn's `MeanShift`.
        The two differ for some 5 percent of photos of the whole world, more in dense places.
    max_iter : int, default=300
        Steps after which a trajectory ends in any case.
    n_jobs : int or None, default=None
        Number of threads. None means 1 (or what a `joblib.parallel_config` says), -1 all
        processors. The result does not depend on it.
    verbose : int, default=0
        Above 0 a progress bar shows how far the climbing is.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        The POI of each photo.
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        The POIs, those with most photos under the kernel first; behind them those that
        `partial_fit` has opened, in the order of their coming. Degrees for "haversine".
    cluster_sizes_ : ndarray of shape (n_clusters,)
        How many photos each POI has. Under ``assign="nearest"`` a centre may have none.
    n_clusters_fit_ : int
        How many POIs `fit` has found: those from this label on were opened by `partial_fit`.
    new_place_share_ : float
        Share of the photos that are in POIs opened since `fit`; 0 after it.
    n_iter_ : int
        Steps of the longest trajectory.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where they had any.

    See Also
    --------
    skgeo.pairs.InconsistencyPairs : What the POIs are for.
    sklearn.cluster.MeanShift : The same clusters for ``metric="euclidean", assign="nearest"``,
        one seed at a time.

    Notes
    -----
    With ``metric="euclidean"`` and ``assign="nearest"``, centres, their order and labels are
    those of ``MeanShift(bandwidth=bandwidth, bin_seeding=False, cluster_all=True)``. Among
    centres with equally many photos the one with the larger coordinates comes first. On the
    sphere such a rule would depend on the place: there comes first the one that more photos lead
    to, then the one with its photos closer around it, and only then the one that the first
    photo leads to. Input of single precision is computed in double precision.

    From 3,000 photos on, on the sphere and in two dimensions, compiled functions do the work; the
    result is the same. The compiler's output is kept beside the module, or in the user's cache
    folder where that cannot be written, so that only the first use on a machine waits some
    seconds for it.

    On the sphere the mean of places is their renormalised mean vector. Where the photos within the
    bandwidth balance each other around the Earth's centre, no mean exists and the trajectory
    ends.

    References
    ----------
    Jiang, Kong, Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS Estimation",
    IEEE Trans. Big Data, 2017, sections 4.1 and 6.5.1.

    Comaniciu, Meer, "Mean Shift: A Robust Approach Toward Feature Space Analysis", IEEE Trans.
    Pattern Analysis and Machine Intelligence, 2002.

    Examples
    --------
    Two photos on either side of the antimeridian and one in Paris:

    >>> from skgeo.cluster import POIMeanShift
    >>> photos = [[-17.0, 179.9995], [-17.0, -179.9995], [48.8584, 2.2945]]
    >>> POIMeanShift(bandwidth=0.5, metric="haversine").fit(photos).labels_
    array([0, 0, 1])
    >>> POIMeanShift(bandwidth=0.005).fit(photos).labels_
    array([1, 2, 0])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "bandwidth": [Interval(Real, 0, None, closed="neither")],
        "metric": [StrOptions({"euclidean", "haversine"})],
        "assign": [StrOptions({"mode", "nearest"})],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        bandwidth: float = 0.005,
        *,
        metric: Literal["euclidean", "haversine"] = "euclidean",
        assign: Literal["mode", "nearest"] = "mode",
        max_iter: int = 300,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.bandwidth = bandwidth
        self.metric = metric
        self.assign = assign
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> POIMeanShift:
        """Find the POIs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Coordinates of the photos: rows [latitude, longitude] in degrees, or, for
            ``metric="euclidean"``, points of any dimension.
        y : None
            Ignored.

        Returns
        -------
        POIMeanShift
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is out of its range, X has no rows, a row of X has NaN or infinity,
            or, for "haversine", is not a latitude and a longitude in degrees.
        """
        self._validate_params()
        points = self._check_points(X, reset=True)
        result = self._mine(points)
        self._kernel = self._current_kernel()
        self.n_clusters_fit_ = len(result.centers)
        self.n_iter_ = max(result.n_iter, 1)  # where every photo stays put, it took a step to see
        return self._set_places(result.labels, result.centers)

    def partial_fit(self, X: Any, y: Any = None) -> POIMeanShift:
        """Let new photos join the POIs, or open new ones; nothing changes for the old photos.

        A photo within the bandwidth of the nearest centre belongs to it, as `predict` says. Those
        that are out of reach of every centre open new POIs: mean shift on these photos alone, with
        the same kernel. Centres stay where they are, and labels are never renumbered. The first
        call is `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Coordinates of the new photos, as in `fit`.
        y : None
            Ignored.

        Returns
        -------
        POIMeanShift
            The estimator; ``labels_`` has the new photos behind the old ones.

        Raises
        ------
        ValueError
            As for `fit`; or if X has other columns than in `fit`, or ``bandwidth`` or ``metric``
            was changed since.

        See Also
        --------
        drift : When to fit anew.

        Notes
        -----
        Where photos open POIs the outcome depends on the batches: a later photo joins what an
        earlier one has opened, and a crowd that comes in parts is not seen as one. A new centre may
        come to lie within a bandwidth of an old one, though none of its photos did.

        Examples
        --------
        >>> from skgeo.cluster import POIMeanShift
        >>> poi = POIMeanShift(bandwidth=1.0, metric="haversine").fit([[48.8584, 2.2945]])
        >>> poi.partial_fit([[48.8590, 2.2950], [40.6892, -74.0445]]).labels_
        array([0, 0, 1])
        """
        if not hasattr(self, "cluster_centers_"):
            return self.fit(X)
        self._check_kernel()
        points = self._check_points(X, reset=False)
        labels, far = places_within(
            self.cluster_centers_,
            points,
            float(self.bandwidth),
            metric=self.metric,
            n_jobs=self.n_jobs,
        )
        centers = self.cluster_centers_
        if far.any():
            opened = self._mine(points[far])
            labels[far] = len(centers) + opened.labels
            centers = np.concatenate([centers, opened.centers])
        return self._set_places(np.concatenate([self.labels_, labels]), centers)

    def drift(self, X: Any) -> float:
        """Share of the photos that a new fit on all of them would group otherwise.

        It fits anew to see (mean shift costs seconds for a million photos) and changes nothing.
        What costs is what stands on the POIs: pairs and embedding.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Coordinates of all photos so far, those of `fit` and `partial_fit`, in that order.

        Returns
        -------
        float
            Between 0 and 1, see `regrouped_share`. 0 right after `fit`.

        Raises
        ------
        ValueError
            As for `partial_fit`, or if X has not as many rows as ``labels_``.

        Notes
        -----
        Under ``assign="mode"`` some photos at the borders of dense places come out otherwise from
        `partial_fit` even if nothing new has come: they are assigned by the nearest centre, for
        want of a trajectory. The user guide says what share is worth a new fit.

        Examples
        --------
        New photos crowd at the rim of a place, most of them out of its reach; all seven together
        would be one place:

        >>> from skgeo.cluster import POIMeanShift
        >>> old, new = [[0.0], [0.1], [0.2]], [[1.1], [1.15], [1.25], [1.3]]
        >>> poi = POIMeanShift(bandwidth=1.0).fit(old).partial_fit(new)
        >>> poi.labels_
        array([0, 0, 0, 0, 1, 1, 1])
        >>> round(poi.drift(old + new), 2)
        0.43
        """
        check_is_fitted(self)
        self._check_kernel()
        points = self._check_points(X, reset=False)
        if len(points) != len(self.labels_):
            raise ValueError(
                f"X has {len(points)} rows, but there are labels of {len(self.labels_)} photos; "
                "expected the coordinates of all photos of fit and partial_fit, in their order."
            )
        return regrouped_share(self.labels_, self._mine(points).labels)

    def _mine(self, points: npt.NDArray[np.float64]) -> MeanShiftResult:
        return mean_shift(
            points,
            float(self.bandwidth),
            metric=self.metric,
            assign=self.assign,
            max_iter=int(self.max_iter),
            n_jobs=self.n_jobs,
            verbose=int(self.verbose),
        )

    def _set_places(
        self, labels: npt.NDArray[np.intp], centers: npt.NDArray[np.float64]
    ) -> POIMeanShift:
        self.labels_ = labels
        self.cluster_centers_ = centers
        self.cluster_sizes_ = np.bincount(labels, minlength=len(centers))
        founded = self.cluster_sizes_[self.n_clusters_fit_ :].sum()
        self.new_place_share_ = float(founded / len(labels))
        return self

    def _current_kernel(self) -> tuple[float, str]:
        return float(self.bandwidth), str(self.metric)

    def _check_kernel(self) -> None:
        """POIs of two kernels would not be of one kind."""
        self._validate_params()
        if self._current_kernel() != self._kernel:
            raise ValueError(
                f"bandwidth and metric are {self._current_kernel()}, but the POIs so far were "
                f"found with {self._kernel}; set them back, or call fit with all photos."
            )

    def predict(self, X: Any) -> npt.NDArray[np.intp]:
        """Nearest POI of each photo, also under ``assign="mode"``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Coordinates of photos, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Index of the nearest row of ``cluster_centers_``.

        Raises
        ------
        ValueError
            As for `fit`, or if X has another number of columns than in `fit`.
        """
        check_is_fitted(self)
        points = self._check_points(X, reset=False)
        return nearest_place(self.cluster_centers_, points, metric=self.metric, n_jobs=self.n_jobs)

    def _check_points(self, X: Any, *, reset: bool) -> npt.NDArray[np.float64]:
        points: npt.NDArray[np.float64] = validate_data(
            self, X, dtype=np.float64, order="C", ensure_all_finite=False, reset=reset
        )
        if self.metric == "haversine":
            return check_coordinates(points, name="X")
        bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
        if len(bad):
            raise ValueError(
                f"X contains NaN or infinity in {len(bad)} of {len(points)} rows, first in row "
                f"{bad[0]}: {points[bad[0]].tolist()}; expected finite coordinates."
            )
        return points
