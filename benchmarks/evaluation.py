"""Cost of honest evaluation: near-duplicates, leakage and intervals beside what people would use.

    python benchmarks/evaluation.py [--photos 20000] [--queries 3000] [--images FOLDER ...]

Near-duplicate hashes: all pairs within 8 bits, against scikit-learn's BallTree (Hamming) and a full
comparison by numpy. Vectors: all pairs within a small radius, against scikit-learn's
radius_neighbors (brute force and tree). Intervals: the report's percentile bootstrap of all
figures, against scipy.stats.bootstrap of a single one. CPU seconds; all find the same pairs.
With folders of images: how many of 64 bits other versions of a photograph change, and how near
different photographs are.
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance
from scipy.stats import bootstrap
from sklearn.neighbors import BallTree, NearestNeighbors

from skgeo.metrics import compare_geolocation, geolocation_report, great_circle_distance
from skgeo.model_selection import perceptual_hash
from skgeo.model_selection._near_pairs import bits_of, near_hashes, near_vectors


def timed(function, *arguments):
    """Run a function and count its CPU seconds."""
    start = time.process_time()
    result = function(*arguments)
    return result, time.process_time() - start


def show(title, rows):
    """Print a table; the first row is the unit."""
    print(f"\n{title}", flush=True)
    ours = rows[0][1]
    for name, seconds, pairs in rows:
        print(f"  {name:<38} {seconds:9.2f} s   x{seconds / ours:7.1f}   {pairs}", flush=True)


def hashes_with_copies(rng, n):
    """Random hashes, a twentieth of them copies with a few flipped bits."""
    values = rng.integers(0, 2**64, n, dtype=np.uint64)
    copies = n // 20
    flips = (np.uint64(1) << rng.integers(0, 64, (4, copies)).astype(np.uint64)).sum(axis=0)
    values[:copies] = values[copies : 2 * copies] ^ flips.astype(np.uint64)
    return values


def ours_hashes(values):
    """Search as skgeo does."""
    return sum(len(i) for i, _, _ in near_hashes(values, None, 8))


def full_hashes(values):
    """Compare every hash with all that follow, in numpy."""
    return sum(int((bits_of(values[i + 1 :] ^ values[i]) <= 8).sum()) for i in range(len(values)))


def tree_hashes(values):
    """Search scikit-learn's ball tree over the bits."""
    bits = np.unpackbits(values.view(np.uint8).reshape(-1, 8), axis=1)
    tree = BallTree(bits, metric="hamming")
    counts = tree.query_radius(bits, 8.5 / 64, count_only=True)
    return (int(counts.sum()) - len(values)) // 2


def vectors_with_copies(rng, n, d=256):
    """Vectors with a falling spectrum, a twentieth of them near-copies."""
    spectrum = 1.0 / np.sqrt(1.0 + np.arange(d))  # variances fall as those of image features do
    X = rng.normal(size=(n, d)) * spectrum
    X[: n // 20] = X[n // 20 : 2 * (n // 20)] + rng.normal(0, 0.01, (n // 20, d)) * spectrum
    return X.astype(np.float32)


def ours_vectors(X):
    """Search as skgeo does."""
    return sum(len(i) for i, _, _ in near_vectors(X, None, 0.1))


def neighbours(X, algorithm):
    """Search scikit-learn's index."""
    index = NearestNeighbors(radius=0.1, algorithm=algorithm).fit(X)
    found = index.radius_neighbors(X, return_distance=False)
    return (sum(len(row) for row in found) - len(X)) // 2


def versions(image):
    """Give what a photograph becomes on its way through the web."""
    width, height = image.size
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    yield "JPEG of quality 30", buffer.getvalue()
    yield "half of the size", image.resize((width // 2, height // 2))
    yield "25 percent brighter", ImageEnhance.Brightness(image).enhance(1.25)
    yield "30 percent more contrast", ImageEnhance.Contrast(image).enhance(1.3)
    x, y = int(0.03 * width), int(0.03 * height)
    yield "3 percent cut off on each side", image.crop((x, y, width - x, height - y))
    captioned = image.copy()
    captioned.paste("white", (0, int(0.93 * height), width, height))
    yield "a bar over 7 percent of the height", captioned


def show_hashes(folder):
    """Print how hashes of versions and of different photographs differ."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    hashes = perceptual_hash(paths)
    changed = {}
    for path, value in list(zip(paths, hashes, strict=True))[::6]:
        names, images = zip(*versions(Image.open(path).convert("RGB")), strict=True)
        for name, other in zip(names, perceptual_hash(list(images)), strict=True):
            changed.setdefault(name, []).append(int(value ^ other).bit_count())
    print(f"\n{folder}: {len(paths)} photographs; bits of 64 that change")
    for name, bits in changed.items():
        print(f"  {name:<38} median {np.median(bits):3.0f}   95 % {np.percentile(bits, 95):3.0f}")
    near = np.concatenate([[99], *(d for _, _, d in near_hashes(hashes, None, 14))])
    counts = ", ".join(f"{limit}: {int((near <= limit).sum())}" for limit in range(4, 15, 2))
    print(f"  pairs of different photographs within so many bits: {counts}")


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=3_000)
    parser.add_argument("--images", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    for folder in options.images:
        show_hashes(folder)
    rng = np.random.default_rng(0)

    values = hashes_with_copies(rng, options.photos)
    rows = []
    for name, function in (
        ("skgeo", ours_hashes),
        ("numpy, all pairs", full_hashes),
        ("scikit-learn BallTree", tree_hashes),
    ):
        pairs, seconds = timed(function, values)
        rows.append((name, seconds, f"{pairs} pairs"))
    show(f"Hashes within 8 of 64 bits, {options.photos:,} photographs", rows)

    X = vectors_with_copies(rng, options.photos)
    rows = []
    for name, function in (
        ("skgeo", lambda: ours_vectors(X)),
        ("scikit-learn radius_neighbors, brute", lambda: neighbours(X, "brute")),
        ("scikit-learn radius_neighbors, ball tree", lambda: neighbours(X, "ball_tree")),
    ):
        pairs, seconds = timed(function)
        rows.append((name, seconds, f"{pairs} pairs"))
    show(f"Vectors of 256 columns within a radius, {options.photos:,} photographs", rows)

    n = options.queries
    y = np.column_stack([np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)])
    step = 10.0 ** rng.uniform(-3, 1.5, (n, 1)) * rng.normal(size=(n, 2))
    pred = np.clip(y + step, [-90, -180], [90, 180])
    other = np.clip(y + 0.9 * step, [-90, -180], [90, 180])
    error = great_circle_distance(y, pred)
    rows = []
    for name, function in (
        ("skgeo report, 8 figures", lambda: geolocation_report(y, pred, confidence_level=0.95)),
        ("skgeo comparison, 8 figures, p-values",
         lambda: compare_geolocation(y, {"a": pred, "b": other})),
        ("scipy bootstrap, the median alone", lambda: bootstrap(
            (error,), np.median, method="percentile", n_resamples=2000, batch=200, rng=rng)),
        ("scipy bootstrap, the mean alone", lambda: bootstrap(
            (error,), np.mean, method="percentile", n_resamples=2000, batch=200, rng=rng)),
    ):  # fmt: skip
        _, seconds = timed(function)
        rows.append((name, seconds, ""))
    show(f"Intervals from 2,000 resamples, {n:,} queries", rows)


if __name__ == "__main__":
    main()
