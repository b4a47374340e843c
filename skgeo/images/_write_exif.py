"""A position written into a copy of a photograph; its pixels and other tags stay as they are.

Nothing is decoded or encoded again. EXIF data are a TIFF structure whose parts refer to each other
by absolute offsets. A new first directory and a new GPS directory are appended, and everything
else is left where it is, so that makers' notes and the embedded preview stay valid too.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

from .._whole_file import temporary_beside
from ._errors import ImageError, MissingImageError
from ._exif import read_exif_position

__all__ = ["write_exif_position"]

_GPS_POINTER = 0x8825
_VERSION, _LAT_REF, _LAT, _LON_REF, _LON = 0, 1, 2, 3, 4
_METHOD, _ERROR_M = 0x1B, 0x1F
_BYTE, _ASCII, _LONG, _RATIONAL, _UNDEFINED = 1, 2, 4, 5, 7
_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_PNG = b"\x89PNG\r\n\x1a\n"
_EXIF = b"Exif\0\0"
#: Seconds of arc are written in millionths: 0.03 mm.
_DENOMINATOR = 1_000_000

#: Tag, type, count and the four bytes that hold the value or its offset.
_Entry = tuple[int, int, int, bytes]


def write_exif_position(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    latitude: float,
    longitude: float,
    *,
    error_km: float | None = None,
    replace: bool = False,
) -> None:
    """Copy a JPEG or PNG photograph and give the copy a position.

    The pixels are copied bit for bit, and so are all other tags. The original is only read. Tools
    that show where a photo was taken will show the position; the tag GPSProcessingMethod says
    that it was estimated.

    Parameters
    ----------
    source : str or Path
        The photograph.
    destination : str or Path
        The copy, which must not exist.
    latitude, longitude : float
        Degrees.
    error_km : float or None, default=None
        Radius within which the position is believed to be, in km; written as
        GPSHPositioningError.
    replace : bool, default=False
        Whether a photograph that has a position already may be given another one.

    Raises
    ------
    MissingImageError
        If there is no such photograph.
    ImageError
        If it is neither JPEG nor PNG, is damaged, or its EXIF data leave no room.
    FileExistsError
        If the destination exists.
    ValueError
        If the position or the radius is out of range, or the photograph has a position and
        ``replace`` is False.

    See Also
    --------
    read_exif_position : Reads it.

    References
    ----------
    CIPA DC-008, *Exchangeable image file format for digital still cameras: Exif version 2.32*,
    section 4.6.6, GPS attribute information.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skgeo.images import read_exif_position, write_exif_position
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     photo, copy = Path(folder, "photo.jpg"), Path(folder, "copy.jpg")
    ...     Image.new("RGB", (64, 48)).save(photo)
    ...     write_exif_position(photo, copy, -33.8569, 151.2153, error_km=25.0)
    ...     latitude, longitude = read_exif_position(copy)
    >>> print(f"{latitude:.4f} {longitude:.4f}")
    -33.8569 151.2153
    """
    for name, value, bound in (("latitude", latitude, 90.0), ("longitude", longitude, 180.0)):
        if not -bound <= value <= bound:
            raise ValueError(f"{name}={value} is not within [-{bound:g}, {bound:g}] degrees.")
    if error_km is not None and not 0.0 <= error_km <= 20_100.0:
        raise ValueError(f"error_km={error_km}; expected a radius on the Earth in km, or None.")
    source, destination = Path(source), Path(destination)
    if destination.exists():
        raise FileExistsError(f"{str(destination)!r} exists; expected a new name.")
    if not replace and read_exif_position(source) is not None:
        raise ValueError(f"{str(source)!r} has a position already; pass replace=True for another.")
    try:
        data = source.read_bytes()
    except FileNotFoundError as error:
        raise MissingImageError(f"{str(source)!r}: no such file.") from error
    except OSError as error:
        raise ImageError(f"{str(source)!r}: cannot be read ({error.strerror}).") from error
    what = repr(str(source))
    position = (float(latitude), float(longitude), error_km)
    if data[:2] == b"\xff\xd8":
        copy = _into_jpeg(data, what, position)
    elif data[:8] == _PNG:
        copy = _into_png(data, what, position)
    else:
        raise ImageError(f"{what}: positions can be written into JPEG and PNG files only.")
    _put(copy, destination)


def _put(data: bytes, destination: Path) -> None:
    """Write a file that is there as a whole or not at all, and replaces no other."""
    with temporary_beside(destination) as name:
        Path(name).write_bytes(data)
        # A link fails where a file of this name has come meanwhile; renaming would replace it.
        try:
            os.link(name, destination)
        except FileExistsError:
            raise
        except (OSError, AttributeError):
            os.replace(name, destination)


def _into_jpeg(data: bytes, what: str, position: tuple[float, float, float | None]) -> bytes:
    """Replace or insert the segment APP1 that holds the EXIF data."""
    at = insert = 2
    begin = end = -1
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        if data[at + 1] == 0xFF:  # padding
            at += 1
            continue
        length = struct.unpack_from(">H", data, at + 2)[0]
        if length < 2 or at + 2 + length > len(data):
            raise ImageError(f"{what}: a segment at byte {at} is longer than the file.")
        if data[at + 1] == 0xE0 and insert == at:  # JFIF stays first
            insert = at + 2 + length
        if data[at + 1] == 0xE1 and data[at + 4 : at + 10] == _EXIF and begin < 0:
            begin, end = at, at + 2 + length
        at += 2 + length
    tiff = data[begin + 10 : end] if begin >= 0 else b""
    payload = _EXIF + _with_position(tiff, what, position)
    if len(payload) > 65_533:
        raise ImageError(f"{what}: its EXIF data fill the segment; there is no room for more.")
    if begin < 0:
        begin = end = insert
    segment = b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload
    return data[:begin] + segment + data[end:]


def _into_png(data: bytes, what: str, position: tuple[float, float, float | None]) -> bytes:
    """Replace the chunk eXIf, or insert it before the pixels."""
    at, first_pixels, begin, end = 8, -1, -1, -1
    tiff = b""
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        stop = at + 12 + length
        if stop > len(data):
            raise ImageError(f"{what}: a chunk at byte {at} is longer than the file.")
        if kind == b"IDAT" and first_pixels < 0:
            first_pixels = at
        if kind == b"eXIf" and begin < 0:
            begin, end, tiff = at, stop, data[at + 8 : stop - 4]
        at = stop
    if first_pixels < 0:
        raise ImageError(f"{what}: no pixels were found in this PNG file.")
    body = b"eXIf" + _with_position(tiff, what, position)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    if begin < 0:
        begin = end = first_pixels
    return data[:begin] + chunk + data[end:]


def _with_position(tiff: bytes, what: str, position: tuple[float, float, float | None]) -> bytes:
    """Append directories with the position to a TIFF structure, or make one."""
    entries: list[_Entry] = []
    gps: list[_Entry] = []
    if not tiff:
        order, following = ">", 0
        tiff = b"MM\0\x2a\0\0\0\x08"
    else:
        order = {b"II": "<", b"MM": ">"}.get(tiff[:2], "")
        if not order or len(tiff) < 14 or struct.unpack_from(order + "H", tiff, 2)[0] != 42:
            raise ImageError(f"{what}: its EXIF data are damaged; nothing can be added.")
        first = struct.unpack_from(order + "I", tiff, 4)[0]
        entries, following = _read_directory(tiff, first, order, what)
        pointers = [e[3] for e in entries if e[0] == _GPS_POINTER]
        gps = []
        if pointers:
            at = struct.unpack(order + "I", pointers[0])[0]
            gps, _ = _read_directory(tiff, at, order, what)
    tiff += b"\0" * (len(tiff) % 2)
    gps_at = len(tiff)
    tiff += _gps_directory(gps, gps_at, order, position)
    first = len(tiff)
    entries = [e for e in entries if e[0] != _GPS_POINTER]
    entries.append((_GPS_POINTER, _LONG, 1, struct.pack(order + "I", gps_at)))
    tiff += _pack_directory(entries, following, order)
    return tiff[:4] + struct.pack(order + "I", first) + tiff[8:]


def _read_directory(tiff: bytes, at: int, order: str, what: str) -> tuple[list[_Entry], int]:
    """Entries of a directory, and the offset of the one that follows it."""
    try:
        count = struct.unpack_from(order + "H", tiff, at)[0]
        entries = [struct.unpack_from(order + "HHI4s", tiff, at + 2 + 12 * i) for i in range(count)]
        end = at + 2 + 12 * count
        # Some cameras end the data here: then there is nothing that follows.
        following = struct.unpack_from(order + "I", tiff, end)[0] if end + 4 <= len(tiff) else 0
    except struct.error as error:
        raise ImageError(f"{what}: its EXIF data are damaged; nothing can be added.") from error
    return entries, following


def _pack_directory(entries: list[_Entry], following: int, order: str) -> bytes:
    entries = sorted(entries, key=lambda entry: entry[0])
    packed = b"".join(struct.pack(order + "HHI4s", *entry) for entry in entries)
    return struct.pack(order + "H", len(entries)) + packed + struct.pack(order + "I", following)


def _gps_directory(
    others: list[_Entry], at: int, order: str, position: tuple[float, float, float | None]
) -> bytes:
    """A GPS directory at an offset, its values behind it."""
    latitude, longitude, error_km = position
    values: list[tuple[int, int, bytes]] = [
        (_VERSION, _BYTE, bytes([2, 3, 0, 0])),
        (_LAT_REF, _ASCII, b"S\0" if latitude < 0.0 else b"N\0"),
        (_LAT, _RATIONAL, _degrees(abs(latitude), order)),
        (_LON_REF, _ASCII, b"W\0" if longitude < 0.0 else b"E\0"),
        (_LON, _RATIONAL, _degrees(abs(longitude), order)),
        (_METHOD, _UNDEFINED, b"ASCII\0\0\0estimated from pixels (skgeo)"),
    ]
    if error_km is not None:
        values.append((_ERROR_M, _RATIONAL, struct.pack(order + "II", round(error_km * 1e5), 100)))
    # The new position stands alone: what was said of the accuracy of an older one is dropped.
    written = {tag for tag, _, _ in values} | {_ERROR_M, 0x0B}
    entries = [entry for entry in others if entry[0] not in written]
    behind = at + 2 + 12 * (len(entries) + len(values)) + 4
    extra = b""
    for tag, kind, value in values:
        count = len(value) // _SIZE[kind]
        if len(value) <= 4:
            entries.append((tag, kind, count, value.ljust(4, b"\0")))
            continue
        entries.append((tag, kind, count, struct.pack(order + "I", behind + len(extra))))
        extra += value + b"\0" * (len(value) % 2)
    return _pack_directory(entries, 0, order) + extra


def _degrees(value: float, order: str) -> bytes:
    """Degrees, minutes and seconds as three rationals; whole units carry over."""
    units = round(value * 3600.0 * _DENOMINATOR)
    minutes, seconds = divmod(units, 60 * _DENOMINATOR)
    degrees, minutes = divmod(minutes, 60)
    return struct.pack(order + "IIIIII", degrees, 1, minutes, 1, seconds, _DENOMINATOR)
