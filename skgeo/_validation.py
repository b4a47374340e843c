"""Checks of places and POI labels, with messages that say what, where and what was expected.

Also the one door through which skgeo reaches scikit-learn's parameter validation, which is
not part of its public interface: should it move, it moves here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.utils._param_validation import (
    HasMethods,
    Hidden,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_params,
)

__all__ = [
    "HasMethods",
    "Hidden",
    "Interval",
    "InvalidParameterError",
    "Options",
    "Places",
    "StrOptions",
    "check_coordinates",
    "check_places",
    "validate_params",
]

_EXPECTED = "expected one row [latitude, longitude] in degrees for each sample"


def check_coordinates(
    y: Any, *, name: str = "y", n_samples: int | None = None, min_samples: int = 1
) -> npt.NDArray[np.float64]:
    """Locations as a C-contiguous float64 array of shape (n, 2), or an error that names the row.

    Parameters
    ----------
    y : array-like of shape (n_samples, 2)
        Latitude in [-90, 90] and longitude in [-180, 180], degrees. Lists, arrays and
        DataFrames are accepted.
    name : str
        How the messages call the argument.
    n_samples : int or None
        The number of rows that is expected, if known.
    min_samples : int
        The least number of rows.

    Returns
    -------
    ndarray of shape (n_samples, 2)
        The locations, float64. Not copied where they are that already.

    Raises
    ------
    ValueError
        If the shape, a type or a value is wrong. The message names the first bad row.
    """
    if hasattr(y, "to_numpy"):
        y = y.to_numpy()
    try:
        coordinates = np.asarray(y)
        if coordinates.dtype.kind == "c":
            raise TypeError
        if coordinates.dtype.kind in "USO" and coordinates.size:
            # Strings of digits convert silently; a column of text is a mistake to be told.
            coordinates = np.array(
                [[_as_float(v) for v in np.atleast_1d(np.asarray(row))] for row in coordinates]
            )
        coordinates = np.ascontiguousarray(coordinates, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} holds something that is not a number; {_EXPECTED}.") from error
    if coordinates.ndim != 2 or coordinates.shape[1] != 2:
        raise ValueError(
            f"{name} has shape {coordinates.shape}; {_EXPECTED}, that is shape (n, 2)."
        )
    if n_samples is not None and len(coordinates) != n_samples:
        raise ValueError(
            f"{name} has {len(coordinates)} rows but X has {n_samples} samples; {_EXPECTED}."
        )
    if len(coordinates) < min_samples:
        raise ValueError(
            f"{name} has {len(coordinates)} rows; at least {min_samples} expected: {_EXPECTED}."
        )
    finite = np.isfinite(coordinates)
    if not finite.all():
        row = int(np.flatnonzero(~finite.all(axis=1))[0])
        count = int((~finite.all(axis=1)).sum())
        raise ValueError(
            f"{name} contains NaN or infinity in {count} row(s), the first is row {row}: "
            f"{coordinates[row].tolist()}; {_EXPECTED}."
        )
    for column, what, bound in ((0, "latitude", 90.0), (1, "longitude", 180.0)):
        bad = np.abs(coordinates[:, column]) > bound
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            hint = ""
            if column == 0 and np.abs(coordinates[:, 1]).max() <= 90.0:
                hint = " Are latitude and longitude swapped?"
            raise ValueError(
                f"{name} has a {what} outside [-{bound:g}, {bound:g}] in {int(bad.sum())} row(s), "
                f"the first is row {row}: {coordinates[row].tolist()}; {_EXPECTED}.{hint}"
            )
    return coordinates


def _as_float(value: Any) -> float:
    if isinstance(value, str | bytes):
        raise TypeError
    return float(value)


def check_photo_numbers(index: Any, n_photos: int, *, name: str = "index") -> npt.NDArray[np.int64]:
    """One photo number or several as an array, counted from the end where negative."""
    photos = np.asarray(index)
    if photos.dtype.kind not in "iu" or photos.ndim > 1:
        raise ValueError(
            f"{name} is {index!r}; expected the number of a photo, or a sequence of such numbers."
        )
    photos = np.atleast_1d(photos).astype(np.int64)
    bad = (photos < -n_photos) | (photos >= n_photos)
    if bad.any():
        raise ValueError(
            f"{name} {int(photos[bad][0])} is out of range; there are {n_photos} photos, expected "
            f"{-n_photos} to {n_photos - 1}."
        )
    return np.where(photos < 0, photos + n_photos, photos)


class Places(NamedTuple):
    """What `check_places` found: coordinates to be clustered, or labels of known areas."""

    coordinates: npt.NDArray[np.float64] | None
    labels: npt.NDArray[np.intp] | None
    classes: npt.NDArray[Any] | None


def check_places(y: Any, *, n_samples: int, name: str = "y") -> Places:
    """Read ``y`` as locations (n, 2) or, if it has one axis, as the labels of known areas.

    Parameters
    ----------
    y : array-like of shape (n_samples, 2) or (n_samples,)
        Locations in degrees, or one hashable label (int, str, float) for each sample.
    n_samples : int
        The number of samples expected.
    name : str
        How the messages call the argument.

    Returns
    -------
    Places
        ``coordinates`` for locations; ``labels`` (0, 1, ...) and their ``classes`` for labels.

    Raises
    ------
    ValueError
        If the shape or a value is wrong.
    """
    if hasattr(y, "to_numpy"):
        y = y.to_numpy()
    array = np.asarray(y)
    if array.ndim != 1:
        if array.ndim == 2 and array.shape[1] == 2:
            return Places(check_coordinates(array, name=name, n_samples=n_samples), None, None)
        raise ValueError(
            f"{name} has shape {array.shape}; expected locations of shape (n, 2), "
            "[latitude, longitude] in degrees, or area labels of shape (n,)."
        )
    if len(array) != n_samples:
        raise ValueError(f"{name} has {len(array)} labels but X has {n_samples} samples.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array))[0])
        raise ValueError(f"{name} contains NaN or infinity; the first is the label of row {row}.")
    try:
        classes, labels = np.unique(array, return_inverse=True)
    except TypeError as error:
        raise ValueError(
            f"{name} mixes labels that cannot be compared: {error}; expected all of one type."
        ) from error
    return Places(None, labels.astype(np.intp, copy=False), classes)
