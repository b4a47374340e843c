"""The machines of the lazy learner against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.svm import SVC

from skgeo.neighbors._lazy_vote import Machine, kernels, margins


def make(kind, rng, n=60):
    classes = rng.integers(-1, 4, size=n)
    classes[:5] = [0, 1, 2, 3, -1]
    points = rng.normal(size=(5, 6))[classes + 1] + rng.normal(0, 0.8, (n, 6))
    if kind == "duplicates":  # of one class, and of two classes: no hyperplane tells them apart
        points[10:30] = points[10]
    elif kind == "all alike":
        points[:] = 1.0
    elif kind == "one of each":
        classes = np.full(n, -1)
        classes[:4] = [0, 1, 2, 3]
    elif kind == "two photos":
        return points[:2], np.array([0, 1]), points[0]
    return points, classes, points[3] + rng.normal(0, 0.3, 6)


KINDS = ["random", "duplicates", "all alike", "one of each", "two photos"]


@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("class_weight", ["balanced", None])
@pytest.mark.parametrize("kind", KINDS)
def test_margins_are_those_of_scikit_learn(kind, class_weight, C, rng):
    points, classes, query = make(kind, rng)
    kernel, of_query = kernels(query, points, "scale")
    found = margins(kernel, of_query, classes, Machine(C, "scale", class_weight))
    assert len(found) == classes.max() + 1
    for label, value in enumerate(found):
        peer = SVC(C=C, kernel="precomputed", class_weight=class_weight, tol=1e-6)
        peer.fit(kernel, classes == label)
        if kind == "all alike" or (kind == "one of each" and class_weight is None and C < 1):
            # Any threshold in a range is optimal; the sum over the support vectors is not free.
            assert np.isfinite(value)
            continue
        assert value == pytest.approx(peer.decision_function(of_query[None])[0], abs=2e-3)


def test_same_bits_again(rng):
    points, classes, query = make("random", rng)
    machine = Machine(1.0, "scale", "balanced")
    first = margins(*kernels(query, points, "scale"), classes, machine)
    np.testing.assert_array_equal(
        margins(*kernels(query, points, "scale"), classes, machine), first
    )
