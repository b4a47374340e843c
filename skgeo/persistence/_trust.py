"""Which types a model file may hold without being asked about."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

#: Types of other libraries that hold data and nothing else.
_DATA_TYPES = frozenset(
    {
        "numpy.random._generator.Generator",
        "numpy.random._pcg64.PCG64",
        "scipy.sparse._csr.csr_array",
        "scipy.sparse._csr.csr_matrix",
    }
)


#: Classes of skgeo that hold a pickle: what is in it would run.
CODE_TYPES = frozenset({"skgeo.embedding._pack.Packed"})


def is_trusted(name: str) -> bool:
    """Whether a type is a class of skgeo, or holds data alone.

    Parameters
    ----------
    name : str
        Module and name, as ``skgeo.cluster._poi.POIMeanShift``.

    Returns
    -------
    bool
        True for classes whose loading sets attributes and does nothing else. Names are looked up
        in skgeo alone: nothing else is imported.
    """
    if name in _DATA_TYPES:
        return True
    if name in CODE_TYPES:
        return False
    module, _, attribute = name.rpartition(".")
    if module != "skgeo" and not module.startswith("skgeo."):
        return False
    try:
        thing = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError):
        return False
    # Not what a module of skgeo happens to import, and no function.
    return isinstance(thing, type) and thing.__module__ == module


def untrusted(names: Iterable[str], trusted: Iterable[str] = ()) -> list[str]:
    """Those of the types that neither skgeo nor the caller vouches for, sorted."""
    vouched = set(trusted)
    return sorted({name for name in names if name not in vouched and not is_trusted(name)})
