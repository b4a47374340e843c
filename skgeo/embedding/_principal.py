"""Principal axes in bounded memory: X is read in blocks of rows and never copied as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
from sklearn.utils import gen_batches

from .._progress import progress
from ._scatter import lines_per_block

FloatArray = npt.NDArray[np.float64]

#: Up to so many rows or columns the Gram matrix of the smaller side is decomposed exactly.
EXACT_MAX = 5000

#: The other way, subspace iteration: how often X is applied, and how many axes beyond those asked.
_N_ITERATIONS, _OVERSAMPLING = 4, 100


def principal_axes(
    X: npt.NDArray[Any], max_components: int, *, verbose: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Mean and principal axes of rows, most variance first, down to the numerical rank.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, float32 or float64; may be a memory map. Sums are taken in float64.
    max_components : int
        At most so many axes.
    verbose : int
        Above 0: progress bars.

    Returns
    -------
    mean : ndarray of shape (n_features,)
        Mean row, float64.
    axes : ndarray of shape (n_features, n_axes)
        Orthonormal columns; none if all rows are equal.

    Notes
    -----
    With at most `EXACT_MAX` columns, X is read once and the covariance matrix is decomposed;
    with at most as many rows, the matrix of inner products. Larger than that on both sides, the
    axes are found by subspace iteration from a fixed start (Halko, Martinsson, Tropp, SIAM Review
    2011), which reads X six times and needs memory for some hundred columns only, unless more
    than a quarter of all axes is asked for.
    """
    n_samples, n_features = X.shape
    max_components = min(max_components, n_samples, n_features)
    smaller = min(n_samples, n_features)
    if n_features > EXACT_MAX < n_samples and 4 * max_components < smaller:
        mean = _mean(X)
        values, axes = _iterate(X, mean, max_components, verbose)
    elif n_features <= n_samples:
        mean, gram = scatter_about_mean(X, verbose)
        values, axes = _largest(gram, max_components)
    else:
        mean = _mean(X)
        values, axes = _largest(_inner_products(X, mean), max_components)
    # Squares of singular values: the rounding of the Gram matrix bounds what can be told from 0.
    noise = max(n_samples, n_features) * np.finfo(np.float64).eps
    keep = values > noise * max(values[0], 0.0)
    axes = axes[:, keep]
    if len(axes) != n_features:
        axes = _map_back(X, mean, axes)
    return mean, np.ascontiguousarray(axes)


def project(
    X: npt.NDArray[Any],
    mean: FloatArray,
    axes: FloatArray,
    *,
    power: float = 0.0,
    verbose: int = 0,
) -> npt.NDArray[Any]:
    """Coordinates z of rows along axes, ``(X - mean) @ axes``, divided by ``|z|**power``.

    Computed in float64 by blocks of rows and rounded once to the type of X, so that a row has one
    image, alone or among a million, but where float64 itself differs at a rounding tie (a
    value in some ten million). A row equal to the mean, in the type of X, stays zero.
    """
    out = np.empty((len(X), axes.shape[1]), dtype=X.dtype)
    mean = mean.astype(X.dtype).astype(np.float64)
    for rows in _bar(_row_blocks(X), X, verbose, "project"):
        z = (X[rows] - mean) @ axes
        out[rows] = shorten(z, power)
    return out


def shorten(z: FloatArray, power: float) -> FloatArray:
    """Rows divided by a power of their length; a row of zeros stays."""
    if not power:
        return z
    norms = np.linalg.norm(z, axis=1, keepdims=True)
    shortened: FloatArray = z / np.where(norms > 0.0, norms**power, 1.0)
    return shortened


def _row_blocks(X: npt.NDArray[Any]) -> Iterator[slice]:
    blocks: Iterator[slice] = gen_batches(len(X), lines_per_block(X.shape[1]))
    return blocks


def _bar(blocks: Any, X: npt.NDArray[Any], verbose: int, what: str) -> Any:
    n_blocks = -(-len(X) // lines_per_block(X.shape[1]))
    return progress(blocks, verbose=verbose, total=n_blocks, desc=what, unit="block")


def _origin(X: npt.NDArray[Any]) -> FloatArray:
    """A point near the rows: the mean of the first block, exact in columns that are constant."""
    first = X[0].astype(np.float64)
    origin: FloatArray = first + (X[: lines_per_block(X.shape[1])] - first).mean(axis=0)
    return origin


def _mean(X: npt.NDArray[Any]) -> FloatArray:
    origin = _origin(X)
    total = np.zeros(X.shape[1])
    for rows in _row_blocks(X):
        total += (X[rows] - origin).sum(axis=0)
    return origin + total / len(X)


def scatter_about_mean(X: npt.NDArray[Any], verbose: int) -> tuple[FloatArray, FloatArray]:
    """Mean, and the sum of the outer products of centred rows, reading X once.

    The rows are taken from a point near them, and what that point was off is put right at the
    end, so that nothing cancels for rows far from the origin.
    """
    n_features = X.shape[1]
    origin, total = _origin(X), np.zeros(n_features)
    gram = np.zeros((n_features, n_features))
    for rows in _bar(_row_blocks(X), X, verbose, "covariance"):
        block = X[rows] - origin
        total += block.sum(axis=0)
        gram += block.T @ block
    offset = total / len(X)
    gram -= np.outer(total, offset)
    return origin + offset, gram


def _inner_products(X: npt.NDArray[Any], mean: FloatArray) -> FloatArray:
    gram = np.zeros((len(X), len(X)))
    for columns in gen_batches(X.shape[1], lines_per_block(len(X))):
        block = X[:, columns] - mean[columns]
        gram += block @ block.T
    return gram


def _map_back(X: npt.NDArray[Any], mean: FloatArray, vectors: FloatArray) -> FloatArray:
    """Axes of the rows from eigenvectors of their inner products."""
    axes = np.empty((X.shape[1], vectors.shape[1]))
    for columns in gen_batches(X.shape[1], lines_per_block(len(X))):
        axes[columns] = (X[:, columns] - mean[columns]).T @ vectors
    # The columns are orthogonal but for rounding, which is large for the last ones.
    return np.linalg.qr(axes)[0]


def _largest(gram: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    size = len(gram)
    values, vectors = scipy.linalg.eigh(
        gram, subset_by_index=[size - count, size - 1], overwrite_a=True, check_finite=False
    )
    return values[::-1], vectors[:, ::-1]


def _iterate(
    X: npt.NDArray[Any], mean: FloatArray, count: int, verbose: int
) -> tuple[FloatArray, FloatArray]:
    """Leading eigenpairs of the covariance by subspace iteration, without the covariance."""
    width = min(count + _OVERSAMPLING, *X.shape)
    axes = np.random.default_rng(0).normal(size=(X.shape[1], width))
    for iteration in range(_N_ITERATIONS):
        image = np.zeros_like(axes)
        for rows in _bar(_row_blocks(X), X, verbose, f"axes {iteration + 1}/{_N_ITERATIONS}"):
            block = X[rows] - mean
            image += block.T @ (block @ axes)
        axes = np.linalg.qr(image)[0]
    inside = np.zeros((width, width))
    for rows in _row_blocks(X):
        block = (X[rows] - mean) @ axes
        inside += block.T @ block
    values, vectors = _largest(inside, count)
    return values, axes @ vectors
