"""Groups dealt to folds so that the folds hold about as many samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.intp]


def deal_groups(
    labels: npt.NDArray[Any], n_folds: int, rng: np.random.RandomState | None
) -> tuple[IntArray, int]:
    """Fold of each sample, such that a group never spans two, and the number of groups.

    The largest group first, always to the fold that has fewest samples: no fold then exceeds the
    best possible size by more than a third. Where groups tie, `rng` decides, or their order.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Group of each sample.
    n_folds : int
        Number of folds; those beyond the number of groups stay empty.
    rng : RandomState or None
        Source of randomness, None for none.

    Returns
    -------
    folds : ndarray of shape (n,)
        0 to ``n_folds - 1``.
    n_groups : int
        Number of distinct labels.
    """
    _, group, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    ties = np.arange(len(sizes)) if rng is None else rng.permutation(len(sizes))
    load = np.zeros(n_folds, dtype=np.intp)
    fold_of_group = np.empty(len(sizes), dtype=np.intp)
    for g in np.lexsort((ties, -sizes)):
        lightest = int(np.argmin(load))
        fold_of_group[g] = lightest
        load[lightest] += sizes[g]
    return fold_of_group[group.reshape(-1)], len(sizes)
