"""Which photographs are dominated by faces, and say little about where they were taken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator

from .._validation import Interval, StrOptions
from ._collection import check_images, is_single_pass
from ._face_detectors import Boxes, FaceSettings, check_detector, find_faces, union_area
from ._map_images import Failures, map_images

__all__ = ["FaceFilter"]


class FaceFilter(BaseEstimator):
    """Find photographs that are dominated by faces, to leave them out of a collection.

    The paper removes portraits before anything else: they say who was there and not where. There
    is nothing to learn; ``predict`` may be called at once.

    Parameters
    ----------
    detector : "lbp", str, Path or callable, default="lbp"
        "lbp" is the cascade of local binary patterns that comes with scikit-image
        (``pip install "skgeo[faces]"``): upright faces seen from the front. A path is taken for
        the ONNX file of a YuNet network, which OpenCV runs and which knows faces from the side as
        well; it has to be got by yourself. A callable takes an RGB array of type uint8 and
        returns boxes of shape (k, 4), left, top, width and height in pixels.
    max_face_fraction : float, default=0.02
        The part of the image that faces may cover. The boxes of "lbp" reach from the brows to the
        chin, so that 0.02 is a head of a third of the height of a photo in landscape format.
    min_face_size : float, default=0.15
        Smallest side of a box, as a part of the shorter side of the image. Smaller faces are not
        sought, which saves most of the time and of the false alarms.
    threshold : float or None, default=None
        How sure the detector must be. For "lbp" the number of overlapping windows that look like a
        face, None: 7; for YuNet the score from 0 to 1, None: 0.9. Must be None for a callable.
    on_error : {"raise", "keep", "drop"}, default="raise"
        What to do with an image that cannot be read: raise an error that names its index and path,
        or keep or drop it and warn once how many there were.
    n_jobs : int or None, default=None
        Images are searched in parallel; the result does not depend on it.
    verbose : int, default=0
        Above 0 shows a progress bar.

    Attributes
    ----------
    threshold_ : float or None
        How sure the detector must be: ``threshold``, or the value for this detector. Set by
        ``fit``, for information.

    See Also
    --------
    skgeo.datasets.load_geotagged_photos : Loads the collection that is to be filtered.

    Notes
    -----
    Measured at the defaults on photos with a longer side of 256 pixels: of 801 photos of buildings
    in San Francisco, without large faces, 3 were dropped (0.4 percent). Of 538 photos of Mexican
    cities 20 were dropped, 17 of which show a face; 42 do that clearly, many of them from the side
    or behind glasses, so the cascade misses more than half. It takes 44 ms a photo and core.

    References
    ----------
    Jiang, Kong, Fu: Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS Estimation, IEEE Trans.
    Big Data, 2017, section 5.1. Liao, Zhu, Lei, Zhang, Li: Learning Multi-scale Block Local Binary
    Patterns for Face Recognition, ICB 2007. Wu, Peng, Yu: YuNet: A Tiny Millisecond-level Face
    Detector, Machine Intelligence Research, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.images import FaceFilter
    >>> from skimage.data import astronaut, rocket
    >>> faces = FaceFilter(max_face_fraction=0.01)
    >>> keep = faces.predict([astronaut(), rocket()])
    >>> keep
    array([False,  True])
    >>> boxes = faces.detect([astronaut()])[0]  # left, top, width, height
    >>> boxes.shape
    (1, 4)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "detector": [StrOptions({"lbp"}), str, os.PathLike, callable],
        "max_face_fraction": [Interval(Real, 0, 1, closed="both")],
        "min_face_size": [Interval(Real, 0.02, 1, closed="both")],
        "threshold": [Interval(Real, 0, None, closed="neither"), None],
        "on_error": [StrOptions({"raise", "keep", "drop"})],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        detector: Any = "lbp",
        *,
        max_face_fraction: float = 0.02,
        min_face_size: float = 0.15,
        threshold: float | None = None,
        on_error: Any = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.detector = detector
        self.max_face_fraction = max_face_fraction
        self.min_face_size = min_face_size
        self.threshold = threshold
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> FaceFilter:
        """Check the parameters; there is nothing to learn.

        Parameters
        ----------
        X : collection of images
            Whatever `check_images` takes. Not read.
        y : None
            Ignored.

        Returns
        -------
        FaceFilter
            Itself.
        """
        self.threshold_ = self._settings().threshold
        if not is_single_pass(X):
            check_images(X)
        return self

    def predict(self, X: Any) -> npt.NDArray[np.bool_]:
        """Say which images to keep.

        Parameters
        ----------
        X : collection of images
            Whatever `check_images` takes, or an iterator.

        Returns
        -------
        ndarray of shape (n_images,)
            False for images that faces dominate: ``np.array(paths)[keep]`` are the others.

        Raises
        ------
        ImageError
            If an image cannot be read and ``on_error`` is "raise".
        ImportError
            If the detector is "lbp" and scikit-image is not installed.
        """
        fractions = self.face_fraction(X)
        # A comparison with NaN is False.
        keep = fractions <= self.max_face_fraction
        return keep | np.isnan(fractions) if self.on_error == "keep" else keep

    def face_fraction(self, X: Any) -> npt.NDArray[np.float64]:
        """Compute the part of each image that faces cover.

        Parameters
        ----------
        X : collection of images
            As in `predict`.

        Returns
        -------
        ndarray of shape (n_images,)
            From 0 to 1; what several boxes cover counts once. NaN for images that cannot be read,
            if ``on_error`` allows them.
        """
        return np.array([np.nan if b is None else union_area(b) for b in self.detect(X)])

    def detect(self, X: Any) -> list[npt.NDArray[np.float64] | None]:
        """Find the faces.

        Parameters
        ----------
        X : collection of images
            As in `predict`.

        Returns
        -------
        list of ndarray of shape (k, 4)
            For each image the boxes of its faces: left, top, width and height, as parts of the
            width and height of the upright image. None for images that cannot be read, if
            ``on_error`` allows them.
        """
        settings = self._settings()
        n_images = None
        if not is_single_pass(X):
            X = check_images(X)
            n_images = len(X)
        failures, found = Failures(), []
        for boxes in self._boxes(X, n_images, settings, failures):
            found.append(boxes)
        if not found:
            raise ValueError("X holds 0 images; at least 1 is needed.")
        consequence = {"keep": "are kept", "drop": "are dropped", "raise": ""}[self.on_error]
        failures.warn(len(found), consequence)
        return found

    def _boxes(
        self, X: Any, n_images: int | None, settings: FaceSettings, failures: Failures
    ) -> Iterator[Boxes | None]:
        for outcome in map_images(
            partial(find_faces, settings=settings),
            enumerate(X) if n_images is None else ((i, X[i]) for i in range(n_images)),
            total=n_images,
            min_side=settings.working_side,
            on_error="raise" if self.on_error == "raise" else "nan",
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            desc="faces",
        ):
            if outcome.value is None:
                failures.add(outcome)
            yield outcome.value

    def _settings(self) -> FaceSettings:
        self._validate_params()
        return check_detector(self.detector, float(self.min_face_size), self.threshold)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags
