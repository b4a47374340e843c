"""Chunks of images transformed one after the other, or by the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from .._cluster_client import cluster_client, in_order
from ..images import ImageError, load_image
from ._store_rows import OnError, transform_chunk

__all__ = ["Transformed", "slices", "transformed_chunks"]


class Transformed(NamedTuple):
    """A chunk: its images, their lines of the index, their rows, and why rows are missing."""

    start: int
    sources: Sequence[Any]
    lines: list[list[str]]
    values: npt.NDArray[Any]
    errors: dict[int, str]


def transformed_chunks(
    estimator: Any,
    batches: Iterable[Sequence[Any]],
    start: int,
    index_row: Callable[[Any, int], list[str]],
    on_error: OnError,
) -> Iterator[Transformed]:
    """Transform chunk by chunk, in order.

    Under ``joblib.parallel_config("dask")`` whole chunks are transformed in the workers, the
    same chunks as in one process, so that rows have the same bits where they depend on the chunk.
    """
    listed: dict[int, tuple[Sequence[Any], list[list[str]]]] = {}

    def begun() -> Iterator[tuple[int, Sequence[Any]]]:
        at = start
        for sources in batches:
            # Before the files are decoded: one that is changed meanwhile will be noticed.
            listed[at] = sources, [index_row(source, at + i) for i, source in enumerate(sources)]
            yield at, sources
            at += len(sources)

    def done(at: int, values: npt.NDArray[Any], errors: dict[int, str]) -> Transformed:
        return Transformed(at, *listed.pop(at), values, errors)

    client = cluster_client()
    if client is None:
        for at, sources in begun():
            yield done(at, *transform_chunk(estimator, sources, at, on_error))
        return
    tasks = ((at, _portable(sources), on_error) for at, sources in begun())
    for at, found in in_order(client, _transform, estimator, tasks):
        if found is None:
            found = transform_chunk(estimator, listed[at][0], at, on_error)
        yield done(at, *found)


def _transform(
    estimator: Any, at: int, sources: Sequence[Any] | None, on_error: OnError
) -> tuple[int, tuple[npt.NDArray[Any], dict[int, str]] | None]:
    return at, None if sources is None else transform_chunk(estimator, sources, at, on_error)


def _portable(sources: Sequence[Any]) -> Sequence[Any] | None:
    """Images that can be sent to another process; None where one cannot, for it is damaged."""
    if not any(isinstance(source, Image.Image) or hasattr(source, "read") for source in sources):
        return sources
    try:
        return [
            load_image(source)
            if isinstance(source, Image.Image) or hasattr(source, "read")
            else source
            for source in sources
        ]
    except ImageError:
        return None


def slices(images: Sequence[Any]) -> Callable[[int, int], Sequence[Any]]:
    """Parts of a sequence, in its own kind if it is one whose slices are."""
    if isinstance(images, list | tuple | np.ndarray):
        return lambda start, stop: images[start:stop]
    return lambda start, stop: [images[i] for i in range(start, stop)]
