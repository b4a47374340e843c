"""EXIF positions: written by Pillow, and by hand with every oddity that cameras are known for."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from skgeo.images import ImageError, MissingImageError, read_exif_position

N, S, E, W = b"N\0", b"S\0", b"E\0", b"W\0"
ASCII, RATIONAL, SRATIONAL, DOUBLE = 2, 5, 10, 12


def exif_blob(tags: dict[int, tuple[int, object]], *, order: str = "<", gps_offset=None) -> bytes:
    """A TIFF structure with nothing but a GPS directory, byte by byte as the standard says.

    ``tags`` maps a tag to (type, value): bytes for ASCII, a list of (numerator, denominator) for
    rationals, a list of floats for doubles.
    """
    entry = struct.Struct(order + "HHI4s")
    offset = 8 + 2 + 12 + 4
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    link = struct.pack(order + "I", offset if gps_offset is None else gps_offset)
    ifd0 = struct.pack(order + "H", 1) + entry.pack(0x8825, 4, 1, link) + bytes(4)
    data_at = offset + 2 + 12 * len(tags) + 4
    entries, data = b"", b""
    for tag, (kind, value) in sorted(tags.items()):
        if kind == ASCII:
            raw, count = value, len(value)
        elif kind == DOUBLE:
            raw, count = struct.pack(f"{order}{len(value)}d", *value), len(value)
        else:
            code = "II" if kind == RATIONAL else "ii"
            raw = b"".join(struct.pack(order + code, *pair) for pair in value)
            count = len(value)
        if len(raw) <= 4:
            entries += entry.pack(tag, kind, count, raw.ljust(4, b"\0"))
        else:
            entries += entry.pack(tag, kind, count, struct.pack(order + "I", data_at + len(data)))
            data += raw
    gps = struct.pack(order + "H", len(tags)) + entries + bytes(4)
    return b"Exif\0\0" + head + ifd0 + gps + data


def jpeg(exif: bytes | None = None) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6)).save(buffer, "JPEG", **({} if exif is None else {"exif": exif}))
    return buffer.getvalue()


def tags(lat, lat_ref=N, lon=((1, 1), (0, 1), (0, 1)), lon_ref=E, kind=RATIONAL):
    made = {2: (kind, list(lat)), 4: (kind, list(lon))}
    if lat_ref is not None:
        made[1] = (ASCII, lat_ref)
    if lon_ref is not None:
        made[3] = (ASCII, lon_ref)
    return made


def read(made, **kwargs):
    return read_exif_position(jpeg(exif_blob(made, **kwargs)))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("lat_ref", "lon_ref", "signs"), [
    (N, E, (1, 1)), (S, E, (-1, 1)), (N, W, (1, -1)), (S, W, (-1, -1)),
])  # fmt: skip
def test_degrees_minutes_seconds_in_every_quadrant_and_byte_order(order, lat_ref, lon_ref, signs):
    made = tags([(37, 1), (46, 1), (2964, 100)], lat_ref, [(122, 1), (25, 1), (99, 10)], lon_ref)
    expected = (signs[0] * (37 + 46 / 60 + 29.64 / 3600), signs[1] * (122 + 25 / 60 + 9.9 / 3600))
    assert read(made, order=order) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("values", [
    [(376665, 10000)],
    [(376665, 10000), (0, 1), (0, 1)],
    [(376665, 10000), (0, 0), (0, 0)],
    [(37, 1), (3999, 100)],
    [(37, 1), (3999, 100), (0, 1)],
    [(37, 1), (3999, 100), (0, 0)],
    [(37, 1), (39, 1), (594, 10)],
])  # fmt: skip
def test_decimal_degrees_and_decimal_minutes(values):
    assert read(tags(values)) == pytest.approx((37.6665, 1.0), abs=1e-12)


@pytest.mark.parametrize("values", [
    [(37, 1), (46, 1), (0, 0)],  # known to a minute only
    [(37, 1), (0, 0), (0, 0)],  # known to a degree only
    [(0, 0), (46, 1), (0, 1)],
    [(0, 0), (0, 0), (0, 0)],
    [(37, 1), (46, 1), (5, 0)],
    [(37, 0), (46, 1), (5, 1)],
    [(37, 1), (61, 1), (0, 1)],
    [(37, 1), (46, 1), (2964, 1)],
    [(91, 1), (0, 1), (0, 1)],
    [(90, 1), (0, 1), (1, 1000)],
    [(4294967259, 1), (0, 1), (0, 1)],
    [(37, 1), (46, 1), (5, 1), (0, 1)],
])  # fmt: skip
def test_values_that_are_no_latitude(values):
    assert read(tags(values)) is None


def test_the_poles_and_the_antimeridian_are_places():
    edge = tags([(90, 1), (0, 1), (0, 1)], S, [(180, 1), (0, 1), (0, 1)], W)
    assert read(edge) == (-90.0, -180.0)
    beyond = tags([(10, 1), (0, 1), (0, 1)], N, [(180, 1), (0, 1), (1, 100)], E)
    assert read(beyond) is None


@pytest.mark.parametrize("letter", [b"S\0", b"s\0", b"S", b"South\0", b" S\0"])
def test_the_letter_of_the_hemisphere_in_any_spelling(letter):
    assert read(tags([(12, 1), (30, 1), (0, 1)], letter)) == (-12.5, 1.0)


@pytest.mark.parametrize("letter", [None, b"\0", b"X\0", b"E\0"])
def test_without_its_hemisphere_a_number_is_no_position(letter):
    assert read(tags([(12, 1), (30, 1), (0, 1)], letter)) is None


def test_signed_rationals_agree_with_their_letter_or_are_refused():
    lat, lon = [(-12, 1), (30, 1), (0, 1)], [(5, 1), (0, 1), (0, 1)]
    assert read(tags(lat, S, lon, kind=SRATIONAL)) == (-12.5, 5.0)
    assert read(tags(lat, N, lon, kind=SRATIONAL)) is None


def test_doubles_in_place_of_rationals():
    assert read(tags([12.0, 30.0, 0.0], S, [5.25], W, kind=DOUBLE)) == (-12.5, -5.25)
    assert read(tags([float("nan")], S, [5.25], W, kind=DOUBLE)) is None


def test_null_island_is_a_camera_without_a_fix_but_the_equator_is_a_place():
    zero = [(0, 1), (0, 1), (0, 1)]
    assert read(tags(zero, N, zero, E)) is None
    assert read(tags(zero, S, [(5, 1), (0, 1), (0, 1)], W)) == (0.0, -5.0)
    assert str(read(tags(zero, S, [(5, 1), (0, 1), (0, 1)], W))[0]) == "0.0"


def test_only_one_of_the_two():
    made = tags([(12, 1), (30, 1), (0, 1)])
    assert read({tag: made[tag] for tag in (1, 2)}) is None
    assert read({tag: made[tag] for tag in (3, 4)}) is None
    assert read({}) is None


@pytest.mark.parametrize("gps_offset", [0, 5, 4000, 2**32 - 1])
def test_a_directory_that_is_not_where_it_should_be(gps_offset):
    assert read(tags([(12, 1), (30, 1), (0, 1)]), gps_offset=gps_offset) is None


def test_damaged_exif_data_are_no_position_and_no_error():
    blob = exif_blob(tags([(12, 1), (30, 1), (0, 1)], S))
    assert read_exif_position(jpeg(blob)) == (-12.5, 1.0)
    generator = np.random.default_rng(0)
    for length in range(len(blob)):
        assert read_exif_position(jpeg(blob[:length])) in (None, (-12.5, 1.0))
        mutated = bytearray(blob)
        mutated[generator.integers(6, len(blob))] ^= 1 << generator.integers(8)
        position = read_exif_position(jpeg(bytes(mutated)))
        assert position is None or (abs(position[0]) <= 90 and abs(position[1]) <= 180)


def with_position(image: Image.Image) -> Image.Exif:
    exif = image.getexif()
    rational = TiffImagePlugin.IFDRational
    exif[0x010F] = "maker"
    position = {
        1: "N", 2: (rational(19, 1), rational(26, 1), rational(0, 1)),
        3: "W", 4: (rational(99, 1), rational(8, 1), rational(0, 1)),
    }  # fmt: skip
    exif.get_ifd(0x8825).update(position)
    exif[0x8825] = position  # for Pillow's writer of TIFF, which looks here
    return exif


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
def test_every_form_of_a_photo(tmp_path: Path, extension):
    expected = pytest.approx((19 + 26 / 60, -(99 + 8 / 60)), abs=1e-9)
    image = Image.new("RGB", (9, 7))
    path = tmp_path / f"photo.{extension}"
    image.save(path, exif=with_position(image))
    assert read_exif_position(path) == expected
    assert read_exif_position(str(path)) == expected
    assert read_exif_position(path.read_bytes()) == expected
    with path.open("rb") as file:
        file.seek(3)
        assert read_exif_position(file) == expected
        assert file.tell() == 3
    with Image.open(path) as opened:
        assert read_exif_position(opened) == expected
        assert opened.load() is not None


def test_what_is_no_image_says_so(tmp_path: Path):
    with pytest.raises(MissingImageError, match=r"nowhere\.jpg.*no such file"):
        read_exif_position(tmp_path / "nowhere.jpg")
    with pytest.raises(FileNotFoundError):
        read_exif_position(tmp_path / "nowhere.jpg")
    text = tmp_path / "text.jpg"
    text.write_text("Dear diary")
    with pytest.raises(ImageError, match=r"text\.jpg.*not an image.*Dear diary"):
        read_exif_position(text)
    empty = tmp_path / "empty.jpg"
    empty.touch()
    with pytest.raises(ImageError, match=r"empty\.jpg.*empty"):
        read_exif_position(empty)
    with pytest.raises(ImageError, match="cannot be read"):
        read_exif_position(tmp_path)
    with pytest.raises(TypeError, match="array of shape"):
        read_exif_position(np.zeros((3, 3)))
    with pytest.raises(TypeError, match="mode 'rb'"), text.open() as file:
        read_exif_position(file)


def test_photos_without_a_position(shared_data: Path):
    photo = sorted((shared_data / "sf_landmarks").rglob("*.jpg"))[0]
    assert read_exif_position(photo) is None
