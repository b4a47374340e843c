"""Great circles as lines on a plate carrée map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skgeo._geodesy import from_unit_vectors, to_unit_vectors

FloatArray = npt.NDArray[np.float64]


def great_circle_lines(
    start: FloatArray, stop: FloatArray, *, west: float = -180.0, step_deg: float = 2.0
) -> tuple[list[FloatArray], npt.NDArray[np.intp]]:
    """Cut the shortest ways between pairs of places into lines for a map from `west` eastward.

    Parameters
    ----------
    start, stop : ndarray of shape (n, 2)
        Latitude and longitude in degrees.
    west : float
        Longitude of the left edge of the map, which spans 360 degrees. Lines are cut there, and
        the second part goes on at the other edge.
    step_deg : float
        Greatest angle between the vertices of a line.

    Returns
    -------
    lines : list of ndarray of shape (m, 2)
        Vertices ``[longitude, latitude]``, longitudes in [west, west + 360].
    index : ndarray of int
        The pair that each line is (part of).
    """
    lines: list[FloatArray] = []
    index: list[int] = []
    for pair, way in enumerate(_ways(start, stop, step_deg)):
        # Longitudes that run on without a jump at 180 degrees.
        lon = np.unwrap(way[:, 1], period=360.0)
        for part in _cut(np.column_stack([lon, way[:, 0]]), west):
            lines.append(part)
            index.append(pair)
    return lines, np.array(index, dtype=np.intp)


def _ways(start: FloatArray, stop: FloatArray, step_deg: float) -> list[FloatArray]:
    """Vertices (m, 2) of each great circle, latitude first; m grows with its length."""
    a, b = to_unit_vectors(start), to_unit_vectors(stop)
    chord = np.linalg.norm(b - a, axis=1)
    angle = 2.0 * np.arcsin(np.minimum(chord / 2.0, 1.0))
    # The direction in which each way leaves, at right angles to its start.
    leave = b - np.sum(a * b, axis=1, keepdims=True) * a
    size = np.linalg.norm(leave, axis=1, keepdims=True)
    # From antipode to antipode all ways are equally short: the one over the north pole, or along
    # the meridian of Greenwich from a pole, is as good as any.
    over = np.where(np.abs(a[:, 2:]) < 0.99, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    over = over - np.sum(a * over, axis=1, keepdims=True) * a
    leave = np.where(size > 1e-9, leave, over)
    leave /= np.linalg.norm(leave, axis=1, keepdims=True)
    counts = np.maximum(2, np.ceil(np.rad2deg(angle) / step_deg).astype(np.intp) + 1)
    ways = []
    for i, count in enumerate(counts):
        turn = np.linspace(0.0, angle[i], count)[:, None]
        way = from_unit_vectors(np.cos(turn) * a[i] + np.sin(turn) * leave[i])
        way[0], way[-1] = start[i], stop[i]
        ways.append(way)
    return ways


def _cut(line: FloatArray, west: float) -> list[FloatArray]:
    """Cut a line where it crosses the map's edge, and bring its parts onto the map."""
    turn = np.floor((line[:, 0] - west) / 360.0)
    crossing = np.flatnonzero(turn[1:] != turn[:-1])
    parts = []
    begin: list[FloatArray] = []
    first = 0
    for i in crossing:
        here, there = turn[i], turn[i + 1]
        edge = west + 360.0 * max(here, there)
        knot = np.array([[edge, _latitude_at(edge, line[i], line[i + 1])]])
        part = np.vstack([*begin, line[first : i + 1], knot])
        parts.append(part - [360.0 * here, 0.0])
        begin, first = [knot], int(i) + 1
    last = np.vstack([*begin, line[first:]])
    parts.append(last - [360.0 * turn[-1], 0.0])
    for part in parts:
        part[:, 0] = np.clip(part[:, 0], west, west + 360.0)
    # A line that ends on the edge leaves a part without length on the other side.
    return [p for p in parts if len(parts) == 1 or np.ptp(p, axis=0).any()]


def _latitude_at(longitude: float, a: FloatArray, b: FloatArray) -> float:
    """Latitude at which the great circle through two places passes a meridian between them."""
    x, y, z = np.cross(*to_unit_vectors(np.array([a[::-1], b[::-1]])))
    at = np.deg2rad(longitude)
    if abs(z) > 1e-12:
        return float(np.rad2deg(np.arctan(-(x * np.cos(at) + y * np.sin(at)) / z)))
    if abs(b[0] - a[0]) < 90.0:  # along the meridian, which rounding puts on both sides of itself
        return float((a[1] + b[1]) / 2.0)
    # Along a meridian over a pole, where all longitudes meet.
    return float(np.copysign(90.0, a[1] + b[1]))
