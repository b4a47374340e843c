"""A table of several models' figures side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from skgeo._geodesy import EARTH_RADIUS_KM
from skgeo._validation import Interval, validate_params

from ._bootstrap import RESAMPLING, Resampler, group_labels
from ._distance import FloatArray, check_sample_weight, great_circle_distance, within
from ._figures import Figures, Mean, Selective, error_figures, evaluate, percent, resample
from ._ranked import nearest_km, ranked_errors
from ._selective import check_uncertainty
from ._thresholds import check_thresholds

if TYPE_CHECKING:
    import pandas as pd

_OWN = ("median_km", "mean_km", "geo_score", "aurc_km", "in_radius", "n")
_MAPPING = [Mapping, "array-like", None]


@validate_params(
    {
        "y_true": ["array-like"],
        "y_pred": [Mapping, "array-like"],
        "inclusive": ["boolean"],
        "earth_radius_km": [Interval(Real, 0, None, closed="neither")],
        "uncertainty": _MAPPING,
        "predicted_radius_km": _MAPPING,
        "coverage": [Interval(Real, 0, 1, closed="right")],
        "y_neighbors": _MAPPING,
        "recall_at": ["array-like"],
        "recall_km": [Interval(Real, 0, None, closed="left")],
        "y_gallery": ["array-like", None],
    }
    | RESAMPLING
    | {"confidence_level": [*RESAMPLING["confidence_level"], None]},
    prefer_skip_nested_validation=True,
)
def geolocation_report(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    *,
    thresholds: Mapping[str, float] | Iterable[float] | None = None,
    sample_weight: npt.ArrayLike | None = None,
    inclusive: bool = True,
    earth_radius_km: float = EARTH_RADIUS_KM,
    uncertainty: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
    predicted_radius_km: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
    coverage: float = 0.8,
    y_neighbors: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
    recall_at: Sequence[int] = (1, 5, 10),
    recall_km: float = 0.025,
    y_gallery: npt.ArrayLike | None = None,
    confidence_level: float | None = None,
    groups: npt.ArrayLike | None = None,
    n_resamples: int = 2000,
    random_state: int | np.random.RandomState | None = 0,
) -> pd.DataFrame:
    """Report percent within each threshold, median and mean error, and GeoScore, a row a model.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    y_pred : array-like of shape (n_samples, 2) or (n_samples, k, 2), or mapping of str to such
        The estimates of one model, or those of several by name. With k estimates of each place,
        best first, the figures are those of the first, and columns such as
        ``"city best of 5"`` are added.
    thresholds : mapping of str to float, or sequence of float, default=None
        Radii in km by name, or radii alone, which are named after themselves
        (``0.05`` becomes ``"50 m"``). None: `THRESHOLDS_KM`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each place. Places of weight 0 are left out.
    inclusive : bool, default=True
        Whether an error equal to a threshold is a hit.
    earth_radius_km : float, default=6371.004
        Radius of the Earth, see `great_circle_distance`.
    uncertainty : array-like of shape (n_samples,), or mapping of str to such, default=None
        How unsure each estimate is, in any unit. Adds ``"aurc_km"``, the
        `area_under_risk_coverage`, and the percentages among the least uncertain places, such
        as ``"city@80%"``.
    predicted_radius_km : array-like of shape (n_samples,), or mapping of str to such, default=None
        An error radius stated with each estimate. Adds ``"in_radius"``, the percentage of places
        within it, and serves as `uncertainty` where that is not given.
    coverage : float, default=0.8
        Share of the places that is answered in the columns that `uncertainty` adds.
    y_neighbors : array-like of shape (n_samples, k, 2), or mapping of str to such, default=None
        Positions of the k gallery photographs most similar to each query. Adds ``"recall@1"``
        and so on: see `recall_at_n_score`.
    recall_at : sequence of int, default=(1, 5, 10)
        Where recall is reported; numbers beyond k are left out.
    recall_km : float, default=0.025
        Within how many km a photograph of the gallery shows the place.
    y_gallery : array-like of shape (n_gallery, 2), default=None
        If given, recall counts only the queries that this gallery can answer.
    confidence_level : float, default=None
        If given, such as 0.95, each model has three rows, ``"estimate"``, ``"low"`` and ``"high"``:
        the bootstrap interval of each figure, see `bootstrap_interval`.
    groups : array-like of shape (n_samples,), default=None
        Group of each place, drawn as a whole by the bootstrap: its author, its block.
    n_resamples : int, default=2000
        Number of resamples.
    random_state : int, RandomState instance or None, default=0
        Decides the resamples; all models share them.

    Returns
    -------
    DataFrame
        One row for each model, called ``"model"`` where only an array was given; with
        `confidence_level` three, indexed by model and ``"figure"``. Columns: one
        for each threshold (*percent* of places, cumulative, as the paper prints them),
        ``median_km``, ``mean_km``, ``geo_score``, what the arguments above add, and ``n`` (number
        of places). A figure that only another model has is NaN. The radii are in
        ``report.attrs["thresholds_km"]``.

    Raises
    ------
    ValueError
        If there is no model, the shapes differ, a row is no place on Earth, a threshold is
        none or takes the name of another column, an argument names a model that is not
        there, or `groups` is given without `confidence_level`.

    See Also
    --------
    compare_geolocation : Is one model better than another?

    References
    ----------
    .. [1] Jiang, Kong and Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
       Estimation", IEEE Transactions on Big Data, 2017, Tables 2 and 3.

    Examples
    --------
    >>> from skgeo.metrics import geolocation_report
    >>> paris, london, rome = [48.8566, 2.3522], [51.5074, -0.1278], [41.9028, 12.4964]
    >>> report = geolocation_report(
    ...     [paris, rome], {"north": [london, london], "sure": [paris, rome]}
    ... )
    >>> report[["city", "country", "continent", "n"]]
           city  country  continent  n
    north   0.0     50.0      100.0  2
    sure  100.0    100.0      100.0  2
    >>> geolocation_report(
    ...     [paris, rome] * 50, [paris, london] * 50, confidence_level=0.95
    ... )[["city", "median_km", "n"]].round(0)
                    city  median_km    n
    model figure
    model estimate  50.0      717.0  100
          low       40.0        0.0  100
          high      60.0     1434.0  100
    """
    import pandas as pd

    radii = check_thresholds(thresholds)
    taken = set(_OWN) & set(radii)
    if taken:
        raise ValueError(f"A threshold is called {sorted(taken)[0]!r}, as another column is.")
    if groups is not None and confidence_level is None:
        raise ValueError("groups serves the intervals only; give confidence_level, such as 0.95.")
    models = check_models(y_pred)
    unsure = _of_models(uncertainty, models, "uncertainty")
    stated = _of_models(predicted_radius_km, models, "predicted_radius_km")
    neighbors = _of_models(y_neighbors, models, "y_neighbors")

    found: dict[str, Figures] = {}
    for name, pred in models.items():
        try:
            found[name] = _error_columns(y_true, pred, radii, inclusive, earth_radius_km)
            found[name] |= _selective_columns(
                found[name], unsure.get(name), stated.get(name), list(radii), coverage
            )
            if name in neighbors:
                found[name] |= _recall_columns(
                    y_true, neighbors[name], recall_at, recall_km, y_gallery, earth_radius_km
                )
        except ValueError as bad:
            raise ValueError(f"Model {name!r}: {bad}") from bad
    n = len(next(iter(found.values()))["mean_km"][0])
    weight = check_sample_weight(sample_weight, n)
    values = {name: [evaluate(figures, weight)] for name, figures in found.items()}
    if confidence_level is not None:
        keep = weight > 0.0
        labels, _ = group_labels(groups, n)
        resampler = Resampler(int(keep.sum()), None if labels is None else labels[keep])
        drawn = resample(
            [_rows_of(figures, keep) for figures in found.values()],
            weight[keep],
            resampler,
            n_resamples,
            random_state,
        )
        tail = (1.0 - confidence_level) / 2.0
        for name, figures in zip(found, drawn, strict=True):
            values[name].extend(np.nanquantile(figures, [tail, 1.0 - tail], axis=0))
    frames = [
        pd.DataFrame(values[name], columns=list(figures)).assign(n=n)
        for name, figures in found.items()
    ]
    names = list(dict.fromkeys(column for frame in frames for column in frame if column != "n"))
    report = pd.concat([frame.reindex(columns=[*names, "n"]) for frame in frames])
    if confidence_level is None:
        report.index = pd.Index(list(models))
    else:
        report.index = pd.MultiIndex.from_product(
            [list(models), ["estimate", "low", "high"]], names=["model", "figure"]
        )
    report.attrs["thresholds_km"] = radii
    return report


def check_models(y_pred: Any) -> dict[str, Any]:
    """Estimates by name of the model; an array alone is called "model".

    Raises
    ------
    ValueError
        If there is no model, or two have one name.
    """
    if not isinstance(y_pred, Mapping):
        return {"model": y_pred}
    models = {str(name): pred for name, pred in y_pred.items()}
    if not models:
        raise ValueError("y_pred is an empty mapping; expected the estimates of a model.")
    if len(models) != len(y_pred):
        raise ValueError("Two models in y_pred have the same name once written as text.")
    return models


def _of_models(given: Any, models: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What is given for each model: a mapping by name, or one array for one model."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        by_name = {str(key): value for key, value in given.items()}
        unknown = sorted(set(by_name) - set(models))
        if unknown:
            raise ValueError(f"{name} names the model {unknown[0]!r}, which y_pred does not hold.")
        return by_name
    if len(models) > 1:
        raise ValueError(f"{name} is one array but y_pred holds {len(models)} models; map names.")
    return dict.fromkeys(models, given)


def _error_columns(
    y_true: npt.ArrayLike,
    pred: Any,
    radii: Mapping[str, float],
    inclusive: bool,
    earth_radius_km: float,
) -> Figures:
    if np.ndim(pred) != 3:
        error = great_circle_distance(y_true, pred, earth_radius_km=earth_radius_km)
        return error_figures(error, radii, inclusive)
    errors = ranked_errors(y_true, pred, name="y_pred", earth_radius_km=earth_radius_km)
    figures = error_figures(errors[:, 0], radii, inclusive)
    best, k = errors.min(axis=1), errors.shape[1]
    if k > 1:
        for level, km in radii.items():
            figures[f"{level} best of {k}"] = Mean(percent(within(best, km, inclusive)))
    return figures


def _selective_columns(
    figures: Figures, unsure: Any, stated: Any, levels: list[str], coverage: float
) -> Figures:
    error: FloatArray = figures["mean_km"][0]
    columns: Figures = {}
    if stated is not None:
        stated = check_uncertainty(stated, len(error), "predicted_radius_km")
        columns["in_radius"] = Mean(percent(error <= stated))
        unsure = stated if unsure is None else unsure
    if unsure is not None:
        unsure = check_uncertainty(unsure, len(error))
        columns["aurc_km"] = Selective(error, unsure)
        for level in levels:
            loss = 1.0 - figures[level][0] / 100.0
            columns[f"{level}@{100.0 * coverage:g}%"] = Selective(loss, unsure, coverage)
    return columns


def _recall_columns(
    y_true: npt.ArrayLike,
    y_neighbors: Any,
    recall_at: Sequence[int],
    recall_km: float,
    y_gallery: npt.ArrayLike | None,
    earth_radius_km: float,
) -> Figures:
    errors = ranked_errors(y_true, y_neighbors, name="y_neighbors", earth_radius_km=earth_radius_km)
    mask = None
    if y_gallery is not None:
        nearest = nearest_km(y_true, y_gallery) * (earth_radius_km / EARTH_RADIUS_KM)
        mask = nearest <= recall_km
        if not mask.any():
            raise ValueError(
                f"No photograph of y_gallery lies within {recall_km:g} km of any query: there is "
                "nothing to recall."
            )
    columns: Figures = {}
    for n in recall_at:
        if n < 1 or n != int(n):
            raise ValueError(f"recall_at holds {n!r}; expected whole numbers >= 1.")
        if n <= errors.shape[1]:
            found = errors[:, :n].min(axis=1) <= recall_km
            columns[f"recall@{n}"] = Mean(percent(found), mask)
    return columns


def _rows_of(figures: Figures, keep: npt.NDArray[np.bool_]) -> Figures:
    """Restrict the figures to some places."""
    restricted: Figures = {}
    for name, figure in figures.items():
        arrays = [field[keep] if isinstance(field, np.ndarray) else field for field in figure]
        restricted[name] = type(figure)(*arrays)  # type: ignore[arg-type]
    return restricted
