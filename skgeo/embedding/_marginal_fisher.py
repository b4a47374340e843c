"""The linear geo-constrained layer: pull P together and push Q apart, in closed form."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import scipy.linalg
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from .._validation import HasMethods, Interval, StrOptions
from ._scatter import pair_scatter

FloatArray = npt.NDArray[np.float64]


def principal_axes(X: FloatArray, max_components: int) -> FloatArray:
    """Principal axes of centred rows, most variance first, down to the numerical rank.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Centred rows, float64.
    max_components : int
        At most so many axes.

    Returns
    -------
    ndarray of shape (n_features, n_axes)
        Orthonormal columns; none if all rows are equal.
    """
    n_samples, n_features = X.shape
    # The smaller of the two Gram matrices has the same spectrum.
    wide = n_features > n_samples
    gram = X @ X.T if wide else X.T @ X
    size = len(gram)
    first = max(0, size - max_components)
    values, vectors = scipy.linalg.eigh(gram, subset_by_index=[first, size - 1])
    values, vectors = values[::-1], vectors[:, ::-1]
    # Squares of singular values: the rounding of the Gram matrix bounds what can be told from 0.
    keep = values > max(n_samples, n_features) * np.finfo(np.float64).eps * max(values[0], 0.0)
    values, vectors = values[keep], vectors[:, keep]
    axes = X.T @ vectors / np.sqrt(values) if wide else vectors
    return np.ascontiguousarray(_fix_signs(axes))


def _fix_signs(vectors: FloatArray) -> FloatArray:
    """Flip columns so that the entry of largest magnitude is positive: same signs everywhere."""
    if vectors.size == 0:
        return vectors
    largest = np.argmax(np.abs(vectors), axis=0)
    signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    flipped: FloatArray = vectors * np.where(signs == 0.0, 1.0, signs)
    return flipped


def marginal_fisher_axes(
    scatter_same: FloatArray, scatter_confusing: FloatArray, shrinkage: float
) -> tuple[FloatArray, FloatArray]:
    """Solve S_Q v = lambda S v with S = (1 - shrinkage) S_P + shrinkage I.

    Both scatters are first scaled to trace d, so that the shrinkage has no unit.

    Parameters
    ----------
    scatter_same, scatter_confusing : ndarray of shape (d, d)
        Scatter of the pairs P and of the pairs Q.
    shrinkage : float
        In [0, 1].

    Returns
    -------
    eigenvalues : ndarray of shape (d,)
        Decreasing, clipped at 0.
    axes : ndarray of shape (d, d)
        Columns v with V^T S V = I; the entry of largest magnitude is positive.

    Raises
    ------
    ValueError
        If S is singular, which only happens for a shrinkage of 0.
    """
    d = len(scatter_same)
    same = scatter_same * (d / np.trace(scatter_same))
    confusing = scatter_confusing * (d / np.trace(scatter_confusing))
    inner = (1.0 - shrinkage) * same + shrinkage * np.eye(d)
    try:
        eigenvalues, axes = scipy.linalg.eigh(confusing, inner)
    except scipy.linalg.LinAlgError as error:
        raise ValueError(
            f"The same-area scatter is singular at shrinkage={shrinkage}: the pairs P span fewer "
            f"than {d} dimensions. Use a shrinkage above 0 (0.3 is the default)."
        ) from error
    return np.clip(eigenvalues[::-1], 0.0, None), _fix_signs(axes[:, ::-1])


class MarginalFisherTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Linear geo-constrained layer, the closed-form sibling of `DGAETransformer`.

    Pulls the same-area pairs P together and pushes the easy-confusing pairs Q apart by the
    optimal linear map: with S_P and S_Q the scatters of the two sets of pairs, it solves the
    generalised eigenproblem S_Q v = lambda ((1 - shrinkage) S_P + shrinkage I) v. This is
    marginal Fisher analysis with P as intrinsic and Q as penalty graph, the linear optimum of
    the terms J2 and J3 of the paper's Eq. (4) under a scale constraint. A fit takes seconds.

    Feed it vectors whose blocks are scaled and whose rows have unit length
    (``BlockScaler(..., normalize="l2")``).

    Parameters
    ----------
    shrinkage : float, default=0.3
        How far the same-area scatter is drawn to the identity, in [0, 1]. 0.05 to 0.15 suits
        collections of several thousand photos and more.
    pairs : InconsistencyPairs or None, default=None
        Finds P and Q; a clone is fitted on the principal components of ``X``. None means
        ``InconsistencyPairs(k1=5, k2=50)``.
    n_components : int or None, default=None
        How many dimensions to keep, largest eigenvalue first. None keeps all, which was best
        on every photo set that we measured.
    normalize : {"l2", "sqrt"} or None, default="l2"
        Output ``z/|z|`` ("l2"), ``z/sqrt(|z|)`` ("sqrt", better where regions and countries
        matter more than cities), or z.
    n_pca_components : int or None, default=500
        The vectors are first reduced to at most so many principal components (and never more
        than their rank). None keeps all.

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
    n_features_in_ : int
        Number of columns seen in `fit`.

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
        "shrinkage": [Interval(Real, 0.0, 1.0, closed="both")],
        "pairs": [HasMethods(["fit"]), None],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "normalize": [StrOptions({"l2", "sqrt"}), None],
        "n_pca_components": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        shrinkage: float = 0.3,
        *,
        pairs: Any = None,
        n_components: int | None = None,
        normalize: str | None = "l2",
        n_pca_components: int | None = 500,
    ) -> None:
        self.shrinkage = shrinkage
        self.pairs = pairs
        self.n_components = n_components
        self.normalize = normalize
        self.n_pca_components = n_pca_components

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
            if every POI has a single photo (there is no P), if all vectors are equal, or if
            ``n_components`` exceeds the dimensions that there are.
        """
        self._validate_params()
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None: it "
                "needs locations (n, 2) in degrees or area labels (n,)."
            )
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        # Integer and float32 sums lose the small scatters that decide: float64 from here on.
        mean = X.mean(axis=0, dtype=np.float64)
        centred = X - mean
        limit = min(centred.shape) if self.n_pca_components is None else self.n_pca_components
        axes = principal_axes(centred, min(limit, *centred.shape))
        if axes.shape[1] == 0:
            raise ValueError("All rows of X are equal: there is nothing to tell places apart by.")
        reduced = centred @ axes
        from ..pairs import InconsistencyPairs

        pairs = InconsistencyPairs(k1=5, k2=50) if self.pairs is None else clone(self.pairs)
        pairs.fit(reduced, y)
        scatters = []
        for name, graph, cause in (
            ("same_area", pairs.same_area_, "every POI holds a single photo; widen the POIs"),
            ("easy_confusing", pairs.easy_confusing_, "all photos are in one POI; narrow the POIs"),
        ):
            scatter = pair_scatter(reduced, graph)
            if not np.trace(scatter) > 0.0:
                why = cause if graph.nnz == 0 else "the photos of all its pairs are identical"
                raise ValueError(
                    f"The linear layer has no {name} pair to learn from: {why} (bandwidth of "
                    "`pairs.poi`, or the labels y)."
                )
            scatters.append(scatter)
        eigenvalues, vectors = marginal_fisher_axes(scatters[0], scatters[1], self.shrinkage)
        n_components = len(eigenvalues) if self.n_components is None else self.n_components
        if n_components > len(eigenvalues):
            raise ValueError(
                f"n_components={n_components} exceeds the {len(eigenvalues)} dimensions that "
                f"the {len(X)} training photos span after the principal component analysis."
            )
        self.mean_ = mean
        self.eigenvalues_ = eigenvalues[:n_components]
        scaled = vectors[:, :n_components] * np.sqrt(self.eigenvalues_)
        self.components_ = np.ascontiguousarray((axes @ scaled).T)
        self.pairs_ = pairs
        return self

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
        mean = self.mean_.astype(X.dtype)
        z = (X - mean) @ self.components_.astype(X.dtype).T
        if self.normalize is not None:
            norms = np.linalg.norm(z, axis=1, keepdims=True)
            power = 1.0 if self.normalize == "l2" else 0.5
            z /= np.where(norms > 0.0, norms**power, 1.0)
        return z

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
