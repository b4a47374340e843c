"""Is one model better than another? Differences on the same places, with intervals and tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn.utils import check_random_state

from skgeo._geodesy import EARTH_RADIUS_KM
from skgeo._validation import Interval, validate_params

from ._bootstrap import RESAMPLING, IntArray, Resampler, percentile_interval
from ._distance import FloatArray, great_circle_distance
from ._figures import Figures, Mean, error_figures, evaluate, resample
from ._report import check_models
from ._thresholds import check_thresholds

if TYPE_CHECKING:
    import pandas as pd

#: Up to so many groups all ways of exchanging the models are gone through.
_EXACT_GROUPS = 12
_CHUNK = 1 << 21
_LESS_IS_BETTER = {"median_km", "mean_km"}
_OTHER = {"median_km", "mean_km", "geo_score"}


@validate_params(
    {
        "y_true": ["array-like"],
        "y_pred": [Mapping],
        "baseline": [str, None],
        "inclusive": ["boolean"],
        "earth_radius_km": [Interval(Real, 0, None, closed="neither")],
    }
    | RESAMPLING,
    prefer_skip_nested_validation=True,
)
def compare_geolocation(
    y_true: npt.ArrayLike,
    y_pred: Mapping[str, npt.ArrayLike],
    *,
    baseline: str | None = None,
    thresholds: Mapping[str, float] | Iterable[float] | None = None,
    inclusive: bool = True,
    earth_radius_km: float = EARTH_RADIUS_KM,
    groups: npt.ArrayLike | None = None,
    confidence_level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int | np.random.RandomState | None = 0,
) -> pd.DataFrame:
    """Compare models on the same places: differences with paired intervals and p-values.

    Two models are mostly right about the same photographs, so that the difference between them is
    known better than either figure; two intervals of `geolocation_report` that overlap do not say
    that there is no difference. Here both models are taken on the same resamples of the places.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, 2)
        Latitude and longitude in degrees.
    y_pred : mapping of str to array-like of shape (n_samples, 2)
        The estimates of two or more models by name.
    baseline : str, default=None
        The model that all others are compared with. None: the first.
    thresholds : mapping of str to float, or sequence of float, default=None
        Radii in km, as for `geolocation_report`. None: `THRESHOLDS_KM`.
    inclusive : bool, default=True
        Whether an error equal to a threshold is a hit.
    earth_radius_km : float, default=6371.004
        Radius of the Earth, see `great_circle_distance`.
    groups : array-like of shape (n_samples,), default=None
        Group of each place (its author, its block). Groups are then drawn and exchanged as a
        whole, since photographs that have something in common are no independent evidence.
    confidence_level : float, default=0.95
        Of the intervals.
    n_resamples : int, default=2000
        Number of resamples, and of random exchanges for the p-values.
    random_state : int, RandomState instance or None, default=0
        Decides both. With a number the result is the same in every run.

    Returns
    -------
    DataFrame
        Indexed by ``model`` and ``figure`` (the thresholds in percent, ``median_km``, ``mean_km``,
        ``geo_score``), with the columns

        - ``baseline``, ``model``: the figure of each;
        - ``difference``: model minus baseline; for km less is better;
        - ``low``, ``high``: paired percentile bootstrap interval of the difference;
        - ``p_value``: probability of a difference at least as large if the two models were
          exchangeable, two-sided;
        - ``p_holm``: the same, corrected after Holm for the number of models compared on this
          figure;
        - ``wins``, ``losses``: places on which the model did better or worse than the baseline
          (hits for a threshold, errors for the others).

        ``attrs["baseline"]`` names the baseline, ``attrs["n"]`` the number of places and
        ``attrs["n_groups"]`` that of independent units.

    Raises
    ------
    ValueError
        If there are fewer than two models, `baseline` is none of them, the shapes differ, or a
        row is no place on Earth.

    See Also
    --------
    geolocation_report : The figures of each model.

    Notes
    -----
    Without groups the p-value of a threshold is that of the exact test of McNemar [1]_: under
    the hypothesis the places on which just one model hits are as many tosses of a coin. All
    others are from exchanging the two models' errors place by place (group by group) at random
    [2]_: the part of the exchanges with a difference at least as large as the one seen, the one
    seen included, so that no p-value is below ``1 / (n_resamples + 1)``. Up to 12 groups all
    exchanges are gone through instead.

    The correction [3]_ is for the number of models, not for the number of figures: decide
    beforehand which figure you go by.

    References
    ----------
    .. [1] McNemar, "Note on the sampling error of the difference between correlated proportions
       or percentages", Psychometrika 1947.
    .. [2] Pitman, "Significance tests which may be applied to samples from any populations",
       Supplement to the Journal of the Royal Statistical Society, 1937.
    .. [3] Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
       of Statistics, 1979.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.metrics import compare_geolocation
    >>> rng = np.random.default_rng(0)
    >>> y_true = rng.uniform([-60, -170], [60, 170], (300, 2))
    >>> old = y_true + rng.normal(0, 2, (300, 2))
    >>> new = y_true + 0.8 * (old - y_true)
    >>> table = compare_geolocation(y_true, {"old": old, "new": new}, thresholds=[200])
    >>> print(table.drop(columns="p_holm").round(3).to_string())
                     baseline     model  difference      low     high  p_value  wins  losses
    model figure
    new   200 km       41.667    57.333      15.667   11.667   20.000      0.0    47       0
          median_km   223.430   178.678     -44.752  -48.348  -41.597      0.0   300       0
          mean_km     243.231   194.581     -48.650  -51.589  -45.660      0.0   300       0
          geo_score  4264.940  4400.041     135.101  128.058  142.156      0.0   300       0
    """
    import pandas as pd

    models = check_models(y_pred)
    if len(models) < 2:
        raise ValueError("y_pred holds one model; expected at least two to compare.")
    base = next(iter(models)) if baseline is None else baseline
    if base not in models:
        raise ValueError(f"baseline={base!r} is no model of y_pred, which holds {list(models)}.")
    radii = check_thresholds(thresholds)
    taken = _OTHER & set(radii)
    if taken:
        raise ValueError(f"A threshold is called {sorted(taken)[0]!r}, as another figure is.")
    errors: dict[str, FloatArray] = {}
    for name in [base, *(name for name in models if name != base)]:
        try:
            errors[name] = great_circle_distance(
                y_true, models[name], earth_radius_km=earth_radius_km
            )
        except ValueError as bad:
            raise ValueError(f"Model {name!r}: {bad}") from bad
    found = {name: error_figures(error, radii, inclusive) for name, error in errors.items()}
    n = len(errors[base])
    resampler = Resampler(n, groups)
    rng = check_random_state(random_state)
    ones = np.ones(n)
    drawn = dict(
        zip(found, resample(found.values(), ones, resampler, n_resamples, rng), strict=True)
    )
    seed = int(rng.randint(1 << 31))
    tables = []
    for name in [name for name in found if name != base]:
        low, high = percentile_interval(drawn[name] - drawn[base], confidence_level)
        ours, theirs = evaluate(found[name], ones), evaluate(found[base], ones)
        table = pd.DataFrame(
            {
                "baseline": theirs,
                "model": ours,
                "difference": ours - theirs,
                "low": low,
                "high": high,
                "p_value": _p_values(found[name], found[base], resampler, n_resamples, seed),
            },
            index=pd.MultiIndex.from_product(
                [[name], list(found[name])], names=["model", "figure"]
            ),
        )
        better = [_better(key, figure, found[base][key]) for key, figure in found[name].items()]
        table["wins"], table["losses"] = np.array(better).T
        tables.append(table)
    result = pd.concat(tables)
    holm = result.groupby(level="figure", sort=False)["p_value"].transform(_holm)
    result.insert(result.columns.get_loc("p_value") + 1, "p_holm", holm)
    result.attrs |= {"baseline": base, "n": n, "n_groups": resampler.n_units}
    return result


def _better(key: str, ours: Any, theirs: Any) -> tuple[int, int]:
    """On how many places the model did better, and worse."""
    gain = ours.values - theirs.values
    if key in _LESS_IS_BETTER:
        gain = -gain
    return int((gain > 0.0).sum()), int((gain < 0.0).sum())


def _exchanges(units: int, n_resamples: int, seed: int) -> Iterator[npt.NDArray[np.bool_]]:
    """Chunks of rows that say which units exchange the two models; the first row: none does."""
    if units <= _EXACT_GROUPS:
        yield (np.arange(1 << units)[:, None] >> np.arange(units)) & 1 == 1
        return
    yield np.zeros((1, units), dtype=bool)
    rng = np.random.RandomState(seed)
    step = max(1, _CHUNK // units)
    for start in range(0, n_resamples, step):
        yield rng.rand(min(step, n_resamples - start), units) < 0.5


def _p_values(
    ours: Figures, theirs: Figures, resampler: Resampler, n_resamples: int, seed: int
) -> FloatArray:
    """Two-sided p-value of the difference in each figure."""
    labels, units = resampler.labels, resampler.n_units
    pairs = {key: (figure[0], theirs[key][0]) for key, figure in ours.items()}
    gains = np.empty((units, len(pairs)))
    for i, (a, b) in enumerate(pairs.values()):
        gains[:, i] = a - b if labels is None else np.bincount(labels, a - b, minlength=units)
    seen: list[FloatArray] = []
    for rows in _exchanges(units, n_resamples, seed):
        differences = (1.0 - 2.0 * rows) @ gains
        for i, (key, (a, b)) in enumerate(pairs.items()):
            if not isinstance(ours[key], Mean):
                differences[:, i] = _exchanged_medians(a, b, labels, rows)
        seen.append(differences)
    everything = np.concatenate(seen)
    p_values = np.array([_as_large_as_first(column) for column in everything.T])
    for i, key in enumerate(pairs):
        if labels is None and key not in _OTHER:
            wins, losses = _better(key, ours[key], theirs[key])
            p_values[i] = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    return p_values


def _exchanged_medians(
    a: FloatArray, b: FloatArray, labels: IntArray | None, rows: npt.NDArray[np.bool_]
) -> FloatArray:
    differences = np.empty(len(rows))
    step = max(1, _CHUNK // len(a))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        swap = rows[part] if labels is None else rows[part][:, labels]
        ours = np.median(np.where(swap, b, a), axis=1)
        differences[part] = ours - np.median(np.where(swap, a, b), axis=1)
    return differences


def _as_large_as_first(differences: FloatArray) -> float:
    """Part of the differences that are at least as large as the first, the one seen."""
    size = np.abs(differences)
    # Sums in another order differ by rounding.
    return float(np.mean(size >= size[0] * (1.0 - 1e-9)))


def _holm(p_values: Any) -> Any:
    """Holm's step-down correction of the p-values of one figure."""
    order = np.argsort(p_values.to_numpy(), kind="stable")
    steps = p_values.to_numpy()[order] * np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected
