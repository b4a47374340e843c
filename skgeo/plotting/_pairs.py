"""The partners of a photo as pictures: same area above, easy to confuse below."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from skgeo.images import check_images

from ._error_classes import ERROR_COLORS
from ._matplotlib import import_pyplot, mix
from ._thumbnails import format_away, format_position, show_picture, thumbnail

#: Kind of pair, what its row is called, why it may be empty, and its colour.
_ROWS = (
    ("same_area", "Same area", "No other photo in this area", ERROR_COLORS[0]),
    ("easy_confusing", "Easy to confuse", "No photo in another area", ERROR_COLORS[4]),
)

#: Inches: a thumbnail, what is written below it, the heading of a row, and gaps.
_CELL, _CAPTION, _HEADING, _GAP = 1.3, 0.36, 0.3, 0.1

#: Columns that are laid out at least, lest a single partner be as large as the photo.
_LEAST_COLUMNS = 3


class PairsDisplay:
    """A photo beside its partners: the same-area ones above, the easy-confusing ones below.

    Below each thumbnail stand its distance in feature space and how far away on Earth it was
    taken. Use `from_estimator` or `from_explanation` to make one.

    Parameters
    ----------
    explanation : pandas.DataFrame
        The partners of the photo, a table of `skgeo.pairs.InconsistencyPairs.explain`.
    images : sequence of images
        All photos, in the order of the pairs: whatever `skgeo.images.load_image` takes. Only
        those that are shown are read.
    index : int
        The photo.
    caption : str or None, default=None
        What to write below the photo.

    Attributes
    ----------
    photo_ax_ : matplotlib Axes
        The photo.
    same_area_axes_, easy_confusing_axes_ : list of matplotlib Axes
        The partners that are shown, nearest first.
    ax_ : matplotlib Axes
        The axes that hold all of them.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    skgeo.pairs.InconsistencyPairs.explain : The same as a table.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from skgeo.pairs import InconsistencyPairs
    >>> from skgeo.plotting import PairsDisplay
    >>> rng = np.random.default_rng(0)
    >>> images = rng.integers(0, 256, (6, 32, 48, 3), dtype=np.uint8)
    >>> places = [[48.858, 2.294]] * 4 + [[36.112, -115.173]] * 2
    >>> pairs = InconsistencyPairs(k1=2).fit(images.mean(axis=(1, 2)), places)
    >>> display = PairsDisplay.from_estimator(pairs, images, 0)
    >>> len(display.same_area_axes_), len(display.easy_confusing_axes_)
    (2, 2)
    """

    figure_: Any
    ax_: Any

    def __init__(
        self, *, explanation: Any, images: Any, index: int, caption: str | None = None
    ) -> None:
        self.explanation = explanation
        self.images = images
        self.index = index
        self.caption = caption

    @classmethod
    def from_estimator(
        cls, estimator: Any, images: Any, index: int, *, ax: Any = None, n_partners: int = 6
    ) -> PairsDisplay:
        """Draw the partners that fitted pairs found for a photo.

        Parameters
        ----------
        estimator : InconsistencyPairs, or an estimator with ``pairs_``
            Fitted, for example a `skgeo.embedding.DGAETransformer`.
        images : collection of images of length n_samples
            The photos that it was fitted on, in that order: paths, arrays, whatever
            `skgeo.images.load_image` takes, of mixed sizes. Only those that are shown are read.
        index : int
            Number of the photo; from the end where it is negative.
        ax : matplotlib Axes, default=None
            Where to draw. None: on a new figure.
        n_partners : int, default=6
            Partners that are shown in each row at most.

        Returns
        -------
        PairsDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If the estimator has no pairs.
        ValueError
            If there is no such photo, or not one image for each.
        """
        pairs = getattr(estimator, "pairs_", estimator)
        if not hasattr(pairs, "explain"):
            raise TypeError(
                f"{type(estimator).__name__} has no pairs; expected a fitted InconsistencyPairs, "
                "or an estimator with such pairs_."
            )
        if np.ndim(index) != 0:
            raise ValueError(f"index is {index!r}; expected the number of one photo.")
        explanation = pairs.explain(index)
        images = check_images(images, name="images")
        n_photos = len(pairs.labels_)
        if len(images) != n_photos:
            raise ValueError(
                f"images holds {len(images)} images, but the pairs are of {n_photos} photos; "
                "expected one image for each, in the same order."
            )
        index = int(index) % n_photos
        display = cls(
            explanation=explanation, images=images, index=index, caption=_caption(pairs, index)
        )
        return display.plot(ax, n_partners=n_partners)

    @classmethod
    def from_explanation(
        cls,
        explanation: Any,
        images: Any,
        *,
        index: int | None = None,
        ax: Any = None,
        n_partners: int = 6,
    ) -> PairsDisplay:
        """Draw the partners that a table tells, for example a part of `explain`'s.

        Parameters
        ----------
        explanation : pandas.DataFrame
            Columns ``photo``, ``kind``, ``index``, ``distance``, ``km`` and ``area``.
        images : collection of images
            As for `from_estimator`.
        index : int or None, default=None
            The photo; None: the only one that the table tells of.
        ax, n_partners
            As for `from_estimator`.

        Returns
        -------
        PairsDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the table lacks a column, tells of several photos and ``index`` is None, or names
            a photo that ``images`` does not have.
        """
        needed = ("photo", "kind", "index", "distance", "km", "area")
        missing = [name for name in needed if name not in getattr(explanation, "columns", ())]
        if missing:
            raise ValueError(
                f"explanation lacks the columns {missing}; expected a table of "
                "InconsistencyPairs.explain."
            )
        images = check_images(images, name="images")
        if index is None:
            photos = np.unique(explanation["photo"])
            if len(photos) != 1:
                raise ValueError(
                    f"explanation tells of {len(photos)} photos; say by index which one to draw."
                )
            index = int(photos[0])
        table = explanation[explanation["photo"] == index]
        numbers = [index, *table["index"]]
        if min(numbers) < 0 or max(numbers) >= len(images):
            raise ValueError(
                f"explanation names photo {max(numbers)}, but images holds {len(images)}; expected "
                "the images of all photos, in the order of the pairs."
            )
        return cls(explanation=table, images=images, index=index).plot(ax, n_partners=n_partners)

    def plot(self, ax: Any = None, *, n_partners: int = 6) -> PairsDisplay:
        """Draw the pictures.

        Parameters
        ----------
        ax, n_partners
            As for `from_estimator`.

        Returns
        -------
        PairsDisplay
            The display itself.
        """
        _check_count(n_partners)
        rows = [self.explanation[self.explanation["kind"] == kind] for kind, *_ in _ROWS]
        shown = [row[: int(n_partners)] for row in rows]
        columns = max(_LEAST_COLUMNS, *(len(row) for row in shown))
        numbers = [self.index, *(int(number) for row in shown for number in row["index"])]
        pictures = {number: thumbnail(self.images[number]) for number in numbers}
        if ax is None:
            self.figure_, self.ax_ = _new_axes(columns, list(pictures.values()))
        else:
            self.figure_, self.ax_ = ax.get_figure(), ax
        self.ax_.set_axis_off()
        layout = _layout(self.ax_, columns)
        self.photo_ax_ = show_picture(
            self.ax_, pictures[self.index], layout.photo, mix(self.ax_, 0.5)
        )
        self._write_below(layout.photo, layout, f"Photo {self.index}", self.caption or "")
        axes = []
        for i, (row, part, spec) in enumerate(zip(rows, shown, _ROWS, strict=True)):
            axes.append(self._draw_row(i, row, part, spec, layout, pictures))
        self.same_area_axes_, self.easy_confusing_axes_ = axes
        return self

    def _draw_row(
        self,
        i: int,
        row: Any,
        part: Any,
        spec: tuple[str, str, str, str],
        layout: _Layout,
        pictures: dict[int, npt.NDArray[Any]],
    ) -> list[Any]:
        kind, heading, empty, color = spec
        left, bottom, _, height = layout.cell(i, 0)
        how_many = f" ({len(part)} of {len(row)})" if len(part) < len(row) else ""
        self.ax_.text(
            left,
            bottom + height + 0.3 * layout.heading,
            heading + how_many,
            transform=self.ax_.transAxes,
            color=color,
            fontweight="bold",
            fontsize="medium",
            va="bottom",
        )
        if not len(part):
            self.ax_.text(
                left,
                bottom + height / 2.0,
                empty,
                transform=self.ax_.transAxes,
                color=mix(self.ax_, 0.6),
                fontsize="small",
                va="center",
            )
        axes = []
        for j, partner in enumerate(part.to_dict("records")):
            where = layout.cell(i, j)
            axes.append(show_picture(self.ax_, pictures[int(partner["index"])], where, color))
            km = float(partner["km"])
            if not np.isnan(km):
                far = f"{format_away(km)} away"
            else:
                far = "" if kind == "same_area" else f"area {partner['area']}"[:20]
            self._write_below(where, layout, f"distance {partner['distance']:.3g}", far)
        return axes

    def _write_below(
        self, where: Sequence[float], layout: _Layout, first: str, second: str
    ) -> None:
        left, bottom, width, _ = where
        self.ax_.text(
            left + width / 2.0,
            bottom - 0.12 * layout.caption,
            f"{first}\n{second}",
            transform=self.ax_.transAxes,
            color=mix(self.ax_, 0.75),
            fontsize="x-small",
            ha="center",
            va="top",
            linespacing=1.15,
        )


class _Layout(NamedTuple):
    """Where things are, in fractions of the axes."""

    photo: tuple[float, float, float, float]
    left: float
    width: float
    height: float
    row: float
    gap: float
    caption: float
    heading: float

    def cell(self, i: int, j: int) -> tuple[float, float, float, float]:
        """Bounds (left, bottom, width, height) of thumbnail j of row i, from above."""
        bottom = (1 - i) * self.row + self.caption
        return self.left + j * (self.width + self.gap), bottom, self.width, self.height


def _layout(ax: Any, columns: int) -> _Layout:
    """The photo at the left, two thumbnails wide, and the rows beside it."""
    figure = ax.get_figure()
    box = ax.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
    # What is written keeps its size, in inches; small axes leave at least half for pictures.
    row = box.height / 2.0
    caption, heading = min(_CAPTION, row / 4.0), min(_HEADING, row / 4.0)
    gap = min(_GAP, box.width / (10.0 * columns))
    aside = 3.0 * gap
    width = (box.width - aside - (columns - 1) * gap) / (columns + 2.0)
    height = row - caption - heading
    photo_height = 2.0 * height + caption
    return _Layout(
        photo=(0.0, caption / box.height, 2.0 * width / box.width, photo_height / box.height),
        left=(2.0 * width + aside) / box.width,
        width=width / box.width,
        height=height / box.height,
        row=row / box.height,
        gap=gap / box.width,
        caption=caption / box.height,
        heading=heading / box.height,
    )


def _new_axes(columns: int, pictures: list[npt.NDArray[Any]]) -> tuple[Any, Any]:
    """Make a figure that the thumbnails fill: as high as the tallest of them, at most square."""
    plt = import_pyplot()
    shape = min(max(len(picture) / picture.shape[1] for picture in pictures), 1.0)
    margin = 0.15
    width = (columns + 2) * _CELL + (columns + 2) * _GAP + 2.0 * margin
    height = 2.0 * (max(shape, 0.5) * _CELL + _CAPTION + _HEADING) + 2.0 * margin
    figure = plt.figure(figsize=(width, height))
    inside = (1.0 - 2.0 * margin / width, 1.0 - 2.0 * margin / height)
    return figure, figure.add_axes((margin / width, margin / height, *inside))


def _check_count(n_partners: Any) -> None:
    if n_partners is True or not isinstance(n_partners, Integral) or int(n_partners) < 1:
        raise ValueError(f"n_partners is {n_partners!r}; expected an integer of at least 1.")


def _caption(pairs: Any, index: int) -> str:
    if pairs.coordinates_ is None:
        return f"area {pairs.classes_[pairs.labels_[index]]}"[:30]
    return format_position(pairs.coordinates_[index], 4)
