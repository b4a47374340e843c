"""The embeddings that are compared: what a sceptic would put between features and neighbours.

Each system has fixed parameters and a space of others. Tuning draws the same number of
candidates from every space, the fixed parameters being the first.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from embedding_data import ImageSet
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ParameterSampler
from triplet_network import TripletNetwork

from skgeo.cluster import POIMeanShift
from skgeo.embedding import DGAETransformer, MarginalFisherTransformer
from skgeo.features import BlockScaler
from skgeo.pairs import InconsistencyPairs

HISTOGRAMS = ("color", "texture", "line")
N_COMPONENTS = 500
#: From so many photos on, networks take fewer epochs: there are more steps in each.
LARGE = 10_000
LARGE_STEPS = {"max_epochs": 10, "replay_size": 0}
#: POIs of so many times the set's smallest threshold; 1 is fixed.
RADII = [0.5, 1.0, 1.5, 2.0, 4.0]


class Inputs:
    """The rows of one split, in the forms that the systems take. Nothing sees the test rows.

    ``store`` is the beginning of the paths where principal components are kept.
    """

    def __init__(
        self,
        images: ImageSet,
        kind: str,
        train: np.ndarray,
        test: np.ndarray,
        radius_km: float,
        store: Path,
    ) -> None:
        self.store = store
        self.X = images.features[kind]
        self.kind = kind
        self.train, self.test = train, test
        self.places = images.coordinates[train]
        self.groups = images.groups[train]
        self.radius_km = radius_km

    @functools.cache  # noqa: B019 - lives as long as the split
    def scaled(self, hellinger: bool, unit: bool) -> tuple[np.ndarray, np.ndarray]:
        """Blocks scaled on the training rows: training and test rows."""
        low_level = self.kind == "lowlevel"
        scaler = BlockScaler(
            "low-level" if low_level else None,
            hellinger=HISTOGRAMS if low_level and hellinger else (),
            normalize="l2" if unit else None,
        ).fit(self.X[self.train])
        return scaler.transform(self.X[self.train]), scaler.transform(self.X[self.test])

    @functools.cache  # noqa: B019
    def reduced(self, unit: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Principal components of the scaled rows, and the standard deviations of them."""
        path = self.store.with_name(f"{self.store.name}-{'unit' if unit else 'plain'}.npz")
        if path.exists():
            with np.load(path) as stored:
                return stored["train"], stored["test"], stored["deviations"]
        train, test, deviations = self._reduce(unit)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, train=train, test=test, deviations=deviations)
        return train, test, deviations

    def _reduce(self, unit: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        train, test = self.scaled(True, unit)
        mean = train.mean(axis=0, dtype=np.float64)
        centred = train - mean
        wide = centred.shape[1] > len(centred)
        gram = centred @ centred.T if wide else centred.T @ centred
        size = len(gram)
        values, vectors = scipy.linalg.eigh(
            gram, subset_by_index=[max(0, size - N_COMPONENTS), size - 1]
        )
        values, vectors = values[::-1], vectors[:, ::-1]
        kept = values > 1e-9 * values[0]
        values, vectors = values[kept], vectors[:, kept]
        axes = centred.T @ vectors / np.sqrt(values) if wide else vectors
        parts = [(part @ axes).astype(np.float32) for part in (centred, test - mean)]
        return parts[0], parts[1], np.sqrt(values / len(train))


class Task(NamedTuple):
    """Rows to learn from and rows to encode after it, by position in the training part.

    ``queries`` is None for the test rows of the split.
    """

    inputs: Inputs
    gallery: np.ndarray
    queries: np.ndarray | None
    seed: int

    def rows(self, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pick gallery and queries."""
        return train[self.gallery], test if self.queries is None else train[self.queries]

    def reduced(self, unit: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Principal components of gallery and queries."""
        return self.rows(*self.inputs.reduced(unit)[:2])

    @property
    def places(self) -> np.ndarray:
        """Coordinates of the gallery."""
        return self.inputs.places[self.gallery]

    def poi(self, radius: float) -> POIMeanShift:
        """POIs of the set's scale, the same for every system that needs labels or pairs."""
        return POIMeanShift(radius * self.inputs.radius_km, metric="haversine")


Embedding = tuple[np.ndarray, np.ndarray]


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; rows of zeros stay."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0.0, norms, 1.0)


def features_alone(
    task: Task, *, hellinger: bool, unit: bool, tiny: float = 1.0, root: bool = False
) -> Embedding:
    """LF: scaled features. ``tiny`` weighs the two thumbnails, ``root`` is a square root."""
    gallery, queries = task.rows(*task.inputs.scaled(hellinger, unit))
    if task.inputs.kind == "lowlevel" and tiny != 1.0:
        gallery, queries = gallery.copy(), queries.copy()
        for rows in (gallery, queries):
            rows[:, : 75 + 768] *= tiny
    if root:
        return np.sqrt(np.abs(gallery)) * np.sign(gallery), np.sqrt(np.abs(queries)) * np.sign(
            queries
        )
    return gallery, queries


def whitened(task: Task, *, n_components: int, cosine: bool) -> Embedding:
    """Principal components of unit variance."""
    gallery, queries = task.reduced(unit=cosine)
    deviations = task.inputs.reduced(cosine)[2][:n_components].astype(np.float32)
    gallery, queries = (rows[:, :n_components] / deviations for rows in (gallery, queries))
    return (unit_rows(gallery), unit_rows(queries)) if cosine else (gallery, queries)


def discriminant(task: Task, *, shrinkage: float, radius: float, cosine: bool) -> Embedding:
    """Shrinkage LDA on POI labels."""
    gallery, queries = task.reduced(unit=cosine)
    labels = task.poi(radius).fit(task.places).labels_
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage)
    with warnings.catch_warnings():
        # POIs of one photo: they count among the class means alone.
        warnings.filterwarnings("ignore", message="Only one sample available")
        model.fit(gallery.astype(np.float64), labels)
    gallery, queries = model.transform(gallery), model.transform(queries)
    return (unit_rows(gallery), unit_rows(queries)) if cosine else (gallery, queries)


def triplet(task: Task, *, radius: float, **parameters: Any) -> Embedding:
    """A network trained on semi-hard triplets of POI labels."""
    gallery, queries = task.reduced()
    labels = task.poi(radius).fit(task.places).labels_
    network = TripletNetwork(**parameters, seed=task.seed).fit(gallery, labels)
    return network.transform(gallery), network.transform(queries)


def pairs_of(task: Task, radius: float, k1: int, k2: int, method: str) -> InconsistencyPairs:
    """P and Q within and between POIs of the set's scale."""
    return InconsistencyPairs(k1, k2, method=method, poi=task.poi(radius), random_state=task.seed)


def linear(
    task: Task, *, radius: float = 1.0, k1: int = 5, k2: int = 50, **parameters: Any
) -> Embedding:
    """The linear geo-constrained layer."""
    gallery, queries = task.reduced()
    pairs = pairs_of(task, radius, k1, k2, "exact")
    model = MarginalFisherTransformer(pairs=pairs, **parameters).fit(gallery, task.places)
    return model.transform(gallery), model.transform(queries)


def auto_encoder(
    task: Task,
    *,
    radius: float = 1.0,
    k1: int = 5,
    k2: int = 50,
    method: str = "exact",
    **parameters: Any,
) -> Embedding:
    """DGAE, or the plain auto-encoder where alpha and beta are 0."""
    gallery, queries = task.reduced()
    if len(gallery) >= LARGE:
        parameters = {**LARGE_STEPS, **parameters}
    model = DGAETransformer(
        pairs=pairs_of(task, radius, k1, k2, method), random_state=task.seed, **parameters
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(gallery, task.places)
    return model.transform(gallery), model.transform(queries)


class System(NamedTuple):
    """A way to embed, its fixed parameters, and the space that tuning draws from.

    ``searched_as`` names a system of the same parameters whose search serves for this one, too.
    """

    embed: Callable[..., Embedding]
    fixed: dict[str, Any]
    space: dict[str, list[Any]]
    searched_as: str | None = None

    def candidates(self, n: int) -> list[dict[str, Any]]:
        """The fixed parameters, other radii of POIs, then draws: the same ones at every call."""
        drawn: list[dict[str, Any]] = [self.fixed]
        # What a user would try first: it decides how many pairs there are.
        radii = self.space.get("radius", [])
        drawn += [{**self.fixed, "radius": r} for r in radii if r != 1.0]
        # A small space may repeat the fixed parameters: draw some more.
        size = int(np.prod([len(values) for values in self.space.values()]))
        for draw in ParameterSampler(self.space, min(2 * n, size), random_state=0):
            candidate = {**self.fixed, **draw}
            if candidate not in drawn:
                drawn.append(candidate)
        return drawn[:n]


NETWORK = {"hidden_layer_sizes": (512, 256)}
SIZES = [(512, 256), (256,), (256, 128), (200, 100, 50)]
AE_SPACE = {
    "hidden_layer_sizes": SIZES,
    "max_epochs": [15, 25, 50],
    "output": ["concat", "hidden", "code"],
    "gamma": [1e-6, 1e-5, 1e-4],
}
PAIR_SPACE = {"radius": RADII, "k1": [3, 5, 10, 20], "k2": [10, 20, 50, 100]}
DGAE_SPACE = {
    **PAIR_SPACE,
    "hidden_layer_sizes": SIZES,
    "alpha": [1.0, 3.0, 10.0],
    "beta": [1.0, 3.0, 10.0],
    "temperature": [0.1, 0.2, 0.4],
}
WHITE_SPACE = {"n_components": [25, 50, 75, 100, 150, 200, 300, 500]}
LDA_SPACE = {"shrinkage": [0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.97], "radius": RADII}

SYSTEMS = {
    "LF": System(
        features_alone,
        {"hellinger": False, "unit": False},
        {
            "hellinger": [False, True],
            "unit": [False, True],
            "tiny": [1.0, 0.5],
            "root": [False, True],
        },
    ),
    "LF cos": System(
        features_alone,
        {"hellinger": True, "unit": True},
        {"tiny": [1.0, 0.7, 0.5, 0.25], "root": [False, True]},
    ),
    "PCA-white": System(whitened, {"n_components": 100, "cosine": False}, WHITE_SPACE),
    "PCA-white cos": System(whitened, {"n_components": 100, "cosine": True}, WHITE_SPACE),
    "LDA": System(discriminant, {"shrinkage": 0.7, "radius": 1.0, "cosine": False}, LDA_SPACE),
    "LDA cos": System(discriminant, {"shrinkage": 0.7, "radius": 1.0, "cosine": True}, LDA_SPACE),
    "triplet": System(
        triplet,
        {"radius": 1.0},
        {
            "radius": RADII,
            "hidden": [0, 256, 512],
            "margin": [0.1, 0.2, 0.4],
            "dropout": [0.0, 0.2, 0.5],
            "learning_rate": [3e-4, 1e-3, 3e-3],
            "epochs": [15, 30, 60],
        },
    ),
    "linear": System(
        linear,
        {},
        {**PAIR_SPACE, "shrinkage": [0.05, 0.1, 0.2, 0.3, 0.5, 0.7], "normalize": ["l2", "sqrt"]},
    ),
    "AE": System(
        auto_encoder,
        {**NETWORK, "alpha": 0.0, "beta": 0.0},
        AE_SPACE,
    ),
    "DGAE": System(auto_encoder, NETWORK, DGAE_SPACE),
    "fDGAE": System(auto_encoder, {**NETWORK, "method": "anchor"}, {}, "DGAE"),
}
