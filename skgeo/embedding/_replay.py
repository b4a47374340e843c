"""What a fitted network remembers of its training photos, so that new ones can join them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClusterMixin

from .._validation import Places
from ..pairs._areas import KnownAreas, assign_labels, assign_places

IntArray = npt.NDArray[np.intp]


class Memory(NamedTuple):
    """A uniform sample of the photos seen: rows, labels, coordinates, and how many were seen."""

    X: npt.NDArray[np.float32]
    labels: IntArray | None
    coordinates: npt.NDArray[np.float64] | None
    n_seen: int

    def take(self, rows: IntArray) -> Memory:
        """Some of the rows, as a memory of the same photos seen."""
        return Memory(
            np.ascontiguousarray(self.X[rows]),
            None if self.labels is None else self.labels[rows],
            None if self.coordinates is None else self.coordinates[rows],
            self.n_seen,
        )


def join(old: Memory, new: Memory) -> Memory:
    """Old rows first, then new ones."""

    def both(a: Any, b: Any) -> Any:
        return None if a is None or b is None else np.concatenate([a, b])

    return Memory(
        np.concatenate([old.X, new.X]),
        both(old.labels, new.labels),
        both(old.coordinates, new.coordinates),
        old.n_seen + new.n_seen,
    )


def remember(old: Memory | None, new: Memory, size: int | None, rng: np.random.Generator) -> Memory:
    """Uniform sample, of at most ``size`` rows (None: all), of all photos seen so far."""
    if old is None:
        size = len(new.X) if size is None else min(size, len(new.X))
        return new.take(np.sort(rng.permutation(len(new.X))[:size]))
    joined = join(old, new)
    if size is None or size >= joined.n_seen:
        return joined
    size = min(size, len(joined.X))
    # How many of a uniform sample of everything seen come from the new photos.
    from_new = int(rng.hypergeometric(new.n_seen, old.n_seen, size))
    from_new = min(max(from_new, size - len(old.X)), len(new.X))
    rows = np.concatenate(
        [
            rng.permutation(len(old.X))[: size - from_new],
            len(old.X) + rng.permutation(len(new.X))[:from_new],
        ]
    )
    return joined.take(np.sort(rows))


class KnownPlaces(ClusterMixin, BaseEstimator):
    """A clusterer that answers with the labels it was given: for POIs that are known already."""

    def __init__(self, labels: Any = None) -> None:
        self.labels = labels

    def fit(self, X: Any, y: Any = None) -> KnownPlaces:
        """Answer with the known labels."""
        self.labels_ = np.asarray(self.labels)
        return self


def number_places(
    X: npt.NDArray[np.float32],
    places: Places,
    known: Memory,
    poi: Any,
    classes: npt.NDArray[Any] | None,
    areas: KnownAreas | None,
) -> tuple[Memory, npt.NDArray[Any] | None, KnownAreas | None]:
    """New photos as a memory, their places numbered as those of the photos known.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        Vectors of the new photos.
    places : Places
        Their locations or area labels.
    known : Memory
        The photos known.
    poi : estimator
        The fitted clusterer of locations.
    classes : ndarray or None
        What the numbers stand for, where places are labels.
    areas : KnownAreas or None
        What locations are assigned by, where places are locations.

    Returns
    -------
    new : Memory
        The new photos.
    classes, areas
        With the new places appended.

    Raises
    ------
    ValueError
        If the places are of another kind than the known ones, or the clusterer can assign none.
    """
    if (places.labels is None) != (known.coordinates is not None):
        kinds = ("labels", "locations")
        fitted = kinds[known.coordinates is not None]
        raise ValueError(
            f"y holds {kinds[places.labels is None]}, but the network was fitted on {fitted}."
        )
    if places.labels is not None:
        assert places.classes is not None
        assert classes is not None
        labels, classes = assign_labels(places.labels, places.classes, classes)
        return Memory(X, labels, None, len(X)), classes, areas
    assert areas is not None
    assert places.coordinates is not None
    labels, areas = assign_places(places.coordinates, areas, poi)
    return Memory(X, labels, places.coordinates, len(X)), classes, areas
