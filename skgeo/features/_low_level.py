"""The estimator that turns photographs into the six low-level features of the paper."""

from __future__ import annotations

from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._threads import single_threaded
from .._validation import Interval, StrOptions
from ..images import check_images, is_single_pass
from ..images._map_images import Failures, map_images, stack_rows
from ._blocks import LOW_LEVEL_WIDTHS, consecutive_slices
from ._describe import (
    SAMPLE_IMAGES,
    SAMPLE_PIXELS,
    Settings,
    describe_image,
    reservoir,
    sample_responses,
)
from ._lab import LAB_KINDS
from ._texture import BLUE_MARBLE, learn_textons, load_dictionary

__all__ = ["LowLevelFeatures"]


class LowLevelFeatures(TransformerMixin, BaseEstimator):
    """Describe photographs by colour, texture, lines and layout: the six features of the paper.

    Each image is decoded, turned upright, and shrunk (never enlarged) to a longest side of
    ``image_size``. Its blocks, in the order of the columns, are:

    ========== ======= ============================================================================
    block      columns content
    ========== ======= ============================================================================
    tiny5      75      mean colours on a 5 x 5 grid, CIE L*a*b*
    tiny16     768     mean colours on a 16 x 16 grid, RGB from 0 to 1
    color      784     joint histogram of L*, a*, b*, 4 x 14 x 14 bins
    texture    512     histogram of textons: the nearest of 512 typical responses to 32 filters
    line       232     angles (200 bins) and lengths (32 bins) of straight segments
    gist       600     GIST, 4 scales x 6 orientations x 5 x 5 blocks
    ========== ======= ============================================================================

    Parameters
    ----------
    blocks : "all", str or list of str, default="all"
        Which blocks to compute. Whatever the order of the list, columns keep the order above.
    image_size : int or None, default=400
        Images are shrunk to this longest side before they are described. None keeps their size.
    on_error : {"raise", "nan"}, default="raise"
        What to do with an image that cannot be read: raise an error that names its index and path,
        or return a row of NaN and warn once how many there were. Rows of NaN must be dropped before
        most estimators.
    n_jobs : int or None, default=None
        Images are described in parallel; the result does not depend on it. BLAS and OpenCV are
        held to one thread each in the meantime.
    random_state : int, RandomState instance or None, default=None
        Draws the pixels from which ``fit`` learns the textons, and seeds their clustering.
    verbose : int, default=0
        Above 0 shows a progress bar.
    tiny_color_space : {"lab", "rgb"}, default="lab"
        Colours of the block "tiny5".
    lab : {"linear", "srgb"}, default="linear"
        L*a*b* of the blocks "tiny5" and "color": the historic one, which takes the stored values
        for light, or the standard's. See `color_histogram`.
    texton_dictionary : array-like of shape (512, 32), "blue-marble" or None, default=None
        A dictionary learned before, such as ``texton_dictionary_`` of another instance, or the one
        that comes with the package. ``fit`` then learns nothing and reads no image, and
        ``transform`` works without ``fit``. None learns one in ``fit``.
    texton_stride : int or None, default=None
        Count the texton of one pixel in ``texton_stride``. None leaves the choice to
        ``precision``. See `texton_histogram`.
    reduced_decoding : bool, default=True
        Decode large JPEG files at a half, quarter or eighth of their size, as long as the shorter
        side keeps ``image_size`` pixels. On photographs as cameras make them decoding takes most of
        the time otherwise. Features correlate with those of full decoding at 0.9997 and more, those
        of the block "line" at 0.99 on average.
    precision : {"fast", "exact"}, default="fast"
        "fast" approximates the two blocks that take nearly all of the time, "texture" and "gist",
        three to six times faster. On photographs they correlate with those of "exact" at 0.997 and
        0.9996 on average, and at 0.978 and 0.999 at worst, see the user guide.

    Attributes
    ----------
    block_slices_ : dict of str to slice
        The columns of each block.
    texton_dictionary_ : ndarray of shape (512, 32) or None
        The textons; None without the block "texture".

    See Also
    --------
    BlockScaler : Gives the blocks the same weight. Distances between raw rows are those of the
        largest block.

    Notes
    -----
    ``fit`` draws at most 500 images and about 100,000 pixels of them, however many images there
    are. An iterator that can be read only once will do for ``fit`` and for ``transform``;
    ``fit_transform`` keeps its items in a list. ``transform`` of one image gives the same bits as
    in any batch.

    The paper gives 2,893 as the sum of its blocks; they sum to 2,971. That the 232 columns of the
    lines are 200 and 32 is inferred.

    References
    ----------
    Jiang, Kong, Fu: Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS Estimation, IEEE Trans.
    Big Data, 2017, section 6.1. Hays, Efros: IM2GPS, CVPR 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.features import LowLevelFeatures
    >>> images = [np.full((30, 40, 3), value, dtype=np.uint8) for value in (0, 100, 200)]
    >>> features = LowLevelFeatures(blocks=["color", "tiny5"]).fit(images)
    >>> features.transform(images).shape
    (3, 859)
    >>> features.block_slices_
    {'tiny5': slice(0, 75, None), 'color': slice(75, 859, None)}
    >>> features.get_feature_names_out()[[0, -1]]
    array(['tiny5_0', 'color_783'], dtype=object)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "blocks": [StrOptions({"all", *LOW_LEVEL_WIDTHS}), list, tuple],
        "image_size": [Interval(Integral, 16, None, closed="left"), None],
        "on_error": [StrOptions({"raise", "nan"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "tiny_color_space": [StrOptions({"lab", "rgb"})],
        "lab": [StrOptions(set(LAB_KINDS))],
        "texton_dictionary": ["array-like", StrOptions({BLUE_MARBLE}), None],
        "texton_stride": [Interval(Integral, 1, None, closed="left"), None],
        "reduced_decoding": ["boolean"],
        "precision": [StrOptions({"fast", "exact"})],
    }

    def __init__(
        self,
        blocks: Any = "all",
        *,
        image_size: int | None = 400,
        on_error: Any = "raise",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
        tiny_color_space: Any = "lab",
        lab: Any = "linear",
        texton_dictionary: Any = None,
        texton_stride: int | None = None,
        reduced_decoding: bool = True,
        precision: Any = "fast",
    ) -> None:
        self.blocks = blocks
        self.image_size = image_size
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.tiny_color_space = tiny_color_space
        self.lab = lab
        self.texton_dictionary = texton_dictionary
        self.texton_stride = texton_stride
        self.reduced_decoding = reduced_decoding
        self.precision = precision

    def fit(self, X: Any, y: Any = None) -> LowLevelFeatures:
        """Learn the texton dictionary from a sample of the images.

        Parameters
        ----------
        X : collection of images
            Whatever `skgeo.images.check_images` takes: a list of paths, arrays, PIL images, bytes
            or file objects of any sizes, a Series of paths, an array of shape (n, H, W, 3), or an
            iterator of images.
        y : None
            Ignored.

        Returns
        -------
        LowLevelFeatures
            The fitted transformer.

        Raises
        ------
        ImageError
            If a sampled image cannot be read and ``on_error`` is "raise", or if none can.
        ValueError
            If a parameter is wrong, or X is no collection of images.
        """
        self._validate_params()
        if self._learns():
            self.texton_dictionary_: npt.NDArray[np.float32] | None = self._learn_dictionary(X)
            self.block_slices_ = self._slices()
            return self
        if not is_single_pass(X):
            check_images(X)
        return self._adopt()

    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """Describe images.

        Parameters
        ----------
        X : collection of images
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_images, n_columns)
            float32. Rows of NaN for images that could not be read, if ``on_error`` is "nan".

        Raises
        ------
        ImageError
            If an image cannot be read and ``on_error`` is "raise".
        ValueError
            If X is no collection of images.
        """
        check_is_fitted(self)
        # Without fit there is nothing to learn. A clone, so that transform changes nothing here.
        fitted = self if hasattr(self, "block_slices_") else clone(self)._adopt()
        n_images = None
        if not is_single_pass(X):
            X = check_images(X)
            n_images = len(X)
        settings = Settings(
            blocks=tuple(fitted.block_slices_),
            image_size=self.image_size,
            tiny_color_space=self.tiny_color_space,
            lab=self.lab,
            precision=self.precision,
            texton_stride=self.texton_stride,
            dictionary=fitted.texton_dictionary_,
        )
        outcomes = map_images(
            partial(describe_image, settings=settings),
            enumerate(X) if n_images is None else ((i, X[i]) for i in range(n_images)),
            total=n_images,
            min_side=self._min_side(),
            on_error=self.on_error,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            desc="features",
        )
        rows, failures = stack_rows(outcomes, fitted._n_features_out, n_images)
        if len(rows) == 0:
            raise ValueError("X holds 0 images; at least 1 is needed.")
        failures.warn(len(rows), "are rows of NaN")
        return rows

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Learn the texton dictionary, then describe the same images.

        Parameters
        ----------
        X : collection of images
            As in `fit`. The items of an iterator are kept in a list.
        y : None
            Ignored.
        **fit_params : dict
            None are known.

        Returns
        -------
        ndarray of shape (n_images, n_columns)
            float32.
        """
        if is_single_pass(X):
            X = check_images(X)
        return super().fit_transform(X, y, **fit_params)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Name the columns.

        Parameters
        ----------
        input_features : None
            Ignored: images have no columns.

        Returns
        -------
        ndarray of str
            "tiny5_0" to "gist_599".
        """
        check_is_fitted(self)
        names = [
            f"{name}_{column}"
            for name, block in (getattr(self, "block_slices_", None) or self._slices()).items()
            for column in range(block.stop - block.start)
        ]
        return np.array(names, dtype=object)

    @property
    def _n_features_out(self) -> int:
        return max(block.stop for block in self.block_slices_.values())

    def _learns(self) -> bool:
        """Whether fit has anything to learn."""
        return self.texton_dictionary is None and "texture" in self._chosen_blocks()

    def _adopt(self) -> LowLevelFeatures:
        """Set the fitted attributes when they follow from the parameters."""
        self._validate_params()
        slices = self._slices()
        given = "texture" in slices
        self.texton_dictionary_ = load_dictionary(self.texton_dictionary) if given else None
        self.block_slices_ = slices
        return self

    def _slices(self) -> dict[str, slice]:
        return consecutive_slices({name: LOW_LEVEL_WIDTHS[name] for name in self._chosen_blocks()})

    def _chosen_blocks(self) -> list[str]:
        """Names of the blocks to compute, in the order of the paper."""
        if isinstance(self.blocks, str):
            chosen = list(LOW_LEVEL_WIDTHS) if self.blocks == "all" else [self.blocks]
        else:
            chosen = list(self.blocks)
        wrong = [name for name in chosen if name not in LOW_LEVEL_WIDTHS]
        if wrong or not chosen or len(set(chosen)) < len(chosen):
            raise ValueError(
                f"blocks={self.blocks!r}; expected 'all' or different names out of "
                f"{list(LOW_LEVEL_WIDTHS)}."
            )
        return [name for name in LOW_LEVEL_WIDTHS if name in chosen]

    def _min_side(self) -> int | None:
        return self.image_size if self.reduced_decoding else None

    def _learn_dictionary(self, X: Any) -> npt.NDArray[np.float32]:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if is_single_pass(X):
            sample, _ = reservoir(X, SAMPLE_IMAGES, seed)
        else:
            X = check_images(X)
            drawn, _ = reservoir(range(len(X)), SAMPLE_IMAGES, seed)
            sample = [(index, X[index]) for index, _ in drawn]
        if not sample:
            raise ValueError("X holds 0 images; at least 1 is needed.")
        n_pixels = -(-SAMPLE_PIXELS // len(sample))
        outcomes = map_images(
            partial(sample_responses, image_size=self.image_size, n_pixels=n_pixels, seed=seed),
            sample,
            total=len(sample),
            min_side=self._min_side(),
            on_error=self.on_error,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            desc="texton sample",
        )
        failures, responses = Failures(), []
        for outcome in outcomes:
            if outcome.value is None:
                failures.add(outcome)
            else:
                responses.append(outcome.value)
        if not responses:
            raise ValueError(
                "no image could be read to learn textons from. "
                f"The first: {' '.join(failures.first)}"
            )
        failures.warn(len(sample), "were left out of the sample for the textons")
        # One thread, so that sums are taken in the same order on every run.
        with single_threaded():
            return learn_textons(np.hstack(responses), seed=seed)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        try:
            tags.requires_fit = self._learns()
        except (TypeError, ValueError):
            # Wrong blocks: fit and transform will say so.
            tags.requires_fit = True
        return tags
