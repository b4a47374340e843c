"""All figures of a model at once, on its places and on resamples of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._bootstrap import Resampler
from ._distance import FloatArray, within
from ._scores import geo_points, weighted_median
from ._selective import accuracy_at, aurc

#: Numbers that a chunk of resamples may take.
_CHUNK = 1 << 21


class Mean(NamedTuple):
    """A weighted mean of `values`, over the places where `mask` is true."""

    values: FloatArray
    mask: npt.NDArray[np.bool_] | None = None


class Median(NamedTuple):
    """The weighted median of `values`."""

    values: FloatArray


class Selective(NamedTuple):
    """A figure of losses sorted by uncertainty: the area, or the percentage at a coverage."""

    loss: FloatArray
    unsure: FloatArray
    coverage: float | None = None

    def of(self, rows: Any, weight: FloatArray) -> float:
        """Compute the figure on some rows with their weights."""
        loss, unsure = self.loss[rows], self.unsure[rows]
        if self.coverage is None:
            return aurc(loss, unsure, weight)
        return 100.0 * accuracy_at(loss, unsure, weight, self.coverage)


Figure = Mean | Median | Selective
Figures = dict[str, Figure]


def percent(hits: npt.NDArray[np.bool_]) -> FloatArray:
    """100 where it is true, 0 elsewhere: the mean is the percentage."""
    return hits * np.float64(100.0)


def error_figures(error: FloatArray, radii: Mapping[str, float], inclusive: bool) -> Figures:
    """Percent within each radius, median and mean error and GeoScore of errors in km."""
    figures: Figures = {
        name: Mean(percent(within(error, km, inclusive))) for name, km in radii.items()
    }
    figures["median_km"] = Median(error)
    figures["mean_km"] = Mean(error)
    figures["geo_score"] = Mean(geo_points(error))
    return figures


def evaluate(figures: Figures, weight: FloatArray) -> FloatArray:
    """Compute the figures with one weight for each place; NaN for a mean over nothing."""
    out = np.empty(len(figures))
    for i, figure in enumerate(figures.values()):
        if isinstance(figure, Mean):
            used = weight if figure.mask is None else weight * figure.mask
            out[i] = np.average(figure.values, weights=used) if used.any() else np.nan
        elif isinstance(figure, Median):
            out[i] = weighted_median(figure.values, weight)
        else:
            out[i] = figure.of(slice(None), weight)
    return out


def resample(
    models: Iterable[Figures],
    weight: FloatArray,
    resampler: Resampler,
    n_resamples: int,
    random_state: Any,
) -> list[FloatArray]:
    """Compute the figures of several models on the same resamples.

    Returns
    -------
    list of ndarray of shape (n_resamples, n_figures)
        One for each model.
    """
    plans = [_Plan(figures, weight) for figures in models]
    parts: list[list[FloatArray]] = [[] for _ in plans]
    size = max(1, _CHUNK // len(weight))
    units = resampler.units(n_resamples, random_state)
    for chunk in _chunks(units, size):
        weights = np.stack([resampler.counts(drawn) for drawn in chunk]) * weight
        for plan, part in zip(plans, parts, strict=True):
            part.append(plan.on(weights, [resampler.expand(u) for u in chunk], weight))
    return [np.concatenate(part) for part in parts]


class _Plan:
    """What of a model's figures is computed once for all resamples."""

    def __init__(self, figures: Figures, weight: FloatArray) -> None:
        self.figures = figures
        means = [f for f in figures.values() if isinstance(f, Mean)]
        ones = np.ones(len(weight))
        masks = [ones if f.mask is None else f.mask.astype(np.float64) for f in means]
        self.numerators = np.stack([f.values * m for f, m in zip(means, masks, strict=True)], 1)
        self.denominators = np.stack(masks, 1)
        self.orders = {
            name: np.argsort(figure.values, kind="stable")
            for name, figure in figures.items()
            if isinstance(figure, Median)
        }

    def on(self, weights: FloatArray, rows: list[Any], weight: FloatArray) -> FloatArray:
        out = np.empty((len(weights), len(self.figures)))
        with np.errstate(invalid="ignore"):
            means = iter(((weights @ self.numerators) / (weights @ self.denominators)).T)
        for i, (name, figure) in enumerate(self.figures.items()):
            if isinstance(figure, Mean):
                out[:, i] = next(means)
            elif isinstance(figure, Median):
                order = self.orders[name]
                out[:, i] = sorted_medians(figure.values[order], weights[:, order])
            else:
                out[:, i] = [figure.of(drawn, weight[drawn]) for drawn in rows]
        return out


def sorted_medians(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted medians of ascending values, one for each row of weights: see `weighted_median`."""
    cumulative = np.cumsum(weights, axis=1)
    total = cumulative[:, -1:]
    slack = 1e-12 * total
    low = (cumulative < total / 2.0 - slack).sum(axis=1)
    high = (cumulative <= total / 2.0 + slack).sum(axis=1)
    medians: FloatArray = (values[low] + values[high]) / 2.0
    return medians


def _chunks(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
