"""Classes of error: radii that suit a map, and a colour for each class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from skgeo.metrics._thresholds import check_thresholds

from ._view import View

#: Errors from the smallest class to the largest: hues of middle lightness, which can be told
#: apart on white and on black, and with the common colour deficiencies.
ERROR_COLORS = ("#2b83e0", "#17b3b3", "#8fb339", "#f0a818", "#ee6a2c", "#d6336c")

#: Radii that suit a map no wider than the first number of km.
_FINE_RADII = (
    (40.0, (0.05, 0.1, 0.25, 0.5, 1.0)),
    (400.0, (1.0, 5.0, 10.0, 25.0, 50.0)),
)


def radii_for(
    view: View, thresholds: Mapping[str, float] | Iterable[float] | None
) -> dict[str, float]:
    """Radii in km by name, ascending; None: those that suit the width of the map."""
    if thresholds is None:
        thresholds = next((radii for limit, radii in _FINE_RADII if view.width_km <= limit), None)
    return dict(sorted(check_thresholds(thresholds).items(), key=lambda item: item[1]))


def class_colors(n: int) -> list[str]:
    """Give n colours, ``#rrggbb``, from the smallest to the largest error."""
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in ERROR_COLORS])
    where = np.linspace(0.0, len(rgb) - 1.0, n)
    mixed = np.stack([np.interp(where, np.arange(len(rgb)), channel) for channel in rgb.T], axis=1)
    return ["#" + "".join(f"{round(v):02x}" for v in color) for color in mixed]
