"""Rows of neighbours: cutting, stacking, reordering, and the matrices made of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix

from skgeo.pairs import NeighborRows, PairGraph, pair_recall
from skgeo.pairs._graph import no_rows, reorder_rows, rows_from_triplets, stack_rows


@pytest.fixture
def graph():
    # Row 0: 3, 1, 2; row 1: nothing; row 2: 0; row 3: 2, 0.
    return NeighborRows(
        np.array([0, 3, 3, 4, 6]),
        np.array([3, 1, 2, 0, 2, 0]),
        np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.5]),
    )


def _rows(graph):
    return [
        list(zip(graph.indices[a:b].tolist(), graph.distances[a:b].tolist(), strict=True))
        for a, b in zip(graph.indptr[:-1], graph.indptr[1:], strict=True)
    ]


@pytest.mark.parametrize("k", [1, 2, 3, 9])
def test_head_cuts_every_row(graph, k):
    assert _rows(graph.head(k)) == [row[:k] for row in _rows(graph)]
    both = PairGraph(graph, graph).head(k, 1)
    assert _rows(both.same_area) == _rows(graph.head(k))
    assert _rows(both.easy_confusing) == _rows(graph.head(1))


def test_head_of_nothing():
    assert _rows(no_rows(3).head(2)) == [[], [], []]


def test_to_csr_keeps_the_order_and_does_not_claim_another(graph):
    matrix = graph.to_csr()
    assert isinstance(matrix, csr_array)
    assert matrix.shape == (4, 4)
    assert matrix.dtype == np.float32
    assert matrix.indices.dtype == np.int32
    assert matrix.indices.tolist() == graph.indices.tolist()
    assert not matrix.has_sorted_indices
    assert not matrix.has_canonical_format
    dense = np.zeros((4, 4))
    dense[[0, 0, 0, 2, 3, 3], [1, 2, 3, 0, 0, 2]] = 1
    np.testing.assert_array_equal(matrix.toarray(), dense)
    np.testing.assert_array_equal(matrix.T.toarray(), dense.T)
    np.testing.assert_array_equal((matrix + matrix.T).toarray(), dense + dense.T)
    np.testing.assert_array_equal(matrix @ np.eye(4), dense)
    assert matrix.indices.tolist() == graph.indices.tolist()  # nobody sorted it in place


def test_rows_from_triplets_sorts_by_distance_then_index(rng):
    rows = rng.integers(0, 20, 300)
    columns = rng.permutation(300)
    distances = rng.integers(0, 4, 300).astype(float)
    graph = rows_from_triplets(25, rows, columns, distances, 7)
    for s in range(25):
        expected = sorted((distances[i], columns[i]) for i in np.flatnonzero(rows == s))[:7]
        assert [(d, c) for c, d in _rows(graph)[s]] == expected


def test_stack_and_reorder(graph):
    stacked = stack_rows([graph, no_rows(1), graph.head(1)])
    assert _rows(stacked) == [*_rows(graph), [], *_rows(graph.head(1))]
    position = np.array([2, 0, 3, 1])
    reordered = reorder_rows(graph, position)
    for i, p in enumerate(position):
        assert _rows(reordered)[p] == _rows(graph)[i]


def test_recall_counts_the_pairs_found():
    exact = csr_array(np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]]))
    found = csr_matrix(np.array([[0, 7, 0], [1, 0, 1], [0, 1, 0]]))
    assert pair_recall(found, exact) == 0.5
    assert pair_recall(exact, exact) == 1.0
    assert pair_recall(csr_array((3, 3)), exact) == 0.0


def test_recall_of_nothing_is_one():
    assert pair_recall(csr_array((3, 3)), csr_array((3, 3))) == 1.0


def test_recall_ignores_stored_zeros_and_the_order_of_indices():
    exact = csr_array(
        (np.array([1.0, 0.0]), np.array([2, 1]), np.array([0, 2, 2, 2])), shape=(3, 3)
    )
    found = csr_array((np.array([1.0]), np.array([2]), np.array([0, 1, 1, 1])), shape=(3, 3))
    assert pair_recall(found, exact) == 1.0


def test_recall_says_what_is_wrong():
    with pytest.raises(ValueError, match="found is a ndarray; expected a sparse"):
        pair_recall(np.eye(3), csr_array((3, 3)))
    with pytest.raises(ValueError, match=r"shape \(3, 3\) but exact has shape \(4, 4\)"):
        pair_recall(csr_array((3, 3)), csr_array((4, 4)))
