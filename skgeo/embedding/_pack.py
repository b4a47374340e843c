"""Callbacks of a stored model, which must load where their module is missing."""

from __future__ import annotations

import pickle
import warnings
from typing import Any, NamedTuple


class Packed(NamedTuple):
    """Callbacks as a pickle within the pickle."""

    content: bytes


def pack(callbacks: Any) -> Any:
    """Callbacks in a form whose failure to load does not fail the model."""
    if callbacks is None:
        return None
    try:
        return Packed(pickle.dumps(callbacks))
    except (pickle.PicklingError, AttributeError, TypeError):
        return callbacks  # what surrounds them will say what cannot be stored


def unpack(callbacks: Any) -> Any:
    """The callbacks, or None and a warning where they cannot be had."""
    if not isinstance(callbacks, Packed):
        return callbacks
    try:
        return pickle.loads(callbacks.content)
    except Exception as error:
        # Whatever keeps a callback from loading: the trained network does not need it.
        warnings.warn(
            f"The callbacks of the stored model cannot be loaded here ({error}); the model works "
            "without them. Set `callbacks` before you train it again.",
            UserWarning,
            stacklevel=3,
        )
        return None
