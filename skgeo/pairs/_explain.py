"""What fitted pairs can be asked, above all the partners of a photo as a table for people."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from .._geodesy import great_circle_km
from .._validation import check_photo_numbers
from ._graph import NeighborRows, PairGraph, row_numbers, take_rows


def explain_pairs(
    photos: npt.NDArray[np.int64],
    graph: PairGraph,
    areas: npt.NDArray[Any],
    coordinates: npt.NDArray[np.float64] | None,
) -> Any:
    """One row for each partner of each photo; see `InconsistencyPairs.explain`."""
    import pandas as pd

    tables = []
    for kind, rows in zip(PairGraph._fields, graph, strict=True):
        chosen = take_rows(rows, photos)
        position = row_numbers(chosen)
        photo, partner = photos[position], chosen.indices.astype(np.int64)
        here = np.full((len(partner), 2), np.nan)
        km = np.full(len(partner), np.nan)
        if coordinates is not None:
            here = coordinates[partner]
            km = great_circle_km(coordinates[photo], here)
        table = {
            "photo": photo,
            "kind": np.full(len(partner), kind, dtype=object),
            "rank": np.arange(len(partner)) - chosen.indptr[position],
            "index": partner,
            "distance": chosen.distances,
            "km": km,
            "latitude": here[:, 0],
            "longitude": here[:, 1],
            "area": areas[partner],
        }
        tables.append(pd.DataFrame(table).assign(position=position))
    # Photo by photo, in the order asked for; within each the same area first.
    both = pd.concat(tables).sort_values("position", kind="stable", ignore_index=True)
    return both.drop(columns="position")


class FittedPairs:
    """The part of `InconsistencyPairs` that reads and writes its fitted attributes."""

    labels_: npt.NDArray[np.intp]
    classes_: npt.NDArray[Any] | None
    coordinates_: npt.NDArray[np.float64] | None
    _photos: list[npt.NDArray[Any]] | None

    def stored_X(self) -> list[npt.NDArray[Any]]:
        """Give the vectors that are kept for `partial_fit` (``store_X``).

        Returns
        -------
        list of ndarray of shape (n_i, n_features)
            Few arrays, which hold all photos in their order. They are not copied, and memory maps
            stay memory maps: do not write to them.

        Raises
        ------
        ValueError
            If they were not kept.
        """
        check_is_fitted(self, "same_area_")
        if self._photos is None:
            raise ValueError(
                "The photos of fit were not kept (store_X=False), and new ones cannot be compared "
                "with them; set store_X=True before fit, or call partial_fit from the start."
            )
        return list(self._photos)

    def explain(self, index: Any) -> Any:
        """Tell the partners of photos: which, how alike, how far away.

        Parameters
        ----------
        index : int or sequence of int
            Numbers of photos, in the order of `fit` (and `partial_fit`).

        Returns
        -------
        pandas.DataFrame
            A row for each partner, photo by photo, same-area partners first, nearest first:
            ``photo``, ``kind`` ("same_area" or "easy_confusing"), ``rank`` from 0, ``index`` of the
            partner, ``distance`` in feature space, ``km`` on Earth between the two, ``latitude``,
            ``longitude`` and ``area`` of the partner. Where `fit` had labels instead of locations,
            ``km``, ``latitude`` and ``longitude`` are NaN, and ``area`` is the label.

        Raises
        ------
        ValueError
            If there is no such photo.

        See Also
        --------
        skgeo.plotting.PairsDisplay : The same as pictures.

        Examples
        --------
        >>> from skgeo.pairs import InconsistencyPairs
        >>> places = [[48.858, 2.294], [48.86, 2.29], [36.112, -115.173]]
        >>> pairs = InconsistencyPairs().fit([[0.0], [0.5], [0.1]], places)
        >>> pairs.explain(0)[["kind", "index", "distance", "km"]].round(1)
                     kind  index  distance      km
        0       same_area      1       0.5     0.4
        1  easy_confusing      2       0.1  8733.3
        """
        check_is_fitted(self, "same_area_")
        photos = check_photo_numbers(index, len(self.labels_))
        areas = self.labels_ if self.classes_ is None else self.classes_[self.labels_]
        return explain_pairs(photos, self._graph(), areas, self.coordinates_)

    def _graph(self) -> PairGraph:
        rows = [
            NeighborRows(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64), distances)
            for matrix, distances in (
                (self.same_area_, self.same_area_distances_),
                (self.easy_confusing_, self.easy_confusing_distances_),
            )
        ]
        return PairGraph(*rows)

    def _set_graph(self, graph: PairGraph) -> Self:
        self.same_area_ = graph.same_area.to_csr()
        self.same_area_distances_ = graph.same_area.distances
        self.easy_confusing_ = graph.easy_confusing.to_csr()
        self.easy_confusing_distances_ = graph.easy_confusing.distances
        return self
