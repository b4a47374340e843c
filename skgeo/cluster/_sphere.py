"""Sums over discs on the sphere, right at the poles and across the antimeridian.

Tiles are cut along parallels and meridians, but only to find points: in or out is decided by
the chord between unit vectors, and sums are of unit vectors in fixed point. Nothing depends on
where on the sphere the points lie, but for rounding in the last digits, nor on their order.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ._compiled import compiled, inner
from ._fixed_point import sphere_quantum
from ._tiles import FloatArray, LongArray, Tiles, find_tile, sort_into_tiles

# A row of cells costs some sines here, so there are fewer than in the plane.
_POINTS_PER_CELL = 30.0

#: Chord by which the edges of cells, computed from angles, may be off.
_EDGE = 2e-14

#: Latitude, longitude and cosine of the latitude of a disc's middle; squares of half the chords
#: surely within and surely without; the widest half of the disc in longitude, and the latitudes
#: between which it may be as wide.
Frame = tuple[float, float, float, float, float, float, float, float]

#: Discs beyond this chord, some 5,000 km, go more than once around a parallel or over two poles.
MAX_RADIUS = 0.77


class Sphere(NamedTuple):
    """Distinct unit vectors in tiles, with prefix sums in fixed point.

    Column 0 of ``prefix`` counts points (with duplicates), columns 1 to 3 add coordinates in
    units of ``quantum``. ``height`` is that of a band of tiles, in radians.
    """

    points: FloatArray
    prefix: LongArray
    tiles: Tiles
    radius: float
    height: float
    quantum: float


def build_sphere(
    distinct: FloatArray, weights: LongArray, radius: float
) -> tuple[Sphere, LongArray] | None:
    """Sort distinct unit vectors into tiles.

    Returns None where the radius is too large for this or too small for 64 bits (a centimetre);
    else the sphere and the sorted order of the points.
    """
    if not 1e-9 < radius <= MAX_RADIUS:
        return None
    quantum = sphere_quantum(int(weights.sum()), radius)
    height = 2.0 * math.asin(0.5 * radius) * (1.0 + 2.0**-10) + 4.0 * _EDGE
    latitude, longitude = _angles(distinct)
    at = (latitude + 0.5 * np.pi) / height
    bands = np.floor(at).astype(np.int64)
    columns_in_band = _columns_of_bands(bands, height)
    along = longitude * (columns_in_band / (2.0 * np.pi))
    columns = np.minimum(along.astype(np.int64), columns_in_band - 1)
    order, tiles = sort_into_tiles(
        bands, columns, at - bands, along - columns, points_per_cell=_POINTS_PER_CELL
    )
    prefix = np.zeros((len(distinct) + 1, 4), dtype=np.int64)
    prefix[1:, 0] = weights
    prefix[1:, 1:] = np.rint(distinct / quantum).astype(np.int64) * weights[:, None]
    prefix[1:] = prefix[1:][order]
    np.cumsum(prefix, axis=0, out=prefix)
    return Sphere(distinct[order], prefix, tiles, radius, height, quantum), order


def _angles(vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    latitude = np.arctan2(vectors[:, 2], np.hypot(vectors[:, 0], vectors[:, 1]))
    longitude = np.arctan2(vectors[:, 1], vectors[:, 0])
    return latitude, np.where(longitude < 0.0, longitude + 2.0 * np.pi, longitude)


@inner
def _columns_of_band(band: int, height: float) -> int:
    """How many tiles, about as wide as high, go around a band."""
    middle = math.cos((band + 0.5) * height - 0.5 * math.pi)
    return int(max(2.0 * math.pi * middle / height, 1.0))


@compiled
def _columns_of_bands(bands: LongArray, height: float) -> LongArray:
    columns = np.empty(len(bands), dtype=np.int64)
    for i in range(len(bands)):
        columns[i] = _columns_of_band(bands[i], height)
    return columns


@inner
def _frame(sphere: Sphere, x: float, y: float, z: float) -> Frame:
    """Everything about a disc that its rows need to know."""
    cos = math.hypot(x, y)
    latitude = math.atan2(z, cos)
    longitude = math.atan2(y, x)
    if longitude < 0.0:
        longitude += 2.0 * math.pi
    inside, outside = sphere.radius - _EDGE, sphere.radius + _EDGE
    # The disc is widest where a meridian touches it, a little poleward of its middle.
    ratio = outside * math.sqrt(1.0 - 0.25 * outside * outside) / cos if cos > 0.0 else 2.0
    sine = z / (1.0 - 0.5 * outside * outside)
    widest_at = math.asin(min(max(sine, -1.0), 1.0))
    margin = 1e-6 * sphere.radius + 1e-7
    low, high = min(latitude, widest_at) - margin, max(latitude, widest_at) + margin
    if ratio < 1.0 - 1e-9:
        widest = math.asin(ratio) * (1.0 + 1e-7)
    else:  # a pole is in it
        widest = math.pi
        if z > 0.0:
            high = 2.0
        else:
            low = -2.0
    return (
        latitude,
        longitude,
        cos,
        0.25 * inside * inside,
        0.25 * outside * outside,
        widest,
        low,
        high,
    )


@inner
def _half_widths(frame: Frame, latitude: float) -> tuple[float, float]:
    """Half of a parallel's part that is surely in the disc, and that may be (radians; -1: none)."""
    half_sine = math.sin(0.5 * (latitude - frame[0]))
    cosines = max(math.cos(latitude), 0.0) * frame[2]
    surely, maybe = frame[3] - half_sine * half_sine, frame[4] - half_sine * half_sine
    return _arc(surely * (1.0 - 1e-7), cosines), _arc(maybe * (1.0 + 1e-7), cosines)


@inner
def _arc(numerator: float, cosines: float) -> float:
    if numerator <= 0.0:
        return -1.0
    if numerator >= cosines:
        return math.pi
    return 2.0 * math.asin(math.sqrt(numerator / cosines))


@inner
def _widest(frame: Frame, low: float, high: float, at_low: float, at_high: float) -> float:
    """Widest half of the disc between two latitudes, given what it may be at them."""
    if low <= frame[7] and high >= frame[6]:
        return frame[5]
    return max(at_low, at_high)


@inner
def _columns(sphere: Sphere, frame: Frame, band: int) -> tuple[int, int, int]:
    """First tile of a band that may touch the disc, how many do, and how many there are."""
    low = band * sphere.height - 0.5 * math.pi
    if band < 0 or low >= 0.5 * math.pi:
        return 0, 0, 1
    high = min(low + sphere.height, 0.5 * math.pi)
    reach = _widest(frame, low, high, _half_widths(frame, low)[1], _half_widths(frame, high)[1])
    around = _columns_of_band(band, sphere.height)
    if reach < 0.0:
        return 0, 0, around
    width = 2.0 * math.pi / around
    if reach + width >= math.pi:
        return 0, around, around
    first = math.floor((frame[1] - reach - _EDGE) / width)
    last = math.floor((frame[1] + reach + _EDGE) / width)
    return first, min(last - first + 1, around), around


@inner
def disc(sphere: Sphere, x: float, y: float, z: float) -> tuple[int, int, int, int]:
    """Sum over the points within the radius of a unit vector: number and three coordinates."""
    tiles, prefix, points = sphere.tiles, sphere.prefix, sphere.points
    square = sphere.radius * sphere.radius
    frame = _frame(sphere, x, y, z)
    count, sum_x, sum_y, sum_z = 0, 0, 0, 0
    middle = math.floor((frame[0] + 0.5 * math.pi) / sphere.height)
    for band in range(middle - 1, middle + 2):
        first_column, n_columns, around = _columns(sphere, frame, band)
        width = 2.0 * math.pi / around
        bottom = band * sphere.height - 0.5 * math.pi
        for k in range(n_columns):
            column = (first_column + k) % around
            tile = find_tile(tiles, band, column)
            if tile < 0:
                continue
            side = tiles.side[tile]
            step = sphere.height / side
            per_step = side / width
            base = tiles.first_cell[tile]
            # The disc's middle, from the tile's western edge.
            east = frame[1] - (column + 0.5) * width
            if east > math.pi:
                east -= 2.0 * math.pi
            elif east < -math.pi:
                east += 2.0 * math.pi
            east += 0.5 * width
            in_low, out_low = _half_widths(frame, bottom)
            for f in range(side):
                low = bottom + f * step
                high = min(low + step, 0.5 * math.pi)
                in_high, out_high = _half_widths(frame, high)
                half = _widest(frame, low, high, out_low, out_high)
                surely = min(in_low, in_high)
                in_low, out_low = in_high, out_high
                if half < 0.0:
                    continue
                first, last = 0, side
                begin, stop = last, last
                if surely >= math.pi:
                    begin, stop = 0, side
                elif half < math.pi - 0.5 * width - 1e-6:
                    # The row meets the disc once, not from both ends.
                    first = max(math.floor((east - half - _EDGE) * per_step), 0)
                    last = min(math.floor((east + half + _EDGE) * per_step) + 1, side)
                    if first >= last:
                        continue
                    begin, stop = last, last
                    if surely > 0.0:
                        begin = max(math.ceil((east - surely + _EDGE) * per_step), 0)
                        stop = min(math.floor((east + surely - _EDGE) * per_step), side)
                        if begin >= stop:
                            begin, stop = last, last
                row = base + f * side
                a, b = tiles.cell_start[row + begin], tiles.cell_start[row + stop]
                count += prefix[b, 0] - prefix[a, 0]
                sum_x += prefix[b, 1] - prefix[a, 1]
                sum_y += prefix[b, 2] - prefix[a, 2]
                sum_z += prefix[b, 3] - prefix[a, 3]
                for part in range(2):
                    if part == 0:
                        a, b = tiles.cell_start[row + first], tiles.cell_start[row + begin]
                    else:
                        a, b = tiles.cell_start[row + stop], tiles.cell_start[row + last]
                    for i in range(a, b):
                        dx, dy, dz = points[i, 0] - x, points[i, 1] - y, points[i, 2] - z
                        if dx * dx + dy * dy + dz * dz <= square:
                            count += prefix[i + 1, 0] - prefix[i, 0]
                            sum_x += prefix[i + 1, 1] - prefix[i, 1]
                            sum_y += prefix[i + 1, 2] - prefix[i, 2]
                            sum_z += prefix[i + 1, 3] - prefix[i, 3]
    return count, sum_x, sum_y, sum_z


@compiled
def spreads(sphere: Sphere, places: FloatArray) -> FloatArray:
    """Mean square of the chords to the points within the radius of each place, over its square."""
    tiles, prefix, points = sphere.tiles, sphere.prefix, sphere.points
    square = sphere.radius * sphere.radius
    spread = np.empty(len(places))
    for p in range(len(places)):
        x, y, z = places[p, 0], places[p, 1], places[p, 2]
        frame = _frame(sphere, x, y, z)
        count, total = 0, 0.0
        middle = math.floor((frame[0] + 0.5 * math.pi) / sphere.height)
        for band in range(middle - 1, middle + 2):
            first_column, n_columns, around = _columns(sphere, frame, band)
            for k in range(n_columns):
                tile = find_tile(tiles, band, (first_column + k) % around)
                if tile < 0:
                    continue
                base = tiles.first_cell[tile]
                a = tiles.cell_start[base]
                b = tiles.cell_start[base + tiles.side[tile] ** 2]
                for i in range(a, b):
                    dx, dy, dz = points[i, 0] - x, points[i, 1] - y, points[i, 2] - z
                    d2 = dx * dx + dy * dy + dz * dz
                    if d2 <= square:
                        weight = prefix[i + 1, 0] - prefix[i, 0]
                        count += weight
                        total += weight * d2
        spread[p] = total / (max(count, 1) * square)
    return spread
