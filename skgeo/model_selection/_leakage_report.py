"""What came of looking for leaks: a table, the pairs, and what is left without them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

IntArray = npt.NDArray[np.intp]


class LeakageReport:
    """What `leakage_report` found. Printed, it shows its `summary`.

    Parameters
    ----------
    summary : DataFrame
        A row for each check. Columns: ``queries``, the test samples that have such a training
        sample; ``percent``, the same in percent of all test samples; ``pairs``, the pairs of a
        test and a training sample.
    pairs : DataFrame
        The offending pairs: ``check`` (sample, place, author, identical, hash, features),
        ``test`` and ``train`` (indices of the samples), ``distance`` and ``unit``. Of each test
        sample only the nearest ones.
    train, test : ndarray
        The indices that were compared.
    flagged : dict of str to (ndarray, ndarray)
        For each check which training and which test samples are in a pair, bool.

    Attributes
    ----------
    summary, pairs : DataFrame
        As above.
    train, test : ndarray
        As above.

    Examples
    --------
    >>> from skgeo.model_selection import leakage_report
    >>> report = leakage_report([0, 1], [2, 3], authors=["ann", "bob", "bob", "cem"])
    >>> report.clean_test(), report.clean_train()
    (array([3]), array([0]))
    """

    def __init__(
        self,
        summary: pd.DataFrame,
        pairs: pd.DataFrame,
        train: IntArray,
        test: IntArray,
        flagged: dict[str, tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]],
    ) -> None:
        self.summary = summary
        self.pairs = pairs
        self.train = train
        self.test = test
        self._flagged = flagged

    def clean_test(self, checks: Iterable[str] | None = None) -> IntArray:
        """Test samples that no training sample gives away.

        Parameters
        ----------
        checks : iterable of str, default=None
            Names as in the column ``check`` of `pairs`. None: all that were made but "place",
            since a photograph of the same place is what a gallery is for.

        Returns
        -------
        ndarray
            Indices, a part of `test`.
        """
        return self.test[~self._any(checks, 1, len(self.test))]

    def clean_train(self, checks: Iterable[str] | None = None) -> IntArray:
        """Training samples that give no test sample away: train again on these.

        Parameters
        ----------
        checks : iterable of str, default=None
            As for `clean_test`.

        Returns
        -------
        ndarray
            Indices, a part of `train`.
        """
        return self.train[~self._any(checks, 0, len(self.train))]

    def _any(self, checks: Iterable[str] | None, side: int, n: int) -> npt.NDArray[np.bool_]:
        names = [c for c in self._flagged if c != "place"] if checks is None else list(checks)
        unknown = [name for name in names if name not in self._flagged]
        if unknown:
            raise ValueError(
                f"The check {unknown[0]!r} was not made; there are {list(self._flagged)}."
            )
        flagged = np.zeros(n, dtype=bool)
        for name in names:
            flagged |= self._flagged[name][side]
        return flagged

    def __repr__(self) -> str:
        head, tail = self._lines()
        return "\n".join([head, self.summary.round({"percent": 1}).to_string(), tail])

    def _repr_html_(self) -> str:
        head, tail = self._lines()
        return f"<p>{head}</p>{self.summary.round({'percent': 1}).to_html()}<p>{tail}</p>"

    def _lines(self) -> tuple[str, str]:
        head = f"{len(self.test):,} test samples against {len(self.train):,} training samples"
        clean = len(self.clean_test()), len(self.clean_train())
        return head, (
            f"Without what is flagged here, the place aside: {clean[0]:,} test and {clean[1]:,} "
            "training samples"
        )
