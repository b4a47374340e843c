"""The error curve of the paper's Figs. 5 and 6."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from skgeo.metrics import error_percentile_curve
from skgeo.metrics._scores import weighted_median
from skgeo.metrics._thresholds import check_thresholds, format_km

from ._matplotlib import check_axes, mix

FloatArray = npt.NDArray[np.float64]

#: Half of the Earth's circumference: no error is larger.
_LARGEST_KM = 20_016.0
#: Marks thresholds that were drawn already, so that a second curve does not draw them again.
_THRESHOLD_GID = "skgeo-threshold"


class GeoErrorCurveDisplay:
    """Error against percentile: how large an error covers how many of the places.

    Errors are sorted from best to worst for each model on its own, so that a curve shows the
    percentage of places estimated within any error. The lower curve is the better one. Use
    `from_predictions` or `from_estimator` to make one.

    Parameters
    ----------
    curves : mapping of str to (ndarray, ndarray)
        For each model the percentiles and errors in km of `error_percentile_curve`.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The curve of each model.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    skgeo.metrics.error_percentile_curve : The numbers.
    skgeo.metrics.geolocation_report : The same as a table.

    References
    ----------
    .. [1] Jiang, Kong and Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
       Estimation", IEEE Transactions on Big Data, 2017, Figs. 5 and 6.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from skgeo.plotting import GeoErrorCurveDisplay
    >>> rng = np.random.default_rng(0)
    >>> y_true = rng.uniform([-60, -180], [70, 180], (200, 2))
    >>> chance = rng.permutation(y_true)
    >>> near = np.clip(y_true + rng.normal(0, 3, (200, 2)), [-90, -180], [90, 180])
    >>> display = GeoErrorCurveDisplay.from_predictions(y_true, {"chance": chance, "near": near})
    >>> sorted(display.lines_)
    ['chance', 'near']
    """

    def __init__(self, *, curves: Mapping[str, tuple[FloatArray, FloatArray]]) -> None:
        self.curves = curves

    @classmethod
    def from_predictions(
        cls,
        y_true: npt.ArrayLike,
        y_pred: npt.ArrayLike | Mapping[str, npt.ArrayLike],
        *,
        sample_weight: npt.ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        thresholds: Mapping[str, float] | Iterable[float] | None = None,
        **kwargs: Any,
    ) -> GeoErrorCurveDisplay:
        """Draw the curves of one or several models from their estimates.

        Parameters
        ----------
        y_true : array-like of shape (n_samples, 2)
            Latitude and longitude in degrees.
        y_pred : array-like of shape (n_samples, 2), or mapping of str to such
            The estimates of one model, or those of several by name.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each place.
        name : str, default=None
            Name of the model for the legend, where only one is given.
        ax : matplotlib Axes, default=None
            Where to draw. None: on a new figure.
        thresholds : mapping of str to float, or sequence of float, default=None
            Radii in km to mark, as for `geolocation_report`. None: those of `THRESHOLDS_KM`.
        **kwargs : dict
            Passed on to matplotlib's ``plot`` for every curve.

        Returns
        -------
        GeoErrorCurveDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the places or thresholds are wrong, or a name is given for several models.
        """
        models: Mapping[str, Any]
        if isinstance(y_pred, Mapping):
            if name is not None:
                raise ValueError("name is for a single model; the mapping has the names already.")
            models = {str(key): value for key, value in y_pred.items()}
        else:
            models = {"model" if name is None else name: y_pred}
        if not models:
            raise ValueError("y_pred is an empty mapping; expected the estimates of a model.")
        curves = {}
        for key, pred in models.items():
            try:
                curves[key] = error_percentile_curve(y_true, pred, sample_weight=sample_weight)
            except ValueError as error:
                raise ValueError(f"Model {key!r}: {error}") from error
        return cls(curves=curves).plot(ax=ax, thresholds=thresholds, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: npt.ArrayLike,
        *,
        sample_weight: npt.ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        thresholds: Mapping[str, float] | Iterable[float] | None = None,
        **kwargs: Any,
    ) -> GeoErrorCurveDisplay:
        """Draw the curves of one or several fitted estimators.

        Parameters
        ----------
        estimator : object with predict, or mapping of str to such
            Fitted estimators.
        X : sequence of length n_samples
            What they take: images, features.
        y : array-like of shape (n_samples, 2)
            True latitude and longitude in degrees.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each place.
        name : str, default=None
            Name for the legend, where only one is given. None: that of its class.
        ax : matplotlib Axes, default=None
            Where to draw. None: on a new figure.
        thresholds : mapping of str to float, or sequence of float, default=None
            Radii in km to mark. None: those of `THRESHOLDS_KM`.
        **kwargs : dict
            Passed on to matplotlib's ``plot`` for every curve.

        Returns
        -------
        GeoErrorCurveDisplay
            The display.
        """
        predictions: Any
        if isinstance(estimator, Mapping):
            predictions = {key: model.predict(X) for key, model in estimator.items()}
        else:
            predictions = estimator.predict(X)
            name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(
            y,
            predictions,
            sample_weight=sample_weight,
            name=name,
            ax=ax,
            thresholds=thresholds,
            **kwargs,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        thresholds: Mapping[str, float] | Iterable[float] | None = None,
        **kwargs: Any,
    ) -> GeoErrorCurveDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None: on a new figure. Curves that are there already stay.
        thresholds : mapping of str to float, or sequence of float, default=None
            Radii in km to mark. None: those of `THRESHOLDS_KM`.
        **kwargs : dict
            Passed on to matplotlib's ``plot`` for every curve.

        Returns
        -------
        GeoErrorCurveDisplay
            The display itself.
        """
        radii = check_thresholds(thresholds)
        self.figure_, self.ax_ = check_axes(ax, (7.0, 4.6))
        again = any(line.get_gid() == _THRESHOLD_GID for line in self.ax_.lines)
        low, high = _km_limits([errors for _, errors in self.curves.values()])
        if again:
            old_low, old_high = self.ax_.get_ylim()
            low, high = min(low, old_low), max(high, old_high)
        self.lines_ = {}
        style = {"linewidth": 2.0, "solid_joinstyle": "round", "zorder": 3.0, **kwargs}
        for name, (percentiles, errors) in self.curves.items():
            weight = np.diff(percentiles, prepend=0.0)
            median = weighted_median(errors, weight)
            self.lines_[name] = self.ax_.plot(
                np.append(0.0, percentiles),
                # On a logarithmic axis 0 has no place; it is drawn far below the edge.
                np.maximum(np.append(errors[0], errors), 1e-6),
                drawstyle="steps-pre",
                **{"label": f"{name} (median {format_km(_two_digits(median))})", **style},
            )[0]
        self.ax_.set_yscale("log")
        self.ax_.set_xlim(0.0, 100.0)
        self.ax_.set_ylim(low, high)
        self._mark_thresholds({} if again else radii, low, high)
        self._dress()
        return self

    def _mark_thresholds(self, radii: dict[str, float], low: float, high: float) -> None:
        ink = mix(self.ax_, 0.38)
        for name, km in radii.items():
            if not low < km < high:
                continue
            self.ax_.axhline(
                km, color=ink, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1.5, gid=_THRESHOLD_GID
            )
            length = format_km(km)
            self.ax_.annotate(
                length if name == length else f"{name}, {length}",
                (1.0, km),
                xycoords=("axes fraction", "data"),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize="small",
                color=mix(self.ax_, 0.7),
                annotation_clip=False,
            )

    def _dress(self) -> None:
        from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

        axis = self.ax_.yaxis
        axis.set_major_formatter(FuncFormatter(lambda km, _: format_km(km)))
        axis.set_minor_formatter(NullFormatter())
        self.ax_.xaxis.set_major_formatter(PercentFormatter(decimals=0))
        self.ax_.set_xlabel("Photographs, from the best estimate to the worst")
        self.ax_.set_ylabel("Error")
        self.ax_.grid(visible=True, which="major", color=mix(self.ax_, 0.1), linewidth=0.6)
        self.ax_.set_axisbelow(True)
        for side in ("top", "right"):
            self.ax_.spines[side].set_visible(False)
        self.ax_.legend(loc="lower right", frameon=True, framealpha=0.85, edgecolor="none")


def _two_digits(km: float) -> float:
    return float(f"{km:.2g}") if km < 100.0 else float(f"{km:.3g}")


def _km_limits(curves: list[FloatArray]) -> tuple[float, float]:
    """Limits of the axis that show all errors but those too small to matter."""
    positive = [errors[errors > 0.0] for errors in curves]
    smallest = [np.percentile(p, 2.0) for p in positive if len(p)]
    largest = max((float(p[-1]) for p in positive if len(p)), default=1.0)
    high = min(_LARGEST_KM, largest * 1.25)
    low = max(min(smallest, default=0.001), 0.001)
    # Estimates that are as good as exact must not squeeze the rest against the upper edge.
    low = max(low, high / 1e5)
    low = min(low / 1.25, high / 10.0)
    return low, high
