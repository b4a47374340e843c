"""The blocked search: what it keeps in mind, what it proves, and that blocks do not matter."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo.pairs import _search
from skgeo.pairs._points import Points, make_frame
from skgeo.pairs._search import block_side, direct_distances, masked_neighbors


def _everything(rows, columns):
    return np.ones((len(rows), len(columns)), dtype=bool)


def _points(X, **options):
    return Points(X, make_frame(X, **options), **options)


def test_direct_distances_do_not_depend_on_company(rng):
    X = rng.normal(size=(50, 333)).astype(np.float32)
    rows, columns = rng.integers(0, 50, 2000), rng.integers(0, 50, 2000)
    together = direct_distances(X, X, rows, columns)
    for i in range(0, 2000, 97):
        difference = X[rows[i]].astype(float) - X[columns[i]].astype(float)
        assert together[i] == np.sqrt((difference**2).sum())
        assert together[i] == direct_distances(X, X, rows[i : i + 1], columns[i : i + 1])[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_points_are_the_same_vectors(rng, dtype, offset):
    X = (offset + rng.normal(size=(60, 40))).astype(dtype)
    kept, unkept = _points(X), _points(X, working_memory=0.01)
    assert kept.frame.plain == (dtype == np.float32 and offset == 0.0)
    for ids in (np.arange(10, 30), np.array([3, 5, 50])):
        block = kept.take(ids)
        assert block.dtype == np.float32
        np.testing.assert_allclose(block, unkept.take(ids), rtol=1e-6, atol=1e-6)
        back = block / kept.frame.scale + kept.frame.mean
        np.testing.assert_allclose(back, X[ids], rtol=1e-6, atol=1e-5)
        np.testing.assert_allclose((block.astype(float) ** 2).sum(1), kept.norms[ids], rtol=1e-6)


def test_plain_points_are_not_copied(rng):
    X = rng.normal(size=(60, 40)).astype(np.float32)
    assert np.shares_memory(_points(X).take(np.arange(5, 9)), X)


def test_the_bounds_hold(rng, monkeypatch):
    """Between least and most lies the truth, also where single precision cancels."""
    seen = []
    add = _search._Pool.add

    def spy(self, least, allowed, columns):
        points = self.search.candidates
        low = least.astype(float) + self.common[:, None]
        high = low + self._slack(self.norms[:, None], points.norms[columns])
        for i, s in enumerate(self.ids):
            t = np.broadcast_to(s, len(columns))
            true = (direct_distances(points.X, points.X, t, columns) * points.frame.scale) ** 2
            seen.append(((low[i] <= true).all(), (true <= high[i]).all(), np.max(high[i] - low[i])))
        add(self, least, allowed, columns)

    monkeypatch.setattr(_search._Pool, "add", spy)
    X = rng.normal(size=(80, 500))
    X[40:] = X[:40] * (1 + 1e-7)
    for data in (X, 1e5 + X, X.astype(np.float32), (30 + X).astype(np.float32)):
        points = _points(data)
        masked_neighbors(points, points, [(5, _everything)])
    low, high, width = map(np.array, zip(*seen, strict=True))
    assert low.all()
    assert high.all()
    assert width.max() < 0.3  # in units where the largest norm is about 1, or 500 if plain


@pytest.mark.parametrize("working_memory", [None, 1.0, 0.001])
@pytest.mark.parametrize("n_jobs", [None, 2, 3])
def test_neither_blocks_nor_threads_change_a_bit(rng, working_memory, n_jobs):
    X = np.round(rng.normal(size=(150, 4)), 1)
    points = _points(X)

    def even(rows, columns):
        return (rows[:, None] + columns) % 2 == 0

    lists = [(4, _everything), (7, even)]
    expected = masked_neighbors(points, points, lists)
    again = masked_neighbors(points, points, lists, working_memory=working_memory, n_jobs=n_jobs)
    for a, b in zip(expected, again, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)


def test_some_rows_against_some_columns_of_other_points(rng):
    X, Y = rng.normal(size=(30, 3)), rng.normal(size=(90, 3))
    frame = make_frame(np.concatenate([X, Y]))
    rows, columns = np.array([2, 3, 11]), np.arange(5, 80, 3)
    (found,) = masked_neighbors(
        Points(X, frame), Points(Y, frame), [(6, _everything)], rows=rows, columns=columns
    )
    for i, s in enumerate(rows):
        distances = np.sqrt(((X[s] - Y[columns]) ** 2).sum(axis=1))
        expected = columns[np.lexsort((columns, distances))[:6]]
        assert found.indices[found.indptr[i] : found.indptr[i + 1]].tolist() == expected.tolist()


def test_no_rows_no_columns(rng):
    points = _points(rng.normal(size=(5, 3)))
    nothing = np.empty(0, dtype=np.int64)
    (found,) = masked_neighbors(points, points, [(2, _everything)], rows=nothing)
    assert found.indptr.tolist() == [0]
    (found,) = masked_neighbors(points, points, [(2, _everything)], columns=nothing)
    assert found.indptr.tolist() == [0] * 6


def test_masses_of_ties_are_settled_without_filling_the_memory(rng, monkeypatch):
    """Thousands of identical photos: few distances are computed, no pool grows beyond its cap."""
    largest = []
    tighten = _search._Pool._tighten

    def spy(self):
        tighten(self)
        largest.append(len(self.row) / self.capacity)

    monkeypatch.setattr(_search._Pool, "_tighten", spy)
    computed = []
    direct = _search.direct_distances

    def count(queries, candidates, rows, columns):
        computed.append(len(rows))
        return direct(queries, candidates, rows, columns)

    monkeypatch.setattr(_search, "direct_distances", count)
    X = rng.normal(size=(3, 5))[rng.integers(0, 3, 1500)]
    points = _points(X)
    (found,) = masked_neighbors(points, points, [(4, _everything)], working_memory=0.5)
    for s in range(1500):
        same = np.flatnonzero((X[s] == X).all(axis=1))[:4]
        assert found.indices[found.indptr[s] : found.indptr[s + 1]].tolist() == same.tolist()
    assert not found.distances.any()
    assert max(largest[1:]) > 0  # the spy saw something
    assert largest[-1] <= 1
    assert sum(computed) < 100 * 1500  # of 1500 * 1500


def test_blocks_keep_within_the_budget():
    for d in (1, 100, 3000):
        for budget in (2.0**20, 2.0**25, 2.0**30):
            side = block_side(d, budget)
            assert side == 16 or 24.0 * side**2 + 16.0 * side * d <= 1.01 * budget
    assert block_side(2971, 2.0**30) == 2048


def test_values_that_overflow_are_an_error():
    with pytest.raises(ValueError, match="overflow"):
        make_frame(np.array([[1e200], [-1e200]]))
    with pytest.raises(ValueError, match="overflow"):
        make_frame(np.array([[1e308], [-1e308]]))
