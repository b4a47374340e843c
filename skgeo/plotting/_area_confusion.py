"""Which areas are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from skgeo._geodesy import to_unit_vectors
from skgeo._validation import check_coordinates

from ._matplotlib import check_axes
from ._thumbnails import format_position

FloatArray = npt.NDArray[np.float64]


class AreaConfusionDisplay:
    """Share of the photos of each area that are estimated into each area.

    Places become areas by the nearest centre. The areas with most photos are shown from west to
    east, the others are one. Use `from_predictions` or `from_estimator` to make one.

    Parameters
    ----------
    confusion : ndarray of shape (n_shown, n_shown)
        Counts; rows are true areas, columns estimated ones.
    labels : sequence of str
        Names of the areas.

    Attributes
    ----------
    confusion_ : ndarray of shape (n_shown, n_shown)
        The counts.
    labels_ : list of str
        Names of the areas shown.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : What draws it.
    PredictionMapDisplay : The same on a map.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skgeo.plotting import AreaConfusionDisplay
    >>> paris, rome = [48.9, 2.3], [41.9, 12.5]
    >>> y_true, y_pred = [paris, paris, rome], [[48.8, 2.4], rome, [42.0, 12.4]]
    >>> display = AreaConfusionDisplay.from_predictions(
    ...     y_true, y_pred, [rome, paris], names=["Rome", "Paris"]
    ... )
    >>> display.labels_
    ['Paris', 'Rome']
    >>> display.confusion_
    array([[1, 1],
           [0, 1]])
    """

    figure_: Any
    ax_: Any

    def __init__(self, *, confusion: npt.ArrayLike, labels: Sequence[str]) -> None:
        self.confusion = confusion
        self.labels = labels

    @classmethod
    def from_predictions(
        cls,
        y_true: npt.ArrayLike,
        y_pred: npt.ArrayLike,
        areas: Any,
        *,
        names: Sequence[str] | None = None,
        max_areas: int = 12,
        ax: Any = None,
    ) -> AreaConfusionDisplay:
        """Draw the confusion of areas.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples, 2)
            Latitude and longitude in degrees.
        areas : array-like of shape (n_areas, 2), or estimator with ``cluster_centers_``
            Centres in degrees, for example a fitted `skgeo.cluster.POIMeanShift`.
        names : sequence of str, default=None
            Names of the areas. None: their latitude and longitude.
        max_areas : int, default=12
            Areas with most true places that are shown on their own; at least 1.
        ax : matplotlib Axes, default=None
            Where to draw. None: on a new figure.

        Returns
        -------
        AreaConfusionDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If places, centres or names are wrong.
        """
        true = check_coordinates(y_true, name="y_true")
        pred = check_coordinates(y_pred, name="y_pred", n_samples=len(true))
        centres = check_coordinates(getattr(areas, "cluster_centers_", areas), name="areas")
        if names is not None and len(names) != len(centres):
            raise ValueError(f"names has {len(names)} entries, but there are {len(centres)} areas.")
        if max_areas < 1:
            raise ValueError(f"max_areas is {max_areas}; expected at least 1.")
        a, b = _nearest(true, centres), _nearest(pred, centres)
        counts = np.bincount(a, minlength=len(centres))
        present = np.flatnonzero(counts)
        # Stable: of equally large areas the first.
        shown = present[np.argsort(-counts[present], kind="stable")][:max_areas]
        shown = shown[np.argsort(centres[shown, 1], kind="stable")]
        number = np.full(len(centres), len(shown))
        number[shown] = np.arange(len(shown))
        size = len(shown) + 1
        confusion = np.zeros((size, size), dtype=np.intp)
        np.add.at(confusion, (number[a], number[b]), 1)
        labels = [
            str(names[i]) if names is not None else format_position(centres[i], 2) for i in shown
        ]
        labels.append("elsewhere")
        if not confusion[-1].any() and not confusion[:, -1].any():
            confusion, labels = confusion[:-1, :-1], labels[:-1]
        return cls(confusion=confusion, labels=labels).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: npt.ArrayLike,
        areas: Any,
        *,
        names: Sequence[str] | None = None,
        max_areas: int = 12,
        ax: Any = None,
    ) -> AreaConfusionDisplay:
        """Draw the confusion of the estimates of a fitted estimator.

        Parameters
        ----------
        estimator : object with predict
            Fitted.
        X : sequence of length n_samples
            What it takes: images, features.
        y : array-like of shape (n_samples, 2)
            True latitude and longitude in degrees.
        areas, names, max_areas, ax
            As for `from_predictions`.

        Returns
        -------
        AreaConfusionDisplay
            The display.
        """
        return cls.from_predictions(
            y, estimator.predict(X), areas, names=names, max_areas=max_areas, ax=ax
        )

    def plot(self, ax: Any = None) -> AreaConfusionDisplay:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: on a new figure.

        Returns
        -------
        AreaConfusionDisplay
            The display itself.
        """
        from sklearn.metrics import ConfusionMatrixDisplay

        self.confusion_ = np.asarray(self.confusion)
        self.labels_ = list(self.labels)
        n = len(self.labels_)
        side = 2.6 + 0.42 * n
        self.figure_, self.ax_ = check_axes(ax, (side, side - 0.2))
        rows = self.confusion_.sum(axis=1, keepdims=True)
        percent = 100.0 * self.confusion_ / np.maximum(rows, 1)
        labels = [f"{label} ({row})" for label, row in zip(self.labels_, rows[:, 0], strict=True)]
        drawn = ConfusionMatrixDisplay(percent, display_labels=labels)
        drawn.plot(
            ax=self.ax_,
            cmap="Blues",
            values_format=".0f",
            xticks_rotation="vertical",
            colorbar=False,
            im_kw={"vmin": 0.0, "vmax": 100.0},
            text_kw={"fontsize": "small"},
        )
        for text, value in zip(drawn.text_.ravel(), percent.ravel(), strict=True):
            # Zeros would hide what there is.
            text.set_visible(bool(value >= 0.5))
        self.ax_.set_xticks(range(n), self.labels_)
        self.ax_.set_xlabel("estimated")
        self.ax_.set_ylabel("true (photos)")
        self.ax_.set_title("percent of the photos of each area", fontsize="medium")
        return self


def _nearest(places: FloatArray, centres: FloatArray) -> npt.NDArray[np.intp]:
    """The nearest centre of each place; the first of several."""
    from sklearn.metrics import pairwise_distances_argmin

    nearest: npt.NDArray[np.intp] = pairwise_distances_argmin(
        to_unit_vectors(places), to_unit_vectors(centres)
    )
    return nearest
