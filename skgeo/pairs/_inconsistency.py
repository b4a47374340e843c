"""The estimator that finds pairs whose looks and places disagree."""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_memory, validate_data

from .._validation import HasMethods, Interval, Places, StrOptions, check_places
from ..cluster import POIMeanShift
from ._areas import KnownAreas, area_labels, assign_labels, assign_places, known_areas
from ._compute import GraphSettings, compute_pairs, resolve_method
from ._explain import FittedPairs
from ._extend import extend_pairs, keep_photos
from ._memory import remembered_fit, remembered_pairs


class InconsistencyPairs(FittedPairs, BaseEstimator):
    """Pairs of photos whose looks and places disagree: the matrices P and Q of the paper.

    Photos of one area should look alike and often do not: P holds, for each photo, the ``k1``
    visually nearest photos of its own area (a generous number, so that also those that look
    different are among them). Photos of different areas should look different and often do not:
    Q holds the ``k2`` visually nearest photos of all other areas, those easy to confuse.

    Parameters
    ----------
    k1 : int, default=20
        Same-area neighbours of each photo.
    k2 : int, default=10
        Easy-confusing neighbours of each photo.
    method : {"auto", "exact", "approximate", "anchor"}, default="auto"
        How Q is found. "exact" finds exactly the nearest, ties by index: lower bounds in a few
        columns rule out most pairs, and what they leave is compared directly. "approximate" takes
        the ``n_candidates`` best by such bounds and compares 40 percent of them. "anchor" is the
        fast graph of the paper (fDGAE): photos are compared with the members of the ``k3`` visual
        clusters whose centroids are nearest; it is there so that the paper can be checked.
        "auto" is "exact" up to 7.5e12 products (photos times photos times features; 50,000
        photos with the low-level features) and "approximate" above. P is exact in all of them.
    k3 : int, default=50
        Visual clusters looked into by ``method="anchor"``.
    min_distance_km : float, default=0.0
        Easy-confusing photos must be at least so far apart on Earth; 0 is the paper, where
        neighbouring areas count as different. Nearer photos are skipped during the
        search: rows still have ``k2`` photos. Needs locations, not labels.
    poi : estimator or None, default=None
        Clusters the locations into areas: a clone is fitted on (n, 2) degrees and its
        ``labels_`` are the areas. Photos that it labels -1 (noise, as of DBSCAN) are each an area
        of their own. None is `skgeo.cluster.POIMeanShift` with its defaults.
    memory : str, path, joblib.Memory or None, default=None
        Where to keep the graph. With it, the graph is computed once for each set of photos and
        areas, with rows of 32 (64, 128, ...) neighbours, and cut for every ``k1`` and ``k2`` up
        to that: a grid search over k1, k2 and the weights of the objective computes it once a
        training set, also with several processes. The areas are kept too. Without it, rows of
        ``k1`` and ``k2`` neighbours are computed at every fit.
    n_jobs : int or None, default=None
        Number of threads. None means 1 (or what a `joblib.parallel_config` says), where
        matrix products still use the threads of BLAS. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        For ``method="anchor"``: which 1,024 photos of an area that has more find its visual
        clusters. Nothing else is random. With `memory` and None, the first graph is kept.
    anchor_bandwidth : float, default=0.8
        For ``method="anchor"``: bandwidth of the mean shift on visual features inside each
        area, as a fraction of the root mean square distance between photos of one area. The
        bandwidth of the paper, 0.01, is on a scale of the features that it does not give.
    n_candidates : int, default=100
        For ``method="approximate"``: candidates of each photo; three times ``k2`` if that is more.
    store_X : bool, default=True
        Whether `fit` keeps X, by reference, for `partial_fit`. Pickles then hold the photos'
        features; with False they are small. What calls `partial_fit` from the start keeps them in
        any case.
    checkpoint : path-like or None, default=None
        Folder for the rows found by a `fit` that is not done, block by block. The same `fit` called
        again, after a kill or Ctrl-C, goes on from there, and the pairs have the same bits. Files
        are named after the content of X, areas and parameters, so that any number of fits may
        share the folder; those of a fit go when it ends. Blocks of "exact" and "approximate", the
        whole graph of "anchor" (for a training that goes on); with `memory`, the lists of
        "exact" are made in one go.
    verbose : int, default=0
        Above 0: tell which method "auto" chose, and show progress bars.

    Attributes
    ----------
    same_area_ : scipy.sparse.csr_array of shape (n_samples, n_samples), float32
        P: 1 at [s, t] if t is one of the ``k1`` nearest photos of s inside the area of s. Not
        symmetric. The indices within a row are sorted by (distance, index), nearest first, and not
        by index alone (``has_sorted_indices`` is False). Rows of areas with at most ``k1`` photos
        are shorter.
    easy_confusing_ : scipy.sparse.csr_array of shape (n_samples, n_samples), float32
        Q: 1 at [s, t] if t is one of the ``k2`` nearest photos of s outside the area of s. Sorted
        likewise. Empty if all photos are of one area.
    same_area_distances_ : ndarray of shape (same_area_.nnz,)
        Euclidean distances in feature space, in the order of ``same_area_.indices``.
    easy_confusing_distances_ : ndarray of shape (easy_confusing_.nnz,)
        The same for ``easy_confusing_``.
    labels_ : ndarray of shape (n_samples,)
        The area of each photo, 0, 1, ...
    classes_ : ndarray of shape (n_areas,) or None
        The known areas where ``y`` held labels: ``classes_[labels_]`` equals ``y``.
    coordinates_ : ndarray of shape (n_samples, 2) or None
        The locations of the photos, degrees; None where ``y`` held labels.
    poi_ : estimator or None
        The clone of ``poi``, fitted on the photos of `fit`; None where ``y`` held labels.
    method_ : {"exact", "approximate", "anchor"}
        The method used.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where they had any.

    See Also
    --------
    skgeo.pairs.exact_pairs : The algorithm of "exact" as a function.
    skgeo.pairs.approximate_pairs : The algorithm of "approximate" as a function.
    skgeo.pairs.anchor_pairs : The algorithm of "anchor" as a function.
    skgeo.pairs.pair_recall : How much of an exact Q an approximate one has.
    skgeo.cluster.POIMeanShift : The areas.

    Notes
    -----
    Temporary blocks keep within ``working_memory`` of scikit-learn's configuration (1,024 MiB
    unless `sklearn.set_config` says otherwise). X may be a memory map and is not copied.

    Distances are Euclidean: scale the features before, for example with
    `skgeo.features.BlockScaler`.

    References
    ----------
    Jiang, Kong, Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS Estimation",
    IEEE Trans. Big Data, 2017, sections 4.2 and 4.2.1.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.pairs import InconsistencyPairs
    >>> X = np.array([[0.0], [0.2], [0.9], [0.1], [1.0]])
    >>> paris, vegas = [48.858, 2.294], [36.112, -115.173]
    >>> places = [paris, paris, paris, vegas, vegas]
    >>> pairs = InconsistencyPairs(k1=2, k2=1).fit(X, places)
    >>> pairs.labels_
    array([0, 0, 0, 1, 1])
    >>> pairs.same_area_.indices[:2]  # of photo 0
    array([1, 2], dtype=int32)
    >>> pairs.easy_confusing_.indices  # Las Vegas has an Eiffel tower, too
    array([3, 3, 4, 0, 2], dtype=int32)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "k1": [Interval(Integral, 1, None, closed="left")],
        "k2": [Interval(Integral, 1, None, closed="left")],
        "method": [StrOptions({"auto", "exact", "approximate", "anchor"})],
        "k3": [Interval(Integral, 1, None, closed="left")],
        "min_distance_km": [Interval(Real, 0, None, closed="left")],
        "poi": [HasMethods(["fit"]), None],
        "memory": [str, os.PathLike, HasMethods(["cache"]), None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "anchor_bandwidth": [Interval(Real, 0, None, closed="neither")],
        "n_candidates": [Interval(Integral, 1, None, closed="left")],
        "store_X": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        k1: int = 20,
        k2: int = 10,
        *,
        method: Literal["auto", "exact", "approximate", "anchor"] = "auto",
        k3: int = 50,
        min_distance_km: float = 0.0,
        poi: Any = None,
        memory: str | os.PathLike[str] | joblib.Memory | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        anchor_bandwidth: float = 0.8,
        n_candidates: int = 100,
        store_X: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
        verbose: int = 0,
    ) -> None:
        self.k1 = k1
        self.k2 = k2
        self.method = method
        self.k3 = k3
        self.min_distance_km = min_distance_km
        self.poi = poi
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.anchor_bandwidth = anchor_bandwidth
        self.n_candidates = n_candidates
        self.store_X = store_X
        self.checkpoint = checkpoint
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Find the pairs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Visual features.
        y : array-like of shape (n_samples, 2) or (n_samples,)
            Locations, rows [latitude, longitude] in degrees, to be clustered into areas; or labels
            of known areas, of any one sortable type.

        Returns
        -------
        InconsistencyPairs
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is out of its range, X has NaN or infinity or overflows when squared, y
            has another shape or is no location, or ``min_distance_km`` is above 0 and y holds
            labels.
        TypeError
            If ``poi`` has no ``labels_`` after it was fitted.
        """
        X, places = self._check(X, y, reset=True)
        if places.coordinates is None and self.min_distance_km > 0:
            raise ValueError(
                f"min_distance_km={self.min_distance_km} needs to know where the photos are, but "
                "y holds area labels; expected locations of shape (n, 2), or min_distance_km=0."
            )
        memory = self._open_memory()
        poi = None
        if places.coordinates is None:
            assert places.labels is not None
            labels = places.labels
        else:
            poi = POIMeanShift() if self.poi is None else clone(self.poi)
            if memory is None:
                poi = poi.fit(places.coordinates)
            else:
                poi = remembered_fit(memory, poi, places.coordinates)
            labels = area_labels(poi, len(X))
        method = resolve_method(self.method, *X.shape)
        if self.verbose and self.method == "auto":
            n, d = X.shape
            told = f"InconsistencyPairs: method={method!r} for {n:,} photos x {d:,} features"
            print(told)  # noqa: T201  what verbose is for
        seed = None
        if self.random_state is not None:
            seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        settings = GraphSettings(
            method=method,
            k3=int(self.k3),
            min_distance_km=float(self.min_distance_km),
            anchor_bandwidth=float(self.anchor_bandwidth),
            seed=seed,
            n_candidates=int(self.n_candidates),
        )
        photos = (X, labels, places.coordinates, settings, int(self.k1), int(self.k2))
        if memory is None:
            graph = compute_pairs(*photos, self.n_jobs, self.verbose, self.checkpoint)
        else:
            options = self.n_jobs, self.verbose, self.checkpoint
            graph = remembered_pairs(memory, *photos, *options)
        # Not before the graph is there: an interruption leaves nothing that looks fitted.
        self.classes_, self.coordinates_ = places.classes, places.coordinates
        self.poi_, self.labels_, self.method_ = poi, labels, method
        self._areas = None if poi is None else known_areas(poi, labels)
        self._graph_options = self._row_options()
        self._photos = keep_photos([], X, copy=False) if self.store_X else None
        return self._set_graph(graph)

    def partial_fit(self, X: Any, y: Any) -> Self:
        """Take new photos in: their rows of P and Q, and their places in the rows of others.

        Each new photo joins the area of its location (it is within the bandwidth of the nearest
        centre of ``poi_``) or opens a new one, as in section 4.6 of the paper; known labels
        are joined or opened by name. P and Q are then those that a rebuild under the same areas
        would give, to the bit, at the cost of comparing the new photos with all. The first call
        is `fit`.

        With an approximate method this holds for P and for the new rows of Q, which are
        exact. An old row of Q is the best of what it had and of all new photos, so that it
        misses no more of its true neighbours than before.

        Parameters
        ----------
        X : array-like of shape (n_new, n_features)
            Visual features of the new photos, numbered after those so far. They are copied,
            unless X is a memory map.
        y : array-like of shape (n_new, 2) or (n_new,)
            Locations or labels, as in `fit`.

        Returns
        -------
        InconsistencyPairs
            The estimator, with attributes over all photos. ``poi_`` stays that of `fit`.

        Raises
        ------
        ValueError
            As for `fit`; or if y is of another kind than in `fit`, ``poi`` has neither centres and
            a bandwidth nor ``predict``, ``k1``, ``k2`` or ``min_distance_km`` were changed since
            `fit`, or `fit` did not keep its X.
        """
        if not hasattr(self, "same_area_"):
            self.fit(X, y)
            X, _ = self._check(X, y, reset=False)
            self._photos = keep_photos([], X, copy=True)
            return self
        X, places = self._check(X, y, reset=False)
        photos = self.stored_X()
        if self._row_options() != self._graph_options:
            raise ValueError(
                f"k1, k2, min_distance_km are {self._row_options()}, but the rows so far were made "
                f"with {self._graph_options}; set them back, or call fit with all photos."
            )
        new_labels, classes, areas = self._join_areas(places)
        labels = np.concatenate([self.labels_, new_labels])
        coordinates = None
        if places.coordinates is not None:
            coordinates = np.concatenate([self.coordinates_, places.coordinates])
        graph = extend_pairs(
            self._graph(),
            photos,
            X,
            labels,
            int(self.k1),
            int(self.k2),
            coordinates=coordinates,
            min_distance_km=float(self.min_distance_km),
            n_jobs=self.n_jobs,
        )
        self._photos = keep_photos(photos, X, copy=True)
        self.labels_, self.coordinates_ = labels, coordinates
        self.classes_, self._areas = classes, areas
        return self._set_graph(graph)

    def _check(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Places]:
        self._validate_params()
        if y is None:
            raise ValueError(
                "InconsistencyPairs requires y to be passed, but the target y is None; expected "
                "locations of shape (n, 2) or area labels of shape (n,)."
            )
        X = validate_data(self, X, dtype=[np.float64, np.float32], order="C", reset=reset)
        return X, check_places(y, n_samples=len(X))

    def _row_options(self) -> dict[str, float]:
        """The parameters that rows, once made, cannot be made to follow."""
        return {
            "k1": int(self.k1),
            "k2": int(self.k2),
            "min_distance_km": float(self.min_distance_km),
        }

    def _join_areas(self, places: Places) -> tuple[Any, Any, KnownAreas | None]:
        """Areas of new photos, the classes, and what is known of the areas then."""
        if (places.coordinates is None) != (self._areas is None):
            kinds = ("locations", "labels")
            raise ValueError(
                f"y holds {kinds[places.coordinates is None]}, but fit had "
                f"{kinds[self._areas is None]}; expected the same."
            )
        if places.coordinates is not None:
            assert self._areas is not None
            labels, areas = assign_places(places.coordinates, self._areas, self.poi_)
            return labels, None, areas
        assert places.labels is not None
        assert places.classes is not None
        assert self.classes_ is not None
        return *assign_labels(places.labels, places.classes, self.classes_), None

    def _open_memory(self) -> joblib.Memory | None:
        """Return the memory, or None where nothing would be kept."""
        memory = os.fspath(self.memory) if isinstance(self.memory, os.PathLike) else self.memory
        opened = check_memory(memory)
        return None if getattr(opened, "location", None) is None else opened

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.two_d_labels = True
        return tags


def fit_without_photos(pairs: Any, X: Any, y: Any) -> Any:
    """Fit the pairs of an estimator that looks at them once: they need not keep its X."""
    if "store_X" in pairs.get_params(deep=False):
        pairs.set_params(store_X=False)
    return pairs.fit(X, y)
