"""The collections of images that users pass as X, as one kind of sequence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
from PIL import Image

from ._open import describe_source

__all__ = ["check_images", "is_single_pass"]

_EXPECTED = (
    "expected a collection of images: a list of paths, arrays, PIL images, bytes or file objects, "
    "a Series of paths, or an array of shape (n, H, W, 3)"
)


def is_single_pass(X: Any) -> bool:
    """Whether X can be gone through only once, as a generator.

    Parameters
    ----------
    X : object
        What a user passed as a collection of images.

    Returns
    -------
    bool
        True for iterators: generators, ``map``, ``zip``, the result of ``Path.glob``.

    Examples
    --------
    >>> from skgeo.images import is_single_pass
    >>> is_single_pass(["a.jpg"]), is_single_pass(name for name in ["a.jpg"])
    (False, True)
    """
    return isinstance(X, Iterator) and not hasattr(X, "read")


def check_images(X: Any, *, name: str = "X") -> Sequence[Any]:
    """Take a collection of images in any form and return it as an indexable sequence.

    Nothing is decoded or read, and arrays are not copied.

    Parameters
    ----------
    X : collection of images
        A list or tuple of anything that `load_image` takes, of mixed sizes and kinds; a
        one-dimensional array, a pandas Series, or a DataFrame or array of one column, of paths or
        objects; an array of shape (n, H, W), (n, H, W, 1), (n, H, W, 3) or (n, H, W, 4); or an
        iterator of images, which is read to its end.
    name : str
        How the messages call the argument.

    Returns
    -------
    sequence
        A list or array with ``len`` and integer indices.

    Raises
    ------
    ValueError
        If X is a single image, is empty, or has a shape that is no collection of images.
    TypeError
        If X is no collection at all.

    Examples
    --------
    >>> import pandas as pd
    >>> from skgeo.images import check_images
    >>> check_images(pd.Series(["a.jpg", "b.jpg"], index=[7, 8]))
    ['a.jpg', 'b.jpg']
    >>> check_images("a.jpg")
    Traceback (most recent call last):
    ...
    ValueError: X is a single image, 'a.jpg'; expected a collection of images: ... Use ['a.jpg'].
    """
    if isinstance(X, str | os.PathLike):
        raise ValueError(
            f"{name} is a single image, {str(X)!r}; {_EXPECTED}. Use [{os.fspath(X)!r}]."
        )
    if isinstance(X, bytes | bytearray | memoryview | Image.Image) or hasattr(X, "read"):
        raise ValueError(
            f"{name} is a single image, {describe_source(X)}; {_EXPECTED}. Put it in a list."
        )
    if isinstance(X, Mapping | Set):
        raise TypeError(f"{name} is a {type(X).__name__}, which has no order of rows; {_EXPECTED}.")
    if hasattr(X, "to_numpy") and hasattr(X, "index"):
        # Labels of a Series' index would be taken for positions.
        X = X.to_numpy(dtype=object)
    elif hasattr(X, "__array__") and not isinstance(X, np.ndarray):
        X = np.asarray(X)
    images: Sequence[Any]
    if isinstance(X, np.ndarray):
        images = _from_array(X, name)
    elif isinstance(X, list | tuple) or (hasattr(X, "__len__") and hasattr(X, "__getitem__")):
        images = X
    elif isinstance(X, Iterable):
        images = list(X)
    else:
        raise TypeError(f"{name} is of type {type(X).__name__}; {_EXPECTED}.")
    if len(images) == 0:
        raise ValueError(f"{name} holds 0 images; at least 1 is needed.")
    return images


def _from_array(X: np.ndarray[Any, Any], name: str) -> Sequence[Any]:
    if X.dtype.kind == "S":
        raise ValueError(
            f"{name} is an array of dtype {X.dtype}, which cuts off the zeros that encoded "
            "images end with; use a list of bytes, or strings for paths."
        )
    if X.dtype.kind in "OU":
        if X.ndim == 2 and X.shape[1] == 1:
            X = X[:, 0]
        if X.ndim == 1:
            return list(X)
    elif (X.ndim == 4 and X.shape[3] in (1, 3, 4)) or (X.ndim == 3 and X.shape[2] not in (1, 3, 4)):
        return X  # type: ignore[return-value]
    hint = ""
    if X.ndim == 3 and X.dtype.kind not in "OU":
        hint = " If it is one image, put it in a list."
    elif X.ndim == 4 and X.shape[1] in (1, 3, 4):
        hint = " Are the channels on the second axis? They belong on the last."
    elif X.ndim == 2 and X.dtype.kind not in "OU":
        hint = " Numbers in two dimensions are a table or one grey image; put an image in a list."
    raise ValueError(f"{name} is an array of shape {X.shape} of {X.dtype}; {_EXPECTED}.{hint}")
