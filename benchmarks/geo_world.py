"""The embeddings on the synthetic world, each tuned by the same search.

Every system gets the same photographs and the same number of candidates, its default the first;
they are chosen on a quarter of the training photographs, the best is fitted on all of them and
judged on the test photographs, which nobody saw. Figures are percent within 25 km, 1-NN.

    python benchmarks/geo_world.py [--seeds 0 1 2] [--candidates 4] [--systems LF AE DGAE ...]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ParameterSampler
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from triplet_network import TripletNetwork

from skgeo.cluster import POIMeanShift
from skgeo.datasets import make_geo_world
from skgeo.embedding import DGAETransformer, MarginalFisherTransformer
from skgeo.metrics import great_circle_threshold_score
from skgeo.neighbors import KNNGeoRegressor
from skgeo.pairs import InconsistencyPairs


class Identity(TransformerMixin, BaseEstimator):
    """The vectors themselves."""

    def fit(self, X: np.ndarray, y: Any = None) -> Identity:
        """Nothing to learn."""
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """The vectors."""
        return X


class Triplets(BaseEstimator):
    """The semi-hard triplet network on standardised vectors."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def fit(self, X: np.ndarray, y: np.ndarray) -> Triplets:
        """Train."""
        self.mean, self.scale = X.mean(axis=0), X.std()
        self.network = TripletNetwork(**self.settings).fit((X - self.mean) / self.scale, y)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Encode."""
        return self.network.transform((X - self.mean) / self.scale)


class Unit(BaseEstimator):
    """Another embedding, its output brought to unit length."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def fit(self, X: np.ndarray, y: Any = None) -> Unit:
        """Fit the other."""
        self.inner.fit(X, y)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Encode and normalise."""
        Z = self.inner.transform(X)
        return Z / np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), 1e-12)


#: Name: how to build it from parameters and a seed, and the space of its parameters.
SYSTEMS: dict[str, tuple[Callable[..., Any], dict[str, list[Any]]]] = {
    "LF": (lambda **_: Identity(), {}),
    "AE": (
        lambda seed, **p: DGAETransformer(alpha=0, beta=0, random_state=seed, **p),
        {
            "hidden_layer_sizes": [(128, 64, 32), (256,), (256, 128)],
            "output": ["auto", "code"],
            "max_epochs": [25, 50],
        },
    ),
    "PCA-whitening": (
        lambda seed, n, unit: (Unit if unit else lambda e: e)(
            PCA(n, whiten=True, random_state=seed)
        ),
        {"n": [60, 30, 90, 120], "unit": [True, False]},
    ),
    "LDA": (
        lambda shrinkage, unit, **_: (Unit if unit else lambda e: e)(
            LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage)
        ),
        {"shrinkage": ["auto", 0.01, 0.1, 0.3], "unit": [False, True]},
    ),
    "NCA": (
        lambda seed, **p: NeighborhoodComponentsAnalysis(max_iter=60, random_state=seed, **p),
        {"n_components": [32, 16, 63], "init": ["lda", "pca"]},
    ),
    "triplet": (
        lambda seed, **p: Triplets(seed=seed, **p),
        {
            "hidden": [256, 0, 512],
            "margin": [0.2, 0.5],
            "dropout": [0.2, 0.0],
            "n_components": [120, 60],
        },
    ),
    "linear layer": (
        lambda shrinkage, k2, **_: MarginalFisherTransformer(
            shrinkage, pairs=InconsistencyPairs(k1=5, k2=k2)
        ),
        {"shrinkage": [0.3, 0.1, 0.03], "k2": [50, 20]},
    ),
    "DGAE": (
        lambda seed, **p: DGAETransformer(random_state=seed, **p),
        {
            "hidden_layer_sizes": [(256,), (256, 128), (128, 64, 32)],
            "temperature": [0.4, 0.2],
            "max_epochs": [25, 40],
        },
    ),
}

#: Those that take labels where the others take places.
LABELS = {"LDA", "NCA", "triplet"}


def candidates(space: dict[str, list[Any]], count: int) -> list[dict[str, Any]]:
    """The first value of each parameter, then others at random."""
    first = {name: values[0] for name, values in space.items()}
    found = [first]
    size = int(np.prod([len(v) for v in space.values()])) if space else 1
    for other in ParameterSampler(space, min(size, 4 * count), random_state=0) if space else []:
        if other not in found and len(found) < count:
            found.append(other)
    return found


def accuracy(Z: np.ndarray, y: np.ndarray, gallery: np.ndarray, queries: np.ndarray) -> float:
    """Percent of the queries within 25 km of their nearest neighbour in the gallery."""
    found = KNNGeoRegressor().fit(Z[gallery], y[gallery]).predict(Z[queries])
    return 100.0 * great_circle_threshold_score(y[queries], found, threshold_km=25.0)


def judge(name: str, seed: int, n_candidates: int) -> tuple[float, float, float, dict[str, Any]]:
    """Default and tuned accuracy on the test photographs, seconds of one fit, the parameters."""
    world = make_geo_world(random_state=seed)
    X, y = world.data, world.coordinates
    rng = np.random.default_rng(seed)
    part = rng.random(len(X))
    test, train = np.flatnonzero(part >= 0.75), np.flatnonzero(part < 0.75)
    validation = rng.random(len(train)) < 0.25
    labels = np.zeros(len(X), dtype=int)
    labels[train] = POIMeanShift(1.0, metric="haversine").fit_predict(y[train])
    build, space = SYSTEMS[name]

    def score(parameters: dict[str, Any], gallery: np.ndarray, queries: np.ndarray) -> float:
        target = labels if name in LABELS else y
        fitted = build(seed=seed, **parameters).fit(X[gallery], target[gallery])
        return accuracy(fitted.transform(X), y, gallery, queries)

    found = candidates(space, n_candidates)
    scores = [score(p, train[~validation], train[validation]) for p in found]
    best = found[int(np.argmax(scores))]
    start = time.process_time()
    default = score(found[0], train, test)
    seconds = time.process_time() - start
    return default, default if best == found[0] else score(best, train, test), seconds, best


def main() -> None:
    """Print one line a system."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--candidates", type=int, default=4)
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(f"{'percent within 25 km':22}{'default':>9}{'tuned':>9}{'CPU s':>8}   tuned, by seed")
    for name in args.systems:
        rows = [judge(name, seed, args.candidates) for seed in args.seeds]
        default, tuned, seconds = (np.mean([row[i] for row in rows]) for i in range(3))
        by_seed = " ".join(f"{row[1]:.1f}" for row in rows)
        print(f"{name:22}{default:9.1f}{tuned:9.1f}{seconds:8.1f}   {by_seed}", flush=True)


if __name__ == "__main__":
    main()
