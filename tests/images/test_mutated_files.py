"""Damaged files: every row is right or wholly NaN, nothing crashes, hangs or fills the memory.

`benchmarks/mutated_files.py` runs the same mutations at any number.
"""

from __future__ import annotations

import io
import os
import random
import re
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from skgeo.features import LowLevelFeatures
from skgeo.images import ImageError, load_image

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "TIFF": ".tif",
            "BMP": ".bmp"}  # fmt: skip


class Mutant(NamedTuple):
    """A damaged file, where it comes from and how it was damaged."""

    name: str
    data: bytes
    format: str
    mutation: str


def seeds() -> list[tuple[str, bytes]]:
    """Encode small pictures in many variants of each format."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:48, 0:64]
    waves = np.stack([np.sin(x / 9 + y / 14), np.cos(x / 11), np.sin(y / 6 - x / 17)], axis=2)
    rgb = (127.5 + 100 * waves + rng.normal(scale=8, size=waves.shape)).clip(0, 255)
    photo = Image.fromarray(rgb.astype(np.uint8))
    grey, alpha = photo.convert("L"), photo.copy()
    alpha.putalpha(grey)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    turned = photo.getexif()
    turned[0x0112] = 6
    frames = [photo.rotate(angle) for angle in (90, 180)]
    palette = photo.quantize(32)
    made = [
        ("JPEG", photo, {"quality": 90}),
        ("JPEG", photo, {"quality": 60, "progressive": True, "exif": turned}),
        ("JPEG", photo.convert("CMYK"), {}),
        ("JPEG", grey, {"restart_marker_rows": 1}),
        ("PNG", photo, {}),
        ("PNG", alpha, {}),
        ("PNG", deep, {}),
        ("PNG", palette, {"transparency": 3}),
        ("PNG", grey.convert("1"), {}),
        ("WEBP", photo, {"quality": 80}),
        ("WEBP", alpha, {"lossless": True}),
        ("WEBP", photo, {"save_all": True, "append_images": frames}),
        ("GIF", photo.quantize(64), {}),
        ("GIF", palette, {"save_all": True, "append_images": frames, "transparency": 3}),
        ("TIFF", photo, {}),
        ("TIFF", photo, {"compression": "tiff_lzw"}),
        ("TIFF", photo, {"compression": "jpeg"}),
        ("TIFF", deep, {"compression": "tiff_adobe_deflate"}),
        ("BMP", photo, {}),
        ("BMP", palette, {}),
    ]
    encoded = []
    for name, image, options in made:
        buffer = io.BytesIO()
        image.save(buffer, name, **options)
        encoded.append((name, buffer.getvalue()))
    return encoded


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        # Half of the time in the head, where sizes, types and offsets stand.
        end = min(64, len(damaged)) if rng.random() < 0.5 else len(damaged)
        damaged[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.choice([0, 1, 2, 10, rng.randrange(len(data)), len(data) - 1])]


def replace_part(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    length = rng.randrange(1, 200)
    return data[:start] + rng.randbytes(rng.randrange(200)) + data[start + length :]


def repeat_part(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    stop = rng.randrange(start, len(data)) + 1
    return data[:stop] + data[start:]


def extreme_bytes(data: bytes, rng: random.Random) -> bytes:
    """Set a field of 1, 2 or 4 bytes in the head to its least or greatest value."""
    damaged = bytearray(data)
    size = rng.choice([1, 2, 4])
    start = rng.randrange(4, min(len(damaged), 160) - size)
    damaged[start : start + size] = rng.choice([b"\0", b"\xff", b"\x7f", b"\x80"]) * size
    return bytes(damaged)


def random_tail(data: bytes, rng: random.Random) -> bytes:
    """Keep the head and go on with noise."""
    return data[: rng.randrange(8, 200)] + rng.randbytes(rng.randrange(2000))


def noise(data: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(1, len(data)))


def untouched(data: bytes, _: random.Random) -> bytes:
    return data


MUTATIONS = (flip_bits, flip_bits, truncate, replace_part, repeat_part, extreme_bytes,
             random_tail, noise, untouched)  # fmt: skip


def mutants(n: int, seed: int) -> Iterator[Mutant]:
    """Make damaged files; which ones depends on the seed alone."""
    rng, sources = random.Random(seed), seeds()
    suffixes = [*SUFFIXES.values(), "", ".txt"]
    for i in range(n):
        name, data = sources[i % len(sources)]
        mutation = rng.choice(MUTATIONS)
        # Every third file has the name of another format, or of none.
        suffix = rng.choice(suffixes) if rng.random() < 1 / 3 else SUFFIXES[name]
        yield Mutant(f"{i:05d}{suffix}", mutation(data, rng), name, mutation.__name__)


def check_rows(X: np.ndarray, n_columns: int, n_files: int) -> np.ndarray:
    """Assert that rows are finite or wholly NaN; return which are NaN."""
    assert X.shape == (n_files, n_columns)
    missing = np.isnan(X).all(axis=1)
    assert np.isfinite(X[~missing]).all()
    return missing


@pytest.fixture(scope="module")
def features() -> LowLevelFeatures:
    """All blocks; on_error="nan"."""
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    return LowLevelFeatures(on_error="nan", random_state=0).fit([picture])


def test_mutated_files(tmp_path: Path, features: LowLevelFeatures):
    made = list(mutants(120, seed=0))
    for mutant in made:
        (tmp_path / mutant.name).write_bytes(mutant.data)
    paths = [tmp_path / mutant.name for mutant in made]
    with pytest.warns(UserWarning, match="of 120 images could not be read and are rows of NaN"):
        X = features.transform(paths)
    missing = check_rows(X, 2971, len(paths))
    # Neither everything nor nothing can be read, and a row is NaN exactly where decoding fails.
    assert 30 < missing.sum() < 110
    assert not missing[[mutant.mutation == "untouched" for mutant in made]].any()
    for path, is_missing in zip(paths, missing, strict=True):
        if is_missing:
            with pytest.raises(ImageError, match=re.escape(repr(str(path)))):
                load_image(path)
        else:
            assert load_image(path).size
    # Bytes are read as files are, whatever the files are called.
    with pytest.warns(UserWarning, match="of 120 images"):
        np.testing.assert_array_equal(features.transform([m.data for m in made]), X)


@pytest.mark.parametrize("name", sorted(SUFFIXES))
def test_cut_anywhere(name):
    """Of a file that ends too early no row is made of the part that is there."""
    for format_, data in seeds():
        if format_ != name:
            continue
        whole = load_image(data)
        tail = range(len(data) - 40, len(data))
        for stop in {0, 1, 3, 20, len(data) // 3, len(data) // 2, len(data) * 9 // 10, *tail}:
            try:
                loaded = load_image(data[:stop])
            except ImageError:
                continue
            # All pixels may be there before the last bytes, as are those of a first frame.
            np.testing.assert_array_equal(loaded, whole)


def png(width: int, height: int, rows: bytes, *, depth: int = 1) -> bytes:
    """A grey PNG around rows that are compressed already."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bomb(side: int = 20_000) -> bytes:
    """A PNG of 400 megapixels in some hundred bytes for each megapixel."""
    compressor = zlib.compressobj()
    row = b"\0" + bytes(-(-side // 8))
    rows = b"".join(compressor.compress(row) for _ in range(side)) + compressor.flush()
    return png(side, side, rows)


MEMORY = """
import resource, sys, warnings
import numpy as np
from skgeo.features import LowLevelFeatures
features = LowLevelFeatures(["tiny5"], on_error="nan").fit([sys.argv[1]])
scale = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    X = features.transform([sys.argv[1]] * 3)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
print((after - before) >> 20, bool(np.isnan(X).all()), len(caught), caught[0].message)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the module resource is Unix's")
def test_memory_under_a_decompression_bomb(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb())
    assert path.stat().st_size < 200_000
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True
    )
    grown, all_missing, n_warnings, message = run.stdout.split(maxsplit=3)
    # The picture would take 1,144 MiB.
    assert int(grown) < 50
    assert (all_missing, n_warnings) == ("True", "1")
    assert "too many pixels" in message
    assert "400000000 pixels" in message


# --- what is neither damaged nor ordinary ---------------------------------------------------


def test_things_that_are_no_picture(tmp_path, features):
    empty, folder, missing = tmp_path / "empty.jpg", tmp_path / "folder", tmp_path / "missing.jpg"
    empty.touch()
    folder.mkdir()
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)
    html = b"<!DOCTYPE html><title>404 Not Found</title>"
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    sources = [empty, folder, missing, heic, html, svg, b"", b"\xff\xd8\xff", b"GIF89a", "", "a\0b"]
    for source, match in zip(
        sources,
        ["is empty", "cannot be read", "no such file", "HEIF|not an image", "not an image",
         "not an image", "is empty", "image", "image", "no such file", "cannot be read"],
        strict=True,
    ):  # fmt: skip
        with pytest.raises(ImageError, match=match):
            load_image(source)
    with pytest.warns(UserWarning, match="11 of 12 images could not be read"):
        X = features.transform([*sources, np.zeros((3, 3, 3), dtype=np.uint8)])
    assert check_rows(X, 2971, 12).sum() == 11


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (2, 3), (1, 401), (4000, 7)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_extreme_shapes_and_flat_pictures(features, shape, value):
    picture = np.full((*shape, 3), value, dtype=np.uint8)
    assert not check_rows(features.transform([picture]), 2971, 1).any()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_without_a_writer_does_not_hang(tmp_path):
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    code = (
        "import sys; from skgeo.images import load_image, ImageError\n"
        "try: load_image(sys.argv[1])\n"
        "except ImageError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60
    )
    assert "a pipe or device, not a file" in run.stdout


def test_a_large_transparent_picture_takes_little_more_than_its_pixels(rng):
    """Composited by strips, with the same result as at once."""
    rgba = rng.integers(0, 256, (1500, 1500, 4), dtype=np.uint8)
    weight = rgba[:, :, 3:].astype(np.uint32)
    expected = (rgba[:, :, :3] * weight + 255 * (255 - weight) + 127) // 255
    del weight
    tracemalloc.start()
    loaded = load_image(rgba)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(loaded, expected)
    # 6.75 MB of result; a strip of 2**20 pixels in int32 adds less than 40.
    assert peak < 50e6
    unit = rgba / np.float32(255)
    assert np.abs(load_image(unit) * 255 - expected).max() < 0.51
