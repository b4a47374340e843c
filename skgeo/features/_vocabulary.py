"""Vocabularies of visual words: learned by k-means, small and flat or large and a tree."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["WordTree", "inverse_document_frequency", "learn_tree", "learn_words", "soft_counts",
           "term_counts"]  # fmt: skip

Float32Array = npt.NDArray[Any]
IntArray = npt.NDArray[np.intp]

# Lloyd's iterations. From a random start ten of them leave the words as near to the descriptors
# as a careful start with mini-batches does, in a tenth of the time.
_ITERATIONS = 10

# Scores held at a time while descriptors are compared with words.
_CHUNK_ELEMENTS = 4_000_000


class WordTree(NamedTuple):
    """A large vocabulary in cells: a descriptor is compared with the cells, then inside one."""

    #: Centres of the cells, (n_cells, n_dimensions).
    cells: Float32Array
    #: The words, those of a cell next to each other, (n_words, n_dimensions).
    words: Float32Array
    #: Where the words of each cell begin and end, (n_cells + 1,).
    starts: IntArray


def learn_words(descriptors: Float32Array, n_words: int, *, seed: int) -> Float32Array:
    """Learn a flat vocabulary: the centres of k-means.

    Parameters
    ----------
    descriptors : ndarray of shape (n, n_dimensions)
        float32, at least one.
    n_words : int
        How many words to learn.
    seed : int
        Draws the start.

    Returns
    -------
    ndarray of shape (at most n_words, n_dimensions)
        float32. If there are no more different descriptors than words these are the words.
    """
    from sklearn.cluster import KMeans

    distinct = _distinct(descriptors)
    if len(distinct) <= n_words:
        return distinct
    model = KMeans(n_words, init="random", n_init=1, max_iter=_ITERATIONS, random_state=seed)
    model.fit(descriptors)
    centres: Float32Array = np.ascontiguousarray(model.cluster_centers_, dtype=np.float32)
    return centres


def _distinct(descriptors: Float32Array) -> Float32Array:
    """Rows without their repetitions, in the order in which they come first."""
    rows = np.ascontiguousarray(descriptors)
    # As strings of bytes they compare many times faster than number by number.
    keys = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first = np.unique(keys, return_index=True)
    return rows[np.sort(first)]


def learn_tree(descriptors: Float32Array, n_words: int, *, seed: int) -> WordTree:
    """Learn a large vocabulary: cells by k-means, and k-means again in each cell.

    About the square root of the number of words are cells. Each cell gets words in proportion to
    its descriptors, so that dense regions are divided finely as a flat vocabulary would do it.

    Parameters
    ----------
    descriptors : ndarray of shape (n, n_dimensions)
        float32, at least one.
    n_words : int
        How many words to learn.
    seed : int
        Draws the starts.

    Returns
    -------
    WordTree
        At most ``n_words`` words; fewer if there are not as many different descriptors in the
        cells.
    """
    cells = learn_words(descriptors, max(1, round(n_words**0.5)), seed=seed)
    members = nearest(descriptors, cells)
    order = np.argsort(members, kind="stable")
    counts = np.bincount(members, minlength=len(cells))
    occupied = np.flatnonzero(counts)
    cells, counts = np.ascontiguousarray(cells[occupied]), counts[occupied]
    shares = _shares(counts, n_words)
    words = [
        learn_words(np.ascontiguousarray(descriptors[part]), int(share), seed=seed)
        for part, share in zip(np.split(order, np.cumsum(counts)[:-1]), shares, strict=True)
    ]
    starts = np.concatenate([[0], np.cumsum([len(part) for part in words])]).astype(np.intp)
    return WordTree(cells, np.concatenate(words), starts)


def _shares(counts: IntArray, n_words: int) -> IntArray:
    """Divide words among cells in proportion to their members, at least one word each.

    A cell gets no more words than it has members; what it cannot use goes to the others. There
    are at least as many words as cells.
    """
    shares = np.ones(len(counts), dtype=np.intp)
    n_words = min(n_words, int(counts.sum()))
    while (left := n_words - int(shares.sum())) > 0:
        room = counts - shares
        wanted = left * (room / room.sum())
        given = np.minimum(np.floor(wanted).astype(np.intp), room)
        if not given.any():
            # Fewer than one for each: the largest claims first, of equal ones the first cell.
            given[np.argsort(-wanted, kind="stable")[:left]] = 1
            given = np.minimum(given, room)
        shares += given
    return shares


def _scores(descriptors: Float32Array, words: Float32Array) -> Float32Array:
    """Squared distances without the term that is the same for all words."""
    scores: Float32Array = descriptors @ words.T
    scores *= np.float32(-2)
    scores += np.einsum("ij,ij->i", words, words)
    return scores


def nearest(descriptors: Float32Array, words: Float32Array) -> IntArray:
    """For each descriptor the index of the nearest word; of equally near ones the first."""
    found = np.empty(len(descriptors), dtype=np.intp)
    step = max(1, _CHUNK_ELEMENTS // len(words))
    for start in range(0, len(descriptors), step):
        part = slice(start, start + step)
        _scores(descriptors[part], words).argmin(axis=1, out=found[part])
    return found


def nearest_in_tree(descriptors: Float32Array, tree: WordTree) -> IntArray:
    """For each descriptor the index of the nearest word in the cell whose centre is nearest."""
    cells = nearest(descriptors, tree.cells)
    found = np.empty(len(descriptors), dtype=np.intp)
    for cell in np.unique(cells):
        rows = np.flatnonzero(cells == cell)
        start, stop = tree.starts[cell], tree.starts[cell + 1]
        found[rows] = start + nearest(descriptors[rows], tree.words[start:stop])
    return found


def soft_counts(
    descriptors: Float32Array, words: Float32Array, *, n_nearest: int, sigma: float
) -> npt.NDArray[np.float64]:
    """Share out each descriptor among its nearest words.

    Parameters
    ----------
    descriptors : ndarray of shape (n, n_dimensions)
        float32.
    words : ndarray of shape (n_words, n_dimensions)
        float32.
    n_nearest : int
        A descriptor counts for this many words at most.
    sigma : float
        Words at the distance d get a share in proportion to ``exp(-d**2 / (2 sigma**2))``.

    Returns
    -------
    ndarray of shape (n_words,)
        Shares, summed over the descriptors. They sum to n.
    """
    n_nearest = min(n_nearest, len(words))
    scores = _scores(descriptors, words)
    columns = np.argpartition(scores, n_nearest - 1, axis=1)[:, :n_nearest]
    squares = np.take_along_axis(scores, columns, axis=1).astype(np.float64)
    # From the nearest on, so that far from all words the shares do not vanish together.
    squares -= squares.min(axis=1, keepdims=True)
    shares = np.exp(squares / (-2.0 * sigma**2))
    shares /= shares.sum(axis=1, keepdims=True)
    return np.bincount(columns.ravel(), weights=shares.ravel(), minlength=len(words)).astype(float)


def term_counts(descriptors: Float32Array, tree: WordTree) -> IntArray:
    """Count the descriptors of each word of a large vocabulary, (n_words,)."""
    return np.bincount(nearest_in_tree(descriptors, tree), minlength=len(tree.words))


def inverse_document_frequency(
    descriptors: Float32Array, images: IntArray, n_images: int, tree: WordTree
) -> npt.NDArray[np.float64]:
    """Weigh words by how few images they occur in.

    Parameters
    ----------
    descriptors : ndarray of shape (n, n_dimensions)
        float32.
    images : ndarray of shape (n,)
        The image of each descriptor, from 0.
    n_images : int
        How many images there are, those without descriptors included.
    tree : WordTree
        The vocabulary.

    Returns
    -------
    ndarray of shape (n_words,)
        ``log((1 + n_images) / (1 + n_images_with_the_word)) + 1``.
    """
    pairs = np.unique(nearest_in_tree(descriptors, tree) * np.intp(n_images) + images)
    frequency = np.bincount(pairs // n_images, minlength=len(tree.words))
    return np.log((1.0 + n_images) / (1.0 + frequency)) + 1.0
