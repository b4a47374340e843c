"""Support vector machines for classes against the rest that share one small kernel matrix.

Sequential minimal optimisation with second-order choice of the pair [1]_, the method of LIBSVM, for
a precomputed kernel. It is here because a lazy learner trains some twenty machines of two hundred
points for each query, and most of the time went into the calls around the library: this loop
solves all of them in one. The outcome is that of `sklearn.svm.SVC`, to the tolerance.

.. [1] R.-E. Fan, P.-H. Chen, C.-J. Lin, "Working Set Selection Using Second Order Information for
   Training Support Vector Machines", JMLR 6, 2005.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skgeo.cluster._compiled import compiled, inner

Array = npt.NDArray[Any]

#: Largest violation of the optimality conditions that is left.
TOLERANCE = 1e-4
#: A curvature below it counts as it: photos that are alike have none.
_TINY = 1e-12


@inner
def _select(kernel: Array, y: Array, alpha: Array, gradient: Array, most: Array) -> Any:
    """The most violating pair: (i, j), and by how much it violates."""
    n = len(y)
    i, up = -1, -np.inf
    for t in range(n):
        rises = alpha[t] < most[t] if y[t] > 0 else alpha[t] > 0.0
        value = -y[t] * gradient[t]
        if rises and value > up:
            i, up = t, value
    j, down, best = -1, np.inf, 0.0
    if i < 0:
        return -1, -1, 0.0
    for t in range(n):
        falls = alpha[t] > 0.0 if y[t] > 0 else alpha[t] < most[t]
        if not falls:
            continue
        value = -y[t] * gradient[t]
        down = min(down, value)
        gap = up - value
        if gap > 0.0:
            curvature = max(kernel[i, i] + kernel[t, t] - 2.0 * kernel[i, t], _TINY)
            gain = gap * gap / curvature
            if gain > best:
                j, best = t, gain
    return i, j, up - down


@inner
def _step(
    kernel: Array, y: Array, alpha: Array, gradient: Array, most: Array, i: int, j: int
) -> None:
    """Solve for two multipliers, the others fixed, within their box."""
    curvature = max(kernel[i, i] + kernel[j, j] - 2.0 * kernel[i, j], _TINY)
    old_i, old_j = alpha[i], alpha[j]
    # Along the line y_i a_i + y_j a_j = const: a_i moves by y_i s, a_j by -y_j s, s > 0.
    move = (y[j] * gradient[j] - y[i] * gradient[i]) / curvature
    room_i = most[i] - old_i if y[i] > 0 else old_i
    room_j = old_j if y[j] > 0 else most[j] - old_j
    # What reaches its bound is set to it, so that the bound is met exactly.
    if move >= room_i and room_i <= room_j:
        move = room_i
        alpha[i] = most[i] if y[i] > 0 else 0.0
        alpha[j] = min(max(old_j - y[j] * move, 0.0), most[j])
    elif move >= room_j:
        move = room_j
        alpha[j] = 0.0 if y[j] > 0 else most[j]
        alpha[i] = min(max(old_i + y[i] * move, 0.0), most[i])
    else:
        alpha[i] = old_i + y[i] * move
        alpha[j] = old_j - y[j] * move
    change_i, change_j = y[i] * (alpha[i] - old_i), y[j] * (alpha[j] - old_j)
    for t in range(len(y)):
        gradient[t] += y[t] * (kernel[t, i] * change_i + kernel[t, j] * change_j)


@inner
def _threshold(y: Array, alpha: Array, gradient: Array, most: Array) -> float:
    """Mean over the free multipliers, or the middle of what the others allow."""
    high, low, total, n_free = np.inf, -np.inf, 0.0, 0
    for t in range(len(y)):
        value = y[t] * gradient[t]
        if 0.0 < alpha[t] < most[t]:
            total += value
            n_free += 1
        elif (alpha[t] == 0.0) == (y[t] > 0):
            high = min(high, value)
        else:
            low = max(low, value)
    return total / n_free if n_free else (high + low) / 2.0


@compiled
def one_against_rest(
    kernel: Array,
    of_query: Array,
    classes: Array,
    penalty: float,
    balanced: bool,
    tolerance: float,
    values: Array,
) -> None:
    """Decision value of the query for each class; see `skgeo.neighbors._lazy_vote.margins`."""
    n = len(classes)
    y, most = np.empty(n), np.empty(n)
    for label in range(len(values)):
        n_inside = 0
        for t in range(n):
            y[t] = 1.0 if classes[t] == label else -1.0
            n_inside += classes[t] == label
        for t in range(n):
            size = n_inside if y[t] > 0 else n - n_inside
            most[t] = penalty * (n / (2.0 * size)) if balanced else penalty
        alpha, gradient = np.zeros(n), np.full(n, -1.0)
        for _ in range(max(100_000, 1000 * n)):
            i, j, violation = _select(kernel, y, alpha, gradient, most)
            if j < 0 or violation <= tolerance:
                break
            _step(kernel, y, alpha, gradient, most, i, j)
        value = -_threshold(y, alpha, gradient, most)
        for t in range(n):
            value += alpha[t] * y[t] * of_query[t]
        values[label] = value
