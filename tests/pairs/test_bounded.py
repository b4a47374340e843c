"""The search by lower bounds: bounds hold, and every plan gives what comparing all pairs gives."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo.pairs import _bounded, _tiles
from skgeo.pairs._bounded import ALL_COLUMNS, Plan, exact_neighbors, squared_limits
from skgeo.pairs._points import Points, make_frame
from skgeo.pairs._projection import Projection, make_sketch
from skgeo.pairs._search import direct_distances, masked_neighbors
from skgeo.pairs._tiles import allowed_pairs


def _cases() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    random = rng.normal(size=(110, 8))
    falling = np.cumsum(rng.normal(size=(400, 40)), axis=1)
    return {
        "random": random,
        "falling spectrum": falling,
        "falling spectrum, single precision": falling.astype(np.float32),
        "duplicates": falling[rng.integers(0, 100, 400)],
        "few different": falling[rng.integers(0, 3, 400)],
        "all the same": np.ones((90, 3), dtype=np.float32),
        "near duplicates": np.repeat(falling[:50], 4, axis=0) + 1e-9 * rng.normal(size=(200, 40)),
        "ties": rng.integers(0, 3, size=(150, 5)).astype(float),
        "one column": rng.normal(size=(110, 1)),
        "constant columns": np.concatenate([np.full((110, 5), 7.0), random], axis=1),
        "far from the origin": (1000 + 1e-3 * random).astype(np.float32),
        "far from the origin, double": 1e8 + falling,
        "huge": 1e150 * random,
        "huge, single precision": (1e25 * random).astype(np.float32),
        "tiny": 1e-150 * random,
        "one outlier": np.concatenate([random, [[1e15] * 8]]),
    }


PLANS = {"all columns": ALL_COLUMNS, "one level": Plan(2, 2, 2), "three levels": Plan(3, 1, 6)}


def _fit(plan: Plan, d: int) -> Plan:
    return Plan(*(min(p, d) for p in plan))


def _same(expected, found) -> None:
    for left, right in zip(expected, found, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", _cases())
def test_every_plan_finds_the_same(name, plan, monkeypatch):
    X = _cases()[name]
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, len(X))
    places = rng.uniform([-80, -180], [80, 180], size=(len(X), 2))
    points = Points(X, make_frame(X))
    for min_distance_km in (0.0, 3000.0):
        allowed = allowed_pairs(labels, labels, places, places, min_distance_km)
        (expected,) = masked_neighbors(points, points, [(5, allowed.block)])
        options = {"plan": _fit(PLANS[plan], X.shape[1])}
        _same(expected, exact_neighbors(points, points, 5, allowed, **options))
        with monkeypatch.context() as patch:
            patch.setattr(_tiles, "SIDE", 32)
            patch.setattr(_bounded, "SIDE", 32)
            found = exact_neighbors(
                points, points, 5, allowed, n_jobs=2, working_memory=0.01, **options
            )
        _same(expected, found)


@pytest.mark.parametrize("plan", PLANS)
def test_queries_of_their_own_and_parts_of_both(rng, plan):
    X, Y = rng.normal(size=(60, 9)), rng.normal(size=(200, 9))
    frame = make_frame(X, Y)
    queries, candidates = Points(X, frame), Points(Y, frame)
    nobody = allowed_pairs(np.full(60, -1), np.zeros(200))
    rows, columns = np.array([2, 3, 11, 59]), np.arange(5, 180, 3)
    for parts in ({}, {"rows": rows, "columns": columns}):
        (expected,) = masked_neighbors(queries, candidates, [(6, nobody.block)], **parts)
        found = exact_neighbors(queries, candidates, 6, nobody, plan=PLANS[plan], **parts)
        _same(expected, found)


@pytest.mark.parametrize("plan", PLANS)
def test_more_neighbors_than_there_are(rng, plan):
    points = Points(X := rng.normal(size=(40, 9)), make_frame(X))
    labels = np.repeat([0, 1], [35, 5])
    allowed = allowed_pairs(labels, labels)
    found = exact_neighbors(points, points, 30, allowed, plan=PLANS[plan])
    assert np.diff(found.indptr).tolist() == [5] * 35 + [30] * 5
    (expected,) = masked_neighbors(points, points, [(30, allowed.block)])
    _same(expected, found)


@pytest.mark.parametrize("name", _cases())
def test_bounds_hold(name):
    """In single precision, with duplicates, and far from the origin: never above the truth."""
    X = _cases()[name]
    n, d = X.shape
    points = Points(X, make_frame(X))
    levels = sorted({1, min(3, d), d})
    sketch = make_sketch(points, Projection(points, d), levels)
    i, j = np.divmod(np.arange(n * n), n)
    true = (direct_distances(X, X, i, j) * points.frame.scale) ** 2
    for short in sketch.values():
        bound = short.norms[:, None] + short.norms - 2.0 * (short.columns @ short.columns.T)
        assert (bound.ravel() <= true).all()
    # With all directions nothing is left: the bound is the distance, but for rounding.
    slack = 2e-4 * (points.norms.max() if not points.frame.plain else short.norms.max())
    np.testing.assert_allclose(bound.ravel(), true, atol=max(slack, 1e-28) * 40)


def test_bounds_close_with_more_directions(rng):
    X = np.cumsum(rng.normal(size=(300, 50)), axis=1)
    points = Points(X, make_frame(X))
    sketch = make_sketch(points, Projection(points, 32), (1, 4, 32))
    totals = [
        (s.norms[:, None] + s.norms - 2.0 * (s.columns @ s.columns.T)).sum()
        for s in sketch.values()
    ]
    assert totals == sorted(totals)
    assert totals[1] > 1.05 * totals[0]


def test_limits_are_not_below_the_distances(rng):
    points = Points(X := rng.normal(size=(50, 4)), make_frame(X))
    labels = np.arange(50)
    (found,) = masked_neighbors(points, points, [(3, allowed_pairs(labels, labels).block)])
    limits = squared_limits(found, 3, 0.5)
    assert limits.dtype == np.float32
    assert (limits >= (0.5 * found.distances[2::3]) ** 2).all()
    assert np.isinf(squared_limits(found, 4, 1.0)).all()


def test_a_tournament_is_everyone_against_everyone():
    for n in (1, 2, 3, 8, 9):
        rounds = list(_tiles.tournament(n))
        games = [game for games in rounds for game in games]
        assert sorted(games) == [(i, j) for i in range(n) for j in range(i, n)]
        for games in rounds[1:]:
            players = [p for game in games for p in game]
            assert len(set(players)) == len(players)


def _planned(X: np.ndarray) -> Plan:
    points = Points(X, make_frame(X))
    n = len(X)
    problem = _bounded.Problem(
        points,
        points,
        10,
        allowed_pairs(np.arange(n), np.arange(n)),
        np.arange(n),
        np.arange(n),
        True,
    )
    return _bounded.choose_plan(problem, Projection(points, 512), 2.0**30)


def test_the_plan_follows_the_spectrum(rng):
    """Where the spectrum falls few columns do; where it is flat all are needed."""
    flat = rng.normal(size=(3000, 700)).astype(np.float32)
    assert _planned(flat) == ALL_COLUMNS
    falling = flat @ np.diag(0.97 ** np.arange(700)).astype(np.float32)
    assert 0 < _planned(falling).pairs <= 128
    assert _planned(flat[:, :30]) == ALL_COLUMNS
