"""From a path, bytes, a file object or a PIL image to an open, not yet decoded PIL image."""

from __future__ import annotations

import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from ._errors import ImageError, MissingImageError

__all__ = ["describe_source", "open_image", "quiet_pillow"]

# Formats that hold photographs and can be recognised by their first bytes. Others are left out on
# purpose: some of Pillow's readers have no signature to check and make a picture of any bytes
# (TGA, PCX), and EPS and WMF run another program.
_FORMATS = (
    "JPEG", "MPO", "PNG", "WEBP", "TIFF", "GIF", "BMP", "DIB", "JPEG2000", "AVIF", "HEIF", "PPM",
)  # fmt: skip

#: Brands of HEIF files, the photographs of iPhones, behind the size of the first box and "ftyp".
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

_lock = threading.RLock()
_initialised = False


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's remarks on odd metadata, one thread at a time.

    Python's warning filters belong to the whole process, so threads that open images together
    must not exchange them under each other's hands.
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _formats() -> tuple[str, ...]:
    """Those of our formats that Pillow can read here; a plugin (HEIF) may come at any time."""
    global _initialised
    if not _initialised:
        Image.init()
        _initialised = True
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _can_read_heif() -> bool:
    """Whether Pillow reads HEIF; the plugin is registered where it is installed."""
    with _lock:
        if "HEIF" in Image.OPEN:
            return True
        try:
            import pillow_heif
        except ImportError:
            return False
        pillow_heif.register_heif_opener()
        return True


def describe_source(source: Any) -> str:
    """Name an image for a message: its path if it has one.

    Parameters
    ----------
    source : object
        Whatever stands for an image.

    Returns
    -------
    str
        For example ``'photos/a.jpg'``, ``4711 bytes`` or ``array of shape (3, 4) of float64``.
    """
    if isinstance(source, str | Path):
        return repr(str(source))
    if isinstance(source, bytes | bytearray | memoryview):
        return f"{len(source)} bytes"
    if isinstance(source, Image.Image):
        name = getattr(source, "filename", "")
        return repr(str(name)) if name else f"PIL image {source.size[0]}x{source.size[1]}"
    name = getattr(source, "name", None)
    if hasattr(source, "read") and isinstance(name, str):
        return repr(name)
    shape = getattr(source, "shape", None)
    if shape is not None:
        return f"array of shape {tuple(shape)} of {getattr(source, 'dtype', '?')}"
    return f"object of type {type(source).__name__}"


@contextmanager
def open_image(source: Any) -> Iterator[Image.Image]:
    """Open an image without decoding its pixels; files that were opened here are closed.

    Parameters
    ----------
    source : str, Path, bytes, binary file object or PIL image
        A file object is read from its beginning; it and a PIL image are left open, and the file
        object is put back where it stood.

    Yields
    ------
    PIL.Image.Image
        The image, its first frame if there are several.

    Raises
    ------
    ImageError
        If the bytes are no image that can be read, or one of too many pixels.
    MissingImageError
        If there is no such file.
    TypeError
        If the source is none of these.
    """
    if isinstance(source, Image.Image):
        yield source
        return
    what = describe_source(source)
    with ExitStack() as stack:
        if isinstance(source, str | os.PathLike):
            # Opened here, not by Pillow, which would keep a failed file open until collected.
            try:
                mode = os.stat(source).st_mode
                # Opening a named pipe would wait for somebody to write to it.
                waits = stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)
                file: Any = None if waits else stack.enter_context(open(source, "rb"))
            except FileNotFoundError as error:
                raise MissingImageError(f"{what}: no such file.") from error
            except (OSError, ValueError) as error:
                raise ImageError(f"{what}: cannot be read ({_reason(error)}).") from error
            if file is None:
                raise ImageError(f"{what}: a pipe or device, not a file.")
        elif isinstance(source, bytes | bytearray | memoryview):
            file = io.BytesIO(source)
        elif hasattr(source, "read") and hasattr(source, "seek"):
            file = source
            try:
                stack.callback(source.seek, source.tell())
                source.seek(0)
            except (OSError, ValueError) as error:
                raise ImageError(f"{what}: the file object cannot be rewound ({error}).") from error
            if not isinstance(source.read(0), bytes):
                raise TypeError(f"{what}: the file is open as text; open it with mode 'rb'.")
        else:
            raise TypeError(
                f"{what} is no image; expected a path, encoded bytes, a binary file object, "
                "a PIL image or an array."
            )
        yield _identify(file, what)


def _identify(file: Any, what: str) -> Image.Image:
    try:
        head = file.read(16)
        file.seek(0)
    except OSError as error:
        raise ImageError(f"{what}: cannot be read ({_reason(error)}).") from error
    if not head:
        raise ImageError(f"{what}: the file is empty.")
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS and not _can_read_heif():
        raise ImageError(
            f"{what}: HEIF (HEIC) photographs need the package pillow-heif "
            '(pip install "skgeo[heif]").'
        )
    try:
        with quiet_pillow():
            return Image.open(file, formats=_formats())
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{what}: not an image in a format that can be read (it begins with {head!r})."
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{what}: too many pixels ({_reason(error)}) Raise PIL.Image.MAX_IMAGE_PIXELS "
            "if you trust it."
        ) from error
    except Exception as error:  # Pillow's readers raise nearly anything on damaged headers.
        raise ImageError(f"{what}: the file is damaged ({_reason(error)}).") from error


def _reason(error: BaseException) -> str:
    text = str(getattr(error, "strerror", None) or error)
    return text or type(error).__name__
