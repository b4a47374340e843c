"""Collections at the edge of what exists, through every method, at once and in batches."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo.cluster import POIMeanShift
from skgeo.pairs import InconsistencyPairs

(_METHODS,) = InconsistencyPairs._parameter_constraints["method"]
METHODS = sorted(_METHODS.options - {"auto"})

PARIS, VEGAS = [48.858, 2.294], [36.112, -115.173]


def collections():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(24, 3))
    everywhere = rng.uniform([-90, -180], [90, 180], (24, 2))
    yield "one photo", X[:1], np.array([PARIS])
    yield "two photos of one place", X[:2], np.array([PARIS, PARIS])
    yield "two photos of two places", X[:2], np.array([PARIS, VEGAS])
    yield "one POI", X, PARIS + 1e-5 * rng.normal(size=(24, 2))
    yield "all at one position", X, np.tile(PARIS, (24, 1))
    yield "POIs of one photo", X, everywhere
    yield "one photo apart from the others", X, np.array([PARIS] * 23 + [VEGAS])
    yield "copies in one place", np.tile(X[:1], (24, 1)), np.tile(PARIS, (24, 1))
    yield "copies everywhere", np.tile(X[:1], (24, 1)), everywhere
    yield "copies in two places", np.tile(X[:4], (6, 1)), np.array([PARIS, VEGAS] * 12)
    yield "poles and antimeridian", X, np.array([[90.0, 0.0], [-90.0, 0.0], [0.0, 180.0]] * 8)
    yield "one column", X[:, :1], everywhere
    yield "no difference in any column", np.zeros((24, 3)), everywhere


def check_rows(pairs, X, labels, k1, k2):
    """What holds whatever the method: true pairs, true distances, nearest first."""
    n = len(X)
    for name, k in (("same_area_", k1), ("easy_confusing_", k2)):
        matrix, distances = getattr(pairs, name), getattr(pairs, name + "distances_")
        assert matrix.shape == (n, n)
        assert matrix.nnz == len(distances)
        for s in range(n):
            row = slice(matrix.indptr[s], matrix.indptr[s + 1])
            ids = matrix.indices[row]
            assert len(ids) <= k
            assert s not in ids
            assert len(set(ids)) == len(ids)
            assert ((labels[ids] == labels[s]) == (name == "same_area_")).all()
            true = np.sqrt(((X[ids] - X[s]) ** 2).sum(axis=1))
            np.testing.assert_array_equal(distances[row], true)
            order = np.lexsort((ids, distances[row]))
            np.testing.assert_array_equal(order, np.arange(len(ids)))


@pytest.mark.parametrize("metric", ["euclidean", "haversine"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_at_the_edges(method, metric, slow_pairs):
    poi = POIMeanShift(0.005 if metric == "euclidean" else 0.5, metric=metric)
    for name, X, places in collections():
        pairs = InconsistencyPairs(4, 3, method=method, poi=poi, random_state=0).fit(X, places)
        labels = poi.fit(places).labels_
        np.testing.assert_array_equal(pairs.labels_, labels, err_msg=name)
        check_rows(pairs, X, labels, 4, 3)
        same, other = slow_pairs(X, labels, 4, 3)
        # P is exact in all of them.
        assert np.concatenate([ids for ids, _ in same]).tolist() == list(pairs.same_area_.indices)
        if pairs.method_ == "exact":
            assert list(pairs.easy_confusing_.indices) == [t for ids, _ in other for t in ids], name
        # Where there is a photo outside at all, something easy to confuse is found.
        for s, (ids, _) in enumerate(other):
            found = pairs.easy_confusing_.indptr[s + 1] - pairs.easy_confusing_.indptr[s]
            assert (found > 0) == (len(ids) > 0), name
        table = pairs.explain(np.arange(len(X)))
        assert len(table) == pairs.same_area_.nnz + pairs.easy_confusing_.nnz


@pytest.mark.parametrize("method", METHODS)
def test_every_method_grows_at_the_edges(method, slow_pairs):
    for name, X, places in collections():
        pairs = InconsistencyPairs(4, 3, method=method, random_state=0)
        for cut in (slice(0, 1), slice(1, 2), slice(2, 11), slice(11, None)):
            if len(X[cut]):
                pairs.partial_fit(X[cut], places[cut])
        check_rows(pairs, X, pairs.labels_, 4, 3)
        # Each photo came after the first, whose row was empty: all is exact.
        same, other = slow_pairs(X, pairs.labels_, 4, 3)
        assert list(pairs.same_area_.indices) == [t for ids, _ in same for t in ids], name
        assert list(pairs.easy_confusing_.indices) == [t for ids, _ in other for t in ids], name


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_everywhere(method, bad):
    X, places = np.ones((5, 2)), np.array([PARIS] * 3 + [VEGAS] * 2)
    pairs = InconsistencyPairs(method=method).fit(X, places)
    spoilt = X.copy()
    spoilt[3, 1] = bad
    elsewhere = places.copy()
    elsewhere[2, 0] = bad
    for call in (InconsistencyPairs(method=method).fit, pairs.partial_fit):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            call(spoilt, places)
        with pytest.raises(ValueError, match="row 2"):
            call(X, elsewhere)
        with pytest.raises(ValueError, match="label of row 1"):
            call(X, np.array([0.0, bad, 1.0, 2.0, 3.0]))
