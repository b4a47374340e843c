"""Groups from pairs, and groups of groups: whatever is linked stays together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from skgeo.metrics._bootstrap import group_labels

IntArray = npt.NDArray[np.intp]

#: Pairs that are kept before they are drawn into the groups found so far.
_PAIRS = 1 << 20


def linked_groups(n: int, blocks: Iterable[tuple[IntArray, IntArray]]) -> IntArray:
    """Label the connected components of pairs, in order of their first member.

    Parameters
    ----------
    n : int
        Number of samples.
    blocks : iterable of (ndarray, ndarray)
        Pairs i, j. Never more than a million of them are held.
    """
    labels = np.arange(n)
    held: list[tuple[IntArray, IntArray]] = []
    count = 0
    for i, j in blocks:
        held.append((i, j))
        count += len(i)
        if count >= _PAIRS:
            labels, held, count = _merge(labels, held), [], 0
    return _by_first_member(_merge(labels, held))


def _merge(labels: IntArray, held: list[tuple[IntArray, IntArray]]) -> IntArray:
    if not held:
        return labels
    i = labels[np.concatenate([pair[0] for pair in held])]
    j = labels[np.concatenate([pair[1] for pair in held])]
    n = len(labels)
    _, component = connected_components(coo_array((np.ones(len(i), bool), (i, j)), shape=(n, n)))
    return component[labels].astype(np.intp)


def _by_first_member(labels: IntArray) -> IntArray:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.intp)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse.reshape(-1)]


def combine_groups(*groups: npt.ArrayLike) -> IntArray:
    """Groups that respect several at once: samples that share any of theirs stay together.

    For instance authors, near-duplicates and blocks of the sphere: a split by the combined groups
    leaks none of the three. If Ann and Bob have one near-duplicate in common, all photographs of
    both are one group, and so on along the chain.

    Parameters
    ----------
    *groups : array-like of shape (n_samples,)
        One or more labels of each sample: text or numbers. None and NaN are refused, since they
        would be one large group.

    Returns
    -------
    ndarray of shape (n_samples,)
        Labels from 0 in order of first appearance, for ``groups=`` of a splitter.

    Raises
    ------
    ValueError
        If there is nothing to combine, the lengths differ, or a label is missing.

    Examples
    --------
    >>> from skgeo.model_selection import combine_groups
    >>> combine_groups(["ann", "ann", "bob", "cem"], [7, 8, 8, 9])
    array([0, 0, 0, 1])
    """
    if not groups:
        raise ValueError("combine_groups needs the labels of at least one kind of groups.")
    n = len(np.asarray(groups[0], dtype=object)) if np.ndim(groups[0]) else 0
    links: list[tuple[IntArray, IntArray]] = []
    for number, kind in enumerate(groups):
        try:
            labels: Any = group_labels(kind, n)[0]
        except ValueError as bad:
            raise ValueError(f"Argument {number}: {bad}") from bad
        _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
        links.append((np.arange(n), first[inverse.reshape(-1)]))
    return linked_groups(n, links)
