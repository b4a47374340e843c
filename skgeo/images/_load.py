"""Decoding, in one place: any form of an image to an RGB array."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ._errors import ImageError
from ._open import describe_source, open_image, quiet_pillow

__all__ = ["RGBArray", "load_image"]

#: uint8, or float32 from 0 to 1.
RGBArray = npt.NDArray[Any]

_ORIENTATION_TAG = 0x0112

# Float images may overshoot the unit interval by rounding or by the ringing of a resize filter.
_OVERSHOOT = 0.05

_STRIP_PIXELS = 1 << 20


def load_image(source: Any, *, min_side: int | None = None) -> RGBArray:
    """Decode an image from any form that a user may have into an upright RGB array.

    Parameters
    ----------
    source : str, Path, bytes, binary file object, PIL image or array
        Files and bytes may be JPEG, PNG, WebP, TIFF, GIF, BMP, JPEG 2000, AVIF or PPM (and HEIF
        where pillow-heif is installed). An array has the shape (H, W), (H, W, 1),
        (H, W, 3) or (H, W, 4), the last axis being grey, RGB or RGB and alpha; it is uint8,
        uint16 (full scale 65535), bool, another integer type with values 0 to 255, or a float
        type with values 0 to 1.
    min_side : int or None
        No more detail is needed than this many pixels on the shorter side. A larger JPEG may then
        be decoded at a half, a quarter or an eighth of its size, several times faster, but never
        so that its shorter side falls below ``min_side``. All other images are returned as they
        are. None decodes at full size.

    Returns
    -------
    ndarray of shape (H, W, 3)
        C-contiguous RGB: uint8, or float32 from 0 to 1 for sources of more than 8 bits. It may
        share memory with an array that was passed in.

    Raises
    ------
    ImageError
        If the image is damaged, truncated, empty, of an unknown format, has more pixels than
        twice ``PIL.Image.MAX_IMAGE_PIXELS``, or has values whose scale cannot be known. The
        message names the file.
    MissingImageError
        If there is no such file. Also a `FileNotFoundError`.
    TypeError
        If the source is none of the forms above.

    Notes
    -----
    The EXIF orientation is applied, also to PIL images that still carry the tag. Transparent
    pixels are composited on white, as a page would show them, so colours hidden under full
    transparency never count. Of an animation the first frame is taken. CMYK and palette images
    are converted to RGB without regard to colour profiles. 16-bit grey images are scaled by their
    full range; Pillow's own conversion would clip them at 255.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.images import load_image
    >>> load_image(np.full((2, 3), 65535, dtype=np.uint16))[0, 0]
    array([1., 1., 1.], dtype=float32)
    >>> load_image(np.zeros((2, 3, 4), dtype=np.uint8))[0, 0]  # transparent
    array([255, 255, 255], dtype=uint8)
    """
    if _is_missing(source):
        raise ImageError(f"there is no image: the value is {source!r}.")
    what = describe_source(source)
    # Strings of numpy and PIL images turn into arrays, too, but not into the pixels meant.
    if hasattr(source, "__array__") and not isinstance(source, str | bytes | Image.Image):
        pixels = _from_array(np.asarray(source), what)
    else:
        with open_image(source) as image:
            if min_side is not None and image is not source:
                # On an image of the user's own this would shrink what they hold.
                image.draft(None, (min_side, min_side))
            pixels = _from_pil(image, what)
    return np.ascontiguousarray(pixels)


def _is_missing(source: Any) -> bool:
    """Whether this is what a table holds where there is no value."""
    if isinstance(source, float):
        return math.isnan(source)
    return source is None or type(source).__name__ in ("NAType", "NaTType")


def _from_pil(image: Image.Image, what: str) -> RGBArray:
    if 0 in image.size:
        raise ImageError(f"{what}: the image has no pixels, its size is {image.size}.")
    # Pillow's decoders raise many types of exceptions on damaged files (struct.error, zlib.error,
    # MemoryError, even KeyError); whichever it is, the picture cannot be had.
    try:
        image.load()
        pixels = _decode(image, what)
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(
            f"{what}: the image cannot be decoded ({type(error).__name__}: {error})."
        ) from error
    return _upright(pixels, _orientation(image))


def _decode(image: Image.Image, what: str) -> RGBArray:
    """Convert a loaded PIL image to RGB, in the orientation in which it is stored."""
    mode = image.mode
    if mode.startswith("I;16"):
        return _from_array(np.asarray(image).astype(np.uint16), what)
    if mode == "I":
        return _from_array(_as_16_bit(np.asarray(image), what), what)
    if mode == "F":
        return _from_array(np.asarray(image), what)
    if "A" in mode or "a" in mode or "transparency" in image.info:
        return _over_white(np.asarray(image if mode == "RGBA" else image.convert("RGBA")))
    if mode == "L":
        return _three_channels(np.asarray(image))
    return np.asarray(image if mode == "RGB" else image.convert("RGB"))


def _as_16_bit(values: npt.NDArray[Any], what: str) -> npt.NDArray[np.uint16]:
    """Pillow's 32-bit mode, in which its older versions open 16-bit files."""
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"{what}: 32-bit integers from {values.min()} to {values.max()}, whose full scale "
            "cannot be known; convert the image to 8 or 16 bits."
        )
    return values.astype(np.uint16)


def _orientation(image: Image.Image) -> int:
    try:
        with quiet_pillow():
            return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # Damaged tags: the picture is shown as it is stored, as every viewer does.
        return 1


def _upright(pixels: RGBArray, orientation: int) -> RGBArray:
    """Turn and mirror as one of the eight values of the EXIF tag demands."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _from_array(array: npt.NDArray[Any], what: str) -> RGBArray:
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        hint = ""
        if array.ndim == 3 and array.shape[0] in (1, 3, 4):
            hint = " Are the channels on the first axis? They belong on the last."
        raise ImageError(
            f"{what}: expected the shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).{hint}"
        )
    if array.size == 0:
        raise ImageError(f"{what}: the image has no pixels.")
    kind = array.dtype.kind
    if kind == "b":
        pixels: Any = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype == np.uint8:
        pixels = array
    elif array.dtype.type is np.uint16:
        pixels = array.astype(np.float32) / np.float32(65535)
    elif kind in "iu":
        low, high = array.min(), array.max()
        if low < 0 or high > 255:
            raise ImageError(
                f"{what}: integers from {low} to {high}; expected 0 to 255, or uint16 for 16 bits."
            )
        pixels = array.astype(np.uint8)
    elif kind == "f":
        pixels = _unit_interval(array, what)
    else:
        raise ImageError(f"{what}: values of type {array.dtype} are no pixels.")
    if pixels.shape[2] == 4:
        return _over_white(pixels)
    return _three_channels(pixels[:, :, 0]) if pixels.shape[2] == 1 else pixels


def _unit_interval(array: npt.NDArray[Any], what: str) -> npt.NDArray[np.float32]:
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ImageError(f"{what}: contains NaN or infinity.")
    if low < -_OVERSHOOT or high > 1.0 + _OVERSHOOT:
        hint = " Divide it by 255, or pass it as uint8." if 1.0 < high <= 255.0 and low >= 0 else ""
        raise ImageError(f"{what}: floats from {low:g} to {high:g}; expected 0 to 1.{hint}")
    pixels = array.astype(np.float32)
    return pixels if low >= 0.0 and high <= 1.0 else pixels.clip(0.0, 1.0)


def _three_channels(grey: RGBArray) -> RGBArray:
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)


def _over_white(rgba: RGBArray) -> RGBArray:
    """Composite on white."""
    if rgba.dtype == np.uint8 and rgba[:, :, 3].min() == 255:
        return rgba[:, :, :3]
    rgb = np.empty((*rgba.shape[:2], 3), dtype=rgba.dtype)
    # By strips: the intermediate values of a whole image of 100 megapixels would take gigabytes.
    n_rows = max(1, _STRIP_PIXELS // rgba.shape[1])
    for start in range(0, len(rgba), n_rows):
        part = slice(start, start + n_rows)
        colour, alpha = rgba[part, :, :3], rgba[part, :, 3:]
        if rgba.dtype == np.uint8:
            weight = alpha.astype(np.uint32)
            # Plus 127 rounds to the nearest; sums stay below 2**17.
            rgb[part] = (colour * weight + 255 * (255 - weight) + 127) // 255
        else:
            rgb[part] = colour * alpha + (np.float32(1) - alpha)
    return rgb
