"""The lazy learner: neighbours first, then classifiers of their places, trained for each query."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed, effective_n_jobs
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data
from threadpoolctl import threadpool_limits

from skgeo._progress import progress
from skgeo._validation import Interval, StrOptions
from skgeo.features._blocks import block_moments, resolve_blocks, standardise_blocks

from ._base import GeoRegressorMixin
from ._estimate import Estimate
from ._gallery import FloatArray, GalleryMixin, IndexArray
from ._lazy_vote import Machine, lazy_order
from ._search import make_gallery, nearest_neighbors
from ._uncertainty import CalibratedMixin
from ._vote import cluster_ranks, vote

# Queries that one task works on: their rows, and the neighbours of one query, are in memory.
_BLOCK = 16


class LazyGeoRegressor(CalibratedMixin, GalleryMixin, GeoRegressorMixin, BaseEstimator):
    """Estimate where a photo was taken by classifiers that are trained for it alone.

    The lazy learner of Im2GPS's extension, "NFLL" in the paper's Table 3. For each query the 200
    nearest photos of the gallery are found; their places are clustered by a flat-kernel mean
    shift, and the clusters become classes; for each class a kernel machine is trained that tells
    its members from all other neighbours; the mean place of the class on whose side the query
    lies deepest is the answer. Where neighbours only vote, a class wins by being large; here it
    has to look like the query more than the others do.

    Parameters
    ----------
    n_neighbors : int, default=200
        Number of neighbours. A smaller gallery takes part as a whole.
    blocks : None, "low-level", dict or list, default=None
        Which columns of ``X`` belong together, as in `skgeo.features.BlockScaler`: each block is
        divided by its root-mean-square norm in the gallery. None takes ``X`` as it is, one space
        that has been scaled already.
    search_blocks : list of str or None, default=None
        Names of the blocks by which the neighbours are found; the classifiers use all blocks.
        None: all. For example low-level features find, and words of SIFT decide as well.
    bandwidth_km : float, default=500.0
        Radius of the kernel of the mean shift, in km straight through the Earth.
    min_cluster_size : int, default=4
        Smaller clusters are no classes; their members are counter-examples of all classes.
    C : float, default=1.0
        Penalty of the classifiers; smaller is smoother.
    gamma : "scale" or float, default="scale"
        The kernel of two photos at distance d is ``exp(-gamma * d**2)``. "scale" takes the
        reciprocal of the mean squared distance among the neighbours of the query.
    class_weight : "balanced" or None, default="balanced"
        "balanced" gives a class as much weight as all other neighbours together. With None a
        small class seldom has the query on its side.
    n_jobs : int or None, default=None
        Number of threads over queries; the answers do not depend on it.
    verbose : int, default=0
        Above 0 shows a progress bar over the queries.

    Attributes
    ----------
    coordinates_ : ndarray of shape (n_samples, 2)
        Places of the gallery in degrees.
    block_slices_ : dict of str to slice
        The blocks.
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
    KNNGeoRegressor : Neighbours vote, without learning.
    skgeo.features.SIFTBagOfWords : The words.

    Notes
    -----
    The search is exact, as that of `KNNGeoRegressor`. Of clusters with equal margins the larger
    one wins, of equally large ones that with the best-ranked neighbour. A single class is the
    answer without a classifier; where there is none, the answer is the place of the nearest photo.

    Hays and Efros measure distances by chi-square and L1; skgeo measures all blocks by Euclid
    (take the square root of histograms first, for example by
    ``BlockScaler(..., hellinger=[...])``). They do not say which kernel and which weights their
    classifiers have: a Gaussian kernel, its width and the balanced weights are skgeo's choice.

    Sparse rows are accepted and kept dense, in float32: eight bytes become many, so choose the
    small vocabulary for a large gallery.

    References
    ----------
    .. [1] J. Hays, A. Efros, "Large-Scale Image Geolocalization", in: Multimodal Location
       Estimation of Videos and Images, Springer, 2015.
    .. [2] S. Jiang, Y. Kong, Y. Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
       Estimation", IEEE Transactions on Big Data, 2017, section 6.2.
    .. [3] H. Zhang, A. Berg, M. Maire, J. Malik, "SVM-KNN: Discriminative Nearest Neighbor
       Classification for Visual Category Recognition", CVPR 2006.

    Examples
    --------
    Photos of Paris and Lima; the query is nearest to one of Sydney, of which there is no other:

    >>> import numpy as np
    >>> from skgeo.neighbors import LazyGeoRegressor
    >>> X = np.array([[0.0], [0.5], [0.6], [0.7], [2.0], [2.1], [2.2], [2.3]])
    >>> y = [[-33.9, 151.2]] + [[48.9, 2.3]] * 3 + [[-12.0, -77.0]] * 4
    >>> lazy = LazyGeoRegressor(min_cluster_size=3).fit(X, y)
    >>> lazy.predict([[0.2]]).round(1)
    array([[48.9,  2.3]])

    From images, by low-level features and visual words:

    >>> from sklearn.pipeline import make_pipeline, make_union
    >>> from skgeo.features import LowLevelFeatures, SIFTBagOfWords
    >>> blocks = {"low-level": 2971, "words": 1000}
    >>> pipeline = make_pipeline(
    ...     make_union(LowLevelFeatures(), SIFTBagOfWords("small")), LazyGeoRegressor(blocks=blocks)
    ... )
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "blocks": [None, StrOptions({"low-level"}), dict, list, tuple],
        "search_blocks": [None, list, tuple],
        "bandwidth_km": [Interval(Real, 0, None, closed="neither")],
        "min_cluster_size": [Interval(Integral, 1, None, closed="left")],
        "C": [Interval(Real, 0, None, closed="neither")],
        "gamma": [StrOptions({"scale"}), Interval(Real, 0, None, closed="neither")],
        "class_weight": [StrOptions({"balanced"}), None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_neighbors: int = 200,
        *,
        blocks: Any = None,
        search_blocks: Any = None,
        bandwidth_km: float = 500.0,
        min_cluster_size: int = 4,
        C: float = 1.0,
        gamma: float | str = "scale",
        class_weight: str | None = "balanced",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.blocks = blocks
        self.search_blocks = search_blocks
        self.bandwidth_km = bandwidth_km
        self.min_cluster_size = min_cluster_size
        self.C = C
        self.gamma = gamma
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _read(self, X: npt.ArrayLike, *, reset: bool) -> npt.NDArray[Any]:
        rows = validate_data(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            order="C",
            accept_sparse="csr",
        )
        if sparse.issparse(rows):
            rows = rows.astype(np.float32).toarray()
        dense: npt.NDArray[Any] = rows
        return dense

    def _take(self, gallery: npt.NDArray[Any]) -> None:
        slices = resolve_blocks(self.blocks, gallery.shape[1])
        chosen = slices if self.search_blocks is None else self.search_blocks
        names = list(dict.fromkeys(chosen))  # each once
        unknown = [name for name in names if name not in slices]
        if unknown or not names:
            raise ValueError(
                f"search_blocks is {self.search_blocks!r}; expected names among {list(slices)}."
            )
        self.block_slices_ = slices
        self._moments = None
        scaled = gallery
        if self.blocks is not None:
            self._moments = block_moments(gallery, list(slices.values()))
            scaled = self._scale(gallery)
        self._scaled = scaled
        columns = np.concatenate([np.arange(*slices[name].indices(gallery.shape[1])) for name in
                                  sorted(names, key=lambda name: slices[name].start)])  # fmt: skip
        self._columns = None if len(columns) == gallery.shape[1] else columns
        searched = scaled if self._columns is None else scaled[:, self._columns]
        self._searched = make_gallery(np.ascontiguousarray(searched))

    def _scale(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self._moments is None:
            return rows
        return standardise_blocks(rows, list(self.block_slices_.values()), self._moments)

    def _nearest(self, rows: npt.NDArray[Any], n_neighbors: int) -> tuple[FloatArray, IndexArray]:
        return self._search_scaled(self._scale(rows), n_neighbors)

    def _search_scaled(
        self, scaled: npt.NDArray[Any], n_neighbors: int
    ) -> tuple[FloatArray, IndexArray]:
        if self._columns is not None:
            scaled = np.ascontiguousarray(scaled[:, self._columns])
        return nearest_neighbors(scaled, self._searched, n_neighbors, n_jobs=self.n_jobs)

    def _decide(self, rows: npt.NDArray[Any], n_places: int, explain: bool) -> Estimate:
        n_voters = min(self.n_neighbors, self.n_samples_fit_)
        scaled = self._scale(rows)
        distances, indices = self._search_scaled(scaled, max(n_voters, n_places))
        work = partial(self._decide_block, scaled, indices, n_voters, n_places)
        starts: Iterable[int] = range(0, len(rows), _BLOCK)
        blocks = [slice(start, start + _BLOCK) for start in starts]
        shown = partial(
            progress, verbose=self.verbose, total=len(blocks), desc="lazy", unit="block"
        )
        # One BLAS thread in any case: its sums, and so the answers, are the same.
        with threadpool_limits(limits=1, user_api="blas"):
            if len(blocks) < 2 or effective_n_jobs(self.n_jobs) == 1:
                results = [work(block) for block in shown(blocks)]
            else:
                found = Parallel(n_jobs=self.n_jobs, require="sharedmem", return_as="generator")(
                    delayed(work)(block) for block in blocks
                )
                results = list(shown(found))
        places, clusters = (np.concatenate(part) for part in zip(*results, strict=True))
        votes = None
        if explain:
            winners = clusters == 0
            winners[~winners.any(axis=1), 0] = True  # the nearest photo answers alone
            votes = winners / winners.sum(axis=1, keepdims=True)
        return Estimate(places, distances, indices, clusters, votes)

    def _decide_block(
        self,
        scaled: npt.NDArray[Any],
        indices: IndexArray,
        n_voters: int,
        n_places: int,
        block: slice,
    ) -> tuple[FloatArray, IndexArray]:
        """Places of a block of queries, and the position of each neighbour's class among them."""
        machine = Machine(self.C, self.gamma, self.class_weight)
        nearest = self.coordinates_[indices[block]]
        voters = nearest[:, :n_voters]
        classes = cluster_ranks(voters, self.bandwidth_km, self.min_cluster_size)
        n_classes = int(classes.max()) + 1
        centroids, _ = vote(voters, self.bandwidth_km, self.min_cluster_size, max(1, n_classes))
        places = nearest[:, :n_places].copy()
        positions = np.full(classes.shape, -1, dtype=np.intp)
        for row, query in enumerate(scaled[block]):
            voting = self._scaled[indices[block][row, :n_voters]]
            order = lazy_order(query, voting, classes[row], machine)
            rank = np.full(len(order) + 1, -1, dtype=np.intp)  # the last entry is for class -1
            rank[order] = np.arange(len(order))
            positions[row] = rank[classes[row]]
            ranked = centroids[row, order[:n_places]]
            # After the classes the nearest photos follow.
            places[row] = np.concatenate([ranked, places[row, : n_places - len(ranked)]])
        return places, positions

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
