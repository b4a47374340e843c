"""A query beside the photos that it was located by, as the paper's Fig. 9."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skgeo._geodesy import great_circle_km
from skgeo._validation import check_coordinates
from skgeo.images import check_images
from skgeo.metrics._thresholds import check_thresholds

from ._error_classes import class_colors
from ._matplotlib import import_pyplot, mix
from ._reliability import last_step
from ._thumbnails import format_away, format_position, show_picture, thumbnail

FloatArray = npt.NDArray[np.float64]

#: Inches: a thumbnail, and what is written below it.
_CELL, _CAPTION, _GAP, _MARGIN = 1.35, 0.62, 0.1, 0.12


class NeighborsDisplay:
    """A query and its nearest photos of the gallery, each with its distance and its position.

    Where the true place of the query is known, the frames have the colours of the errors that the
    neighbours' places would make. Use `from_estimator` to make one.

    Parameters
    ----------
    query : image
        The query.
    neighbors : sequence of images
        Its neighbours, nearest first.
    distances : ndarray of shape (n_neighbors,)
        In the space that was searched.
    coordinates : ndarray of shape (n_neighbors, 2)
        Where the neighbours were taken, degrees.
    place : array-like of shape (2,)
        The estimate for the query, degrees.
    y_true : array-like of shape (2,), default=None
        Where the query was taken, degrees.

    Attributes
    ----------
    query_ax_ : matplotlib Axes
        The query.
    neighbor_axes_ : list of matplotlib Axes
        The neighbours, nearest first.
    ax_ : matplotlib Axes
        The axes that hold all of them.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    skgeo.neighbors.KNNGeoRegressor.explain : The same as a table, with votes.

    References
    ----------
    .. [1] Jiang, Kong and Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
       Estimation", IEEE Transactions on Big Data, 2017, Fig. 9.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from skgeo import KNNGeoRegressor, LowLevelFeatures
    >>> from skgeo.plotting import NeighborsDisplay
    >>> rng = np.random.default_rng(0)
    >>> gallery = rng.integers(0, 256, (5, 32, 48, 3), dtype=np.uint8)
    >>> places = rng.uniform([40, 0], [50, 10], (5, 2))
    >>> model = make_pipeline(LowLevelFeatures("tiny5"), KNNGeoRegressor()).fit(gallery, places)
    >>> display = NeighborsDisplay.from_estimator(model, gallery[0], gallery, n_neighbors=3)
    >>> len(display.neighbor_axes_)
    3
    """

    figure_: Any
    ax_: Any

    def __init__(
        self,
        *,
        query: Any,
        neighbors: Any,
        distances: npt.ArrayLike,
        coordinates: npt.ArrayLike,
        place: npt.ArrayLike,
        y_true: npt.ArrayLike | None = None,
    ) -> None:
        self.query = query
        self.neighbors = neighbors
        self.distances = distances
        self.coordinates = coordinates
        self.place = place
        self.y_true = y_true

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        query: Any,
        gallery: Any,
        *,
        x: npt.ArrayLike | None = None,
        y_true: npt.ArrayLike | None = None,
        n_neighbors: int = 6,
        ax: Any = None,
    ) -> NeighborsDisplay:
        """Draw what a fitted estimator found for a query.

        Parameters
        ----------
        estimator : estimator or Pipeline
            Fitted, with ``kneighbors`` and ``coordinates_`` (of a Pipeline the last step).
        query : image
            Whatever `skgeo.images.load_image` takes.
        gallery : collection of images
            The photos that it was fitted on, in that order. Only those shown are read.
        x : array-like of shape (n_features,), default=None
            The vector of the query. None: what the Pipeline makes of the query.
        y_true : array-like of shape (2,), default=None
            Where the query was taken, latitude and longitude in degrees.
        n_neighbors : int, default=6
            How many neighbours to show.
        ax : matplotlib Axes, default=None
            Where to draw. None: on a new figure.

        Returns
        -------
        NeighborsDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is not one image for each photo of the gallery, ``x`` is needed and missing,
            or there are fewer neighbours than asked for.
        """
        knn = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
        if x is not None:
            vectors = np.asarray(x).reshape(1, -1)
        elif hasattr(estimator, "steps"):
            _, vectors = last_step(estimator, [query])
        else:
            raise ValueError(
                f"{type(estimator).__name__} takes vectors, not images; pass the vector of the "
                "query as x, or a Pipeline that begins with features."
            )
        gallery = check_images(gallery, name="gallery")
        if len(gallery) != knn.n_samples_fit_:
            raise ValueError(
                f"gallery holds {len(gallery)} images, but the estimator has "
                f"{knn.n_samples_fit_} photos; expected one image for each, in the same order."
            )
        distances, indices = knn.kneighbors(vectors, n_neighbors=n_neighbors)
        display = cls(
            query=query,
            neighbors=[gallery[int(i)] for i in indices[0]],
            distances=distances[0],
            coordinates=knn.coordinates_[indices[0]],
            place=knn.predict(vectors)[0],
            y_true=y_true,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> NeighborsDisplay:
        """Draw the pictures.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: on a new figure.

        Returns
        -------
        NeighborsDisplay
            The display itself.
        """
        query = thumbnail(self.query)
        pictures = [thumbnail(image) for image in self.neighbors]
        places = check_coordinates(self.coordinates, name="coordinates", n_samples=len(pictures))
        estimate = check_coordinates([self.place], name="place")[0]
        truth = None if self.y_true is None else check_coordinates([self.y_true], name="y_true")[0]
        n = len(pictures) + 1
        if ax is None:
            self.figure_, self.ax_ = _new_axes(n, [query, *pictures])
        else:
            self.figure_, self.ax_ = ax.get_figure(), ax
        self.ax_.set_axis_off()
        box = self.ax_.get_window_extent().transformed(self.figure_.dpi_scale_trans.inverted())
        bottom = min(_CAPTION, box.height / 2.0) / box.height
        gap = _GAP / box.width
        # The query stands apart from what was found.
        width = (1.0 - (n + 2) * gap) / n
        ink = mix(self.ax_, 0.75)
        where = (0.0, bottom, width, 1.0 - bottom)
        self.query_ax_ = show_picture(self.ax_, query, where, mix(self.ax_, 0.5))
        said = [f"estimate {format_position(estimate, 2)}"]
        if truth is not None:
            error = float(great_circle_km(truth[None], estimate[None])[0])
            said += [f"true {format_position(truth, 2)}", f"error {format_away(error)}"]
        self._write(where, said, ink)
        colors = [mix(self.ax_, 0.5)] * len(pictures)
        away = np.full(len(pictures), np.nan)
        if truth is not None:
            radii = sorted(check_thresholds(None).values())
            away = great_circle_km(np.broadcast_to(truth, places.shape), places)
            shades = class_colors(len(radii) + 1)
            colors = [shades[k] for k in np.searchsorted(radii, away, side="left")]
        self.neighbor_axes_ = []
        for i, picture in enumerate(pictures):
            where = ((i + 1) * (width + gap) + 2.0 * gap, bottom, width, 1.0 - bottom)
            self.neighbor_axes_.append(show_picture(self.ax_, picture, where, colors[i]))
            lines = [
                f"distance {float(np.asarray(self.distances)[i]):.3g}",
                format_position(places[i], 2),
            ]
            if truth is not None:
                lines.append(f"{format_away(float(away[i]))} off")
            self._write(where, lines, ink)
        return self

    def _write(self, where: tuple[float, float, float, float], lines: list[str], ink: Any) -> None:
        left, bottom, width, _ = where
        self.ax_.text(
            left + width / 2.0,
            bottom - 0.02,
            "\n".join(lines),
            transform=self.ax_.transAxes,
            color=ink,
            fontsize="x-small",
            ha="center",
            va="top",
            linespacing=1.15,
        )


def _new_axes(columns: int, pictures: list[npt.NDArray[Any]]) -> tuple[Any, Any]:
    """Make a figure that one row of thumbnails fills."""
    plt = import_pyplot()
    shape = min(max(len(picture) / picture.shape[1] for picture in pictures), 1.35)
    width = columns * (_CELL + _GAP) + 2.0 * _GAP + 2.0 * _MARGIN
    height = shape * _CELL + _CAPTION + 2.0 * _MARGIN
    figure = plt.figure(figsize=(width, height))
    inside = (1.0 - 2.0 * _MARGIN / width, 1.0 - 2.0 * _MARGIN / height)
    return figure, figure.add_axes((_MARGIN / width, _MARGIN / height, *inside))
