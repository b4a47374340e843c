"""Positions in copies: read back by other readers, every other byte and tag as it was."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from PIL import ExifTags, Image

from skgeo.images import ImageError, MissingImageError, read_exif_position, write_exif_position


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def save(path, *, exif=None, seed=0, **options):
    values = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(values).save(path, **({} if exif is None else {"exif": exif}), **options)
    return path


PLACES = [
    (0.0, 0.5),
    (90.0, 180.0),
    (-90.0, -180.0),
    (-33.8568, 151.2153),
    (59.999999999, -0.000001),
    (1e-9, 12.0),
]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("place", PLACES)
def test_there_and_back(tmp_path, suffix, place):
    photo, copy = save(tmp_path / f"a{suffix}"), tmp_path / f"b{suffix}"
    before = photo.read_bytes()
    write_exif_position(photo, copy, *place, error_km=12.5)
    assert photo.read_bytes() == before
    np.testing.assert_allclose(read_exif_position(copy), place, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(pixels(copy), pixels(photo))
    with Image.open(copy) as image:
        gps = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    assert float(gps[ExifTags.GPS.GPSHPositioningError]) == 12_500.0
    assert gps[ExifTags.GPS.GPSProcessingMethod].startswith(b"ASCII\0\0\0estimated")


def test_compressed_data_are_copied_bit_for_bit(tmp_path):
    photo, copy = save(tmp_path / "a.jpg"), tmp_path / "b.jpg"
    write_exif_position(photo, copy, 1.0, 2.0)
    old, new = photo.read_bytes(), copy.read_bytes()
    assert new[:20] == old[:20]  # JFIF stays first
    assert new.endswith(old[20:])


def full_exif(endian="<"):
    exif = Image.Exif()
    exif.endian = endian
    exif[ExifTags.Base.Make] = "A maker with a long name"
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.DateTime] = "2024:05:06 07:08:09"
    sub = exif.get_ifd(ExifTags.IFD.Exif)
    sub[ExifTags.Base.DateTimeOriginal] = "2024:05:06 07:08:09"
    sub[ExifTags.Base.MakerNote] = bytes(range(200))
    sub[ExifTags.Base.ExposureTime] = 0.01
    return exif


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_other_tags_stay(tmp_path, endian, suffix):
    photo, copy = save(tmp_path / f"a{suffix}", exif=full_exif(endian)), tmp_path / f"b{suffix}"
    write_exif_position(photo, copy, 12.25, -45.5)
    np.testing.assert_allclose(read_exif_position(copy), (12.25, -45.5), atol=1e-9)
    with Image.open(photo) as old, Image.open(copy) as new:
        old_tags, new_tags = old.getexif(), new.getexif()
        new_base = dict(new_tags)
        new_base.pop(ExifTags.IFD.GPSInfo)
        assert new_base == dict(old_tags)
        assert new_tags.get_ifd(ExifTags.IFD.Exif) == old_tags.get_ifd(ExifTags.IFD.Exif)
        # The block of the makers' notes is at the same offset.
        assert old.info["exif"].find(bytes(range(200))) == new.info["exif"].find(bytes(range(200)))


def test_a_position_is_replaced_only_on_demand(tmp_path):
    exif = full_exif()
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps.update({1: "N", 2: (10.0, 0.0, 0.0), 3: "E", 4: (20.0, 0.0, 0.0), 6: 123.0, 0x1F: 5.0})
    photo, copy = save(tmp_path / "a.jpg", exif=exif), tmp_path / "b.jpg"
    with pytest.raises(ValueError, match="has a position already"):
        write_exif_position(photo, copy, 1.0, 2.0)
    assert not copy.exists()
    write_exif_position(photo, copy, 1.0, 2.0, replace=True)
    np.testing.assert_allclose(read_exif_position(copy), (1.0, 2.0), atol=1e-9)
    with Image.open(copy) as image:
        new = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
    assert float(new[6]) == 123.0  # altitude
    assert 0x1F not in new  # the accuracy was that of the old position
    assert sorted(os.listdir(tmp_path)) == ["a.jpg", "b.jpg"]


def test_refusals(tmp_path):
    photo = save(tmp_path / "a.jpg")
    with pytest.raises(FileExistsError, match="expected a new name"):
        write_exif_position(photo, photo, 1.0, 2.0)
    for latitude, longitude in ((91.0, 0.0), (0.0, -181.0), (float("nan"), 0.0)):
        with pytest.raises(ValueError, match="is not within"):
            write_exif_position(photo, tmp_path / "b.jpg", latitude, longitude)
    with pytest.raises(ValueError, match="error_km"):
        write_exif_position(photo, tmp_path / "b.jpg", 0.0, 0.0, error_km=-1.0)
    with pytest.raises(MissingImageError):
        write_exif_position(tmp_path / "none.jpg", tmp_path / "b.jpg", 0.0, 0.0)
    with pytest.raises(ImageError, match="JPEG and PNG"):
        write_exif_position(save(tmp_path / "a.bmp"), tmp_path / "b.bmp", 0.0, 0.0)
    data = photo.read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[:30])
    with pytest.raises(ImageError):
        write_exif_position(tmp_path / "cut.jpg", tmp_path / "b.jpg", 0.0, 0.0, replace=True)
    assert not (tmp_path / "b.jpg").exists()


def test_damaged_exif_is_not_added_to(tmp_path):
    buffer = io.BytesIO()
    save(buffer, format="JPEG", exif=b"Exif\0\0MM\0\x2a\0\0\xff\xff0123456789")
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    with pytest.raises(ImageError, match="damaged"):
        write_exif_position(tmp_path / "a.jpg", tmp_path / "b.jpg", 0.0, 0.0)


def test_no_room(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "x" * 65_480
    photo = save(tmp_path / "a.jpg", exif=exif)
    with pytest.raises(ImageError, match="no room"):
        write_exif_position(photo, tmp_path / "b.jpg", 0.0, 0.0)
