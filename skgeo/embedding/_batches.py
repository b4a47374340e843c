"""Batches of anchors with sampled partners, gathered with array operations.

Each step takes anchors uniformly and, for each, a few partners from its row of P and of Q.
A sampled pair is weighted by the length of its row, so that the mean over steps is the mean over
all pairs: the gradient is unbiased however unequal the rows are. Batches of whole POIs are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
from torch import Tensor

from ._objective import Crowd, PairSample, PairSum

IntArray = npt.NDArray[np.int64]


class Batch(NamedTuple):
    """What the objective must know of the rows of a batch: anchors first, then partners."""

    n_anchors: int
    same_area: PairSample | PairSum
    easy_confusing: PairSample | PairSum
    crowd: Crowd | None = None


class Places(NamedTuple):
    """Where rows are: their POI, and their unit vector where POIs can be too near to compare."""

    labels: npt.NDArray[Any]
    positions: npt.NDArray[np.float32] | None = None
    min_chord: float = 0.0


class PairGraph:
    """A directed graph of pairs in compressed rows, ready to be sampled.

    Parameters
    ----------
    graph : sparse array of shape (n, n)
        A non-zero entry (s, t) is a pair.
    k : int or None
        Pairs count 1 / (n k), as Eq. (4) prints it; None: 1 / number of pairs, which keeps the
        term's weight when POIs are too small for k partners.
    rows : ndarray of int or None
        Only pairs with both ends among these rows are kept, and only these rows are counted
        as n; None means all.
    """

    def __init__(self, graph: Any, k: int | None, rows: IntArray | None = None) -> None:
        graph = sp.csr_array(graph)
        self.size = graph.shape[0]
        counts = np.diff(graph.indptr)
        keep = np.ones(len(graph.indices), dtype=bool)
        self.n = self.size
        if rows is not None:
            inside = np.zeros(self.size, dtype=bool)
            inside[rows] = True
            keep = inside[graph.indices] & np.repeat(inside, counts)
            self.n = len(rows)
        self.indices: IntArray = graph.indices[keep].astype(np.int64)
        ends = np.concatenate([[0], np.cumsum(keep)])
        self.indptr: IntArray = ends[graph.indptr].astype(np.int64)
        n_pairs = len(self.indices)
        #: What one pair counts in the term.
        self.unit = 0.0 if n_pairs == 0 else 1.0 / (n_pairs if k is None else self.n * k)

    def sample(
        self, anchors: IntArray, n_partners: int, rng: np.random.Generator
    ) -> tuple[IntArray, IntArray, npt.NDArray[np.float32]]:
        """Draw partners with replacement: positions among the anchors, partners, weights.

        Anchors without partners are left out; they add nothing to the term.
        """
        counts = self.indptr[anchors + 1] - self.indptr[anchors]
        position = np.flatnonzero(counts)
        counts = counts[position]
        draws = rng.random((len(position), n_partners))
        offsets = np.minimum((draws * counts[:, None]).astype(np.int64), counts[:, None] - 1)
        partners = self.indices[self.indptr[anchors[position], None] + offsets]
        # An anchor stands for n / n_anchors photos and a draw for counts / n_partners pairs.
        weight = counts * (self.unit * self.n / (len(anchors) * n_partners))
        return (
            np.repeat(position, n_partners),
            partners.ravel(),
            np.repeat(weight, n_partners).astype(np.float32),
        )

    def all_pairs(self) -> tuple[IntArray, IntArray]:
        """Both ends of every pair."""
        return np.repeat(np.arange(self.size), np.diff(self.indptr)), self.indices

    def pair_sum(self, rows: IntArray, device: str) -> PairSum:
        """The whole graph over some rows, renumbered, as the objective takes it."""
        number = np.full(self.size, -1)
        number[rows] = np.arange(len(rows))
        s, t = (number[end] for end in self.all_pairs())
        degree = np.bincount(s, minlength=len(rows)) + np.bincount(t, minlength=len(rows))
        graph = torch.sparse_coo_tensor(
            torch.as_tensor(np.stack([s, t])),
            torch.ones(len(s)),
            (len(rows), len(rows)),
            check_invariants=False,
        )
        return PairSum(
            graph.coalesce().to(device),
            torch.as_tensor(degree, dtype=torch.float32, device=device),
            self.unit,
        )


class PairData(torch.utils.data.Dataset[Tensor]):
    """Rows to learn from, their pairs, and which rows may be anchors.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        float32, in memory or memory-mapped.
    same_area, easy_confusing : PairGraph or None
        None: a plain auto-encoder.
    anchors : ndarray of int or None
        The rows that are anchors; None means all.
    places : Places or None
        Where all rows are, for an objective that compares whole batches.
    """

    def __init__(
        self,
        X: npt.NDArray[np.float32],
        same_area: PairGraph | None = None,
        easy_confusing: PairGraph | None = None,
        anchors: IntArray | None = None,
        places: Places | None = None,
    ) -> None:
        self.places = places
        self.X = X
        self.same_area = same_area
        self.easy_confusing = easy_confusing
        self.anchors = np.arange(len(X)) if anchors is None else np.asarray(anchors)

    def __len__(self) -> int:
        return len(self.anchors)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(np.array(self.X[self.anchors[index]]))


class SampledBatches:
    """One epoch: every anchor once, in random order, each with its sampled partners.

    Parameters
    ----------
    dataset : PairData
        The rows and pairs.
    batch_size : int
        Anchors in a batch.
    n_partners : int
        Partners drawn for each anchor from its row of P, and as many from its row of Q.
    rng : numpy Generator
        Drives the order and the draws.
    device : str
        Where the pair samples are put (the rows are moved by skorch).
    """

    def __init__(
        self,
        dataset: PairData,
        batch_size: int,
        n_partners: int,
        rng: np.random.Generator,
        device: str,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.n_partners = n_partners
        self.rng = rng
        self.device = device

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Batch]]:
        order = self.dataset.anchors[self.rng.permutation(len(self.dataset))]
        for start in range(0, len(order), self.batch_size):
            yield self.gather(order[start : start + self.batch_size])

    def gather(self, anchors: IntArray) -> tuple[Tensor, Batch]:
        """Rows and pair samples of one batch."""
        rows = [anchors]
        origins = [np.arange(len(anchors))]
        samples: list[PairSample] = []
        n_rows = len(anchors)
        for graph in (self.dataset.same_area, self.dataset.easy_confusing):
            if graph is None:
                samples.append(self._sample(np.empty(0, int), np.empty(0, int), np.empty(0)))
                continue
            position, partners, weight = graph.sample(anchors, self.n_partners, self.rng)
            ends = np.arange(n_rows, n_rows + len(partners))
            samples.append(self._sample(position, ends, weight))
            rows.append(partners)
            origins.append(position)
            n_rows += len(partners)
        taken = np.concatenate(rows)
        data = torch.from_numpy(np.ascontiguousarray(self.dataset.X[taken]))
        crowd = self._crowd(taken, np.concatenate(origins)) if self.dataset.places else None
        return data, Batch(len(anchors), samples[0], samples[1], crowd)

    def _crowd(self, rows: IntArray, origins: IntArray) -> Crowd:
        places = self.dataset.places
        assert places is not None
        positions = None
        if places.positions is not None:
            positions = torch.as_tensor(places.positions[rows], device=self.device)
        return Crowd(
            torch.as_tensor(origins, device=self.device),
            torch.as_tensor(places.labels[rows], device=self.device),
            positions,
            places.min_chord,
        )

    def _sample(self, s: IntArray, t: IntArray, weight: npt.NDArray[Any]) -> PairSample:
        return PairSample(
            torch.as_tensor(s, device=self.device),
            torch.as_tensor(t, device=self.device),
            torch.as_tensor(weight, dtype=torch.float32, device=self.device),
        )


class FullBatch:
    """One epoch of one step: all rows and all pairs, as Algorithm 1 of the paper has it.

    Takes the parameters of `SampledBatches` and ignores what a full batch has no use for.
    """

    def __init__(self, dataset: PairData, device: str, **_: Any) -> None:
        rows = dataset.anchors
        self.rows = torch.from_numpy(np.ascontiguousarray(dataset.X[rows], dtype=np.float32))
        empty = PairGraph(sp.csr_array((len(dataset.X), len(dataset.X))), 1)
        same_area, easy_confusing = (
            (graph or empty).pair_sum(rows, device)
            for graph in (dataset.same_area, dataset.easy_confusing)
        )
        self.batch = Batch(len(rows), same_area, easy_confusing)

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[tuple[Tensor, Batch]]:
        yield self.rows, self.batch
