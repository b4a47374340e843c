"""A synthetic world of photographs in feature space, with the paper's two inconsistencies."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import Bunch, check_random_state

from skgeo._geodesy import EARTH_RADIUS_KM, from_unit_vectors, to_unit_vectors
from skgeo._validation import Interval, validate_params

FloatArray = npt.NDArray[np.float64]

_DESCR = """\
A synthetic world of photographs in feature space
-------------------------------------------------

{n_photos} photographs of {n_pois} places of interest (POIs) in {n_areas} areas, by
{n_photographers} photographers; {n_features} features each.

A photograph's features mix four things, weakest first:

- its place: a code of its POI, of which a part belongs to the whole area;
- its look: the visual aspect that it shows. A POI has several ("same place, different look") and
  most are shared with POIs of distant areas ("different place, same look");
- circumstances that say nothing about the place: the photographer's style, weather, the hour;
- noise in every feature.

Look and circumstances dominate Euclidean distances and principal components. The place is there,
in directions of small variance, for a method that learns which directions those are.
"""


def _count(low: int) -> list[Any]:
    return [Interval(Integral, low, None, closed="left")]


_POSITIVE = [Interval(Real, 0, None, closed="neither")]
_AT_LEAST_0 = [Interval(Real, 0, None, closed="left")]
_SHARE = [Interval(Real, 0, 1, closed="both")]


@validate_params(
    {
        "n_areas": _count(1),
        "n_pois_per_area": _count(1),
        "n_photos_per_poi": _count(1),
        "n_features": _count(1),
        "n_shared_aspects": _count(0),
        "n_shared_aspects_per_poi": _count(0),
        "n_own_aspects_per_poi": _count(0),
        "n_photographers": _count(1),
        "n_visitors_per_poi": _count(1),
        "n_place_factors": _count(1),
        "n_aspect_factors": _count(1),
        "n_nuisance_factors": _count(1),
        "place_scale": _AT_LEAST_0,
        "aspect_scale": _AT_LEAST_0,
        "nuisance_scale": _AT_LEAST_0,
        "noise": _AT_LEAST_0,
        "area_share": _SHARE,
        "aspect_spread": _AT_LEAST_0,
        "style_share": _SHARE,
        "nonlinearity": _SHARE,
        "area_radius_km": _POSITIVE,
        "poi_radius_km": _AT_LEAST_0,
        "max_abs_latitude": [Interval(Real, 0, 90, closed="right")],
        "random_state": ["random_state"],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_geo_world(
    n_areas: int = 16,
    n_pois_per_area: int = 4,
    n_photos_per_poi: int = 40,
    *,
    n_features: int = 120,
    n_shared_aspects: int = 12,
    n_shared_aspects_per_poi: int = 3,
    n_own_aspects_per_poi: int = 0,
    n_photographers: int = 200,
    n_visitors_per_poi: int = 10,
    n_place_factors: int = 16,
    n_aspect_factors: int = 12,
    n_nuisance_factors: int = 8,
    place_scale: float = 1.0,
    aspect_scale: float = 2.5,
    nuisance_scale: float = 3.5,
    noise: float = 0.6,
    area_share: float = 0.5,
    aspect_spread: float = 0.5,
    style_share: float = 0.3,
    nonlinearity: float = 0.3,
    area_radius_km: float = 100.0,
    poi_radius_km: float = 0.1,
    max_abs_latitude: float = 65.0,
    random_state: int | np.random.RandomState | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[npt.NDArray[np.float32], FloatArray]:
    """Make a world whose places hide behind looks that they share with places far away.

    The paper's two difficulties, made measurable in seconds. *Same area, different look*: a POI
    is photographed under several visual aspects. *Different area, same look*: aspects are drawn
    from a pool that all areas share. The place itself shows only in directions of small variance,
    under looks and circumstances of large variance, so neighbours by raw features, by principal
    components or by a plain auto-encoder mostly share a look and not a place.

    All photographs are independent draws given their POI, aspect and photographer: any split of
    the rows gives training and test photographs from one process. Since a photographer's style
    shows in the photographs, split by ``groups`` where that may not help.

    Parameters
    ----------
    n_areas : int, default=16
        Areas, spread over the sphere at least some 1,800 km apart (at the default number).
    n_pois_per_area : int, default=4
        POIs in each area.
    n_photos_per_poi : int, default=40
        Photographs of each POI.
    n_features : int, default=120
        Columns of ``data``, at least the sum of the three numbers of factors.
    n_shared_aspects : int, default=12
        Size of the pool of aspects from which all areas draw.
    n_shared_aspects_per_poi : int, default=3
        Different aspects of a POI that come from the pool. Their use is balanced over the pool.
    n_own_aspects_per_poi : int, default=0
        Aspects of a POI that no other place has.
    n_photographers : int, default=200
        Size of the pool of photographers.
    n_visitors_per_poi : int, default=10
        Photographers, drawn from the pool, who share the photographs of a POI evenly.
    n_place_factors, n_aspect_factors, n_nuisance_factors : int, default=16, 12 and 8
        Dimensions of the code of a place, of a look and of the circumstances.
    place_scale, aspect_scale, nuisance_scale : float, default=1.0, 2.5 and 3.5
        Standard deviation of each of their factors over the world.
    noise : float, default=0.6
        Standard deviation of independent noise in every feature.
    area_share : float, default=0.5
        Part of the variance of the places' codes that the POIs of an area have in common.
    aspect_spread : float, default=0.5
        Standard deviation of photographs around their aspect, relative to `aspect_scale`.
    style_share : float, default=0.3
        Part of the variance of the circumstances that belongs to the photographer.
    nonlinearity : float, default=0.3
        Part of the features' variance that is a nonlinear function of the factors (a random
        hidden layer of tanh units). At 0 the features are a rotation of the factors plus noise.
    area_radius_km : float, default=100.0
        Radius of an area. Its POIs lie at least 0.6 of this, divided by the root of their number,
        apart: 30 km by default, so that 25 km means the POI and 200 km the area.
    poi_radius_km : float, default=0.1
        Radius around the POI within which photographs are taken.
    max_abs_latitude : float, default=65.0
        Bound of the latitudes of the areas' centres.
    random_state : int, RandomState instance or None, default=None
        Decides everything that is drawn.
    return_X_y : bool, default=False
        If true, return ``(data, coordinates)`` alone.

    Returns
    -------
    Bunch
        With the attributes

        data : ndarray of shape (n_photos, n_features), float32
            Features. Rows are shuffled.
        coordinates : ndarray of shape (n_photos, 2)
            Latitude and longitude in degrees.
        groups : ndarray of shape (n_photos,)
            The photographer.
        poi, area, aspect : ndarray of shape (n_photos,)
            Labels. Aspects below `n_shared_aspects` are shared; the others belong to one POI.
        poi_coordinates : ndarray of shape (n_areas * n_pois_per_area, 2)
            Centres of the POIs; POI ``i`` lies in area ``i // n_pois_per_area``.
        area_coordinates : ndarray of shape (n_areas, 2)
            Centres of the areas.
        DESCR : str
            What the world is made of.

    Raises
    ------
    ValueError
        If a parameter is out of its range, a POI has no aspect or more than the pool holds, or
        there are fewer features than factors or fewer photographers than visitors.

    References
    ----------
    .. [1] Jiang, Kong and Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
       Estimation", IEEE Transactions on Big Data, 2017, sections 1 and 3 (the inconsistencies).

    Examples
    --------
    >>> from skgeo.datasets import make_geo_world
    >>> world = make_geo_world(random_state=0)
    >>> world.data.shape, world.coordinates.shape
    ((2560, 120), (2560, 2))

    Of the raw nearest neighbours most show the same look and few are of the same place:

    >>> from sklearn.neighbors import NearestNeighbors
    >>> train, test = slice(0, 2000), slice(2000, None)
    >>> knn = NearestNeighbors(n_neighbors=1).fit(world.data[train])
    >>> nearest = knn.kneighbors(world.data[test], return_distance=False).ravel()
    >>> same_look = world.aspect[train][nearest] == world.aspect[test]
    >>> same_poi = world.poi[train][nearest] == world.poi[test]
    >>> bool(same_look.mean() > 2 * same_poi.mean())
    True
    """
    n_factors = n_place_factors + n_aspect_factors + n_nuisance_factors
    if n_features < n_factors:
        raise ValueError(
            f"n_features={n_features} is less than the {n_factors} factors that it must hold "
            f"({n_place_factors} of place, {n_aspect_factors} of look, {n_nuisance_factors} of "
            "circumstances)."
        )
    if n_shared_aspects_per_poi > n_shared_aspects:
        raise ValueError(
            f"n_shared_aspects_per_poi={n_shared_aspects_per_poi} different aspects cannot come "
            f"from a pool of n_shared_aspects={n_shared_aspects}."
        )
    n_aspects = n_shared_aspects_per_poi + n_own_aspects_per_poi
    if n_aspects == 0:
        raise ValueError(
            "A POI needs at least one aspect; n_shared_aspects_per_poi and n_own_aspects_per_poi "
            "are both 0."
        )
    if n_visitors_per_poi > n_photographers:
        raise ValueError(
            f"n_visitors_per_poi={n_visitors_per_poi} is more than n_photographers="
            f"{n_photographers}."
        )
    rng = check_random_state(random_state)
    n_pois = n_areas * n_pois_per_area
    n_photos = n_pois * n_photos_per_poi

    area_coordinates = _spread_areas(rng, n_areas, max_abs_latitude)
    poi_coordinates = np.concatenate(
        [_spread_pois(rng, centre, n_pois_per_area, area_radius_km) for centre in area_coordinates]
    )
    poi = rng.permutation(np.repeat(np.arange(n_pois), n_photos_per_poi))
    area = poi // n_pois_per_area
    offsets = poi_radius_km * np.sqrt(rng.uniform(size=n_photos))
    coordinates = _move(poi_coordinates[poi], offsets, rng.uniform(0.0, 2.0 * np.pi, n_photos))

    aspects_of_poi = _deal_aspects(
        rng, n_pois, n_shared_aspects, n_shared_aspects_per_poi, n_own_aspects_per_poi
    )
    aspect = aspects_of_poi[poi, rng.randint(n_aspects, size=n_photos)]
    visitors = np.stack(
        [rng.permutation(n_photographers)[:n_visitors_per_poi] for _ in range(n_pois)]
    )
    # Rows are in random order, so counting them off deals a POI's photographs evenly.
    turn = np.empty(n_photos, dtype=np.intp)
    turn[np.argsort(poi, kind="stable")] = np.tile(np.arange(n_photos_per_poi), n_pois)
    groups = visitors[poi, turn % n_visitors_per_poi]

    area_code = rng.standard_normal((n_areas, n_place_factors))
    poi_code = rng.standard_normal((n_pois, n_place_factors))
    place = np.sqrt(area_share) * area_code[area] + np.sqrt(1.0 - area_share) * poi_code[poi]
    n_looks = n_shared_aspects + n_pois * n_own_aspects_per_poi
    look = rng.standard_normal((n_looks, n_aspect_factors))[aspect]
    look = look + aspect_spread * rng.standard_normal(look.shape)
    style = rng.standard_normal((n_photographers, n_nuisance_factors))[groups]
    nuisance = np.sqrt(style_share) * style
    nuisance += np.sqrt(1.0 - style_share) * rng.standard_normal(style.shape)
    factors = np.hstack([place_scale * place, aspect_scale * look, nuisance_scale * nuisance])
    data = _render(rng, factors, n_features, nonlinearity)
    data += noise * rng.standard_normal(data.shape)

    features = data.astype(np.float32)
    if return_X_y:
        return features, coordinates
    return Bunch(
        data=features,
        coordinates=coordinates,
        groups=groups,
        poi=poi,
        area=area,
        aspect=aspect,
        poi_coordinates=poi_coordinates,
        area_coordinates=area_coordinates,
        DESCR=_DESCR.format(
            n_photos=n_photos,
            n_pois=n_pois,
            n_areas=n_areas,
            n_photographers=n_photographers,
            n_features=n_features,
        ),
    )


def _spread_areas(rng: np.random.RandomState, n: int, max_abs_latitude: float) -> FloatArray:
    """Draw n places, uniform on the sphere up to a latitude, that keep a distance."""
    top = np.sin(np.deg2rad(max_abs_latitude))

    def draw() -> FloatArray:
        lat = np.rad2deg(np.arcsin(rng.uniform(-top, top)))
        return np.array([lat, rng.uniform(-180.0, 180.0)])

    # Discs of this diameter fill 9 percent of the surface: throwing darts finds room for all.
    apart_km = 0.6 * EARTH_RADIUS_KM * np.sqrt(4.0 * top / n)
    return _throw(draw, n, min(apart_km, 0.6 * np.pi * EARTH_RADIUS_KM))


def _spread_pois(
    rng: np.random.RandomState, centre: FloatArray, n: int, radius_km: float
) -> FloatArray:
    """Draw n places, uniform in a disc, that keep a distance."""

    def draw() -> FloatArray:
        distance = np.array([radius_km * np.sqrt(rng.uniform())])
        return _move(centre[None, :], distance, rng.uniform(0.0, 2.0 * np.pi, 1))[0]

    return _throw(draw, n, 0.6 * radius_km / np.sqrt(n))


def _throw(draw: Any, n: int, apart_km: float) -> FloatArray:
    """Keep draws that lie at least ``apart_km`` from all that were kept, until there are n."""
    cosine = np.cos(min(apart_km / EARTH_RADIUS_KM, np.pi))
    kept = np.empty((n, 2))
    vectors = np.empty((n, 3))
    found = tries = 0
    while found < n:
        place = draw()
        vector = to_unit_vectors(place)
        tries += 1
        # A crowded corner of a narrow band must not loop for ever: the distance gives way.
        if tries % 1000 == 0:
            cosine = 1.0 - 0.8 * (1.0 - cosine)
        if found == 0 or (vectors[:found] @ vector).max() <= cosine:
            kept[found], vectors[found] = place, vector
            found += 1
    return kept


def _move(start: FloatArray, distance_km: FloatArray, bearing: FloatArray) -> FloatArray:
    """Places reached from ``start`` (n, 2) after so many km along great circles (radians)."""
    lat, lon = np.deg2rad(start[:, 0]), np.deg2rad(start[:, 1])
    origin = to_unit_vectors(start)
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=1)
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)], axis=1)
    heading = np.cos(bearing)[:, None] * north + np.sin(bearing)[:, None] * east
    angle = (distance_km / EARTH_RADIUS_KM)[:, None]
    return from_unit_vectors(np.cos(angle) * origin + np.sin(angle) * heading)


def _deal_aspects(
    rng: np.random.RandomState, n_pois: int, n_shared: int, shared_each: int, own_each: int
) -> npt.NDArray[np.intp]:
    """Labels (n_pois, shared_each + own_each): the least used of the pool first, ties at random."""
    used = np.zeros(n_shared, dtype=np.intp)
    dealt = np.empty((n_pois, shared_each + own_each), dtype=np.intp)
    for poi in rng.permutation(n_pois):
        order = np.lexsort((rng.uniform(size=n_shared), used))[:shared_each]
        used[order] += 1
        dealt[poi, :shared_each] = order
        dealt[poi, shared_each:] = n_shared + poi * own_each + np.arange(own_each)
    return dealt


def _render(
    rng: np.random.RandomState, factors: FloatArray, n_features: int, nonlinearity: float
) -> FloatArray:
    """Features (n, n_features): a rotation of the factors and a random layer of tanh units."""
    n_factors = factors.shape[1]
    rotation = np.linalg.qr(rng.standard_normal((n_features, n_factors)))[0].T
    linear = factors @ rotation
    size = np.sqrt(np.mean(np.sum(factors**2, axis=1)))
    if nonlinearity == 0.0 or size == 0.0:
        return linear
    hidden = np.tanh(factors @ rng.standard_normal((n_factors, 2 * n_features)) / size)
    curved = (hidden - hidden.mean(axis=0)) @ rng.standard_normal((2 * n_features, n_features))
    spread = curved.var(axis=0).sum()
    if spread > 0.0:
        curved *= np.sqrt(linear.var(axis=0).sum() / spread)
    return np.sqrt(1.0 - nonlinearity) * linear + np.sqrt(nonlinearity) * curved
