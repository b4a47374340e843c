"""What could make the linear layer better: variants beside the closed form, in the same folds.

Accuracy of 1-NN averaged over a set's thresholds; five folds that divide no group of photos, each
photo a query once a repetition. Differences from the layer with uniform weights (P: 5 nearest, Q:
50 nearest, shrinkage 0.3, exponent 0.5), in points, with paired 95 percent intervals clustered by
area; then the same on the two halves of the areas apart, so that what is chosen on one is judged
on the other. "soft" is the layer with softmax weights, "chosen" with what it chooses by held-out
places, its default.

    python benchmarks/linear_variants.py [--sets sf mexico bluemarble] [--features lowlevel cnn]
                                         [--repetitions 5] [--data FOLDER] [--cache FOLDER]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from embedding_data import CACHE, SETS, ImageSet, deal, load
from threadpoolctl import threadpool_limits

from skgeo.cluster import POIMeanShift
from skgeo.embedding._fisher_axes import marginal_fisher_axes
from skgeo.embedding._linear_map import LinearProblem
from skgeo.embedding._map_choice import choose_map, map_choices
from skgeo.embedding._principal import principal_axes, project
from skgeo.embedding._scatter import pair_scatter, pair_sum
from skgeo.embedding._shrinkage import frobenius_shrinkage, likelihood_shrinkage
from skgeo.features import BlockScaler
from skgeo.features._blocks import resolve_blocks
from skgeo.metrics import great_circle_distance
from skgeo.pairs import InconsistencyPairs

BASE = "closed form"


def unit(rows: np.ndarray, power: float = 1.0) -> np.ndarray:
    """Rows divided by a power of their length."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) ** power


def balanced(*scatters: np.ndarray) -> np.ndarray:
    """Sum of scatters, each brought to trace 1."""
    return sum(scatter / np.trace(scatter) for scatter in scatters)


class Gallery:
    """Photos of a training part in principal components, with their pairs at full length."""

    def __init__(self, X: np.ndarray, places: np.ndarray, radius_km: float) -> None:
        self.places, self.radius_km = places, radius_km
        self.mean, self.axes = principal_axes(X, 500)
        self.reduced = project(X, self.mean, self.axes).astype(np.float64)
        self.pairs = self.find(self.reduced, 20, 100)
        self.labels = self.pairs.labels_

    def find(self, vectors: np.ndarray, k1: int = 5, k2: int = 50, **options) -> InconsistencyPairs:
        """P and Q on any vectors of the photos."""
        radius_km = options.pop("radius_km", self.radius_km)
        poi = POIMeanShift(radius_km, metric="haversine")
        pairs = InconsistencyPairs(k1, k2, poi=poi, method="exact", **options)
        return pairs.fit(vectors, self.places)

    def ends(self, graph: sp.csr_array, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First k pairs of each row: photos, partners and ranks."""
        lengths = np.diff(graph.indptr)
        s = np.repeat(np.arange(len(lengths)), lengths)
        rank = np.arange(graph.nnz) - graph.indptr[:-1][s]
        return s[rank < k], graph.indices[rank < k], rank[rank < k]

    def scatter(self, s: np.ndarray, t: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """Weighted mean over pairs of the outer products of differences."""
        n = len(self.reduced)
        weight = np.ones(len(s)) if weight is None else weight
        return pair_scatter(self.reduced, sp.csr_array((weight, (s, t)), shape=(n, n)))

    def found_scatters(self, pairs: InconsistencyPairs) -> list[np.ndarray]:
        """Scatters of the pairs of an estimator."""
        graphs = (pairs.same_area_, pairs.easy_confusing_)
        return [pair_scatter(self.reduced, graph) for graph in graphs]

    def problem(self, temperature: float) -> LinearProblem:
        """What the estimator solves, with 5 pairs of P and 50 of Q for each photo."""
        n, graphs = len(self.reduced), []
        for graph, k in ((self.pairs.same_area_, 5), (self.pairs.easy_confusing_, 50)):
            s, t, _ = self.ends(graph, k)
            graphs.append(sp.csr_array((np.ones(len(s)), (s, t)), shape=(n, n)))
        sums = tuple(pair_sum(self.reduced, graph) for graph in graphs)
        return LinearProblem(
            self.reduced, tuple(graphs), sums, self.labels, self.places, 0.3, temperature
        )

    def km(self, s: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Distance on Earth between the ends of pairs."""
        return great_circle_distance(self.places[s], self.places[t])


def solve(
    same: np.ndarray, confusing: np.ndarray, shrinkage: float = 0.3, power: float = 0.5
) -> np.ndarray:
    """The map of the linear layer, largest eigenvalue first; axes count by a power of theirs."""
    values, axes = marginal_fisher_axes(same, confusing, shrinkage)
    return axes * values**power


def maps(g: Gallery, wide_km: float) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each variant of the map by name."""
    all_p, all_q = g.pairs.same_area_, g.pairs.easy_confusing_
    (s1, t1, _), (s, t, rank) = g.ends(all_p, 5), g.ends(all_q, 50)
    same, confusing = g.scatter(s1, t1), g.scatter(s, t)
    first = solve(same, confusing)
    yield BASE, first
    n = len(g.reduced)
    p = sp.csr_array((np.ones(len(s1)), (s1, t1)), shape=(n, n))
    for name, rule in (("auto", likelihood_shrinkage), ("ledoit-wolf", frobenius_shrinkage)):
        yield f"shrinkage {name}", solve(same, confusing, rule(g.reduced, p, g.labels))
    for rho in (0.05, 0.1, 0.15, 0.2, 0.4, 0.5, 0.7):
        yield f"shrinkage {rho}", solve(same, confusing, rho)
    for k in (3, 10, 20):
        yield f"k1 = {k}", solve(g.scatter(*g.ends(all_p, k)[:2]), confusing)
    for k in (10, 20, 100):
        yield f"k2 = {k}", solve(same, g.scatter(*g.ends(all_q, k)[:2]))
    # Pairs weighted by distance or rank in place of 0 and 1.
    far, near = g.km(s, t) / g.radius_km, g.km(s1, t1) / g.radius_km
    yield "Q by log(1 + km / r)", solve(same, g.scatter(s, t, np.log1p(far)))
    yield "Q by 1 - exp(-km / r)", solve(same, g.scatter(s, t, 1e-9 - np.expm1(-far)))
    yield "Q by 1 - exp(-km / 5r)", solve(same, g.scatter(s, t, 1e-9 - np.expm1(-far / 5)))
    yield "P by exp(-km / r)", solve(g.scatter(s1, t1, np.exp(-near)), confusing)
    yield "Q by 1 / sqrt(rank)", solve(same, g.scatter(s, t, 1 / np.sqrt(1 + rank)))
    members = np.bincount(g.labels)[g.labels]
    yield "P by 1 / sqrt(POI size)", solve(g.scatter(s1, t1, members[s1] ** -0.5), confusing)
    apart = g.find(g.reduced, min_distance_km=2 * g.radius_km)
    yield "Q beyond 2r", solve(same, g.found_scatters(apart)[1])
    # POIs of two scales.
    wide = g.found_scatters(g.find(g.reduced, radius_km=wide_km))
    if all(np.trace(scatter) > 0 for scatter in wide):
        yield "wide POIs", solve(*wide)
        both = (balanced(a, b) for a, b in zip((same, confusing), wide, strict=True))
        yield "POIs of two scales", solve(*both)
    total = g.reduced.T @ g.reduced
    yield "half Q, half all photos", solve(same, balanced(confusing, total))
    yield "all photos in place of Q", solve(same, total)
    for power in (0.75, 1.0):
        yield f"power {power}", solve(same, confusing, power=power)
        yield f"all photos, power {power}", solve(same, total, power=power)
    # Softmax weights over all photos, and what the estimator chooses.
    for temperature in (0.1, 0.2, 0.4):
        problem = g.problem(temperature)
        values, axes = problem.axes("softmax")
        for power in (0.5, 0.75, 1.0):
            yield f"soft, T = {temperature}, power {power}", axes * values**power
        if temperature == 0.2:
            nowhere = problem._replace(coordinates=None)
            values, axes = nowhere.axes("softmax")
            yield "soft, P within POIs alone", axes * values**0.75
            choices = map_choices("auto", "auto")
            chosen = choose_map(problem, choices, n_components=None, power=1.0)[0]
            values, axes = problem.axes(chosen.weighting)
            yield "chosen", axes * values**chosen.exponent
    # Pairs found anew in the learned space.
    z = unit(g.reduced @ first)
    again = g.found_scatters(g.find(z))
    yield "pairs found anew", solve(*again)
    yield "P found anew", solve(again[0], confusing)
    yield "Q found anew", solve(same, again[1])
    yield "old and new pairs", solve(balanced(same, again[0]), balanced(confusing, again[1]))
    # One round of soft weights, as of log-sum-exp: the nearer in the learned space, the more.
    for temperature in (0.1, 0.3):
        weights = []
        for a, b in ((s1, t1), (s, t)):
            w = np.exp(-np.square(z[a] - z[b]).sum(axis=1) / (2 * temperature))
            weights.append(w / np.maximum(np.bincount(a, w, n)[a], 1e-300) + 1e-12)
        soft = g.scatter(s, t, weights[1])
        yield f"soft Q, T = {temperature}", solve(same, soft)
        yield f"soft P and Q, T = {temperature}", solve(g.scatter(s1, t1, weights[0]), soft)


def block_weights(X: np.ndarray, g: Gallery, slices: list[slice], power: float) -> np.ndarray:
    """A weight for each block: how much farther Q is apart in it than P."""
    weights = np.empty(X.shape[1])
    ends = g.ends(g.pairs.same_area_, 5)[:2], g.ends(g.pairs.easy_confusing_, 50)[:2]
    for block in slices:
        p, q = (np.square(X[s, block] - X[t, block]).sum(axis=1).mean() for s, t in ends)
        weights[block] = (q / p) ** power
    return weights


def fold_errors(images: ImageSet, key: str, name: str, train: np.ndarray, test: np.ndarray) -> dict:
    """Errors in km of each variant on the queries of one fold."""
    low = key == "lowlevel"
    scaler = BlockScaler(
        "low-level" if low else None,
        hellinger=("color", "texture", "line") if low else (),
        normalize="l2",
    )
    X = images.features[key]
    X_train, X_test = scaler.fit_transform(X[train]), scaler.transform(X[test])
    places = images.coordinates
    radius_km, wide_km = SETS[name].thresholds_km
    g = Gallery(X_train, places[train], radius_km)
    queries = project(X_test, g.mean, g.axes).astype(np.float64)

    def errors(gallery: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        squares = np.square(gallery).sum(axis=1)
        nearest = (squares - 2 * wanted @ gallery.T).argmin(axis=1)
        return great_circle_distance(places[test], places[train][nearest])

    out = {"LF cos": errors(unit(g.reduced), unit(queries))}
    for variant, v in maps(g, wide_km):
        out[variant] = errors(unit(g.reduced @ v), unit(queries @ v))
        if variant == BASE:
            for power, label in ((0.0, "normalize None"), (0.5, "normalize sqrt")):
                out[label] = errors(unit(g.reduced @ v, power), unit(queries @ v, power))
            for r in (100, 200):
                out[f"n_components {r}"] = errors(
                    unit(g.reduced @ v[:, :r]), unit(queries @ v[:, :r])
                )
    for power in (0.5, 1.0) if low else ():
        w = block_weights(X_train, g, list(resolve_blocks("low-level", X.shape[1]).values()), power)
        weighted = Gallery(unit(X_train * w), places[train], radius_km)
        pairs = weighted.pairs
        v = solve(
            weighted.scatter(*weighted.ends(pairs.same_area_, 5)[:2]),
            weighted.scatter(*weighted.ends(pairs.easy_confusing_, 50)[:2]),
        )
        wanted = project(unit(X_test * w), weighted.mean, weighted.axes)
        out[f"block weights ** {power}"] = errors(unit(weighted.reduced @ v), unit(wanted @ v))
    return out


def report(name: str, key: str, errors: dict[str, np.ndarray], areas: np.ndarray) -> None:
    """Print differences from the layer as it is, best first."""
    km = SETS[name].thresholds_km
    hits = {
        k: 100 * np.mean([(e <= r).mean(axis=0) for r in km], axis=0) for k, e in errors.items()
    }
    numbers = np.unique(areas, return_inverse=True)[1]
    n_areas = numbers.max() + 1
    half = (np.random.default_rng(7).random(n_areas) < 0.5)[numbers]
    print(f"\n{name}, {key}: {len(areas)} photos, {n_areas} areas, {BASE}: {hits[BASE].mean():.1f}")
    print(f"{'':<26}{'points':>8}{'+-':>7}{'half':>8}{'half':>8}")
    for variant in sorted(hits, key=lambda k: -hits[k].mean()):
        gain = hits[variant] - hits[BASE]
        residual = np.bincount(numbers, gain - gain.mean(), n_areas)
        width = 1.96 * np.sqrt(np.square(residual).sum() * n_areas / (n_areas - 1)) / len(areas)
        print(
            f"{variant:<26}{gain.mean():>+8.2f}{width:>7.2f}{gain[half].mean():>+8.2f}"
            f"{gain[~half].mean():>+8.2f}{' *' if abs(gain.mean()) > width > 0 else ''}",
            flush=True,
        )


def main() -> None:
    """Run the sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=["sf", "mexico", "bluemarble"])
    parser.add_argument("--features", nargs="+", default=["lowlevel", "cnn"])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=CACHE)
    options = parser.parse_args()
    with threadpool_limits(1):
        for name in options.sets:
            images = load(name, options.data, options.cache)
            for key in options.features:
                errors: dict[str, np.ndarray] = {}
                for repetition in range(options.repetitions):
                    fold = deal(images.groups, 5, seed=repetition)
                    for f in range(5):
                        train, test = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
                        for variant, km in fold_errors(images, key, name, train, test).items():
                            shape = (options.repetitions, len(fold))
                            errors.setdefault(variant, np.empty(shape))[repetition, test] = km
                report(name, key, errors, images.areas)


if __name__ == "__main__":
    main()
