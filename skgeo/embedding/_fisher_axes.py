"""Marginal Fisher analysis: the eigenproblem, and signs that are the same everywhere."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.linalg

FloatArray = npt.NDArray[np.float64]


def marginal_fisher_axes(
    scatter_same: FloatArray, scatter_confusing: FloatArray, shrinkage: float
) -> tuple[FloatArray, FloatArray]:
    """Solve S_Q v = lambda S v with S = (1 - shrinkage) S_P + shrinkage I.

    Both scatters are first scaled to trace d, so that the shrinkage has no unit.

    Parameters
    ----------
    scatter_same, scatter_confusing : ndarray of shape (d, d)
        Scatter of the pairs P and of the pairs Q.
    shrinkage : float
        In [0, 1].

    Returns
    -------
    eigenvalues : ndarray of shape (d,)
        Decreasing, clipped at 0.
    axes : ndarray of shape (d, d)
        Columns v with V^T S V = I.

    Raises
    ------
    ValueError
        If S is singular, which only happens for a shrinkage of 0.
    """
    d = len(scatter_same)
    same = scatter_same * (d / np.trace(scatter_same))
    confusing = scatter_confusing * (d / np.trace(scatter_confusing))
    inner = (1.0 - shrinkage) * same + shrinkage * np.eye(d)
    try:
        eigenvalues, axes = scipy.linalg.eigh(confusing, inner)
    except scipy.linalg.LinAlgError as error:
        raise ValueError(
            f"The same-area scatter is singular at shrinkage={shrinkage}: the pairs P span fewer "
            f"than {d} dimensions. Use a shrinkage above 0 (0.3 is the default)."
        ) from error
    return np.clip(eigenvalues[::-1], 0.0, None), axes[:, ::-1]


def fix_signs(rows: FloatArray) -> FloatArray:
    """Flip rows so that the entry of largest magnitude is positive: same signs everywhere.

    Entries within a part in a million of the largest count as equal to it, and the first of
    them decides: rounding, which differs between machines, does not.
    """
    if rows.size == 0:
        return rows
    magnitude = np.abs(rows)
    large = magnitude >= (1.0 - 1e-6) * magnitude.max(axis=1, keepdims=True)
    deciding = rows[np.arange(len(rows)), np.argmax(large, axis=1)]
    flipped: FloatArray = rows * np.where(deciding < 0.0, -1.0, 1.0)[:, None]
    return flipped
