"""What goes wrong with an image, as exceptions that say which image it was."""

from __future__ import annotations

from typing import Any

__all__ = ["ImageError", "MissingImageError"]


class ImageError(ValueError):
    """An image cannot be read, or its pixels cannot be trusted.

    The message names the file or, in a collection, the index of the image, and says what was
    wrong. It is a `ValueError`, so that code that knows nothing of skgeo can catch it.

    Examples
    --------
    >>> from skgeo.images import ImageError, load_image
    >>> try:
    ...     load_image(b"these bytes are no picture")
    ... except ImageError as error:
    ...     print(error)
    26 bytes: not an image in a format that can be read (it begins with b'these bytes are ').
    """


class MissingImageError(ImageError, FileNotFoundError):
    """There is no file at the path of an image. Also a `FileNotFoundError`."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Dask's pickling of exceptions calls __new__, which of two built-in bases is the wrong one.
        return type(self), self.args, self.__dict__
