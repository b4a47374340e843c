"""Areas: those that a clusterer found, and those that later photos join or open."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from ..cluster._growth import places_within

IntArray = npt.NDArray[np.intp]
FloatArray = npt.NDArray[np.float64]


class KnownAreas(NamedTuple):
    """What is known of the areas before new photos come.

    Attributes
    ----------
    centers : ndarray of shape (n_centers, 2) or None
        Their centres in degrees, where the clusterer has centres and a bandwidth.
    numbers : ndarray of shape (n_centers,)
        The area of each centre.
    n_areas : int
        New areas are numbered from here on.
    """

    centers: FloatArray | None
    numbers: IntArray
    n_areas: int


def area_labels(poi: Any, n_samples: int) -> IntArray:
    """Labels that a clusterer found, with an area of its own for each photo it calls noise."""
    if not hasattr(poi, "labels_"):
        raise TypeError(
            f"poi={poi!r} has no labels_ after fit; expected a clusterer, such as POIMeanShift()."
        )
    labels = np.array(poi.labels_, dtype=np.intp)
    if labels.shape != (n_samples,):
        raise ValueError(
            f"poi={poi!r} has labels_ of shape {labels.shape}; expected one label for each of "
            f"{n_samples} photos."
        )
    # A centre without photos keeps its number, too: later ones may come.
    first = max(int(labels.max(initial=-1)) + 1, len(getattr(poi, "cluster_centers_", ())))
    return _number_noise(labels, first)


def known_areas(poi: Any, labels: IntArray) -> KnownAreas:
    """What new photos are assigned by, from a fitted clusterer and the `area_labels` it gave."""
    n_areas = int(labels.max(initial=-1)) + 1
    if getattr(poi, "bandwidth", None) is None or not hasattr(poi, "cluster_centers_"):
        return KnownAreas(None, np.empty(0, dtype=np.intp), n_areas)
    centers = np.asarray(poi.cluster_centers_, dtype=np.float64)
    return KnownAreas(centers, np.arange(len(centers)), max(n_areas, len(centers)))


def assign_places(
    coordinates: FloatArray, known: KnownAreas, poi: Any
) -> tuple[IntArray, KnownAreas]:
    """Areas of new photos: those of their locations, or new ones (section 4.6 of the paper).

    A photo within the bandwidth of the centre nearest to it belongs to that area. The others are
    clustered among themselves, by a clone of the same clusterer, into new areas. A clusterer
    without bandwidth (k-means) says by its ``predict`` where a photo belongs, and no area is new.

    Parameters
    ----------
    coordinates : ndarray of shape (n, 2)
        Locations of the new photos in degrees.
    known : KnownAreas
        The areas so far.
    poi : estimator
        The fitted clusterer.

    Returns
    -------
    labels : ndarray of int
        Area of each new photo.
    known : KnownAreas
        All areas, new ones appended.

    Raises
    ------
    ValueError
        If the clusterer has neither centres and a bandwidth nor ``predict``.
    """
    if known.centers is None:
        if not hasattr(poi, "predict"):
            raise ValueError(
                f"New photos need POIs with `cluster_centers_` and a `bandwidth`, or `predict`, to "
                f"be assigned by; {type(poi).__name__} has none. Use POIMeanShift, or labels as y."
            )
        labels = _number_noise(np.array(poi.predict(coordinates), dtype=np.intp), known.n_areas)
        return labels, known._replace(n_areas=max(known.n_areas, int(labels.max()) + 1))
    metric = getattr(poi, "metric", "euclidean")
    nearest, far = places_within(known.centers, coordinates, poi.bandwidth, metric=metric)
    labels = known.numbers[nearest]
    if not far.any():
        return labels, known
    fresh = clone(poi).fit(coordinates[far])
    opened = area_labels(fresh, int(far.sum()))
    labels[far] = known.n_areas + opened
    centers = np.asarray(fresh.cluster_centers_, dtype=np.float64)
    return labels, KnownAreas(
        np.concatenate([known.centers, centers]),
        np.concatenate([known.numbers, known.n_areas + np.arange(len(centers))]),
        known.n_areas + max(len(centers), int(opened.max()) + 1),
    )


def assign_labels(
    labels: IntArray, classes: npt.NDArray[Any], known: npt.NDArray[Any]
) -> tuple[IntArray, npt.NDArray[Any]]:
    """Number area labels as they were numbered before; new ones are appended.

    Parameters
    ----------
    labels, classes : ndarray
        Labels of the new photos by number, and what each number stands for.
    known : ndarray
        What the numbers stood for so far.

    Returns
    -------
    labels, known : ndarray
        The labels in the numbering of ``known``, and ``known`` with the new areas.

    Raises
    ------
    ValueError
        If numbers meet text: they would become text, or never be equal.
    """
    if _is_text(classes) != _is_text(known):
        raise ValueError(
            f"y holds labels such as {classes[0]!r}, but those so far are such as {known[0]!r}; "
            "expected labels of one type."
        )
    number = {label: i for i, label in enumerate(known.tolist())}
    for label in classes.tolist():
        number.setdefault(label, len(number))
    mapped = np.array([number[label] for label in classes.tolist()], dtype=np.intp)
    if len(number) == len(known):
        return mapped[labels], known
    appended = np.array(list(number)[len(known) :], dtype=classes.dtype)
    return mapped[labels], np.concatenate([known, appended])


def _number_noise(labels: IntArray, first: int) -> IntArray:
    noise = np.flatnonzero(labels < 0)
    labels[noise] = first + np.arange(len(noise))
    return labels


def _is_text(labels: npt.NDArray[Any]) -> bool:
    return labels.dtype.kind in "US" or isinstance(labels[0], str | bytes)
