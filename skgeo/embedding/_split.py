"""Photos held out of a training, whole places or a part of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.intp]

#: Fewer photos than this are all needed for training, and tell nothing: none is held out.
MIN_TO_HOLD_OUT = 50


def split_by_place(
    labels: IntArray | None, n_samples: int, fraction: float, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Rows to train on and rows held out; a place is never in both.

    Whole places are drawn at random until their photos reach the fraction. Without labels every
    row is a place of its own.

    Returns
    -------
    train, held_out : ndarray of int
        Sorted rows.
    """
    if labels is None:
        labels = np.arange(n_samples)
    places, part, last = _deal(labels, fraction, rng)
    held = part == 0
    # At least one place on either side.
    if held.all():
        held[last] = False
    mask = held[places]
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def parts_by_place(
    labels: IntArray, n_parts: int, fraction: float, rng: np.random.Generator
) -> list[tuple[IntArray, IntArray]]:
    """Several such splits; no row is held out twice.

    Whole places go, in random order, to the part that they fit in: ``n_parts`` of them at most,
    each of some ``fraction`` of the rows.
    """
    places, part, _ = _deal(labels, fraction, rng)
    return [
        (np.flatnonzero(~held), np.flatnonzero(held))
        for held in (part[places] == p for p in range(n_parts))
        if held.any() and not held.all()
    ]


def _deal(
    labels: IntArray, fraction: float, rng: np.random.Generator
) -> tuple[IntArray, IntArray, int]:
    """The place of each row, the part that each place is dealt to, and the place dealt last."""
    _, places, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    order = rng.permutation(len(sizes))
    before = np.cumsum(sizes[order]) - sizes[order]
    part = np.empty(len(sizes), dtype=np.intp)
    part[order] = (before / (fraction * len(labels))).astype(np.intp)
    return places, part, int(order[-1])


def split_within_areas(
    labels: IntArray, fraction: float, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Rows to train on and rows held out, the fraction of each area (rounded at random).

    For area labels without coordinates: an area that is held out whole could never be found.
    """
    held = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held[rows[: int(fraction * len(rows) + rng.random())][: len(rows) - 1]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def parts_within_areas(
    labels: npt.NDArray[Any], n_parts: int, fraction: float, rng: np.random.Generator
) -> list[tuple[IntArray, IntArray]]:
    """Several splits that hold out a part of each area; no row is held out twice.

    The rows of an area are dealt in random order to as many parts as make up a whole, of which
    the first ``n_parts`` are held out. Every area keeps a row.
    """
    n_deals = max(2, round(1.0 / fraction))
    _, areas, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    order = rng.permutation(len(labels))
    order = order[np.argsort(areas[order], kind="stable")]
    # Counted on from area to area, or small areas would all fall to the first parts.
    part = np.empty(len(labels), dtype=np.intp)
    part[order] = np.arange(len(labels)) % n_deals
    part[np.isin(areas, np.flatnonzero(sizes == 1))] = n_deals
    parts = [(np.flatnonzero(part != p), np.flatnonzero(part == p)) for p in range(n_parts)]
    return [(kept, held_out) for kept, held_out in parts if len(held_out)]
