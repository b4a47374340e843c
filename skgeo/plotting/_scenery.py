"""What a map shows besides its data: land, a scale bar, where on Earth it lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skgeo._basemap import blue_marble
from skgeo.metrics._thresholds import format_km

from ._coastlines import shapes_in
from ._matplotlib import mix
from ._view import KM_PER_DEGREE, View, nice_length

FloatArray = npt.NDArray[np.float64]


def draw_land(ax: Any, view: View, *, detail: float = 200.0) -> None:
    """Fill land and lakes and outline their shores, in shades of the style's own colours."""
    from matplotlib.collections import LineCollection, PolyCollection

    shapes = shapes_in(view, detail=detail)
    land, water = mix(ax, 0.11), mix(ax, 0.0)
    layers = ((shapes.land, land), (shapes.lakes, water), (shapes.islands, land))
    for depth, (polygons, color) in enumerate(layers):
        fill = PolyCollection(
            polygons, facecolors=color, edgecolors="none", zorder=1.0 + depth / 100.0
        )
        ax.add_collection(fill, autolim=False)
    shore = LineCollection(shapes.shores, colors=[mix(ax, 0.34)], linewidths=0.45, zorder=1.1)
    ax.add_collection(shore, autolim=False)


def draw_imagery(ax: Any, view: View, *, max_pixels: int = 2400, dim: float = 0.35) -> None:
    """Lay NASA's Blue Marble under the map, mixed with the paper so that marks stand out."""
    image = blue_marble()
    degree = image.shape[1] / 360.0
    # Two turns of the Earth: a view may run on beyond the antimeridian.
    rows = np.clip(np.round((90.0 - np.array([view.north, view.south])) * degree), 0, len(image))
    columns = np.round((np.array([view.west, view.east]) + 180.0) * degree).astype(int)
    top, bottom = rows.astype(int)
    step = max(1, -(-(columns[1] - columns[0]) // max_pixels))
    part = image[top:bottom:step].take(
        np.arange(columns[0], columns[1], step) % image.shape[1], axis=1
    )
    paper = np.asarray(mix(ax, 0.0)[:3])
    ax.imshow(
        (1.0 - dim) * part / 255.0 + dim * paper,
        extent=(view.west, view.east, 90.0 - bottom / degree, 90.0 - top / degree),
        aspect=ax.get_aspect(),
        interpolation="bilinear",
        zorder=1.0,
    )
    ax.set_xlim(view.west, view.east)
    ax.set_ylim(view.south, view.north)


def draw_scale_bar(ax: Any, view: View) -> None:
    """Draw a bar of round length in the lower left corner, true in the middle of the map."""
    length = nice_length(view.width_km / 4.5)
    share = length / view.width_km
    ink = mix(ax, 0.75)
    ax.plot(
        [0.03, 0.03, 0.03 + share, 0.03 + share],
        [0.05, 0.04, 0.04, 0.05],
        transform=ax.transAxes,
        color=ink,
        linewidth=1.3,
        solid_joinstyle="miter",
        zorder=4.0,
    )
    ax.text(
        0.03 + share / 2.0,
        0.052,
        format_km(length),
        transform=ax.transAxes,
        ha="center",
        va="bottom",
        fontsize="small",
        color=ink,
        zorder=4.0,
    )


def draw_locator(ax: Any, view: View, places: FloatArray) -> None:
    """Draw a small map of the region, with a mark on the map's middle, in the emptiest corner."""
    middle_lat = (view.south + view.north) / 2.0
    middle_lon = (view.west + view.east) / 2.0
    half = 350.0 / KM_PER_DEGREE
    south = float(np.clip(middle_lat - half, -90.0, 90.0 - 2.0 * half))
    around = View(
        south,
        south + 2.0 * half,
        middle_lon - half * view.stretch,
        middle_lon + half * view.stretch,
    )
    inset = ax.inset_axes(_emptiest_corner(view, places), zorder=5.0)
    inset.set_facecolor(mix(ax, 0.0))
    inset.set_xlim(around.west, around.east)
    inset.set_ylim(around.south, around.north)
    # The corner is a square of the screen whatever the map's proportions.
    inset.set_aspect("auto")
    inset.set(xticks=[], yticks=[])
    for spine in inset.spines.values():
        spine.set_edgecolor(mix(ax, 0.3))
        spine.set_linewidth(0.6)
    draw_land(inset, around, detail=25.0)
    inset.plot(
        middle_lon,
        middle_lat,
        marker="s",
        markersize=6.0,
        markerfacecolor="none",
        markeredgecolor=mix(ax, 0.9),
        markeredgewidth=1.4,
    )


def _emptiest_corner(view: View, places: FloatArray) -> tuple[float, float, float, float]:
    """Left, bottom, width and height in parts of the axes; the scale bar has the lower left."""
    width = 0.22
    height = width * view.width_km / view.height_km
    x = (view.wrap(places[:, 1]) - view.west) / (view.east - view.west)
    y = (places[:, 0] - view.south) / (view.north - view.south)
    gap = 0.015
    corners = [(1.0 - width - gap, 1.0 - height - gap), (gap, 1.0 - height - gap)]
    corners.append((1.0 - width - gap, gap))

    def covered(corner: tuple[float, float]) -> int:
        inside = (np.abs(x - corner[0] - width / 2.0) < width / 2.0 + gap) & (
            np.abs(y - corner[1] - height / 2.0) < height / 2.0 + gap
        )
        return int(inside.sum())

    left, bottom = min(corners, key=covered)
    return left, bottom, width, height
