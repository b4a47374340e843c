"""Apply a function to every image of a collection: decode, guard, in parallel, in order."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed, effective_n_jobs
from PIL import Image

from .._cluster_client import is_remote
from .._progress import progress
from .._threads import single_threaded
from ._errors import ImageError
from ._load import load_image
from ._open import describe_source

__all__ = ["Failures", "Outcome", "map_images", "stack_rows"]

# Images of one task: enough to make the cost of handing it over small, few enough for a bar that
# moves and for arrays of images that travel to another process.
_CHUNK = 16

OnError = Literal["raise", "nan"]
Function = Callable[[npt.NDArray[Any], int], npt.NDArray[Any]]


class Outcome(NamedTuple):
    """What came of one image: a value, or None and the reason."""

    position: int
    value: npt.NDArray[Any] | None
    reason: str = ""


class Failures:
    """Counts the images that could not be read, and warns of them once."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, outcome: Outcome) -> None:
        """Note one image."""
        self.count += 1
        if len(self.first) < 3:
            self.first.append(f"X[{outcome.position}]: {outcome.reason}")

    def warn(self, n_images: int, consequence: str) -> None:
        """Warn, if there were any, how many there were, what that means, and name the first."""
        if self.count:
            warnings.warn(
                f"{self.count} of {n_images} images could not be read and {consequence}. "
                f"The first: {' '.join(self.first)}",
                UserWarning,
                stacklevel=4,
            )


def map_images(
    function: Function,
    sources: Iterable[tuple[int, Any]],
    *,
    total: int | None = None,
    min_side: int | None = None,
    on_error: OnError = "raise",
    n_jobs: int | None = None,
    verbose: int = 0,
    desc: str = "images",
) -> Iterator[Outcome]:
    """Decode images and apply a function to each, in parallel, yielding in the order given.

    Parameters
    ----------
    function : callable
        Takes a decoded RGB image and its index, and returns an array. It must be picklable, and
        its result must depend on nothing else.
    sources : iterable of (int, source)
        The index that messages name, and what `skgeo.images.load_image` takes. It is read as the
        work goes on, so it may be a generator.
    total : int or None
        How many there are, for the progress bar.
    min_side : int or None
        See `skgeo.images.load_image`.
    on_error : {"raise", "nan"}
        On an image that cannot be read raise, or yield an outcome without a value.
    n_jobs : int or None
        As in scikit-learn. Memory holds the images in work, a few tasks for each worker.
    verbose : int
        Above 0 shows a progress bar.
    desc : str
        What the bar is called.

    Yields
    ------
    Outcome
        Position and value of each image.

    Raises
    ------
    ImageError
        If an image cannot be read and ``on_error`` is "raise". The message names its index and,
        if it has one, its path.
    TypeError
        If something is no image at all, whatever ``on_error``.
    """
    portable = is_remote() or effective_n_jobs(n_jobs) > 1
    chunks = _chunks(sources, portable)
    with single_threaded(), closing(_parallel(function, chunks, min_side, n_jobs)) as outcomes:
        for outcome in progress(outcomes, verbose=verbose, total=total, desc=desc, unit="img"):
            if outcome.value is None and on_error == "raise":
                raise ImageError(f"X[{outcome.position}]: {outcome.reason}")
            yield outcome


def _parallel(
    function: Function,
    chunks: Iterable[list[tuple[int, Any]]],
    min_side: int | None,
    n_jobs: int | None,
) -> Generator[Outcome, None, None]:
    results = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_apply)(function, chunk, min_side) for chunk in chunks
    )
    try:
        for chunk in results:
            yield from chunk
    finally:
        # After an error joblib would remark that it cancels the tasks that nobody waits for.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.close()


def _chunks(sources: Iterable[tuple[int, Any]], portable: bool) -> Iterator[list[tuple[int, Any]]]:
    iterator = iter(sources)
    while chunk := list(islice(iterator, _CHUNK)):
        yield [(index, _portable(source)) for index, source in chunk] if portable else chunk


def _portable(source: Any) -> Any:
    """Make of an image something that can be sent to another process."""
    if isinstance(source, Image.Image) or hasattr(source, "read"):
        # An open file cannot travel, and a PIL image that is not loaded yet may turn out to be
        # damaged on the way. What cannot be decoded is sent as its error.
        try:
            return load_image(source)
        except ImageError as error:
            return error
    return source


def _apply(function: Function, chunk: list[tuple[int, Any]], min_side: int | None) -> list[Outcome]:
    with single_threaded():
        return [_apply_one(function, index, source, min_side) for index, source in chunk]


def _apply_one(function: Function, index: int, source: Any, min_side: int | None) -> Outcome:
    try:
        if isinstance(source, ImageError):
            raise source
        image = load_image(source, min_side=min_side)
    except ImageError as error:
        return Outcome(index, None, str(error))
    except TypeError as error:
        raise TypeError(f"X[{index}]: {error}") from error
    except MemoryError as error:
        return Outcome(index, None, f"{describe_source(source)}: not enough memory ({error}).")
    return Outcome(index, function(image, index))


def stack_rows(
    outcomes: Iterable[Outcome], n_columns: int, n_images: int | None
) -> tuple[npt.NDArray[np.float32], Failures]:
    """Put rows below each other, with a row of NaN where an image could not be read.

    Parameters
    ----------
    outcomes : iterable of Outcome
        In the order of the rows.
    n_columns : int
        Length of a row.
    n_images : int or None
        How many there will be; None if only the iterable knows.

    Returns
    -------
    rows : ndarray of shape (n_images, n_columns)
        float32.
    failures : Failures
        The images that could not be read.
    """
    failures = Failures()
    missing = np.full(n_columns, np.nan, dtype=np.float32)

    def rows() -> Iterator[npt.NDArray[Any]]:
        for outcome in outcomes:
            if outcome.value is None:
                failures.add(outcome)
                yield missing
            else:
                yield outcome.value

    if n_images is None:
        listed = list(rows())
        stacked = np.array(listed, dtype=np.float32).reshape(len(listed), n_columns)
    else:
        stacked = np.empty((n_images, n_columns), dtype=np.float32)
        for position, row in enumerate(rows()):
            stacked[position] = row
    return stacked, failures
