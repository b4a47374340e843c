"""Lines that were drawn are found; components and fits against plain loops."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from skgeo.features import find_line_segments, line_histogram


def half_plane(angle, size=200):
    """White on one side of a straight edge through the middle, at an angle to the horizontal."""
    y, x = np.mgrid[0:size, 0:size] - (size - 1) / 2
    theta = np.deg2rad(angle)
    side = x * np.sin(theta) + y * np.cos(theta)  # y points down, so this is the line's normal
    grey = (127.5 + 127.5 * np.clip(side, -1, 1)).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


@pytest.mark.parametrize("angle", [0, 10, 22.5, 30, 45, 60, 75, 90, 100, 120, 135, 150, 170])
def test_the_angle_of_a_straight_edge(angle):
    segments = find_line_segments(half_plane(angle))
    assert len(segments.angle) >= 1
    longest = segments.length.argmax()
    turn = (segments.angle[longest] - angle + 90) % 180 - 90
    assert abs(turn) < 0.6
    across = 199 / max(abs(np.cos(np.deg2rad(angle))), abs(np.sin(np.deg2rad(angle))))
    assert segments.length[longest] == pytest.approx(across, abs=3)
    assert segments.confidence[longest] >= 200


def test_angles_run_anticlockwise_as_seen():
    rising = np.zeros((100, 100, 3), dtype=np.uint8)
    cv2.line(rising, (10, 90), (80, 50), (255, 255, 255), 3)  # from below left to above right
    angles = find_line_segments(rising).angle
    assert len(angles) >= 2
    assert np.abs(angles - 29.7).max() < 3


def test_a_perfect_line_has_the_greatest_confidence():
    for angle in (0, 90, 45, 135):
        assert find_line_segments(half_plane(angle)).confidence.max() == 1600


def test_turning_the_image_turns_the_angles(make):
    image = make(120, 120, seed=3)
    before, after = find_line_segments(image), find_line_segments(np.rot90(image).copy())
    assert len(before.angle) > 10
    # The detector is nearly, not exactly, the same in both directions.
    assert abs(len(before.angle) - len(after.angle)) <= 0.2 * len(before.angle)
    turned = line_histogram(np.rot90(image).copy())[:200]
    expected = np.roll(line_histogram(image)[:200], 100)
    assert np.corrcoef(turned, expected)[0, 1] > 0.9


@pytest.mark.parametrize("value", [0, 128, 255])
def test_no_edges_no_lines(value):
    image = np.full((50, 60, 3), value, dtype=np.uint8)
    assert all(len(field) == 0 for field in find_line_segments(image))
    np.testing.assert_array_equal(line_histogram(image), np.zeros(232))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 3), (5, 200)])
def test_the_smallest_images(rng, shape):
    histogram = line_histogram(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
    assert histogram.shape == (232,)
    assert np.isfinite(histogram).all()
    assert (histogram >= 0).all()


def test_circles_are_no_lines():
    image = np.zeros((200, 200, 3), dtype=np.uint8)
    cv2.circle(image, (100, 100), 60, (255, 255, 255), -1)
    assert find_line_segments(image).length.max(initial=0) < 40


# --- a slow reference of the grouping -------------------------------------------------------


def slow_segments(image):
    """The grouping with sets of pixels and a flood fill; the fit by numpy's eigenvalues."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (5, 5), 1.0)
    edges = cv2.Canny(grey, 200, 500, apertureSize=5)
    dx = cv2.Sobel(grey, cv2.CV_16S, 1, 0, ksize=5, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.Sobel(grey, cv2.CV_16S, 0, 1, ksize=5, borderType=cv2.BORDER_REPLICATE)
    height, width = grey.shape
    bins = {}
    for y in range(height):
        for x in range(width):
            if edges[y, x]:
                turn = np.arctan2(float(dy[y, x]), float(dx[y, x])) / np.pi % 1.0
                bins[y, x] = int(np.floor(turn * 8 + 0.5)) % 8
    used, found = set(), []
    for direction in range(8):
        near = {(direction - 1) % 8, direction, (direction + 1) % 8}
        left = {pixel for pixel, b in bins.items() if b in near and pixel not in used}
        while left:
            queue = [left.pop()]
            component = set(queue)
            while queue:
                y, x = queue.pop()
                for neighbour in [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]:
                    if neighbour in left:
                        left.remove(neighbour)
                        component.add(neighbour)
                        queue.append(neighbour)
            if len(component) <= 0.02 * np.hypot(height, width):
                continue
            points = np.array(sorted(component), dtype=float)
            y, x = points[:, 0], -points[:, 1]
            scatter = np.cov(np.stack([x, y])) * (len(x) - 1)
            values, vectors = np.linalg.eigh(scatter)
            straight = values[1] / values[0] if values[0] > 1e-9 * values[1] else 1600
            if straight < 200:
                continue
            used |= component
            angle = np.rad2deg(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180
            found.append((angle, np.hypot(np.ptp(x), np.ptp(y)), min(straight, 1600)))
    return np.array(found).reshape(-1, 3)


def canonical(table):
    """Sorted, with 180 degrees, which is a rounded 0, as 0."""
    table = np.array(table)
    table[:, 0] = np.where(table[:, 0] > 180 - 1e-6, 0, table[:, 0])
    return table[np.lexsort(np.round(table.T, 5))]


@pytest.mark.parametrize("seed", range(4))
def test_segments_equal_the_slow_reference(make, seed):
    image = make(70, 100, seed=seed)
    segments = find_line_segments(image)
    expected = slow_segments(image)
    assert len(expected) > 5
    np.testing.assert_allclose(
        canonical(np.stack(segments, axis=1)), canonical(expected), rtol=1e-6, atol=1e-6
    )


# --- histogram ------------------------------------------------------------------------------


def slow_histogram(image):
    height, width = image.shape[:2]
    angles, lengths = np.zeros(200), np.zeros(32)
    segments = find_line_segments(image)
    for angle, length, confidence in zip(*segments, strict=True):
        weight = length * np.sqrt(min(confidence, 800))
        for tap in range(-7, 8):
            share = np.exp(-(tap**2) / 18) / sum(np.exp(-(t**2) / 18) for t in range(-7, 8))
            angles[(int(np.rint(angle / 0.9)) + tap) % 200] += weight * share
        centre = min(31, int(np.rint(np.sqrt(length * 800 / max(height, width)))))
        for tap in range(-3, 4):
            share = np.exp(-(tap**2) / 4.5) / sum(np.exp(-(t**2) / 4.5) for t in range(-3, 4))
            if 0 <= centre + tap < 32:
                lengths[centre + tap] += weight * share
    return np.concatenate([angles, lengths]) / (height * width) ** 0.25


@pytest.mark.parametrize("seed", range(3))
def test_histogram_equals_the_loop(make, seed):
    image = make(90, 70, seed=seed)
    histogram = line_histogram(image)
    assert histogram.dtype == np.float32
    np.testing.assert_allclose(histogram, slow_histogram(image), rtol=1e-5, atol=1e-4)


def test_the_longest_line_possible_is_in_the_last_bin():
    histogram = line_histogram(half_plane(45, size=400))
    assert histogram[200:].argmax() == 31


def test_level_lines_spread_evenly_around_the_circle():
    angles = line_histogram(half_plane(0))[:200]
    assert angles.argmax() == 0
    np.testing.assert_allclose(angles[1:100], angles[:100:-1], rtol=1e-5)


def test_large_images_are_shrunk(make):
    large = make(450, 600)
    shrunk = cv2.resize(large, (400, 300), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(line_histogram(large), line_histogram(shrunk))
    assert not np.array_equal(line_histogram(large), line_histogram(large, image_size=None))
