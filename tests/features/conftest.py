"""Pictures with something in them, for the descriptors."""

from __future__ import annotations

import cv2
import numpy as np
import pytest


def make_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Coloured clouds with a few bars and discs: smooth parts, edges and texture."""
    rng = np.random.default_rng(seed)
    clouds = rng.random((max(2, height // 16), max(2, width // 16), 3))
    picture = cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC) * 255
    picture += rng.normal(scale=6, size=picture.shape)
    picture = np.ascontiguousarray(picture.clip(0, 255).astype(np.uint8))
    for _ in range(5):
        start, end = (rng.integers(0, (width, height)).tolist() for _ in range(2))
        colour = rng.integers(0, 256, 3).tolist()
        cv2.line(picture, start, end, colour, int(rng.integers(1, 5)))
        cv2.circle(picture, start, int(rng.integers(2, 12)), colour[::-1], -1)
    return picture


@pytest.fixture
def picture() -> np.ndarray:
    return make_picture(90, 120)


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    """Pictures of different sizes, small enough to be quick."""
    sizes = [(48, 64), (64, 48), (40, 40), (33, 71), (57, 29), (64, 64), (20, 90), (51, 50)]
    return [make_picture(*size, seed=seed) for seed, size in enumerate(sizes)]


@pytest.fixture(scope="session")
def make():
    return make_picture
