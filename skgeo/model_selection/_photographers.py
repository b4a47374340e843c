"""Cross-validation in which no photographer is in both the training and the test part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples

from skgeo._validation import StrOptions, validate_params

from ._folds import IntArray, deal_groups


class PhotographerSplit(GroupKFold):
    """K folds of whole photographers, about as large as each other.

    One photographer takes several pictures of a place with one camera in one light. If some of
    them are in the training part, the rest are found by their style, and the score flatters. Im2GPS
    therefore kept all pictures by the photographers of its test set out of its gallery [1]_.

    Pass the authors as ``groups``, as `load_geotagged_photos` returns them.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    unknown : {"raise", "separate"}, default="raise"
        What to do with photographs without an author (None, NaN or empty text): refuse them, or
        take each for the work of another photographer.
    shuffle : bool, default=False
        Whether chance decides to which fold photographers of equally many pictures go. Without
        it their order does.
    random_state : int, RandomState instance or None, default=None
        Decides it if `shuffle` is true, and must be None otherwise.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    SpatialBlockSplit : Folds of whole places.

    References
    ----------
    .. [1] Hays and Efros, "IM2GPS: estimating geographic information from a single image",
       CVPR 2008.

    Examples
    --------
    >>> from skgeo.model_selection import PhotographerSplit
    >>> authors = ["ann", "ann", "ann", "bob", "cem", "bob"]
    >>> for train, test in PhotographerSplit(n_splits=2).split(range(6), groups=authors):
    ...     print(train, test)
    [3 4 5] [0 1 2]
    [0 1 2] [3 4 5]
    """

    @validate_params(
        {"unknown": [StrOptions({"raise", "separate"})]}, prefer_skip_nested_validation=True
    )
    def __init__(
        self,
        n_splits: int = 5,
        *,
        unknown: str = "raise",
        shuffle: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(n_splits, shuffle=shuffle, random_state=random_state)
        self.unknown = unknown

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield the indices of the training and the test part of each fold.

        Parameters
        ----------
        X : sequence of length n_samples, or None
            Anything with a length.
        y : object, default=None
            Not used; it is there because scikit-learn passes it.
        groups : array-like of shape (n_samples,)
            The photographer of each sample: text or numbers.

        Yields
        ------
        train : ndarray
            Sorted indices of the training samples.
        test : ndarray
            Sorted indices of the test samples. Every sample is in the test part once.

        Raises
        ------
        ValueError
            If there are no groups, a photographer is unknown while `unknown` is "raise", or
            there are fewer photographers than `n_splits`.
        """
        if groups is None:
            raise ValueError(
                "PhotographerSplit needs the photographers: pass them as groups, one for each "
                "sample (search.fit(X, y, groups=authors))."
            )
        n_samples = None if X is None else _num_samples(X)
        labels = self._labels(groups, n_samples)
        rng = check_random_state(self.random_state) if self.shuffle else None
        folds, n_authors = deal_groups(labels, self.n_splits, rng)
        if n_authors < self.n_splits:
            raise ValueError(
                f"{n_authors} photographer(s) are too few for n_splits={self.n_splits}."
            )
        for fold in range(self.n_splits):
            is_test = folds == fold
            yield np.flatnonzero(~is_test), np.flatnonzero(is_test)

    def _labels(self, groups: Any, n_samples: int | None) -> npt.NDArray[np.intp]:
        """Groups as numbers in order of their first appearance."""
        if hasattr(groups, "to_numpy"):
            groups = groups.to_numpy()
        if np.ndim(groups) != 1:
            raise ValueError(
                f"groups has shape {np.shape(groups)}; expected one photographer for each sample, "
                "shape (n_samples,)."
            )
        if n_samples is not None and len(groups) != n_samples:
            raise ValueError(
                f"groups has {len(groups)} entries but X has {n_samples} samples; expected one "
                "photographer for each."
            )
        seen: dict[Any, int] = {}
        labels = np.empty(len(groups), dtype=np.intp)
        for row, author in enumerate(groups):
            if author is None or not _is_known(author):
                if self.unknown == "raise":
                    raise ValueError(
                        f"groups[{row}] names no photographer ({author!r}); leave such samples "
                        "out, or pass unknown='separate'."
                    )
                author = (row, "unknown")
            labels[row] = seen.setdefault(author, len(seen))
        return labels


def _is_known(author: Any) -> bool:
    if isinstance(author, str):
        return author.strip() != ""
    # NaN differs from itself, and pandas.NA does not say.
    equal = author == author
    return equal is True or (isinstance(equal, np.bool_) and bool(equal))
