"""A graph that grows is the graph of all photos, to the bit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from skgeo.pairs import NeighborRows, PairGraph, anchor_pairs, exact_pairs
from skgeo.pairs._extend import extend_pairs
from skgeo.pairs._graph import merge_rows


def assert_same(found, expected):
    for name in ("same_area", "easy_confusing"):
        for field in NeighborRows._fields:
            left, right = (
                getattr(getattr(found, name), field),
                getattr(getattr(expected, name), field),
            )
            np.testing.assert_array_equal(left, right, err_msg=f"{name}.{field}")


def grow(X, labels, cuts, k1, k2, *, coordinates=None, min_distance_km=0.0, **options):
    """The graph of all photos, from that of the first by batches."""
    ends = [*cuts, len(X)]

    def places(n):
        return None if coordinates is None else coordinates[:n]

    graph = exact_pairs(
        X[: ends[0]],
        labels[: ends[0]],
        k1,
        k2,
        coordinates=places(ends[0]),
        min_distance_km=min_distance_km,
    )
    blocks = [X[: ends[0]]]
    for begin, end in pairwise(ends):
        graph = extend_pairs(
            graph,
            blocks,
            X[begin:end],
            labels[:end],
            k1,
            k2,
            coordinates=places(end),
            min_distance_km=min_distance_km,
            **options,
        )
        blocks.append(X[begin:end])
    return graph


def kinds(rng):
    """Photos that are random, tied, duplicated, all alike, of extreme size."""
    labels = rng.integers(0, 7, 90)
    yield "random", rng.normal(size=(90, 12)), labels
    yield "single precision", rng.normal(size=(90, 12)).astype(np.float32), labels
    yield "far from the origin", 1e6 + rng.normal(size=(90, 3)).astype(np.float32), labels
    yield "tied", rng.integers(0, 2, size=(90, 4)).astype(float), labels
    yield "duplicated", np.tile(rng.normal(size=(9, 5)), (10, 1)), labels
    yield "all alike", np.ones((90, 3)), labels
    yield "huge", 1e150 * rng.normal(size=(90, 3)), labels
    yield "tiny", 1e-150 * rng.normal(size=(90, 3)), labels
    yield "one area", rng.normal(size=(90, 3)), np.zeros(90, dtype=int)
    yield "areas of one photo", rng.normal(size=(90, 3)), np.arange(90)
    yield "one area, then another", rng.normal(size=(90, 3)), (np.arange(90) >= 60).astype(int)
    yield "one large area", rng.normal(size=(90, 3)), np.where(np.arange(90) % 10 == 0, labels, 9)


@pytest.mark.parametrize("cuts", [[60], [1], [89], [1, 2, 3, 40], [30, 31, 60]], ids=str)
def test_a_grown_graph_is_the_graph_of_all(rng, cuts):
    for name, X, labels in kinds(rng):
        for k1, k2 in ((4, 3), (1, 40), (100, 1)):
            found = grow(X, labels, cuts, k1, k2)
            try:
                assert_same(found, exact_pairs(X, labels, k1, k2))
            except AssertionError as error:
                raise AssertionError(f"{name}, k1={k1}, k2={k2}") from error


def test_is_the_slow_graph(rng, slow_pairs, assert_rows_equal):
    X = rng.integers(0, 3, size=(40, 3)).astype(float)
    labels = rng.integers(0, 4, 40)
    same, other = slow_pairs(X, labels, 3, 5)
    graph = grow(X, labels, [11, 25], 3, 5)
    assert_rows_equal(graph.same_area, same)
    assert_rows_equal(graph.easy_confusing, other)


def test_new_photos_do_not_enter_from_too_near(rng):
    X, labels = rng.normal(size=(80, 4)), np.arange(80) // 4
    coordinates = np.stack([rng.uniform(0, 1, 80), rng.uniform(179, 181, 80)], axis=1)
    coordinates[:, 1] = (coordinates[:, 1] + 180) % 360 - 180
    options = {"coordinates": coordinates, "min_distance_km": 60.0}
    found = grow(X, labels, [30, 55], 3, 6, **options)
    assert_same(found, exact_pairs(X, labels, 3, 6, **options))
    assert (
        exact_pairs(X, labels, 3, 6).easy_confusing.indices != found.easy_confusing.indices
    ).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_threads_and_memory_maps_do_not_matter(rng, tmp_path, dtype):
    X = rng.normal(size=(700, 40)).astype(dtype)
    labels = rng.integers(0, 9, 700)
    mapped = np.memmap(tmp_path / "x", dtype=dtype, mode="w+", shape=X.shape)
    mapped[:] = X
    expected = exact_pairs(X, labels, 6, 9)
    for n_jobs, working_memory in ((1, None), (2, None), (1, 0.1), (3, 0.1)):
        found = grow(mapped, labels, [500, 520], 6, 9, n_jobs=n_jobs, working_memory=working_memory)
        assert_same(found, expected)


def test_precisions_mix(rng):
    X = rng.normal(size=(50, 5))
    labels = rng.integers(0, 4, 50)
    X[:30] = X[:30].astype(np.float32)
    old = exact_pairs(X[:30].astype(np.float32), labels[:30], 3, 4)
    found = extend_pairs(old, [X[:30].astype(np.float32)], X[30:], labels, 3, 4)
    assert_same(found, exact_pairs(X, labels, 3, 4))


def test_new_photos_of_another_size_are_seen(rng):
    """The frame is that of all photos: a first batch of other scale must not overflow or vanish."""
    for scale in (1e30, 1e-30):
        X = rng.normal(size=(60, 4)).astype(np.float32)
        X[40:] *= scale
        labels = rng.integers(0, 3, 60)
        assert_same(grow(X, labels, [40, 50], 4, 5), exact_pairs(X, labels, 4, 5))


def test_an_approximate_graph_misses_no_more_than_before(rng):
    X = rng.normal(size=(40, 6))[rng.integers(0, 40, 600)] + rng.normal(size=(600, 6))
    labels = rng.integers(0, 60, 600)
    first = anchor_pairs(X[:450], labels[:450], 5, 8, k3=6)
    true_before = exact_pairs(X[:450], labels[:450], 5, 8).easy_confusing
    true = exact_pairs(X, labels, 5, 8)
    found = extend_pairs(first, [X[:450]], X[450:], labels, 5, 8)

    def missed(graph, exact):
        return np.array(
            [
                len(
                    np.setdiff1d(
                        exact.indices[exact.indptr[s] : exact.indptr[s + 1]],
                        graph.indices[graph.indptr[s] : graph.indptr[s + 1]],
                    )
                )
                for s in range(len(exact.indptr) - 1)
            ]
        )

    before, after = (
        missed(first.easy_confusing, true_before),
        missed(found.easy_confusing, true.easy_confusing),
    )
    assert before.sum() > 100
    assert (after[:450] <= before).all()
    assert (after[450:] == 0).all()
    np.testing.assert_array_equal(found.same_area.indices, true.same_area.indices)
    # Each old row is the best of what it had and of all new photos.
    for s in range(450):
        row = slice(first.easy_confusing.indptr[s], first.easy_confusing.indptr[s + 1])
        new = np.flatnonzero(labels[450:] != labels[s]) + 450
        ids = np.concatenate([first.easy_confusing.indices[row], new])
        distances = np.sqrt(((X[ids] - X[s]) ** 2).sum(axis=1))
        best = ids[np.lexsort((ids, distances))[:8]]
        row = slice(found.easy_confusing.indptr[s], found.easy_confusing.indptr[s + 1])
        np.testing.assert_array_equal(found.easy_confusing.indices[row], best)


def test_merging_keeps_the_first_among_equals():
    first = NeighborRows(np.array([0, 2, 2, 3]), np.array([1, 2, 0]), np.array([1.0, 2.0, 3.0]))
    later = NeighborRows(
        np.array([0, 3, 4, 4]), np.array([5, 4, 3, 3]), np.array([2.0, 0.5, 1.0, 9.0])
    )
    merged = merge_rows(first, later, 2)
    assert merged.indptr.tolist() == [0, 2, 3, 4]
    assert merged.indices.tolist() == [4, 1, 3, 0]
    assert merged.distances.tolist() == [0.5, 1.0, 9.0, 3.0]
    assert merge_rows(first, first._replace(distances=first.distances + 5), 1) is first


def test_overflow_is_named():
    X = np.array([[0.0], [1.0]])
    graph = exact_pairs(X, np.array([0, 1]), 1, 1)
    with pytest.raises(ValueError, match="overflow"):
        extend_pairs(graph, [X], np.array([[1e200]]), np.array([0, 1, 1]), 1, 1)
    assert isinstance(graph, PairGraph)
