"""One image to the row of its visual words, and rows to a sparse array."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ..images._map_images import Failures, Outcome
from ._sift import root_sift
from ._vocabulary import WordTree, soft_counts, term_counts

__all__ = ["Encoder", "encode", "sample_descriptors", "stack_sparse"]

# A row on its way from a worker: the columns that are not zero, and their values.
_ENTRY = np.dtype([("column", np.int32), ("value", np.float32)])


class Encoder(NamedTuple):
    """What a worker needs to turn an image into its row."""

    max_keypoints: int
    image_size: int | None
    n_nearest: int
    sigma: float
    small: npt.NDArray[np.float32] | None
    large: WordTree | None
    idf: npt.NDArray[np.float64] | None
    #: First column of the large vocabulary.
    offset: int


def sample_descriptors(
    image: npt.NDArray[Any],
    index: int,
    *,
    max_keypoints: int,
    image_size: int | None,
    n_descriptors: int,
    seed: int,
) -> npt.NDArray[np.float32]:
    """Random descriptors of an image; which, depends on seed and index alone."""
    descriptors = root_sift(image, max_keypoints=max_keypoints, image_size=image_size)
    if len(descriptors) <= n_descriptors:
        return descriptors
    rng = np.random.default_rng([seed, index])
    return descriptors[np.sort(rng.choice(len(descriptors), n_descriptors, replace=False))]


def encode(image: npt.NDArray[Any], index: int, *, encoder: Encoder) -> npt.NDArray[Any]:
    """Turn one decoded image into the entries of its row that are not zero."""
    del index
    descriptors = root_sift(
        image, max_keypoints=encoder.max_keypoints, image_size=encoder.image_size
    )
    parts = []
    if len(descriptors) and encoder.small is not None:
        shares = soft_counts(
            descriptors, encoder.small, n_nearest=encoder.n_nearest, sigma=encoder.sigma
        )
        parts.append(_entries(shares / shares.sum(), 0))
    if len(descriptors) and encoder.large is not None and encoder.idf is not None:
        weights = term_counts(descriptors, encoder.large) * encoder.idf
        parts.append(_entries(weights / np.linalg.norm(weights), encoder.offset))
    return np.concatenate(parts) if parts else np.empty(0, dtype=_ENTRY)


def _entries(values: npt.NDArray[np.float64], offset: int) -> npt.NDArray[Any]:
    columns = np.flatnonzero(values)
    entries = np.empty(len(columns), dtype=_ENTRY)
    entries["column"] = columns + offset
    entries["value"] = values[columns]
    return entries


def stack_sparse(outcomes: Iterable[Outcome], n_columns: int) -> tuple[Any, Failures]:
    """Put rows below each other in CSR, with a row of NaN where an image could not be read."""
    failures = Failures()
    missing = np.empty(n_columns, dtype=_ENTRY)
    missing["column"] = np.arange(n_columns)
    missing["value"] = np.nan
    rows = []
    for outcome in outcomes:
        if outcome.value is None:
            failures.add(outcome)
        rows.append(missing if outcome.value is None else outcome.value)
    ends = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    entries = np.concatenate(rows) if rows else np.empty(0, dtype=_ENTRY)
    matrix = csr_array(
        (entries["value"].copy(), entries["column"].copy(), ends), shape=(len(rows), n_columns)
    )
    return matrix, failures
