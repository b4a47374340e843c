"""The linear geo-constrained layer: pull P together and push Q apart, in closed form."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from .._validation import HasMethods, Interval, StrOptions
from ..pairs import InconsistencyPairs
from ._fisher_axes import fix_signs
from ._linear_map import LinearProblem
from ._map_choice import EXPONENTS, choose_map, map_choices
from ._principal import principal_axes, project
from ._scatter import change_of_sum, pair_sum, rounding_of_sum
from ._shrinkage import frobenius_shrinkage, likelihood_shrinkage

FloatArray = npt.NDArray[np.float64]

_SHRINKAGES = {"auto": likelihood_shrinkage, "ledoit-wolf": frobenius_shrinkage}

_POWERS = {None: 0.0, "sqrt": 0.5, "l2": 1.0}

#: The two kinds of pairs, and why there may be none.
_KINDS = (
    ("same_area", "every POI holds a single photo; widen the POIs"),
    ("easy_confusing", "all photos are in one POI; narrow the POIs"),
)


class MarginalFisherTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Linear geo-constrained layer, the closed-form sibling of `DGAETransformer`.

    Pulls the same-area pairs P together and pushes the easy-confusing pairs Q apart by the
    optimal linear map: with S_P and S_Q the scatters of the two sets of pairs, it solves the
    generalised eigenproblem S_Q v = lambda ((1 - shrinkage) S_P + shrinkage I) v. This is
    marginal Fisher analysis with P as intrinsic and Q as penalty graph, the linear optimum of
    the terms J2 and J3 of the paper's Eq. (4) under a scale constraint. By default the pairs
    are then found again in the space of a first such map, softly: all photos take part, the more
    the nearer they look. A fit takes seconds.

    Feed it vectors whose blocks are scaled and whose rows have unit length
    (``BlockScaler(..., normalize="l2")``).

    Parameters
    ----------
    shrinkage : float, "auto" or "ledoit-wolf", default=0.3
        How far the same-area scatter is drawn to the identity, in [0, 1]. "auto" takes what
        makes the pairs of left-out places most likely (`_shrinkage.likelihood_shrinkage`);
        "ledoit-wolf" what minimises the expected squared error of the scatter, analytically, with
        places as the independent observations, which shrinks too little for a scatter that is
        to be inverted. Neither located more photos than 0.3 on the sets that we measured.
    pairs : InconsistencyPairs or None, default=None
        Finds P and Q; a clone is fitted on the principal components of ``X``. None means
        ``InconsistencyPairs(k1=5, k2=50)``.
    weighting : {"auto", "softmax", "uniform"}, default="auto"
        "uniform": every pair of P and of Q counts alike, as in the paper. "softmax": in the space
        of a first map each photo has all photos of its place as partners in P, and all
        photos of other places in Q, weighted by ``exp(-d**2 / temperature)``. "auto" is
        "softmax" unless "uniform" locates places that were held out better, see Notes.
    temperature : float, default=0.2
        How much more than others the nearest partners count under "softmax"; ``d`` is the
        distance of unit vectors.
    exponent : float or "auto", default="auto"
        An axis of eigenvalue lambda is scaled by ``lambda ** exponent``: 0.5 is the closed form,
        more keeps closer to the few axes that tell places apart best. "auto" takes 0.5, 0.75 or
        1; without evidence 0.75 for "softmax" and 0.5 for "uniform".
    n_components : int or None, default=None
        How many dimensions to keep, largest eigenvalue first. None keeps all, which was best
        on every photo set that we measured.
    normalize : {"l2", "sqrt"} or None, default="l2"
        Output ``z/|z|`` ("l2"), ``z/sqrt(|z|)`` ("sqrt", better where regions and countries
        matter more than cities), or z.
    n_pca_components : int or None, default=500
        The vectors are first reduced to at most so many principal components (and never more
        than their rank). None keeps all.
    verbose : int, default=0
        Above 0: progress bars over the blocks of ``X`` and the parts held out. Pairs have a
        ``verbose`` of their own.

    Attributes
    ----------
    pairs_ : InconsistencyPairs
        The fitted pairs.
    mean_ : ndarray of shape (n_features,)
        Mean of the training vectors.
    components_ : ndarray of shape (n_components, n_features)
        The linear map: ``z = components_ @ (x - mean_)``, float64.
    eigenvalues_ : ndarray of shape (n_components,)
        Spread of the pairs Q for one unit of spread of the pairs P along each dimension.
    shrinkage_ : float
        The shrinkage used.
    weighting_ : {"softmax", "uniform"}
        The weighting used.
    exponent_ : float
        The exponent used.
    candidates_ : list of MapChoice
        What was compared, the first being the one to beat: named tuples of weighting, exponent,
        mean score of the held-out photos (NaN where nothing was held out), gain over the
        first and the standard error of that gain.
    n_features_in_ : int
        Number of columns seen in `fit`.

    Notes
    -----
    "softmax" starts from the map that contrasts P with the scatter of all photos (exponent 0.75).
    Photos are of one place if they are of one POI, or nearer than twice its extent (the median
    distance of two photos of one POI); with labels, if they have one label. The weights of a
    photo sum to 1 for either kind of pairs. They are those of the gradient of a soft minimum,
    ``-temperature * log(sum(exp(-d**2 / temperature)))``: one near partner in P suffices, as in
    neighbourhood components analysis [3]_, and the nearest of Q matter most, as in J3 of
    `DGAETransformer`. Of more than 4,000 photos as many, drawn at random but the same in
    every fit, look for partners, among 100,000 at most.

    For "auto", parts of the photos are held out, whole POIs, up to ten tenths or some 4,000
    photos. The layer is fitted to the pairs of the others, each photo held out is located by its
    nearest neighbour among all others that are farther than a POI's extent, and its score
    is minus the logarithm of the error, between one extent and eight. Another map than the first
    has to be better by more than a standard error, clustered by POI. Where ``y`` holds labels a
    score is 1 for the right area, and parts are held out of each area. Fewer than 50 photos
    decide nothing. The parts are the same in every fit, which therefore is deterministic.

    See Also
    --------
    DGAETransformer : The auto-encoder with the same pair terms.
    skgeo.features.BlockScaler : Scales the blocks of the input.

    References
    ----------
    .. [1] S. Yan, D. Xu, B. Zhang, H.-J. Zhang, Q. Yang, S. Lin, "Graph Embedding and
       Extensions: A General Framework for Dimensionality Reduction", PAMI 2007. Reference [43]
       of the paper.
    .. [2] S. Jiang, Y. Kong, Y. Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
       Estimation", IEEE Trans. Big Data, 2017, Eq. (4).
    .. [3] J. Goldberger, S. Roweis, G. Hinton, R. Salakhutdinov, "Neighbourhood Components
       Analysis", NIPS 2004.

    Examples
    --------
    >>> from skgeo.datasets import make_geo_world
    >>> from skgeo.embedding import MarginalFisherTransformer
    >>> world = make_geo_world(random_state=0)
    >>> layer = MarginalFisherTransformer().fit(world.data, world.coordinates)
    >>> layer.transform(world.data).shape[0] == len(world.data)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "shrinkage": [Interval(Real, 0.0, 1.0, closed="both"), StrOptions(set(_SHRINKAGES))],
        "pairs": [HasMethods(["fit"]), None],
        "weighting": [StrOptions({"auto", *EXPONENTS})],
        "temperature": [Interval(Real, 0.0, None, closed="neither")],
        "exponent": [Interval(Real, 0.0, None, closed="left"), StrOptions({"auto"})],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "normalize": [StrOptions({"l2", "sqrt"}), None],
        "n_pca_components": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        shrinkage: float | str = 0.3,
        *,
        pairs: Any = None,
        weighting: str = "auto",
        temperature: float = 0.2,
        exponent: float | str = "auto",
        n_components: int | None = None,
        normalize: str | None = "l2",
        n_pca_components: int | None = 500,
        verbose: int = 0,
    ) -> None:
        self.shrinkage = shrinkage
        self.pairs = pairs
        self.weighting = weighting
        self.temperature = temperature
        self.exponent = exponent
        self.n_components = n_components
        self.normalize = normalize
        self.n_pca_components = n_pca_components
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Find the pairs and solve for the linear map.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Vectors of the training photos.
        y : array-like of shape (n_samples, 2) or (n_samples,)
            Locations in degrees, or labels of known areas.

        Returns
        -------
        self
            The fitted transformer.

        Raises
        ------
        ValueError
            If ``y`` is missing or is no location, if all photos are in one POI (there is no Q),
            if every POI has a single photo (there is no P), if all vectors are equal, if
            ``n_components`` exceeds the dimensions that there are, or if ``temperature`` is so low
            that copies have all the weight.
        TypeError
            If ``pairs`` finds no ``labels_`` and they are needed.
        """
        self._validate_params()
        self._check_y(y)
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        limit = min(X.shape) if self.n_pca_components is None else self.n_pca_components
        mean, axes = principal_axes(X, limit, verbose=self.verbose)
        self._check_axes(axes, len(X))
        reduced = project(X, mean, axes, verbose=self.verbose)
        pairs = InconsistencyPairs(k1=5, k2=50) if self.pairs is None else clone(self.pairs)
        pairs.fit(reduced, y)
        self._axes, self.mean_, self.pairs_ = axes, mean, pairs
        self._sums = [
            pair_sum(reduced, graph) for graph in (pairs.same_area_, pairs.easy_confusing_)
        ]
        places = np.asarray(y)
        problem = self._problem(reduced, None if places.ndim == 1 else places)
        self._choose(problem)
        return self._solve(problem)

    def partial_fit(self, X: Any, y: Any) -> Self:
        """Let new photos join, between two full fits (section 4.6 of the paper).

        Each new photo joins the POI of its location or opens a new one; the rows and columns of P
        and Q that it changes are updated (`InconsistencyPairs.partial_fit`), and so are the
        scatters, by the pairs that came and went. The map is then solved for anew: up to
        rounding it is that of a fit on all photos so far under the same POIs and on the principal
        components, and with the weighting and the exponent, of the first call, which is `fit`. Fit
        anew when photos have come whose looks those components do not cover, or when the first
        were too few to choose by.

        The map changes: transform the gallery again.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Vectors of the new photos.
        y : array-like of shape (n_samples, 2) or (n_samples,)
            Locations or labels, as in `fit`.

        Returns
        -------
        self
            The transformer.

        Raises
        ------
        ValueError
            If ``y`` is missing or of another kind than in `fit`, or new photos cannot be assigned
            to the POIs or compared with the old ones, see `InconsistencyPairs.partial_fit`.
        TypeError
            If ``pairs`` has no ``partial_fit`` or no ``stored_X``.

        Notes
        -----
        What is remembered is in ``pairs_``: P, Q and the principal components of all photos,
        ``n_pca_components`` numbers a photo. ``pairs=InconsistencyPairs(..., store_X=False)``
        leaves the components out, and with them this method.
        """
        if not hasattr(self, "components_"):
            return self.fit(X, y)
        self._validate_params()
        self._check_y(y)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        for method in ("partial_fit", "stored_X"):
            if not hasattr(self.pairs_, method):
                raise TypeError(
                    f"{type(self.pairs_).__name__} has no {method}: new photos cannot join its "
                    "pairs. Use InconsistencyPairs, or fit anew."
                )
        before = self._graphs()
        self.pairs_.partial_fit(project(X, self.mean_, self._axes), y)
        reduced = np.concatenate(self.pairs_.stored_X())
        self._sums = [
            total + change_of_sum(reduced, old, new)
            for total, old, new in zip(self._sums, before, self._graphs(), strict=True)
        ]
        return self._solve(self._problem(reduced, getattr(self.pairs_, "coordinates_", None)))

    def _check_y(self, y: Any) -> None:
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None: it "
                "needs locations (n, 2) in degrees or area labels (n,)."
            )

    def _graphs(self) -> tuple[Any, Any]:
        return self.pairs_.same_area_, self.pairs_.easy_confusing_

    def _check_axes(self, axes: FloatArray, n_samples: int) -> None:
        if axes.shape[1] == 0:
            raise ValueError("All rows of X are equal: there is nothing to tell places apart by.")
        if self.n_components is not None and self.n_components > axes.shape[1]:
            raise ValueError(
                f"n_components={self.n_components} exceeds the {axes.shape[1]} dimensions that "
                f"the {n_samples} training photos span after the principal component analysis."
            )

    def _problem(self, reduced: npt.NDArray[Any], coordinates: Any) -> LinearProblem:
        """What there is to solve, from the sums over the pairs."""
        self._check_pairs(reduced)
        labels = getattr(self.pairs_, "labels_", None)
        if isinstance(self.shrinkage, str):
            estimate = _SHRINKAGES[self.shrinkage]
            self.shrinkage_ = estimate(reduced, self.pairs_.same_area_, np.asarray(labels))
        else:
            self.shrinkage_ = float(self.shrinkage)
        if labels is None and (self.weighting != "uniform" or self.exponent == "auto"):
            raise TypeError(
                f"weighting={self.weighting!r} with exponent={self.exponent!r} needs the place of "
                f"each photo, but {type(self.pairs_).__name__} has no labels_ after it was fitted. "
                "Use weighting='uniform' and an exponent (the closed form: 0.5)."
            )
        return LinearProblem(
            reduced,
            self._graphs(),
            (self._sums[0], self._sums[1]),
            None if labels is None else np.asarray(labels),
            None if coordinates is None else np.asarray(coordinates, dtype=np.float64),
            self.shrinkage_,
            self.temperature,
            float(getattr(self.pairs_, "min_distance_km", 0.0)),
        )

    def _choose(self, problem: LinearProblem) -> None:
        """Decide on weighting and exponent."""
        chosen, self.candidates_ = choose_map(
            problem,
            map_choices(self.weighting, self.exponent),
            n_components=self.n_components,
            power=_POWERS[self.normalize],
            verbose=self.verbose,
        )
        self.weighting_, self.exponent_ = chosen.weighting, chosen.exponent

    def _solve(self, problem: LinearProblem) -> Self:
        """The map, as it was chosen."""
        eigenvalues, vectors = problem.axes(self.weighting_)
        self.eigenvalues_ = eigenvalues[: self.n_components]
        scaled = vectors[:, : self.n_components] * self.eigenvalues_**self.exponent_
        self.components_ = fix_signs(np.ascontiguousarray((self._axes @ scaled).T))
        return self

    def _check_pairs(self, reduced: npt.NDArray[Any]) -> None:
        for graph, total, (name, cause) in zip(self._graphs(), self._sums, _KINDS, strict=True):
            # Identical photos differ by rounding in the sum: that is nothing to learn from.
            if not np.trace(total) > rounding_of_sum(reduced, graph):
                why = cause if graph.nnz == 0 else "the photos of all its pairs are identical"
                raise ValueError(
                    f"The linear layer has no {name} pair to learn from: {why} (bandwidth of "
                    "`pairs.poi`, or the labels y)."
                )

    def transform(self, X: Any) -> npt.NDArray[np.float32] | npt.NDArray[np.float64]:
        """Map vectors into the space where places are told apart.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Vectors with the columns seen in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            float32 for float32 input, else float64. A vector equal to the training mean has no
            direction and stays zero.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        power = _POWERS[self.normalize]
        return project(X, self.mean_, self.components_.T, power=power, verbose=self.verbose)

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
