"""Exact search against the obvious one: distances from differences, sorted by (distance, index)."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo.neighbors import _search
from skgeo.neighbors._search import build_tree, choose_algorithm, nearest_neighbors


def reference(queries, gallery, k):
    """One query after the other; Python's sort of (distance, index)."""
    distances, indices = [], []
    for query in queries.astype(np.float64):
        ranked = sorted(
            (float(np.einsum("i,i", row - query, row - query)), index)
            for index, row in enumerate(gallery.astype(np.float64))
        )[:k]
        distances.append([squared**0.5 for squared, _ in ranked])
        indices.append([index for _, index in ranked])
    return np.array(distances), np.array(indices)


def make(kind, rng):
    if kind == "random":
        return rng.normal(size=(300, 6)), rng.normal(size=(40, 6))
    if kind == "far from the origin":  # |x|^2 + |y|^2 - 2 x.y loses all digits here
        return 1e6 + rng.normal(size=(300, 6)), 1e6 + rng.normal(size=(40, 6))
    if kind == "near-duplicates":
        base = rng.normal(size=(10, 6))
        gallery = np.repeat(base, 30, axis=0) + 1e-9 * rng.normal(size=(300, 6))
        return gallery, base + 1e-9
    if kind == "duplicates":
        gallery = np.repeat(rng.normal(size=(7, 6)), 40, axis=0)[rng.permutation(280)]
        return gallery, gallery[:40]
    if kind == "tied lattice":
        lattice = rng.integers(0, 3, size=(340, 4)).astype(float)
        return lattice[:300], lattice[300:]
    if kind == "all alike":
        return np.ones((300, 3)), np.zeros((5, 3))
    if kind == "an outlier":
        gallery = rng.normal(size=(300, 6))
        gallery[17] = 1e12
        return gallery, rng.normal(size=(40, 6))
    if kind == "one photo":
        return rng.normal(size=(1, 4)), rng.normal(size=(3, 4))
    if kind == "one column":
        return rng.normal(size=(300, 1)), rng.normal(size=(40, 1))
    raise AssertionError(kind)


KINDS = [
    "random",
    "far from the origin",
    "near-duplicates",
    "duplicates",
    "tied lattice",
    "all alike",
    "an outlier",
    "one photo",
    "one column",
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("algorithm", ["brute", "kd_tree", "ball_tree"])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_reference(kind, algorithm, dtype, rng):
    gallery, queries = (rows.astype(dtype) for rows in make(kind, rng))
    for k in {1, min(20, len(gallery)), len(gallery)}:
        expected_distances, expected = reference(queries, gallery, k)
        distances, indices = nearest_neighbors(
            queries, gallery, k, tree=build_tree(algorithm, gallery)
        )
        assert distances.dtype == np.float64
        np.testing.assert_allclose(distances, expected_distances, rtol=1e-14)
        np.testing.assert_array_equal(indices, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_in_any_batch_block_or_thread(kind, rng, monkeypatch):
    gallery, queries = make(kind, rng)
    k = min(20, len(gallery))
    expected = nearest_neighbors(queries, gallery, k)
    alone = [nearest_neighbors(query[None], gallery, k) for query in queries]
    for part in range(2):
        np.testing.assert_array_equal(np.concatenate([a[part] for a in alone]), expected[part])
    monkeypatch.setattr(_search, "_QUERY_BLOCK", 3)
    monkeypatch.setattr(_search, "_GALLERY_BLOCK", 7)
    monkeypatch.setattr(_search, "_DIRECT_SIZE", 64)
    for n_jobs in (None, 2):
        blocks = nearest_neighbors(queries, gallery, k, n_jobs=n_jobs)
        for part in range(2):
            np.testing.assert_array_equal(blocks[part], expected[part])


def test_mixed_precision_ranks_the_queries_as_given(rng):
    """A float64 query is not rounded to the gallery's float32 before it is ranked."""
    gallery = np.array([[1.0], [1.0 + 2**-23]], dtype=np.float32)
    gallery = np.concatenate([gallery, rng.uniform(5, 6, size=(300, 1)).astype(np.float32)])
    queries = np.array([[1.0 + 0.4 * 2**-23], [1.0 + 0.6 * 2**-23]])
    _, indices = nearest_neighbors(queries, gallery, 1)
    assert indices.ravel().tolist() == [0, 1]


@pytest.mark.parametrize("scale", [1e18, 5e18, 1e19, 1e25])
def test_numbers_that_overflow_float32_are_ranked_in_float64(scale, rng):
    gallery = (scale * rng.normal(size=(300, 4))).astype(np.float32)
    queries = (scale * rng.normal(size=(10, 4))).astype(np.float32)
    _, expected = reference(queries, gallery, 5)
    np.testing.assert_array_equal(nearest_neighbors(queries, gallery, 5)[1], expected)


def test_the_proof_spares_the_second_look(rng, monkeypatch):
    """On generic data no query needs the comparison with the whole gallery."""

    def scan(*_):
        raise AssertionError("scanned")

    monkeypatch.setattr(_search, "_scan", scan)
    for dtype in (np.float64, np.float32):
        gallery = rng.normal(size=(3000, 200)).astype(dtype)
        nearest_neighbors(rng.normal(size=(50, 200)).astype(dtype), gallery, 120)
    with pytest.raises(AssertionError, match="scanned"):
        nearest_neighbors(np.zeros((1, 3)), np.ones((300, 3)), 5)


@pytest.mark.parametrize(
    ("algorithm", "shape", "expected"),
    [
        ("auto", (999, 15), "brute"),
        ("auto", (1000, 15), "kd_tree"),
        ("auto", (1000, 16), "brute"),
        ("ball_tree", (5, 100), "ball_tree"),
        ("brute", (5000, 2), "brute"),
    ],
)
def test_choose_algorithm(algorithm, shape, expected):
    assert choose_algorithm(algorithm, *shape) == expected


def test_rows_that_overflow_are_no_candidates_twice(rng):
    """Fewer rows than candidates have finite products: the rest must not be filled up."""
    gallery = rng.normal(size=(300, 4)).astype(np.float32)
    gallery[100:] *= 1e25
    queries = rng.normal(size=(10, 4)).astype(np.float32)
    for k in (90, 150):
        _, expected = reference(queries, gallery, k)
        np.testing.assert_array_equal(nearest_neighbors(queries, gallery, k)[1], expected)


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"far from the origin", "an outlier"}))
def test_half_precision_ranks_like_its_float64(kind, rng):
    gallery, queries = (rows.astype(np.float16) for rows in make(kind, rng))
    k = min(20, len(gallery))
    distances, indices = nearest_neighbors(queries, gallery, k)
    expected = nearest_neighbors(queries.astype(float), gallery.astype(float), k)
    np.testing.assert_allclose(distances, expected[0], rtol=1e-14)
    np.testing.assert_array_equal(indices, expected[1])
