"""What is known of the training photos: rows, pairs and places."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._geodesy import km_to_chord, to_unit_vectors
from ._batches import PairData, PairGraph, Places
from ._settings import Settings

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]


class PairGraphs(NamedTuple):
    """P and Q of some rows, and the k1 and k2 that Eq. (4) divides by."""

    same_area: Any
    easy_confusing: Any
    k1: int
    k2: int

    def sampled(
        self, settings: Settings, rows: IntArray | None = None
    ) -> tuple[PairGraph, PairGraph]:
        """The graphs as batches are drawn from them, restricted to some rows."""
        by_k = settings.pair_weighting == "k"
        return (
            PairGraph(self.same_area, self.k1 if by_k else None, rows),
            PairGraph(self.easy_confusing, self.k2 if by_k else None, rows),
        )


class Photos(NamedTuple):
    """What is known of the training photos; everything but the rows may be None."""

    X: Float32Array
    graphs: PairGraphs | None
    labels: IntArray | None
    coordinates: npt.NDArray[np.float64] | None
    min_distance_km: float = 0.0

    def data(
        self, inputs: Float32Array, settings: Settings, rows: IntArray | None = None
    ) -> PairData:
        """The rows ``inputs`` with their pairs, as batches are drawn from them."""
        same, easy = (None, None) if self.graphs is None else self.graphs.sampled(settings, rows)
        places = None
        if self.labels is not None and settings.pair_loss == "multi-similarity":
            places = Places(self.labels)
            if self.coordinates is not None and self.min_distance_km > 0:
                positions = to_unit_vectors(self.coordinates).astype(np.float32)
                places = Places(self.labels, positions, float(km_to_chord(self.min_distance_km)))
        return PairData(inputs, same, easy, rows, places)


def pair_photos(X: Float32Array, pairs: Any, coordinates: npt.NDArray[np.float64] | None) -> Photos:
    """Photos with the pairs that a fitted finder found among them."""
    graphs = PairGraphs(pairs.same_area_, pairs.easy_confusing_, int(pairs.k1), int(pairs.k2))
    labels = np.asarray(pairs.labels_, dtype=np.intp)
    return Photos(X, graphs, labels, coordinates, float(getattr(pairs, "min_distance_km", 0.0)))
