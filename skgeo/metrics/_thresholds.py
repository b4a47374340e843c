"""The radii within which an estimate counts as right, and their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

#: Radii in km of the five levels at which photo geolocation is reported, following Im2GPS.
#: The paper prints the last four. Read-only: copy it with ``dict`` to make one of your own.
THRESHOLDS_KM: Mapping[str, float] = MappingProxyType(
    {"street": 1.0, "city": 25.0, "region": 200.0, "country": 750.0, "continent": 2500.0}
)


def format_km(km: float) -> str:
    """Write a distance as people do: ``50 m``, ``1 km``, ``2,500 km``."""
    if 0.0 < km < 1.0:
        return f"{km * 1000.0:,.4g} m"
    return f"{km:,.0f} km" if km >= 1000.0 else f"{km:.4g} km"


def check_thresholds(thresholds: Mapping[str, float] | Iterable[float] | None) -> dict[str, float]:
    """Thresholds as a dict of name to km; plain numbers are named after themselves.

    Raises
    ------
    ValueError
        If there is none, a radius is negative or no finite number, or two share a name.
    """
    if thresholds is None:
        return dict(THRESHOLDS_KM)
    named: dict[str, float] = {}
    items = thresholds.items() if isinstance(thresholds, Mapping) else None
    try:
        pairs = items if items is not None else [(None, km) for km in thresholds]
        for name, value in pairs:
            if isinstance(value, str):
                raise TypeError
            km = float(value)
            key = format_km(km) if name is None else str(name)
            if not np.isfinite(km) or km < 0.0:
                raise ValueError(
                    f"The threshold {key!r} is {km:g} km; expected a finite radius in km >= 0."
                )
            if key in named:
                raise ValueError(f"Two thresholds are called {key!r}; each needs its own name.")
            named[key] = km
    except TypeError as error:
        raise ValueError(
            f"thresholds is {thresholds!r}; expected a mapping of names to radii in km, such as "
            "{'city': 25}, or a sequence of radii."
        ) from error
    if not named:
        raise ValueError("thresholds is empty; expected at least one radius in km.")
    return named
