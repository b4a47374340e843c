"""Cross-validation in which no place is in both the training and the test part."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples

from skgeo._geodesy import from_unit_vectors, km_to_chord, to_unit_vectors
from skgeo._validation import Interval, check_coordinates, validate_params

from ._blocks import spherical_blocks
from ._folds import IntArray, deal_groups


class SpatialBlockSplit(BaseCrossValidator):
    """K folds of blocks of the sphere: a place is either trained on or tested, never both.

    Photographs taken near each other resemble each other. Dealt to folds at random, nearly every
    test photograph has a neighbour of the same corner in the training part, and the score tells
    how well places are recognised that the model has seen. Folds of whole blocks tell how it does
    where it has not been.

    The coordinates are taken from ``groups`` if they are given there, else from ``y``, which is
    what they are in `GridSearchCV` and `cross_val_score`. X may be anything with a length:
    features, images, paths.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    block_km : float, default=500.0
        Side of a block (see `spherical_blocks`). Blocks are dealt to folds, the fullest first, so
        that folds are about as large as each other.
    buffer_km : float, default=0.0
        Training samples at most so far from a test sample are left out of that fold's training
        part, since blocks next to each other may be in different folds. 0: none is.
    shuffle : bool, default=False
        Whether to turn the grid of blocks at random over the sphere. Without it the grid is
        that of `spherical_blocks`.
    random_state : int, RandomState instance or None, default=None
        Decides how the grid is turned if `shuffle` is true, and must be None otherwise.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    PhotographerSplit : Folds of whole photographers.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.model_selection import SpatialBlockSplit
    >>> y = np.array([[48.8, 2.3], [48.9, 2.4], [-33.9, 151.2], [35.7, 139.7], [35.6, 139.8]])
    >>> X = np.zeros((5, 1))
    >>> for train, test in SpatialBlockSplit(n_splits=3).split(X, y):
    ...     print(train, test)
    [0 1 2] [3 4]
    [2 3 4] [0 1]
    [0 1 3 4] [2]
    """

    @validate_params(
        {
            "n_splits": [Interval(Integral, 2, None, closed="left")],
            "block_km": [Interval(Real, 0, None, closed="neither")],
            "buffer_km": [Interval(Real, 0, None, closed="left")],
            "shuffle": ["boolean"],
            "random_state": ["random_state"],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(
        self,
        n_splits: int = 5,
        *,
        block_km: float = 500.0,
        buffer_km: float = 0.0,
        shuffle: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        if random_state is not None and not shuffle:
            raise ValueError(
                "random_state has no effect while shuffle is False; leave it None or set "
                "shuffle=True."
            )
        self.n_splits = n_splits
        self.block_km = block_km
        self.buffer_km = buffer_km
        self.shuffle = shuffle
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object, default=None
            Not used; they are there because scikit-learn passes them.

        Returns
        -------
        int
            `n_splits`.
        """
        return self.n_splits

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield the indices of the training and the test part of each fold.

        Parameters
        ----------
        X : sequence of length n_samples, or None
            Anything with a length.
        y : array-like of shape (n_samples, 2), default=None
            Latitude and longitude in degrees; not looked at if `groups` is given.
        groups : array-like of shape (n_samples, 2), default=None
            Latitude and longitude in degrees, where y is something else (labels of areas).

        Yields
        ------
        train : ndarray
            Sorted indices of the training samples.
        test : ndarray
            Sorted indices of the test samples. Every sample is in the test part once.

        Raises
        ------
        ValueError
            If there are no coordinates, they lie in fewer blocks than `n_splits`, or the buffer
            leaves nothing to train on.
        """
        source, name = (y, "y") if groups is None else (groups, "groups")
        if source is None:
            raise ValueError(
                "SpatialBlockSplit needs coordinates: pass them as y, or as groups where y is "
                "something else."
            )
        n_samples = None if X is None else _num_samples(X)
        coordinates = check_coordinates(source, name=name, n_samples=n_samples)
        rng = check_random_state(self.random_state) if self.shuffle else None
        vectors = to_unit_vectors(coordinates)
        turned = coordinates if rng is None else from_unit_vectors(vectors @ _rotation(rng))
        blocks = spherical_blocks(turned, self.block_km)
        folds, n_blocks = deal_groups(blocks, self.n_splits, rng)
        if n_blocks < self.n_splits:
            raise ValueError(
                f"The {len(coordinates)} places lie in {n_blocks} block(s) of {self.block_km:g} "
                f"km, too few for n_splits={self.n_splits}; lower block_km or n_splits."
            )
        for fold in range(self.n_splits):
            is_test = folds == fold
            test, train = np.flatnonzero(is_test), np.flatnonzero(~is_test)
            if self.buffer_km > 0.0:
                train = train[_farther_than(vectors[train], vectors[test], self.buffer_km)]
                if len(train) == 0:
                    raise ValueError(
                        f"buffer_km={self.buffer_km:g} leaves nothing to train on in fold {fold} "
                        f"of {self.n_splits}."
                    )
            yield train, test


def _farther_than(
    vectors: npt.NDArray[np.float64], others: npt.NDArray[np.float64], km: float
) -> npt.NDArray[np.bool_]:
    """Which places are more than so many km from all others (unit vectors)."""
    nearest, _ = cKDTree(others).query(vectors)
    farther: npt.NDArray[np.bool_] = nearest > km_to_chord(km)
    return farther


def _rotation(rng: np.random.RandomState) -> npt.NDArray[np.float64]:
    """Rotate the sphere at random, uniformly: a matrix (3, 3)."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q *= np.sign(np.diag(r))
    if np.linalg.det(q) < 0.0:
        q[:, 0] = -q[:, 0]
    return np.asarray(q)
