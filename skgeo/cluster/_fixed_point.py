"""Means of unit vectors by whole numbers: sums without rounding, in any order the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def sphere_quantum(n: int, radius: float) -> float:
    """Unit in which coordinates of ``n`` unit vectors are counted.

    A power of two, about 1e-12 of the radius or less, such that neither a coordinate nor the
    sum over a disc, less as often its middle, overflows 64 bits.
    """
    exponent = int(np.floor(np.log2(radius)))
    return float(2.0 ** max(exponent + int(n).bit_length() - 61, -61, exponent - 52))


def mean_directions(
    counts: npt.NDArray[np.intp], sums: IntArray, states: FloatArray, quantum: float
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Mean of unit vectors from their sum modulo 2 ** 64, renormalised.

    ``states`` are places within reach of all the vectors of each sum: they tell which multiple of
    2 ** 64 is meant. The result does not depend on them. Also returned is where no mean
    exists, for there are no vectors or they balance each other.
    """
    middle = np.rint(states / quantum).astype(np.int64)
    many = np.maximum(counts, 1)[:, None]
    means = (middle + (sums - counts[:, None] * middle) // many) * quantum
    x, y, z = means.T
    length = np.sqrt(x * x + y * y + z * z)
    lost = (counts == 0) | (length < 1e-12)
    return means / np.where(lost, 1.0, length)[:, None], lost
