"""Coordinates of photographs, as many as in the paper, crowded as photographs are."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import numpy.typing as npt
from sklearn.utils import Bunch, check_random_state

from skgeo._geodesy import EARTH_RADIUS_KM, from_unit_vectors, to_unit_vectors
from skgeo._validation import Interval, validate_params

FloatArray = npt.NDArray[np.float64]

#: The areas of the paper's Table 1: photographs, latitude and longitude of the middle in
#: degrees, and about how far the area reaches in km.
AREAS: dict[str, tuple[int, float, float, float]] = {
    "Ahmedabad": (1_230, 23.02, 72.57, 12),
    "Arkansas": (23_228, 34.80, -92.20, 150),
    "Atlanta": (15_180, 33.75, -84.39, 25),
    "Bangkok": (5_910, 13.76, 100.50, 15),
    "Beijing": (15_470, 39.90, 116.40, 25),
    "Bogota": (13_274, 4.71, -74.07, 15),
    "Cairo": (13_653, 30.04, 31.24, 15),
    "Chengdu": (6_300, 30.66, 104.06, 15),
    "Chicago": (8_966, 41.88, -87.63, 20),
    "Colorado": (14_229, 39.00, -105.50, 200),
    "Connecticut": (28_516, 41.60, -72.70, 60),
    "Delaware": (19_692, 39.15, -75.50, 50),
    "Delhi": (13_459, 28.61, 77.21, 18),
    "Florence": (21_507, 43.77, 11.26, 6),
    "Galapagos": (21_123, -0.70, -90.40, 70),
    "Hawaii": (21_742, 20.80, -156.90, 150),
    "Heidelberg": (6_398, 49.41, 8.69, 5),
    "HongKong": (41_914, 22.30, 114.17, 12),
    "Houston": (20_833, 29.76, -95.37, 25),
    "Istanbul": (46_281, 41.02, 28.97, 15),
    "Jakarta": (7_396, -6.20, 106.83, 15),
    "LosAngeles": (14_539, 34.05, -118.25, 30),
    "Melbourne": (9_401, -37.81, 144.96, 15),
    "MexicoCity": (7_318, 19.43, -99.13, 15),
    "NewYorkCity": (27_369, 40.74, -73.98, 12),
    "Miami": (2_301, 25.78, -80.19, 15),
    "Milan": (9_614, 45.46, 9.19, 8),
    "Moscow": (19_482, 55.75, 37.62, 15),
    "Osaka": (12_316, 34.69, 135.50, 12),
    "Rome": (10_342, 41.89, 12.49, 6),
    "Salvador": (16_161, -12.97, -38.50, 12),
    "Santiago": (44_920, -33.45, -70.66, 15),
    "SaoPaulo": (18_894, -23.55, -46.63, 18),
    "Shanghai": (11_759, 31.23, 121.47, 18),
    "Tokyo": (94_003, 35.68, 139.76, 18),
}

#: Photographs of the paper.
N_PHOTOS = sum(count for count, *_ in AREAS.values())

_SHARE = [Interval(Real, 0, 1, closed="both")]

_DESCR = """\
Coordinates of photographs
--------------------------

{n} positions in {n_areas} areas, the shares those of Table 1 of the paper, drawn at random: nobody
took these photographs. In every area most of them crowd around sights, of which a few have
thousands and most a handful, the others are scattered; many are at exactly the position of another.
"""


@validate_params(
    {
        "n_photos": [Interval(Integral, 1, None, closed="left")],
        "scattered": _SHARE,
        "duplicated": _SHARE,
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_photo_coordinates(
    n_photos: int = N_PHOTOS,
    *,
    scattered: float = 0.2,
    duplicated: float = 0.15,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Draw positions of photographs in the paper's 35 areas: a load test for POIs.

    Where people take photographs is not a cloud: a few sights hold a large part of them, their
    number falls off with a power of their rank, and between them lies a thin scatter. Bursts and
    positions given by name repeat a position exactly. All of this decides what clustering
    costs, and none of it is in uniform or normal random points.

    Parameters
    ----------
    n_photos : int, default=664_720
        How many positions. At the default every area has the number of Table 1, else its share.
    scattered : float, default=0.2
        Part of an area's photographs that belongs to no sight.
    duplicated : float, default=0.15
        Part of the photographs that repeat the position of another one of their area.
    random_state : int, RandomState or None, default=None
        Seed for the same positions again.

    Returns
    -------
    Bunch
        ``coordinates`` of shape (n_photos, 2), degrees, rounded to 1e-6, in random order;
        ``area`` of shape (n_photos,), an index into ``area_names``; ``DESCR``.

    References
    ----------
    Jiang, Kong, Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS Estimation",
    IEEE Trans. Big Data, 2017, Table 1.

    Examples
    --------
    >>> from skgeo.datasets import make_photo_coordinates
    >>> photos = make_photo_coordinates(5000, random_state=0)
    >>> photos.coordinates.shape, len(photos.area_names)
    ((5000, 2), 35)
    """
    rng = check_random_state(random_state)
    areas = list(AREAS.values())
    counts = _shares(np.array([area[0] for area in areas], dtype=np.float64), int(n_photos))
    coordinates = np.concatenate(
        [
            _area(rng, n, np.array(area[1:3]), area[3], float(scattered), float(duplicated))
            for n, area in zip(counts, areas, strict=True)
        ]
    )
    order = rng.permutation(len(coordinates))
    return Bunch(
        coordinates=coordinates[order],
        area=np.repeat(np.arange(len(areas)), counts)[order],
        area_names=np.array(list(AREAS)),
        DESCR=_DESCR.format(n=f"{n_photos:,}", n_areas=len(areas)),
    )


def _shares(weights: FloatArray, total: int) -> npt.NDArray[np.int64]:
    """Whole numbers that add up to the total, as near to the weights as can be."""
    exact = weights * (total / weights.sum())
    counts = np.floor(exact).astype(np.int64)
    short = total - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:short]] += 1
    return counts


def _area(
    rng: np.random.RandomState,
    n: int,
    middle: FloatArray,
    reach_km: float,
    scattered: float,
    duplicated: float,
) -> FloatArray:
    if n == 0:
        return np.empty((0, 2))
    n_sights = max(n // 100, 1)
    sights = _around(rng, np.broadcast_to(middle, (n_sights, 2)), 0.5 * reach_km)
    popularity = np.arange(1, n_sights + 1) ** -0.9
    size_km = 0.05 * np.exp(0.8 * rng.standard_normal(n_sights))  # a statue, a park
    sight = rng.choice(n_sights, size=n, p=popularity / popularity.sum())
    alone = rng.uniform(size=n) < scattered
    where = np.where(alone[:, None], middle, sights[sight])
    spread = np.where(alone, 0.6 * reach_km, size_km[sight])
    photos = _around(rng, where, spread[:, None]).round(6)
    again = np.flatnonzero(rng.uniform(size=n) < duplicated)
    photos[again] = photos[rng.randint(n, size=len(again))]
    return photos


def _around(
    rng: np.random.RandomState, places: FloatArray, spread_km: float | FloatArray
) -> FloatArray:
    """Places scattered around places, normally, in km."""
    vectors = to_unit_vectors(places)
    vectors += rng.standard_normal(vectors.shape) * spread_km / EARTH_RADIUS_KM
    return from_unit_vectors(vectors)
