"""The estimator that puts blocks of features on an equal footing."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .._validation import StrOptions
from ._blocks import (
    BlockMoments,
    block_moments,
    resolve_blocks,
    standardise_blocks,
    take_square_roots,
    unit_rows,
)

__all__ = ["BlockScaler"]


class BlockScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Give each block of features the same weight in Euclidean distances.

    Features of different kinds that stand side by side, such as the six blocks of
    `LowLevelFeatures`, differ in scale by orders of magnitude, and the largest decides every
    distance. This transformer centres each block and divides it by one number, the
    root-mean-square norm of its rows over the training set, so that every block contributes
    the same mean squared distance. Columns keep their proportions inside a block; compare
    `sklearn.preprocessing.StandardScaler`, which would blow up bins that are nearly always empty.

    Parameters
    ----------
    blocks : None, "low-level", dict or list, default=None
        Which columns belong together. None is one block of all columns; "low-level" is the layout
        of ``LowLevelFeatures(blocks="all")``; a dict maps names to slices, or to numbers of
        columns; a list holds slices or numbers of columns, and its blocks are named "block0",
        "block1", and so on. ``LowLevelFeatures.block_slices_`` is such a dict. The blocks must
        cover each column once.
    hellinger : tuple of str, default=()
        Names of blocks whose square root is taken first. For histograms Euclidean distance is then
        Hellinger's, which full bins do not dominate.
    normalize : {"l2"} or None, default=None
        "l2" divides each row by its Euclidean norm at the end, so that distances compare
        directions. Rows of zeros stay.

    Attributes
    ----------
    block_slices_ : dict of str to slice
        The blocks.
    mean_ : ndarray of shape (n_features_in_,)
        Mean of each column, after the square roots.
    rms_ : ndarray of shape (n_blocks,)
        Root-mean-square norm of each block's centred rows; 0 for a block that is the same in all
        training samples, which is centred only.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen in fit, if X had names that are strings.

    See Also
    --------
    LowLevelFeatures : Makes the six blocks.

    Notes
    -----
    Float32 stays float32; sums are taken in float64. Dividing by the root-mean-square distance of
    two samples, as is sometimes written, is the same but for the factor of the square root of 2
    common to all blocks.

    References
    ----------
    The paper concatenates its features as they are (section 6.1); Hays and Efros (IM2GPS, CVPR
    2008) divide each feature's distances by their standard deviation.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.features import BlockScaler
    >>> X = np.array([[0.0, 1.0, 500.0], [2.0, 1.0, 300.0]])
    >>> BlockScaler(blocks=[2, 1]).fit_transform(X)
    array([[-1.,  0.,  1.],
           [ 1.,  0., -1.]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "blocks": [None, StrOptions({"low-level"}), dict, list, tuple],
        "hellinger": [tuple, list, set, frozenset],
        "normalize": [None, StrOptions({"l2"})],
    }

    def __init__(
        self, blocks: Any = None, *, hellinger: Any = (), normalize: str | None = None
    ) -> None:
        self.blocks = blocks
        self.hellinger = hellinger
        self.normalize = normalize

    def fit(self, X: Any, y: Any = None) -> BlockScaler:
        """Measure the centre and the size of each block on the gallery.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The features.
        y : None
            Ignored.

        Returns
        -------
        BlockScaler
            The fitted scaler.

        Raises
        ------
        ValueError
            If the blocks do not fit X, X holds NaN, or a block named in ``hellinger`` is unknown
            or holds a negative value.
        """
        self._validate_params()
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        self.block_slices_ = resolve_blocks(self.blocks, X.shape[1])
        roots = self._root_blocks()
        if roots:
            X = X.copy()
            take_square_roots(X, roots)
        self.mean_, self.rms_ = block_moments(X, list(self.block_slices_.values()))
        return self

    def transform(self, X: Any) -> npt.NDArray[Any]:
        """Scale features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The features, with the columns seen in fit.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            float32 if X is, else float64.

        Raises
        ------
        ValueError
            If X has other columns than in fit, holds NaN, or a negative value in a block named in
            ``hellinger``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32], copy=True)
        take_square_roots(X, self._root_blocks())
        moments = BlockMoments(self.mean_, self.rms_)
        X = standardise_blocks(X, list(self.block_slices_.values()), moments, out=X)
        return X if self.normalize is None else unit_rows(X)

    def _root_blocks(self) -> dict[str, slice]:
        unknown = [name for name in self.hellinger if name not in self.block_slices_]
        if unknown:
            raise ValueError(
                f"hellinger names {unknown}, but the blocks are {list(self.block_slices_)}."
            )
        return {name: self.block_slices_[name] for name in self.hellinger}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
