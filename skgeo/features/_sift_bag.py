"""The estimator that describes photographs by the visual words at their interest points."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._threads import single_threaded
from .._validation import Interval, StrOptions
from ..images import check_images, is_single_pass
from ..images._map_images import Failures, map_images
from ._blocks import consecutive_slices
from ._describe import reservoir
from ._sift_rows import Encoder, encode, sample_descriptors, stack_sparse
from ._vocabulary import inverse_document_frequency, learn_tree, learn_words

__all__ = ["SIFTBagOfWords"]


class SIFTBagOfWords(TransformerMixin, BaseEstimator):
    """Describe photographs by how often visual words occur at their interest points.

    SIFT describes the surroundings of an image's interest points, whatever their size and
    direction; k-means over the descriptors of many photographs gives a vocabulary, and an image
    becomes the histogram of its words. There are two vocabularies. In the *small* one a descriptor
    counts for several words that are near it (soft assignment), which makes similar scenes
    similar. In the *large* one it counts for one word, and words that occur in few images weigh
    more (tf-idf), which finds the same object again.

    Parameters
    ----------
    vocabulary : {"both", "small", "large"}, default="both"
        Which histograms to make. "small" gives a dense array, "large" and "both" a sparse
        array in CSR format; "both" has the columns of the small vocabulary first.
    n_words_small : int, default=1000
        Columns of the small vocabulary.
    n_words_large : int, default=10000
        Columns of the large vocabulary.
    n_nearest : int, default=3
        In the small vocabulary a descriptor counts for this many nearest words.
    sigma : float, default=0.154
        The shares of these words are in proportion to ``exp(-d**2 / (2 * sigma**2))``, where d is
        the Euclidean distance of word and descriptor, which has length 1.
    max_keypoints : int, default=500
        At most this many interest points of an image, those of the highest contrast, count.
    image_size : int or None, default=400
        Images are shrunk, never enlarged, to this longest side. None keeps their size.
    sample_images : int, default=500
        ``fit`` learns from this many images at most, drawn at random.
    sample_size : int, default=200000
        ``fit`` learns from about this many descriptors at most, equally many of each image that
        was drawn. Twenty or more for each word of the large vocabulary are advisable.
    reduced_decoding : bool, default=True
        Decode large JPEG files at a half, quarter or eighth of their size, as long as the shorter
        side keeps ``image_size`` pixels.
    on_error : {"raise", "nan"}, default="raise"
        What to do with an image that cannot be read: raise an error that names its index and path,
        or return a row of NaN and warn once how many there were.
    n_jobs : int or None, default=None
        Images are described in parallel; the result does not depend on it. BLAS and OpenCV are
        held to one thread each in the meantime.
    random_state : int, RandomState instance or None, default=None
        Draws the images and the descriptors from which ``fit`` learns, and starts the clustering.
    verbose : int, default=0
        Above 0 shows a progress bar.

    Attributes
    ----------
    block_slices_ : dict of str to slice
        The columns of "small" and "large", those that there are.
    small_words_ : ndarray of shape (n_words, 128) or None
        The small vocabulary; None if it was not asked for.
    large_words_ : ndarray of shape (n_words, 128) or None
        The large vocabulary; None if it was not asked for.
    idf_ : ndarray of shape (n_words,) or None
        The weights of the words of the large vocabulary,
        ``log((1 + n) / (1 + n_with_the_word)) + 1`` over the n images that were drawn.
    n_descriptors_ : int
        The number of descriptors from which the vocabularies were learned.

    See Also
    --------
    LowLevelFeatures : Describes colours, textures and layout.
    root_sift : Describes one image's interest points.

    Notes
    -----
    A row of the small vocabulary sums to 1; a row of the large one has length 1, so that its
    inner products are cosines. An image without interest points, such as one of a single colour
    or of a few pixels a side, has a row of zeros.

    If the sample holds fewer different descriptors than there are words to be learned, these are
    the words, and the columns that are left are zero.

    The large vocabulary is a tree of two levels: a descriptor is compared with about the square
    root of the number of words, then with the words of the nearest cell. The word that is found is
    near but need not be the nearest.

    `sklearn` cannot put sparse output into a DataFrame; ``set_output`` needs
    ``vocabulary="small"``.

    References
    ----------
    Hays, Efros: Large-scale image geolocalization, in Multimodal Location Estimation of Videos and
    Images, Springer 2015 (NFLL in the paper's tables: Jiang, Kong, Fu, IEEE Trans. Big Data, 2017,
    section 6). Sivic, Zisserman: Video Google, ICCV 2003 (tf-idf). Philbin, Chum, Isard, Sivic,
    Zisserman: Lost in quantization, CVPR 2008 (soft assignment; 3 words, and sigma 79 for
    descriptors of length 512, which is 0.154 of the length). Nistér, Stewénius: Scalable
    recognition with a vocabulary tree, CVPR 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.features import SIFTBagOfWords
    >>> rng = np.random.default_rng(0)
    >>> images = rng.integers(0, 256, (4, 15, 20, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    >>> bag = SIFTBagOfWords(n_words_small=20, n_words_large=100, random_state=0)
    >>> X = bag.fit_transform(images)
    >>> X.shape, X.format
    ((4, 120), 'csr')
    >>> bag.block_slices_
    {'small': slice(0, 20, None), 'large': slice(20, 120, None)}
    >>> bag.get_feature_names_out()[[0, 20]]
    array(['sift_small_0', 'sift_large_0'], dtype=object)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "vocabulary": [StrOptions({"both", "small", "large"})],
        "n_words_small": [Interval(Integral, 1, None, closed="left")],
        "n_words_large": [Interval(Integral, 1, None, closed="left")],
        "n_nearest": [Interval(Integral, 1, None, closed="left")],
        "sigma": [Interval(Real, 0.0, None, closed="neither")],
        "max_keypoints": [Interval(Integral, 1, None, closed="left")],
        "image_size": [Interval(Integral, 16, None, closed="left"), None],
        "sample_images": [Interval(Integral, 1, None, closed="left")],
        "sample_size": [Interval(Integral, 1, None, closed="left")],
        "reduced_decoding": ["boolean"],
        "on_error": [StrOptions({"raise", "nan"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        vocabulary: Any = "both",
        *,
        n_words_small: int = 1000,
        n_words_large: int = 10_000,
        n_nearest: int = 3,
        sigma: float = 0.154,
        max_keypoints: int = 500,
        image_size: int | None = 400,
        sample_images: int = 500,
        sample_size: int = 200_000,
        reduced_decoding: bool = True,
        on_error: Any = "raise",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.vocabulary = vocabulary
        self.n_words_small = n_words_small
        self.n_words_large = n_words_large
        self.n_nearest = n_nearest
        self.sigma = sigma
        self.max_keypoints = max_keypoints
        self.image_size = image_size
        self.sample_images = sample_images
        self.sample_size = sample_size
        self.reduced_decoding = reduced_decoding
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> SIFTBagOfWords:
        """Learn the vocabularies from a sample of the images.

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
        SIFTBagOfWords
            The fitted transformer.

        Raises
        ------
        ImageError
            If a sampled image cannot be read and ``on_error`` is "raise".
        ValueError
            If a parameter is wrong, X is no collection of images, or no sampled image can be read
            and has an interest point.
        """
        self._validate_params()
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        descriptors, images, n_images = self._sample(X, seed)
        small, tree, idf = None, None, None
        # One thread, so that sums are taken in the same order on every run.
        with single_threaded():
            if self.vocabulary != "large":
                small = learn_words(descriptors, self.n_words_small, seed=seed)
            if self.vocabulary != "small":
                tree = learn_tree(descriptors, self.n_words_large, seed=seed)
                idf = inverse_document_frequency(descriptors, images, n_images, tree)
        self.small_words_ = small
        self.large_words_ = None if tree is None else tree.words
        self.idf_ = idf
        self.n_descriptors_ = len(descriptors)
        self._tree = tree
        widths = {}
        if small is not None:
            widths["small"] = self.n_words_small
        if tree is not None:
            widths["large"] = self.n_words_large
        self.block_slices_ = consecutive_slices(widths)
        return self

    def transform(self, X: Any) -> Any:
        """Describe images.

        Parameters
        ----------
        X : collection of images
            As in `fit`.

        Returns
        -------
        ndarray or csr_array of shape (n_images, n_columns)
            float32; an ndarray if ``vocabulary`` is "small". Rows of NaN for images that could not
            be read, if ``on_error`` is "nan".

        Raises
        ------
        ImageError
            If an image cannot be read and ``on_error`` is "raise".
        ValueError
            If X is no collection of images.
        """
        check_is_fitted(self)
        n_images = None
        if not is_single_pass(X):
            X = check_images(X)
            n_images = len(X)
        large = self.block_slices_.get("large")
        encoder = Encoder(
            self.max_keypoints,
            self.image_size,
            self.n_nearest,
            self.sigma,
            self.small_words_,
            self._tree,
            self.idf_,
            large.start if large is not None else 0,
        )
        outcomes = map_images(
            partial(encode, encoder=encoder),
            enumerate(X) if n_images is None else ((i, X[i]) for i in range(n_images)),
            total=n_images,
            min_side=self._min_side(),
            on_error=self.on_error,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            desc="visual words",
        )
        rows, failures = stack_sparse(outcomes, self._n_features_out)
        if rows.shape[0] == 0:
            raise ValueError("X holds 0 images; at least 1 is needed.")
        failures.warn(rows.shape[0], "are rows of NaN")
        return rows if large is not None else rows.toarray()

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Learn the vocabularies, then describe the same images.

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
        ndarray or csr_array of shape (n_images, n_columns)
            As `transform` returns it.
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
            "sift_small_0", ..., "sift_large_0", and so on.
        """
        check_is_fitted(self)
        names = [
            f"sift_{name}_{word}"
            for name, block in self.block_slices_.items()
            for word in range(block.stop - block.start)
        ]
        return np.array(names, dtype=object)

    @property
    def _n_features_out(self) -> int:
        return max(block.stop for block in self.block_slices_.values())

    def _min_side(self) -> int | None:
        return self.image_size if self.reduced_decoding else None

    def _sample(
        self, X: Any, seed: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp], int]:
        """Descriptors of some images, the number of the image of each, and how many images."""
        if is_single_pass(X):
            sample, _ = reservoir(X, self.sample_images, seed)
        else:
            X = check_images(X)
            drawn, _ = reservoir(range(len(X)), self.sample_images, seed)
            sample = [(index, X[index]) for index, _ in drawn]
        if not sample:
            raise ValueError("X holds 0 images; at least 1 is needed.")
        function = partial(
            sample_descriptors,
            max_keypoints=self.max_keypoints,
            image_size=self.image_size,
            n_descriptors=-(-self.sample_size // len(sample)),
            seed=seed,
        )
        outcomes = map_images(
            function,
            sample,
            total=len(sample),
            min_side=self._min_side(),
            on_error=self.on_error,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            desc="SIFT sample",
        )
        failures, found = Failures(), []
        for outcome in outcomes:
            if outcome.value is None:
                failures.add(outcome)
            else:
                found.append(outcome.value)
        counts = [len(descriptors) for descriptors in found]
        if not found or not sum(counts):
            why = f" The first: {' '.join(failures.first)}" if failures.count else ""
            raise ValueError(
                f"there is nothing to learn visual words from: of {len(sample)} images "
                f"{failures.count} could not be read and {len(found)} have no interest point, as "
                f"images of one colour or of a few pixels have none.{why}"
            )
        failures.warn(len(sample), "were left out of the sample for the vocabulary")
        return np.concatenate(found), np.repeat(np.arange(len(found)), counts), len(found)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags
