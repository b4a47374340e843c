"""New photos between two trainings of the auto-encoder: section 4.6 of the paper."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import validate_data

from .._validation import check_places
from ._finetune import finetune
from ._photos import Photos, pair_photos
from ._ranks import common_seed
from ._replay import KnownPlaces, Memory, join, number_places, remember
from ._settings import resolve_settings


class NewPhotosMixin:
    """`partial_fit` of `DGAETransformer`."""

    def partial_fit(self: Any, X: Any, y: Any = None) -> Any:
        """Let new photos join, between two full trainings (section 4.6 of the paper).

        Each new photo is assigned to the POI of its location, or opens a new one; its rows and
        columns of P and Q are computed against the photos remembered and the other new ones;
        and the network takes gradient steps on the new photos and as many remembered ones,
        which keeps it from forgetting. The first call is `fit`.

        The network changes: encode the gallery again. The normalisation of the output blocks
        stays that of `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Vectors of the new photos.
        y : array-like of shape (n_samples, 2) or (n_samples,), or None
            As in `fit`.

        Returns
        -------
        self
            The transformer.

        Raises
        ------
        ValueError
            If ``y`` is of another kind than in `fit`, or the POIs of `pairs` have neither centres
            and a bandwidth nor ``predict`` to assign a new photo by.
        """
        if not hasattr(self, "module_"):
            return self.fit(X, y)
        self._validate_params()
        settings = resolve_settings(self, linear_start=self.linear_ is not None)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        seed = common_seed(self.random_state)
        rng = np.random.default_rng([seed, self._memory.n_seen])
        new, classes, areas = Memory(X, None, None, len(X)), self._classes, self._areas
        if self.pairs_ is not None:
            if y is None:
                raise ValueError("y is None, but the network was trained with places: pass them.")
            places = check_places(y, n_samples=len(X))
            new, classes, areas = number_places(
                X, places, self._memory, self.pairs_.poi_, self._classes, self._areas
            )
        union = join(self._memory, new)
        photos = Photos(union.X, None, None, None)
        if self.pairs_ is not None and len(union.X) > 1:
            pairs = clone(self.pairs_).set_params(memory=None)
            if union.coordinates is None:
                pairs.fit(union.X, union.labels)
            else:
                pairs.set_params(poi=KnownPlaces(union.labels)).fit(union.X, union.coordinates)
            photos = pair_photos(union.X, pairs, union.coordinates)
        n_old = len(self._memory.X)
        replayed = rng.permutation(n_old)[: len(X)]
        # A copy learns: an interruption, or an error, leaves the transformer as it was.
        network = copy.deepcopy(self.module_)
        history = finetune(
            network,
            photos,
            np.concatenate([replayed, np.arange(n_old, len(union.X))]),
            self._statistics.means[-1],
            self._variance,
            settings,
            rng,
        )
        memory = remember(self._memory, new, self.replay_size, rng)
        self.module_, self.history_ = network, self.history_ + history
        self._classes, self._areas, self._memory = classes, areas, memory
        return self
