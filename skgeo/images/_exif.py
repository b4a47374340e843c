"""Where the camera says it was: the position in a photograph's EXIF data."""

from __future__ import annotations

import math
from typing import Any

from PIL import ExifTags

from ._open import open_image, quiet_pillow

__all__ = ["read_exif_position"]

_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE = 1, 2, 3, 4


def read_exif_position(source: Any) -> tuple[float, float] | None:
    """Latitude and longitude that the camera wrote into a photograph.

    The pixels are not decoded, so this takes well under a millisecond for a JPEG file.

    Parameters
    ----------
    source : str, Path, bytes, binary file object or PIL image
        The photograph.

    Returns
    -------
    tuple of (float, float) or None
        ``(latitude, longitude)`` in degrees, south and west negative. None where there is no
        position, or none that can be trusted: no letter for the hemisphere, a denominator of
        zero, minutes or seconds above 60, a latitude above 90 or a longitude above 180 degrees,
        damaged tags, and exactly 0, 0, which cameras without a fix write.

    Raises
    ------
    ImageError
        If the file is no image that can be read.
    MissingImageError
        If there is no such file.

    See Also
    --------
    skgeo.datasets.load_geotagged_photos : Reads whole folders and lists what it left out.

    Examples
    --------
    >>> from PIL import Image
    >>> from skgeo.images import read_exif_position
    >>> photo = Image.new("RGB", (64, 48))
    >>> read_exif_position(photo) is None
    True
    >>> gps = photo.getexif().get_ifd(0x8825)
    >>> gps.update({1: "S", 2: (33.0, 51.0, 24.84), 3: "E", 4: (151.0, 12.0, 55.08)})
    >>> latitude, longitude = read_exif_position(photo)
    >>> print(f"{latitude:.4f} {longitude:.4f}")
    -33.8569 151.2153
    """
    with open_image(source) as image:
        # Tags are written by thousands of programs and Pillow's readers of them raise nearly
        # anything; a damaged tag means that there is no position, not that the photo is bad.
        try:
            with quiet_pillow():
                gps = dict(image.getexif().get_ifd(ExifTags.IFD.GPSInfo))
        except Exception:
            return None
    latitude = _signed_degrees(gps.get(_LATITUDE), gps.get(_LATITUDE_REF), "N", "S", 90.0)
    longitude = _signed_degrees(gps.get(_LONGITUDE), gps.get(_LONGITUDE_REF), "E", "W", 180.0)
    if latitude is None or longitude is None or (latitude == 0.0 and longitude == 0.0):
        return None
    return latitude, longitude


def _signed_degrees(
    value: Any, reference: Any, positive: str, negative: str, bound: float
) -> float | None:
    """Degrees, minutes and seconds with the letter of their hemisphere, as signed degrees."""
    degrees = _degrees(value)
    letter = _letter(reference)
    if degrees is None or letter not in (positive, negative):
        return None
    if degrees < 0.0:
        # Outside the standard, but seen: the sign repeats the letter. Where it contradicts the
        # letter nobody can say which of the two is wrong.
        if letter == positive:
            return None
        degrees = -degrees
    if degrees > bound:
        return None
    # Adding 0.0 turns -0.0 into 0.0.
    return (-degrees if letter == negative else degrees) + 0.0


def _letter(reference: Any) -> str:
    if isinstance(reference, bytes):
        reference = reference.decode("ascii", errors="replace")
    if not isinstance(reference, str):
        return ""
    # "N", "n", "N\0" and "North" are all found in the wild.
    return reference.strip("\0 ").upper()[:1]


def _degrees(value: Any) -> float | None:
    """One to three rationals (degrees, minutes, seconds) as degrees, or None."""
    if isinstance(value, str | bytes) or value is None:
        return None
    try:
        parts = list(value)
    except TypeError:
        parts = [value]
    if not 1 <= len(parts) <= 3:
        return None
    numbers = [_number(part) for part in parts]
    # Decimal degrees (or minutes) are sometimes followed by parts that say 0/0: not used. After a
    # whole number the same 0/0 means that the position is known only to a degree or a minute.
    while len(numbers) > 1 and numbers[-1] is None and _is_unused(parts[-1]):
        if numbers[-2] is not None and float(numbers[-2]).is_integer():
            return None
        numbers.pop()
        parts.pop()
    total, scale = 0.0, 1.0
    for position, number in enumerate(numbers):
        if number is None or (position > 0 and not 0.0 <= number <= 60.0):
            return None
        total += math.copysign(number, numbers[0] or 0.0) / scale if position else number
        scale *= 60.0
    return total


def _number(part: Any) -> float | None:
    try:
        if isinstance(part, tuple):
            part = part[0] / part[1]
        number = float(part)
    except (TypeError, ValueError, ArithmeticError, LookupError):
        return None
    return number if math.isfinite(number) else None


def _is_unused(part: Any) -> bool:
    """Whether a rational is 0/0."""
    numerator = part[0] if isinstance(part, tuple) else getattr(part, "numerator", None)
    return numerator == 0
