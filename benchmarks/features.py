"""Time of the low-level features, beside floors and peers, and what precision "fast" costs.

CPU milliseconds for one photo on one core, the median of several passes over the photos. The peers,
torchgist and scikit-image, run in the same process. The floor of a block is what cannot be left out
of it as it is computed here: its Fourier transforms, its product of matrices, OpenCV's edges.

    python benchmarks/features.py --photos FOLDER

Without a folder it takes ../shared/data/sf_landmarks, or tiles of the Blue Marble. The second part
enlarges some of the photos to 400 pixels, and to JPEG files of 4000 pixels with grain such as
cameras make them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from threadpoolctl import threadpool_limits

from skgeo.datasets import load_blue_marble_tiles
from skgeo.features import (
    LowLevelFeatures,
    color_histogram,
    gist,
    line_histogram,
    texton_histogram,
    tiny_image,
)
from skgeo.features import _filter_bank as bank
from skgeo.features import _gist as gist_module
from skgeo.features import _texture as texture
from skgeo.features._resample import as_grey, as_unit, shrink, squash
from skgeo.images import load_image

DEFAULT = Path("../shared/data/sf_landmarks/images")
Task = tuple[Callable[[Any], Any], Sequence[Any]]


def measure(tasks: dict[str, Task], repeats: int) -> dict[str, float]:
    """Milliseconds of CPU time for one item of each task; all tasks in turn in each pass."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for function, items in tasks.values():
        function(items[0])  # Caches are filled, libraries loaded.
    for _ in range(repeats):
        for name, (function, items) in tasks.items():
            start = time.process_time()
            for item in items:
                function(item)
            times[name].append((time.process_time() - start) / len(items) * 1000)
    return {name: float(np.median(values)) for name, values in times.items()}


def correlations(exact: np.ndarray, other: np.ndarray) -> str:
    """Mean and least correlation of the rows."""
    values = [np.corrcoef(a, b)[0, 1] for a, b in zip(exact, other, strict=True)
              if a.std() > 0 and b.std() > 0]  # fmt: skip
    return f"{np.mean(values):.4f} {np.min(values):10.4f}"


def grey_square(image: np.ndarray) -> np.ndarray:
    """What `gist` makes of an image before it begins."""
    return squash(cv2.transform(as_unit(image), np.full((1, 3), 1 / 3, dtype=np.float32)), 256)


# --- floors -----------------------------------------------------------------------------------


def texton_products(n_features: int, image: np.ndarray, n_pixels: int) -> None:
    """Nothing but the products of all pixels with all textons."""
    del image
    chunk = 128
    left = np.ones((chunk, n_features + 1), dtype=np.float32)
    right = np.ones((n_features + 1, texture.N_TEXTONS), dtype=np.float32)
    scores = np.empty((chunk, texture.N_TEXTONS), dtype=np.float32)
    for _ in range(0, n_pixels, chunk):
        np.matmul(left, right, out=scores)


def filter_transforms(image: np.ndarray, n_pairs: int) -> None:
    """Nothing but the Fourier transforms of the filters."""
    rows, columns = (bank._dft_length(n + 18) for n in image.shape[:2])
    frame = np.zeros((rows, columns), dtype=np.float32)
    spectrum = cv2.dft(frame, flags=cv2.DFT_COMPLEX_OUTPUT)
    for _ in range(n_pairs):
        cv2.dft(spectrum, dst=spectrum, flags=cv2.DFT_INVERSE)


def texture_floor(image: np.ndarray, *, fast: bool) -> None:
    """Transforms and products of the block "texture"."""
    n_pixels = image.shape[0] * image.shape[1]
    stride = max(1, round(n_pixels / texture._FAST_PIXELS)) if fast else 1
    n_pairs = texture._FAST_PAIRS if fast else bank.N_PAIRS
    filter_transforms(image, n_pairs)
    texton_products(2 * n_pairs, image, n_pixels // stride)


def gist_floor(_: np.ndarray, *, fast: bool) -> None:
    """Nothing but the Fourier transforms of the block "gist"."""
    frame = np.zeros((320, 320), dtype=np.float32)
    spectrum = cv2.dft(frame, flags=cv2.DFT_COMPLEX_OUTPUT)
    for window in gist_module._windows():
        if fast:
            part = np.ascontiguousarray(spectrum[window.down, window.across])
            cv2.dft(part, dst=part, flags=cv2.DFT_INVERSE)
        else:
            cv2.dft(spectrum, dst=spectrum, flags=cv2.DFT_INVERSE)


def line_floor(image: np.ndarray) -> None:
    """OpenCV's derivatives and edges."""
    grey = cv2.GaussianBlur(as_grey(image), (5, 5), 1.0)
    cv2.Canny(grey, 200, 500, apertureSize=5)


def color_floor(image: np.ndarray) -> None:
    """Two affine maps of the colours and one cube root."""
    light = as_unit(image)
    matrix = np.eye(3, dtype=np.float32)
    cv2.transform(cv2.pow(cv2.transform(light, matrix), 1 / 3), matrix)


def tiny_floor(image: np.ndarray) -> None:
    """OpenCV's area averages, which do not cut pixels."""
    cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA)


# --- peers ------------------------------------------------------------------------------------


def skimage_color(image: np.ndarray) -> np.ndarray:
    """scikit-image's conversion to Lab, numpy's joint histogram."""
    from skimage.color import rgb2lab

    lab = rgb2lab(image).reshape(-1, 3)
    inner = np.arange(-30, 31, 5)
    chroma = np.concatenate([[-np.inf], inner, [np.inf]])
    return np.histogramdd(lab, bins=([-np.inf, 25, 50, 75, np.inf], chroma, chroma))[0]


def skimage_lines(image: np.ndarray) -> list[Any]:
    """scikit-image's Canny edges and probabilistic Hough transform."""
    from skimage.color import rgb2gray
    from skimage.feature import canny
    from skimage.transform import probabilistic_hough_line

    return probabilistic_hough_line(canny(rgb2gray(image), sigma=1.0), rng=0)


def torchgist_model() -> Callable[[np.ndarray], np.ndarray] | None:
    """The peer of GIST, on a square that is grey already."""
    try:
        with warnings.catch_warnings():
            from torchgist.models import GIST
    except ImportError:
        print("torchgist is not installed")
        return None
    model = GIST((6, 6, 6, 6), 5)

    def compute(tensor: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            return model(tensor).numpy()

    return compute


# --- the tables -------------------------------------------------------------------------------


def report(title: str, paths: list[Path], dictionary: np.ndarray, repeats: int) -> None:
    """Print the times of one set of photos."""
    images = [load_image(path, min_side=400) for path in paths]
    sides = sorted({max(image.shape[:2]) for image in images})
    images = [to_working_size(image) for image in images]
    areas = [image.shape[0] * image.shape[1] for image in images]
    print(
        f"\n{title}: {len(paths)} photos, decoded to a longer side of {sides[0]} to {sides[-1]}, "
        f"described at {np.sqrt(np.mean(areas)):.0f} pixels squared on average"
    )
    models = {
        precision: LowLevelFeatures(texton_dictionary=dictionary, precision=precision)
        for precision in ("fast", "exact")
    }
    tasks: dict[str, Task] = {
        "decoding": (lambda path: load_image(path, min_side=400), paths),
        "decoding floor": (pillow_decode, paths),
        "tiny5 and tiny16": (
            lambda image: (tiny_image(image, 5, color_space="lab"), tiny_image(image)), images,
        ),
        "tiny floor": (tiny_floor, images),
        "color": (color_histogram, images),
        "color floor": (color_floor, images),
        "line": (line_histogram, images),
        "line floor": (line_floor, images),
    }  # fmt: skip
    for precision in ("fast", "exact"):
        fast = precision == "fast"
        tasks[f"texture {precision}"] = (
            lambda image, p=precision: texton_histogram(image, dictionary, precision=p), images,
        )  # fmt: skip
        tasks[f"texture {precision} floor"] = (lambda x, f=fast: texture_floor(x, fast=f), images)
        tasks[f"gist {precision}"] = (lambda image, p=precision: gist(image, precision=p), images)
        tasks[f"gist {precision} floor"] = (lambda x, f=fast: gist_floor(x, fast=f), images)
        tasks[f"whole vector {precision}"] = (
            lambda chunk, p=precision: models[p].transform(chunk),
            [paths],
        )
    times = measure(tasks, repeats)
    print(f"{'ms a photo':24s} {'skgeo':>8s} {'floor':>8s} {'ratio':>6s}")
    for name, floor in (
        ("decoding", "decoding floor"), ("tiny5 and tiny16", "tiny floor"),
        ("color", "color floor"), ("line", "line floor"),
        ("texture fast", "texture fast floor"), ("texture exact", "texture exact floor"),
        ("gist fast", "gist fast floor"), ("gist exact", "gist exact floor"),
    ):  # fmt: skip
        ratio = times[name] / times[floor]
        print(f"{name:24s} {times[name]:8.2f} {times[floor]:8.2f} {ratio:6.1f}")
    for precision in ("fast", "exact"):
        name = f"whole vector {precision}"
        print(f"{name:24s} {times[name] / len(paths):8.2f}   decoding included")


def to_working_size(image: np.ndarray) -> np.ndarray:
    """Shrink an image as `LowLevelFeatures` does first."""
    return shrink(image, 400)


def pillow_decode(path: Path) -> np.ndarray:
    """Pillow alone."""
    with Image.open(path) as image:
        image.draft(None, (400, 400))
        return np.asarray(image.convert("RGB"))


def peers(images: list[np.ndarray], repeats: int) -> None:
    """Print the times of the peers on the same photos, each on its own input."""
    squares = [grey_square(image) for image in images]
    tasks: dict[str, Task] = {
        "gist exact, on the square": (gist_module.gist_of_square, squares),
        "gist fast, on the square": (
            lambda square: gist_module.gist_of_square(square, precision="fast"),
            squares,
        ),
        "color": (color_histogram, images),
        'color, lab="srgb"': (lambda image: color_histogram(image, lab="srgb"), images),
        "scikit-image Lab histogram": (skimage_color, images),
        "line": (line_histogram, images),
        "scikit-image Canny, Hough": (skimage_lines, images),
    }
    if (model := torchgist_model()) is not None:
        tensors = [torch.from_numpy(np.repeat(square[None], 3, axis=0)) for square in squares]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model(tensors[0])
        tasks["torchgist"] = (model, tensors)
        exact = np.stack([gist_module.gist_of_square(square) for square in squares])
        oracle = np.stack([model(tensor).reshape(-1) for tensor in tensors])
        print(f"\ngreatest difference of gist from torchgist: {np.abs(exact - oracle).max():.1e}")
    times = measure(tasks, repeats)
    print("\nms a photo beside the peers")
    for name, value in times.items():
        print(f"{name:28s} {value:8.2f}")
    if model is not None:
        for precision in ("exact", "fast"):
            ratio = times["torchgist"] / times[f"gist {precision}, on the square"]
            print(f"gist {precision} is {ratio:.1f} times as fast as torchgist")


def precisions(title: str, images: list[np.ndarray], dictionary: np.ndarray, repeats: int) -> None:
    """Print what each approximation costs in precision, and its time."""
    images = [to_working_size(image) for image in images]
    exact = np.stack([texton_histogram(image, dictionary) for image in images])
    settings: dict[str, dict[str, Any]] = {
        "texture exact": {},
        "texture fast": {"precision": "fast"},
    }
    for stride in (2, 3, 5):
        settings[f"texture exact, stride {stride}"] = {"stride": stride}
    for stride in (1, 3, 5, 8):
        settings[f"texture fast, stride {stride}"] = {"precision": "fast", "stride": stride}
    print(f"\n{title}: correlation with the exact block, {len(images)} photos")
    print(f"{'':26s} {'mean':>6s} {'least':>10s} {'ms':>8s}")
    for name, parameters in settings.items():

        def describe(image: np.ndarray, parameters: dict[str, Any] = parameters) -> np.ndarray:
            return texton_histogram(image, dictionary, **parameters)

        other = np.stack([describe(image) for image in images])
        ms = measure({name: (describe, images)}, repeats)[name]
        print(f"{name:26s} {correlations(exact, other)} {ms:8.2f}")
    exact = np.stack([gist(image) for image in images])
    other = np.stack([gist(image, precision="fast") for image in images])
    error = np.linalg.norm(exact - other) / np.linalg.norm(exact)
    print(f"{'gist fast':26s} {correlations(exact, other)}   relative error {error:.4f}")


def reduced(paths: list[Path], dictionary: np.ndarray) -> None:
    """Print what reduced decoding costs in precision."""
    models = [
        LowLevelFeatures(texton_dictionary=dictionary, reduced_decoding=flag).fit(paths)
        for flag in (False, True)
    ]
    whole, part = (model.transform(paths) for model in models)
    print("\nreduced decoding of the large files: correlation with that of full decoding")
    for name, block in models[0].block_slices_.items():
        print(f"{name:26s} {correlations(whole[:, block], part[:, block])}")


def main(options: argparse.Namespace) -> None:
    """Run everything on one thread."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary, threadpool_limits(1):
        folder = Path(temporary)
        paths = photos(options, folder)
        fitted = LowLevelFeatures("texture", random_state=0).fit(paths)
        dictionary = fitted.texton_dictionary_
        images = [load_image(path) for path in paths]
        report("photos as they are", paths, dictionary, options.repeats)
        peers(images, options.repeats)
        precisions("photos as they are", images, dictionary, options.repeats)

        medium, large = [], []
        rng = np.random.default_rng(0)
        for number, image in enumerate(images[: options.large]):
            for side, quality, listed in ((400, 92, medium), (4000, 90, large)):
                path = folder / f"{number}-{side}.jpg"
                enlarge(image, side, rng).save(path, quality=quality)
                listed.append(path)
        size = np.mean([path.stat().st_size for path in large]) / 1e6
        report("enlarged to 400 pixels", medium, dictionary, options.repeats)
        precisions("400 pixels", [load_image(p) for p in medium], dictionary, options.repeats)
        report(f"enlarged to 4000 pixels, {size:.1f} MB", large, dictionary, options.repeats)
        reduced(large, dictionary)


def photos(options: argparse.Namespace, temporary: Path) -> list[Path]:
    """Take photos of the folder, evenly, or write tiles of the Blue Marble to files."""
    folder = options.photos or (DEFAULT if DEFAULT.is_dir() else None)
    if folder is None:
        tiles = load_blue_marble_tiles(options.n, tile_size=256, random_state=0)
        paths = [temporary / f"tile{number}.jpg" for number in range(len(tiles.images))]
        for path, tile in zip(paths, tiles.images, strict=True):
            Image.fromarray(tile).save(path, quality=92)
        return paths
    found = sorted(
        path for path in Path(folder).iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    if not found:
        raise SystemExit(f"no photos in {folder}")
    return found[:: max(1, len(found) // options.n)][: options.n]


def enlarge(image: np.ndarray, side: int, rng: np.random.Generator) -> Image.Image:
    """Enlarge to a longer side; large ones get grain, which a JPEG file is heavy with."""
    scale = side / max(image.shape[:2])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    pixels = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    if side > 1000:
        pixels = (pixels + rng.normal(scale=4, size=pixels.shape)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, help="a folder of photos")
    parser.add_argument("--n", type=int, default=40, help="photos to take")
    parser.add_argument("--large", type=int, default=10, help="how many of them to enlarge")
    parser.add_argument("--repeats", type=int, default=5)
    main(parser.parse_args())
