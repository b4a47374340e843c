"""Compile a function to machine code, and keep it for the next process where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., object])

# numba takes the code in its cache for current while the file of the function is unchanged,
# though functions that it calls from other files may have changed: all files count here.
_FILES = [(path.name, path.stat()) for path in sorted(Path(__file__).parent.glob("*.py"))]
_STAMP = tuple((name, stat.st_mtime, stat.st_size) for name, stat in _FILES)

_njit: Any = numba.njit


def compiled(function: F) -> F:
    """Compile, on the first call, a function that Python calls; threads may run it side by side.

    The machine code goes beside the module, or, where that is not writable, to the user's cache
    folder (or to ``NUMBA_CACHE_DIR``). Where no folder at all can be written, numba refuses to
    cache; then every process compiles for itself.
    """
    try:
        dispatcher = _njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        dispatcher = _njit(nogil=True, error_model="numpy")(function)
    cache_file: Any = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if hasattr(cache_file, "_source_stamp"):
        cache_file._source_stamp = _STAMP
    result: F = dispatcher
    return result


def inner(function: F) -> F:
    """Compile a function that only compiled functions call: the way in from Python is left out."""
    result: F = _njit(nogil=True, error_model="numpy", no_cpython_wrapper=True)(function)
    return result
