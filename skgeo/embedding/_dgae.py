"""The deep geo-constrained auto-encoder as a scikit-learn transformer."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .._checkpoint import whole_job
from .._validation import check_places
from ..pairs import InconsistencyPairs
from ..pairs._areas import known_areas
from ._diagnose import warn_of_failures
from ._evaluate import weighted_terms
from ._fitting import fit_network, open_checkpoint
from ._join import NewPhotosMixin
from ._pack import pack, unpack
from ._photos import Photos, pair_photos
from ._ranks import check_same, common_seed, from_first, is_first
from ._replay import Memory, remember
from ._representation import BlockStatistics, first_block, represent
from ._settings import CONSTRAINTS, resolve_settings
from ._start import find_pairs

Float32Array = npt.NDArray[np.float32]


class DGAETransformer(
    NewPhotosMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Deep geo-constrained auto-encoder (DGAE).

    An auto-encoder whose codes are pulled together for the same-area pairs P (same place,
    different look) and pushed apart for the easy-confusing pairs Q (different place, same look).
    By default it starts where `MarginalFisherTransformer` ends and its layers correct that
    layer's output; they are kept only if they locate held-out places better.

    Feed it vectors whose blocks are scaled (`BlockScaler`), best with rows of unit length.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(2000, 1000, 500)
        Widths of the M encoder layers; the decoder mirrors them.
    alpha : float, default=3.0
        Weight of the same-area term, at least 0. Every term of the scale-free objective is of
        order 1: search a logarithmic grid around 1. The paper's own objective uses 0.2.
    beta : float, default=3.0
        Weight of the easy-confusing term, at least 0. The paper's own objective uses 0.1.
        With ``alpha=beta=0`` this is a plain auto-encoder and ``y`` is not used.
    gamma : float, default=1e-6
        Weight of the sum of squared weights, biases excluded. The paper's 0.05 drives every
        weight to zero.
    objective : {"scale-free", "paper"}, default="scale-free"
        "paper" is Eq. (4) to the letter, trained by Algorithm 1. "scale-free" divides the
        reconstruction error by the variance of the input, compares codes that are centred and
        of unit length, and bounds the easy-confusing term.
    pairs : InconsistencyPairs or None, default=None
        Finds P and Q; a clone is fitted, on the principal components of ``X`` where the linear
        layer is the start. None means ``InconsistencyPairs(k1=5, k2=50)`` there, and
        ``InconsistencyPairs()`` elsewhere.
    init : {"auto", "marginal-fisher", "pretrain"} or MarginalFisherTransformer, default="auto"
        "marginal-fisher" (or the layer itself, a clone of which is fitted): the network stands on
        the linear layer. With z the layer's unit vectors, its input, the code is ``normalize(z +
        U_1 h_1 + ... + U_M h_M)``; every U is zero at the start. "pretrain": layers of their own
        on ``X``, pre-trained greedily. "auto": "marginal-fisher" where there are pairs to start
        from, else, and for "paper", "pretrain".
    output : {"auto", "concat", "hidden", "code"}, default="auto"
        "code" is the last hidden layer (section 4.4 of the paper), or the code above; "hidden"
        all hidden layers, then the code above; "concat" the input as well (sections 3 and 5).
        Blocks are centred and divided by their root-mean-square norm on the training photos,
        but unit codes are left as they are. "auto": "code" on the linear layer, else "concat".
    activation : {"auto", "sigmoid", "tanh", "relu", "identity"}, default="auto"
        Of the hidden layers: tanh, and sigmoid for "paper". Under "paper" the subtracted term
        needs a bounded one.
    output_activation : {"auto", "sigmoid", "tanh", "relu", "identity"}, default="auto"
        Of the reconstruction: identity, and sigmoid for "paper" (Eq. 2), which can only
        reconstruct inputs between 0 and 1.
    pair_loss : {"auto", "multi-similarity", "hinge"}, default="auto"
        Form of the pair terms of the scale-free objective. "multi-similarity" [2]_ (auto): soft
        thresholds at ``margin``, and photos of all other places in the batch count as
        easy-confusing, the nearest most, unless they are nearer than the pairs'
        ``min_distance_km``. "hinge": squared distances of P, ``max(0, margin - d^2)`` of Q, whose
        sampled gradient is unbiased.
    margin : float or "auto", default="auto"
        Squared distance between unit codes (0 to 4) beyond which an easy-confusing pair is
        left alone, 1 for the hinge; under "multi-similarity", 0.5, where both terms begin to
        count.
    temperature : float, default=0.4
        How soft the thresholds of "multi-similarity" are, in squared distance.
    pair_weighting : {"auto", "pairs", "k"}, default="auto"
        A pair counts 1 / (number of pairs), or 1 / (N k) as in Eq. (4), which weakens the term
        where POIs have fewer than k photos. "auto": "pairs", and "k" for "paper".
    noise : float or "auto", default="auto"
        Standard deviation of Gaussian noise on the input of the hidden layers in training [3]_,
        in units of the root mean square of the standardised input; what is reconstructed, and
        what the layers correct, has none. "auto": 0.5 on the linear layer, whose pairs the network
        would otherwise learn by heart, and 0 elsewhere.
    pretrain_epochs : int or "auto", default="auto"
        Epochs of greedy pre-training of each layer: 8, and 0 for "paper" and on the linear layer.
    max_epochs : int, default=25
        Epochs of training at most (T of Algorithm 1).
    batch_size : int, "full" or "auto", default="auto"
        Anchors in a step: 128, and "full" (all photos and all pairs in one step) for "paper".
    n_partners : int, default=1
        Partners sampled from P, and from Q, for each anchor and step. The gradient is unbiased
        for any number.
    learning_rate : float or "auto", default="auto"
        Peak of a one-cycle schedule of Adam, 1e-3; for "paper" the first rate of gradient
        descent, 0.1, multiplied by 0.95 after each step.
    tol : float, None or "auto", default="auto"
        Stop when the objective changes by less from one epoch to the next (epsilon of
        Algorithm 1): None (never), and 1e-6 for "paper".
    early_stopping : bool or "auto", default="auto"
        Hold out a part of the photos, score the network on it after each epoch and keep the
        best weights: True, and False for "paper". Whole POIs are held out where ``y`` holds
        locations (a part of each area where it holds labels, single rows for the plain
        auto-encoder). The score is the mean logarithm of the 1-NN error, between one and eight
        times the extent of a POI and among all photos that are farther than one extent away; the
        share of correct areas; or the reconstruction. On the linear layer its untouched output is
        kept unless it is beaten by a standard error, for which up to ten parts are held out in
        turn: until 1,000 photos have been, and three parts or 5,000 photos. Fewer than 50 photos
        are all used for training, or keep the linear layer as it is.
    validation_fraction : float, default=0.1
        Share of the photos to hold out.
    refit : bool, default=True
        On the linear layer: train once more, on all photos, for the best number of epochs.
        Otherwise the network and its linear layer never see the held-out photos.
    n_iter_no_change : int, default=10
        Epochs without a better score after which training stops. A one-cycle schedule finds
        its best weights late: be patient.
    replay_size : int or None, default=2000
        Training photos remembered for `partial_fit`; None means all.
    finetune_epochs : int, default=5
        Epochs over the new photos in `partial_fit`.
    device : str, default="cpu"
        Torch device used in `fit` and `transform`. The fitted network is kept in main memory
        and loads where there is no such device; `transform` then runs on the CPU.
    precision : {"float32", "bfloat16"}, default="float32"
        Of the matrix products in training. bfloat16 is for GPUs; weights and objective stay
        float32.
    callbacks : list of (str, skorch callback) or None, default=None
        Passed to skorch during the main phase of training. No part of the trained network: where
        a stored model is loaded and their module is missing they are left out, with a warning.
    checkpoint : path-like or None, default=None
        Folder for the state of a `fit` that is not done: the pairs found so far, and the training
        after the last epochs. The same `fit` called again, after a kill or Ctrl-C, goes on from
        there and ends with the same bits as in one go. Files are named after the content of X,
        ``y``, the parameters and the versions of the libraries, so that any number of fits may
        share the folder; those of a fit go when it ends. Needs a ``random_state``. States are
        written no more often than costs 2 percent of the time. The state of `callbacks` is not
        kept.
    random_state : int, RandomState instance or None, default=None
        Drives initial weights, batches, partners and the held-out part.
    verbose : int, default=0
        Above 0: a progress bar with the losses.

    Attributes
    ----------
    module_ : torch.nn.Module
        The trained network, on the CPU.
    pairs_ : InconsistencyPairs or None
        The fitted pairs; None for the plain auto-encoder.
    history_ : list of dict
        For each epoch: phase, epoch, "reconstruction", "same_area", "easy_confusing",
        "weight_decay" (unweighted), "total", learning_rate, seconds and, with early stopping,
        validation_score.
    n_iter_ : int
        Epochs of the main phase; where several parts are held out, of the longest.
    best_epoch_ : int
        The epoch that the weights are of; 0 for the linear layer untouched.
    init_ : {"marginal-fisher", "pretrain"}
        Which start was taken.
    linear_ : MarginalFisherTransformer or None
        The fitted linear layer of the start.
    n_features_in_ : int
        Number of columns seen in `fit`.

    See Also
    --------
    MarginalFisherTransformer : The linear layer of the same pair terms, in closed form.

    References
    ----------
    .. [1] S. Jiang, Y. Kong, Y. Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
       Estimation", IEEE Trans. Big Data, 2017, Eqs. (1) to (10) and Algorithm 1.
    .. [2] X. Wang, X. Han, W. Huang, D. Dong, M. Scott, "Multi-Similarity Loss with General Pair
       Weighting for Deep Metric Learning", CVPR 2019.
    .. [3] P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio, P.-A. Manzagol, "Stacked Denoising
       Autoencoders", Journal of Machine Learning Research 11, 2010.

    Examples
    --------
    >>> from skgeo.datasets import make_geo_world
    >>> from skgeo.embedding import DGAETransformer
    >>> world = make_geo_world(random_state=0)
    >>> dgae = DGAETransformer((32,), max_epochs=3, random_state=0)
    >>> dgae.fit_transform(world.data, world.coordinates).shape
    (2560, 120)
    >>> dgae.init_, sorted(dgae.history_[-1])[:3]
    ('marginal-fisher', ['easy_confusing', 'epoch', 'learning_rate'])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (2000, 1000, 500),
        *,
        alpha: float = 3.0,
        beta: float = 3.0,
        gamma: float = 1e-6,
        objective: str = "scale-free",
        pairs: Any = None,
        init: Any = "auto",
        output: str = "auto",
        activation: str = "auto",
        output_activation: str = "auto",
        pair_loss: str = "auto",
        margin: float | str = "auto",
        temperature: float = 0.4,
        pair_weighting: str = "auto",
        noise: float | str = "auto",
        pretrain_epochs: int | str = "auto",
        max_epochs: int = 25,
        batch_size: int | str = "auto",
        n_partners: int = 1,
        learning_rate: float | str = "auto",
        tol: float | str | None = "auto",
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        refit: bool = True,
        n_iter_no_change: int = 10,
        replay_size: int | None = 2000,
        finetune_epochs: int = 5,
        device: str = "cpu",
        precision: str = "float32",
        callbacks: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.objective = objective
        self.pairs = pairs
        self.init = init
        self.output = output
        self.activation = activation
        self.output_activation = output_activation
        self.pair_loss = pair_loss
        self.margin = margin
        self.temperature = temperature
        self.pair_weighting = pair_weighting
        self.noise = noise
        self.pretrain_epochs = pretrain_epochs
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.n_partners = n_partners
        self.learning_rate = learning_rate
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.refit = refit
        self.n_iter_no_change = n_iter_no_change
        self.replay_size = replay_size
        self.finetune_epochs = finetune_epochs
        self.device = device
        self.precision = precision
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the pairs and train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Vectors of the training photos; used as float32.
        y : array-like of shape (n_samples, 2) or (n_samples,), or None
            Locations in degrees, or labels of known areas. None trains the plain auto-encoder.

        Returns
        -------
        self
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter or ``y`` is out of range, the device cannot be used, or ``checkpoint``
            cannot be written to or comes without a ``random_state``.
        FloatingPointError
            If training diverges.
        KeyboardInterrupt
            If Ctrl-C stops the training: says what is kept, and where. A transformer that was
            fitted before stays as it was.

        Warns
        -----
        ConvergenceWarning
            If the codes collapse, units saturate or nothing is reconstructed.
        """
        self._validate_params()
        if self.checkpoint is not None and self.random_state is None:
            raise ValueError(
                "checkpoint needs a random_state: with None every fit is another training, and "
                "none could go on from what another left. Pass an integer."
            )
        with whole_job(self.checkpoint):
            return self._fit(X, y)

    def _fit(self, X: Any, y: Any) -> Self:
        settings = resolve_settings(self)
        X = validate_data(self, X, dtype=np.float32, ensure_min_samples=2)
        places = None if y is None else check_places(y, n_samples=len(X))
        check_same("X", X)
        if places is not None:
            check_same("y", np.asarray(y))
        seed = common_seed(self.random_state)
        rng = np.random.default_rng(seed)
        pairs: Any = None
        layer = None
        photos = Photos(X, None, None, None)
        if places is not None and settings.geo_constrained:
            layer, pairs = from_first(find_pairs, self.init, self.objective, self.pairs, X, y)
            settings = resolve_settings(self, linear_start=layer is not None)
            photos = pair_photos(X, pairs, places.coordinates)
        elif not isinstance(self.init, str) or self.init == "marginal-fisher":
            raise ValueError(
                f"init={self.init!r} needs pairs to start from: pass y, and alpha or beta above 0."
            )
        checkpoint = open_checkpoint(self.checkpoint, photos, settings, seed, rng, layer)
        fitted = fit_network(photos, settings, seed, rng, layer, checkpoint)
        self.module_, self._variance, self.history_, self.best_epoch_ = fitted
        self.init_ = "pretrain" if layer is None else "marginal-fisher"
        self.pairs_ = pairs
        self.linear_ = layer
        main = [row["epoch"] for row in self.history_ if row["phase"].startswith("train")]
        self.n_iter_ = max(main, default=0)
        self._output = settings.output
        self._statistics = BlockStatistics(self.module_, X, settings.output)
        self._classes = None if places is None or pairs is None else places.classes
        self._areas = None
        if photos.labels is not None and photos.coordinates is not None:
            self._areas = known_areas(pairs.poi_, photos.labels)
        seen = Memory(X, photos.labels, photos.coordinates, len(X))
        self._memory = remember(None, seen, self.replay_size, rng)
        if checkpoint is not None:
            checkpoint.finish()
        if is_first():
            warn_of_failures(
                self.module_, photos, settings, self.history_, self.best_epoch_, self._variance
            )
        return self

    def transform(self, X: Any) -> Float32Array:
        """Encode photos.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Vectors with the columns seen in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float32
            The blocks that ``output`` names, side by side. On the CPU they are computed in
            float64 and rounded once, so that a row does not depend on the others.
        """
        check_is_fitted(self, "module_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        network = self.module_
        if not self.device.startswith("cpu"):
            # Trained elsewhere, perhaps: where the device is missing the CPU gives the answer.
            with contextlib.suppress(RuntimeError, AssertionError):
                network = copy.deepcopy(network).to(self.device)
        return represent(network, self._statistics, X, self._output)

    def objective_terms(
        self, X: Any, same_area: Any = None, easy_confusing: Any = None
    ) -> dict[str, float]:
        """Objective of the fitted network on any data, from all pairs, in float64.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Vectors.
        same_area, easy_confusing : sparse array of shape (n_samples, n_samples) or None
            P and Q over the rows of ``X``; a non-zero entry is a pair. None: no pairs.

        Returns
        -------
        dict
            The unweighted terms "reconstruction", "same_area", "easy_confusing" and
            "weight_decay", and "total", their sum weighted by 1, alpha, beta and gamma. Under
            objective="paper" the easy-confusing term is the mean squared distance that Eq. (4)
            subtracts; under "scale-free" it is the hinge, which is added.
        """
        check_is_fitted(self, "module_")
        X = validate_data(self, X, dtype=np.float32, reset=False)
        pairs = InconsistencyPairs() if self.pairs_ is None else self.pairs_
        return weighted_terms(
            self.module_,
            X,
            same_area,
            easy_confusing,
            settings=resolve_settings(self, linear_start=self.linear_ is not None),
            variance=self._variance,
            centre=self._statistics.means[-1],
            k=(int(pairs.k1), int(pairs.k2)),
        )

    @property
    def _n_features_out(self) -> int:
        sizes = self.module_.block_sizes
        return int(sum(sizes[first_block(self._output, len(sizes) - 1) :]))

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        state["callbacks"] = pack(state["callbacks"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "callbacks": unpack(state["callbacks"])})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
