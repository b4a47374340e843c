"""The choice of the linear map by held-out places, against a loop over photos and pairs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp

from skgeo._geodesy import great_circle_km
from skgeo.embedding import _held_out_places
from skgeo.embedding._extent import extent_of_places
from skgeo.embedding._linear_map import LinearProblem, sum_of_touching
from skgeo.embedding._map_choice import MapChoice, choose_map
from skgeo.embedding._scatter import pair_sum
from skgeo.embedding._soft_scatter import Places, soft_scatters
from skgeo.embedding._split import parts_by_place, parts_within_areas
from skgeo.pairs import InconsistencyPairs


@pytest.fixture
def collection(rng):
    """Centred vectors of 20 places, some at the antimeridian and the pole; P and Q."""
    centres = np.stack([np.linspace(-70, 88, 20), np.linspace(100, 260, 20)], 1)
    labels = rng.integers(20, size=160)
    labels[:20] = np.arange(20)  # numbered as they come
    y = centres[labels] + 0.02 * rng.normal(size=(160, 2))
    y[:, 1] = (y[:, 1] + 180) % 360 - 180
    X = rng.normal(size=(20, 6))[labels] + rng.normal(size=(160, 6)) * [3, 1, 1, 0.3, 1, 1]
    X -= X.mean(axis=0)
    pairs = InconsistencyPairs(3, 8).fit(X, labels)
    return X, y, labels, (pairs.same_area_, pairs.easy_confusing_)


@pytest.mark.parametrize("n_touched", [0, 1, 30, 160])
def test_pairs_that_touch_some_rows(collection, n_touched):
    X, _, _, graphs = collection
    rows = np.zeros(160, dtype=bool)
    rows[np.random.default_rng(n_touched).permutation(160)[:n_touched]] = True
    for graph in graphs:
        expected, n = np.zeros((6, 6)), 0
        for s, t in zip(*graph.nonzero(), strict=True):
            if rows[s] or rows[t]:
                expected += np.outer(X[s] - X[t], X[s] - X[t])
                n += 1
        total, n_pairs = sum_of_touching(X, sp.csr_array(graph), rows)
        assert n_pairs == n
        np.testing.assert_allclose(total, expected, atol=1e-9)


def problem_of(X, y, labels, graphs, **more):
    sums = tuple(pair_sum(X, graph) for graph in graphs)
    options = {"shrinkage": 0.3, "temperature": 0.2, **more}
    return LinearProblem(X, graphs, sums, labels, y, **options)


def slow_scores(X, y, labels, graphs, choice, parts, shrinkage, n_components, power):
    """Score and place of every photo held out, one pair and one photo at a time."""
    scores, places = [], []
    if y is not None:
        extent = extent_of_places(y, labels, None)
    for part, (kept, held_out) in enumerate(parts):
        scatters = []
        for graph in graphs:
            scatter = np.zeros((X.shape[1],) * 2)
            for s, t in zip(*graph.nonzero(), strict=True):
                if s in kept and t in kept:
                    scatter += np.outer(X[s] - X[t], X[s] - X[t])
            scatters.append(scatter)

        def solve(same, other):
            same, other = (s * len(s) / np.trace(s) for s in (same, other))
            inner = (1 - shrinkage) * same + shrinkage * np.eye(len(same))
            values, axes = scipy.linalg.eigh(other, inner)
            return values[::-1], axes[:, ::-1]

        if choice.weighting == "softmax":
            values, axes = solve(scatters[0], np.cov(X[kept].T))
            z = X[kept] @ axes * values**0.75
            z /= np.linalg.norm(z, axis=1, keepdims=True)
            there = Places(labels[kept], None if y is None else y[kept])
            scatters = soft_scatters(X[kept], z, there, 0.2)
        values, axes = solve(*scatters)
        z = X @ axes[:, :n_components] * values[:n_components] ** choice.exponent
        z /= np.linalg.norm(z, axis=1, keepdims=True) ** power
        for query in held_out:
            distances = np.square(z - z[query]).sum(axis=1)
            distances[query] = np.inf
            if y is not None:
                distances[great_circle_km(y[query], y) < extent] = np.inf
            found = distances.argmin()
            places.append((part, labels[query]))
            if y is not None:
                km = great_circle_km(y[query], y[found])
                scores.append(-np.log(np.clip(km / max(extent, 0.05), 1, 8)))
            else:
                scores.append(float(labels[found] == labels[query]))
    return np.array(scores), places


CHOICES = [
    MapChoice("softmax", 0.75),
    MapChoice("softmax", 1.5),
    MapChoice("uniform", 0.5),
    MapChoice("uniform", 1.5),
]


@pytest.mark.parametrize(
    ("located", "shrinkage", "n_components", "power"),
    [(True, 0.3, None, 1.0), (True, 0.5, 4, 0.0), (False, 0.3, None, 0.5), (False, 0.1, 2, 1.0)],
)
def test_the_choice_is_the_definition(
    collection, monkeypatch, located, shrinkage, n_components, power
):
    X, y, labels, graphs = collection
    y = y if located else None
    # The extent is a median of pairs drawn at random: give both sides the same.
    monkeypatch.setattr(_held_out_places, "extent_of_places", lambda *_: 2.0)
    monkeypatch.setitem(globals(), "extent_of_places", lambda *_: 2.0)
    divide = parts_by_place if located else parts_within_areas
    parts = divide(labels, 10, 0.1, np.random.default_rng(0))
    problem = problem_of(X, y, labels, graphs, shrinkage=shrinkage)
    chosen, candidates = choose_map(problem, CHOICES, n_components=n_components, power=power)
    assert [c[:2] for c in candidates] == [c[:2] for c in CHOICES]
    first = None
    for candidate in candidates:
        scores, places = slow_scores(
            X, y, labels, graphs, candidate, parts, shrinkage, n_components, power
        )
        first = scores if first is None else first
        assert candidate.score == pytest.approx(scores.mean())
        assert candidate.gain == pytest.approx((scores - first).mean(), abs=1e-12)
        # A sum of each place, as of draws that are independent.
        gain = scores - first - (scores - first).mean()
        sums_of = {}
        for place, value in zip(places, gain, strict=True):
            sums_of[place] = sums_of.get(place, 0.0) + value
        k = len(sums_of)
        variance = sum(v**2 for v in sums_of.values()) * k / (k - 1)
        assert candidate.standard_error == pytest.approx(np.sqrt(variance) / len(gain), abs=1e-12)
    best = max(candidates, key=lambda c: c.gain)
    assert chosen == (best if best.gain > best.standard_error else candidates[0])


def test_places_held_out_leave_no_trace(collection):
    """What photos look like does not reach the map that they are held out of."""
    X, y, labels, graphs = collection
    rows = np.arange(30)
    changed = X.copy()
    changed[rows] += 100
    before, after = (problem_of(each, y, labels, graphs).without(rows) for each in (X, changed))
    for weighting in ("softmax", "uniform"):
        for a, b in zip(before.axes(weighting), after.axes(weighting), strict=True):
            np.testing.assert_allclose(a @ a.T, b @ b.T, rtol=1e-5, atol=1e-6)
    there = before.graphs[0].shape[0]
    assert (len(before.X), len(before.labels), len(before.coordinates), there) == (
        130,
        130,
        130,
        160,
    )


def test_names_of_places_do_not_matter(collection):
    X, y, labels, graphs = collection
    renamed = np.random.default_rng(1).permutation(20)[labels]
    for where in (y, None):
        first, second = (
            choose_map(problem_of(X, where, each, graphs), CHOICES, n_components=None, power=1.0)
            for each in (labels, renamed)
        )
        np.testing.assert_allclose(
            [c[1:] for c in first[1]], [c[1:] for c in second[1]], rtol=1e-6, atol=1e-9
        )


def test_what_stands_out_is_taken(rng):
    """A faint but reliable axis tells two sides apart that look the same: some maps keep it."""
    labels = np.repeat(np.arange(40), 8)
    side = np.where(labels < 20, -1.0, 1.0)
    y = np.stack([side * 30 + labels % 20, np.zeros(320)], 1)
    X = np.column_stack([side + 0.1 * rng.normal(size=320), rng.normal(size=(320, 12))])
    angle = np.pi * labels / 10
    X[:, 1:3] = 3 * np.stack([np.sin(angle), np.cos(angle)], 1) + 0.3 * rng.normal(size=(320, 2))
    X -= X.mean(axis=0)
    pairs = InconsistencyPairs(3, 8).fit(X, labels)
    problem = problem_of(X, y, labels, (pairs.same_area_, pairs.easy_confusing_))
    worse, better = MapChoice("softmax", 0.75), MapChoice("uniform", 1.0)
    chosen, _ = choose_map(problem, [worse, better], n_components=None, power=1.0)
    assert chosen.weighting == "uniform"
    assert chosen.gain > 2 * chosen.standard_error
    chosen, candidates = choose_map(problem, [better, worse], n_components=None, power=1.0)
    assert chosen is candidates[0]
    assert candidates[1].gain < 0


@pytest.mark.parametrize("located", [True, False])
def test_no_part_that_could_be_spared(rng, located):
    """All P are of one place: without it there is nothing to fit."""
    labels = np.r_[np.zeros(60, dtype=int), 1 + np.arange(60)]
    X = rng.normal(size=(120, 5))
    X -= X.mean(axis=0)
    y = np.stack([labels * 0.1, labels * 0.1], 1)
    pairs = InconsistencyPairs(3, 8).fit(X, labels)
    graphs = pairs.same_area_, pairs.easy_confusing_
    problem = problem_of(X, y if located else None, labels, graphs)
    chosen, candidates = choose_map(problem, CHOICES, n_components=None, power=1.0)
    assert chosen in candidates
    assert problem.without(np.arange(60)) is None
    assert np.isfinite(chosen.score)


def test_nothing_to_choose_from_or_by(collection):
    X, y, labels, graphs = collection
    problem = problem_of(X, y, labels, graphs)
    only = MapChoice("softmax", 0.3)
    assert choose_map(problem, [only], n_components=None, power=1.0) == (only, [only])
    problem = problem._replace(labels=np.zeros(160, dtype=int))
    chosen, candidates = choose_map(problem, CHOICES, n_components=None, power=1.0)
    assert chosen is candidates[0]
    assert np.isnan(chosen.score)


@pytest.mark.parametrize("sizes", [[1] * 30, [2] * 15, [1, 2, 50, 7], [100, 100]])
def test_parts_within_areas(sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    parts = parts_within_areas(labels, 10, 0.1, np.random.default_rng(0))
    assert len(parts) == (10 if min(sizes) > 1 and sum(sizes) >= 10 else len(parts))
    held = np.concatenate([held_out for _, held_out in parts] or [np.arange(0)])
    assert len(np.unique(held)) == len(held)
    # Rows of areas that have but one are never held out; all others are once.
    np.testing.assert_array_equal(
        np.sort(held), np.flatnonzero(np.isin(labels, np.flatnonzero(np.array(sizes) > 1)))
    )
    for kept, held_out in parts:
        np.testing.assert_array_equal(np.sort(np.r_[kept, held_out]), np.arange(len(labels)))
        assert set(labels[kept]) == set(labels)
    few = parts_within_areas(labels, 2, 0.1, np.random.default_rng(0))
    assert len(few) <= 2
    for a, b in zip(few, parts, strict=False):
        np.testing.assert_array_equal(a[1], b[1])
