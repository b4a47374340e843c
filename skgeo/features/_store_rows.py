"""Rows of one chunk of images: transformed, guarded, in the type of the store."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from ..images import ImageError, load_image

__all__ = ["OnError", "checked_rows", "feature_names", "reason_of", "transform_chunk"]

OnError = Literal["raise", "nan"]


def transform_chunk(
    estimator: Any, sources: Sequence[Any], start: int, on_error: OnError
) -> tuple[npt.NDArray[Any], dict[int, str]]:
    """Transform some images; where that fails and may, one by one.

    Returns the rows, and the reasons for the rows of NaN that were put where the estimator raised.
    """
    try:
        return _transform(estimator, sources, start), {}
    except (ImageError, OSError, TypeError) as error:
        if isinstance(error, TypeError) or on_error == "raise":
            # The estimator counts from the beginning of the chunk.
            text = str(error)
            message = re.sub(r"^X\[(\d+)\]", lambda m: f"images[{start + int(m[1])}]", text)
            if message == text:
                raise
            raise type(error)(message) from error
    rows: list[npt.NDArray[Any] | None] = []
    errors: dict[int, str] = {}
    for i in range(len(sources)):
        try:
            rows.append(_transform(estimator, sources[i : i + 1], start + i)[0])
        except (ImageError, OSError) as error:
            rows.append(None)
            errors[i] = re.sub(r"^X\[0\]: ", "", str(error)) or type(error).__name__
    good = next((row for row in rows if row is not None), None)
    if good is None:
        names = feature_names(estimator)
        if names is None:
            raise ImageError(
                f"none of the images {start} to {start + len(sources) - 1} could be read, so "
                f"the number of columns is not known. The first: {errors[0]}"
            )
        good = np.empty(len(names), dtype=np.float32)
    missing = np.full(len(good), np.nan, dtype=np.float32)
    return np.stack([missing if row is None else row for row in rows]), errors


def _transform(estimator: Any, sources: Sequence[Any], start: int) -> npt.NDArray[Any]:
    with warnings.catch_warnings():
        # Said once for the whole store, with the right numbers.
        warnings.filterwarnings("ignore", message=r"\d+ of \d+ images could not be read")
        rows = estimator.transform(sources)
    if issparse(rows):
        raise TypeError("the estimator returns sparse rows; a store holds dense ones.")
    rows = np.asarray(rows)
    if (
        rows.ndim != 2
        or rows.shape[1] == 0
        or len(rows) != len(sources)
        or rows.dtype.kind not in "fiub"
    ):
        raise ValueError(
            f"images[{start}:{start + len(sources)}]: the estimator gave an array of shape "
            f"{rows.shape} of {rows.dtype}; expected {len(sources)} rows of numbers."
        )
    return rows


def checked_rows(
    rows: npt.NDArray[Any], dtype: np.dtype[Any], start: int, names: list[str] | None
) -> npt.NDArray[Any]:
    """Rows in the type of the store; all that is not finite is an error, but whole rows of NaN."""
    missing = np.isnan(rows).all(axis=1)
    with np.errstate(over="ignore"):
        stored = rows.astype(dtype)
    bad = ~np.isfinite(stored) & ~missing[:, np.newaxis]
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        value = rows[row, column]
        what = f"column {column if names is None else repr(names[column])} is {value}"
        if np.isfinite(value):
            limit = np.finfo(dtype).max
            remedy = "; use dtype='float32'" if dtype.itemsize == 2 else ""
            raise ValueError(
                f"images[{start + row}]: {what}, more than {dtype.name} holds ({limit:g}){remedy}."
            )
        raise ValueError(
            f"images[{start + row}]: {what}; expected finite values, or a row of NaN for an image "
            "that cannot be read."
        )
    return stored


def feature_names(estimator: Any) -> list[str] | None:
    # Not every transformer has names, and some parts of a Pipeline may not.
    try:
        return [str(name) for name in estimator.get_feature_names_out()]
    except (AttributeError, ValueError, TypeError):
        return None


def reason_of(source: Any) -> str:
    """Why an estimator may have returned NaN for an image."""
    try:
        load_image(source)
    except Exception as error:
        return str(error) or type(error).__name__
    return "the estimator returned a row of NaN."
