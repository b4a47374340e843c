"""Blocks of nearly equal area that tile the sphere."""

from __future__ import annotations

from numbers import Real

import numpy as np
import numpy.typing as npt

from skgeo._geodesy import EARTH_RADIUS_KM
from skgeo._validation import Interval, check_coordinates, validate_params


@validate_params(
    {"coordinates": ["array-like"], "block_km": [Interval(Real, 0, None, closed="neither")]},
    prefer_skip_nested_validation=True,
)
def spherical_blocks(coordinates: npt.ArrayLike, block_km: float = 500.0) -> npt.NDArray[np.int64]:
    """Label of the block of the sphere in which each place lies, for splits by place.

    The sphere is cut into bands of latitude about `block_km` high, and each band into cells of
    equal width, as many as bring their area nearest to ``block_km ** 2``. Squares of latitude and
    longitude would shrink to slivers toward the poles; around a pole three cells meet like the
    pieces of a cake.

    Parameters
    ----------
    coordinates : array-like of shape (n, 2)
        Latitude and longitude in degrees.
    block_km : float, default=500.0
        Side of a block.

    Returns
    -------
    ndarray of shape (n,), int64
        Labels, equal where and only where two places share a block. They count from the south,
        and from the antimeridian eastward; most go unused.

    Raises
    ------
    ValueError
        If a row is no place on Earth or `block_km` is not positive.

    See Also
    --------
    SpatialBlockSplit : Cross-validation over such blocks.

    Examples
    --------
    >>> from skgeo.model_selection import spherical_blocks
    >>> fiji, samoa, paris = [-17.0, -179.999], [-17.0, 180.0], [48.9, 2.4]
    >>> labels = spherical_blocks([fiji, samoa, paris])
    >>> bool(labels[0] == labels[1]), bool(labels[0] == labels[2])
    (True, False)
    """
    places = check_coordinates(coordinates, name="coordinates")
    n_bands = max(1, round(np.pi * EARTH_RADIUS_KM / block_km))
    lat, lon = places[:, 0], places[:, 1]
    band = np.minimum(((lat + 90.0) / 180.0 * n_bands).astype(np.int64), n_bands - 1)
    edges = np.linspace(-np.pi / 2.0, np.pi / 2.0, n_bands + 1)
    area = 2.0 * np.pi * EARTH_RADIUS_KM**2 * np.diff(np.sin(edges))
    cells = np.maximum(1, np.rint(area / block_km**2)).astype(np.int64)
    first = np.cumsum(cells) - cells
    # 180 and -180 degrees are one meridian, and belong to one block.
    turn = np.mod(lon + 180.0, 360.0) / 360.0
    cell = np.minimum((turn * cells[band]).astype(np.int64), cells[band] - 1)
    cell[np.abs(lat) == 90.0] = 0  # every longitude is the same place there
    labels: npt.NDArray[np.int64] = first[band] + cell
    return labels
