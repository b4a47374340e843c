"""Groups of photographs that are nearly the same, and folds that do not part them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_array, check_random_state

from skgeo._validation import Interval, StrOptions, validate_params
from skgeo.features._store_identity import fingerprint
from skgeo.images import ImageError, check_images

from ._components import IntArray, combine_groups, linked_groups
from ._folds import deal_groups
from ._near_pairs import MAX_HASH_DISTANCE, near_hashes, near_vectors
from ._perceptual_hash import perceptual_hash

#: Bits that a photograph and another version of it differ in, at most, nearly always.
HASH_DISTANCE = 8

_PARAMETERS: dict[str, list[Any]] = {
    "method": [StrOptions({"auto", "hash", "identical", "features"})],
    "max_distance": [Interval(Real, 0, None, closed="left"), None],
    "n_jobs": [Integral, None],
    "verbose": ["verbose"],
}


@validate_params(_PARAMETERS, prefer_skip_nested_validation=True)
def near_duplicate_groups(
    X: Any,
    *,
    method: str = "auto",
    max_distance: float | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> IntArray:
    """Group photographs that are nearly the same: copies, other sizes, shots of one burst.

    Two samples within `max_distance` are linked, and linked samples are one group, along any chain.
    All such pairs are found, without comparing all pairs.

    Parameters
    ----------
    X : collection of images, or array-like of shape (n_samples, n_features)
        Images in any form (`skgeo.images.check_images`), or features.
    method : {"auto", "hash", "identical", "features"}, default="auto"
        - "hash": `perceptual_hash` of images; `max_distance` in bits.
        - "identical": images whose files, bytes or pixels are the same bit by bit.
        - "features": rows of numbers; `max_distance` is Euclidean. Normalise the rows before if
          it is the angle that matters.
        - "auto": "features" for numbers in two dimensions, "hash" for anything else.
    max_distance : float, default=None
        None: 8 of 64 bits for "hash"; at most 15. Of the five billion pairs of a hundred
        thousand photographs chance alone brings two or three within 8 bits. For "features" it
        has no default, since their scale is yours; 0 finds rows that are equal.
    n_jobs : int, default=None
        Number of processes that hash images.
    verbose : int, default=0
        Above 0: show a progress bar.

    Returns
    -------
    ndarray of shape (n_samples,)
        Group of each sample: 0, 1, ... in order of first appearance. Most groups have one member.

    Raises
    ------
    ValueError
        If `max_distance` is missing or does not suit the method, or features hold NaN.
    ImageError
        If an image cannot be read; the message names it.

    See Also
    --------
    NearDuplicateSplit : Folds of such groups.
    combine_groups : With authors and places.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.model_selection import near_duplicate_groups
    >>> X = np.array([[0.0, 0.0], [5.0, 5.0], [0.0, 0.1], [9.0, 0.0], [0.0, 0.2]])
    >>> near_duplicate_groups(X, max_distance=0.15)  # the last is near the third, not the first
    array([0, 1, 0, 2, 0])
    """
    if method == "auto":
        method = "features" if is_features(X) else "hash"
    if method == "features":
        if max_distance is None:
            raise ValueError(
                "max_distance is needed for features, whose scale only you know: the Euclidean "
                "distance up to which two rows are nearly the same. If X holds images, pass "
                "method='hash'."
            )
        vectors = check_features(X, "X")
        # Equal rows first: a thousand of them would be a million pairs.
        same = combine_groups([(row + 0.0).tobytes() for row in vectors])
        first = np.unique(same, return_index=True)[1]
        distinct = vectors if len(first) == len(vectors) else vectors[first]
        pairs = near_vectors(distinct, None, float(max_distance))
        return linked_groups(len(distinct), ((i, j) for i, j, _ in pairs))[same]
    if method == "identical":
        if max_distance:
            raise ValueError(
                f"max_distance={max_distance:g} has no meaning for method='identical'."
            )
        return combine_groups(content_digests(X, "X"))
    hashes = perceptual_hash(X, n_jobs=n_jobs, verbose=verbose)
    unique, inverse = np.unique(hashes, return_inverse=True)
    near = near_hashes(unique, None, check_hash_distance(max_distance))
    groups = linked_groups(len(unique), ((i, j) for i, j, _ in near))
    return combine_groups(groups[inverse.reshape(-1)])


class NearDuplicateSplit(BaseCrossValidator):
    """K folds of whole groups of near-duplicates: a photograph and its copy are on one side.

    A collection from the web holds the same photograph many times, in other sizes and crops, and a
    camera takes bursts. A copy in the training part gives the answer away.

    X may be images in any form or features: see `near_duplicate_groups`. Where X holds features
    but the images should decide, compute ``groups = near_duplicate_groups(images)`` and split with
    scikit-learn's `GroupKFold`; do the same to hash the images once and split often.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    method : {"auto", "hash", "identical", "features"}, default="auto"
        What makes near-duplicates, see `near_duplicate_groups`.
    max_distance : float, default=None
        How near they are: bits of a hash (None: 8), or the distance between features.
    shuffle : bool, default=False
        Whether chance decides to which fold groups of equally many samples go. Without it their
        order does.
    random_state : int, RandomState instance or None, default=None
        Decides it if `shuffle` is true, and must be None otherwise.
    n_jobs : int, default=None
        Number of processes that hash images.
    verbose : int, default=0
        Above 0: show a progress bar.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    SpatialBlockSplit : Folds of whole places.
    PhotographerSplit : Folds of whole photographers.
    leakage_report : What a split of any kind lets through.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.model_selection import NearDuplicateSplit
    >>> X = np.array([[0.0], [5.0], [0.1], [9.0], [5.1], [9.0]])
    >>> for train, test in NearDuplicateSplit(n_splits=3, max_distance=0.2).split(X):
    ...     print(train, test)
    [1 3 4 5] [0 2]
    [0 2 3 5] [1 4]
    [0 1 2 4] [3 5]
    """

    @validate_params(
        {
            "n_splits": [Interval(Integral, 2, None, closed="left")],
            "shuffle": ["boolean"],
            "random_state": ["random_state"],
        }
        | _PARAMETERS,
        prefer_skip_nested_validation=True,
    )
    def __init__(
        self,
        n_splits: int = 5,
        *,
        method: str = "auto",
        max_distance: float | None = None,
        shuffle: bool = False,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        if random_state is not None and not shuffle:
            raise ValueError(
                "random_state has no effect while shuffle is False; leave it None or set "
                "shuffle=True."
            )
        self.n_splits = n_splits
        self.method = method
        self.max_distance = max_distance
        self.shuffle = shuffle
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

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
        X : collection of images, or array-like of shape (n_samples, n_features)
            What is looked at.
        y : object, default=None
            Not used; it is there because scikit-learn passes it.
        groups : array-like of shape (n_samples,), default=None
            Further groups that are kept together as well, such as the authors.

        Yields
        ------
        train : ndarray
            Sorted indices of the training samples.
        test : ndarray
            Sorted indices of the test samples. Every sample is in the test part once.

        Raises
        ------
        ValueError
            If there are fewer groups than `n_splits`; see also `near_duplicate_groups`.

        Warns
        -----
        UserWarning
            If one group holds more than half of the samples.
        """
        labels = near_duplicate_groups(
            X,
            method=self.method,
            max_distance=self.max_distance,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        if groups is not None:
            labels = combine_groups(labels, groups)
        largest = int(np.bincount(labels).max())
        rng = check_random_state(self.random_state) if self.shuffle else None
        folds, n_groups = deal_groups(labels, self.n_splits, rng)
        if n_groups < self.n_splits:
            raise ValueError(
                f"The {len(labels)} samples are {n_groups} group(s) of near-duplicates, too few "
                f"for n_splits={self.n_splits}; lower max_distance or n_splits."
            )
        if largest > max(len(labels) / 2, 2):
            warnings.warn(
                f"One group of near-duplicates holds {largest} of {len(labels)} samples, so that "
                "the folds are uneven. Chains of samples that are near each other grow with "
                "max_distance; lower it if these are not all copies.",
                UserWarning,
                stacklevel=2,
            )
        for fold in range(self.n_splits):
            is_test = folds == fold
            yield np.flatnonzero(~is_test), np.flatnonzero(is_test)


def is_features(X: Any) -> bool:
    """Whether X is numbers in two dimensions, a row a sample, and not a collection of images."""
    if hasattr(X, "to_numpy") and getattr(X, "ndim", 0) == 2:
        X = X.to_numpy()
    if isinstance(X, list | tuple):
        row = X[0] if len(X) else None
        return isinstance(row, list | tuple) and all(isinstance(v, Real) for v in row)
    return isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "biuf"


def check_features(X: Any, name: str) -> npt.NDArray[Any]:
    """Features as a finite array of floats."""
    vectors: npt.NDArray[Any] = check_array(
        X, dtype=[np.float64, np.float32, np.float16], input_name=name
    )
    return vectors


def check_hash_distance(max_distance: float | None) -> int:
    """Number of bits, or an error."""
    if max_distance is None:
        return HASH_DISTANCE
    if max_distance != int(max_distance) or not 0 <= max_distance <= MAX_HASH_DISTANCE:
        raise ValueError(
            f"{max_distance:g} bits: expected a whole number from 0 to {MAX_HASH_DISTANCE}. "
            "Photographs that differ in more bits need not have anything in common."
        )
    return int(max_distance)


def content_digests(images: Any, name: str) -> list[str]:
    """Digest of the bytes of each image: of its file, its encoded bytes or its pixels."""
    digests = []
    for row, source in enumerate(check_images(images, name=name)):
        digest = fingerprint(source, "content")
        if digest == "unreadable" or digest.startswith("value:"):
            raise ImageError(f"{name}[{row}]: {source!r} cannot be read.")
        digests.append(digest)
    return digests
