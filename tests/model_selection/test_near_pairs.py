"""Pairs by brute force: hashes, vectors, places; ties, copies, poles and the antimeridian."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from skgeo._geodesy import great_circle_km
from skgeo.model_selection import _near_pairs as near_pairs
from skgeo.model_selection import combine_groups
from skgeo.model_selection._components import linked_groups
from skgeo.model_selection._near_pairs import bits_of, near_hashes, near_places, near_vectors


def collect(blocks):
    found = [
        (int(i), int(j), float(d)) for a, b, c in blocks for i, j, d in zip(a, b, c, strict=True)
    ]
    assert len({pair[:2] for pair in found}) == len(found), "a pair came twice"
    return sorted(found)


def brute(a, b, distance, limit):
    within = b is None
    other = a if within else b
    return sorted(
        (i, j, float(distance(a[i], other[j])))
        for i in range(len(a))
        for j in range(len(other))
        if (i < j or not within) and distance(a[i], other[j]) <= limit
    )


def hashes(rng, n):
    """Random ones, exact copies, and copies with any number of flipped bits anywhere."""
    values = rng.integers(0, 2**64, n, dtype=np.uint64)
    values[n // 3 : n // 2] = values[: n // 2 - n // 3]
    for row in range(n // 2, n):
        flip = rng.choice(64, rng.integers(0, 20), replace=False)
        values[row] = values[row - n // 2] ^ np.bitwise_or.reduce(
            np.uint64(1) << flip.astype(np.uint64), initial=np.uint64(0)
        )
    values[:2] = 0, np.iinfo(np.uint64).max
    return values


def hamming(x, y):
    return int(x ^ y).bit_count()


@pytest.mark.parametrize("limit", [0, 1, 3, 4, 7, 8, 11, 15])
@pytest.mark.parametrize("block", [7, 1 << 19])
def test_hashes_by_brute_force(rng, monkeypatch, limit, block):
    monkeypatch.setattr(near_pairs, "_BLOCK", block)
    a, b = hashes(rng, 60), hashes(rng, 45)
    b[:20] = a[20:40]
    assert collect(near_hashes(a, None, limit)) == brute(a, None, hamming, limit)
    assert collect(near_hashes(a, b, limit)) == brute(a, b, hamming, limit)


def test_bits_without_numpys_function(rng, monkeypatch):
    values = hashes(rng, 50)
    expected = [int(v).bit_count() for v in values]
    assert bits_of(values).tolist() == expected
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert bits_of(values).tolist() == expected


def euclidean(x, y):
    return np.sqrt(((np.float64(x) - np.float64(y)) ** 2).sum())


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("d", [1, 3, 40])
@pytest.mark.parametrize("limit", [0.0, 0.25, 1.0, 50.0])
def test_vectors_by_brute_force(rng, monkeypatch, dtype, d, limit):
    monkeypatch.setattr(near_pairs, "_BLOCK", 97)
    monkeypatch.setattr(near_pairs, "_NUMBERS", 111)
    a = (rng.integers(0, 4, (50, d)) / 4).astype(dtype)  # many ties, exactly at the limit
    a[10:20] = a[:10]
    b = np.vstack([a[:15], rng.normal(size=(20, d)).astype(dtype)])
    for other in (None, b):
        expected = brute(a, other, euclidean, limit)
        found = collect(near_vectors(a, other, limit))
        assert [p[:2] for p in found] == [p[:2] for p in expected]
        np.testing.assert_allclose([p[2] for p in found], [p[2] for p in expected], rtol=1e-12)


def test_vectors_far_from_the_origin_and_equal(rng):
    a = 1e6 + rng.normal(size=(30, 5)) * 1e-3
    a[7] = a[3]
    assert [p[:2] for p in collect(near_vectors(a, None, 0.0))] == [(3, 7)]
    expected = [p[:2] for p in brute(a, None, euclidean, 1e-3)]
    assert [p[:2] for p in collect(near_vectors(a, None, 1e-3))] == expected
    same = np.ones((6, 3))
    assert len(collect(near_vectors(same, None, 0.0))) == 15
    assert collect(near_vectors(same[:1], None, 5.0)) == []
    assert len(collect(near_vectors(same[:1], same[:2], 0.0))) == 2


@pytest.mark.parametrize("km", [0.0, 0.01, 0.5, 400.0, 20_100.0])
def test_places_by_brute_force(rng, km):
    centres = np.array([[37.8, -122.4], [-17.0, 180.0], [90.0, 10.0], [-89.999, -50.0]])
    y = centres[rng.integers(0, 4, 60)] + rng.normal(0, 0.003, (60, 2))
    y[:, 1] = (y[:, 1] + 180.0) % 360.0 - 180.0
    y = np.clip(y, [-90, -180], [90, 180])
    y[40:45] = y[:5]
    y[50:54] = [[0, 180], [0, -180], [90, 0], [90, 99]]
    for other in (None, y[30:]):
        expected = brute(y, other, lambda p, q: great_circle_km(p, q), km)
        assert collect(near_places(y, other, km)) == expected


def test_memory_is_bounded_when_everything_is_a_pair(monkeypatch):
    monkeypatch.setattr(near_pairs, "_BLOCK", 1 << 14)
    monkeypatch.setattr("skgeo.model_selection._components._PAIRS", 1 << 14)
    n = 1500
    same = np.zeros((n, 4), dtype=np.float32)
    tracemalloc.start()
    labels = linked_groups(n, ((i, j) for i, j, _ in near_vectors(same, None, 0.0)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert labels.max() == 0
    assert peak < 8 * 2**20  # the pairs alone would take 26 MiB


def slow_groups(n, pairs):
    label = list(range(n))
    for i, j in pairs:
        old, new = max(label[i], label[j]), min(label[i], label[j])
        label = [new if x == old else x for x in label]
    names = {}
    return [names.setdefault(x, len(names)) for x in label]


@pytest.mark.parametrize("held", [3, 1 << 20])
def test_linked_groups_by_relabelling(rng, monkeypatch, held):
    monkeypatch.setattr("skgeo.model_selection._components._PAIRS", held)
    for m in (0, 5, 20, 60):
        i, j = rng.integers(0, 40, (2, m))
        blocks = [(i[s : s + 4], j[s : s + 4]) for s in range(0, m, 4)]
        assert linked_groups(40, blocks).tolist() == slow_groups(40, zip(i, j, strict=True))


def test_combined_groups_by_relabelling(rng):
    authors = np.array(list("abcdefghijklmnopqrstuvwxyz"))[rng.integers(0, 26, 50)]
    other = rng.integers(0, 30, 50)
    pairs = [
        (i, j)
        for i in range(50)
        for j in range(i)
        if authors[i] == authors[j] or other[i] == other[j]
    ]
    assert combine_groups(authors, other).tolist() == slow_groups(50, pairs)
    alone = combine_groups(authors)
    assert alone.tolist() == slow_groups(50, [p for p in pairs if authors[p[0]] == authors[p[1]]])


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ((), "at least one"),
        (([1, 2], [1]), r"Argument 1: groups has shape \(1,\)"),
        ((["a", None],), r"Argument 0: groups\[1\] is None"),
        (([[1], [2]],), r"Argument 0: groups has shape \(2, 1\)"),
        ((3,), "Argument 0"),
    ],
)
def test_combine_bad_input(groups, message):
    with pytest.raises(ValueError, match=message):
        combine_groups(*groups)
