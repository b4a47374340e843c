"""Progress bars for long work, shown only when ``verbose`` asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def progress(
    iterable: Iterable[T],
    *,
    verbose: int,
    total: int | None = None,
    desc: str = "",
    unit: str = "it",
) -> Iterable[T]:
    """Wrap an iterable in a tqdm bar on stderr if ``verbose`` is above 0; else return it as is."""
    if not verbose:
        return iterable
    from tqdm.auto import tqdm

    bar: Iterable[T] = tqdm(iterable, total=total, desc=desc, unit=unit)
    return bar
