"""Decoding: every form of an image gives the same upright RGB picture, or a clear error."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from skgeo.images import ImageError, MissingImageError, load_image, read_exif_position


@pytest.fixture
def picture(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (7, 11, 3), dtype=np.uint8)


def encode(image: Image.Image, format_: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def smooth(height: int, width: int) -> np.ndarray:
    """A picture without high frequencies, which JPEG keeps nearly as it is."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 40 + y / 70), np.cos(x / 55), np.sin(y / 35 - x / 90)]
    return (127.5 + 100 * np.stack(waves, axis=2)).astype(np.uint8)


# --- the same picture in every form ---------------------------------------------------------


def test_every_source_of_the_same_file(tmp_path: Path, picture):
    path = tmp_path / "a.png"
    Image.fromarray(picture).save(path)
    data = path.read_bytes()
    with path.open("rb") as file:
        sources = [path, str(path), np.str_(path), file, io.BytesIO(data), data,
                   bytearray(data), memoryview(data), np.bytes_(data),
                   Image.fromarray(picture), picture]  # fmt: skip
        for source in sources:
            loaded = load_image(source)
            assert loaded.dtype == np.uint8
            assert loaded.flags.c_contiguous
            np.testing.assert_array_equal(loaded, picture)


def test_a_file_object_is_read_from_its_start_and_put_back(picture):
    file = io.BytesIO(encode(Image.fromarray(picture), "PNG"))
    file.seek(5)
    np.testing.assert_array_equal(load_image(file), picture)
    assert file.tell() == 5
    assert not file.closed


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "BMP", "PPM", "WEBP", "JPEG2000"])
def test_lossless_formats(picture, format_):
    options = {"lossless": True} if format_ == "WEBP" else {}
    data = encode(Image.fromarray(picture), format_, **options)
    np.testing.assert_array_equal(load_image(data), picture)


def test_heif_is_read_where_its_package_is_installed(tmp_path: Path, monkeypatch):
    picture = smooth(40, 60)
    pillow_heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "a.heic"
    pillow_heif.from_pillow(Image.fromarray(picture)).save(path, quality=-1, chroma=444)
    assert np.abs(load_image(path).astype(int) - picture).max() <= 4
    assert read_exif_position(path) is None
    monkeypatch.delitem(Image.OPEN, "HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"a\.heic.*skgeo\[heif\]"):
        load_image(path)


def test_arrays_of_every_type_and_shape(picture):
    grey = picture[:, :, 0]
    three = np.repeat(grey[:, :, None], 3, axis=2)
    for source, expected in [
        (grey, three),
        (grey[:, :, None], three),
        (grey.astype(np.int64), three),
        (grey.astype(np.int16), three),
        (picture.astype(np.uint32), picture),
        (grey > 128, np.where(three > 128, 255, 0)),
        (picture[:, ::-1], picture[:, ::-1]),
        (np.asfortranarray(picture), picture),
    ]:
        loaded = load_image(source)
        assert loaded.dtype == np.uint8
        np.testing.assert_array_equal(loaded, expected)
    for source in (
        picture.astype(np.uint16) * 257,
        picture / 255,
        (picture / 255).astype(np.float32),
        (picture / 255).astype(">f8"),
    ):
        loaded = load_image(source)
        assert loaded.dtype == np.float32
        np.testing.assert_allclose(loaded, picture / 255, atol=1e-7)
    np.testing.assert_allclose(
        load_image((picture / 255).astype(np.float16)), picture / 255, atol=1e-3
    )


def test_objects_that_turn_into_arrays(picture):
    class Wrapped:
        def __array__(self, dtype=None, copy=None):
            return picture

    np.testing.assert_array_equal(load_image(Wrapped()), picture)


def test_floats_that_overshoot_by_a_little_are_clipped():
    loaded = load_image(np.array([[-0.01, 0.5, 1.02]]))
    np.testing.assert_allclose(loaded[0, :, 0], [0, 0.5, 1])


# --- orientation ----------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_applies_it(picture, orientation):
    image = Image.fromarray(picture)
    image.getexif()[0x0112] = orientation
    for format_ in ("PNG", "TIFF", "WEBP"):
        options = {"lossless": True} if format_ == "WEBP" else {}
        data = encode(image, format_, exif=image.getexif(), **options)
        with Image.open(io.BytesIO(data)) as stored:
            expected = np.asarray(ImageOps.exif_transpose(stored))
        np.testing.assert_array_equal(load_image(data), expected)
        with Image.open(io.BytesIO(data)) as opened:
            np.testing.assert_array_equal(load_image(opened), expected)
    assert expected.shape == (picture.shape if orientation < 5 else (11, 7, 3))


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_does_not_exist_is_ignored(picture, orientation):
    image = Image.fromarray(picture)
    image.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(load_image(image), picture)


def test_damaged_exif_data_do_not_spoil_the_picture(picture):
    data = encode(Image.fromarray(picture), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(load_image(data), picture)


# --- transparency ---------------------------------------------------------------------------


def test_alpha_is_composited_on_white(rng):
    rgba = rng.integers(0, 256, (13, 17, 4), dtype=np.uint8)
    rgba[0, :, 3], rgba[1, :, 3] = 0, 255
    alpha = rgba[:, :, 3:] / 255
    expected = rgba[:, :, :3] * alpha + 255 * (1 - alpha)
    for source in (rgba, Image.fromarray(rgba), encode(Image.fromarray(rgba), "PNG")):
        loaded = load_image(source)
        assert np.abs(loaded - expected).max() <= 0.5 + 1e-9
    np.testing.assert_allclose(load_image(rgba / 255), expected / 255, atol=1e-6)
    assert (load_image(rgba)[0] == 255).all()
    np.testing.assert_array_equal(load_image(rgba)[1], rgba[1, :, :3])


def test_grey_with_alpha_palette_with_transparency_and_a_transparent_colour():
    grey_alpha = Image.fromarray(np.array([[[100, 255], [100, 0]]], dtype=np.uint8), "LA")
    np.testing.assert_array_equal(load_image(grey_alpha)[0, :, 0], [100, 255])

    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    np.testing.assert_array_equal(load_image(palette)[0], [[10, 20, 30], [40, 50, 60]])
    for transparency in (1, b"\xff\x00"):
        data = encode(palette, "PNG", transparency=transparency)
        np.testing.assert_array_equal(load_image(data)[0], [[10, 20, 30], [255, 255, 255]])

    rgb = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], dtype=np.uint8))
    data = encode(rgb, "PNG", transparency=(4, 5, 6))
    np.testing.assert_array_equal(load_image(data)[0], [[1, 2, 3], [255, 255, 255]])


# --- depth and colour modes -----------------------------------------------------------------


def test_16_bit_grey_is_scaled_and_not_clipped():
    values = np.array([[0, 256, 32768, 65535]], dtype=np.uint16)
    for format_ in ("PNG", "TIFF"):
        loaded = load_image(encode(Image.fromarray(values), format_))
        assert loaded.dtype == np.float32
        np.testing.assert_allclose(loaded[0, :, 1], values[0] / 65535, atol=1e-7)
    as_32_bit = Image.fromarray(values.astype(np.int32))
    assert as_32_bit.mode == "I"
    np.testing.assert_allclose(load_image(as_32_bit)[0, :, 2], values[0] / 65535, atol=1e-7)
    big_endian = Image.frombytes("I;16B", (4, 1), values.astype(">u2").tobytes())
    np.testing.assert_allclose(load_image(big_endian)[0, :, 0], values[0] / 65535, atol=1e-7)


def test_32_bit_images_of_unknown_scale_are_refused():
    with pytest.raises(ImageError, match="full scale"):
        load_image(Image.fromarray(np.array([[0, 70000]], dtype=np.int32)))
    floats = Image.fromarray(np.array([[0.0, 0.5]], dtype=np.float32))
    np.testing.assert_allclose(load_image(floats)[0, :, 0], [0, 0.5])
    with pytest.raises(ImageError, match=r"floats from 0 to 200.*Divide it by 255"):
        load_image(Image.fromarray(np.array([[0.0, 200]], dtype=np.float32)))


def test_black_and_white_and_other_colour_spaces():
    bits = Image.fromarray(np.array([[True, False]]))
    assert bits.mode == "1"
    np.testing.assert_array_equal(load_image(bits)[0, :, 0], [255, 0])
    picture = smooth(40, 50)
    for mode in ("CMYK", "YCbCr", "HSV"):
        converted = Image.fromarray(picture).convert(mode)
        assert np.abs(load_image(converted).astype(int) - picture).max() <= 12
    assert np.abs(
        load_image(encode(Image.fromarray(picture).convert("CMYK"), "JPEG", quality=98)).astype(int)
        - picture
    ).max() <= 12  # fmt: skip


@pytest.mark.parametrize("format_", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation(format_):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    frames = [Image.new("RGB", (8, 8), colour) for colour in colours]
    options = {"lossless": True} if format_ == "WEBP" else {}
    data = encode(frames[0], format_, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(load_image(data), np.asarray(frames[0]))


# --- reduced decoding -----------------------------------------------------------------------


@pytest.mark.parametrize(("min_side", "expected"), [
    (None, (640, 800)), (641, (640, 800)), (640, (640, 800)), (321, (640, 800)),
    (320, (320, 400)), (161, (320, 400)), (160, (160, 200)), (80, (80, 100)), (1, (80, 100)),
])  # fmt: skip
def test_a_jpeg_is_decoded_at_a_reduced_scale_but_never_too_small(min_side, expected):
    picture = smooth(640, 800)
    loaded = load_image(encode(Image.fromarray(picture), "JPEG", quality=97), min_side=min_side)
    assert loaded.shape[:2] == expected
    blocks = 640 // expected[0]
    averaged = picture.reshape(expected[0], blocks, expected[1], blocks, 3).mean((1, 3))
    assert np.abs(loaded - averaged).mean() < 2


def test_reduced_decoding_leaves_other_sources_alone(tmp_path: Path):
    picture = smooth(640, 800)
    assert load_image(picture, min_side=80).shape == (640, 800, 3)
    assert load_image(encode(Image.fromarray(picture), "PNG"), min_side=80).shape == (640, 800, 3)
    path = tmp_path / "a.jpg"
    Image.fromarray(picture).save(path)
    with Image.open(path) as opened:
        assert load_image(opened, min_side=80).shape == (640, 800, 3)
        assert opened.size == (800, 640)


# --- errors ---------------------------------------------------------------------------------


def png_header(width: int, height: int) -> bytes:
    """The start of a PNG file that claims to be so large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (struct.pack(">I", len(body)) + kind + body
                + struct.pack(">I", zlib.crc32(kind + body)))  # fmt: skip

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(3 * 1000), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def test_files_that_are_no_image_name_their_path(tmp_path: Path, picture):
    jpeg = encode(Image.fromarray(smooth(200, 200)), "JPEG")
    png = encode(Image.fromarray(picture), "PNG")
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 255
    cases = {
        "text.jpg": (b"Dear diary, today I took no photo.", "not an image"),
        "empty.jpg": (b"", "empty"),
        "short.jpg": (jpeg[:10], "not an image|damaged"),
        "header.jpg": (jpeg[:300], "not an image|damaged|cannot be decoded"),
        "truncated.jpg": (jpeg[: len(jpeg) // 2], "cannot be decoded.*truncated"),
        "truncated.png": (png[: len(png) // 2], "cannot be decoded"),
        "flipped.png": (bytes(flipped), "cannot be decoded"),
        "bomb.png": (png_header(20_000, 20_000), "too many pixels"),
        "lying.png": (png_header(5_000, 5_000), "cannot be decoded"),
        "zeros.png": (bytes(1000), "not an image"),
        "script.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    }
    for name, (data, message) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ImageError, match=message) as caught:
            load_image(path)
        assert repr(str(path)) in str(caught.value)
        with pytest.raises(ImageError, match=message):
            load_image(data)
    with pytest.raises(MissingImageError, match=r"gone\.jpg.*no such file"):
        load_image(tmp_path / "gone.jpg")
    with pytest.raises(ImageError, match="cannot be read"):
        load_image(tmp_path)
    with pytest.raises(ImageError, match="cannot be read"):
        load_image("a\0b.jpg")


def test_random_bytes_behind_the_signature_of_each_format(rng):
    heads = [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 ",
             b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"BM", b"P6\n9 9\n255\n", b"P6 "]  # fmt: skip
    for head in heads:
        for _ in range(20):
            data = head + rng.bytes(int(rng.integers(1, 400)))
            try:
                loaded = load_image(data)
            except ImageError:
                continue
            assert loaded.ndim == 3
            assert loaded.size > 0


def test_mutated_files_give_a_picture_or_an_error(rng):
    image = Image.fromarray(smooth(60, 80))
    for format_ in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
        data = encode(image, format_)
        for _ in range(40):
            mutated = bytearray(data)
            for position in rng.integers(0, len(data), 3):
                mutated[position] ^= 1 << rng.integers(8)
            try:
                loaded = load_image(bytes(mutated[: rng.integers(1, len(data) + 1)]))
            except ImageError:
                continue
            assert loaded.shape[2] == 3
            assert loaded.size > 0


@pytest.mark.parametrize("source", [
    np.zeros((3, 4, 2)), np.zeros((3, 20, 30)), np.zeros(5), np.zeros((2, 3, 4, 3)), np.zeros(()),
    np.zeros((0, 4, 3)), np.zeros((4, 0)), np.array([["a"]]), np.array([[1j]]),
    np.array([[0, 256]]), np.array([[-1, 2]]), np.array([[0, np.nan]]), np.array([[0, np.inf]]),
    np.array([[0.0, 255.0]]), np.array([[-1.0, 1.0]]), np.zeros((2, 2), dtype="M8[s]"),
])  # fmt: skip
def test_arrays_that_are_no_picture(source):
    with pytest.raises(ImageError, match="array of shape"):
        load_image(source)


def test_messages_that_help():
    with pytest.raises(ImageError, match="channels on the first axis"):
        load_image(np.zeros((3, 20, 30)))
    with pytest.raises(ImageError, match="Divide it by 255"):
        load_image(np.array([[0.0, 255.0]]))
    with pytest.raises(ImageError, match="no pixels"):
        load_image(Image.new("RGB", (0, 4)))


@pytest.mark.parametrize("source", [None, float("nan")])
def test_a_missing_value_is_a_missing_image(source):
    with pytest.raises(ImageError, match="no image"):
        load_image(source)


@pytest.mark.parametrize("source", [3, 2.5, {"a": 1}, object()])
def test_what_is_no_source_is_a_type_error(source):
    with pytest.raises(TypeError, match="no image"):
        load_image(source)


def test_errors_travel_between_processes():
    for kind in (ImageError, MissingImageError):
        copy = pickle.loads(pickle.dumps(kind("'a.jpg': broken")))
        assert type(copy) is kind
        assert str(copy) == "'a.jpg': broken"


def test_errors_travel_to_a_dask_worker():
    pickling = pytest.importorskip("tblib.pickling_support")
    # As its workers do, for all exceptions; not installed here, which would be for good.
    for kind in (ImageError, MissingImageError):
        function, arguments = pickling.pickle_exception(kind("'a.jpg': broken"))[:2]
        copy = function(*arguments)
        assert type(copy) is kind
        assert str(copy) == "'a.jpg': broken"


def test_one_pixel():
    np.testing.assert_array_equal(load_image(np.array([[[1, 2, 3]]], np.uint8)), [[[1, 2, 3]]])


def test_real_photos_decode_as_pillow_decodes_them(shared_data: Path):
    for path in sorted((shared_data / "mexico_cities").rglob("*.jpg"))[::60]:
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        np.testing.assert_array_equal(load_image(path), expected)
