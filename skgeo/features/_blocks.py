"""Blocks of columns, and the scale that puts blocks of different kinds on an equal footing.

Plain functions on arrays: `BlockScaler` is a shell over them, and the embeddings use them to weigh
the input against the layers of a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "LOW_LEVEL_WIDTHS",
    "BlockMoments",
    "block_moments",
    "consecutive_slices",
    "resolve_blocks",
    "standardise_blocks",
    "take_square_roots",
    "unit_rows",
]

FloatArray = npt.NDArray[Any]

#: Columns of each block of `LowLevelFeatures`, in the order of the paper.
LOW_LEVEL_WIDTHS = {
    "tiny5": 75,
    "tiny16": 768,
    "color": 784,
    "texture": 512,
    "line": 232,
    "gist": 600,
}

# Elements of a chunk that is held in float64 while a mean or a square is summed.
_CHUNK_ELEMENTS = 2_000_000


class BlockMoments(NamedTuple):
    """Centre and size of each block of columns over a set of samples.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        float64.
    rms : ndarray of shape (n_blocks,)
        Root mean square of the norm of a centred row of each block, float64; 0 for a block that is
        the same in all samples. It is the root mean square distance of two samples in the block,
        divided by the square root of 2.
    """

    mean: npt.NDArray[np.float64]
    rms: npt.NDArray[np.float64]


def consecutive_slices(widths: Mapping[str, int]) -> dict[str, slice]:
    """Turn the widths of blocks that follow each other into slices of columns.

    Parameters
    ----------
    widths : mapping of str to int
        Number of columns of each block.

    Returns
    -------
    dict of str to slice
        In the same order.
    """
    ends = np.cumsum(list(widths.values())).tolist()
    return {
        name: slice(end - width, end)
        for (name, width), end in zip(widths.items(), ends, strict=True)
    }


def resolve_blocks(blocks: Any, n_features: int) -> dict[str, slice]:
    """Read any of the forms in which blocks of columns are given.

    Parameters
    ----------
    blocks : None, "low-level", mapping, or sequence of slices or ints
        None is one block of all columns; "low-level" those of `LowLevelFeatures`; a mapping gives
        names to slices or widths; a sequence holds slices or widths, and its blocks are named
        "block0", "block1", ...
    n_features : int
        Number of columns, all of which the blocks must cover, each once.

    Returns
    -------
    dict of str to slice
        Slices with start and stop, in the order given.

    Raises
    ------
    ValueError
        If a block is no slice or width, is empty, or the blocks leave out or repeat a column.
    """
    if blocks is None:
        return {"block0": slice(0, n_features)}
    if isinstance(blocks, str):
        if blocks != "low-level":
            raise ValueError(
                f"blocks={blocks!r} is unknown; the only name of a layout is 'low-level'."
            )
        named: Mapping[Any, Any] = LOW_LEVEL_WIDTHS
    elif isinstance(blocks, Mapping):
        named = blocks
    else:
        named = {f"block{position}": block for position, block in enumerate(blocks)}
    if not named:
        raise ValueError(
            "blocks is empty; expected at least one block, or None for one of all columns."
        )
    if all(isinstance(block, Integral) for block in named.values()):
        widths = {name: int(block) for name, block in named.items()}
        if min(widths.values()) < 1:
            raise ValueError(f"blocks holds a width below 1: {widths}.")
        slices = consecutive_slices(widths)
    elif all(isinstance(block, slice) for block in named.values()):
        slices = {name: _bounded(name, block, n_features) for name, block in named.items()}
    else:
        raise ValueError(f"blocks must hold either slices or widths, not {list(named.values())}.")
    ordered = sorted(slices.values(), key=lambda block: (block.start, block.stop))
    edges = [0, *(block.stop for block in ordered)]
    if [block.start for block in ordered] != edges[:-1] or edges[-1] != n_features:
        listed = ", ".join(f"{name} {block.start}:{block.stop}" for name, block in slices.items())
        raise ValueError(
            f"the blocks do not cover the {n_features} columns of X once each: {listed}. "
            "Was X made with other features?"
        )
    return slices


def _bounded(name: str, block: slice, n_features: int) -> slice:
    """A slice with start and stop in place, or an error if it is not a run of columns."""
    start = 0 if block.start is None else int(block.start)
    stop = n_features if block.stop is None else int(block.stop)
    if block.step not in (None, 1) or start < 0 or stop <= start:
        raise ValueError(
            f"block {name!r} is {block}; expected slice(start, stop) with 0 <= start < stop."
        )
    return slice(start, stop)


def _chunks(X: FloatArray) -> Iterable[npt.NDArray[np.float64]]:
    rows = max(1, _CHUNK_ELEMENTS // max(1, X.shape[1]))
    for start in range(0, len(X), rows):
        yield X[start : start + rows].astype(np.float64)


def block_moments(X: FloatArray, blocks: Sequence[slice]) -> BlockMoments:
    """Mean of the columns and root-mean-square norm of the centred blocks.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        float32 or float64; summed in float64, in chunks.
    blocks : sequence of slices
        The blocks of columns.

    Returns
    -------
    BlockMoments
        The mean and the norms.

    Raises
    ------
    ValueError
        If the values are so large that their squares overflow.
    """
    total = np.zeros(X.shape[1])
    for chunk in _chunks(X):
        total += chunk.sum(axis=0)
    mean = total / len(X)
    squares = np.zeros(len(blocks))
    sizes = np.zeros(len(blocks))
    with np.errstate(over="ignore"):
        for chunk in _chunks(X):
            for index, block in enumerate(blocks):
                part = chunk[:, block]
                sizes[index] = max(sizes[index], np.abs(part).max())
                part = part - mean[block]
                squares[index] += np.einsum("ij,ij->", part, part)
    rms = np.sqrt(squares / len(X))
    if not np.isfinite(rms).all():
        raise ValueError("X holds values so large that their squares overflow; scale them down.")
    # What the rounding of the mean leaves of a constant block is no size to divide by.
    widths = np.array([block.stop - block.start for block in blocks])
    rms[rms <= 10 * np.finfo(np.float64).eps * sizes * np.sqrt(widths)] = 0.0
    return BlockMoments(mean, rms)


def standardise_blocks(
    X: FloatArray, blocks: Sequence[slice], moments: BlockMoments, *, out: FloatArray | None = None
) -> FloatArray:
    """Centre each block and divide it by its root-mean-square norm.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        float32 or float64.
    blocks : sequence of slices
        The blocks of columns.
    moments : BlockMoments
        What `block_moments` found on the gallery. Blocks of norm 0 are centred only.
    out : ndarray or None
        Where to write; it may be X.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        Of the type of X. On the gallery each block has a mean square norm of 1.
    """
    result: FloatArray = np.subtract(X, moments.mean.astype(X.dtype), out=out)
    for block, norm in zip(blocks, moments.rms, strict=True):
        if norm > 0.0:
            # Divided, not multiplied by the reciprocal, which overflows for the tiniest norms.
            result[:, block] /= X.dtype.type(norm) or np.finfo(X.dtype).tiny
    return result


def take_square_roots(X: FloatArray, blocks: Mapping[str, slice]) -> None:
    """Replace histograms by their square roots, in place, so that Euclid measures Hellinger.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Changed in place.
    blocks : mapping of str to slice
        The blocks to treat.

    Raises
    ------
    ValueError
        If a value is negative. The message names the block and the row.
    """
    for name, block in blocks.items():
        part = X[:, block]
        if part.size and part.min() < 0:
            row, column = np.unravel_index(part.argmin(), part.shape)
            raise ValueError(
                f"hellinger takes the square root of block {name!r}, which has the negative value "
                f"{part[row, column]:g} in row {row}; expected a histogram."
            )
        np.sqrt(part, out=part)


def unit_rows(X: FloatArray) -> FloatArray:
    """Divide each row by its Euclidean norm, in place; rows of zeros stay.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Changed in place.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        X.
    """
    norms = np.sqrt(np.einsum("ij,ij->i", X, X))
    norms[norms == 0.0] = 1.0
    X /= norms[:, None]
    return X
