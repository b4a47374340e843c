"""Vectors as the blocked search wants them: single precision, near the origin, with norms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import sklearn

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]


def working_bytes(working_memory: float | None) -> float:
    """Bytes that temporary blocks may take; None asks scikit-learn's configuration."""
    if working_memory is None:
        working_memory = float(sklearn.get_config()["working_memory"])
    return working_memory * 2.0**20


class Frame(NamedTuple):
    """Shift and scale under which single precision is safe and loses least.

    Distances are the same after the mean of the data is subtracted, but cancellation is less.
    The scale is a power of two, hence exact, and puts all norms into [0, 1]. ``plain`` says
    that the data are in single precision and well placed already: nothing needs to be done.
    """

    mean: FloatArray
    scale: float
    plain: bool


def make_frame(*arrays: npt.NDArray[Any], working_memory: float | None = None) -> Frame:
    """Find the frame of the rows of X, or of several arrays together, reading them in blocks.

    Raises
    ------
    ValueError
        If the values are so large that squared distances overflow.
    """
    mean = np.zeros(arrays[0].shape[1])
    raw, centred = 0.0, 0.0
    n = sum(len(X) for X in arrays)
    with np.errstate(over="ignore", invalid="ignore"):
        for X in arrays:
            for part in row_slices(X, working_memory):
                mean += X[part].sum(axis=0, dtype=np.float64) / n
        for X in arrays:
            for part in row_slices(X, working_memory):
                block = X[part].astype(np.float64)
                raw = max(raw, float(_squared_norms(block).max()))
                block -= mean
                centred = max(centred, float(_squared_norms(block).max()))
    if not np.isfinite(4.0 * centred):
        raise ValueError(
            "X has values so large that squared distances overflow double precision; expected "
            "features of moderate size, for example scaled by BlockScaler."
        )
    single = all(X.dtype == np.float32 for X in arrays)
    if single and 1e-12 < centred < 1e12 and raw < 4.0 * centred:
        return Frame(np.zeros_like(mean), 1.0, plain=True)
    # At the small end the scale itself must stay finite.
    exponent = 0 if centred == 0.0 else int(np.clip(np.frexp(np.sqrt(centred))[1], -1000, 1000))
    return Frame(mean, float(np.ldexp(1.0, -exponent)), plain=False)


class Points:
    """The rows of X in a frame.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Vectors, float32 or float64, memory maps too.
    frame : Frame
        Of X, or of vectors around it.
    working_memory : float or None
        MiB. A converted copy of X is kept where it takes a quarter of that at most.

    Attributes
    ----------
    X : ndarray of shape (n, d)
        As given.
    norms : ndarray of shape (n,)
        Squared norms in the frame.
    """

    def __init__(
        self, X: npt.NDArray[Any], frame: Frame, *, working_memory: float | None = None
    ) -> None:
        self.X = X
        self.frame = frame
        self.norms = np.empty(len(X))
        self._kept = X if frame.plain else None
        if not frame.plain and 4.0 * X.size <= 0.25 * working_bytes(working_memory):
            self._kept = np.empty(X.shape, dtype=np.float32)
        for part in row_slices(X, working_memory):
            block = self.convert(X[part])
            self.norms[part] = _squared_norms(block)
            if self._kept is not None and not frame.plain:
                self._kept[part] = block

    def take(self, ids: IndexArray) -> npt.NDArray[np.float32]:
        """Return the rows ``ids``, ascending, in the frame: a view where they are neighbours."""
        rows: IndexArray | slice = ids
        if len(ids) and ids[-1] - ids[0] == len(ids) - 1:
            rows = slice(int(ids[0]), int(ids[-1]) + 1)
        if self._kept is not None:
            return self._kept[rows]
        return self.convert(self.X[rows]).astype(np.float32)

    def convert(self, block: npt.NDArray[Any]) -> FloatArray:
        converted = block.astype(np.float64)
        if not self.frame.plain:
            converted -= self.frame.mean
            converted *= self.frame.scale
        return converted


def row_slices(X: npt.NDArray[Any], working_memory: float | None) -> Iterator[slice]:
    """Blocks of rows of which a few copies in double precision stay in the cache, or in memory."""
    most = min(working_bytes(working_memory) / 4.0, 2.0**22)
    step = max(1, int(most / (8.0 * max(X.shape[1], 1))))
    return (slice(start, start + step) for start in range(0, len(X), step))


def _squared_norms(block: FloatArray) -> FloatArray:
    norms: FloatArray = np.einsum("ij,ij->i", block, block)
    return norms
