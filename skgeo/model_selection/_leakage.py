"""What the training part gives away about the test part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skgeo._validation import Interval, check_coordinates, validate_params
from skgeo.images import check_images
from skgeo.metrics._thresholds import check_thresholds

from ._leakage_report import LeakageReport
from ._near_duplicates import check_features, check_hash_distance, content_digests
from ._near_pairs import IntArray, Pairs, expand, near_hashes, near_places, near_vectors
from ._perceptual_hash import perceptual_hash
from ._photographers import _is_known

if TYPE_CHECKING:
    pass

#: Pairs that wait to be sorted.
_HELD = 1 << 20
_UNITS = {"place": "km", "hash": "bits", "features": "distance"}


@validate_params(
    {
        "train": ["array-like"],
        "test": ["array-like"],
        "coordinates": ["array-like", None],
        "authors": ["array-like", None],
        "features": ["array-like", None],
        "max_hash_distance": [Interval(Integral, 0, None, closed="left"), None],
        "max_feature_distance": [Interval(Real, 0, None, closed="left"), None],
        "max_pairs": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
def leakage_report(
    train: npt.ArrayLike,
    test: npt.ArrayLike,
    *,
    coordinates: npt.ArrayLike | None = None,
    authors: npt.ArrayLike | None = None,
    images: Any = None,
    features: npt.ArrayLike | None = None,
    radii_km: Sequence[float] = (0.01, 0.1, 1.0),
    max_hash_distance: int | None = None,
    max_feature_distance: float | None = None,
    max_pairs: int = 5,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> LeakageReport:
    """Tell how many test photographs the training part gives away, and which pairs do it.

    A photograph of the same spot, by the same author, or nearly the same picture in the gallery
    makes a query easy. The report says how many queries are of that kind, so that a score can be
    read for what it is. For two collections, a gallery and its queries, put one behind the other:
    ``leakage_report(range(n), range(n, n + m), images=gallery + queries)``.

    Parameters
    ----------
    train, test : array-like of int or bool
        Indices of the samples, as a splitter yields them, or masks.
    coordinates : array-like of shape (n_samples, 2), default=None
        Latitude and longitude in degrees, of all samples.
    authors : array-like of shape (n_samples,), default=None
        Photographers. Those without one (None, NaN, empty text) match nobody.
    images : collection of images of length n_samples, default=None
        In any form that `skgeo.images.check_images` takes. Adds two checks: whether files, bytes or
        pixels are identical, and whether they look nearly the same (`perceptual_hash`).
    features : array-like of shape (n_samples, n_features), default=None
        Vectors; `max_feature_distance` is needed with them.
    radii_km : sequence of float, default=(0.01, 0.1, 1.0)
        Radii in km, inclusive, at which the summary counts. `pairs` lists those within the largest.
    max_hash_distance : int, default=None
        How many of 64 bits may differ between images that are nearly the same, at most 15. None: 8.
    max_feature_distance : float, default=None
        Euclidean distance up to which vectors are nearly the same, inclusive.
    max_pairs : int, default=5
        How many training samples are listed for each test sample and check, the nearest first.
        The summary counts all.
    n_jobs : int, default=None
        Number of processes that hash images.
    verbose : int, default=0
        Above 0: show a progress bar.

    Returns
    -------
    LeakageReport
        Printed, it is a table. `summary` and `pairs` are DataFrames; `clean_test` and
        `clean_train` are the indices that remain when what leaks is left out.

    Raises
    ------
    ValueError
        If there is nothing to check, an index is out of range, the lengths differ, or
        `max_feature_distance` is missing.
    ImageError
        If an image cannot be read; the message names it.

    See Also
    --------
    NearDuplicateSplit : A split in which nearly identical photographs stay together.
    PhotographerSplit, SpatialBlockSplit : The same for authors and places.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.model_selection import leakage_report
    >>> y = np.array([[37.7955, -122.3937], [37.7955, -122.3938], [48.8584, 2.2945], [0.0, 0.0]])
    >>> report = leakage_report(
    ...     [0, 2], [1, 3], coordinates=y, authors=["ann", "ann", "bob", None], radii_km=[0.01]
    ... )
    >>> report
    2 test samples against 2 training samples
                 queries  percent  pairs
    within 10 m        1     50.0      1
    same author        1     50.0      1
    Without what is flagged here, the place aside: 1 test and 1 training samples
    >>> report.pairs[["check", "test", "train", "distance"]].round(4)
        check  test  train  distance
    0   place     1      0    0.0088
    1  author     1      0       NaN
    >>> report.clean_test()
    array([3])
    """
    n = _number_of_samples(coordinates, authors, images, features)
    train_rows, test_rows = _rows(train, n, "train"), _rows(test, n, "test")
    found: dict[str, _Found] = {}

    def look(check: str, pairs: Iterable[Pairs], radii: Sequence[float] = ()) -> None:
        found[check] = _Found(len(test_rows), len(train_rows), radii, max_pairs, pairs)

    if np.intersect1d(train_rows, test_rows).size:
        look("sample", _equal_labels(test_rows.tolist(), train_rows.tolist()))
    radii = check_thresholds(radii_km)
    if coordinates is not None:
        y = check_coordinates(coordinates, name="coordinates")
        near = near_places(y[test_rows], y[train_rows], max(radii.values()))
        look("place", near, list(radii.values()))
    if authors is not None:
        names = _author_names(authors)
        look("author", _equal_labels([names[i] for i in test_rows], [names[i] for i in train_rows]))
    bits = check_hash_distance(max_hash_distance)
    if images is not None:
        used = np.concatenate([test_rows, train_rows])
        chosen = check_images(images, name="images")
        chosen = [chosen[i] for i in used]
        digests, m = content_digests(chosen, "images[test, train]"), len(test_rows)
        look("identical", _equal_labels(digests[:m], digests[m:]))
        hashes = perceptual_hash(chosen, n_jobs=n_jobs, verbose=verbose)
        look("hash", near_hashes(hashes[:m], hashes[m:], bits))
    if features is not None:
        if max_feature_distance is None:
            raise ValueError("max_feature_distance is needed with features, on whose scale it is.")
        X = check_features(features, "features")
        distance = float(max_feature_distance)
        look("features", near_vectors(X[test_rows], X[train_rows], distance))
    titles = {
        "sample": "same sample",
        "author": "same author",
        "identical": "identical image",
        "hash": f"hash within {bits} bits",
        "features": f"features within {max_feature_distance or 0:g}",
    }
    return _assemble(found, titles, radii, train_rows, test_rows)


class _Found:
    """What one check found: counts, flags, and the nearest pairs of each test sample."""

    def __init__(
        self, m: int, n: int, radii: Sequence[float], max_pairs: int, pairs: Iterable[Pairs]
    ) -> None:
        self.test, self.train = np.zeros(m, dtype=bool), np.zeros(n, dtype=bool)
        self.count = 0
        self.within = {km: np.zeros(m, dtype=bool) for km in radii}
        self.pairs_within = dict.fromkeys(radii, 0)
        held: list[Pairs] = []
        waiting = 0
        for i, j, distance in pairs:
            self.count += len(i)
            self.test[i] = True
            self.train[j] = True
            for km in radii:
                near = distance <= km
                self.within[km][i[near]] = True
                self.pairs_within[km] += int(near.sum())
            held.append((i, j, distance))
            waiting += len(i)
            if waiting >= _HELD:
                held, waiting = [_nearest(held, max_pairs)], 0
        self.kept = _nearest(held, max_pairs)


def _nearest(held: list[Pairs], k: int) -> Pairs:
    """The k pairs of each i with the least distance, sorted by (i, distance, j)."""
    if not held:
        return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0)
    i, j = (np.concatenate([pairs[side] for pairs in held]) for side in (0, 1))
    distance = np.concatenate([pairs[2] for pairs in held])
    order = np.lexsort((j, distance, i))
    i, j, distance = i[order], j[order], distance[order]
    first = np.searchsorted(i, i)
    keep = np.arange(len(i)) - first < k
    return i[keep], j[keep], distance[keep]


def _equal_labels(a: Sequence[Any], b: Sequence[Any]) -> Iterator[Pairs]:
    """Yield the pairs of equal labels in blocks; None equals nothing."""
    rows: dict[Any, list[int]] = {}
    for row, label in enumerate(b):
        if label is not None:
            rows.setdefault(label, []).append(row)
    ids = {label: number for number, label in enumerate(rows)}
    members = np.array([row for where in rows.values() for row in where], dtype=np.intp)
    ends = np.cumsum([0, *(len(where) for where in rows.values())])
    which = np.array([ids.get(label, -1) for label in a], dtype=np.intp)
    known = which >= 0
    starts = np.where(known, ends[which], 0)
    for i, position in expand(starts, np.where(known, ends[which + 1], 0)):
        yield i, members[position], np.full(len(i), np.nan)


def _assemble(
    found: dict[str, _Found],
    titles: dict[str, str],
    radii: dict[str, float],
    train: IntArray,
    test: IntArray,
) -> LeakageReport:
    import pandas as pd

    rows: dict[str, tuple[int, int]] = {}
    for check, result in found.items():
        if check == "place":
            for name, km in radii.items():
                rows[f"within {name}"] = (int(result.within[km].sum()), result.pairs_within[km])
        else:
            rows[titles[check]] = (int(result.test.sum()), result.count)
    summary = pd.DataFrame.from_dict(rows, orient="index", columns=["queries", "pairs"])
    summary.insert(1, "percent", 100.0 * summary["queries"] / len(test))
    frames = [
        pd.DataFrame(
            {
                "check": check,
                "test": test[result.kept[0]],
                "train": train[result.kept[1]],
                "distance": result.kept[2],
                "unit": _UNITS.get(check, ""),
            }
        )
        for check, result in found.items()
    ]
    pairs = pd.concat(frames, ignore_index=True)
    flagged = {check: (result.train, result.test) for check, result in found.items()}
    return LeakageReport(summary, pairs, train, test, flagged)


def _number_of_samples(coordinates: Any, authors: Any, images: Any, features: Any) -> int:
    given = {
        "coordinates": coordinates,
        "authors": authors,
        "images": images,
        "features": features,
    }
    lengths = {name: len(value) for name, value in given.items() if value is not None}
    if not lengths:
        raise ValueError("Nothing to check: pass coordinates, authors, images or features.")
    if len(set(lengths.values())) > 1:
        sizes = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"Not the same number of samples: {sizes}.")
    return next(iter(lengths.values()))


def _rows(given: npt.ArrayLike, n: int, name: str) -> IntArray:
    """Indices of samples from indices or a mask."""
    array = np.asarray(given)
    if array.dtype == bool and array.shape == (n,):
        array = np.flatnonzero(array)
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array):
        raise ValueError(
            f"{name} is an array of shape {array.shape} of {array.dtype}; expected the indices of "
            f"one or more of the {n} samples, or a mask of shape ({n},)."
        )
    if array.min() < 0 or array.max() >= n:
        bad = array[(array < 0) | (array >= n)][0]
        raise ValueError(f"{name} holds the index {bad}, but there are {n} samples.")
    return array.astype(np.intp)


def _author_names(authors: Any) -> list[Any]:
    values = authors.to_numpy() if hasattr(authors, "to_numpy") else np.asarray(authors, object)
    if values.ndim != 1:
        raise ValueError(f"authors has shape {values.shape}; expected one for each sample.")
    return [a if a is not None and _is_known(a) else None for a in values.tolist()]
