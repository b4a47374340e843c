"""The plain form of the pairs, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from skgeo._geodesy import great_circle_km
from skgeo.pairs import NeighborRows

Rows = list[tuple[list[int], list[float]]]


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    difference = a.astype(np.float64) - b.astype(np.float64)
    return float(np.sqrt((difference * difference).sum()))


def _slow_pairs(
    X: np.ndarray,
    labels: np.ndarray,
    k1: int,
    k2: int,
    coordinates: np.ndarray | None = None,
    min_distance_km: float = 0.0,
) -> tuple[Rows, Rows]:
    """P and Q one photo and one distance at a time."""
    same, other = [], []
    for s in range(len(X)):
        distances = [_distance(X[s], X[t]) for t in range(len(X))]
        inside, outside = [], []
        for t in range(len(X)):
            if labels[t] == labels[s]:
                if t != s:
                    inside.append(t)
            elif (
                min_distance_km == 0.0
                or great_circle_km(coordinates[s], coordinates[t]) >= min_distance_km
            ):
                outside.append(t)
        for rows, ids, k in ((same, inside, k1), (other, outside, k2)):
            best = sorted(ids, key=lambda t: (distances[t], t))[:k]
            rows.append((best, [distances[t] for t in best]))
    return same, other


def _assert_rows_equal(found: NeighborRows, expected: Rows) -> None:
    assert len(found.indptr) == len(expected) + 1
    for s, (ids, distances) in enumerate(expected):
        row = slice(found.indptr[s], found.indptr[s + 1])
        assert found.indices[row].tolist() == ids, f"row {s}"
        # Bit for bit: only so ties are ties.
        assert found.distances[row].tolist() == distances, f"row {s}"


@pytest.fixture(scope="session")
def slow_pairs() -> Callable[..., tuple[Rows, Rows]]:
    return _slow_pairs


@pytest.fixture(scope="session")
def assert_rows_equal() -> Callable[[NeighborRows, Rows], None]:
    return _assert_rows_equal


@pytest.fixture
def photos(rng):
    """Features of 120 photos in 9 areas, and where they are."""
    labels = rng.integers(0, 9, 120)
    centers = rng.uniform([-60, -180], [60, 180], size=(9, 2))
    coordinates = centers[labels] + 0.0005 * rng.normal(size=(120, 2))
    X = rng.normal(size=(9, 6))[labels] + rng.normal(size=(120, 6))
    return X, labels, coordinates
